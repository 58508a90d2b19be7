//! Why a run did not begin, and the exit code for it.

use std::io;
use std::path::PathBuf;

use lintel_core::controller::ControllerError;
use lintel_inference::BundleError;

use crate::events::EventError;
use crate::io::camera::CameraError;
use crate::io::gpio::inputs::InputError;
use crate::io::relay::RelayFailure;
use crate::pipeline::recorded::RecordedError;
use crate::slots::SlotError;

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state folder is in use.
    #[error("{}: another lintel-edge uses this state folder; stop it, or give another --state", .0.display())]
    InUse(PathBuf),
    /// The state folder cannot be made or locked.
    #[error("{}: {source}", path.display())]
    State {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No bundle was given, and none is installed.
    #[error("{}: no bundle is installed here; give one with --bundle DIR", .0.display())]
    NoBundle(PathBuf),
    /// The bundle cannot be used. What was installed before still is.
    #[error("bundle: {0}")]
    Bundle(#[from] BundleError),
    /// The bundle cannot be installed.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The recordings cannot be played.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The event file cannot be made.
    #[error(transparent)]
    Events(#[from] EventError),
    /// A setting is out of its range.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// The relay's line cannot be taken.
    #[error("relay: {0}")]
    Relay(#[from] RelayFailure),
    /// A wire of the door's cannot be read.
    #[error("inputs: {0}")]
    Inputs(#[from] InputError),
    /// Virtual time needs frames that have a time of their own.
    #[error("--fast plays recordings; a camera runs in real time: leave it out, or give --replay FILE_OR_DIR")]
    FastCamera,
    /// What a rig recorded cannot be used.
    #[error(transparent)]
    Recorded(#[from] RecordedError),
    /// The operating system gives no thread.
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
}

impl RunError {
    /// 1: the work failed; 2: what was given is not right.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::State { .. }
            | Self::Slot(SlotError::Disk { .. })
            | Self::Events(_)
            | Self::Relay(_)
            | Self::Inputs(_)
            | Self::Thread(_) => 1,
            Self::FastCamera
            | Self::Recorded(_)
            | Self::InUse(_)
            | Self::NoBundle(_)
            | Self::Bundle(_)
            | Self::Slot(_)
            | Self::Camera(_)
            | Self::Controller(_) => 2,
        }
    }
}
