//! Each person's photos compared with each other → too few, too similar, or of somebody else.

use lintel_core::embed::Embedding;
use lintel_core::table::Table;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Subject, cosine, row};

/// Fewer photos than this show too little of how a face changes.
pub const FEW: usize = 5;
/// Two photos that differ by less than this part of the usual difference within a person count as one.
const SAME: f32 = 0.1;

/// A problem in a person's photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the person in the table.
    pub person: String,
    /// What is wrong, with the photos concerned.
    pub problem: Problem,
}

/// The kinds of problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Problem {
    /// Fewer than [`FEW`].
    TooFew {
        /// Photos of the person that were ingested.
        photos: usize,
    },
    /// At least [`FEW`] photos, but fewer than [`FEW`] distinct ones.
    TooSimilar {
        /// Photos of the person that were ingested.
        photos: usize,
        /// Number of distinct photos.
        distinct: usize,
        /// Two photos that are too similar.
        example: [usize; 2],
    },
    /// A photo is more similar to another person than to this one.
    Misplaced {
        /// Index of the photo among the person's photos, from 0.
        photo: usize,
        /// The other person.
        like: String,
        /// By how much it is more similar, cosine.
        by: f32,
    },
}

impl Problem {
    /// The kind of problem in words.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::TooFew { .. } => "people with too few photos",
            Self::TooSimilar { .. } => "people whose photos are too similar",
            Self::Misplaced { .. } => "photos that are more similar to another enrolled person",
        }
    }
}

/// All findings, in the order of the subjects.
#[must_use]
pub fn findings(table: &Table, subjects: &[Subject<'_>]) -> Vec<Finding> {
    let usual = usual_difference(subjects);
    let of = |subject: &Subject<'_>| {
        let person = table.people()[subject.row].name.clone();
        let mut problems = misplaced(table, subject);
        let photos = subject.photos.len();
        if photos < FEW {
            problems.insert(0, Problem::TooFew { photos });
        } else if let Some((distinct, example)) = distinct(subject.photos, usual * SAME)
            && distinct < FEW
        {
            problems.insert(0, Problem::TooSimilar { photos, distinct, example });
        }
        problems.into_iter().map(move |problem| Finding { person: person.clone(), problem }).collect::<Vec<_>>()
    };
    subjects.par_iter().flat_map_iter(of).collect()
}

fn difference(a: &Embedding, b: &Embedding) -> f32 {
    1.0 - cosine(a.vector(), b.vector())
}

/// The median difference between two photos of one person, over neighbours in the list of each person.
fn usual_difference(subjects: &[Subject<'_>]) -> f32 {
    let neighbours =
        |subject: &Subject<'_>| subject.photos.windows(2).map(|two| difference(&two[0], &two[1])).collect::<Vec<f32>>();
    let mut differences: Vec<f32> = subjects.iter().flat_map(neighbours).collect();
    if differences.is_empty() {
        return 0.0;
    }
    let middle = differences.len() / 2;
    *differences.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The number of photos that differ by at least `least` from all that are counted before, and two that do not.
fn distinct(photos: &[Embedding], least: f32) -> Option<(usize, [usize; 2])> {
    let mut counted: Vec<usize> = Vec::new();
    let mut example = None;
    for (photo, embedding) in photos.iter().enumerate() {
        match counted.iter().find(|&&before| difference(&photos[before], embedding) < least) {
            Some(&before) => example = example.or(Some([before, photo])),
            None => counted.push(photo),
        }
    }
    example.map(|example| (counted.len(), example))
}

fn misplaced(table: &Table, subject: &Subject<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (photo, embedding) in subject.photos.iter().enumerate() {
        let Ok(scores) = table.score(embedding) else { continue };
        let best = scores.best as usize;
        if best != subject.row {
            let by = scores.similarity.get() - cosine(row(table, subject.row), embedding.vector());
            found.push(Problem::Misplaced { photo, like: table.people()[best].name.clone(), by });
        }
    }
    found
}
