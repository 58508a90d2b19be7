//! People who may not pass against the table → those who came nearest to being named.

use lintel_core::table::{Rule, Scores, Table};
use lintel_rendered::strangers::{Stranger, Who};
use lintel_training::calibration::Thresholds;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{MOST, named};

/// A stranger, and who would be named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nearest {
    /// The stranger's name in the folder; `None`: nobody who exists.
    pub stranger: Option<String>,
    /// Its number among the strangers that were looked at.
    pub number: usize,
    /// The enrolled person who is most like.
    pub person: String,
    /// How like.
    pub similarity: f32,
    /// By how much more than the next person.
    pub margin: f32,
    /// How much is missing to be named, cosine: of the two thresholds the one that keeps the stranger out. 0: named.
    pub missing: f32,
}

/// The [`MOST`] strangers to whom least is missing, and how many would be named.
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
