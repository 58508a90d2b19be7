//! Photos of enrolled people against each other's rows → who could be taken for whom.

use std::collections::BTreeMap;

use lintel_core::table::Table;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{MOST, Subject, cosine, named, row};

/// Somebody, and whom that person's photos are most like but for the person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Whose photos.
    pub person: String,
    /// Whom they are like.
    pub other: String,
    /// By how much the most confusable photo is more like the person than the other, cosine; below 0 it is less.
    pub margin: f32,
    /// Similarity of that photo to the other.
    pub similarity: f32,
    /// Which of the person's photos it is.
    pub photo: usize,
    /// Photos of the person that would be named as the other.
    pub named: usize,
    /// Photos of the person that were looked at.
    pub photos: usize,
    /// Cosine of the two rows.
    pub rows: f32,
}

/// What is gathered of one pair of rows.
#[derive(Copy, Clone)]
struct Found {
    margin: f32,
    similarity: f32,
    photo: usize,
    named: usize,
}

/// The [`MOST`] pairs with the smallest margin, one for each person at most.
#[must_use]
pub fn closest(table: &Table, subjects: &[Subject<'_>]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = subjects.par_iter().filter_map(|subject| closest_other(table, subject)).collect();
    pairs.sort_by(|a, b| b.named.cmp(&a.named).then(a.margin.total_cmp(&b.margin)).then(a.person.cmp(&b.person)));
    pairs.truncate(MOST);
    pairs
}

/// The other person of whom some photo of this one is most like.
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
