//! The programs that were built beside the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use lintel_inference::library;

/// The path of a program. Prints SKIPPED and returns `None` if it was not built.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    // Tests are one folder below the programs; programs are beside each other.
    let exe = std::env::current_exe().ok()?;
    let beside = exe.parent()?.join(name);
    if beside.is_file() {
        return Some(beside);
    }
    let program = exe.parent()?.parent()?.join(name);
    if program.is_file() {
        return Some(program);
    }
    eprintln!("SKIPPED a test of {name}: {} is absent; build it with `cargo build --release`", program.display());
    None
}

/// `lintel-edge run`, started by the command `before` (such as `ip netns exec NAME`); without a display, and with the
/// library that tests use.
///
/// # Panics
/// If there is no ONNX Runtime.
#[must_use]
pub fn daemon(edge: &Path, before: &[&str]) -> Command {
    let runtime =
        library::find(&lintel_work::places::runtime().library).expect("ONNX Runtime is there or can be fetched");
    let mut command = match before.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(edge);
            command
        }
        None => Command::new(edge),
    };
    command.args(["run", "--display", "none", "--gap", "1", "--onnxruntime"]).arg(runtime);
    command
}
