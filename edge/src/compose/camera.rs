//! `[camera]` → a camera, or recordings.

use super::error::RunError;
use super::options::RunOptions;
use crate::config::CameraKind;
use crate::io::camera::Camera;
use crate::io::camera::replay::{Pace, Replay};
use crate::io::camera::v4l2::V4l2Camera;
use crate::io::clock::Clock;

/// The camera that the settings name.
pub(super) fn open(options: &RunOptions, clock: &Clock) -> Result<Box<dyn Camera>, RunError> {
    let camera = &options.config.camera;
    match camera.kind {
        CameraKind::Replay => {
            let pace = if options.fast { Pace::Virtual } else { Pace::RealTime(clock.clone()) };
            Ok(Box::new(Replay::new(&camera.recordings, camera.gap_s.duration(), pace)?))
        }
        CameraKind::V4l2 if options.fast => Err(RunError::FastCamera),
        CameraKind::V4l2 => Ok(Box::new(V4l2Camera::new(options.config.v4l2_settings(), clock.clone()))),
    }
}
