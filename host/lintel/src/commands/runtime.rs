//! Where ONNX Runtime is, fetching it when it is nowhere.

use lintel_inference::{Options, library};
use lintel_work::failure::Failure;
use serde_json::json;

use crate::console::Console;

/// Finds the library and says where.
///
/// # Errors
/// [`Failure::Input`] for a path that is none; [`Failure::Work`] when it cannot be fetched.
pub fn run(runtime: &Options, console: &Console) -> Result<(), Failure> {
    let path = find(runtime)?;
    console.say(format!("{}", path.display()));
    console.result(&json!({ "library": path, "pinned_version": library::VERSION, "oldest": library::MIN_VERSION }));
    Ok(())
}

/// The library's path; called before any work, so that a machine without it fails at once and not half way.
///
/// # Errors
/// As [`run`].
pub fn find(runtime: &Options) -> Result<std::path::PathBuf, Failure> {
    library::find(&runtime.library)
        .map_err(|error| if runtime.library.path.is_some() { Failure::input(error) } else { Failure::work(error) })
}
