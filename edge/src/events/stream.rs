//! Occurrences of all threads → subscribers, each on a thread of its own behind a bounded queue.
//!
//! Nobody who publishes waits for a slow disk, but for [`Publisher::publish_durably`], which is there for that. A full
//! queue loses what comes next, and counts it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::{EventError, Occurrence, Subscriber, first_error};

/// Occurrences that may wait before one subscriber.
pub const MAX_WAITING: usize = 1024;
/// Occurrences that are settled together.
const BATCH: usize = 64;
/// A subscriber that failed is asked to settle again after so long.
const RETRY: Duration = Duration::from_secs(1);

struct Message {
    occurrence: Occurrence,
    /// Who is told once it is settled.
    settled: Option<SyncSender<()>>,
}

struct Queue {
    name: &'static str,
    /// `None` ends the thread.
    messages: SyncSender<Option<Message>>,
    filter: fn(&Occurrence) -> bool,
    durable: bool,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The last batch was not taken, or is not settled.
    failing: AtomicBool,
    lost: AtomicU64,
}

/// The queues and their threads. Dropping it waits until everything that was published is settled, or refused.
pub struct Stream {
    publisher: Publisher,
    threads: Vec<JoinHandle<()>>,
}

/// Publishes into a stream, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct Publisher(Arc<[Queue]>);

impl Stream {
    /// Starts a thread for each subscriber; its name is the thread's, and stands in errors.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(subscribers: Vec<(&'static str, Box<dyn Subscriber>)>) -> io::Result<Self> {
        let mut queues = Vec::with_capacity(subscribers.len());
        let mut threads = Vec::with_capacity(subscribers.len());
        for (name, mut subscriber) in subscribers {
            let (messages, inbox) = sync_channel(MAX_WAITING);
            let state = Arc::new(State::default());
            let (filter, durable) = (subscriber.filter(), subscriber.is_durable());
            queues.push(Queue { name, messages, filter, durable, state: Arc::clone(&state) });
            let serve = move || serve(name, &mut *subscriber, &inbox, &state);
            threads.push(Builder::new().name(name.to_owned()).spawn(serve)?);
        }
        Ok(Self { publisher: Publisher(queues.into()), threads })
    }

    /// A way in.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        for queue in &*self.publisher.0 {
            // An error: its thread has ended already.
            let _ = queue.messages.send(None);
        }
        for thread in self.threads.drain(..) {
            // A panic of the thread has been told as "its writer has ended".
            let _ = thread.join();
        }
    }
}

/// One subscriber's thread.
fn serve(name: &'static str, subscriber: &mut dyn Subscriber, inbox: &Receiver<Option<Message>>, state: &State) {
    let mut told = 0;
    let mut open = true;
    while open {
        let failing = state.failing.load(Ordering::SeqCst);
        let first = if failing { inbox.recv_timeout(RETRY) } else { inbox.recv().map_err(RecvTimeoutError::from) };
        let first = match first {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(None),
        };
        let mut done = Ok(());
        let mut waiting = Vec::new();
        for message in first.into_iter().chain(inbox.try_iter().take(BATCH - 1)) {
            match message {
                Some(Message { occurrence, settled }) => {
                    done = done.and(subscriber.notify(&occurrence));
                    waiting.extend(settled);
                }
                None => open = false,
            }
        }
        let lost = state.lost.load(Ordering::SeqCst);
        done = done.and(subscriber.settle(lost - told));
        told = lost;
        match &done {
            Err(e) if !failing => tracing::error!("{e}"),
            Ok(()) if failing => tracing::info!("{name}: events are written again"),
            _ => {}
        }
        state.failing.store(done.is_err(), Ordering::SeqCst);
        for publisher in waiting {
            // An error: it waits no longer.
            let _ = publisher.send(());
        }
    }
}

impl Queue {
    fn push(&self, occurrence: &Occurrence) -> Result<(), EventError> {
        let sent = match (self.filter)(occurrence) {
            true => self.messages.try_send(Some(Message { occurrence: occurrence.clone(), settled: None })),
            false => Ok(()),
        };
        match sent {
            Ok(()) if self.state.failing.load(Ordering::SeqCst) => Err(EventError::Failing(self.name)),
            Ok(()) => Ok(()),
            Err(e) => {
                self.state.lost.fetch_add(1, Ordering::SeqCst);
                Err(match e {
                    TrySendError::Full(_) => EventError::Full(self.name),
                    TrySendError::Disconnected(_) => EventError::Ended(self.name),
                })
            }
        }
    }

    /// Waits for a place in the queue, and until the subscriber has settled it.
    fn push_and_wait(&self, occurrence: &Occurrence) -> Result<(), EventError> {
        if !(self.filter)(occurrence) {
            return Ok(());
        }
        let (settled, wait) = sync_channel(1);
        let sent = self.messages.send(Some(Message { occurrence: occurrence.clone(), settled: Some(settled) }));
        let ended = sent.is_err() || wait.recv().is_err();
        if ended {
            self.state.lost.fetch_add(1, Ordering::SeqCst);
            return Err(EventError::Ended(self.name));
        }
        Ok(())
    }
}

impl Publisher {
    /// Publishes, and waits until every durable subscriber has made it durable, or its disk has refused, which the
    /// pipeline is told with its next event.
    ///
    /// # Errors
    /// The first subscriber that it did not reach; it reached the others.
    pub fn publish_durably(&self, occurrence: &Occurrence) -> Result<(), EventError> {
        let publish = |queue: &Queue| match queue.durable {
            true => queue.push_and_wait(occurrence),
            false => queue.push(occurrence),
        };
        first_error(self.0.iter().map(publish))
    }
}

impl Subscriber for Publisher {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        first_error(self.0.iter().map(|queue| queue.push(occurrence)))
    }

    fn lost(&self) -> u64 {
        self.0.iter().map(|queue| queue.state.lost.load(Ordering::SeqCst)).sum()
    }
}
