//! Models, bundles and whole frames through ONNX Runtime; models are written by the test itself.

mod onnx;
mod parity;

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use etcetera::base_strategy::Xdg;
use lintel_core::align::CROP_BYTES;
use lintel_core::detect::{Limits, STRIDES, rows};
use lintel_core::embed::EncoderId;
use lintel_core::frame::Frame;
use lintel_core::geometry::Rect;
use lintel_core::quality::QualityLimits;
use lintel_core::table::{Person, PersonId, Rule, Table, TableParts};
use lintel_core::time::Uptime;
use lintel_core::track::{TrackSettings, Tracker};
use lintel_formats::bundle::{Contents, MANIFEST, Manifest, Role, file_names};
use lintel_inference::{
    BundleError, Detector, Encoder, FaceAnalyzer, Fallback, Library, LoadedBundle, Options, Provider, RuntimeError,
};
use onnx::{BYTE, F32, constant, end, mean_colour};

/// Models on the processor, with the library in the user's cache.
fn options() -> Options {
    let cache = Xdg::new().ok().map(|user| user.cache_dir().join("lintel"));
    Options { library: Library { cache, ..Library::default() }, ..Options::default() }
}

type Output = (&'static str, Vec<i64>, Vec<f32>);

const SIDE: i64 = 64;

/// What SCRFD gives for an input of 64×64 in which it sees one upright face from (8, 8) to (56, 56), under names
/// and in an order that tell nothing.
fn one_face(batch: bool) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (level, stride) in STRIDES.into_iter().enumerate().rev() {
        let n = rows((SIDE as u32, SIDE as u32), stride);
        let (mut scores, mut boxes, mut landmarks) = (vec![0.0; n], vec![1.0; n * 4], vec![0.0; n * 10]);
        if stride == 32 {
            // The second anchor of the last cell, whose place is (32, 32).
            scores[n - 1] = 0.9;
            boxes[(n - 1) * 4..].fill(0.75);
            landmarks[(n - 1) * 10..].copy_from_slice(&[-0.3, -0.2, 0.3, -0.2, 0.0, 0.1, -0.25, 0.35, 0.25, 0.35]);
        }
        let names = [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]][level];
        for ((name, width), numbers) in names.into_iter().zip([4, 1, 10]).zip([boxes, scores, landmarks]) {
            let shape = if batch { vec![1, n as i64, width] } else { vec![n as i64, width] };
            outputs.push((name, shape, numbers));
        }
    }
    outputs
}

fn detector_with(input: &onnx::Message, outputs: &[Output]) -> Vec<u8> {
    let outputs: Vec<_> = outputs.iter().map(|(name, shape, numbers)| (*name, &shape[..], numbers.clone())).collect();
    constant(input, &outputs)
}

fn detector() -> Vec<u8> {
    detector_with(&end("pixels", BYTE, &[1, SIDE, SIDE, 3]), &one_face(false))
}

/// Stripes, dark green on dark red: something that is sharp.
fn picture(width: u32, height: u32) -> Vec<u8> {
    (0..height).flat_map(|_| (0..width).flat_map(|x| if x / 4 % 2 == 0 { [200, 20, 0] } else { [20, 90, 0] })).collect()
}

fn error_of<T>(result: Result<T, RuntimeError>) -> String {
    result.err().map_or_else(|| "fine".into(), |error| error.to_string())
}

#[test]
fn detectors_of_both_forms_are_run() {
    let check = |input: onnx::Message, batch: bool| {
        let onnx = detector_with(&input, &one_face(batch));
        let size = (SIDE as u32, SIDE as u32);
        let mut detector = Detector::open_with(&onnx, &options(), size, Limits::default()).expect("SCRFD");
        assert_eq!((detector.input(), detector.provider()), (size, Provider::Cpu));
        // Frames of several sizes, one after another: the face is where the letterbox puts it.
        for (width, height, scale) in [(64, 64, 1.0), (128, 96, 2.0), (32, 64, 1.0)] {
            let pixels = picture(width, height);
            let frame = Frame::rgb8(&pixels, width, height, Uptime::ZERO).expect("a valid frame");
            let faces = detector.detect(&frame).expect("sound outputs");
            let place = |p: f32| (p + 0.5) * scale - 0.5;
            assert_eq!(faces.len(), 1);
            assert_eq!(faces[0].bbox, Rect::new(place(8.0), place(8.0), place(56.0), place(56.0)));
            assert_eq!(faces[0].score, 0.9);
        }
    };
    check(end("x", BYTE, &[1, SIDE, SIDE, 3]), false);
    check(end("x", BYTE, &[-1, SIDE, SIDE, 3]), true);
    check(end("x", F32, &[1, 3, SIDE, SIDE]), true);
    check(end("x", F32, &[1, 3, -1, -1]), false);
    check(end("x", F32, &[-1, 3, -1, -1]), true);
}

#[test]
fn other_models_are_not_taken_for_detectors() {
    let good = || end("x", BYTE, &[1, SIDE, SIDE, 3]);
    let check = |input: onnx::Message, change: &dyn Fn(&mut Vec<Output>), expected: &str| {
        let mut outputs = one_face(false);
        change(&mut outputs);
        let got = error_of(Detector::open(&detector_with(&input, &outputs), &options()));
        assert!(got.contains(expected) && !got.contains('\n'), "{got}");
    };
    check(good(), &|_| {}, "fine");
    check(end("x", BYTE, &[1, 3, SIDE, SIDE]), &|_| {}, "detector input is u8 [1, 3, 64, 64], wanted");
    check(end("x", F32, &[1, SIDE, SIDE, 3]), &|_| {}, "wanted u8 [1, H, W, 3] or f32 [1, 3, H, W]");
    check(end("x", BYTE, &[2, SIDE, SIDE, 3]), &|_| {}, "[2, 64, 64, 3]");
    check(end("x", BYTE, &[1, 70, 64, 3]), &|_| {}, "detector input is 64x70, wanted multiples of 32");
    check(end("x", BYTE, &[1, 96, 96, 3]), &|_| {}, "detector's set of outputs");
    check(good(), &|o| drop(o.pop()), "detector's set of outputs");
    check(good(), &|o| o.push(("more", vec![8, 1], vec![0.0; 8])), "detector's set of outputs");
    check(good(), &|o| o[0].1 = vec![4, 8], "wanted f32 [n, 1], [n, 4] and [n, 10]");
    let onnx = &detector()[..200];
    for (onnx, expected) in [(onnx, "could not open the detector"), (b"no model", "could not open the detector")] {
        let got = error_of(Detector::open(onnx, &options()));
        assert!(got.contains(expected) && !got.contains('\n'), "{got}");
    }
}

#[test]
fn numbers_that_are_none_are_an_error() {
    let mut outputs = one_face(false);
    outputs[1].2[0] = f32::NAN;
    let onnx = detector_with(&end("x", BYTE, &[1, SIDE, SIDE, 3]), &outputs);
    let mut detector = Detector::open(&onnx, &options()).expect("SCRFD by its shapes");
    let pixels = picture(64, 64);
    let frame = Frame::rgb8(&pixels, 64, 64, Uptime::ZERO).expect("a valid frame");
    assert_eq!(
        error_of(detector.detect(&frame)),
        "detector gave nonsense: stride 32 row 0: scores are not finite numbers"
    );
}

#[test]
fn encoders_give_unit_embeddings_in_order() {
    for n in [1, -1] {
        let onnx = mean_colour(n);
        let mut encoder = Encoder::open(&onnx, &options()).expect("an encoder");
        assert_eq!((encoder.dim(), encoder.id()), (3, EncoderId::of(&onnx)));
        let crops: Vec<Vec<u8>> = [[255, 0, 0], [0, 80, 60]].iter().map(|c| c.repeat(CROP_BYTES / 3)).collect();
        let expected = [[1.0, 0.0, 0.0], [0.0, 0.8, 0.6]];
        let near = |got: &[f32], wanted: &[f32]| got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5);
        for (crop, wanted) in crops.iter().zip(&expected) {
            assert!(near(encoder.embed(crop).expect("a colour").vector(), wanted));
        }
        let many: Vec<&[u8]> = (0..70).map(|i| &crops[i % 2][..]).collect();
        let embeddings = encoder.embed_batch(&many).expect("colours");
        assert_eq!(embeddings.len(), 70);
        assert!(embeddings.iter().enumerate().all(|(i, e)| near(e.vector(), &expected[i % 2])));
        assert!(encoder.embed_batch(&[]).expect("nothing to do").is_empty());
        let got = error_of(encoder.embed(&crops[0][1..]));
        assert_eq!(got, "number of bytes in a crop is 150527, wanted 150528 (RGB8, 224x224)");
        assert!(error_of(encoder.embed(&[0; CROP_BYTES])).starts_with("encoder gave nonsense: embedding has length 0"));
    }
    let got = error_of(Encoder::open(&detector(), &options()));
    assert_eq!(got, "encoder input is u8 [1, 64, 64, 3], wanted u8 [N, 224, 224, 3]");
}

#[test]
fn falling_back_is_shown_or_refused() {
    let onnx = mean_colour(1);
    // No machine without a GPU build of ONNX Runtime has this one.
    let providers = vec![Provider::TensorRt, Provider::Cpu];
    let options = Options { providers, ..options() };
    let encoder = Encoder::open(&onnx, &options).expect("the processor is always there");
    if encoder.provider() == Provider::TensorRt {
        eprintln!("SKIPPED falling_back_is_shown_or_refused: TensorRT works here");
        return;
    }
    assert_eq!(encoder.skipped().iter().map(|skipped| skipped.provider).collect::<Vec<_>>(), [Provider::TensorRt]);
    let check = |options: Options, expected: &str| {
        let got = error_of(Encoder::open(&onnx, &options));
        assert!(got.contains(expected) && !got.contains('\n'), "{got}");
    };
    check(Options { fallback: Fallback::Refused, ..options.clone() }, "provider tensorrt is not available");
    check(Options { providers: vec![Provider::Cuda], ..options.clone() }, "provider cuda is not available");
    check(Options { providers: vec![], ..options }, "no inference provider is configured");
    let path = Some(PathBuf::from("/nowhere/libonnxruntime.so"));
    let missing = lintel_inference::library::find(&Library { path, ..Library::default() });
    assert_eq!(
        error_of(missing.map_err(RuntimeError::from)),
        "there is no ONNX Runtime library at /nowhere/libonnxruntime.so (--onnxruntime names it)",
    );
}

fn table(encoder: EncoderId, revision: u64) -> Table {
    let person = |id: u32, name: &str| Person { id: PersonId(id), name: name.into() };
    let parts = TableParts {
        encoder,
        revision,
        template: "This is the image of a person named {name}".into(),
        logit_scale: 100.0,
        people: vec![person(0, "Ruby"), person(1, "Jade")],
        classes: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        dim: 3,
        intra_class_similarity: vec![1.0; 2],
        rule: Rule::PAPER,
        calibration: None,
    };
    Table::new(parts).expect("a valid table")
}

/// Writes a bundle of the test's models.
fn write_bundle(folder: &Path, encoder_of_table: Option<EncoderId>, change: &dyn Fn(&mut Manifest)) {
    let (detector, encoder) = (detector(), mean_colour(1));
    let id = EncoderId::of(&encoder);
    let table = lintel_formats::table::to_bytes(&table(encoder_of_table.unwrap_or(id), 5));
    let files = Contents::new([(Role::Detector, detector), (Role::Encoder, encoder), (Role::Table, table)]);
    let mut manifest = Manifest {
        pack: "test".into(),
        revision: 5,
        created: 0,
        files: files.entries(),
        detector_input: [64, 64],
        crop: 224,
        dim: 3,
        encoder: id,
    };
    change(&mut manifest);
    for (role, content) in files.iter() {
        std::fs::write(folder.join(role.file_name()), content).expect("a writable folder");
    }
    std::fs::write(folder.join(MANIFEST), manifest.to_bytes().expect("a valid manifest")).expect("a writable folder");
}

/// Stages run in threads of their own.
const _: fn() = || {
    fn moves_to_a_thread<T: Send + 'static>() {}
    moves_to_a_thread::<FaceAnalyzer>();
};

#[test]
fn a_frame_becomes_a_sighting() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_bundle(folder.path(), None, &|_| {});
    let look = |limits: QualityLimits| {
        let mut vision = FaceAnalyzer::open(folder.path(), &options(), limits).expect("a whole bundle");
        let mut tracker = Tracker::new(TrackSettings::default()).expect("valid settings");
        let pixels = picture(128, 128);
        let frame = Frame::rgb8(&pixels, 128, 128, Uptime::from_micros(7)).expect("a valid frame");
        let sighting = vision.look(&frame, &mut tracker).expect("sound models");
        assert_eq!((sighting.captured, sighting.seen.len()), (Uptime::from_micros(7), 1));
        let timings = vision.timings();
        assert!(timings.frames == 1 && timings.onnx_runtime < timings.total && timings.share_outside() > 0.0);
        sighting.seen[0].clone()
    };
    let limits = QualityLimits { min_inter_ocular_px: 30.0, max_turn: 0.5, min_sharpness: 0.01 };
    let seen = look(limits);
    assert_eq!(seen.flaw, None);
    assert_eq!(seen.opinion.and_then(|opinion| opinion.person()), Some(PersonId(0)), "more red than green");
    // This model sees its face at one place of its input whatever the scale: 38.4 px, so near that it is looked at from
    // twice as far away.
    assert!((seen.quality.inter_ocular_px - 76.8).abs() < 0.1, "{:?}", seen.quality);
    let check = |limits: QualityLimits, expected: &str| {
        let seen = look(limits);
        assert!(seen.opinion.is_none(), "{seen:?}");
        assert!(seen.flaw.expect("a flaw").to_string().contains(expected), "{seen:?}");
    };
    check(QualityLimits { min_inter_ocular_px: 77.0, ..limits }, "too small");
    check(QualityLimits { max_turn: -1.0, ..limits }, "turned away");
    check(QualityLimits { min_sharpness: 1e3, ..limits }, "too blurred");
}

/// Loads the bundle and opens its models, and says what is wrong.
fn opened(folder: &Path) -> Result<(), BundleError> {
    FaceAnalyzer::new(LoadedBundle::load(folder)?, &options(), QualityLimits::default()).map(drop)
}

#[test]
fn a_damaged_bundle_is_not_used() {
    let check = |change: &dyn Fn(&Path), expected: &dyn Fn(&BundleError) -> bool| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_bundle(folder.path(), None, &|_| {});
        change(folder.path());
        let error = opened(folder.path()).expect_err("a damaged bundle");
        assert!(expected(&error) && !error.to_string().contains('\n'), "{error:?}");
    };
    for name in file_names() {
        let change_bytes = |change: &dyn Fn(&mut Vec<u8>)| {
            let change = |folder: &Path| {
                let mut bytes = std::fs::read(folder.join(name)).expect("a readable file");
                change(&mut bytes);
                std::fs::write(folder.join(name), bytes).expect("a writable file");
            };
            let manifest = name == MANIFEST;
            check(&change, &|error| match error {
                BundleError::Manifest { .. } => manifest,
                BundleError::Hash { path, .. } | BundleError::Size { path, .. } => !manifest && path.ends_with(name),
                _ => false,
            });
        };
        change_bytes(&|bytes| bytes[0] ^= 1);
        change_bytes(&|bytes| *bytes.last_mut().expect("no empty file") ^= 0x80);
        change_bytes(&|bytes| bytes.push(0));
        change_bytes(&|bytes| bytes.truncate(bytes.len() / 2));
        change_bytes(&|bytes| bytes.clear());
        let missing = |error: &BundleError| matches!(error, BundleError::Missing { path } if path.ends_with(name));
        check(&|folder| std::fs::remove_file(folder.join(name)).expect("the file is there"), &missing);
    }
    check(&|folder| std::fs::remove_dir_all(folder).expect("the folder is there"), &|error| {
        matches!(error, BundleError::Missing { .. })
    });
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let check = |encoder: Option<EncoderId>, change: &dyn Fn(&mut Manifest), expected: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_bundle(folder.path(), encoder, change);
        let got = opened(folder.path()).map_or_else(|error| error.to_string(), |()| "fine".into());
        assert!(got.contains(expected), "{got}");
    };
    check(None, &|_| {}, "fine");
    let other = EncoderId([0x5a; 32]);
    check(Some(other), &|_| {}, &format!("identity table is for encoder {other}, the bundle has encoder"));
    check(None, &|m| m.dim = 4, "identity table's embedding size is 3, the bundle's manifest says 4");
    check(None, &|m| m.revision = 6, "identity table's revision is 5, the bundle's manifest says 6");
    check(None, &|m| m.detector_input = [64, 96], "detector input is [64, 64], the bundle's manifest says [64, 96]");
}
