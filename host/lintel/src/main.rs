//! `lintel`: one match on the verb.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use lintel::cli::{Cli, Verb};
use lintel::commands;
use lintel::console::Console;
use lintel::use_cases::{ingest, packs, runtime};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::progress::{Event, Progress};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("lintel: {}", failure.line());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    interrupt::install().map_err(Failure::work)?;
    let told = Console::new(cli.everywhere.json);
    let hear = |event: Event<'_>| told.on_event(event);
    let progress = Progress::new(&hear);
    let console = commands::speaker::Console::new(cli.everywhere.json);
    let options = cli.everywhere.runtime();
    rayon::ThreadPoolBuilder::new().num_threads(cli.everywhere.threads.into()).build_global().map_err(Failure::work)?;
    match &cli.verb {
        Verb::Render(args) => commands::render::run(args, &console),
        Verb::Ingest(args) => {
            let pack = told.settle_limits(args.pack.choice())?;
            let request = ingest::Request { pack, ..args.request() };
            told.tell(&ingest::run(&request, &options, progress)?)
        }
        Verb::Train(args) => commands::train::run(args, &options, &console),
        Verb::Table(args) => commands::table::run(args, &options, &console),
        Verb::Audit(args) => commands::audit::run(args, &options, &console),
        Verb::Export(args) => commands::export::run(args, &options, &console),
        Verb::Quantize(args) => commands::quantize::run(args, &options, &console),
        Verb::Evaluate(args) => commands::evaluate::run(args, &options, &console),
        Verb::Bench(args) => commands::bench::run(args, &options, &console),
        Verb::Report(args) => commands::report::run(args, &console),
        Verb::Demo(args) => commands::demo::run(args, &cli.everywhere, &console),
        Verb::Keys(args) => commands::keys::run(args, &console),
        Verb::Device(args) => commands::device::run(args, &options, &console),
        Verb::Push(args) => commands::push::run(args, &options, &console),
        Verb::Packs(args) => {
            let request = told.settle_packs(args.request(cli.everywhere.offline))?;
            told.tell(&packs::run(&request, &options, progress)?)
        }
        Verb::Runtime(_) => told.tell(&runtime::run(&options)?),
        Verb::Completions(args) => commands::completions::run(args),
        Verb::TryDevice(args) => commands::compute::tried(args),
    }
}

/// `--help` and `--version` go to stdout as they are; a slip of the fingers gets one line.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.render().to_string();
    // The first paragraph says what is wrong; the rest is the usage that `--help` shows better.
    let what: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let what = what.join(" ");
    eprintln!("lintel: {}; `lintel --help` and `lintel VERB --help` show how", what.trim_start_matches("error: "));
    ExitCode::from(2)
}
