//! Events → the faults that hold now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lintel_wire::event::{Event, EventKind};
use lintel_wire::value::Fault;

use super::{EventError, Occurrence, Subscriber};

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

impl Subscriber for FaultBoard {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        let mut faults = self.lock();
        match occurrence {
            Occurrence::Door(Event { kind: EventKind::Fault(fault), .. }) if !faults.contains(fault) => {
                faults.push(*fault);
            }
            Occurrence::Door(Event { kind: EventKind::FaultCleared(fault), .. }) => {
                faults.retain(|there| there != fault);
            }
            // Callers on the network make no faults.
            Occurrence::Door(_) | Occurrence::Link { .. } => {}
        }
        Ok(())
    }
}
