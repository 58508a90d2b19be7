//! Strangers against the table → those who came nearest to being named.

use lintel_core::table::{Rule, Scores, Table};
use lintel_rendered::strangers::{Stranger, Who};
use lintel_training::calibration::Thresholds;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{MOST, named};

/// A stranger and the person as whom the stranger would be named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nearest {
    /// The stranger's name in the folder; `None` for a rendered person.
    pub stranger: Option<String>,
    /// Index among the strangers.
    pub number: usize,
    /// The enrolled person to whom the stranger is most similar.
    pub person: String,
    /// The cosine with that person's row.
    pub similarity: f32,
    /// The margin over the next person.
    pub margin: f32,
    /// What is missing to be named, cosine: the larger shortfall of the two thresholds. 0: named.
    pub missing: f32,
}

/// The [`MOST`] strangers who miss the least, and the number who would be named.
#[must_use]
pub fn nearest(table: &Table, strangers: &[Stranger]) -> (Vec<Nearest>, usize) {
    let of = |(number, stranger): (usize, &Stranger)| {
        let scores = table.score(&stranger.embedding).ok()?;
        let name = match &stranger.who {
            Who::Rendered(_) => None,
            Who::Ingested { name, .. } => Some(name.clone()),
        };
        Some(Nearest {
            stranger: name,
            number,
            person: table.people().get(scores.best as usize)?.name.clone(),
            similarity: scores.similarity.get(),
            margin: scores.margin,
            missing: missing(table, &scores),
        })
    };
    let mut all: Vec<Nearest> = strangers.par_iter().enumerate().filter_map(of).collect();
    let passing = strangers.par_iter().filter(|stranger| named(table, &stranger.embedding).is_some()).count();
    all.sort_by(|a, b| a.missing.total_cmp(&b.missing).then(b.similarity.total_cmp(&a.similarity)));
    all.truncate(MOST);
    (all, passing)
}

fn missing(table: &Table, scores: &Scores) -> f32 {
    match table.rule() {
        Rule::Paper { confidence } => (confidence - scores.confidence).max(0.0),
        Rule::Calibrated { similarity, margin } => {
            let Thresholds { similarity: got, margin: ahead } = Thresholds::of(scores, table);
            (similarity - got).max(margin - ahead).max(0.0)
        }
    }
}
