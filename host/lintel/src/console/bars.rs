//! Running work → a bar for each on a terminal, a plain line now and then in a log.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{harmless, print_line};

/// A log gets at most one progress line per this time and piece of work.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// All work that runs now.
#[derive(Debug)]
pub struct Bars {
    terminal: Option<MultiProgress>,
    running: Mutex<HashMap<String, Shown>>,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { steps: u64, said: Instant },
}

impl Bars {
    /// Bars where stderr is a `terminal`, lines otherwise.
    pub fn new(terminal: bool) -> Self {
        Self { terminal: terminal.then(MultiProgress::new), running: Mutex::default() }
    }

    /// A line on stderr, above the bars.
    pub fn line(&self, line: &str) {
        let print = || print_line(&mut std::io::stderr().lock(), line);
        match &self.terminal {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// Work of so many steps begins.
    pub fn begin(&self, what: &str, steps: u64) {
        let what = harmless(what);
        let shown = match &self.terminal {
            Some(bars) => Shown::Bar(bars.add(ProgressBar::new(steps).with_style(style()).with_prefix(what.clone()))),
            None => {
                print_line(&mut std::io::stderr().lock(), &format!("{what}: {steps} to do"));
                Shown::Lines { steps, said: now() }
            }
        };
        if let Ok(mut running) = self.running.lock() {
            running.insert(what, shown);
        }
    }

    /// So many steps of it are done.
    pub fn set(&self, what: &str, done: u64, detail: &str) {
        let (what, detail) = (harmless(what), harmless(detail));
        let Ok(mut running) = self.running.lock() else { return };
        match running.get_mut(&what) {
            Some(Shown::Bar(bar)) => {
                bar.set_message(detail);
                bar.set_position(done);
            }
            Some(Shown::Lines { steps, said }) if done < *steps && now().duration_since(*said) >= LINE_EVERY => {
                *said = now();
                let line = format!("{what}: {done}/{steps} {detail}");
                print_line(&mut std::io::stderr().lock(), line.trim_end());
            }
            Some(Shown::Lines { .. }) | None => {}
        }
    }

    /// It ended: its bar goes.
    pub fn end(&self, what: &str) {
        let shown = self.running.lock().ok().and_then(|mut running| running.remove(&harmless(what)));
        if let Some(Shown::Bar(bar)) = shown {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:<24} {wide_bar} {pos:>5}/{len} {eta:>4} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[allow(clippy::disallowed_methods, reason = "progress is shown in real time, and nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}
