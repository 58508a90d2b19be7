//! Landmarks → the aligned crop that the encoder takes.

use std::ops::ControlFlow;

use super::stage::{Stage, Subject};
use crate::error::RuntimeError;
use lintel_core::align::{crop_transform, warp};
use lintel_core::frame::Frame;
use lintel_core::quality::{QualityFlaw, QualityLimits};

/// Cuts out the face so that its landmarks lie where the encoder expects them.
#[derive(Debug)]
pub struct Alignment(pub QualityLimits);

impl Stage for Alignment {
    fn look(&mut self, frame: &Frame<'_>, subject: &mut Subject<'_>) -> Result<ControlFlow<QualityFlaw>, RuntimeError> {
        let Ok(transform) = crop_transform(&subject.seen.face.landmarks) else {
            // No crop can be cut out: these are not the landmarks of a face that looks this way.
            return Ok(ControlFlow::Break(QualityFlaw::TurnedAway { got: 1.0, wanted: self.0.max_turn }));
        };
        warp(frame, &transform, subject.crop);
        Ok(ControlFlow::Continue(()))
    }
}
