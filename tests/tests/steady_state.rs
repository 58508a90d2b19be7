//! The real models on a real recording: after the first frames, every frame allocates the same, and nothing stays.
//!
//! What ONNX Runtime allocates by itself does not go through Rust's allocator and is not counted; what its Rust binding
//! allocates for a call is, and is the constant that is printed.

use std::alloc::System;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lintel_edge::camera::replay::{Pace, Replay};
use lintel_edge::clock::Stop;
use lintel_edge::config::Config;
use lintel_edge::display::NoDisplay;
use lintel_edge::events::WireFile;
use lintel_edge::pipeline::keeper::{Keeper, KeeperParts, Names};
use lintel_edge::pipeline::{End, Eyes, Stages, lockstep};
use lintel_edge::relay::sim::{SimRelay, SimSettings};
use lintel_shared::frame::Frame;
use lintel_shared::quality::QualityLimits;
use lintel_shared::runtime::{Options, Vision};
use lintel_shared::verdict::Sighting;
use lintel_tests::recordings::recording;
use lintel_tests::scenario::{Visit, Who};
use lintel_tests::world::World;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counters at the end of one look.
#[derive(Clone, Copy)]
struct Mark {
    /// Faces that went the whole way to an opinion.
    compared: usize,
    faces: usize,
    /// Frames that were looked at twice, so far.
    twice: u64,
    allocations: usize,
    bytes_held: isize,
}

/// Eyes that note the heap after every look.
struct Noting {
    vision: Vision,
    marks: Arc<Mutex<Vec<Mark>>>,
}

impl Eyes for Noting {
    fn look(&mut self, frame: &Frame<'_>) -> Result<Sighting, String> {
        let sighting = Eyes::look(&mut self.vision, frame)?;
        let stats = HEAP.stats();
        let mark = Mark {
            compared: sighting.seen.iter().filter(|seen| seen.opinion.is_some()).count(),
            faces: sighting.seen.len(),
            twice: self.vision.timings().twice,
            allocations: stats.allocations + stats.reallocations,
            bytes_held: stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed(),
        };
        self.marks.lock().expect("one thread").push(mark);
        Ok(sighting)
    }
}

#[test]
fn frames_allocate_alike_and_keep_nothing() {
    let world = World::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the bundle is trained");
    let visit = Visit::of(vec![Who::Stranger(1)], 5.0);
    let path = recording(&visit, &world.kept()).expect("the recording is rendered");
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { threads: 1, ..Options::default() };
    let vision = Vision::open(&world.bundle(), &options, QualityLimits::default()).expect("the bundle opens");
    let marks = Arc::new(Mutex::new(Vec::with_capacity(100_000)));
    let config = Config::default();
    let keeper = Keeper::new(KeeperParts {
        vote: config.vote_settings(),
        door: config.door_settings(),
        relay: Box::new(SimRelay::new(SimSettings::default())),
        display: Box::new(NoDisplay),
        events: Box::new(WireFile::create(&folder.path().join("events")).expect("a file")),
        names: Names::default(),
    })
    .expect("default settings");
    let repeats = vec![path; 6];
    let camera = Replay::new(&repeats, Duration::from_secs(2), Pace::Virtual).expect("recordings");
    let stages = Stages {
        camera: Box::new(camera),
        watch: config.camera_watch(),
        eyes: Box::new(Noting { vision, marks: Arc::clone(&marks) }),
        keeper,
    };
    let outcome = lockstep::run(stages, &Stop::new());
    assert!(matches!(outcome.end, End::Played), "{:?}", outcome.end);
    let marks = marks.lock().expect("one thread");
    assert!(marks.len() >= 290, "{} frames", marks.len());
    check_counts(&marks);
}

/// From the second recording on: frames with the same faces allocate alike, and the heap does not grow.
fn check_counts(marks: &[Mark]) {
    let steady = &marks[50..];
    let kind = |pair: &[Mark]| (pair[1].faces, pair[1].compared, pair[1].twice - pair[0].twice);
    let mut kinds: Vec<_> = steady.windows(2).map(kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for wanted in kinds {
        let (faces, compared, twice) = wanted;
        let mut counts: Vec<usize> = steady
            .windows(2)
            .filter(|pair| kind(pair) == wanted)
            .map(|pair| pair[1].allocations - pair[0].allocations)
            .collect();
        counts.sort_unstable();
        let (Some(least), Some(most)) = (counts.first(), counts.last()) else { continue };
        eprintln!(
            "{faces} faces, {compared} compared, {twice} second looks: {least} to {most} allocations in {} frames",
            counts.len()
        );
        let median = counts[counts.len() / 2];
        // Where one recording ends and the next is opened lies between two looks, five times in all.
        let odd = counts.iter().filter(|count| **count != median).count();
        assert!(odd <= 6, "{faces} faces, {compared} compared: {counts:?}");
    }
    // The same place in the second and in the last recording: what the heap holds there is the same.
    let held = |recording: usize| marks[recording * 50 + 25].bytes_held;
    let grown = held(5) - held(1);
    assert!(grown.abs() < 4096, "the heap grew by {grown} bytes over four recordings");
}
