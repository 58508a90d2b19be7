//! Landmarks and crop → whether the picture of a face is good enough to compare: the quality gate.

use std::ops::ControlFlow;

use super::stage::{Stage, Subject};
use crate::error::RuntimeError;
use lintel_core::frame::Frame;
use lintel_core::quality::{self, QualityFlaw, QualityLimits};

/// Refuses faces that are too small or turned away, by their landmarks: before any crop is cut out.
#[derive(Debug)]
pub struct LandmarkGate(pub QualityLimits);

impl Stage for LandmarkGate {
    fn look(&mut self, _: &Frame<'_>, subject: &mut Subject<'_>) -> Result<ControlFlow<QualityFlaw>, RuntimeError> {
        Ok(refused(self.0.check_landmarks(&subject.seen.quality)))
    }
}

/// Refuses crops that are blurred.
#[derive(Debug)]
pub struct SharpnessGate(pub QualityLimits);

impl Stage for SharpnessGate {
    fn look(&mut self, _: &Frame<'_>, subject: &mut Subject<'_>) -> Result<ControlFlow<QualityFlaw>, RuntimeError> {
        subject.seen.quality.sharpness = quality::sharpness(subject.crop);
        Ok(refused(self.0.check(&subject.seen.quality)))
    }
}

fn refused(checked: Result<(), QualityFlaw>) -> ControlFlow<QualityFlaw> {
    checked.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}
