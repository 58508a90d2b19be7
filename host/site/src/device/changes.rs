//! What a device runs and what it is to run → the changes.

use std::collections::BTreeMap;

use lintel_core::table::{PersonId, Rule, Table};
use lintel_formats::bundle::{Manifest, Role};
use lintel_wire::link::{Named, Status};
use serde::Serialize;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Whom {
    /// Person id in the table.
    pub id: u32,
    /// Person's name in the table.
    pub name: String,
}

/// The changes that a push makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changes {
    /// People who may enter after it.
    pub added: Vec<Whom>,
    /// People who may not enter any more.
    pub removed: Vec<Whom>,
    /// People with another name: before and after.
    pub renamed: Vec<(Whom, String)>,
    /// The rule before and after, where it changes.
    pub rule: Option<(String, String)>,
    /// Whether the encoder changes.
    pub encoder: bool,
    /// Whether the detector changes.
    pub detector: bool,
    /// Revision before and after.
    pub revision: (u64, u64),
    /// Number of people after it.
    pub people: usize,
}

impl Changes {
    /// Compares the device's own status with what it is to get.
    #[must_use]
    pub fn between(
        (status, people): (&Status, &[Named]),
        running: Option<&Manifest>,
        (manifest, table): (&Manifest, &Table),
    ) -> Self {
        let before: BTreeMap<PersonId, &str> = people.iter().map(|p| (p.id.into(), p.name.as_str())).collect();
        let after: BTreeMap<PersonId, &str> = table.people().iter().map(|p| (p.id, p.name.as_str())).collect();
        let whom = |(id, name): (&PersonId, &&str)| Whom { id: id.0, name: (*name).to_owned() };
        let renamed = before.iter().filter_map(|(id, name)| {
            let new = after.get(id).filter(|new| *new != name)?;
            Some((whom((id, name)), (*new).to_owned()))
        });
        let hash = |manifest: &Manifest| manifest.file(Role::Detector).map(|file| file.sha256);
        let rules = (words(status.rule.into()), words(table.rule()));
        Self {
            added: after.iter().filter(|(id, _)| !before.contains_key(id)).map(whom).collect(),
            removed: before.iter().filter(|(id, _)| !after.contains_key(id)).map(whom).collect(),
            renamed: renamed.collect(),
            rule: (rules.0 != rules.1).then_some(rules),
            encoder: running.is_none_or(|running| running.encoder != manifest.encoder),
            detector: running.is_none_or(|running| hash(running) != hash(manifest)),
            revision: (running.map_or(0, |running| running.revision), manifest.revision),
            people: table.len(),
        }
    }

    /// Whether only the revision changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.renamed.is_empty()
            && self.rule.is_none()
            && !self.encoder
            && !self.detector
    }

    /// The changes in words, one line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("revision {} -> {}, {} people", self.revision.0, self.revision.1, self.people)];
        let names = |people: &[Whom]| {
            let mut names: Vec<&str> = people.iter().take(12).map(|whom| whom.name.as_str()).collect();
            let more = format!("and {} more", people.len().saturating_sub(12));
            if people.len() > 12 {
                names.push(&more);
            }
            names.join(", ")
        };
        for (what, people) in [("added", &self.added), ("removed", &self.removed)] {
            if !people.is_empty() {
                lines.push(format!("{what} ({}): {}", people.len(), names(people)));
            }
        }
        lines.extend(self.renamed.iter().map(|(whom, new)| format!("renamed: {} -> {new}", whom.name)));
        if let Some((old, new)) = &self.rule {
            lines.push(format!("rule: {old} -> {new}"));
        }
        for (what, changed) in [("encoder", self.encoder), ("detector", self.detector)] {
            if changed {
                lines.push(format!("another {what}"));
            }
        }
        lines
    }
}

/// A rule in words.
#[must_use]
pub fn words(rule: Rule) -> String {
    match rule {
        Rule::Paper { confidence } => format!("confidence {confidence:.2}"),
        Rule::Calibrated { similarity, margin } => format!("similarity {similarity:.3} and margin {margin:.3}"),
    }
}
