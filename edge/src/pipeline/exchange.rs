//! A proved bundle → the running pipeline, between two frames.
//!
//! Whoever installs offers a replacement; the vision stage takes it before it looks at its next frame, and tells the
//! keeper. No frame waits, and none is looked at by two tables. Tracks and their votes go on.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_core::time::Uptime;
use lintel_wire::event::Started;

use super::Analyzer;
use super::keeper::Names;

/// What is to run from now on.
pub struct Replacement {
    /// Looks at frames.
    pub analyzer: Box<dyn Analyzer>,
    /// Names for the display.
    pub names: Names,
    /// What runs, for whoever reads the events.
    pub started: Started,
}

/// Where replacements are handed over. Cheap to clone.
#[derive(Clone, Default)]
pub struct Exchange(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    taken: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Option<Replacement>,
    removed: BTreeSet<PersonId>,
    code: Option<(String, Uptime)>,
    expired: bool,
}

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a replacement; an earlier one that was not taken yet is forgotten. Whether it was taken within `patience`.
    #[must_use]
    pub fn offer(&self, replacement: Replacement, patience: Duration) -> bool {
        let mut state = self.state();
        state.waiting = Some(replacement);
        let waiting = |state: &mut State| state.waiting.is_some();
        let (state, _) =
            self.0.taken.wait_timeout_while(state, patience, waiting).unwrap_or_else(PoisonError::into_inner);
        state.waiting.is_none()
    }

    /// The replacement, once.
    #[must_use]
    pub fn take(&self) -> Option<Replacement> {
        let taken = self.state().waiting.take();
        if taken.is_some() {
            self.0.taken.notify_all();
        }
        taken
    }

    /// The display shows this code until then; `None`: no longer.
    pub fn show_code(&self, code: Option<(String, Uptime)>) {
        self.state().code = code;
    }

    /// The code to be shown now.
    #[must_use]
    pub fn code(&self, now: Uptime) -> Option<String> {
        self.state().code.as_ref().filter(|(_, until)| now < *until).map(|(code, _)| code.clone())
    }

    /// Whether nobody is to be recognised, because nobody has vouched for the table for too long.
    pub fn set_expired(&self, expired: bool) {
        self.state().expired = expired;
    }

    /// What was set by [`Self::set_expired`].
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.state().expired
    }

    /// From this moment on these people are strangers, whatever the table that runs says; and only these.
    pub fn shut_out(&self, people: impl IntoIterator<Item = PersonId>) {
        self.state().removed = people.into_iter().collect();
    }

    /// Whether somebody is a stranger by [`Self::shut_out`].
    #[must_use]
    pub fn is_shut_out(&self, person: PersonId) -> bool {
        self.state().removed.contains(&person)
    }
}
