//! Events of the pipeline → entries of the journal, on a thread of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use lintel_core::time::Uptime;
use lintel_wire::audit::Entry;
use lintel_wire::event::{Event, EventKind, Verdict};

use super::AuditLog;
use crate::events::{EventError, Sink};

/// Entries that may wait for a slow disk; more are lost, counted, and the count is an entry itself.
const MAX_QUEUED: usize = 1024;
/// Entries that are made durable together.
const BATCH: usize = 64;
/// How often a disk that refused is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Takes events, waits for nothing. Dropping it waits until everything that was taken is on the disk, or refused by it.
pub struct AuditLogSink {
    queue: Option<SyncSender<(Uptime, Entry)>>,
    writer: Option<JoinHandle<()>>,
    failing: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    revision: u64,
}

impl AuditLog {
    /// Where the pipeline's events go.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn sink(&self) -> io::Result<AuditLogSink> {
        let (queue, entries) = sync_channel(MAX_QUEUED);
        let (failing, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (journal, told, missed) = (self.clone(), Arc::clone(&failing), Arc::clone(&lost));
        let write = move || keep(&journal, &entries, &told, &missed);
        let writer = std::thread::Builder::new().name("journal".to_owned()).spawn(write)?;
        Ok(AuditLogSink { queue: Some(queue), writer: Some(writer), failing, lost, revision: 0 })
    }
}

fn keep(journal: &AuditLog, entries: &Receiver<(Uptime, Entry)>, failing: &AtomicBool, lost: &AtomicU64) {
    let mut noted = 0;
    loop {
        let waits = failing.load(Ordering::SeqCst);
        let first = if waits { entries.recv_timeout(RETRY) } else { entries.recv().map_err(RecvTimeoutError::from) };
        let mut batch: Vec<_> = match first {
            Ok(first) => [first].into_iter().chain(entries.try_iter().take(BATCH - 1)).collect(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => {
                // A last try for what waits.
                if waits && journal.keep([]).is_err() {
                    tracing::error!("journal: {} entries are lost with this stop", journal.waiting());
                }
                return;
            }
        };
        let missed = lost.load(Ordering::SeqCst);
        if missed > noted {
            batch.push((journal.0.clock.now(), Entry::Lost { entries: missed - noted }));
            noted = missed;
        }
        let done = journal.keep(batch);
        match &done {
            Err(e) if !waits => tracing::error!("{e}; entries wait"),
            Ok(()) if waits => tracing::info!("journal: the disk takes entries again"),
            _ => {}
        }
        failing.store(done.is_err(), Ordering::SeqCst);
    }
}

impl AuditLogSink {
    /// What of an event is kept.
    fn entry(&mut self, event: &Event) -> Option<Entry> {
        Some(match &event.kind {
            EventKind::Started(started) => {
                self.revision = started.revision;
                Entry::Started { revision: started.revision, people: started.people }
            }
            EventKind::Decision(decision) => {
                let scores = &decision.scores;
                let (revision, similarity) = (self.revision, scores.similarity);
                let (margin, confidence) = (scores.margin, scores.confidence);
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
            EventKind::Visit { .. } | EventKind::Sighting(_) | EventKind::Door(_) | EventKind::Screen(_) => {
                return None;
            }
        })
    }
}

impl Sink for AuditLogSink {
    fn emit(&mut self, event: &Event) -> Result<(), EventError> {
        let entry = self.entry(event);
        // Taken away only by `drop`, after which nobody emits.
        let Some(queue) = &self.queue else { return Ok(()) };
        let sent = entry.map_or(Ok(()), |entry| queue.try_send((event.at.into(), entry)));
        let why = match sent {
            Ok(()) if !self.failing.load(Ordering::SeqCst) => return Ok(()),
            Ok(()) => "the disk refuses; entries wait",
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::SeqCst);
                "the disk is too slow"
            }
            Err(TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::SeqCst);
                "its writer has ended"
            }
        };
        Err(EventError { path: PathBuf::from("journal"), why: why.to_owned() })
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for AuditLogSink {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been told as "its writer has ended".
            let _ = writer.join();
        }
    }
}
