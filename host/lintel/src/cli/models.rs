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

--detector-size sets how small a face the detector finds and how long it takes: half the width and height take a \
quarter of the time. Writes manifest.lintel, detector.onnx, encoder.onnx and table.lintel; a door takes all four or \
none.")]
pub struct ExportArgs {
    /// A folder that `lintel train` made
    #[arg(value_name = "TRAINED")]
    pub trained: PathBuf,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// The pack that the training used.
    #[command(flatten)]
    pub pack: PackArgs,
    /// Input size of the detector, px: multiples of 32, such as 320x320 or 640x480 [default: the pack's]
    #[arg(long, value_name = "WxH", value_parser = detector_size)]
    pub detector_size: Option<[u32; 2]>,
    /// Quantise the detector; the encoder stays the one of the training, which `lintel train --int8` quantises
    #[arg(long, requires = "calibration")]
    pub int8: bool,
    /// Photos like those of the camera, to calibrate the detector
    #[arg(long, value_name = "PHOTOS", requires = "int8")]
    pub calibration: Option<PathBuf>,
    /// Write a page about the quantised models: fidelity of each layer, time, size
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
    /// How much of the 8 bits weights use; the default is full if this processor cannot saturate, and exact otherwise
    #[arg(long, value_enum, default_value_t = WeightsArg::here())]
    pub weights: WeightsArg,
    /// Lowest cosine that each output may have with the original's, on pictures that are held out of the calibration.
    /// Layers stay in float until all outputs reach it; a model that misses it is not written
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
    /// From the smallest to the largest value: keeps rare values, such as those of faces in a detector's frames
    #[default]
    Minmax,
    /// All but the 0.001 % of values at each end
    Percentile,
    /// The range with the least mean squared error
    Mse,
    /// The range whose quantised distribution loses the least information (Kullback-Leibler divergence)
    Entropy,
}

/// How much of 8 bits weights use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WeightsArg {
    /// No two products overflow the 16-bit sums of processors without VNNI: every processor computes the same values
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
judge the result. An encoder needs the aligned faces of a folder that `lintel ingest` made; a detector needs photos. \
Each layer is also quantised alone, and a table shows what that costs. For a door, use `lintel train --int8` and \
`lintel export --int8`.

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

A pack is a detector, an image encoder and a text encoder. This program has the SHA-256 of each file of the known \
packs, and installs no other file. Packs are kept in the user's data folder ($XDG_DATA_HOME/lintel/packs). The makers \
of the full-size models limit what they may be used for: lintel shows the limits before the first use, and you accept \
them once.")]
pub struct PacksArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: PacksAction,
}

/// What can be done with packs.
#[derive(Debug, Clone, Subcommand)]
pub enum PacksAction {
    /// Show the known packs with their purpose, files, hashes, licences and limits
    List,
    /// Fetch a pack from where it is published; resumes after an interruption
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
    /// Install a pack from a folder, without a network: files are recognised by their hashes, whatever their names
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
    /// Make a pack with your own face encoder in ONNX; training fits the text encoder to its embeddings
    Compose {
        /// The face encoder: f32 [N, 3, S, S] or [N, S, S, 3] in, [N, D] out
        #[arg(long, value_name = "FILE.onnx")]
        encoder: PathBuf,
        /// Preprocessing that it expects: arcface, imagenet, vgg-face, unit, raw, or ORDER/MEAN/STD as in bgr/127.5/128
        #[arg(long, value_name = "WORDS")]
        preprocessing: Preprocessing,
        /// The pack's name
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The encoder's licence, an SPDX expression or a few words
        #[arg(long, value_name = "TEXT", default_value = "unknown: ask the encoder's source")]
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
