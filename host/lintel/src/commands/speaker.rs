//! The console of verbs that are not yet use cases.
//!
//! Three audiences: a person at a terminal (bars), a log (one plain line now and then), a program (`--json`: one
//! object on stdout, nothing on stderr but an error).

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// A log gets at most one progress line per this time and step.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where a command speaks.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    talks: bool,
    json: bool,
    terminal: bool,
}

impl Console {
    /// For the command line's `--json`; looks at whether stderr is a terminal.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { talks: !json, json, terminal: std::io::stderr().is_terminal() }
    }

    /// Says nothing at all: for a verb that is one step of another.
    #[must_use]
    pub fn silent() -> Self {
        Self { talks: false, json: false, terminal: false }
    }

    /// The result for a person: a line on stdout. Nothing with `--json`.
    pub fn say(&self, line: impl AsRef<str>) {
        if self.talks {
            print_line(&mut std::io::stdout().lock(), &harmless(line.as_ref()));
        }
    }

    /// The result for a program: one JSON object on stdout. Nothing without `--json`.
    pub fn result(&self, value: &impl Serialize) {
        if self.json {
            let text = serde_json::to_string_pretty(value).expect("results hold no maps with odd keys");
            print_line(&mut std::io::stdout().lock(), &text);
        }
    }

    /// Something to know that stops nothing: a line on stderr. Nothing with `--json`.
    pub fn note(&self, line: impl AsRef<str>) {
        if self.talks {
            print_line(&mut std::io::stderr().lock(), &format!("note: {}", harmless(line.as_ref())));
        }
    }

    /// Progress over `steps` steps of `what` (a few words, present tense: "looking for faces").
    #[must_use]
    pub fn progress(&self, what: &'static str, steps: u64) -> Progress {
        let kind = match (self.talks, self.terminal) {
            (false, _) => Kind::Quiet,
            (true, true) => Kind::Bar(bar(what, steps)),
            (true, false) => {
                print_line(&mut std::io::stderr().lock(), &format!("{what}: {steps} to do"));
                Kind::Lines(Mutex::new(Pace { done: 0, said: now() }))
            }
        };
        Progress { what, steps, kind }
    }

    /// Whether a person listens.
    #[must_use]
    pub fn talks(&self) -> bool {
        self.talks
    }
}

/// One step of the work as the person waiting sees it. Ends when dropped; may be shared between threads.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    steps: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Quiet,
    Bar(ProgressBar),
    Lines(Mutex<Pace>),
}

#[derive(Debug)]
struct Pace {
    done: u64,
    said: std::time::Instant,
}

impl Progress {
    /// One step is done.
    pub fn step(&self) {
        self.step_with("");
    }

    /// One step is done; `detail` is shown beside the bar (a loss, a file's name).
    pub fn step_with(&self, detail: &str) {
        match &self.kind {
            Kind::Quiet => {}
            Kind::Bar(bar) => {
                bar.set_message(detail.to_owned());
                bar.inc(1);
            }
            Kind::Lines(pace) => {
                let Ok(mut pace) = pace.lock() else { return };
                pace.done += 1;
                if now().duration_since(pace.said) >= LINE_EVERY && pace.done < self.steps {
                    pace.said = now();
                    let line = format!("{}: {}/{} {detail}", self.what, pace.done, self.steps);
                    print_line(&mut std::io::stderr().lock(), line.trim_end());
                }
            }
        }
    }

    /// Jumps to `done` steps (work that resumed).
    pub fn set(&self, done: u64) {
        match &self.kind {
            Kind::Quiet => {}
            Kind::Bar(bar) => bar.set_position(done),
            Kind::Lines(pace) => {
                if let Ok(mut pace) = pace.lock() {
                    pace.done = done;
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<24} {wide_bar} {pos:>5}/{len} {eta:>4} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
    bar.with_style(style).with_prefix(what)
}

/// What a device or a file calls itself must not move the cursor or colour the terminal.
fn harmless(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A closed pipe (`lintel … | head`) is the reader's choice and no reason to fail.
fn print_line(out: &mut impl Write, line: &str) {
    let _ = writeln!(out, "{line}");
}

#[allow(clippy::disallowed_methods, reason = "progress is shown in real time, and nothing is decided by it")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
