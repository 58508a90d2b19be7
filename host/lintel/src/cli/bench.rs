//! Settings of `lintel bench`: which comparison, on which faces, with which encoders.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lintel_onnx::Preprocessing;
use lintel_training::calibration::TARGET_FPIR;

use crate::use_cases::bench::{Subjects, baselines, table1};
use crate::use_cases::thresholds::Thresholds;

use super::values::rate;
use super::{Output, PackArgs};

/// What to compare.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel bench baselines trained faces --out baselines
  lintel bench table1 trained faces --encoder arcface=arcface.onnx --out table1

Every method learns from the photos that the table was trained on, and is measured on held-out photos and on \
strangers. Writes bench.json and bench.html.")]
pub struct BenchArgs {
    /// The comparison to run.
    #[command(subcommand)]
    pub action: BenchAction,
}

/// The comparisons.
#[derive(Debug, Clone, Subcommand)]
pub enum BenchAction {
    /// Compare the fine-tuned table with simpler classifiers on the same features
    Baselines(BenchBaselinesArgs),
    /// Measure the paper's Table I on your people, and find the encoder that would serve your door best
    Table1(BenchTable1Args),
}

/// The data that both comparisons use.
#[derive(Debug, Clone, Args)]
pub struct BenchData {
    /// A folder that `lintel train` made
    #[arg(value_name = "TRAINED")]
    pub trained: PathBuf,
    /// The folder of `lintel ingest` that it was trained on
    #[arg(value_name = "FACES")]
    pub faces: PathBuf,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// The model pack to use.
    #[command(flatten)]
    pub pack: PackArgs,
    /// Ingested faces of people who are not enrolled [default: rendered people]
    #[arg(long, value_name = "DIR")]
    pub strangers: Option<PathBuf>,
    /// The FPIR (share of strangers who are named) at which errors are compared
    #[arg(long, value_name = "RATE", default_value_t = TARGET_FPIR, value_parser = rate)]
    pub target_fpir: f64,
}

/// Settings of `lintel bench baselines`, which runs every baseline.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel bench baselines trained faces --out baselines

Compares the fine-tuned table with nearest class mean, linear probe (logistic regression), Tip-Adapter-F, and \
zero-shot text (the prompts before fine-tuning). Each baseline chooses its settings on a quarter of the training \
photos.")]
pub struct BenchBaselinesArgs {
    /// Training data, strangers and target that both comparisons share.
    #[command(flatten)]
    pub data: BenchData,
}

/// Settings of `lintel bench table1`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel bench table1 trained faces --encoder arcface=arcface.onnx --encoder vgg-face=vgg.onnx --out table1
  lintel bench table1 trained faces --encoder arcface=net.onnx --preprocessing arcface=imagenet --out table1

Rows \"o\" match a face to references of the enrolled people, rows \"c\" put a softmax classifier on the frozen \
encoder; CLIP is the fine-tuned table. An encoder that is not given has no figures. If another encoder serves better, \
`lintel packs compose` makes a pack of it.")]
pub struct BenchTable1Args {
    /// Training data, strangers and target that both comparisons share.
    #[command(flatten)]
    pub data: BenchData,
    /// A face encoder in ONNX: f32 [N, 3, S, S] or [N, S, S, 3] in, [N, D] out; NAME is arcface, vgg-face, or a name of
    /// your own
    #[arg(long = "encoder", value_name = "NAME=FILE", value_parser = named_file)]
    pub encoders: Vec<(String, PathBuf)>,
    /// How an encoder takes pixels: arcface, imagenet, vgg-face, unit, raw, or ORDER/MEAN/STD as in bgr/127.5/128
    /// [default: as the encoder of that name was published]
    #[arg(long = "preprocessing", value_name = "NAME=WORDS", value_parser = named_preprocessing)]
    pub preprocessing: Vec<(String, Preprocessing)>,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = named(text, "arcface=FILE")?;
    Ok((name, PathBuf::from(file)))
}

fn named_preprocessing(text: &str) -> Result<(String, Preprocessing), String> {
    let (name, words) = named(text, "arcface=imagenet")?;
    Ok((name, words.parse()?))
}

fn named<'a>(text: &'a str, example: &str) -> Result<(String, &'a str), String> {
    let halves = text.split_once('=').filter(|(name, rest)| !name.trim().is_empty() && !rest.is_empty());
    halves
        .map(|(name, rest)| (name.trim().to_lowercase(), rest))
        .ok_or_else(|| format!("wanted NAME=…, as in {example}"))
}

impl BenchData {
    /// As the use cases take it.
    #[must_use]
    pub fn subjects(&self) -> Subjects {
        Subjects {
            trained: self.trained.clone(),
            faces: self.faces.clone(),
            output: self.output.output(),
            pack: self.pack.choice(),
            thresholds: Thresholds { strangers: self.strangers.clone(), target_fpir: self.target_fpir },
        }
    }
}

impl BenchBaselinesArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> baselines::Request {
        baselines::Request { subjects: self.data.subjects() }
    }
}

impl BenchTable1Args {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> table1::Request {
        table1::Request {
            subjects: self.data.subjects(),
            encoders: self.encoders.clone(),
            preprocessing: self.preprocessing.clone(),
        }
    }
}
