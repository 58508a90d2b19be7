//! The full-size path once, with weights by formula: an archive of CLIP RN50's shape → weights → ONNX → features,
//! compared with what the reference implementation makes of the same weights → the image encoder in 8-bit integers.
//!
//! `cargo build --release --workspace && target/release/full_size_export`
#![allow(clippy::print_stdout, reason = "it is a report")]

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use lintel_clip::text_encoder::TextConfig;
use lintel_clip::tokenizer::Tokenizer;
use lintel_clip::visual::VisualConfig;
use lintel_clip::weights::NamedTensors;
use lintel_export::{Views, encoder_onnx, text_encoder_onnx};
use lintel_inference::{Array, Encoder, Values};
use lintel_quantize::fidelity::worst;
use lintel_quantize::{Settings, quantize};
use lintel_tests::fixtures::clip_shapes::{RN50_TEXT, RN50_VISUAL, clip};
use lintel_tests::fixtures::formula;
use lintel_tests::fixtures::onnx_runtime::embed_tokens;
use lintel_tests::fixtures::torch_archive::{Form, Writer};
use serde::Deserialize;

/// Both sides at unit length: the least cosine and the greatest difference of a component.
const MIN_COSINE: f64 = 0.99999;
const MAX_DIFFERENCE: f64 = 1e-4;
/// Pictures for the quantiser; a quarter of them is held out to judge fidelity.
const CALIBRATION: usize = 16;

/// The full-size path once, with weights by formula.
#[derive(Parser)]
struct Args {
    /// Folder for the archive and the models; files that exist are used again [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Fail if this process uses more memory at its peak, MB
    #[arg(long, value_name = "MB", default_value_t = 2000)]
    max_memory: u64,
}

#[derive(Deserialize)]
struct Reference {
    pictures: Vec<Picture>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Picture {
    name: String,
    features: Vec<f64>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    features: Vec<f64>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("full_size_export: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let work = args.work.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(work)?;
    let mut clock = Clock::start();

    let archive = work.join("RN50.pt");
    if !archive.exists() {
        write_archive(&archive)?;
    }
    clock.lap(&format!("archive of {:.0} MB written", megabytes(&archive)?));

    let tensors = NamedTensors::read(&fs::read(&archive)?)?;
    ensure!(VisualConfig::from_tensors(&tensors)? == RN50_VISUAL, "the image encoder's sizes are not RN50's");
    ensure!(TextConfig::from_tensors(&tensors)? == RN50_TEXT, "the text encoder's sizes are not RN50's");
    clock.lap(&format!("{} tensors loaded", tensors.len()));

    let (visual, text) = (work.join("visual.onnx"), work.join("text.onnx"));
    fs::write(&visual, encoder_onnx(&tensors, RN50_VISUAL.resolution, Views::default())?)?;
    fs::write(&text, text_encoder_onnx(&tensors)?)?;
    drop(tensors);
    clock.lap(&format!("exported: visual {:.0} MB, text {:.0} MB", megabytes(&visual)?, megabytes(&text)?));

    let reference = [env!("CARGO_MANIFEST_DIR"), "..", "..", "shared", "reference", "clip_rn50.json"];
    match fs::read(reference.iter().collect::<PathBuf>()) {
        Err(_) => println!("SKIPPED parity: ../shared/reference/clip_rn50.json is absent"),
        Ok(json) => {
            let reference: Reference = serde_json::from_slice(&json)?;
            check_pictures(&visual, &reference.pictures)?;
            clock.lap(&format!("{} pictures are the reference's", reference.pictures.len()));
            check_texts(&text, &reference.texts)?;
            clock.lap(&format!("{} texts are the reference's", reference.texts.len()));
        }
    }

    println!("peak memory until here {} MB", peak_memory_mb()?);
    integers(&visual, &work.join("visual.int8.onnx"), &mut clock)?;

    let peak = peak_memory_mb()?;
    println!("peak memory {peak} MB");
    ensure!(peak <= args.max_memory, "peak memory is {peak} MB, at most {} are allowed", args.max_memory);
    Ok(())
}

/// OpenAI's form, all of it in single precision so that it holds exactly what the reference was made with: 408 MB where
/// the published file has 256.
fn write_archive(path: &Path) -> Result<()> {
    let mut writer = Writer::new(BufWriter::new(File::create(path)?), Form::TorchScript);
    for described in clip(&RN50_VISUAL, &RN50_TEXT) {
        let tensor = formula::tensor(&described.name, &described.shape);
        writer.add(&described.name, &tensor.shape, &tensor.values, false)?;
    }
    writer.finish()?.into_inner()?.sync_all()?;
    Ok(())
}

/// The quantiser returns an error if the integers are not faithful.
fn integers(visual: &Path, out: &Path, clock: &mut Clock) -> Result<()> {
    let side = RN50_VISUAL.resolution;
    let picture = |i: usize| Array {
        shape: vec![1, side, side, 3],
        values: Values::U8(formula::picture(&format!("calibration {i}"), side as u64)),
    };
    let pictures: Vec<Array> = (0..CALIBRATION).map(picture).collect();
    let settings = Settings::default();
    let quantized =
        quantize(&fs::read(visual)?, &pictures, &settings, &lintel_work::places::runtime(), &mut |_| Ok(()))?;
    fs::write(out, &quantized.onnx)?;
    let report = quantized.report;
    let kept = report.layers.iter().filter(|layer| !layer.quantized).count();
    println!(
        "    {:?} weights, worst cosine {:.5}; {} of {} layers in float; {:.0} MB; kernels: {} integer, {} float",
        settings.precision,
        worst(&report.outputs),
        kept,
        report.layers.len(),
        megabytes(out)?,
        report.kernels.integer,
        report.kernels.float
    );
    clock.lap("quantised");
    Ok(())
}

fn check_pictures(visual: &Path, pictures: &[Picture]) -> Result<()> {
    let mut encoder = Encoder::open(&fs::read(visual)?, &lintel_work::places::runtime())?;
    for picture in pictures {
        let embedding = encoder.embed(&formula::picture(&picture.name, RN50_VISUAL.resolution as u64))?;
        check(&picture.name, embedding.vector(), &picture.features)?;
    }
    Ok(())
}

fn check_texts(text: &Path, texts: &[Text]) -> Result<()> {
    let tokenizer = Tokenizer::openai();
    let rows = texts.iter().map(|text| tokenizer.encode(&text.text)).collect::<Result<Vec<_>, _>>()?;
    for (text, got) in texts.iter().zip(embed_tokens(&fs::read(text)?, &rows)?) {
        check(&text.text, &got, &text.features)?;
    }
    Ok(())
}

fn check(what: &str, got: &[f32], expected: &[f64]) -> Result<()> {
    let unit = |values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f64> = values.collect();
        let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
        values.into_iter().map(|v| v / norm).collect::<Vec<f64>>()
    };
    let got = unit(&mut got.iter().map(|&v| f64::from(v)));
    let expected = unit(&mut expected.iter().copied());
    ensure!(got.len() == expected.len(), "{what}: {} components, wanted {}", got.len(), expected.len());
    let cosine: f64 = got.iter().zip(&expected).map(|(a, b)| a * b).sum();
    let difference = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("    {what}: 1 - cosine {:.1e}, greatest difference {difference:.1e}", 1.0 - cosine);
    ensure!(cosine >= MIN_COSINE && difference <= MAX_DIFFERENCE, "{what} is not the reference's");
    Ok(())
}

fn megabytes(path: &Path) -> Result<f64> {
    Ok(fs::metadata(path)?.len() as f64 / 1e6)
}

/// Peak memory of this process, as Linux counts it.
fn peak_memory_mb() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024 / 1_000_000)
}

/// Prints how long each step took.
struct Clock(std::time::Instant);

impl Clock {
    #[allow(clippy::disallowed_methods, reason = "a measurement")]
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn lap(&mut self, what: &str) {
        println!("{:>6.1} s  {what}", self.0.elapsed().as_secs_f64());
        *self = Self::start();
    }
}
