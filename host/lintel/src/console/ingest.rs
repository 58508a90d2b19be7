//! `lintel ingest` in words: a line for each rejected photo, and the totals.

use std::collections::BTreeMap;

use lintel_photos::ingest::Reason;
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::ingest::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let people = &self.people.people;
        let mut lines = Vec::new();
        let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
        for person in people {
            for rejected in &person.rejected {
                *reasons.entry(rejected.reason).or_default() += 1;
                let (name, source) = (&person.name, &rejected.source);
                lines.push(format!("  {name}: {source}: {} ({})", rejected.reason.text(), rejected.detail));
            }
        }
        let crops: usize = people.iter().map(|person| person.crops.len()).sum();
        let mut total = format!("{crops} faces of {} people", people.len());
        if !lines.is_empty() {
            let counts: Vec<String> =
                reasons.iter().map(|(reason, count)| format!("{count} {}", reason.text())).collect();
            total.push_str(&format!("; {} photos rejected: {}", lines.len(), counts.join(", ")));
        }
        lines.push(total);
        lines.push(format!("wrote {}; look at {} before you train", self.out.display(), self.sheet.display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "sheet": self.sheet, "people": self.people.people })
    }
}
