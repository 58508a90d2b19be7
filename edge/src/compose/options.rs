//! What a run is to do.

use std::path::PathBuf;

use crate::config::Config;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The settings.
    pub config: Config,
    /// Install this bundle first; without it the one that is installed runs.
    pub bundle: Option<PathBuf>,
    /// The state folder.
    pub state: PathBuf,
    /// Write the event stream to this file.
    pub events: Option<PathBuf>,
    /// Virtual time instead of real time.
    pub fast: bool,
    /// Where a fetched ONNX Runtime is kept; without it none is looked for there or fetched.
    pub cache: Option<PathBuf>,
    /// ONNX Runtime may be fetched if it is not found.
    pub fetch: bool,
    /// For rigs: nobody is recognised; what was seen before is taken from this file.
    pub recorded: Option<PathBuf>,
}
