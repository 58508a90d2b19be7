//! Packs on disk: which are accepted and which are refused.

use std::fs;

use lintel_clip::text_encoder::random_tensors;
use lintel_clip::weights::{NamedTensor, Precision};
use tempfile::TempDir;

use super::*;

const ABOUT: &str = r#"
name = "own"
licence = "CC0-1.0"
detector = "d.onnx"
clip = "c.safetensors"
vocabulary = "v.txt"
[training]
epochs = 7
"#;

/// The tensors that decide a CLIP's sizes.
fn clip(visual_dim: usize) -> NamedTensors {
    let mut tensors = random_tensors(&TextConfig { vocabulary: 515, context: 77, width: 64, layers: 1, dim: 8 }, 1);
    let mut add = |name: String, shape: &[usize]| {
        tensors.insert(name, NamedTensor::new(shape.to_vec(), vec![0.5; shape.iter().product()]));
    };
    add("visual.conv3.weight".to_owned(), &[2, 1, 3, 3]);
    add("visual.attnpool.positional_embedding".to_owned(), &[5, 64]);
    add("visual.attnpool.c_proj.weight".to_owned(), &[visual_dim, 64]);
    for stage in 1..=4 {
        add(format!("visual.layer{stage}.0.conv1.weight"), &[1, 1, 1, 1]);
    }
    tensors
}

fn folder(about: &str, clip: &NamedTensors) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).expect("written");
    write(PACK_FILE, about.as_bytes());
    write("d.onnx", b"detector");
    write("c.safetensors", &clip.to_safetensors(Precision::F16).expect("a file"));
    write("v.txt", b"#version: 0.2\na b\n");
    folder
}

#[test]
fn an_own_pack_opens() {
    let folder = folder(ABOUT, &clip(8));
    let pack = Pack::open(Some(folder.path())).expect("a pack");
    assert_eq!(pack.standing, Standing::Unlisted);
    assert_eq!(pack.detector, b"detector");
    assert_eq!(pack.tokenizer.vocabulary(), 515);
    assert_eq!(pack.about.training, TrainingDefaults { epochs: Some(7), learning_rate: None });
}

#[test]
fn broken_packs_are_refused() {
    let check = |change: &dyn Fn(&Path), expected: &str| {
        let folder = folder(ABOUT, &clip(8));
        change(folder.path());
        let error = Pack::open(Some(folder.path())).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    let write = |name: &'static str, content: String| {
        move |folder: &Path| fs::write(folder.join(name), &content).expect("written")
    };
    check(&|folder| fs::remove_file(folder.join("d.onnx")).expect("removed"), "d.onnx: ");
    check(&|folder| fs::remove_file(folder.join(PACK_FILE)).expect("removed"), "pack.toml: ");
    check(&write(PACK_FILE, "name = 1".to_owned()), "pack.toml: ");
    check(&write(PACK_FILE, format!("{ABOUT}\nspeed = 1")), "unknown field `speed`");
    check(&write(PACK_FILE, ABOUT.replace("d.onnx", "../d.onnx")), "names the file \"../d.onnx\"");
    check(&write(PACK_FILE, ABOUT.replace("d.onnx", "")), "names the file \"\"");
    check(&write("c.safetensors", String::new()), "pack own: weights are not a valid safetensors file");
    check(&write("v.txt", "#\nno\n".to_owned()), "pack own: vocabulary is not");
    check(
        &write(PACK_FILE, ABOUT.replace("[training]", "mirror = true\nencoder = \"d.onnx\"\n[training]")),
        "mirror and multi_scale are for CLIP's",
    );
    check(
        &write(PACK_FILE, ABOUT.replace("[training]", "multi_scale = true\nencoder = \"d.onnx\"\n[training]")),
        "mirror and multi_scale are for CLIP's",
    );
    let other = clip(9).to_safetensors(Precision::F32).expect("a file");
    check(
        &|folder| fs::write(folder.join("c.safetensors"), &other).expect("written"),
        "pack own: image embeddings have 9 components, text embeddings 8",
    );
}

#[cfg(feature = "mini")]
#[test]
fn the_embedded_pack_is_the_listed_one() {
    let pack = Pack::open(None).expect("a pack");
    assert_eq!((pack.about.name.as_str(), pack.standing), ("mini", Standing::Embedded));
    assert_eq!(Files::embedded().expect("files").standing().expect("the listed hashes"), Standing::Listed);
}

#[cfg(not(feature = "mini"))]
#[test]
fn without_the_mini_pack_one_must_be_given() {
    assert!(matches!(Pack::open(None), Err(PackError::NoneEmbedded)));
}
