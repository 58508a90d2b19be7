//! The trainer's forward pass against the reference implementation's features (`../shared/reference`).

use lintel_export::{PIXEL_MEAN, PIXEL_STD};
use lintel_tests::fixtures::formula;
use serde_json::Value;

use super::*;

#[test]
fn the_names_and_shapes_are_openais() {
    let config = ImageConfig { width: 16, layers: [1, 1, 1, 1], side: 2, dim: 32 };
    let named = ImageEncoder::new(&config, &Device::flex()).named();
    for (name, shape) in [
        ("visual.conv1.weight", vec![8, 3, 3, 3]),
        ("visual.bn3.running_var", vec![16]),
        ("visual.layer1.0.downsample.0.weight", vec![64, 16, 1, 1]),
        ("visual.layer4.0.downsample.1.bias", vec![512]),
        ("visual.layer2.0.conv3.weight", vec![128, 32, 1, 1]),
        ("visual.attnpool.positional_embedding", vec![5, 512]),
        ("visual.attnpool.c_proj.weight", vec![32, 512]),
        ("visual.attnpool.c_proj.bias", vec![32]),
    ] {
        assert_eq!(named.find(name).map(|v| v.shape.clone()), Some(shape), "{name}");
    }
}

fn reference(test: &str, file: &str) -> Option<Vec<u8>> {
    let root = [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared", "reference", file];
    let bytes = std::fs::read(root.iter().collect::<std::path::PathBuf>()).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED {test}: ../shared/reference/{file} is absent");
    }
    bytes
}

/// Features of the pictures called `names`, one by one.
fn features(named: &NamedTensors, names: &[&str], side: usize) -> Vec<Vec<f32>> {
    let device = Device::flex();
    let encoder = ImageEncoder::from_named(named, &device).unwrap();
    let embed = |name: &&str| {
        let pixels = formula::picture(name, side as u64);
        let value = |i: usize| {
            let (channel, place) = (i / (side * side), i % (side * side));
            let level = f64::from(pixels[place * 3 + channel]) / 255.0;
            ((level - PIXEL_MEAN[channel]) / PIXEL_STD[channel]) as f32
        };
        let planes: Vec<f32> = (0..3 * side * side).map(value).collect();
        let planes = Tensor::from_data(burn::tensor::TensorData::new(planes, [1, 3, side, side]), &device);
        values(encoder.forward(planes)).values
    };
    names.iter().map(embed).collect()
}

/// Both sides at unit length: cosine ≥ 0.99999, no component further off than 1e-4.
fn check(what: &str, got: &[f32], expected: &Value) {
    let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    let unit = |values: Vec<f64>| {
        let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
        values.into_iter().map(|v| v / norm).collect::<Vec<f64>>()
    };
    let (got, expected) = (unit(got.iter().map(|&v| f64::from(v)).collect()), unit(expected));
    let cosine: f64 = got.iter().zip(&expected).map(|(a, b)| a * b).sum();
    let difference = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    eprintln!("{what}: 1 - cosine {:.1e}, max difference {difference:.1e}", 1.0 - cosine);
    assert!(cosine >= 0.99999 && difference <= 1e-4, "{what}: cosine {cosine}, difference {difference}");
}

#[test]
fn small_clip_image_features_are_the_references() {
    let test = "small_clip_image_features_are_the_references";
    let (Some(archive), Some(json)) = (reference(test, "mini_clip.pt"), reference(test, "mini_clip.json")) else {
        return;
    };
    let json: Value = serde_json::from_slice(&json).unwrap();
    let named = NamedTensors::read(&archive).unwrap();
    let name = json["picture"]["name"].as_str().unwrap();
    check("small CLIP, picture, burn", &features(&named, &[name], 64)[0], &json["image_features"]);
}

#[test]
fn rn50_image_features_are_the_references() {
    let test = "rn50_image_features_are_the_references";
    let (Some(list), Some(json)) = (reference(test, "tensors.json"), reference(test, "clip_rn50.json")) else { return };
    let mut described: Vec<formula::Described> = serde_json::from_slice(&list).unwrap();
    described.retain(|tensor| tensor.name.starts_with("visual."));
    let json: Value = serde_json::from_slice(&json).unwrap();
    let pictures = json["pictures"].as_array().unwrap();
    let names: Vec<&str> = pictures.iter().map(|picture| picture["name"].as_str().unwrap()).collect();
    for (picture, got) in pictures.iter().zip(features(&formula::tensors(&described), &names, 224)) {
        check(picture["name"].as_str().unwrap(), &got, &picture["features"]);
    }
}
