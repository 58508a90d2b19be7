//! Old way into `use_cases::packs`.
use lintel_packs::Pack;
use lintel_work::failure::Failure;

pub use crate::use_cases::packs::grafted;
use crate::{cli::PackArgs, commands::speaker::Console, use_cases::packs};

/// As [`packs::open`].
///
/// # Errors
/// [`Failure`].
pub fn open(args: &PackArgs, _: &Console) -> Result<Pack, Failure> {
    packs::open(&args.choice())
}
