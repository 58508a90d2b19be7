//! What a use case has to say → progress on stderr, results on stdout.
//!
//! Three audiences: a person at a terminal (bars), a log (one plain line now and then), a program (`--json`: one
//! object on stdout, nothing on stderr but an error). One module per verb puts its outcome into words.

mod ask;
mod audit;
mod bars;
mod bench;
mod demo;
pub mod device;
mod evaluate;
mod export;
mod ingest;
mod keys;
mod packs;
pub mod push;
mod quantize;
mod render;
mod report;
mod runtime;
mod table;
mod train;

use std::io::{IsTerminal, Write};

use lintel_work::failure::Failure;
use lintel_work::progress::Event;
use serde_json::Value;

use bars::Bars;

/// What came of a use case, for a person and for a program.
pub trait Told {
    /// Lines for a person.
    fn lines(&self) -> Vec<String>;

    /// The object that `--json` prints.
    fn json(&self) -> Value;

    /// Something to know that stops nothing.
    fn note(&self) -> Option<String> {
        None
    }

    /// Something that was asked for and missed, although the work was done: the exit code is then not 0.
    fn missed(&self) -> Option<Failure> {
        None
    }
}

/// Where the program speaks.
#[derive(Debug)]
pub struct Console {
    json: bool,
    bars: Bars,
}

impl Console {
    /// For the command line's `--json`; looks at whether stderr is a terminal.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json, bars: Bars::new(std::io::stderr().is_terminal()) }
    }

    /// Tells what came of a use case.
    ///
    /// # Errors
    /// What the outcome says was missed.
    pub fn tell(&self, outcome: &impl Told) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string_pretty(&outcome.json()).expect("results hold no maps with odd keys");
            print_line(&mut std::io::stdout().lock(), &text);
        } else {
            outcome.lines().iter().for_each(|line| self.line(line));
            outcome.note().iter().flat_map(|notes| notes.lines()).for_each(|note| self.on_event(Event::Note(note)));
        }
        outcome.missed().map_or(Ok(()), Err)
    }

    /// A line of the result before its end, for a person. Nothing with `--json`.
    pub fn line(&self, line: &str) {
        if !self.json {
            print_line(&mut std::io::stdout().lock(), &harmless(line));
        }
    }

    /// Shows an event of running work on stderr. Nothing with `--json`.
    pub fn on_event(&self, event: Event<'_>) {
        match event {
            _ if self.json => {}
            Event::Note(text) => self.bars.line(&format!("note: {}", harmless(text))),
            Event::Begun { what, steps } => self.bars.begin(what, steps),
            Event::Done { what, done, detail } => self.bars.set(what, done, detail),
            Event::Ended { what } => self.bars.end(what),
        }
    }

    /// Whether a person can be asked something.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal()
    }
}

/// What a device or a file calls itself must not move the cursor or colour the terminal.
fn harmless(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A closed pipe (`lintel … | head`) is the reader's choice and no reason to fail.
fn print_line(out: &mut impl Write, line: &str) {
    let _ = writeln!(out, "{line}");
}
