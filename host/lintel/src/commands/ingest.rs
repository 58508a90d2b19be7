//! Old way into `use_cases::ingest`.
use lintel_inference::Options;
use lintel_work::failure::Failure;
use lintel_work::progress::Progress;

use crate::{cli::IngestArgs, commands::speaker::Console, use_cases::ingest};

/// As [`ingest::run`].
///
/// # Errors
/// [`Failure`].
pub fn run(args: &IngestArgs, runtime: &Options, _: &Console) -> Result<(), Failure> {
    ingest::run(&args.request(), runtime, Progress::ignored()).map(drop)
}
