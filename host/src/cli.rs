//! The command line → one verb with its settings. Nothing here does any work.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use lintel_shared::runtime::saturation::saturates;
use lintel_shared::runtime::{Fetch, Library, Options};

use crate::failure::Failure;
use crate::quantize::{MIN_COSINE, Method, Precision, Settings, Target};
use crate::train::calibration::TARGET_FPIR;
use crate::train::{CHUNK, Loss, TEMPLATE};

/// Photos in, a bundle for the door out.
///
/// Lintel recognises the people who may open a door. `lintel` turns folders of photos into a bundle that the daemon
/// `lintel-edge` runs at the door, and measures what the door would do.
#[derive(Debug, Parser)]
#[command(
    name = "lintel",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Example:
  lintel demo                 watch the whole job on procedural people
  lintel ingest photos --out faces && lintel train faces --out trained

Exit codes: 0 done, 1 the work failed, 2 bad input or usage, 130 Ctrl-C.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What every verb takes.
    #[command(flatten)]
    pub everywhere: Everywhere,
}

/// Settings that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Everywhere {
    /// Print the result as one JSON object on stdout, and nothing else but an error
    #[arg(long, global = true)]
    pub json: bool,
    /// Processor threads to use; 0: all there are
    #[arg(long, global = true, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub threads: u16,
    /// Use this ONNX Runtime library (libonnxruntime.so, 1.17 or later) instead of finding or fetching one
    #[arg(long, global = true, value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
    /// Never fetch anything from a network
    #[arg(long, global = true)]
    pub offline: bool,
}

impl Everywhere {
    /// How models are opened.
    #[must_use]
    pub fn runtime(&self) -> Options {
        let fetch = if self.offline { Fetch::Never } else { Fetch::default() };
        Options {
            library: Library { path: self.onnxruntime.clone(), fetch },
            threads: self.threads.into(),
            ..Options::default()
        }
    }
}

/// The verbs, in the order of the work.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make photos and recordings of people who do not exist
    Render(RenderArgs),
    /// Find, judge and align the face in every photo
    Ingest(IngestArgs),
    /// Teach the text encoder who is who
    Train(TrainArgs),
    /// Make the bundle that a door runs
    Export(ExportArgs),
    /// Turn a model into 8-bit integers, if it stays faithful
    Quantize(QuantizeArgs),
    /// Measure on recordings what the door would do
    Evaluate(EvaluateArgs),
    /// Make one page to read or to send from what the other verbs wrote
    Report(ReportArgs),
    /// Do all of it once, in front of you
    Demo(DemoArgs),
    /// Keys: whose signatures count at your doors
    Keys(KeysArgs),
    /// Devices at doors: find, pair, look, take people out
    Device(DeviceArgs),
    /// Bring a bundle or a retrained table to devices
    Push(PushArgs),
    /// Bring the full-size models, and check them
    Packs(PacksArgs),
    /// Show which ONNX Runtime library is used, fetching it if need be
    Runtime(RuntimeArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
}

/// The output folder.
#[derive(Debug, Clone, Args)]
pub struct Output {
    /// The folder to make; one that the same verb made before is replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Where another folder is in the way, move it aside to DIR.old-1
    #[arg(long)]
    pub force: bool,
}

/// The model pack.
#[derive(Debug, Clone, Default, Args)]
pub struct PackArgs {
    /// An installed model pack (`lintel packs list`), or a folder with one, instead of the built-in mini pack
    #[arg(long, value_name = "NAME|DIR")]
    pub pack: Option<PathBuf>,
    /// Accept the limits that the pack's licences set; needed once, where nobody can be asked
    #[arg(long)]
    pub accept_licence: bool,
}

/// What to render.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel render --out faces --people 10 --strangers 2 --photos 12

Writes DIR/photos/NAME/NN.jpg (for `lintel ingest`) and DIR/recordings/NN-NAME.mjpeg with a .toml beside each \
(for `lintel evaluate` and `lintel-edge run --replay`; ffplay plays them). Strangers get recordings only.")]
pub struct RenderArgs {
    /// Where to.
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

/// Which photos.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel ingest photos --out faces

PHOTOS holds one folder per person, named after the person; a name that no folder can have goes into a one-line \
name.txt in the folder. JPEG, PNG and WebP are read, and turned upright as the camera says. Each photo should show \
one face: it is rejected, with the reason, for no face, two faces (a second one at least half as large), too small, \
too blurred, turned too far away, or an unreadable file. Look at DIR/sheet.png before you train.")]
pub struct IngestArgs {
    /// The folder with one folder of photos per person
    #[arg(value_name = "PHOTOS")]
    pub photos: PathBuf,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
    /// With what.
    #[command(flatten)]
    pub pack: PackArgs,
}

/// How to train.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel train faces --out trained
  lintel train faces --out trained --template \"a photo of {name}\" --strangers other-faces
  lintel train faces --out trained --int8
  lintel train faces --out trained --loss arcface --classes-per-step 500

Ctrl-C keeps a checkpoint; the same command goes on from it. The same photos, settings and seed give the same table, \
bit for bit, on one machine. Writes encoder.onnx, table.lintel, train.json and loss.png.")]
pub struct TrainArgs {
    /// A folder that `lintel ingest` made
    #[arg(value_name = "FACES")]
    pub faces: PathBuf,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
    /// With what.
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
    /// People that each step tells apart: those of its faces and others by chance; 0: all. Fewer are faster and teach
    /// less: who is left out of a step is not kept apart from the others in it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = classes)]
    pub classes_per_step: u32,
    /// Names that are worked on at once: fewer take less memory, and more people than this cost one more pass
    #[arg(long, value_name = "N", default_value_t = CHUNK as u32, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub chunk: u32,
    /// What tells people apart
    #[arg(long, value_enum, default_value_t = LossArg::Softmax)]
    pub loss: LossArg,
    /// By how much the right person must be ahead, for a loss with a margin [default: as published]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub margin: Option<f64>,
    /// Decides the 80/20 split, the order of the faces and the people by chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// What is said of a person; {name} stands for the name
    #[arg(long, value_name = "TEXT", default_value = TEMPLATE)]
    pub template: String,
    /// Ingested faces of people who may not pass, to set the bars by [default: people who do not exist]
    #[arg(long, value_name = "DIR")]
    pub strangers: Option<PathBuf>,
    /// How often a stranger may be named, per look at a face: the bars are set for this
    #[arg(long, value_name = "RATE", default_value_t = TARGET_FPIR, value_parser = rate)]
    pub target_fpir: f64,
    /// The door's rule: bars set from strangers' faces, or the paper's (confidence 0.80)
    #[arg(long, value_enum, default_value_t = RuleArg::Calibrated)]
    pub rule: RuleArg,
    /// Number of this table; a door only goes forward
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub revision: u64,
    /// Start over where a checkpoint was left
    #[arg(long)]
    pub fresh: bool,
    /// Quantise the encoder first, with these faces, and train on what it then gives: the door runs the integers
    #[arg(long)]
    pub int8: bool,
    /// How.
    #[command(flatten)]
    pub integers: Int8Args,
}

/// Which rule the table is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RuleArg {
    /// A bar on likeness and one on the lead over the next person, both from strangers' faces.
    Calibrated,
    /// Softmax at the logit scale; below 0.80 nobody.
    Paper,
}

/// What tells people apart in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LossArg {
    /// Cross-entropy over the people: the paper's.
    Softmax,
    /// The same, with an angle added to the right person's (0.5 rad).
    Arcface,
    /// The same, with a part taken off the right person's cosine (0.35).
    Cosface,
    /// Squared distances to the right person and to the nearest other differ by a margin (0.2).
    Triplet,
}

impl TrainArgs {
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
                "the softmax loss has no margin; leave --margin out, or say --loss arcface, cosface or triplet",
            )),
            Some(margin) => Ok(loss.with_margin(margin as f32)),
            None => Ok(loss),
        }
    }
}

/// What to export.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel export trained --out bundle
  lintel export trained --out bundle --pack rn50 --detector-size 640x480
  lintel export trained --out bundle --int8 --calibration photos --report export.html
  lintel-edge check --bundle bundle

The detector's size decides how small a face it still finds and what a frame costs: half the sides, a quarter of the \
time. Writes manifest.lintel, detector.onnx, encoder.onnx and table.lintel. A door takes the four together or not at all.")]
pub struct ExportArgs {
    /// A folder that `lintel train` made
    #[arg(value_name = "TRAINED")]
    pub trained: PathBuf,
    /// Where to.
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
    /// How.
    #[command(flatten)]
    pub integers: Int8Args,
}

/// How models become integers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Integers")]
pub struct Int8Args {
    /// Who is to run them
    #[arg(long, value_enum, default_value_t = Target::default())]
    pub target: Target,
    /// How the scales of activations are found
    #[arg(long, value_enum, default_value_t = Method::default())]
    pub method: Method,
    /// How much of 8 bits weights use: full, where this processor can't saturate, or else exact
    #[arg(long, value_enum, default_value_t = Precision::here())]
    pub weights: Precision,
    /// The least cosine of every output with the original's, on pictures held out of the calibration: layers stay in
    /// float until it is met, and a model that misses it is not written
    #[arg(long, value_name = "X", default_value_t = MIN_COSINE, value_parser = rate)]
    pub min_cosine: f64,
}

impl Default for Int8Args {
    fn default() -> Self {
        let Settings { target, method, precision, min_cosine } = Settings::default();
        Self { target, method, weights: precision, min_cosine }
    }
}

impl Int8Args {
    /// As the quantiser takes them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings { target: self.target, method: self.method, precision: self.weights, min_cosine: self.min_cosine }
    }

    /// As the quantiser takes them, for a model that is also to run on this machine.
    ///
    /// # Errors
    /// [`Failure::Input`] when it could not: said before the work, and not after it.
    pub fn settings_to_run(&self) -> Result<Settings, Failure> {
        if self.weights == Precision::Full && saturates() {
            return Err(Failure::input(
                "this processor (x86 without VNNI) can't run weights of all 8 bits, and training and export run what they \
                 quantise; leave --weights full out, or work on a machine with VNNI or an Arm",
            ));
        }
        Ok(self.settings())
    }
}

/// What to quantise.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel quantize encoder.onnx --calibration faces --out encoder.int8.onnx
  lintel quantize detector.onnx --calibration photos --out detector.int8.onnx --min-cosine 0.995

The model takes u8 [N, H, W, 3] pictures. It is calibrated with up to 64 of the folder's, one in four held out to judge \
by: the aligned faces of a folder that `lintel ingest` made for an encoder, photos for a detector. Every layer is tried \
alone; the table says what each costs. For a door, `lintel train --int8` and `lintel export --int8` do this in place.

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
    /// How.
    #[command(flatten)]
    pub int8: Int8Args,
}

/// What to measure.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel evaluate bundle faces/recordings --out evaluation

Plays every recording through the code that runs at the door, in virtual time, and prints what became of each \
visitor; the paper's deployment accuracy, FPR and FNR; NIST's FPIR and FNIR with 95 % confidence intervals; and the \
time from the first sharp frame to the verdict. Writes report.json and confusion.png.")]
pub struct EvaluateArgs {
    /// A folder that `lintel export` made
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Recordings (NAME.mjpeg with NAME.toml), or folders of them
    #[arg(value_name = "RECORDINGS", required = true)]
    pub recordings: Vec<PathBuf>,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
    /// How long the door takes over one frame: frames that come meanwhile are passed over, as they are there
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub frame_ms: u32,
    /// Fail (exit code 1) when the paper's deployment accuracy is below this
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub min_accuracy: Option<f64>,
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

/// What to show.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel demo
  lintel demo --photos my-photos --out my-demo

Runs render, ingest, train, export, evaluate and `lintel-edge run` on real files under --out, and prints each command \
before it runs it. Steps that are done are not done again: --fresh starts over. With --photos, the photos that \
training kept back stand in for a camera, and the strangers are people who do not exist.")]
pub struct DemoArgs {
    /// Your own photos, one folder per person [default: people who do not exist]
    #[arg(long, value_name = "DIR")]
    pub photos: Option<PathBuf>,
    /// The folder for everything the demo makes
    #[arg(long, value_name = "DIR", default_value = "lintel-demo")]
    pub out: PathBuf,
    /// With what.
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

/// What to do with packs.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel packs list
  lintel packs fetch rn50
  lintel packs add rn50 --from /media/stick
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
    /// Hash the files of installed packs again
    Verify {
        /// The packs [default: all that are installed]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

/// Where the site is.
#[derive(Debug, Clone, Default, Args)]
pub struct SiteArgs {
    /// The site's folder: keys, devices, receipts [default: $LINTEL_SITE, or lintel/site in the configuration folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub site: Option<PathBuf>,
}

/// What to do with keys.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel keys new --root-keys 3 --threshold 2
  lintel keys show
  lintel keys rotate targets --root-key /media/stick/root-1.key --root-key /media/stick/root-2.key

A device runs only what the site's keys signed (The Update Framework). The root's keys say whose signatures count and \
are needed for nothing else: keep them off this machine. The other keys sign every push. A key that is lost or stolen \
is replaced with `rotate`; devices take the new root with the next push and refuse the old key from then on.")]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: KeysAction,
    /// Where.
    #[command(flatten)]
    pub site: SiteArgs,
}

/// What can be done with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysAction {
    /// Make a site with its keys and its first root
    New {
        /// Keys of the root
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
        root_keys: u32,
        /// How many of them must sign
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
        threshold: u32,
    },
    /// Show the newest root, its keys, and which of them are here
    Show,
    /// Make this workstation another one, for a copy of a site on a new machine; devices must be paired again
    Identity,
    /// Replace the keys of a role; the old ones count no longer
    Rotate {
        /// Whose keys
        role: RoleArg,
        /// A key of the root that is kept elsewhere; may be given several times
        #[arg(long, value_name = "FILE")]
        root_key: Vec<PathBuf>,
    },
}

/// The roles of The Update Framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleArg {
    /// Says whose signatures count.
    Root,
    /// Says what may be installed.
    Targets,
    /// Says which versions belong together.
    Snapshot,
    /// Says which is the newest.
    Timestamp,
}

/// What to do with devices.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel device find
  lintel device pair 192.168.1.20 --name hall
  lintel device status hall
  lintel device revoke hall --person \"Rosa Ito\"
  lintel device log hall --csv

Pairing needs somebody at the device: `lintel-edge pair` there shows a code for ten minutes. After it, device and \
workstation know each other by their certificates, and everything between them is encrypted (TLS 1.3).

Exit codes: 0 done, 1 a device failed or refused, 2 bad input or usage, 130 Ctrl-C.")]
pub struct DeviceArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DeviceAction,
    /// Where.
    #[command(flatten)]
    pub site: SiteArgs,
}

/// What can be done with devices.
#[derive(Debug, Clone, Subcommand)]
pub enum DeviceAction {
    /// Look for devices in this network
    Find {
        /// How long to listen
        #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
        seconds: u32,
    },
    /// Make a device and this workstation know each other
    Pair {
        /// Host name or address of the device, with :PORT where it is not 7443
        address: String,
        /// The code on the device's display [default: asked for]
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// What to call the device here [default: its address]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// What the device is to call this workstation [default: this machine's name]
        #[arg(long, value_name = "NAME")]
        workstation: Option<String>,
    },
    /// Show the devices that are known here
    List,
    /// Show what runs at devices
    Status {
        /// Names of devices [default: all]
        devices: Vec<String>,
    },
    /// Show who may enter
    People {
        /// Name of the device
        device: String,
    },
    /// Show the device's journal, and check that nothing was taken out of it
    Log {
        /// Name of the device
        device: String,
        /// Only entries of so long ago or less: 90m, 12h, 7d
        #[arg(long, value_name = "AGE")]
        since: Option<String>,
        /// One line of comma-separated values an entry
        #[arg(long)]
        csv: bool,
    },
    /// Go back to the bundle that ran before
    Rollback {
        /// Name of the device
        device: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Take people out, at once and without a trace
    Revoke {
        /// Names of devices
        #[arg(required = true)]
        devices: Vec<String>,
        /// The person's name, or number; may be given several times
        #[arg(long, value_name = "NAME|ID", required = true)]
        person: Vec<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show which workstations a device knows, or make it forget one
    Workstations {
        /// Name of the device
        device: String,
        /// The fingerprint of the workstation to be forgotten
        #[arg(long, value_name = "FINGERPRINT")]
        forget: Option<String>,
    },
    /// Forget a device here
    Forget {
        /// Name of the device
        device: String,
    },
}

/// What to push.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel push hall bundle
  lintel push hall garage trained
  lintel push hall trained/table.lintel --yes

WHAT is a bundle (`lintel export`), a folder of `lintel train` (its table alone, for the encoder that the device runs), \
or a table. First it is shown what changes; then it is sent to all devices at once. A device proves it before it runs \
it: it must make the same decisions there as here. Recognition goes on meanwhile. After a cut, sending goes on where it \
was. What the device then signs is kept in the site's folder.

Exit codes: 0 every device runs it, 1 one does not, 2 bad input or usage, 130 Ctrl-C.")]
pub struct PushArgs {
    /// Names of devices, and then what to push
    #[arg(value_names = ["DEVICE", "WHAT"], num_args = 2.., required = true)]
    pub words: Vec<PathBuf>,
    /// Don't ask
    #[arg(long, short)]
    pub yes: bool,
    /// Tries without any progress before giving up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub retries: u32,
    /// Where.
    #[command(flatten)]
    pub site: SiteArgs,
}

/// Nothing to choose but what every verb takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel runtime
  lintel runtime --onnxruntime /opt/onnxruntime/lib/libonnxruntime.so

ONNX Runtime is looked for at --onnxruntime, $LINTEL_ONNXRUNTIME, beside this program and in the user's cache; if it \
is nowhere, the official package `onnxruntime` is fetched once with pip and its library checked by SHA-256.")]
pub struct RuntimeArgs {}

/// Which shell.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel completions bash > ~/.local/share/bash-completion/completions/lintel")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

fn size(text: &str) -> Result<[u32; 2], String> {
    let parse = || -> Option<[u32; 2]> {
        let (width, height) = text.split_once(['x', 'X'])?;
        Some([width.parse().ok()?, height.parse().ok()?])
    };
    parse()
        .filter(|sides| sides.iter().all(|side| (64..=4096).contains(side)))
        .ok_or_else(|| "wanted WIDTHxHEIGHT, 64 to 4096 px each, as in 640x480".into())
}

fn detector_size(text: &str) -> Result<[u32; 2], String> {
    let parse = || -> Option<[u32; 2]> {
        let (width, height) = text.split_once(['x', 'X'])?;
        Some([width.parse().ok()?, height.parse().ok()?])
    };
    parse()
        .filter(|sides| sides.iter().all(|side| (32..=4096).contains(side) && side.is_multiple_of(32)))
        .ok_or_else(|| "wanted WIDTHxHEIGHT, multiples of 32 from 32 to 4096 px, as in 640x480".into())
}

fn classes(text: &str) -> Result<u32, String> {
    let value = text.parse().ok().filter(|value: &u32| *value != 1 && *value <= 1_000_000);
    value.ok_or_else(|| "wanted 0 (all) or 2 to 1000000 people".into())
}

fn seconds(text: &str) -> Result<f32, String> {
    let value = text.parse().ok().filter(|value: &f32| (0.0..=600.0).contains(value));
    value.ok_or_else(|| "wanted 0 to 600 seconds".into())
}

fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0 && *value <= 1.0);
    value.ok_or_else(|| "wanted a number above 0, at most 1".into())
}

fn rate(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "wanted a rate from 0 to 1".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_every_verb_shows_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for verb in command.get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Example:\n  lintel "), "{}", verb.get_name());
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        fn check(args: &[&str], fine: bool) {
            let parsed = Cli::try_parse_from(["lintel"].iter().chain(args));
            assert_eq!(parsed.is_ok(), fine, "{args:?}");
        }
        check(&["render", "--out", "x", "--size", "640x480"], true);
        check(&["render", "--out", "x", "--size", "640"], false);
        check(&["render", "--out", "x", "--size", "99999x10"], false);
        check(&["render", "--out", "x", "--seconds", "NaN"], false);
        check(&["train", "f", "--out", "x", "--lr", "-1"], false);
        check(&["train", "f", "--out", "x", "--target-fpir", "2"], false);
        check(&["train", "f", "--out", "x", "--batch", "1"], false);
        check(&["train", "f", "--out", "x", "--chunk", "0"], false);
        check(&["train", "f", "--out", "x", "--classes-per-step", "2"], true);
        check(&["train", "f", "--out", "x", "--classes-per-step", "1"], false);
        check(&["train", "f", "--out", "x", "--loss", "arcface", "--margin", "0.4"], true);
        check(&["train", "f", "--out", "x", "--loss", "arcface", "--margin", "0"], false);
        check(&["evaluate", "b", "--out", "x"], false);
    }
    #[test]
    fn a_margin_needs_a_loss_that_has_one() {
        fn check(args: &[&str], expected: Option<Loss>) {
            let cli = Cli::try_parse_from(["lintel", "train", "f", "--out", "x"].iter().chain(args)).expect("parsed");
            let Verb::Train(train) = cli.verb else { panic!("{args:?}") };
            assert_eq!(train.loss().ok(), expected, "{args:?}");
        }
        check(&[], Some(Loss::Softmax));
        check(&["--loss", "cosface"], Some(Loss::COSFACE));
        check(&["--loss", "triplet", "--margin", "0.5"], Some(Loss::Triplet { margin: 0.5 }));
        check(&["--margin", "0.5"], None);
    }
}
