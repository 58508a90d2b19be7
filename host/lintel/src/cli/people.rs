//! What is chosen about people: photos, training, measuring, the demo.

use std::path::PathBuf;

use clap::Args;
use lintel_training::calibration::TARGET_FPIR;
use lintel_training::{Loss, TEMPLATE};
use lintel_work::failure::Failure;

use crate::use_cases::thresholds::Thresholds;
use crate::use_cases::train::DecisionRule;
use crate::use_cases::{demo, evaluate, ingest, render, report, train};

use super::values::{classes, positive, rate, seconds, size};
use super::{ComputeArgs, Int8Args, Output, PackArgs};

/// Settings of `lintel render`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel render --out faces --people 10 --strangers 2 --photos 12

Writes DIR/photos/NAME/NN.jpg (for `lintel ingest`) and DIR/recordings/NN-NAME.mjpeg with a .toml beside each \
(for `lintel evaluate` and `lintel-edge run --replay`; ffplay plays them). Strangers get recordings only.")]
pub struct RenderArgs {
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// People with photos and a recording
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    pub people: u32,
    /// People with a recording only
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    pub strangers: u32,
    /// Photos of each person
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub photos: u32,
    /// Which people, and in which light: the same number gives the same files
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Length of a recording; 0: none
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f32,
    /// Frames a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub fps: u32,
    /// Size of photos and frames, px
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = size)]
    pub size: [u32; 2],
}

impl RenderArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> render::Request {
        let Self { output, people, strangers, photos, seed, seconds, fps, size } = self.clone();
        render::Request { output: output.output(), people, strangers, photos, seed, seconds, fps, size }
    }
}

/// Which photos.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel ingest photos --out faces

PHOTOS holds one folder per person, named after the person; a name that no folder can have goes into a one-line \
name.txt in the folder. lintel reads JPEG, PNG and WebP, and turns each photo upright as its EXIF data says. Each \
photo should show one face. A photo is rejected, with the reason, if it has no face or two faces (the second at least \
half as large), if the face is too small, too blurred or turned too far away, or if the file cannot be read. Look at \
DIR/sheet.png before you train.")]
pub struct IngestArgs {
    /// The folder with one folder of photos per person
    #[arg(value_name = "PHOTOS")]
    pub photos: PathBuf,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// The model pack to use.
    #[command(flatten)]
    pub pack: PackArgs,
    /// These people are to join an existing table (`lintel table add`): one person is enough
    #[arg(long)]
    pub joining: bool,
}

impl IngestArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> ingest::Request {
        ingest::Request {
            photos: self.photos.clone(),
            output: self.output.output(),
            pack: self.pack.choice(),
            joining: self.joining,
        }
    }
}

/// Settings of `lintel train`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel train faces --out trained
  lintel train faces --out trained --template \"a photo of {name}\" --strangers other-faces
  lintel train faces --out trained --int8
  lintel train faces --out trained --loss arcface --classes-per-step 500
  lintel train faces --out trained --device vulkan

Ctrl-C keeps a checkpoint; the same command resumes from it. The same photos, settings and seed give the same \
table, bit for bit, on one machine's processor; on a GPU, to within rounding. Writes encoder.onnx, table.lintel, \
train.json and loss.png.")]
pub struct TrainArgs {
    /// A folder that `lintel ingest` made
    #[arg(value_name = "FACES")]
    pub faces: PathBuf,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// The model pack to use.
    #[command(flatten)]
    pub pack: PackArgs,
    /// Passes over the training faces [default: the pack's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: Option<u32>,
    /// Highest learning rate [default: the pack's]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub lr: Option<f64>,
    /// Faces in a minibatch
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=4096))]
    pub batch: u32,
    /// People that each step compares: those of its faces, and others at random; 0: all. Fewer are faster, and teach
    /// less: a step does not separate the people that it leaves out
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = classes)]
    pub classes_per_step: u32,
    /// Device and precision of the training.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Prompts that are encoded at once. Fewer take less memory; more people than this cost one more forward pass
    /// [default: 128, on a GPU 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub chunk: Option<u32>,
    /// Loss function
    #[arg(long, value_enum, default_value_t = LossArg::Softmax)]
    pub loss: LossArg,
    /// Margin of the loss, if it has one [default: as published]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub margin: Option<f64>,
    /// Seed for the 80/20 split, the order of the faces, and the people at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Prompt of a person; {name} stands for the name
    #[arg(long, value_name = "TEXT", default_value = TEMPLATE)]
    pub template: String,
    /// How the thresholds are set.
    #[command(flatten)]
    pub thresholds: ThresholdsArgs,
    /// The door's rule: thresholds set from strangers' faces, or the paper's (confidence 0.80)
    #[arg(long, value_enum, default_value_t = RuleArg::Calibrated)]
    pub rule: RuleArg,
    /// Number of this table; a door only goes forward
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub revision: u64,
    /// Start over where a checkpoint was left
    #[arg(long)]
    pub fresh: bool,
    /// Quantise the encoder first, calibrated with these faces, and train on its embeddings; the door runs that encoder
    #[arg(long)]
    pub int8: bool,
    /// Settings of the quantiser.
    #[command(flatten)]
    pub integers: Int8Args,
}

/// How the thresholds of a table are set.
#[derive(Debug, Clone, Args)]
pub struct ThresholdsArgs {
    /// Ingested faces of people who are not enrolled; they set the thresholds [default: rendered people]
    #[arg(long, value_name = "DIR")]
    pub strangers: Option<PathBuf>,
    /// Target FPIR: how often a stranger may be named. The thresholds are set so that, with 95 % confidence, these
    /// strangers are named no more often
    #[arg(long, value_name = "RATE", default_value_t = TARGET_FPIR, value_parser = rate)]
    pub target_fpir: f64,
}

impl ThresholdsArgs {
    /// As a use case takes them.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        Thresholds { strangers: self.strangers.clone(), target_fpir: self.target_fpir }
    }
}

/// Which rule the table is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RuleArg {
    /// A threshold on similarity and one on the margin over the next person, both from strangers' faces.
    Calibrated,
    /// Softmax confidence at the logit scale; below 0.80 nobody is named.
    Paper,
}

/// Loss function of the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LossArg {
    /// Cross-entropy over the people: the paper's.
    Softmax,
    /// The same, with an angle added to the right person's (0.5 rad).
    Arcface,
    /// The same, with a margin subtracted from the right person's cosine (0.35).
    Cosface,
    /// Squared distances to the right person and to the nearest other differ by a margin (0.2).
    Triplet,
}

impl TrainArgs {
    /// As the use case takes it.
    ///
    /// # Errors
    /// [`Failure::Input`] for a margin where there is none.
    pub fn request(&self) -> Result<train::Request, Failure> {
        Ok(train::Request {
            faces: self.faces.clone(),
            output: self.output.output(),
            pack: self.pack.choice(),
            epochs: self.epochs,
            learning_rate: self.lr,
            batch: self.batch as usize,
            classes_per_step: self.classes_per_step as usize,
            compute: self.compute.compute(),
            precision: self.compute.precision(),
            chunk: self.chunk.map(|names| names as usize),
            loss: self.loss()?,
            seed: self.seed,
            template: self.template.clone(),
            thresholds: self.thresholds.thresholds(),
            rule: match self.rule {
                RuleArg::Calibrated => DecisionRule::Calibrated,
                RuleArg::Paper => DecisionRule::Paper,
            },
            revision: self.revision,
            fresh: self.fresh,
            int8: self.int8.then(|| self.integers.settings()),
        })
    }

    /// The loss, with its margin.
    ///
    /// # Errors
    /// [`Failure::Input`] for a margin where there is none.
    pub fn loss(&self) -> Result<Loss, Failure> {
        let loss = match self.loss {
            LossArg::Softmax => Loss::Softmax,
            LossArg::Arcface => Loss::ARCFACE,
            LossArg::Cosface => Loss::COSFACE,
            LossArg::Triplet => Loss::TRIPLET,
        };
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        match self.margin {
            Some(_) if loss == Loss::Softmax => Err(Failure::input(
                "the softmax loss has no margin; leave --margin out, or use --loss arcface, cosface or triplet",
            )),
            Some(margin) => Ok(loss.with_margin(margin as f32)),
            None => Ok(loss),
        }
    }
}

/// What to measure.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel evaluate bundle faces/recordings --out evaluation

Plays every recording through the code that runs at the door, in virtual time. Prints the outcome of each visitor; the \
paper's deployment accuracy, FPR and FNR; NIST's FPIR and FNIR with 95 % confidence intervals; the time from the first \
sharp frame to the verdict; the paper's 80 % rule against the table's thresholds, at the FNIR of either; and the \
errors by yaw, distance, light and the recordings' tags. Writes report.json, confusion.png, det.png (errors as the \
threshold moves), by-threshold.png and scores.png. --growth 10,100,1000,10000 also measures both rules as a table \
grows, on rendered people; 10000 people take most of an hour the first time, and the user's cache keeps their \
embeddings.")]
pub struct EvaluateArgs {
    /// A folder that `lintel export` made
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Recordings (NAME.mjpeg with NAME.toml), or folders of them
    #[arg(value_name = "RECORDINGS", required = true)]
    pub recordings: Vec<PathBuf>,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// How long the door takes for one frame; frames that come meanwhile are skipped, as at a real door
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub frame_ms: u32,
    /// Compare the paper's rule with the thresholds on tables of N rendered people, for example 10,100,1000,10000
    #[arg(long, value_name = "N,N…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub growth: Vec<u32>,
    /// Seed of the rendered people that --growth enrols
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub growth_seed: u64,
    /// Fail (exit code 1) when the paper's deployment accuracy is below this
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub min_accuracy: Option<f64>,
}

impl EvaluateArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> evaluate::Request {
        let Self { bundle, recordings, output, frame_ms, growth, growth_seed, min_accuracy } = self.clone();
        evaluate::Request { bundle, recordings, output: output.output(), frame_ms, growth, growth_seed, min_accuracy }
    }
}

/// What to put on a page.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel report faces trained evaluation --out report.html

The page stands alone: every picture is in it. It shows people's faces and names; send it with care.")]
pub struct ReportArgs {
    /// Folders that `lintel ingest`, `train`, `evaluate` or `demo` made
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
}

impl ReportArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> report::Request {
        report::Request { folders: self.folders.clone(), out: self.out.clone() }
    }
}

/// What to show.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel demo
  lintel demo --photos my-photos --out my-demo

Runs render, ingest, train, export, evaluate and `lintel-edge run` on real files under --out, and prints each command \
before it runs it. Steps that are done are not done again: --fresh starts over. With --photos, the photos that \
training kept back stand in for a camera, and the strangers are rendered people.")]
pub struct DemoArgs {
    /// Your own photos, one folder per person [default: rendered people]
    #[arg(long, value_name = "DIR")]
    pub photos: Option<PathBuf>,
    /// The folder for everything the demo makes
    #[arg(long, value_name = "DIR", default_value = "lintel-demo")]
    pub out: PathBuf,
    /// The model pack to use.
    #[command(flatten)]
    pub pack: PackArgs,
    /// Which people
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// People who do not exist, when there are no --photos
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub people: u32,
    /// Strangers at the door
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub strangers: u32,
    /// Do every step again
    #[arg(long)]
    pub fresh: bool,
    /// Play the recordings at the pace at which they were taken, instead of in virtual time
    #[arg(long)]
    pub live: bool,
    /// The daemon's program [default: beside this one, else on the PATH]
    #[arg(long, value_name = "FILE")]
    pub edge: Option<PathBuf>,
}

impl DemoArgs {
    /// As the use case takes it; with `daemon_prints`, the daemon's words go to stdout.
    #[must_use]
    pub fn request(&self, daemon_prints: bool) -> demo::Request {
        let Self { photos, out, pack, seed, people, strangers, fresh, live, edge } = self.clone();
        let pack = pack.choice();
        demo::Request { photos, out, pack, seed, people, strangers, fresh, live, edge, daemon_prints }
    }
}
