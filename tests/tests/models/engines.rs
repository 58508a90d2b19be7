//! A CLIP of reduced depth, from archive to graphs: ONNX's own checker passes them, and a second engine agrees with
//! ONNX Runtime.

use std::io::Cursor;
use std::process::Command;

use lintel_clip::text_encoder::TextConfig;
use lintel_clip::visual::VisualConfig;
use lintel_clip::weights::NamedTensors;
use lintel_export::{Views, encoder_onnx, text_encoder_onnx};
use lintel_inference::Encoder;
use lintel_onnx::with_u8_input;
use lintel_onnx::{read, write};
use lintel_tests::fixtures::clip_shapes::{RN50_TEXT, RN50_VISUAL, clip};
use lintel_tests::fixtures::formula;
use lintel_tests::fixtures::onnx_runtime::{embed_tokens, run_bytes};
use lintel_tests::fixtures::torch_archive::{Form, Writer};
use rten::{Model, Value};
use rten_tensor::{AsView as _, NdTensor, Tensor};

/// Every kind of layer that RN50 has, once.
const VISUAL: VisualConfig = VisualConfig { width: 16, layers: [2, 1, 1, 1], resolution: 224, dim: 64 };
const TEXT: TextConfig = TextConfig { vocabulary: 600, context: 77, width: 64, layers: 2, dim: 64 };

fn tensors() -> NamedTensors {
    let mut writer = Writer::new(Cursor::new(Vec::new()), Form::TorchScript);
    for described in clip(&VISUAL, &TEXT) {
        let tensor = formula::tensor(&described.name, &described.shape);
        writer.add(&described.name, &tensor.shape, &tensor.values, tensor.shape.len() > 1).unwrap();
    }
    NamedTensors::read(&writer.finish().unwrap().into_inner()).unwrap()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The model in the second engine. ONNX separates the names of nodes and values, `rten` 0.24 does not, and some of ours
/// are the same: the nodes' names are removed.
fn in_rten(onnx: &[u8]) -> Model {
    let mut model = read(onnx).unwrap();
    for node in &mut model.graph.as_mut().unwrap().node {
        node.name.clear();
    }
    Model::load(write(&model)).unwrap()
}

fn run_rten(onnx: &[u8], input: Value) -> Vec<f32> {
    let model = in_rten(onnx);
    let output: Tensor<f32> = model.run_one(input.into(), None).unwrap().try_into().unwrap();
    output.to_vec()
}

#[test]
fn sizes_are_read_off_the_shapes() {
    let tensors = tensors();
    assert_eq!(VisualConfig::from_tensors(&tensors).unwrap(), VISUAL);
    assert_eq!(TextConfig::from_tensors(&tensors).unwrap(), TEXT);
}

#[test]
fn two_engines_agree_on_a_picture() {
    let onnx = encoder_onnx(&tensors(), 224, Views::default()).unwrap();
    let pixels = formula::picture("two engines", 224);
    let mut encoder = Encoder::open(&onnx, &lintel_work::places::runtime()).unwrap();
    let ours = encoder.embed(&pixels).unwrap();
    let theirs = run_rten(&onnx, NdTensor::from_data([1, 224, 224, 3], pixels).into());
    let difference = difference(ours.vector(), &theirs);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn two_engines_agree_on_texts() {
    let onnx = text_encoder_onnx(&tensors()).unwrap();
    let rows: [Vec<u32>; 2] = [vec![598, 3, 7, 9, 599], vec![598, 30, 70, 500, 41, 2, 599]];
    let ours: Vec<f32> = embed_tokens(&onnx, &rows).unwrap().concat();
    let ids: Vec<i32> = rows.iter().flat_map(|row| (0..7).map(|i| row.get(i).map_or(0, |&id| id as i32))).collect();
    let theirs = run_rten(&onnx, NdTensor::from_data([2, 7], ids).into());
    let difference = difference(&ours, &theirs);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn two_engines_agree_on_a_detector() {
    let detector = with_u8_input(&lintel_packs::Pack::embedded().unwrap().detector, Some((320, 256))).unwrap();
    let pixels = formula::picture("a frame", 320)[..320 * 256 * 3].to_vec();
    let model = in_rten(&detector);
    let input: Value = NdTensor::from_data([1, 256, 320, 3], pixels.clone()).into();
    let input_id = model.input_ids()[0];
    let outputs = model.run(vec![(input_id, input.into())], model.output_ids(), None).unwrap();
    let theirs: Vec<Vec<f32>> =
        outputs.into_iter().map(|value| Tensor::<f32>::try_from(value).unwrap().to_vec()).collect();
    let ours = run_bytes(&detector, [1, 256, 320, 3], pixels).unwrap();
    assert_eq!(ours.len(), 9);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let difference = difference(ours, theirs);
        assert!(difference < 1e-3, "{difference}");
    }
}

#[test]
fn the_checker_of_onnx_passes() {
    let python = |args: &[&str]| Command::new("python3").args(args).output();
    if !python(&["-c", "import onnx"]).is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED the_checker_of_onnx_passes: python3 has no package onnx");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tensors = tensors();
    let detector = lintel_packs::Pack::embedded().unwrap().detector;
    for (name, onnx) in [
        ("visual.onnx", encoder_onnx(&tensors, 224, Views::default()).unwrap()),
        ("text.onnx", text_encoder_onnx(&tensors).unwrap()),
        ("detector.onnx", with_u8_input(&detector, None).unwrap()),
        ("small.onnx", with_u8_input(&detector, Some((320, 256))).unwrap()),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, onnx).unwrap();
        // With shape inference: declared shapes must be the inferred ones.
        let check = "import sys, onnx; onnx.checker.check_model(sys.argv[1], full_check=True)";
        let output = python(&["-c", check, path.to_str().unwrap()]).unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_shapes_of_rn50_are_the_published_ones() {
    let root = [env!("CARGO_MANIFEST_DIR"), "..", "..", "shared", "reference", "tensors.json"];
    let Ok(json) = std::fs::read(root.iter().collect::<std::path::PathBuf>()) else {
        eprintln!("SKIPPED the_shapes_of_rn50_are_the_published_ones: ../shared/reference/tensors.json is absent");
        return;
    };
    let sorted = |mut shapes: Vec<formula::Described>| {
        shapes.sort_by(|a, b| a.name.cmp(&b.name));
        shapes.into_iter().map(|described| (described.name, described.shape)).collect::<Vec<_>>()
    };
    let published: Vec<formula::Described> = serde_json::from_slice(&json).unwrap();
    assert_eq!(sorted(clip(&RN50_VISUAL, &RN50_TEXT)), sorted(published));
}
