//! The real models on a real recording: after the first frames nothing allocates but the calls of ONNX Runtime and of
//! the JPEG decoder, and nothing stays.
//!
//! What ONNX Runtime allocates by itself does not go through Rust's allocator and is not counted; what its Rust binding
//! allocates for a call is. That, and what the decoder allocates for a frame, is counted without the door around it
//! first.
//!
//! The count is of the whole process, so this is a program without a test harness, whose own thread allocates when it
//! likes.

use std::alloc::System;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lintel_core::align::CROP;
use lintel_core::controller::{ControllerSettings, Names};
use lintel_core::decision::Sighting;
use lintel_core::frame::Frame;
use lintel_core::lockout::UNLIMITED;
use lintel_core::quality::QualityLimits;
use lintel_core::time::Uptime;
use lintel_core::track::Tracker;
use lintel_edge::config::Config;
use lintel_edge::events::wire_file::WireFile;
use lintel_edge::io::camera::replay::{Pace, Replay};
use lintel_edge::io::clock::Stop;
use lintel_edge::io::display::NoDisplay;
use lintel_edge::io::relay::sim::{SimRelay, SimSettings};
use lintel_edge::pipeline::executor::{Executor, ExecutorParts};
use lintel_edge::pipeline::{Analyzer, AnalyzerError, End, Stages, lockstep};
use lintel_formats::bundle::Role;
use lintel_formats::recording::Recording;
use lintel_inference::{FaceAnalyzer, LoadedBundle, Options, session};
use lintel_tests::recordings::recording;
use lintel_tests::story::{Visit, Who};
use lintel_tests::world::World;
use ort::value::{Tensor, TensorRef};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What calls outside the door's own code allocate.
struct Others {
    /// The JPEG decoder, for each frame of the recording.
    decoder: Vec<usize>,
    /// The detector on a frame's pixels.
    detector: usize,
    /// The detector on a tensor: a frame's second look.
    near: usize,
    encoder: usize,
}

impl Others {
    fn count(recording: &Path, bundle: &Path, options: &Options) -> Self {
        let bundle = LoadedBundle::load(bundle).expect("the bundle is whole");
        let recording = Recording::open(recording).expect("a recording");
        let mut pixels = Vec::new();
        let mut decode = |index| allocations(|| drop(recording.decode_into(index, &mut pixels).expect("a frame")));
        decode(0);
        let decoder = (0..recording.len()).map(decode).collect();
        let size = CROP as usize;
        let (width, height) = bundle.manifest.detector_input.into();
        let (detector, encoder) = (vec![0_u8; (width * height * 3) as usize], vec![0_u8; size * size * 3]);
        Self {
            decoder,
            detector: call(
                &bundle.files[Role::Detector],
                options,
                [1, height as usize, width as usize, 3],
                &detector,
                true,
            ),
            near: call(
                &bundle.files[Role::Detector],
                options,
                [1, height as usize, width as usize, 3],
                &detector,
                false,
            ),
            encoder: call(&bundle.files[Role::Encoder], options, [1, size, size, 3], &encoder, false),
        }
    }
}

/// Allocations of one call of a model, with all outputs read; its input is borrowed bytes, or a
/// tensor of its own.
fn call(onnx: &[u8], options: &Options, shape: [usize; 4], bytes: &[u8], borrowed: bool) -> usize {
    let mut session = session::open("open the model", onnx, options).expect("a model").session;
    let input = Tensor::from_array((shape, bytes.to_vec())).expect("a tensor");
    let mut run = || {
        allocations(|| {
            let inputs = if borrowed {
                ort::inputs![TensorRef::from_array_view((shape, bytes)).expect("a view")]
            } else {
                ort::inputs![&input]
            };
            let outputs = session.run(inputs).expect("the model runs");
            for place in 0..outputs.len() {
                outputs[place].try_extract_tensor::<f32>().expect("numbers");
            }
        })
    };
    run();
    run()
}

fn allocations(work: impl FnOnce()) -> usize {
    let count = || HEAP.stats().allocations + HEAP.stats().reallocations;
    let before = count();
    work();
    count() - before
}

/// Counters at the end of one look.
#[derive(Clone, Copy)]
struct Mark {
    /// Faces that got an opinion.
    compared: usize,
    /// Frames that were looked at twice so far.
    twice: u64,
    allocations: usize,
    bytes_held: isize,
}

/// An analyzer that records the heap after each look.
struct Noting {
    vision: FaceAnalyzer,
    marks: Arc<Mutex<Vec<Mark>>>,
}

impl Analyzer for Noting {
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError> {
        let sighting = Analyzer::look(&mut self.vision, frame, tracker)?;
        let stats = HEAP.stats();
        let mark = Mark {
            compared: sighting.seen.iter().filter(|seen| seen.opinion.is_some()).count(),
            twice: self.vision.timings().twice,
            allocations: stats.allocations + stats.reallocations,
            bytes_held: stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed(),
        };
        self.marks.lock().expect("one thread").push(mark);
        Ok(sighting)
    }
}

fn main() {
    let world = World::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the bundle is trained");
    let visit = Visit::of(vec![Who::Stranger(1)], 5.0);
    let path = recording(&visit, &world.kept()).expect("the recording is rendered");
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { threads: 1, ..lintel_work::places::runtime() };
    let others = Others::count(&path, &world.bundle(), &options);
    let vision = FaceAnalyzer::open(&world.bundle(), &options, QualityLimits::default()).expect("the bundle opens");
    let marks = Arc::new(Mutex::new(Vec::with_capacity(100_000)));
    let config = Config::default();
    let parts = ExecutorParts {
        // The same stranger comes six times.
        settings: ControllerSettings { lockout: UNLIMITED, ..config.controller_settings() },
        refusals: 0,
        relay: Box::new(SimRelay::new(SimSettings::default())),
        display: Box::new(NoDisplay),
        events: Box::new(WireFile::create(&folder.path().join("events")).expect("a file")),
        names: Names::default(),
    };
    let executor = Executor::new(parts, Uptime::ZERO).expect("default settings");
    let repeats = vec![path; 6];
    let camera = Replay::new(&repeats, Duration::from_secs(2), Pace::Virtual).expect("recordings");
    let stages = Stages {
        camera: Box::new(camera),
        watch: config.camera_watch(),
        analyzer: Box::new(Noting { vision, marks: Arc::clone(&marks) }),
        tracker: Tracker::new(config.track_settings()).expect("default settings"),
        executor,
    };
    let outcome = lockstep::run(stages, &Stop::new());
    assert!(matches!(outcome.end, End::Played), "{:?}", outcome.end);
    let marks = marks.lock().expect("one thread");
    assert!(marks.len() >= 290, "{} frames", marks.len());
    check_counts(&marks, &others);
}

/// From the second recording on only the other calls allocate, and the heap does not grow.
fn check_counts(marks: &[Mark], others: &Others) {
    let each = others.decoder.len();
    eprintln!(
        "allocations per call: detector {}, its second look {}, encoder {}, JPEG decoder {} to {}",
        others.detector,
        others.near,
        others.encoder,
        others.decoder.iter().min().unwrap(),
        others.decoder.iter().max().unwrap()
    );
    let mut compared = 0;
    for (index, pair) in marks.windows(2).enumerate().skip(each) {
        let frame = (index + 1) % each;
        // Between these two looks one recording ended, and the next was opened.
        if frame == 0 {
            continue;
        }
        let twice = (pair[1].twice - pair[0].twice) as usize;
        let models = others.detector + twice * others.near + pair[1].compared * others.encoder;
        let wanted = others.decoder[frame] + models;
        let got = pair[1].allocations - pair[0].allocations;
        assert_eq!(got, wanted, "frame {frame}: {twice} second looks, {} compared", pair[1].compared);
        compared += pair[1].compared;
    }
    assert!(compared > 100, "{compared} faces were compared");
    // At the same frame of the second and the last recording the heap must hold the same.
    let held = |recording: usize| marks[recording * each + each / 2].bytes_held;
    let grown = held(5) - held(1);
    assert!(grown.abs() < 4096, "the heap grew by {grown} bytes over four recordings");
    println!(
        "{} looks, {compared} faces compared: nothing of the door's own allocates, and nothing stays",
        marks.len()
    );
}
