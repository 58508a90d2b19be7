//! A table and faces → the people who could open as somebody else, found before the table is deployed.
//!
//! Enrolled people are judged by single photos and strangers by aggregated looks, with the door's own scores.

pub mod change;
pub mod page;
pub mod pairs;
pub mod photos;
pub mod strangers;

use lintel_core::embed::Embedding;
use lintel_core::table::Opinion;
use lintel_core::table::{Calibration, Rule, Table};
use serde::{Deserialize, Serialize};

use change::Change;
use pairs::Pair;
use photos::Finding;
use strangers::Nearest;

/// Raised when the meaning of `audit.json` changes.
pub const AUDIT_FORMAT: u32 = 1;
/// File name of the HTML page in the output folder.
pub const PAGE_FILE: &str = "audit.html";
/// The most of each kind that are listed.
pub const MOST: usize = 12;

/// The content of `audit.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// [`AUDIT_FORMAT`].
    pub format: u32,
    /// The table's revision.
    pub revision: u64,
    /// Enrolled people in the audited table.
    pub people: usize,
    /// Number of people of whom photos were given.
    pub with_photos: usize,
    /// The table's rule.
    pub rule: Rule,
    /// The calibration of the rule.
    pub calibration: Option<Calibration>,
    /// Enrolled people who could be named as one another, the most similar first.
    pub pairs: Vec<Pair>,
    /// Strangers who came nearest to being named, the nearest first.
    pub strangers: Vec<Nearest>,
    /// Strangers who were compared with the table, one trial each.
    pub strangers_looked_at: usize,
    /// Strangers who would be named.
    pub strangers_named: usize,
    /// Problems in people's photos, by name.
    pub photos: Vec<Finding>,
    /// What changes at the door; `None` if no other table was given.
    pub change: Option<Change>,
}

/// One person of the table, with the photos that were given.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The person's row.
    pub row: usize,
    /// The embedding of each photo.
    pub photos: &'a [Embedding],
}

impl Audit {
    /// What to check before the table is deployed, one line each.
    #[must_use]
    pub fn concerns(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let wrong = self.pairs.iter().filter(|pair| pair.named > 0).count();
        if wrong > 0 {
            lines.push(format!("{wrong} pairs of enrolled people: a photo of one is named as the other"));
        }
        let allowed = self.calibration.map_or(0.0, |calibration| f64::from(calibration.target_fpir));
        #[expect(clippy::cast_precision_loss, reason = "counts of people")]
        let shown = self.strangers_named as f64 / self.strangers_looked_at.max(1) as f64;
        if shown > allowed {
            let (named, of) = (self.strangers_named, self.strangers_looked_at);
            lines.push(format!("{named} of {of} strangers would be named: more than the target of {allowed}"));
        }
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for finding in &self.photos {
            let text = finding.problem.text();
            match kinds.iter_mut().find(|(kind, _)| *kind == text) {
                Some((_, count)) => *count += 1,
                None => kinds.push((text, 1)),
            }
        }
        lines.extend(kinds.into_iter().map(|(kind, count)| format!("{kind}: {count}")));
        if let Some(worse) = self.change.as_ref().and_then(|change| change.decisions.as_ref()) {
            let lost = worse.people.iter().filter(|person| person.right_after < person.right_before).count();
            if lost > 0 {
                lines.push(format!("{lost} people are named in fewer of their photos than by the table before"));
            }
        }
        lines
    }
}

/// Whether the table names this face, and as which row.
pub(super) fn named(table: &Table, face: &Embedding) -> Option<usize> {
    let scores = table.score(face).ok()?;
    matches!(table.opinion(&scores), Opinion::Known { .. }).then_some(scores.best as usize)
}

/// Cosine of a unit row and a unit embedding.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The table's row of a person, `[dim]`.
pub(super) fn row(table: &Table, row: usize) -> &[f32] {
    &table.classes()[row * table.dim()..(row + 1) * table.dim()]
}

#[cfg(test)]
mod tests;
