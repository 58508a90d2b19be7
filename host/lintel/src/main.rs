//! `lintel`: one match on the verb.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use lintel::cli::{Cli, Verb};
use lintel::commands;
use lintel::console::Console;
use lintel_work::failure::Failure;
use lintel_work::interrupt;

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
    let console = Console::new(cli.everywhere.json);
    let runtime = cli.everywhere.runtime();
    rayon::ThreadPoolBuilder::new().num_threads(cli.everywhere.threads.into()).build_global().map_err(Failure::work)?;
    match &cli.verb {
        Verb::Render(args) => commands::render::run(args, &console),
        Verb::Ingest(args) => commands::ingest::run(args, &runtime, &console),
        Verb::Train(args) => commands::train::run(args, &runtime, &console),
        Verb::Table(args) => commands::table::run(args, &runtime, &console),
        Verb::Audit(args) => commands::audit::run(args, &runtime, &console),
        Verb::Export(args) => commands::export::run(args, &runtime, &console),
        Verb::Quantize(args) => commands::quantize::run(args, &runtime, &console),
        Verb::Evaluate(args) => commands::evaluate::run(args, &runtime, &console),
        Verb::Bench(args) => commands::bench::run(args, &runtime, &console),
        Verb::Report(args) => commands::report::run(args, &console),
        Verb::Demo(args) => commands::demo::run(args, &cli.everywhere, &console),
        Verb::Keys(args) => commands::keys::run(args, &console),
        Verb::Device(args) => commands::device::run(args, &runtime, &console),
        Verb::Push(args) => commands::push::run(args, &runtime, &console),
        Verb::Packs(args) => commands::packs::run(args, &cli.everywhere, &console),
        Verb::Runtime(_) => commands::runtime::run(&runtime, &console),
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
