//! Aligned crop → embedding → the track's aggregate → who it may be.

use std::ops::ControlFlow;

use super::stage::{Stage, Subject};
use crate::encoder::Encoder;
use crate::error::RuntimeError;
use lintel_core::aggregate::Aggregator;
use lintel_core::embed::Embedding;
use lintel_core::frame::Frame;
use lintel_core::quality::QualityFlaw;
use lintel_core::table::Table;
use lintel_core::track::Tracker;

/// Compares each face with the identity table.
#[derive(Debug)]
pub struct Identification {
    /// The image encoder, in its session.
    pub encoder: Encoder,
    /// The identity table.
    pub table: Table,
    aggregator: Aggregator,
}

impl Identification {
    /// The table must be for this encoder.
    ///
    /// # Errors
    /// [`RuntimeError::Table`] for a table of another encoder.
    pub fn new(encoder: Encoder, table: Table) -> Result<Self, RuntimeError> {
        // Any embedding will do: a table that does not fit is found here, and not at the first face.
        table.score(&Embedding::new(&vec![1.0; encoder.dim()], encoder.id())?)?;
        Ok(Self { encoder, aggregator: Aggregator::new(&table), table })
    }
}

impl Stage for Identification {
    fn on_frame(&mut self, tracker: &Tracker) {
        self.aggregator.keep(tracker.tracks());
    }

    fn look(&mut self, frame: &Frame<'_>, subject: &mut Subject<'_>) -> Result<ControlFlow<QualityFlaw>, RuntimeError> {
        let single = self.encoder.embed(subject.crop)?;
        let embedding = self.aggregator.add(subject.seen.track, frame.captured(), &single);
        subject.seen.opinion = Some(self.table.opinion(&self.table.score(&embedding)?));
        Ok(ControlFlow::Continue(()))
    }
}
