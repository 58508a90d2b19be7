//! `[camera]` → a camera, or recordings.

use std::path::PathBuf;
use std::time::Duration;

use super::error::RunError;
use crate::config::{CameraKind, Config};
use crate::io::camera::Camera;
use crate::io::camera::replay::{Pace, Replay};
use crate::io::camera::v4l2::{V4l2Camera, V4l2Settings};
use crate::io::clock::Clock;

/// The camera that the settings ask for.
#[derive(Clone, PartialEq, Debug)]
pub enum CameraPlan {
    /// Recordings, one after another.
    Replay {
        /// Files, or folders of them.
        recordings: Vec<PathBuf>,
        /// The time between two.
        gap: Duration,
    },
    /// A camera of the kernel's.
    V4l2(V4l2Settings),
}

/// What `[camera]` asks for; opens nothing.
#[must_use]
pub fn plan(config: &Config) -> CameraPlan {
    let camera = &config.camera;
    match camera.kind {
        CameraKind::Replay => {
            CameraPlan::Replay { recordings: camera.recordings.clone(), gap: camera.gap_s.duration() }
        }
        CameraKind::V4l2 => CameraPlan::V4l2(config.v4l2_settings()),
    }
}

/// The camera of a plan; `fast` plays recordings in virtual time.
pub(super) fn open(plan: CameraPlan, fast: bool, clock: &Clock) -> Result<Box<dyn Camera>, RunError> {
    match plan {
        CameraPlan::Replay { recordings, gap } => {
            let pace = if fast { Pace::Virtual } else { Pace::RealTime(clock.clone()) };
            Ok(Box::new(Replay::new(&recordings, gap, pace)?))
        }
        CameraPlan::V4l2(_) if fast => Err(RunError::FastCamera),
        CameraPlan::V4l2(settings) => Ok(Box::new(V4l2Camera::new(settings, clock.clone()))),
    }
}
