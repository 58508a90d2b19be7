//! Photos of enrolled people against each other's rows → the pairs that are most easily confused.

use std::collections::BTreeMap;

use lintel_core::table::Table;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{MOST, Subject, cosine, named, row};

/// A person, and the other person to whom the person's photos are most similar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The person in the photos.
    pub person: String,
    /// The other person.
    pub other: String,
    /// Similarity of the most confusable photo to the person minus that to the other, cosine; negative if it is less.
    pub margin: f32,
    /// Similarity of that photo to the other person.
    pub similarity: f32,
    /// Index of that photo among the person's photos.
    pub photo: usize,
    /// Number of the person's photos that would be named as the other.
    pub named: usize,
    /// Number of the person's photos.
    pub photos: usize,
    /// Cosine of the two rows.
    pub rows: f32,
}

/// Counts for one pair of rows.
#[derive(Copy, Clone)]
struct Found {
    margin: f32,
    similarity: f32,
    photo: usize,
    named: usize,
}

/// The [`MOST`] pairs with the smallest margin, at most one for each person.
#[must_use]
pub fn closest(table: &Table, subjects: &[Subject<'_>]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = subjects.par_iter().filter_map(|subject| closest_other(table, subject)).collect();
    pairs.sort_by(|a, b| b.named.cmp(&a.named).then(a.margin.total_cmp(&b.margin)).then(a.person.cmp(&b.person)));
    pairs.truncate(MOST);
    pairs
}

/// The other person to whom some photo of this one is most similar.
fn closest_other(table: &Table, subject: &Subject<'_>) -> Option<Pair> {
    let mut others: BTreeMap<usize, Found> = BTreeMap::new();
    for (photo, embedding) in subject.photos.iter().enumerate() {
        let own = cosine(row(table, subject.row), embedding.vector());
        let (other, similarity) = (0..table.len())
            .filter(|&other| other != subject.row)
            .map(|other| (other, cosine(row(table, other), embedding.vector())))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let now = Found { margin: own - similarity, similarity, photo, named: 0 };
        let found = others.entry(other).or_insert(now);
        if now.margin < found.margin {
            *found = Found { named: found.named, ..now };
        }
        found.named += usize::from(named(table, embedding) == Some(other));
    }
    let (other, found) =
        others.into_iter().min_by(|(_, a), (_, b)| b.named.cmp(&a.named).then(a.margin.total_cmp(&b.margin)))?;
    Some(Pair {
        person: table.people()[subject.row].name.clone(),
        other: table.people()[other].name.clone(),
        margin: found.margin,
        similarity: found.similarity,
        photo: found.photo,
        named: found.named,
        photos: subject.photos.len(),
        rows: cosine(row(table, subject.row), row(table, other)),
    })
}
