//! Events of the daemon → a stream of wire messages in a file, lines of JSON, or memory.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use lintel_wire::event::{self, Event, Text};

pub mod faults;
pub mod narrator;

/// Events that may wait for a slow disk; more are lost, and counted.
pub const MAX_WAITING: usize = 1024;

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

/// Something that takes events.
pub trait Sink: Send {
    /// Takes one event.
    ///
    /// # Errors
    /// When it could not be written; what was written before is intact.
    fn emit(&mut self, event: &Event) -> Result<(), EventError>;

    /// Events that were lost without an error, so far.
    fn lost(&self) -> u64 {
        0
    }
}

/// An event was not written.
#[derive(Debug, thiserror::Error)]
#[error("{}: event was not written ({why})", path.display())]
pub struct EventError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    pub why: String,
}

/// Takes events and forgets them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn emit(&mut self, _: &Event) -> Result<(), EventError> {
        Ok(())
    }
}

/// A file of wire messages. After a failed write the file is cut back to its last whole message.
#[derive(Debug)]
pub struct WireFile {
    path: PathBuf,
    file: File,
    whole: u64,
    buffer: Box<[u8]>,
}

impl WireFile {
    /// Creates the file; an older one of that name is replaced.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self, EventError> {
        let file = File::create(path).map_err(|e| EventError { path: path.to_owned(), why: e.to_string() })?;
        let buffer = vec![0; event::PREFIX + event::MAX_MESSAGE].into_boxed_slice();
        Ok(Self { path: path.to_owned(), file, whole: 0, buffer })
    }

    fn append(&mut self, length: usize) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.whole))?;
        if let Err(e) = self.file.write_all(&self.buffer[..length]) {
            self.file.set_len(self.whole)?;
            return Err(e);
        }
        self.whole += length as u64;
        Ok(())
    }
}

impl Sink for WireFile {
    fn emit(&mut self, event: &Event) -> Result<(), EventError> {
        let failed = |why: String| EventError { path: self.path.clone(), why };
        let length = event::encode(event, &mut self.buffer).map_err(|e| failed(e.to_string()))?;
        self.append(length).map_err(|e| EventError { path: self.path.clone(), why: e.to_string() })
    }
}

/// One JSON object a line.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Sink for JsonLines<W> {
    fn emit(&mut self, event: &Event) -> Result<(), EventError> {
        let failed = |why: String| EventError { path: PathBuf::from("standard output"), why };
        serde_json::to_writer(&mut self.out, event).map_err(|e| failed(e.to_string()))?;
        self.out.write_all(b"\n").and_then(|()| self.out.flush()).map_err(|e| failed(e.to_string()))
    }
}

/// Events in memory that somebody else reads. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<Event>>>);

impl Memory {
    /// The events so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for Memory {
    fn emit(&mut self, event: &Event) -> Result<(), EventError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        Ok(())
    }
}

/// Several sinks; each gets every event, whatever became of the others. The first error is told.
#[derive(Default)]
pub struct Tee(pub Vec<Box<dyn Sink>>);

impl Sink for Tee {
    fn emit(&mut self, event: &Event) -> Result<(), EventError> {
        let mut first = Ok(());
        for sink in &mut self.0 {
            let done = sink.emit(event);
            if first.is_ok() {
                first = done;
            }
        }
        first
    }

    fn lost(&self) -> u64 {
        self.0.iter().map(|sink| sink.lost()).sum()
    }
}

/// A sink on a thread of its own, so that a slow disk holds nobody up. An error is told with the next event; dropping
/// it waits until everything that was taken is written.
pub struct Detached {
    queue: Option<SyncSender<Event>>,
    writer: Option<JoinHandle<()>>,
    failed: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

impl Detached {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn spawn(mut sink: Box<dyn Sink>) -> io::Result<Self> {
        let (queue, events) = sync_channel::<Event>(MAX_WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failed);
        let writer = std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            for event in events {
                let done = sink.emit(&event);
                if let (Err(e), false) = (&done, told.load(Ordering::SeqCst)) {
                    tracing::warn!("{e}");
                }
                told.store(done.is_err(), Ordering::SeqCst);
            }
        })?;
        Ok(Self { queue: Some(queue), writer: Some(writer), failed, lost: Arc::default() })
    }
}

impl Sink for Detached {
    fn emit(&mut self, event: &Event) -> Result<(), EventError> {
        // Taken away only by `drop`, after which nobody emits.
        let Some(queue) = &self.queue else { return Ok(()) };
        let why = match queue.try_send(event.clone()) {
            Ok(()) if !self.failed.load(Ordering::SeqCst) => return Ok(()),
            Ok(()) => "an earlier one failed",
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::SeqCst);
                "the disk is too slow"
            }
            Err(TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::SeqCst);
                "its writer has ended"
            }
        };
        Err(EventError { path: PathBuf::from("events"), why: why.to_owned() })
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been told as "its writer has ended".
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use lintel_wire::event::EventKind;
    use lintel_wire::value::{Strike, Uptime};

    use super::*;

    fn events() -> Vec<Event> {
        let kinds = [EventKind::Relay(Strike::Released), EventKind::Relay(Strike::Locked), EventKind::Stopped];
        (1..).zip(kinds).map(|(ms, kind)| Event { at: Uptime::from_micros(ms), kind }).collect()
    }

    #[test]
    fn a_file_holds_what_was_emitted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let check = |sink: Box<dyn Sink>| {
            let mut sink = sink;
            for event in events() {
                sink.emit(&event).unwrap();
            }
            assert_eq!(sink.lost(), 0);
            drop(sink);
            let bytes = std::fs::read(&path).unwrap();
            let read: Result<Vec<Event>, _> = event::events(&bytes).collect();
            assert_eq!(read.unwrap(), events());
        };
        check(Box::new(WireFile::create(&path).unwrap()));
        check(Box::new(Detached::spawn(Box::new(WireFile::create(&path).unwrap())).unwrap()));
        check(Box::new(Tee(vec![Box::new(WireFile::create(&path).unwrap()), Box::new(Memory::default())])));
    }

    #[test]
    fn json_is_one_object_a_line() {
        let mut out = Vec::new();
        let mut sink = JsonLines::new(&mut out);
        for event in events() {
            sink.emit(&event).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let read: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, events());
    }

    /// `/dev/full` is a disk that is always full.
    #[test]
    fn a_full_disk_is_an_error_and_the_door_can_go_on() {
        let mut sink = WireFile::create(Path::new("/dev/full")).unwrap();
        for event in events() {
            let error = sink.emit(&event).unwrap_err().to_string();
            assert!(error.starts_with("/dev/full: event was not written"), "{error}");
        }
        let mut sink = Detached::spawn(Box::new(WireFile::create(Path::new("/dev/full")).unwrap())).unwrap();
        let told = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            sink.emit(&events()[0]).is_err()
        });
        assert!(told, "the error came back with a later event");
    }

    /// A sink that takes its time.
    struct Slow;

    impl Sink for Slow {
        fn emit(&mut self, _: &Event) -> Result<(), EventError> {
            std::thread::sleep(std::time::Duration::from_micros(200));
            Ok(())
        }
    }

    #[test]
    fn a_slow_disk_loses_events_and_holds_nobody_up() {
        let mut sink = Detached::spawn(Box::new(Slow)).unwrap();
        let event = &events()[0];
        let refused = (0..MAX_WAITING * 2).filter(|_| sink.emit(event).is_err()).count();
        assert!(refused > 0, "the queue is bounded");
        assert_eq!(sink.lost(), refused as u64);
    }
}
