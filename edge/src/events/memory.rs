//! What happened → memory, for tests and programs that look at it afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lintel_wire::event::Event;

use super::{EventError, Occurrence, Subscriber};

/// What happened, in memory that somebody else reads. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<Occurrence>>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Vec<Occurrence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far, oldest first.
    #[must_use]
    pub fn occurrences(&self) -> Vec<Occurrence> {
        self.lock().clone()
    }

    /// The events of the door so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let door = |occurrence: &Occurrence| match occurrence {
            Occurrence::Door(event) => Some(event.clone()),
            Occurrence::Link { .. } => None,
        };
        self.lock().iter().filter_map(door).collect()
    }
}

impl Subscriber for Memory {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        self.lock().push(occurrence.clone());
        Ok(())
    }
}
