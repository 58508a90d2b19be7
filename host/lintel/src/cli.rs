//! The command line → one verb with its settings. Nothing here does any work.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use lintel_inference::{Fetch, Library, Options};
use lintel_work::places;

use crate::use_cases::{self, packs::PackChoice};

mod bench;
pub mod completions;
mod compute;
mod doors;
mod models;
mod people;
mod tables;
mod values;

pub use bench::{BenchAction, BenchArgs, BenchBaselinesArgs, BenchData, BenchTable1Args};
pub use compute::{ComputeArg, ComputeArgs, PrecisionArg};
pub use doors::{DeviceAction, DeviceArgs, KeysAction, KeysArgs, PushArgs, RoleArg, SiteArgs};
pub use models::{ExportArgs, Int8Args, PacksAction, PacksArgs, QuantizeArgs};
pub use people::{
    DemoArgs, EvaluateArgs, IngestArgs, LossArg, RenderArgs, ReportArgs, RuleArg, ThresholdsArgs, TrainArgs,
};
pub use tables::{AuditArgs, NewThresholdsArgs, TableAction, TableAddArgs, TableArgs, TableRemoveArgs, TableShowArgs};

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
  lintel demo                 run the whole job on rendered people
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
    /// Processor threads to use; 0: all
    #[arg(long, global = true, value_name = "N", default_value_t = 0,
        value_parser = clap::value_parser!(u16).range(0..=256))]
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
        let usual = places::runtime();
        let library = Library { path: self.onnxruntime.clone(), fetch, ..usual.library };
        Options { library, threads: self.threads.into(), ..usual }
    }
}

/// The verbs, in the order of the work.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make photos and recordings of rendered people
    Render(RenderArgs),
    /// Find, judge and align the face in every photo
    Ingest(IngestArgs),
    /// Train an identity table from ingested faces
    Train(TrainArgs),
    /// Show who is in a table; add or remove people
    Table(TableArgs),
    /// Find people whom a table could confuse, before it goes to a door
    Audit(AuditArgs),
    /// Make the bundle that a door runs
    Export(ExportArgs),
    /// Quantise a model to 8-bit integers, if its outputs stay faithful
    Quantize(QuantizeArgs),
    /// Measure on recordings what the door would do
    Evaluate(EvaluateArgs),
    /// Compare the table with simpler methods, and encoders with each other
    Bench(BenchArgs),
    /// Make one HTML page from the folders of other verbs
    Report(ReportArgs),
    /// Run every step once, from photos to a door, and print each command
    Demo(DemoArgs),
    /// Manage the keys whose signatures your doors accept
    Keys(KeysArgs),
    /// Find, pair and inspect devices at doors; remove people from them
    Device(DeviceArgs),
    /// Send a bundle or a retrained table to devices
    Push(PushArgs),
    /// Fetch the full-size models and check them
    Packs(PacksArgs),
    /// Show which ONNX Runtime library is used; fetch it if there is none
    Runtime(RuntimeArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Test a GPU in a process of its own: training runs this first, because a driver can crash its process
    #[command(hide = true, after_help = "Example:\n  lintel try-device --device vulkan")]
    TryDevice(ComputeArgs),
}

/// The output folder.
#[derive(Debug, Clone, Args)]
pub struct Output {
    /// The folder to make; one that the same verb made before is replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Move another folder that is in the way to DIR.old-1
    #[arg(long)]
    pub force: bool,
}

impl Output {
    /// As a use case takes it.
    #[must_use]
    pub fn output(&self) -> use_cases::Output {
        use_cases::Output { folder: self.out.clone(), force: self.force }
    }
}

/// The model pack.
#[derive(Debug, Clone, Default, Args)]
pub struct PackArgs {
    /// An installed model pack (`lintel packs list`), or a folder with one, instead of the built-in mini pack
    #[arg(long, value_name = "NAME|DIR")]
    pub pack: Option<PathBuf>,
    /// Accept the limits that the pack's licences set; needed once, if lintel cannot ask you
    #[arg(long)]
    pub accept_licence: bool,
}

impl PackArgs {
    /// As a use case takes it.
    #[must_use]
    pub fn choice(&self) -> PackChoice {
        PackChoice { pack: self.pack.clone(), accept_licence: self.accept_licence }
    }
}

/// Nothing to choose but what every verb takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel runtime
  lintel runtime --onnxruntime /opt/onnxruntime/lib/libonnxruntime.so

lintel looks for ONNX Runtime at --onnxruntime, at $LINTEL_ONNXRUNTIME, beside this program and in the user's cache. \
If it finds none, it fetches the official package `onnxruntime` once with pip and checks the library's SHA-256.")]
pub struct RuntimeArgs {}

/// Which shell.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel completions bash > ~/.local/share/bash-completion/completions/lintel")]
pub struct CompletionsArgs {
    /// Shell to print the completions for
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use lintel_training::Loss;

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
        check(&["train", "f", "--out", "x", "--device", "vulkan", "--precision", "bf16"], true);
        check(&["train", "f", "--out", "x", "--device", "gpu"], false);
        check(&["train", "f", "--out", "x", "--classes-per-step", "2"], true);
        check(&["train", "f", "--out", "x", "--classes-per-step", "1"], false);
        check(&["train", "f", "--out", "x", "--loss", "arcface", "--margin", "0.4"], true);
        check(&["train", "f", "--out", "x", "--loss", "arcface", "--margin", "0"], false);
        check(&["evaluate", "b", "--out", "x"], false);
    }

    #[test]
    fn what_the_command_line_leaves_out_is_what_a_request_has_by_itself() {
        let verb = |line: &str| Cli::try_parse_from(line.split(' ')).expect("parsed").verb;
        let out = || use_cases::Output::to("x");
        let Verb::Render(args) = verb("lintel render --out x") else { panic!("another verb") };
        assert_eq!(args.request(), use_cases::render::Request::new(out()));
        let Verb::Ingest(args) = verb("lintel ingest photos --out x") else { panic!("another verb") };
        assert_eq!(args.request(), use_cases::ingest::Request::new("photos", out()));
        let Verb::Train(args) = verb("lintel train faces --out x") else { panic!("another verb") };
        assert_eq!(args.request().ok(), Some(use_cases::train::Request::new("faces", out())));
        let Verb::Export(args) = verb("lintel export trained --out x") else { panic!("another verb") };
        assert_eq!(args.request(), use_cases::export::Request::new("trained", out()));
        let Verb::Evaluate(args) = verb("lintel evaluate bundle r --out x") else { panic!("another verb") };
        assert_eq!(args.request(), use_cases::evaluate::Request::new("bundle", vec!["r".into()], out()));
        // The quantiser's settings, where they are asked for.
        let Verb::Train(args) = verb("lintel train faces --out x --int8") else { panic!("another verb") };
        assert_eq!(args.request().ok().and_then(|request| request.int8), Some(lintel_quantize::Settings::default()));
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
