//! Camera → vision → decision, as stages that never act on an old frame.
//!
//! ```text
//! capture ──mailbox──▶ vision ──mailbox──▶ executor ─▶ strike, display, audit log
//!    └──────────────── faults ───────────────┘
//! ```
//!
//! [`threads`] runs the stages side by side in real time, [`lockstep`] one after the other in virtual time. A stage
//! that fails, panics or hangs is a fault: the door locks, and the run ends with the reason.

use std::time::Duration;

use lintel_core::camera_watch::{CameraWatch, CameraWatchSettings, FlawChange};
use lintel_core::decision::Sighting;
use lintel_core::door::{CameraFault, Fault};
use lintel_core::frame::{Frame, FrameError};
use lintel_core::track::Tracker;
use lintel_inference::{FaceAnalyzer, RuntimeError};

use crate::health::Report;
use crate::io::camera::{Camera, CameraError, Trouble};

pub mod exchange;
pub mod executor;
pub mod lockstep;
pub mod recorded;
pub mod threads;

use executor::Executor;
use recorded::UnknownFrame;

/// The vision stage as the pipeline sees it: a frame in, what it shows out.
pub trait Analyzer: Send {
    /// Looks at one frame; `tracker` says which faces go on from the frames before.
    ///
    /// # Errors
    /// [`AnalyzerError`]: the door cannot recognise anybody.
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError>;
}

/// Why an analyzer cannot say what a frame shows.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzerError {
    /// The models cannot be used.
    #[error(transparent)]
    Models(#[from] RuntimeError),
    /// What was recorded says nothing of this frame.
    #[error(transparent)]
    Recorded(#[from] UnknownFrame),
}

impl Analyzer for FaceAnalyzer {
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError> {
        Ok(Self::look(self, frame, tracker)?)
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
    /// Follows the faces in them.
    pub tracker: Tracker,
    /// Decides and moves. [`Executor::start`] and [`Executor::ready`] were called.
    pub executor: Executor,
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
    /// What a frame shows cannot be said.
    #[error("vision: {0}")]
    Analyzer(#[from] AnalyzerError),
    /// A stage panicked.
    #[error("the {stage} stage died of a programming error; the door was locked")]
    Died {
        /// Capture, vision or decision.
        stage: &'static str,
    },
    /// A stage says nothing any more.
    #[error("the {stage} stage has not moved for {silent:?}; the door was locked")]
    Hangs {
        /// Capture, vision or decision.
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
pub const DECISION: &str = "decision";

/// Hears the camera's trouble, and logs its reason when it becomes a fault.
fn hear(watch: &mut CameraWatch, trouble: &Trouble) -> Option<FlawChange> {
    let change = watch.hear(trouble.fault, trouble.at);
    match change {
        Some(_) => tracing::warn!("camera {}", trouble.why),
        None => tracing::debug!("camera {}", trouble.why),
    }
    change
}

#[cfg(test)]
mod tests;
