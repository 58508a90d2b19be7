//! The command line's own description → completions for a shell.

use clap::CommandFactory;
use lintel_work::failure::Failure;

use super::{Cli, CompletionsArgs};

/// Prints them on stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lintel", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script).map_err(|error| {
        Failure::work(format!("cannot write the completions: {}", lintel_work::failure::reason(&error)))
    })
}
