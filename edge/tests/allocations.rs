//! Frames go round without allocating: the heap is counted over a short and a long run of the same scene.
//!
//! The count is of the whole process, so this is a program without a test harness, whose own thread allocates when it
//! likes.

use std::alloc::System;

use lintel_core::camera_watch::CameraWatchSettings;
use lintel_core::controller::{ControllerSettings, Names};
use lintel_core::decision::{Seen, Sighting};
use lintel_core::detect::Face;
use lintel_core::embed::Similarity;
use lintel_core::frame::Frame;
use lintel_core::geometry::{Point, Rect};
use lintel_core::quality::Quality;
use lintel_core::table::Opinion;
use lintel_core::table::Scores;
use lintel_core::time::Uptime;
use lintel_core::track::{TrackSettings, Tracker};
use lintel_edge::events::wire_file::WireFile;
use lintel_edge::io::camera::{Camera, CameraError, Captured, Picture};
use lintel_edge::io::clock::Stop;
use lintel_edge::io::display::NoDisplay;
use lintel_edge::io::relay::sim::{SimRelay, SimSettings};
use lintel_edge::pipeline::executor::{Executor, ExecutorParts};
use lintel_edge::pipeline::{Analyzer, AnalyzerError, End, Stages, lockstep};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A stranger who never leaves, at 25 frames a second.
struct Stranger {
    frames: u64,
    next: u64,
}

impl Camera for Stranger {
    fn describe(&self) -> String {
        "a stranger who never leaves".to_owned()
    }

    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError> {
        if self.next == self.frames {
            return Ok(Captured::End);
        }
        picture.pixels.resize(640 * 480 * 3, 100);
        picture.pixels[..8].copy_from_slice(&self.next.to_le_bytes());
        (picture.width, picture.height) = (640, 480);
        picture.captured = Uptime::from_millis(40 * self.next);
        self.next += 1;
        Ok(Captured::Picture)
    }
}

impl Analyzer for Stranger {
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError> {
        let bbox = Rect { x1: 10.0, y1: 10.0, x2: 90.0, y2: 90.0 };
        let face = Face { bbox, score: 0.9, landmarks: [Point { x: 50.0, y: 50.0 }; 5] };
        let similarity = Similarity::new(0.1).expect("a cosine");
        let scores = Scores { best: 0, similarity, margin: 0.0, confidence: 0.1 };
        let opinion = Some(Opinion::Stranger { scores });
        let mut sighting = Sighting { captured: frame.captured(), ..Sighting::default() };
        let track = tracker.on_faces(frame.captured(), &[bbox])[0].expect("a finite box");
        let seen = Seen { track, face, quality: Quality::default(), opinion, flaw: None };
        sighting.seen.push(seen).expect("room for one");
        Ok(sighting)
    }
}

/// Allocations that a run of so many frames takes.
fn run(frames: u64) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = ExecutorParts {
        settings: ControllerSettings::default(),
        refusals: 0,
        relay: Box::new(SimRelay::new(SimSettings::default())),
        display: Box::new(NoDisplay),
        events: Box::new(WireFile::create(&folder.path().join("events")).expect("a file")),
        names: Names::default(),
    };
    let executor = Executor::new(parts, Uptime::ZERO).expect("default settings");
    let region = Region::new(HEAP);
    let stages = Stages {
        camera: Box::new(Stranger { frames, next: 0 }),
        watch: CameraWatchSettings { fault_after: std::time::Duration::from_secs(2), dark_below: 6.0 },
        analyzer: Box::new(Stranger { frames: 0, next: 0 }),
        tracker: Tracker::new(TrackSettings::default()).expect("default settings"),
        executor,
    };
    let outcome = lockstep::run(stages, &Stop::new());
    assert!(matches!(outcome.end, End::Played));
    assert_eq!(outcome.report.looked_at, frames);
    let stats = region.change();
    stats.allocations + stats.reallocations
}

fn main() {
    let short = run(100);
    let long = run(10_000);
    assert_eq!(short, long, "allocations of 100 and of 10 000 frames");
    println!("a hundred times more frames allocate nothing more: {long} allocations in 10 000 frames as in 100");
}
