//! Where training is to run → whether it can, said before any work is done.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lintel_clip::text_encoder::MatmulPrecision;
use lintel_training::{Compute, ComputeError, Processor};
use lintel_work::failure::Failure;
use lintel_work::progress::Progress;

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Brings the device up, in a process of its own first: a driver that crashes must not take an admin's work with it.
///
/// # Errors
/// [`Failure::Input`] where the program or the machine has no such thing, [`Failure::Work`] where a driver fails.
pub fn check(compute: Compute, precision: MatmulPrecision, progress: Progress<'_>) -> Result<(), Failure> {
    if compute != Compute::Cpu {
        let program = std::env::current_exe().map_err(Failure::work)?;
        survived(compute, &program, &["try-device", "--device", &compute.to_string()])?;
    }
    let Processor { name, software, .. } = compute.open(precision).map_err(explained)?;
    if software {
        progress.note(format!("{name} is a software adapter: right results, and slower than --device cpu"));
    } else if compute != Compute::Cpu {
        progress.note(format!("training runs on {name}"));
    }
    Ok(())
}

/// Brings the device up and multiplies two matrices on it.
///
/// # Errors
/// As [`check`].
pub fn run(compute: Compute) -> Result<(), Failure> {
    compute.first_answer().map(drop).map_err(explained)
}

/// Runs a program to its end. Only a crash counts: whatever else it says is said again by this process.
fn survived(compute: Compute, program: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let mut child = Command::new(program);
    child.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match child.status().map_err(Failure::work)?.signal() {
        // The admin's own Ctrl-C reaches both processes.
        None | Some(SIGINT | SIGTERM) => Ok(()),
        Some(signal) => {
            let what = format!("its driver crashed with signal {signal}");
            Err(explained(ComputeError::Broken { compute, what }))
        }
    }
}

fn explained(error: ComputeError) -> Failure {
    match error {
        ComputeError::NotBuilt { .. } | ComputeError::NoAdapter { .. } | ComputeError::Precision { .. } => {
            Failure::input(error)
        }
        ComputeError::Silent { .. } | ComputeError::Broken { .. } => Failure::work(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_crash_is_one() {
        let check = |script: &str, expected: Option<&str>| {
            let result = survived(Compute::Vulkan, Path::new("sh"), &["-c", script]);
            assert_eq!(result.map_err(|failure| failure.line()).err().as_deref(), expected, "{script}");
        };
        check("exit 0", None);
        check("echo a reason >&2; exit 2", None);
        check("kill -INT $$", None);
        check(
            "kill -SEGV $$",
            Some(
                "vulkan does not work here (its driver crashed with signal 11); check the GPU's driver, or leave \
                --device out",
            ),
        );
    }
}
