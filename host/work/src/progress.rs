//! Running work → events for the program around it: steps done, and notes.
//!
//! A use case gets a [`Progress`] and does not know terminals: the command line draws bars from the events, and a test
//! ignores them.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// One event of running work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A piece of work begins.
    Begun {
        /// A few words, present tense: "encoding faces". No other running work has the same.
        what: &'a str,
        /// Steps that it takes.
        steps: u64,
    },
    /// Some of it is done.
    Done {
        /// As in [`Event::Begun`].
        what: &'a str,
        /// Steps that are done by now, 0 to `steps`. A transfer that starts over goes back.
        done: u64,
        /// A loss, or a file's name; may be empty.
        detail: &'a str,
    },
    /// It ended, well or not.
    Ended {
        /// As in [`Event::Begun`].
        what: &'a str,
    },
    /// Information that stops nothing.
    Note(&'a str),
}

/// Receives the events of running work; may be called from several threads at once.
#[derive(Clone, Copy)]
pub struct Progress<'a>(&'a (dyn Fn(Event<'_>) + Sync));

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

impl<'a> Progress<'a> {
    /// Calls `on_event` for each event.
    pub fn new(on_event: &'a (dyn Fn(Event<'_>) + Sync)) -> Self {
        Self(on_event)
    }

    /// Ignores all events.
    #[must_use]
    pub fn ignored() -> Progress<'static> {
        Progress(&|_| {})
    }

    /// Sends information that stops nothing.
    pub fn note(&self, text: impl AsRef<str>) {
        (self.0)(Event::Note(text.as_ref()));
    }

    /// Begins a piece of work, which ends when the result is dropped.
    #[must_use]
    pub fn begin(&self, what: impl Into<Cow<'static, str>>, steps: u64) -> Work<'a> {
        let what = what.into();
        (self.0)(Event::Begun { what: &what, steps });
        Work { progress: *self, what, done: AtomicU64::new(0) }
    }
}

/// A piece of work that has begun. May be shared between threads.
#[derive(Debug)]
pub struct Work<'a> {
    progress: Progress<'a>,
    what: Cow<'static, str>,
    done: AtomicU64,
}

impl Work<'_> {
    /// One step is done.
    pub fn step(&self) {
        self.step_with("");
    }

    /// One step is done; `detail` is shown beside it (a loss, a file's name).
    pub fn step_with(&self, detail: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.progress.0)(Event::Done { what: &self.what, done, detail });
    }

    /// Jumps to `done` steps: work that resumed, or a transfer that starts over.
    pub fn set(&self, done: u64) {
        self.set_with(done, "");
    }

    /// Jumps to `done` steps; `detail` is shown beside them.
    pub fn set_with(&self, done: u64, detail: &str) {
        self.done.store(done, Ordering::Relaxed);
        (self.progress.0)(Event::Done { what: &self.what, done, detail });
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        (self.progress.0)(Event::Ended { what: &self.what });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn work_tells_its_beginning_its_steps_and_its_end() {
        let heard = Mutex::new(Vec::new());
        let hear = |event: Event<'_>| heard.lock().expect("no panic").push(format!("{event:?}"));
        let progress = Progress::new(&hear);
        let work = progress.begin("encoding faces", 3);
        work.set(1);
        work.step_with("a.jpg");
        drop(work);
        progress.note("one face is small");
        assert_eq!(
            heard.into_inner().expect("no panic"),
            [
                "Begun { what: \"encoding faces\", steps: 3 }",
                "Done { what: \"encoding faces\", done: 1, detail: \"\" }",
                "Done { what: \"encoding faces\", done: 2, detail: \"a.jpg\" }",
                "Ended { what: \"encoding faces\" }",
                "Note(\"one face is small\")",
            ]
        );
    }
}
