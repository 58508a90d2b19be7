//! What is chosen about models: packs, export, integers.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lintel_onnx::Preprocessing;
use lintel_packs::Naming;
use lintel_quantize::{MIN_COSINE, Method, Precision, Settings, Target};

use crate::use_cases::{export, packs, quantize};

use super::values::{detector_size, rate};
use super::{Output, PackArgs};

/// Settings of `lintel export`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel export trained --out bundle
  lintel export trained --out bundle --pack rn50 --detector-size 640x480
  lintel export trained --out bundle --int8 --calibration photos --report export.html
  lintel-edge check --bundle bundle

The detector's size decides how small a face it still finds and what a frame costs: half the sides take a quarter \
of the time. Writes manifest.lintel, detector.onnx, encoder.onnx and table.lintel. A door takes all four or none.")]
pub struct ExportArgs {
    /// A folder that `lintel train` made
    #[arg(value_name = "TRAINED")]
    pub trained: PathBuf,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// With what; the pack that the training used.
    #[command(flatten)]
    pub pack: PackArgs,
    /// What the detector looks at, px: multiples of 32, e.g. 320x320, 640x480 [default: the pack's]
    #[arg(long, value_name = "WxH", value_parser = detector_size)]
    pub detector_size: Option<[u32; 2]>,
    /// Quantise the detector too; the encoder is the one that was trained with, which `lintel train --int8` quantises
    #[arg(long, requires = "calibration")]
    pub int8: bool,
    /// Photos like those that the camera takes, to calibrate the detector with
    #[arg(long, value_name = "PHOTOS", requires = "int8")]
    pub calibration: Option<PathBuf>,
    /// Write a page that shows why to trust the integers: fidelity by layer, time, size
    #[arg(long, value_name = "FILE", requires = "int8")]
    pub report: Option<PathBuf>,
    /// Settings of the quantiser.
    #[command(flatten)]
    pub integers: Int8Args,
}

/// How models become integers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Integers")]
pub struct Int8Args {
    /// Engine that will run the integers
    #[arg(long, value_enum, default_value_t)]
    pub target: TargetArg,
    /// How the scales of activations are found
    #[arg(long, value_enum, default_value_t)]
    pub method: MethodArg,
    /// How much of 8 bits weights use: full, where this processor can't saturate, or else exact
    #[arg(long, value_enum, default_value_t = WeightsArg::here())]
    pub weights: WeightsArg,
    /// The least cosine of every output with the original's, on pictures held out of the calibration: layers stay in
    /// float until it is met, and a model that misses it is not written
    #[arg(long, value_name = "X", default_value_t = MIN_COSINE, value_parser = rate)]
    pub min_cosine: f64,
}

/// Engine that will run the integers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TargetArg {
    /// ONNX Runtime on a processor: activations u8 around any zero point, biases in integers, bytes fed as they are
    #[default]
    Cpu,
    /// TensorRT's explicit quantisation: activations i8 around 0, biases in float
    #[value(name = "tensorrt")]
    TensorRt,
}

/// How the scales of activations are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MethodArg {
    /// From the least to the greatest value seen: keeps what is rare, as faces are in a detector's frames
    #[default]
    Minmax,
    /// All but the 0.001 % of values at each end
    Percentile,
    /// The range with the least mean squared error: what is cut off against the width of a step
    Mse,
    /// The range whose quantised distribution loses the least information (Kullback-Leibler divergence)
    Entropy,
}

/// How much of 8 bits weights use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WeightsArg {
    /// No two products overflow the 16-bit sums of processors without VNNI: every processor computes the same
    Exact,
    /// All 8 bits, for processors with VNNI and for Arm; a door on another x86 refuses the model
    Full,
}

impl WeightsArg {
    /// What suits this processor.
    fn here() -> Self {
        match Precision::here() {
            Precision::Exact => Self::Exact,
            Precision::Full => Self::Full,
        }
    }
}

impl Int8Args {
    /// As the quantiser takes them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            target: match self.target {
                TargetArg::Cpu => Target::Cpu,
                TargetArg::TensorRt => Target::TensorRt,
            },
            method: match self.method {
                MethodArg::Minmax => Method::Minmax,
                MethodArg::Percentile => Method::Percentile,
                MethodArg::Mse => Method::Mse,
                MethodArg::Entropy => Method::Entropy,
            },
            precision: match self.weights {
                WeightsArg::Exact => Precision::Exact,
                WeightsArg::Full => Precision::Full,
            },
            min_cosine: self.min_cosine,
        }
    }
}

impl ExportArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> export::Request {
        let int8 = self.calibration.clone().map(|calibration| export::DetectorInt8 {
            calibration,
            settings: self.integers.settings(),
            report: self.report.clone(),
        });
        export::Request {
            trained: self.trained.clone(),
            output: self.output.output(),
            pack: self.pack.choice(),
            detector_size: self.detector_size,
            int8,
        }
    }
}

/// What to quantise.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel quantize encoder.onnx --calibration faces --out encoder.int8.onnx
  lintel quantize detector.onnx --calibration photos --out detector.int8.onnx --min-cosine 0.995

The model takes u8 [N, H, W, 3] pictures. Up to 64 pictures of the folder calibrate it; one in four is held out to \
judge the result. An encoder needs the aligned faces of a folder that `lintel ingest` made, a detector needs photos. \
Every layer is tried alone; the table says what each costs. For a door, `lintel train --int8` and `lintel export \
--int8` do this in place.

Exit code 1: the model misses --min-cosine, and nothing was written.")]
pub struct QuantizeArgs {
    /// The model in float
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// A folder that `lintel ingest` made, or a folder of photos
    #[arg(long, value_name = "DIR")]
    pub calibration: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Settings of the quantiser.
    #[command(flatten)]
    pub int8: Int8Args,
}

impl QuantizeArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> quantize::Request {
        quantize::Request {
            model: self.model.clone(),
            calibration: self.calibration.clone(),
            out: self.out.clone(),
            settings: self.int8.settings(),
        }
    }
}

/// What to do with packs.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel packs list
  lintel packs fetch rn50
  lintel packs add rn50 --from /media/stick
  lintel packs compose --encoder arcface.onnx --preprocessing arcface --name mine --out packs/mine
  lintel train faces --out trained --pack rn50

A pack is a detector, an image encoder and a text encoder. Files are known by their SHA-256, which this program \
carries; a file that has another one never gets its name. Packs are kept in the user's data folder \
($XDG_DATA_HOME/lintel/packs). The full-size models come with limits that are their makers': they are shown before the \
first use, and accepted once.")]
pub struct PacksArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: PacksAction,
}

/// What can be done with packs.
#[derive(Debug, Clone, Subcommand)]
pub enum PacksAction {
    /// Show the packs that are known, what they are for, their files, hashes, licences and limits
    List,
    /// Bring a pack from where it is published; goes on where it was interrupted
    Fetch {
        /// The pack's name
        #[arg(value_name = "NAME")]
        name: String,
        /// Fetch from this address instead: URL/RN50.pt and so on, in http or https
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
        /// Accept the limits that the pack's licences set, without being asked
        #[arg(long)]
        accept_licence: bool,
    },
    /// Bring a pack from a folder, with no network: files are known by their hashes, whatever they are called
    Add {
        /// The pack's name
        #[arg(value_name = "NAME", default_value = "rn50")]
        name: String,
        /// The folder to look in, and in the folders in it
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Accept the limits that the pack's licences set, without being asked
        #[arg(long)]
        accept_licence: bool,
    },
    /// Make a pack in which a face encoder of your own looks, in ONNX; the text encoder is trained to its space
    Compose {
        /// The face encoder: f32 [N, 3, S, S] or [N, S, S, 3] in, [N, D] out
        #[arg(long, value_name = "FILE.onnx")]
        encoder: PathBuf,
        /// What it wants of pixels: arcface, imagenet, vgg-face, unit, raw, or ORDER/MEAN/STD as in bgr/127.5/128
        #[arg(long, value_name = "WORDS")]
        preprocessing: Preprocessing,
        /// The pack's name
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The encoder's licence, an SPDX expression or a few words
        #[arg(long, value_name = "TEXT", default_value = "unknown: ask whoever gave you the encoder")]
        licence: String,
        /// The output folder.
        #[command(flatten)]
        output: Output,
        /// Whose detector and text encoder it gets.
        #[command(flatten)]
        pack: PackArgs,
    },
    /// Hash the files of installed packs again
    Verify {
        /// The packs [default: all that are installed]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

impl PacksArgs {
    /// As the use case takes it; `offline` forbids the network.
    #[must_use]
    pub fn request(&self, offline: bool) -> packs::Request {
        match self.action.clone() {
            PacksAction::List => packs::Request::List,
            PacksAction::Fetch { name, mirror, accept_licence } => {
                packs::Request::Fetch { name, mirror, accept_licence, offline }
            }
            PacksAction::Add { name, from, accept_licence } => packs::Request::Add { name, from, accept_licence },
            PacksAction::Verify { names } => packs::Request::Verify { names },
            PacksAction::Compose { encoder, preprocessing, name, licence, output, pack } => packs::Request::Compose {
                encoder,
                preprocessing,
                naming: Naming { name, licence },
                output: output.output(),
                pack: pack.choice(),
            },
        }
    }
}
