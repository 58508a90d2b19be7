//! What happens at this device → everybody who is to know of it, through one stream.
//!
//! ```text
//! pipeline (door) ─┐
//!                  ├─▶ Occurrence ─▶ audit_log::subscriber, wire_file, json_lines, narrator, fault_board, memory
//! link (network) ──┘
//! ```
//!
//! Each subscriber is one file. In real time a [`stream::Stream`] stands between, so that no slow disk holds the door
//! up; in virtual time the pipeline notifies [`Everyone`] itself.

use std::io;
use std::path::PathBuf;

use lintel_core::time::Uptime;
use lintel_link::Fingerprint;
use lintel_wire::event::{Event, Text};
use lintel_wire::link::{Hash, Refusal};

pub mod fault_board;
pub mod json_lines;
pub mod memory;
pub mod narrator;
pub mod stream;
pub mod wire_file;

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is kept inline: the door's threads allocate nothing for it")]
pub enum Occurrence {
    /// At the door: what was seen, decided, moved and shown, and what failed.
    Door(Event),
    /// On the network.
    Link {
        /// When, since the daemon started.
        at: Uptime,
        /// What happened.
        event: LinkEvent,
    },
}

impl From<Event> for Occurrence {
    fn from(event: Event) -> Self {
        Self::Door(event)
    }
}

/// What workstations and callers did, and what somebody did to the pairings at the device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    /// A workstation was paired.
    Paired(Fingerprint),
    /// A workstation was taken off.
    Forgotten(Fingerprint),
    /// All workstations were forgotten, at the device.
    Unpaired,
    /// A caller was refused.
    Refused {
        /// Who, where the handshake came so far.
        caller: Option<Fingerprint>,
        /// The reason that the caller was given.
        why: Refusal,
    },
    /// Another bundle runs.
    Installed {
        /// Who pushed it.
        by: Fingerprint,
        /// Revision of its table.
        revision: u64,
        /// SHA-256 of its table.
        table: Hash,
        /// People who were removed by it.
        removed: u32,
    },
    /// The bundle before runs again.
    RolledBack {
        /// Who asked.
        by: Fingerprint,
        /// Revision of its table.
        revision: u64,
    },
}

/// Something that is told what happens, all of it. What it has no use for it leaves out itself.
pub trait Subscriber: Send {
    /// Takes one occurrence.
    ///
    /// # Errors
    /// When it could not be kept or shown; what was kept before is intact.
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError>;

    /// Makes durable what was taken. A stream calls it after each batch, every second while this subscriber fails, and
    /// once at the end. `lost` occurrences of those that it [wants](Self::filter) never reached it since the last call.
    ///
    /// # Errors
    /// When the disk refuses; what was taken waits.
    fn settle(&mut self, lost: u64) -> Result<(), EventError> {
        let _ = lost;
        Ok(())
    }

    /// What is worth a place in the queue before this subscriber.
    fn filter(&self) -> fn(&Occurrence) -> bool {
        |_| true
    }

    /// Whether [`stream::Publisher::publish_durably`] waits for this subscriber.
    fn is_durable(&self) -> bool {
        false
    }

    /// Occurrences that were lost without an error, so far.
    fn lost(&self) -> u64 {
        0
    }
}

/// An occurrence did not reach a subscriber, or was not kept by it.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A file or stream cannot be written.
    #[error("{}: event was not written ({source})", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is kept in memory until the disk takes it.
    #[error("{0}; entries wait")]
    Waits(Box<dyn std::error::Error + Send + Sync>),
    /// An earlier one was not written.
    #[error("{0}: an earlier event was not written")]
    Failing(&'static str),
    /// Too many wait already; this one is lost and counted.
    #[error("{0}: event is lost, the disk is too slow")]
    Full(&'static str),
    /// The subscriber's thread has ended; this one is lost and counted.
    #[error("{0}: event is lost, its writer has ended")]
    Ended(&'static str),
}

impl EventError {
    /// Standard output cannot be written.
    fn console(source: io::Error) -> Self {
        Self::Write { path: PathBuf::from("standard output"), source }
    }
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Subscriber for Nobody {
    fn notify(&mut self, _: &Occurrence) -> Result<(), EventError> {
        Ok(())
    }
}

/// Several subscribers; each is notified of everything, whatever became of the others. The first error is returned.
#[derive(Default)]
pub struct Everyone(pub Vec<Box<dyn Subscriber>>);

impl Subscriber for Everyone {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        first_error(self.0.iter_mut().map(|subscriber| subscriber.notify(occurrence)))
    }

    fn settle(&mut self, lost: u64) -> Result<(), EventError> {
        first_error(self.0.iter_mut().map(|subscriber| subscriber.settle(lost)))
    }

    fn lost(&self) -> u64 {
        self.0.iter().map(|subscriber| subscriber.lost()).sum()
    }
}

/// The first error of all; each is evaluated.
fn first_error<E>(results: impl Iterator<Item = Result<(), E>>) -> Result<(), E> {
    let mut first = Ok(());
    for result in results {
        first = first.and(result);
    }
    first
}

/// As much of a text as an event holds.
#[must_use]
pub fn text(whole: &str) -> Text {
    let mut text = Text::new();
    for c in whole.chars() {
        if text.push(c).is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests;
