//! Embeddings of open_clip for CLIP with weights by formula (`../shared/reference`) = Lintel's embeddings.
#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    reason = "tests"
)]

mod detectors;
mod export;
#[path = "../../../../tests/src/fixtures/formula.rs"]
mod formula;
mod shapes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Device;
use half::f16;
use lintel_clip::text_encoder::{Prompts, TextConfig, TextEncoder};
use lintel_clip::tokenizer::Tokenizer;
use lintel_clip::visual::VisualConfig;
use lintel_clip::weights::NamedTensors;
use lintel_export::{Views, encoder_onnx, text_encoder_onnx};
use lintel_inference::{Encoder, session};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

/// Both sides at unit length: the least cosine and the greatest difference of a component.
const MIN_COSINE: f64 = 0.99999;
const MAX_DIFFERENCE: f64 = 1e-4;

fn reference_path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared", "reference", file].iter().collect()
}

/// A file of `../shared/reference`, or `None` and a line that says so.
fn reference<T: DeserializeOwned>(test: &str, file: &str) -> Option<T> {
    match std::fs::read(reference_path(file)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            eprintln!("SKIPPED {test}: ../shared/reference/{file} is absent");
            None
        }
    }
}

#[derive(Deserialize)]
struct Reference {
    pictures: Vec<Picture>,
    texts: Vec<Text>,
    spot_values: Vec<Spot>,
}

#[derive(Deserialize)]
struct Picture {
    name: String,
    sha256_u8: String,
    #[serde(default)]
    features: Vec<f32>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
    features: Vec<f32>,
}

#[derive(Deserialize)]
struct Spot {
    name: String,
    index: usize,
    value: f32,
}

fn unit(features: &[f32]) -> Vec<f64> {
    let norm = features.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    features.iter().map(|&v| f64::from(v) / norm).collect()
}

/// Compares two directions to the fidelity that is asked for.
fn check_same(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let (got, expected) = (unit(got), unit(expected));
    let cosine: f64 = got.iter().zip(&expected).map(|(a, b)| a * b).sum();
    let difference = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    eprintln!("{what}: 1 - cosine {:.1e}, max difference {difference:.1e}", 1.0 - cosine);
    assert!(cosine >= MIN_COSINE && difference <= MAX_DIFFERENCE, "{what}: cosine {cosine}, difference {difference}");
}

fn picture(described: &Picture, side: u64) -> Vec<u8> {
    let pixels = formula::picture(&described.name, side);
    let hash: String = Sha256::digest(&pixels).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hash, described.sha256_u8, "{}", described.name);
    pixels
}

fn rn50(test: &str, keep: impl Fn(&str) -> bool) -> Option<(NamedTensors, Reference)> {
    let described: Vec<formula::Described> = reference(test, "tensors.json")?;
    let described: Vec<_> = described.into_iter().filter(|d| keep(&d.name)).collect();
    let reference: Reference = reference(test, "clip_rn50.json")?;
    let tensors = formula::tensors(&described);
    for spot in reference.spot_values.iter().filter(|spot| keep(&spot.name)) {
        assert_eq!(tensors.get(&spot.name).unwrap().values[spot.index], spot.value, "{}", spot.name);
    }
    Some((tensors, reference))
}

#[test]
fn rn50_image_embeddings_are_the_references() {
    let test = "rn50_image_embeddings_are_the_references";
    let Some((tensors, reference)) = rn50(test, |name| name.starts_with("visual.")) else { return };
    let onnx = encoder_onnx(&tensors, 224, Views::default()).unwrap();
    drop(tensors);
    let mut encoder = Encoder::open(&onnx, &lintel_work::places::runtime()).unwrap();
    for described in &reference.pictures {
        let embedding = encoder.embed(&picture(described, 224)).unwrap();
        check_same(&described.name, embedding.vector(), &described.features);
    }
}

#[test]
fn rn50_text_embeddings_are_the_references() {
    let test = "rn50_text_embeddings_are_the_references";
    let Some((tensors, reference)) = rn50(test, |name| !name.starts_with("visual.")) else { return };
    let encoder = TextEncoder::from_tensors(&tensors, &Device::flex()).unwrap();
    let tokenizer = Tokenizer::openai();
    let rows: Vec<Vec<u32>> = reference.texts.iter().map(|t| tokenizer.encode(&t.text).unwrap()).collect();
    let prompts = Prompts::new(&rows, &encoder.config()).unwrap();
    let features = encoder.features(&prompts).into_data().try_to_vec::<f32>().unwrap();
    for (text, got) in reference.texts.iter().zip(features.chunks_exact(encoder.config().dim)) {
        check_same(&text.text, got, &text.features);
    }
    // The same rows padded to the whole context give the same prompts.
    let padded: Vec<Vec<u32>> = reference.texts.iter().map(|t| t.tokens.clone()).collect();
    assert_eq!(Prompts::new(&padded, &encoder.config()).unwrap(), prompts);
}

/// Token rows through the exported text encoder: `[N, D]` unit embeddings.
fn embed_texts(onnx: &[u8], rows: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let mut session = session::open("open the text encoder", onnx, &lintel_work::places::runtime()).unwrap().session;
    let length = rows[0].len();
    let ids: Vec<i64> = rows.iter().flatten().map(|&id| i64::from(id)).collect();
    let tokens = ort::value::Tensor::from_array(([rows.len(), length], ids)).unwrap();
    let outputs = session.run(ort::inputs![tokens]).unwrap();
    let (shape, values) = outputs[0].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape[0], rows.len() as i64);
    values.chunks_exact(shape[1] as usize).map(<[f32]>::to_vec).collect()
}

#[test]
fn rn50_text_embeddings_are_the_references_in_onnx_runtime() {
    let test = "rn50_text_embeddings_are_the_references_in_onnx_runtime";
    let Some((tensors, reference)) = rn50(test, |name| !name.starts_with("visual.")) else { return };
    let onnx = text_encoder_onnx(&tensors).unwrap();
    drop(tensors);
    let padded: Vec<Vec<u32>> = reference.texts.iter().map(|t| t.tokens.clone()).collect();
    // As the reference was made, with all 77 tokens, and cut after the longest text.
    let longest = padded.iter().map(|row| row.iter().rposition(|&id| id != 0).unwrap() + 1).max().unwrap();
    let cut: Vec<Vec<u32>> = padded.iter().map(|row| row[..longest].to_vec()).collect();
    assert!(longest < 77);
    for rows in [padded, cut] {
        for (text, got) in reference.texts.iter().zip(embed_texts(&onnx, &rows)) {
            check_same(&text.text, &got, &text.features);
            assert!((got.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn small_clip_text_embeddings_are_the_references_in_onnx_runtime() {
    let test = "small_clip_text_embeddings_are_the_references_in_onnx_runtime";
    let Some((tensors, reference)) = mini_clip(test) else { return };
    let onnx = text_encoder_onnx(&tensors).unwrap();
    assert_eq!(onnx, text_encoder_onnx(&tensors).unwrap());
    for (got, expected) in embed_texts(&onnx, &reference.tokens).iter().zip(&reference.text_features) {
        check_same("small CLIP, text", got, expected);
    }
}

#[derive(Deserialize)]
struct MiniReference {
    picture: Picture,
    tokens: Vec<Vec<u32>>,
    image_features: Vec<f32>,
    text_features: Vec<Vec<f32>>,
    tensors: BTreeMap<String, MiniTensor>,
}

#[derive(Deserialize)]
struct MiniTensor {
    shape: Vec<usize>,
    dtype: String,
}

fn mini_clip(test: &str) -> Option<(NamedTensors, MiniReference)> {
    let reference: MiniReference = reference(test, "mini_clip.json")?;
    let archive = std::fs::read(reference_path("mini_clip.pt")).unwrap();
    Some((NamedTensors::read(&archive).unwrap(), reference))
}

#[test]
fn an_archive_of_openais_form_holds_what_was_put_in() {
    let Some((tensors, reference)) = mini_clip("an_archive_of_openais_form_holds_what_was_put_in") else { return };
    let mut expected = NamedTensors::new();
    for (name, described) in &reference.tensors {
        // The mask follows from the context's length; the integers are counters.
        if described.dtype == "int64" || name == "attn_mask" {
            continue;
        }
        let mut tensor = formula::tensor(name, &described.shape);
        if described.dtype == "float16" {
            tensor.values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32());
        }
        expected.insert(name, tensor);
    }
    assert_eq!(tensors, expected);
    let visual = VisualConfig { width: 8, layers: [1; 4], resolution: 64, dim: 64 };
    assert_eq!(VisualConfig::from_tensors(&tensors).unwrap(), visual);
    let text = TextConfig { vocabulary: 512, context: 77, width: 64, layers: 2, dim: 64 };
    assert_eq!(TextConfig::from_tensors(&tensors).unwrap(), text);
}

#[test]
fn small_clip_image_embedding_is_the_references() {
    let Some((tensors, reference)) = mini_clip("small_clip_image_embedding_is_the_references") else { return };
    let onnx = encoder_onnx(&tensors, 64, Views::default()).unwrap();
    let mut session = session::open("open the encoder", &onnx, &lintel_work::places::runtime()).unwrap().session;
    let pixels = picture(&reference.picture, 64);
    // Twice, so that the free batch dimension is used.
    let crops = ort::value::Tensor::from_array(([2_usize, 64, 64, 3], [pixels.clone(), pixels].concat())).unwrap();
    let outputs = session.run(ort::inputs![crops]).unwrap();
    let (shape, values) = outputs[0].try_extract_tensor::<f32>().unwrap();
    assert_eq!(&shape[..], &[2, 64]);
    for row in values.chunks_exact(64) {
        check_same("small CLIP, picture", row, &reference.image_features);
        assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn small_clip_text_embeddings_are_the_references() {
    let Some((tensors, reference)) = mini_clip("small_clip_text_embeddings_are_the_references") else { return };
    let encoder = TextEncoder::from_tensors(&tensors, &Device::flex()).unwrap();
    let prompts = Prompts::new(&reference.tokens, &encoder.config()).unwrap();
    let features = encoder.features(&prompts).into_data().try_to_vec::<f32>().unwrap();
    for (got, expected) in features.chunks_exact(encoder.config().dim).zip(&reference.text_features) {
        check_same("small CLIP, text", got, expected);
    }
}

#[derive(Deserialize)]
struct Tokens {
    text: String,
    tokens: Vec<u32>,
}

#[test]
fn tokens_are_the_references() {
    let Some(cases) = reference::<Vec<Tokens>>("tokens_are_the_references", "tokens.json") else { return };
    let tokenizer = Tokenizer::openai();
    for Tokens { text, tokens } in cases {
        let mut got = tokenizer.encode(&text).unwrap();
        got.resize(tokens.len(), 0);
        assert_eq!(got, tokens, "{text:?}");
    }
}
