//! CLIP's weights in every published form, and hostile archives.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod hostile;
#[path = "../../../../tests/src/fixtures/torch_archive.rs"]
#[allow(dead_code, clippy::cast_possible_wrap, reason = "shared with the tests of other crates")]
mod torch_archive;

use std::io::Cursor;

use half::{bf16, f16};
use lintel_clip::weights::{NamedTensor, NamedTensors, Precision};

use torch_archive::{Form, Pickle, Writer, archive};

/// Two names at two depths, with values that half precision holds.
fn tensors() -> NamedTensors {
    let mut tensors = NamedTensors::new();
    tensors.insert("ln_final.weight", NamedTensor::new(vec![3], vec![0.5, -1.0, 2.0]));
    tensors.insert("visual.layer1.0.conv1.weight", NamedTensor::new(vec![2, 2], vec![1.0, 2.0, 3.0, -4.0]));
    tensors.insert("logit_scale", NamedTensor::scalar(4.5));
    tensors
}

fn written(form: Form, prefix: &str, half: bool) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), form);
    for (name, tensor) in tensors().iter() {
        writer.add(&format!("{prefix}{name}"), &tensor.shape, &tensor.values, half).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_form_gives_the_same_tensors() {
    let check = |bytes: &[u8]| assert_eq!(NamedTensors::read(bytes).unwrap(), tensors());
    for half in [false, true] {
        check(&written(Form::TorchScript, "", half));
        check(&written(Form::StateDict, "", half));
        check(&written(Form::StateDict, "module.", half));
    }
    check(&tensors().to_safetensors(Precision::F32).unwrap());
    check(&tensors().to_safetensors(Precision::F16).unwrap());
    let mut wrapped = NamedTensors::new();
    for (name, tensor) in tensors().iter() {
        let tower = if name.starts_with("ln") { "text." } else { "" };
        wrapped.insert(format!("module.{tower}{name}"), tensor.clone());
    }
    check(&wrapped.to_safetensors(Precision::F32).unwrap());
}

/// An archive of one pickle and one storage, `data/0`.
fn with_storage(pickle: &mut Pickle, storage: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", &pickle.op(b".").0, false), ("a/data/0", storage, false)])
}

/// A dict of one tensor, `x`, that is a view with `strides` into a storage of `class`.
fn view(class: &str, storage: &[u8], count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let mut pickle = Pickle::new();
    pickle.op(b"}").text("x").tensor((class, "0", count), offset, shape, strides).op(b"s");
    with_storage(&mut pickle, storage)
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn views_are_gathered() {
    let storage = floats((0..12_u8).map(f32::from));
    let check = |offset: i64, shape: &[i64], strides: &[i64], expected: &[f32]| {
        let tensors = NamedTensors::read(&view("FloatStorage", &storage, 12, offset, shape, strides)).unwrap();
        let x = tensors.get("x").unwrap();
        assert_eq!((x.values.as_slice(), x.shape.len()), (expected, shape.len()), "{offset} {shape:?} {strides:?}");
    };
    check(0, &[2, 3], &[3, 1], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    check(6, &[2, 3], &[3, 1], &[6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    // The transpose.
    check(0, &[3, 2], &[1, 3], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    // Every other value, and one value for all.
    check(1, &[3], &[4], &[1.0, 5.0, 9.0]);
    check(7, &[2, 2], &[0, 0], &[7.0; 4]);
    check(2, &[2, 1, 2], &[5, i64::MAX, 1], &[2.0, 3.0, 7.0, 8.0]);
    check(11, &[], &[], &[11.0]);
    check(0, &[0, 4], &[4, 1], &[]);
}

#[test]
fn every_float_type_becomes_f32_and_integers_are_left_out() {
    let check = |class: &str, bytes: &[u8], expected: Option<f32>| {
        let mut pickle = Pickle::new();
        pickle.op(b"}(").text("x").tensor((class, "0", 1), 0, &[], &[]);
        pickle.text("y").tensor(("FloatStorage", "1", 1), 0, &[], &[]).op(b"u.");
        let one = 1_f32.to_le_bytes();
        let bytes = archive(&[("a/data.pkl", &pickle.0, false), ("a/data/0", bytes, false), ("a/data/1", &one, false)]);
        let tensors = NamedTensors::read(&bytes).unwrap();
        assert_eq!(tensors.find("x").map(|x| x.values[0]), expected, "{class}");
    };
    check("DoubleStorage", &0.1_f64.to_le_bytes(), Some(0.1));
    check("FloatStorage", &0.1_f32.to_le_bytes(), Some(0.1));
    check("HalfStorage", &f16::from_f32(1.5).to_le_bytes(), Some(1.5));
    check("BFloat16Storage", &bf16::from_f32(-2.5).to_le_bytes(), Some(-2.5));
    for (class, width) in [("Long", 8), ("Int", 4), ("Short", 2), ("Char", 1), ("Byte", 1), ("Bool", 1)] {
        check(&format!("{class}Storage"), &vec![0; width], None);
    }
}

#[test]
fn checkpoints_keep_weights_beside_other_things() {
    let half = |value: f32| f16::from_f32(value).to_le_bytes();
    let mut pickle = Pickle::new();
    // {"epoch": 3, "lr": 0.1, "optimizer": {"state": [1, None]}, "state_dict": OrderedDict(...)}
    pickle.op(b"}q\x00(").text("epoch").int(3).text("lr").op(b"G").op(&0.1_f64.to_be_bytes());
    pickle.text("optimizer").op(b"}").text("state").op(b"](").int(1).op(b"Ne").op(b"s");
    pickle.text("state_dict").global("collections", "OrderedDict").op(b")R(").text("module.x");
    // A parameter: a tensor, whether it is trained, hooks.
    pickle.global("torch._utils", "_rebuild_parameter").op(b"(").tensor(("HalfStorage", "0", 1), 0, &[1], &[1]);
    pickle.op(b"\x88").global("collections", "OrderedDict").op(b")RtR").op(b"u}").text("_metadata").op(b"}sb").op(b"u");
    let tensors = NamedTensors::read(&with_storage(&mut pickle, &half(0.25))).unwrap();
    assert_eq!(tensors.iter().collect::<Vec<_>>(), [("x", &NamedTensor::new(vec![1], vec![0.25]))]);
}

#[test]
fn a_causal_mask_is_no_weight() {
    let mut pickle = Pickle::new();
    pickle.op(b"}(").text("attn_mask").tensor(("FloatStorage", "1", 1), 0, &[], &[]);
    pickle.text("x").tensor(("FloatStorage", "0", 1), 0, &[], &[]).op(b"u.");
    let (one, infinity) = (1_f32.to_le_bytes(), f32::NEG_INFINITY.to_le_bytes());
    let bytes = archive(&[("a/data.pkl", &pickle.0, false), ("a/data/0", &one, false), ("a/data/1", &infinity, false)]);
    assert_eq!(NamedTensors::read(&bytes).unwrap().len(), 1);
}
