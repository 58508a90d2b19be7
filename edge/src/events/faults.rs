//! Events → the faults of the moment, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lintel_wire::event::{Event, EventKind};
use lintel_wire::value::Fault;

use super::{EventError, Sink};

/// Keeps the faults that the events tell of. Cheap to clone.
#[derive(Clone, Default)]
pub struct FaultBoard(Arc<Mutex<Vec<Fault>>>);

impl FaultBoard {
    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults of the moment, in words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.lock().iter().map(ToString::to_string).collect()
    }
}

impl Sink for FaultBoard {
    fn emit(&mut self, event: &Event) -> Result<(), EventError> {
        let mut faults = self.lock();
        match event.kind {
            EventKind::Fault(fault) if !faults.contains(&fault) => faults.push(fault),
            EventKind::FaultCleared(fault) => faults.retain(|there| *there != fault),
            _ => {}
        }
        Ok(())
    }
}
