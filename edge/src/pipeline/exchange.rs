//! A proved bundle → the running pipeline, between two frames.
//!
//! An installation offers a replacement; the vision stage takes it before its next frame and tells the executor. No
//! frame waits, and no frame is compared with two tables. Tracks and their votes go on.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_core::time::Uptime;
use lintel_wire::event::Started;

use super::Analyzer;
use lintel_core::controller::{Names, PairingCode};

/// What is to run from now on.
pub struct Replacement {
    /// Looks at frames.
    pub analyzer: Box<dyn Analyzer>,
    /// Names for the display.
    pub names: Names,
    /// The event that says what runs.
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
    news: News,
    /// Grows with every change of the news.
    version: u64,
}

/// What an installation tells the door controller.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// These people, and only these, are strangers, whatever the table that runs says.
    pub shut_out: BTreeSet<PersonId>,
    /// Nobody is to be recognised, because nobody has vouched for the table for too long.
    pub expired: bool,
    /// The display shows this code until then.
    pub pairing: Option<(PairingCode, Uptime)>,
}

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a replacement; an earlier one that was not taken yet is forgotten. Whether it was taken within
    /// `patience`.
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
        // A code that a display could not show is none.
        let code = code.and_then(|(code, until)| Some((PairingCode::try_from(code.as_str()).ok()?, until)));
        self.tell(|news| news.pairing = code);
    }

    /// Whether nobody is to be recognised, because nobody has vouched for the table for too long.
    pub fn set_expired(&self, expired: bool) {
        self.tell(|news| news.expired = expired);
    }

    /// From this moment on these people are strangers, whatever the table that runs says; and only these.
    pub fn shut_out(&self, people: impl IntoIterator<Item = PersonId>) {
        let people = people.into_iter().collect();
        self.tell(|news| news.shut_out = people);
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        let mut state = self.state();
        change(&mut state.news);
        state.version += 1;
    }

    /// What was told since the version `heard`, which becomes today's; `None`: nothing.
    #[must_use]
    pub fn news(&self, heard: &mut u64) -> Option<News> {
        let state = self.state();
        (state.version != *heard).then(|| {
            *heard = state.version;
            state.news.clone()
        })
    }
}
