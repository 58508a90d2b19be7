//! Camera → vision → keeper, as stages that never act on an old frame.
//!
//! ```text
//! capture ──mailbox──▶ vision ──mailbox──▶ keeper ─▶ strike, display, events
//!    └──────────────── faults ───────────────┘
//! ```
//!
//! [`threads`] runs the stages side by side in real time, [`lockstep`] one after the other in virtual time. A stage
//! that fails, panics or hangs is a fault: the door locks, and the run ends with the reason.

use std::time::Duration;

use lintel_core::decision::Sighting;
use lintel_core::door::{CameraFault, Fault};
use lintel_core::frame::{Frame, FrameError};
use lintel_inference::FaceAnalyzer;

use crate::health::{CameraWatch, CameraWatchSettings, FlawChange, Report};
use crate::io::camera::{Camera, CameraError, Trouble};

pub mod exchange;
pub mod keeper;
pub mod lockstep;
pub mod recorded;
pub mod threads;

use keeper::Keeper;

/// The vision stage as the pipeline sees it: a frame in, what it shows out.
pub trait Analyzer: Send {
    /// Looks at one frame.
    ///
    /// # Errors
    /// When the models cannot be used; the text says why.
    fn look(&mut self, frame: &Frame<'_>) -> Result<Sighting, String>;
}

impl Analyzer for FaceAnalyzer {
    fn look(&mut self, frame: &Frame<'_>) -> Result<Sighting, String> {
        Self::look(self, frame).map_err(|e| e.to_string())
    }
}

/// Everything that a run needs.
pub struct Stages {
    /// Gives the pictures.
    pub camera: Box<dyn Camera>,
    /// When the camera is ill.
    pub watch: CameraWatchSettings,
    /// Looks at them.
    pub analyzer: Box<dyn Analyzer>,
    /// Decides. [`Keeper::start`] and [`Keeper::ready`] were called.
    pub keeper: Keeper,
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// The camera had no more pictures, and the door came to rest.
    Played,
    /// Somebody asked to stop.
    Stopped,
    /// A stage failed; the door is locked.
    Failed(StageError),
}

/// Why a stage could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// No picture where one should be.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The camera gave a picture that is none.
    #[error("camera gave an impossible picture: {0}")]
    Picture(#[from] FrameError),
    /// The models cannot be used.
    #[error("vision: {0}")]
    Analyzer(String),
    /// A stage panicked.
    #[error("the {stage} stage died of a programming error; the door was locked")]
    Died {
        /// Its name.
        stage: &'static str,
    },
    /// A stage says nothing any more.
    #[error("the {stage} stage has not moved for {silent:?}; the door was locked")]
    Hangs {
        /// Its name.
        stage: &'static str,
        /// For how long.
        silent: Duration,
    },
}

impl StageError {
    /// The fault that the door sees.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Camera(CameraError::Frame { .. }) | Self::Picture(_) => Fault::Camera(CameraFault::Corrupt),
            Self::Camera(_) | Self::Died { stage: CAPTURE } | Self::Hangs { stage: CAPTURE, .. } => {
                Fault::Camera(CameraFault::Gone)
            }
            Self::Analyzer(_) | Self::Died { .. } | Self::Hangs { .. } => Fault::Model,
        }
    }
}

/// A run's end, and what it was like.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it was like.
    pub report: Report,
}

/// Name of the capture stage.
pub const CAPTURE: &str = "capture";
/// Name of the vision stage.
pub const VISION: &str = "vision";
/// Name of the stage that listens to the door's wires.
pub const INPUTS: &str = "inputs";
/// Name of the deciding stage.
pub const KEEPER: &str = "decision";

/// Tells the keeper about a flaw of the camera.
fn tell_flaw(keeper: &mut Keeper, change: FlawChange, now: lintel_core::time::Uptime) {
    match change {
        FlawChange::Raised(flaw) => keeper.on_fault(Fault::Camera(flaw), now),
        FlawChange::Cleared(flaw) => keeper.on_fault_cleared(Fault::Camera(flaw), now),
    }
}

/// Hears the camera's trouble, and logs its reason when it becomes a fault.
fn hear(watch: &mut CameraWatch, trouble: &Trouble) -> Option<FlawChange> {
    let change = watch.hear(trouble);
    match change {
        Some(_) => tracing::warn!("camera {}", trouble.why),
        None => tracing::debug!("camera {}", trouble.why),
    }
    change
}

#[cfg(test)]
mod tests;
