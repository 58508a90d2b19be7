//! What happened → entries of the audit log.

use lintel_core::time::Uptime;
use lintel_wire::audit::Entry;
use lintel_wire::event::{Event, EventKind, Verdict};

use super::AuditLog;
use crate::events::{EventError, LinkEvent, Occurrence, Subscriber};

/// The audit log as a subscriber: it takes occurrences, and writes them when they are settled.
pub struct AuditLogSubscriber {
    log: AuditLog,
    /// Taken, and not handed to the log yet.
    taken: Vec<(Uptime, Entry)>,
    /// Revision of the table that decides.
    revision: u64,
}

impl AuditLog {
    /// What the stream notifies.
    #[must_use]
    pub fn subscriber(&self) -> AuditLogSubscriber {
        AuditLogSubscriber { log: self.clone(), taken: Vec::new(), revision: 0 }
    }
}

impl AuditLogSubscriber {
    fn entry(&mut self, occurrence: &Occurrence) -> Option<(Uptime, Entry)> {
        match occurrence {
            Occurrence::Door(event) => {
                if let EventKind::Started(started) = &event.kind {
                    self.revision = started.revision;
                }
                Some((event.at.into(), of_door(event, self.revision)?))
            }
            Occurrence::Link { at, event } => Some((*at, of_link(event))),
        }
    }
}

/// Whether something is kept: all of the network, and of the door what decides, moves or fails.
fn is_kept(occurrence: &Occurrence) -> bool {
    match occurrence {
        Occurrence::Door(event) => of_door(event, 0).is_some(),
        Occurrence::Link { .. } => true,
    }
}

fn of_door(event: &Event, revision: u64) -> Option<Entry> {
    Some(match &event.kind {
        EventKind::Started(started) => Entry::Started { revision: started.revision, people: started.people },
        EventKind::Decision(decision) => {
            let scores = &decision.scores;
            let (similarity, margin, confidence) = (scores.similarity, scores.margin, scores.confidence);
            match decision.verdict {
                Verdict::Known(person) => Entry::Recognised { person, revision, similarity, margin, confidence },
                Verdict::Stranger => Entry::NotRecognised { revision, similarity, margin, confidence },
            }
        }
        EventKind::Relay(strike) => Entry::Relay(*strike),
        EventKind::Contact(contact) => Entry::Contact(*contact),
        EventKind::Fault(fault) => Entry::Fault(*fault),
        EventKind::FaultCleared(fault) => Entry::FaultCleared(*fault),
        EventKind::Stopped => Entry::Stopped,
        EventKind::LockedOut { seconds, refusals } => Entry::LockedOut { seconds: *seconds, refusals: *refusals },
        EventKind::Visit { .. } | EventKind::Sighting(_) | EventKind::Door(_) | EventKind::Screen(_) => return None,
    })
}

fn of_link(event: &LinkEvent) -> Entry {
    match event {
        LinkEvent::Paired(who) => Entry::Paired(who.0),
        LinkEvent::Forgotten(who) => Entry::Forgotten(who.0),
        LinkEvent::Unpaired => Entry::Unpaired,
        LinkEvent::Refused { caller, why } => Entry::CallerRefused { caller: caller.map(|who| who.0), why: *why },
        LinkEvent::Installed { by, revision, table, removed } => {
            Entry::Installed { by: by.0, revision: *revision, table: *table, removed: *removed }
        }
        LinkEvent::RolledBack { by, revision } => Entry::RolledBack { by: by.0, revision: *revision },
    }
}

impl Subscriber for AuditLogSubscriber {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        let entry = self.entry(occurrence);
        self.taken.extend(entry);
        Ok(())
    }

    fn settle(&mut self, lost: u64) -> Result<(), EventError> {
        if lost > 0 {
            self.taken.push((self.log.0.clocks.monotonic.now(), Entry::Lost { entries: lost }));
        }
        self.log.keep(self.taken.drain(..)).map_err(|e| EventError::Waits(Box::new(e)))
    }

    fn filter(&self) -> fn(&Occurrence) -> bool {
        is_kept
    }

    fn is_durable(&self) -> bool {
        true
    }
}

impl Drop for AuditLogSubscriber {
    fn drop(&mut self) {
        // Nothing is taken where a stream has settled it before.
        let kept = self.log.keep(self.taken.drain(..));
        if kept.is_err() {
            tracing::error!("audit log: {} entries are lost with this stop", self.log.waiting());
        }
    }
}
