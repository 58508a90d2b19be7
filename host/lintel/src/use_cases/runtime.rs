//! Where ONNX Runtime is, fetching it when it is nowhere.

use std::path::PathBuf;

use lintel_inference::{Options, library};
use lintel_work::failure::Failure;

/// The library that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The library's file.
    pub library: PathBuf,
}

/// Finds the library.
///
/// # Errors
/// As [`find`].
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    Ok(Outcome { library: find(options)? })
}

/// The library's path; called before any work, so that a machine without it fails at once and not half way.
///
/// # Errors
/// [`Failure::Input`] for a path that is none; [`Failure::Work`] when it cannot be fetched.
pub fn find(options: &Options) -> Result<PathBuf, Failure> {
    library::find(&options.library)
        .map_err(|error| if options.library.path.is_some() { Failure::input(error) } else { Failure::work(error) })
}
