//! `lintel demo` in words: each command before it runs, what came of it, and every visit at the end.

use serde_json::{Value, json};

use super::{Console, Told};
use crate::use_cases::demo::{Event, Outcome};

impl Console {
    /// Shows what happens while the demo runs.
    pub fn on_demo(&self, event: Event<'_>) {
        let told = |outcome: &dyn Told| outcome.lines().iter().for_each(|line| self.line(line));
        match event {
            Event::Command(line) => self.line(&format!("\n$ {line}")),
            Event::Kept(folder) => self.line(&format!("{} is there already", folder.display())),
            Event::Rendered(outcome) => told(outcome),
            Event::Ingested(outcome) => told(outcome),
            Event::Trained(outcome) => told(outcome),
            Event::Exported(outcome) => told(outcome),
            Event::Evaluated(outcome) => told(outcome),
            Event::Reported(outcome) => told(outcome),
            Event::Took(seconds) => self.line(&format!("({seconds:.1} s)")),
        }
    }
}

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new()];
        lines.extend(self.visits.text());
        lines.push(String::new());
        lines.push(format!("see {} and {}", self.sheet.display(), self.report.display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "sheet": self.sheet, "report": self.report, "visits": self.visits.visits })
    }
}
