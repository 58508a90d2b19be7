//! Rendered people → the mini pack: a detector, a small CLIP and its vocabulary, trained from seeds alone.
//!
//! Every step keeps its state in the working folder and continues where it stopped. Seeds of people: 700 000.. set the
//! check's threshold, 800 000.. are its enrolled people and strangers, 900 000.. are held out from the encoder, 1 000
//! 000.. and 1 100 000.. train it. Seeds of crowds: 1 000 000.. train the detector, 2 000 000.. test it, 3 000 000..
//! are searched for false faces, 4 000 000.. set its operating point.

mod assign;
mod augment;
mod beside;
mod check;
mod conv;
mod crops;
mod detector;
mod detector_loss;
mod detector_onnx;
mod encoder;
mod frames;
mod layers;
mod log;
mod margin;
mod names;
mod norm;
mod pack;
mod resnet;
mod rng;
mod rooms;
mod schedule;
mod scrfd;
mod text;
mod verification;
mod vocabulary;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use burn::prelude::Device;
use clap::{Parser, Subcommand, ValueEnum};
use lintel_clip::text_encoder::MatmulPrecision;
use lintel_training::Compute;

use crate::beside::Beside;
use crate::log::Log;

#[derive(Parser)]
#[command(about = "Trains the mini pack on rendered people")]
struct Cli {
    /// Folder of crops, frames and checkpoints: some 9 GB; `all` holds less than 13 GB in memory at once.
    #[arg(long, global = true, default_value = "work/recipe")]
    work: PathBuf,
    /// The pack's folder.
    #[arg(long, global = true, default_value = "models/mini")]
    out: PathBuf,
    /// Where networks are trained: minutes on a GPU, hours on the processor
    #[arg(long, global = true, value_enum, default_value_t = Processor::Cpu)]
    device: Processor,
    #[command(subcommand)]
    step: Step,
}

/// Where networks are trained.
#[derive(Clone, Copy, ValueEnum)]
enum Processor {
    /// The processor.
    Cpu,
    /// A GPU with a Vulkan driver, for programs built with `--features lintel-training/vulkan`.
    Vulkan,
    /// A GPU of NVIDIA, for programs built with `--features lintel-training/cuda`.
    Cuda,
}

impl Processor {
    fn compute(self) -> Compute {
        match self {
            Self::Cpu => Compute::Cpu,
            Self::Vulkan => Compute::Vulkan,
            Self::Cuda => Compute::Cuda,
        }
    }
}

#[derive(Subcommand)]
enum Step {
    /// Everything: the detector beside the encoders, because one network alone cannot keep two cores busy
    All(Settings),
    /// Renders the crops that train the encoder.
    Crops(encoder::EncoderArgs),
    /// Trains the image encoder.
    Encoder(encoder::EncoderArgs),
    /// Continues its training with more people.
    More {
        /// Starts from this pack's weights, not from the result of the step before.
        #[arg(long)]
        from: Option<PathBuf>,
        /// People held out.
        #[arg(long, default_value_t = 200)]
        held_out: usize,
        #[command(flatten)]
        args: encoder::MoreArgs,
    },
    /// Makes the vocabulary and trains the text encoder.
    Text(Settings),
    /// Trains the detector.
    Detector(detector::DetectorArgs),
    /// Writes the trained weights as a pack.
    Pack {
        /// The detector alone; the pack's other files do not change.
        #[arg(long)]
        detector_only: bool,
        /// The image and the text encoder alone
        #[arg(long, conflicts_with = "detector_only")]
        encoders_only: bool,
    },
    /// Measures the pack.
    Check(check::CheckArgs),
}

/// The settings of all steps.
#[derive(Clone, Debug, clap::Args)]
struct Settings {
    #[command(flatten)]
    encoder: encoder::EncoderArgs,
    #[command(flatten)]
    more: encoder::MoreArgs,
    #[command(flatten)]
    text: text::TextArgs,
    #[command(flatten)]
    detector: detector::DetectorArgs,
    #[command(flatten)]
    check: check::CheckArgs,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    std::fs::create_dir_all(&cli.work)?;
    let device = cli.device.compute().open(MatmulPrecision::F32)?.device;
    let name = cli.device.to_possible_value().expect("no device is hidden");
    let device_argument = format!("--device={}", name.get_name());
    let recipe = Recipe { log: Log::new(&cli.work), work: cli.work, out: cli.out, device, device_argument };
    match cli.step {
        Step::All(settings) => recipe.all(&settings),
        Step::Crops(args) => encoder::render_crops(&recipe.work, &args),
        Step::Encoder(args) => recipe.encoder(&args),
        Step::More { from, held_out, args } => {
            encoder::render_held_out(&recipe.work, held_out)?;
            recipe.more(&args, from.as_deref())
        }
        Step::Text(settings) => recipe.text(&settings),
        Step::Detector(args) => recipe.detector(&args),
        Step::Pack { detector_only: true, .. } => pack::write_detector(&recipe.work, &recipe.out),
        Step::Pack { encoders_only: true, .. } => pack::write_encoders(&recipe.work, &recipe.out),
        Step::Pack { .. } => pack::write(&recipe.work, &recipe.out),
        Step::Check(args) => recipe.check(&args),
    }
}

struct Recipe {
    work: PathBuf,
    out: PathBuf,
    log: Log,
    device: Device,
    /// The step, as on the command line.
    device_argument: String,
}

impl Recipe {
    fn all(&self, settings: &Settings) -> Result<()> {
        let arguments = std::iter::once(self.device_argument.clone()).chain(settings.detector.arguments());
        let mut detector = Beside::start("detector", &self.work, arguments)?;
        self.encoder(&settings.encoder)?;
        detector.has_not_failed()?;
        self.more(&settings.more, None)?;
        detector.has_not_failed()?;
        self.text(settings)?;
        detector.end()?;
        pack::write(&self.work, &self.out)?;
        self.check(&settings.check)?;
        pack::copy_log(&self.work, &self.out)
    }

    fn encoder(&self, args: &encoder::EncoderArgs) -> Result<()> {
        self.timed(&format!("encoder {args:?}"), || encoder::train(&self.work, args, &self.device, &self.log))
    }

    fn more(&self, args: &encoder::MoreArgs, from: Option<&Path>) -> Result<()> {
        let from_what = from.map_or_else(|| "the encoder".to_owned(), |pack| pack.display().to_string());
        self.timed(&format!("more, from {from_what} {args:?}"), || {
            encoder::train_on_more(&self.work, args, from, &self.device, &self.log)
        })
    }

    fn text(&self, settings: &Settings) -> Result<()> {
        self.timed(&format!("text {:?}", settings.text), || {
            text::train(&self.work, &settings.text, &settings.more, &self.device, &self.log).map(drop)
        })
    }

    fn detector(&self, args: &detector::DetectorArgs) -> Result<()> {
        self.timed(&format!("detector {args:?}"), || detector::train(&self.work, args, &self.device, &self.log))
    }

    fn check(&self, args: &check::CheckArgs) -> Result<()> {
        self.timed(&format!("check {args:?}"), || {
            let report = check::check(&self.out, args)?;
            report.lines().try_for_each(|line| self.log.line(line))
        })
    }

    /// Runs one step between two lines of the log.
    #[expect(clippy::disallowed_methods, reason = "the log says how long the steps took")]
    fn timed(&self, what: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        self.log.line(&format!("> {what}"))?;
        let name = what.split([' ', ',']).next().unwrap_or_default();
        let start = Instant::now();
        let done = step();
        match &done {
            Ok(()) => self.log.line(&format!("< {name} {:.0} s", start.elapsed().as_secs_f32()))?,
            Err(why) => self.log.line(&format!("! {name} {why:#}"))?,
        }
        done
    }
}
