//! What one frame costs: the parts in Lintel's own code, the models, and the whole way from frame to sighting.
//!
//! The models are those of a bundle: the folder in `LINTEL_BENCH_BUNDLE`, or the one that `lintel demo` left behind.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use etcetera::BaseStrategy as _;
use etcetera::base_strategy::Xdg;
use lintel_core::align::{CROP_BYTES, TEMPLATE, crop_transform, warp};
use lintel_core::detect::{Letterbox, Level, Limits, STRIDES, decode, rows};
use lintel_core::frame::Frame;
use lintel_core::geometry::Point;
use lintel_core::quality::{QualityLimits, sharpness};
use lintel_core::time::Uptime;
use lintel_core::track::{TrackSettings, Tracker};
use lintel_formats::bundle::Role;
use lintel_formats::recording::Recording;
use lintel_inference::{Detector, Encoder, FaceAnalyzer, Library, LoadedBundle, Options};

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const SIZE: (u32, u32) = (640, 480);

/// Models on the processor, with the library in the user's cache.
fn options() -> Options {
    let cache = Xdg::new().ok().map(|user| user.cache_dir().join("lintel"));
    Options { library: Library { cache, ..Library::default() }, ..Options::default() }
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn frame(pixels: &[u8], (width, height): (u32, u32)) -> Frame<'_> {
    Frame::rgb8(pixels, width, height, Uptime::ZERO).expect("pixels of this size")
}

fn letterbox(c: &mut Criterion) {
    for (name, size) in [("letterbox/640x480", SIZE), ("letterbox/2048x1536", (2048, 1536))] {
        let pixels = noise(size.0 as usize * size.1 as usize * 3);
        let mut input = vec![0; SIZE.0 as usize * SIZE.1 as usize * 3];
        let mut letterbox = Letterbox::new(size, SIZE);
        c.bench_function(name, |b| b.iter(|| letterbox.fill(&frame(&pixels, size), black_box(&mut input))));
    }
}

/// Decoding when 1 % of all anchors are sure, far more than a door ever sees.
fn decoding(c: &mut Criterion) {
    let outputs = STRIDES.map(|stride| {
        let n = rows(SIZE, stride);
        let scores: Vec<f32> = (0..n).map(|i| if i % 100 == 0 { 0.9 } else { 0.1 }).collect();
        (stride, scores, vec![2.0; n * 4], vec![0.5; n * 10])
    });
    let levels = outputs.each_ref().map(|(stride, scores, boxes, landmarks)| Level {
        stride: *stride,
        scores,
        boxes,
        landmarks,
    });
    let letterbox = Letterbox::new(SIZE, SIZE);
    c.bench_function("decode/640x480", |b| {
        b.iter(|| decode(black_box(&levels), SIZE, &letterbox, &Limits::default()).expect("finite numbers").len());
    });
}

fn alignment(c: &mut Criterion) {
    let pixels = noise(SIZE.0 as usize * SIZE.1 as usize * 3);
    let mut crop = vec![0; CROP_BYTES];
    for (name, scale) in [("align/small face", 0.8), ("align/face twice the crop", 2.0)] {
        let landmarks = TEMPLATE.map(|p| Point::new(p.x * scale + 100.0, p.y * scale + p.x * 0.1));
        let transform = crop_transform(&landmarks).expect("a face");
        c.bench_function(name, |b| b.iter(|| warp(&frame(&pixels, SIZE), &transform, black_box(&mut crop))));
    }
    c.bench_function("quality/sharpness", |b| b.iter(|| sharpness(black_box(&crop))));
}

/// The bundle to measure with, and a frame that a person is in.
fn bundle() -> Option<(PathBuf, Vec<u8>, (u32, u32))> {
    let given = std::env::var_os("LINTEL_BENCH_BUNDLE").map(PathBuf::from);
    let usual = Path::new(PROJECT).join("lintel-demo/bundle");
    let Some(folder) = given.or_else(|| Some(usual).filter(|folder| folder.is_dir())) else {
        eprintln!("SKIPPED detect, embed, frame: no bundle; run `lintel demo`, or set LINTEL_BENCH_BUNDLE");
        return None;
    };
    // The demo's recordings lie beside its bundle.
    let given = std::env::var_os("LINTEL_BENCH_RECORDING").map(PathBuf::from);
    let Some(path) = given.or_else(|| first_recording(&folder.join("../rendered/recordings"))) else {
        eprintln!("SKIPPED detect, embed, frame: no recording beside the bundle; set LINTEL_BENCH_RECORDING");
        return None;
    };
    let recording = Recording::open(&path).expect("a whole recording");
    let middle = recording.frames().nth(recording.len() / 2).expect("a frame").expect("a whole frame");
    Some((folder, middle.pixels, (middle.info.width, middle.info.height)))
}

fn first_recording(folder: &Path) -> Option<PathBuf> {
    let paths = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "mjpeg")).min()
}

fn models(c: &mut Criterion) {
    let Some((folder, pixels, size)) = bundle() else { return };
    let frame = frame(&pixels, size);
    let options = options();
    let loaded = LoadedBundle::load(&folder).expect("a whole bundle");
    let mut detector = Detector::open(&loaded.files[Role::Detector], &options).expect("a detector");
    c.bench_function("detect", |b| b.iter(|| detector.detect(&frame).expect("sound outputs").len()));
    let mut encoder = Encoder::open(&loaded.files[Role::Encoder], &options).expect("an encoder");
    let crop = noise(CROP_BYTES);
    c.bench_function("embed", |b| b.iter(|| encoder.embed(&crop).expect("an embedding").dim()));
    let mut vision = FaceAnalyzer::new(loaded, &options, QualityLimits::default()).expect("models that fit");
    let mut tracker = Tracker::new(TrackSettings::default()).expect("valid settings");
    let faces = vision.look(&frame, &mut tracker).expect("sound outputs").seen.len();
    c.bench_function("frame", |b| b.iter(|| vision.look(&frame, &mut tracker).expect("sound outputs").seen.len()));
    let timings = vision.timings();
    let share = 100.0 * timings.share_outside();
    println!("frame: {}x{}, {faces} faces, {share:.1} % of the time outside ONNX Runtime", size.0, size.1);
}

criterion_group!(benches, letterbox, decoding, alignment, models);
criterion_main!(benches);
