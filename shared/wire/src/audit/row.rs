//! A record → one row with the columns that people and their spreadsheets read.

use alloc::format;
use alloc::string::{String, ToString as _};

use serde::Serialize;

use super::{Entry, Record};

/// The columns, in order.
pub const COLUMNS: [&str; 11] =
    ["sequence", "clock", "boot", "at_s", "what", "person", "revision", "similarity", "margin", "confidence", "detail"];

/// One row; as JSON its keys are [`COLUMNS`].
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Place in the journal, from 1.
    pub sequence: u64,
    /// The device's wall clock, in seconds since 1970; it may be wrong.
    pub clock: u64,
    /// How often the daemon had started.
    pub boot: u32,
    /// Seconds since that start.
    pub at_s: f64,
    /// What happened, in a word.
    pub what: &'static str,
    /// The person's number.
    pub person: Option<u32>,
    /// The table's revision.
    pub revision: Option<u64>,
    /// Cosine with the most similar person.
    pub similarity: Option<f32>,
    /// Margin over the next person.
    pub margin: Option<f32>,
    /// Softmax confidence.
    pub confidence: Option<f32>,
    /// What else there is to say.
    pub detail: String,
}

impl Row {
    /// Of entry `sequence`.
    #[must_use]
    pub fn of(sequence: u64, record: &Record) -> Self {
        let empty = Self {
            sequence,
            clock: record.clock,
            boot: record.boot,
            at_s: record.at.as_micros() as f64 / 1e6,
            what: "",
            person: None,
            revision: None,
            similarity: None,
            margin: None,
            confidence: None,
            detail: String::new(),
        };
        let plain = |what: &'static str, detail: String| Self { what, detail, ..empty.clone() };
        match &record.entry {
            Entry::Started { revision, people } => {
                Self { revision: Some(*revision), ..plain("started", format!("{people} people")) }
            }
            Entry::Stopped => plain("stopped", String::new()),
            Entry::Recognised { person, revision, similarity, margin, confidence } => Self {
                what: "recognised",
                person: Some(person.0),
                revision: Some(*revision),
                similarity: Some(similarity.get()),
                margin: Some(*margin),
                confidence: Some(*confidence),
                ..empty
            },
            Entry::NotRecognised { revision, similarity, margin, confidence } => Self {
                what: "not-recognised",
                revision: Some(*revision),
                similarity: Some(similarity.get()),
                margin: Some(*margin),
                confidence: Some(*confidence),
                ..empty
            },
            Entry::Relay(strike) => plain("relay", format!("{strike:?}").to_lowercase()),
            Entry::Contact(contact) => plain("contact", format!("{contact:?}").to_lowercase()),
            Entry::Fault(fault) => plain("fault", fault.to_string()),
            Entry::FaultCleared(fault) => plain("fault-cleared", fault.to_string()),
            Entry::LockedOut { seconds, refusals } => {
                plain("locked-out", format!("{seconds} s after {refusals} refusals"))
            }
            Entry::Paired(who) => plain("paired", hex::encode(who)),
            Entry::Forgotten(who) => plain("forgotten", hex::encode(who)),
            Entry::Unpaired => plain("unpaired", String::new()),
            Entry::CallerRefused { caller, why } => {
                let who = caller.map_or_else(|| "unknown".to_string(), hex::encode);
                plain("caller-refused", format!("{why}: {who}"))
            }
            Entry::Installed { by, revision, table, removed } => Self {
                revision: Some(*revision),
                ..plain(
                    "installed",
                    format!("table {} by {}, {removed} people removed", hex::encode(table), hex::encode(by)),
                )
            },
            Entry::RolledBack { by, revision } => {
                Self { revision: Some(*revision), ..plain("rolled-back", format!("by {}", hex::encode(by))) }
            }
            Entry::BegunAnew => plain("begun-anew", "the journal before was damaged".to_string()),
            Entry::Lost { entries } => plain("lost", format!("{entries} entries")),
        }
    }

    /// The cells, in the order of [`COLUMNS`]; empty where there is nothing.
    #[must_use]
    pub fn cells(&self) -> [String; 11] {
        let score = |score: Option<f32>| score.map_or_else(String::new, |score| format!("{score:.4}"));
        [
            self.sequence.to_string(),
            self.clock.to_string(),
            self.boot.to_string(),
            format!("{:.3}", self.at_s),
            self.what.to_string(),
            self.person.map_or_else(String::new, |person| person.to_string()),
            self.revision.map_or_else(String::new, |revision| revision.to_string()),
            score(self.similarity),
            score(self.margin),
            score(self.confidence),
            self.detail.clone(),
        ]
    }

    /// A line of comma-separated values (RFC 4180, without its end).
    #[must_use]
    pub fn csv(&self) -> String {
        let quoted =
            |cell: String| if cell.contains([',', '"']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell };
        self.cells().map(quoted).join(",")
    }

    /// A line for a person: columns apart by spaces, and a dash where there is nothing.
    #[must_use]
    pub fn line(&self) -> String {
        let [sequence, clock, boot, at, what, person, revision, similarity, margin, confidence, detail] =
            self.cells().map(|cell| if cell.is_empty() { "-".to_string() } else { cell });
        format!(
            "{sequence:>6} {clock:>10} {boot:>4} {at:>12} {what:<15} {person:>6} {revision:>5} {similarity:>7} \
             {margin:>7} {confidence:>7} {detail}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Uptime;

    #[test]
    fn lines_have_all_columns() {
        let entry = Entry::Installed { by: [1; 32], revision: 3, table: [2; 32], removed: 1 };
        let record = Record { boot: 1, at: Uptime::from_micros(1_500_000), clock: 9, entry };
        let row = Row::of(7, &record);
        assert!(row.csv().starts_with("7,9,1,1.500,installed,,3,,,,\"table 0202"), "{}", row.csv());
        assert!(row.line().contains("installed"), "{}", row.line());
        assert_eq!(row.cells().len(), COLUMNS.len());
    }
}
