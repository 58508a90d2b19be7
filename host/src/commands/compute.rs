//! Where training is to run → whether it can, said before any work is done.

use crate::cli::ComputeArgs;
use crate::console::Console;
use crate::failure::Failure;
use crate::train::{Compute, ComputeError, Processor};

/// Brings the device up.
///
/// # Errors
/// [`Failure::Input`] where the program or the machine has no such thing, [`Failure::Work`] where a driver fails.
pub fn check(args: &ComputeArgs, console: &Console) -> Result<(), Failure> {
    let Processor { name, software, .. } = args.compute().open(args.precision()).map_err(explained)?;
    if software {
        console.note(format!("{name} is a software adapter: right results, and slower than --device cpu"));
    } else if args.compute() != Compute::Cpu {
        console.say(format!("training runs on {name}"));
    }
    Ok(())
}

fn explained(error: ComputeError) -> Failure {
    match error {
        ComputeError::NotBuilt { .. } | ComputeError::NoAdapter { .. } | ComputeError::Precision { .. } => {
            Failure::input(error)
        }
        ComputeError::Silent { .. } | ComputeError::Broken { .. } => Failure::work(error),
    }
}
