//! A table and the deployed one → what changes at the door.

use std::collections::BTreeMap;

use lintel_core::embed::Embedding;
use lintel_core::table::{Calibration, Rule, Table};
use lintel_photos::people::folded;
use serde::{Deserialize, Serialize};

use super::named;

/// What changes at the door when one table replaces another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The deployed table's revision.
    pub revision: u64,
    /// The rule of the deployed table.
    pub rule: Rule,
    /// The calibration of that rule.
    pub calibration: Option<Calibration>,
    /// Whether both tables are for one encoder.
    pub same_encoder: bool,
    /// People who are new.
    pub added: Vec<String>,
    /// People who are no longer there.
    pub removed: Vec<String>,
    /// Both tables' decisions on the same faces; `None` if the deployed encoder was not given.
    pub decisions: Option<Decisions>,
}

/// Both tables' decisions on the same faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// Photos of people who are in both tables.
    pub photos: usize,
    /// Of these, named right by the deployed table.
    pub right_before: usize,
    /// Of these, named right by the new table.
    pub right_after: usize,
    /// Strangers who were compared with both tables.
    pub strangers: usize,
    /// Of these, named by the deployed table.
    pub named_before: usize,
    /// Of these, named by the new table.
    pub named_after: usize,
    /// People whose decisions differ, the worst first.
    pub people: Vec<Person>,
}

/// One person in both tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// The person's name in both tables.
    pub name: String,
    /// Number of the person's photos.
    pub photos: usize,
    /// Named right by the deployed table.
    pub right_before: usize,
    /// Named right by the new table.
    pub right_after: usize,
}

/// A table, with its encoder's embeddings of the same photos and strangers.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The identity table of this side, deployed or new.
    pub table: &'a Table,
    /// By person: the name, and the embedding of each photo.
    pub people: &'a [(String, Vec<Embedding>)],
    /// The embedding of each stranger.
    pub strangers: &'a [Embedding],
}

/// From the deployed table to the new one; `faces` are both sides' of the same photos, in the same order.
#[must_use]
pub fn change(before: &Table, after: &Table, faces: Option<(Side<'_>, Side<'_>)>) -> Change {
    let (old, new) = (rows(before), rows(after));
    let without = |all: &BTreeMap<String, usize>, those: &BTreeMap<String, usize>, table: &Table| -> Vec<String> {
        all.iter()
            .filter(|(key, _)| !those.contains_key(*key))
            .map(|(_, &row)| table.people()[row].name.clone())
            .collect()
    };
    Change {
        revision: before.revision(),
        rule: before.rule(),
        calibration: before.calibration().copied(),
        same_encoder: before.encoder() == after.encoder(),
        added: without(&new, &old, after),
        removed: without(&old, &new, before),
        decisions: faces.map(|(before, after)| decisions(before, after)),
    }
}

fn decisions(before: Side<'_>, after: Side<'_>) -> Decisions {
    let mut all = Decisions {
        photos: 0,
        right_before: 0,
        right_after: 0,
        strangers: before.strangers.len().min(after.strangers.len()),
        named_before: stranger_count(before),
        named_after: stranger_count(after),
        people: Vec::new(),
    };
    let (rows_before, rows_after) = (rows(before.table), rows(after.table));
    for ((name, old), (_, new)) in before.people.iter().zip(after.people) {
        let key = folded(name);
        let (Some(&row_before), Some(&row_after)) = (rows_before.get(&key), rows_after.get(&key)) else { continue };
        let right = |table: &Table, faces: &[Embedding], row: usize| {
            faces.iter().filter(|face| named(table, face) == Some(row)).count()
        };
        let person = Person {
            name: name.clone(),
            photos: new.len(),
            right_before: right(before.table, old, row_before),
            right_after: right(after.table, new, row_after),
        };
        all.photos += person.photos;
        all.right_before += person.right_before;
        all.right_after += person.right_after;
        if person.right_before != person.right_after {
            all.people.push(person);
        }
    }
    let gain = |person: &Person| person.right_after as i64 - person.right_before as i64;
    all.people.sort_by(|a, b| gain(a).cmp(&gain(b)).then(a.name.cmp(&b.name)));
    all
}

fn stranger_count(side: Side<'_>) -> usize {
    side.strangers.iter().filter(|face| named(side.table, face).is_some()).count()
}

/// The row of everybody, by name.
fn rows(table: &Table) -> BTreeMap<String, usize> {
    table.people().iter().enumerate().map(|(row, person)| (folded(&person.name), row)).collect()
}
