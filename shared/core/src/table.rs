//! Unit embedding → scores against every enrolled person → opinion.
//!
//! The table is the identity half of a bundle: one class row per person (the text encoder's embedding of the
//! person's prompt), the rule that turns scores into an opinion, and what was measured when the rule was set.

mod score;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::embed::{EncoderId, MAX_DIM};

pub use score::{MAX_LOGIT_SCALE, Opinion, Scores};

/// Most people in one table.
pub const MAX_PEOPLE: usize = 20_000;
/// Longest name, in Unicode scalar values.
pub const MAX_NAME_CHARS: usize = 128;
/// Longest prompt template, in Unicode scalar values.
pub const MAX_TEMPLATE_CHARS: usize = 512;
/// A class row's length may differ from 1 by this much.
pub const UNIT_SLACK: f32 = 1e-3;

/// A person's number; stays with the person through retraining, is not given to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub u32);

impl core::fmt::Display for PersonId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "person {}", self.0)
    }
}

/// Somebody who may come in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The person's number.
    pub id: PersonId,
    /// What the display says: 1..=[`MAX_NAME_CHARS`] chars, no control characters; NFC by the host's care.
    pub name: String,
}

/// When a face counts as a person's. A score that equals its threshold passes; all thresholds must be passed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum Rule {
    /// The paper's: softmax confidence at CLIP's logit scale.
    Paper {
        /// 0 < `confidence` ≤ 1; the paper has 0.80.
        confidence: f32,
    },
    /// Similarity to the best person, and margin over the next.
    Calibrated {
        /// Cosine, −1..=1, for somebody whose photos are all alike; lower for others, see
        /// [`Table::normalized_similarity`].
        similarity: f32,
        /// Difference of cosines, 0..=2.
        margin: f32,
    },
}

impl Rule {
    /// The paper's threshold of 80 %.
    pub const PAPER: Self = Self::Paper { confidence: 0.80 };
}

/// What was measured on strangers that training never saw when the rule was set. Shares, 0..=1.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Calibration {
    /// The false-positive identification rate that the thresholds were to keep.
    pub target_fpir: f32,
    /// Trials with strangers.
    pub strangers: u32,
    /// Share of the trials in which somebody was named.
    pub observed_fpir: f32,
    /// Upper end of the 95 % Clopper–Pearson interval of `observed_fpir`.
    pub fpir_upper: f32,
    /// Share of trials with enrolled people in which nobody or somebody else was named.
    pub fnir: f32,
}

/// What a table is made of; [`Table::new`] checks it.
#[derive(Clone, PartialEq, Debug)]
pub struct TableParts {
    /// The encoder whose embeddings the rows may be compared with.
    pub encoder: EncoderId,
    /// Grows with every table that is made for a site.
    pub revision: u64,
    /// The prompt, with `{name}` for the name.
    pub template: String,
    /// CLIP's logit scale, not its logarithm; > 0.
    pub logit_scale: f32,
    /// `[N]`, in the order of the rows.
    pub people: Vec<Person>,
    /// `[N, dim]` row-major, unit rows.
    pub classes: Vec<f32>,
    /// Components per row, 1..=[`MAX_DIM`].
    pub dim: usize,
    /// `[N]`, 0..=1: how like each person's own photos are to each other, as the cosine that one of them may be
    /// expected to have with their true mean; 1 where it isn't known. See [`Table::normalized_similarity`].
    pub intra_class_similarity: Vec<f32>,
    /// When a face counts as a person's.
    pub rule: Rule,
    /// What was measured when the rule was set.
    pub calibration: Option<Calibration>,
}

/// Why something is not a table, or cannot be scored against one. No variant holds a name.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum TableError {
    /// Embedding width.
    #[error("identity table has dimension {got}, wanted 1 to {MAX_DIM}")]
    Dim {
        /// Components per row.
        got: usize,
    },
    /// More people than a table may hold.
    #[error("identity table has {got} people, at most {MAX_PEOPLE} are allowed")]
    TooManyPeople {
        /// People in the table.
        got: usize,
    },
    /// A name is empty, too long or holds control characters.
    #[error(
        "the name of {id} has {chars} characters{}, wanted 1 to {MAX_NAME_CHARS} without control characters",
        if *.control { " with control characters" } else { "" }
    )]
    Name {
        /// The person whose name is refused.
        id: PersonId,
        /// Unicode scalar values in it.
        chars: usize,
        /// It holds control characters.
        control: bool,
    },
    /// The template is too long or holds control characters.
    #[error(
        "the prompt template has {chars} characters, wanted at most {MAX_TEMPLATE_CHARS} without control characters"
    )]
    Template {
        /// Unicode scalar values in it.
        chars: usize,
    },
    /// Two people have one number.
    #[error("{0} is in the table twice")]
    DuplicateId(PersonId),
    /// No such person.
    #[error("{0} is not in the table")]
    UnknownPerson(PersonId),
    /// The matrix does not fit the people.
    #[error("class matrix has {got} values, {wanted} are needed")]
    Classes {
        /// Values that are there.
        got: usize,
        /// People times dimension.
        wanted: usize,
    },
    /// A row holds NaN or infinity, or its length is not 1.
    #[error("class row {row} has length {length}, wanted 1")]
    Row {
        /// Index of the row.
        row: usize,
        /// Its Euclidean length; NaN or infinite where a value is.
        length: f32,
    },
    /// There is not one intra-class similarity for each person.
    #[error("there are {got} intra-class similarities of people's photos, wanted {wanted}")]
    IntraClassSimilarities {
        /// Values that are there.
        got: usize,
        /// People.
        wanted: usize,
    },
    /// No intra-class similarity.
    #[error("the intra-class similarity of row {row} is {got}, wanted 0 to 1")]
    IntraClassSimilarity {
        /// Index of the row.
        row: usize,
        /// The value that was refused.
        got: f32,
    },
    /// Not a scale.
    #[error("logit scale is {got}, wanted a positive number")]
    LogitScale {
        /// The value that was refused.
        got: f32,
    },
    /// A threshold of the rule lies outside its range.
    #[error("the rule's threshold on {threshold} is {got}, wanted {wanted}")]
    Rule {
        /// Name of the threshold: confidence, similarity or margin.
        threshold: &'static str,
        /// The value that was refused.
        got: f32,
        /// Its range.
        wanted: &'static str,
    },
    /// A rate lies outside 0..=1, or the bounds contradict each other.
    #[error("the calibration's {what} is {got}, wanted {wanted}")]
    Calibration {
        /// Which rate.
        what: &'static str,
        /// The value that was refused.
        got: f32,
        /// Its range.
        wanted: &'static str,
    },
    /// The embedding comes from an encoder that the table was not trained against.
    #[error("embedding is from encoder {got}, the identity table is for {wanted}")]
    OtherEncoder {
        /// Who made the embedding.
        got: EncoderId,
        /// Whom the table trusts.
        wanted: EncoderId,
    },
    /// Right encoder, wrong width.
    #[error("embedding has dimension {got}, the identity table has {wanted}")]
    OtherDim {
        /// Components of the embedding.
        got: usize,
        /// Components of a row.
        wanted: usize,
    },
}

/// The identity table: checked, immutable.
///
/// It may be empty or hold one person, since the last but one may be removed at any time. With fewer than two people
/// there is no next person to compare with: margin and confidence are 0, so that only a rule without a threshold on the
/// margin can then recognise somebody.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    parts: TableParts,
}

impl Table {
    /// Checks everything that a table promises.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(parts: TableParts) -> Result<Self, TableError> {
        check(&parts)?;
        Ok(Self { parts })
    }

    /// The encoder whose embeddings this table scores.
    #[must_use]
    pub fn encoder(&self) -> EncoderId {
        self.parts.encoder
    }

    /// Grows with every table that is made for a site.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.parts.revision
    }

    /// The prompt, with `{name}` for the name.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.parts.template
    }

    /// CLIP's logit scale as trained; scoring clips it at [`MAX_LOGIT_SCALE`].
    #[must_use]
    pub fn logit_scale(&self) -> f32 {
        self.parts.logit_scale
    }

    /// Everybody, in the order of the rows.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.parts.people
    }

    /// The person with this id; `None` if the table has none.
    #[must_use]
    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.parts.people.iter().find(|person| person.id == id)
    }

    /// Number of people.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.people.len()
    }

    /// Nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.people.is_empty()
    }

    /// `[N, dim]` row-major, unit rows.
    #[must_use]
    pub fn classes(&self) -> &[f32] {
        &self.parts.classes
    }

    /// Components per row.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.parts.dim
    }

    /// `[N]`: how like each person's own photos are to each other; see [`TableParts::intra_class_similarity`].
    #[must_use]
    pub fn intra_class_similarity(&self) -> &[f32] {
        &self.parts.intra_class_similarity
    }

    /// When a face counts as a person's.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.parts.rule
    }

    /// What was measured when the rule was set.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.parts.calibration.as_ref()
    }

    /// SHA-256 of the rule and of what was measured when it was set: what a signature binds the table to.
    #[must_use]
    pub fn calibration_hash(&self) -> [u8; 32] {
        // Plain data always encodes.
        let bytes = postcard::to_allocvec(&(self.parts.rule, self.parts.calibration)).unwrap_or_default();
        Sha256::digest(bytes).into()
    }

    /// What it is made of.
    #[must_use]
    pub fn parts(&self) -> &TableParts {
        &self.parts
    }

    /// The parts, to make another table of them.
    #[must_use]
    pub fn into_parts(self) -> TableParts {
        self.parts
    }

    /// This table without a person, one revision later. Nothing of the person is left: not in the people, not in the
    /// rows, so not in the bytes.
    ///
    /// The rule stays; the calibration goes, because it was measured with that person in the table, and taking
    /// somebody out can give a stranger the margin that was missing.
    ///
    /// # Errors
    /// [`TableError::UnknownPerson`].
    pub fn without(&self, id: PersonId) -> Result<Self, TableError> {
        let old = &self.parts;
        let gone = old.people.iter().position(|p| p.id == id).ok_or(TableError::UnknownPerson(id))?;
        let keep = |row: &usize| *row != gone;
        let rows = old.classes.chunks_exact(old.dim).enumerate();
        Self::new(TableParts {
            encoder: old.encoder,
            revision: old.revision.saturating_add(1),
            template: old.template.clone(),
            logit_scale: old.logit_scale,
            people: (0..old.people.len()).filter(keep).map(|row| old.people[row].clone()).collect(),
            classes: rows.filter(|(row, _)| keep(row)).flat_map(|(_, c)| c).copied().collect(),
            dim: old.dim,
            intra_class_similarity: (0..old.intra_class_similarity.len())
                .filter(keep)
                .map(|row| old.intra_class_similarity[row])
                .collect(),
            rule: old.rule,
            calibration: None,
        })
    }
}

fn check(parts: &TableParts) -> Result<(), TableError> {
    check_header(parts.dim, &parts.template, parts.logit_scale)?;
    check_rule(parts.rule)?;
    parts.calibration.as_ref().map_or(Ok(()), check_calibration)?;
    check_people(&parts.people)?;
    check_classes(parts)?;
    check_intra_class_similarity(parts)
}

/// What a reader checks before it takes memory for people and rows.
///
/// # Errors
/// [`TableError::Dim`], [`TableError::Template`], [`TableError::LogitScale`].
pub fn check_header(dim: usize, template: &str, logit_scale: f32) -> Result<(), TableError> {
    if dim == 0 || dim > MAX_DIM {
        return Err(TableError::Dim { got: dim });
    }
    let chars = template.chars().count();
    if chars > MAX_TEMPLATE_CHARS || template.chars().any(char::is_control) {
        return Err(TableError::Template { chars });
    }
    if !(logit_scale.is_finite() && logit_scale > 0.0) {
        return Err(TableError::LogitScale { got: logit_scale });
    }
    Ok(())
}

fn check_rule(rule: Rule) -> Result<(), TableError> {
    let refuse = |threshold, got, wanted| Err(TableError::Rule { threshold, got, wanted });
    match rule {
        Rule::Paper { confidence } if !(confidence > 0.0 && confidence <= 1.0) => {
            refuse("confidence", confidence, "more than 0, at most 1")
        }
        Rule::Calibrated { similarity, .. } if !(-1.0..=1.0).contains(&similarity) => {
            refuse("similarity", similarity, "-1 to 1")
        }
        Rule::Calibrated { margin, .. } if !(0.0..=2.0).contains(&margin) => refuse("margin", margin, "0 to 2"),
        Rule::Paper { .. } | Rule::Calibrated { .. } => Ok(()),
    }
}

fn check_calibration(calibration: &Calibration) -> Result<(), TableError> {
    let Calibration { target_fpir, observed_fpir, fpir_upper, fnir, .. } = *calibration;
    let rates =
        [("target FPIR", target_fpir), ("observed FPIR", observed_fpir), ("FPIR bound", fpir_upper), ("FNIR", fnir)];
    if let Some((what, got)) = rates.into_iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
        return Err(TableError::Calibration { what, got, wanted: "0 to 1" });
    }
    if fpir_upper < observed_fpir {
        let wanted = "at least the observed FPIR";
        return Err(TableError::Calibration { what: "FPIR bound", got: fpir_upper, wanted });
    }
    Ok(())
}

fn check_people(people: &[Person]) -> Result<(), TableError> {
    if people.len() > MAX_PEOPLE {
        return Err(TableError::TooManyPeople { got: people.len() });
    }
    let mut ids = BTreeSet::new();
    for Person { id, name } in people {
        if !ids.insert(*id) {
            return Err(TableError::DuplicateId(*id));
        }
        let chars = name.chars().count();
        let control = name.chars().any(char::is_control);
        if control || !(1..=MAX_NAME_CHARS).contains(&chars) {
            return Err(TableError::Name { id: *id, chars, control });
        }
    }
    Ok(())
}

fn check_classes(parts: &TableParts) -> Result<(), TableError> {
    let wanted = parts.people.len() * parts.dim;
    if parts.classes.len() != wanted {
        return Err(TableError::Classes { got: parts.classes.len(), wanted });
    }
    for (row, class) in parts.classes.chunks_exact(parts.dim).enumerate() {
        let length = libm::sqrtf(score::dot(class, class));
        // NaN fails the comparison, so it is refused too.
        let unit = (length - 1.0).abs() <= UNIT_SLACK;
        if !unit {
            return Err(TableError::Row { row, length });
        }
    }
    Ok(())
}

fn check_intra_class_similarity(parts: &TableParts) -> Result<(), TableError> {
    let (got, wanted) = (parts.intra_class_similarity.len(), parts.people.len());
    if got != wanted {
        return Err(TableError::IntraClassSimilarities { got, wanted });
    }
    match parts.intra_class_similarity.iter().enumerate().find(|(_, value)| !(0.0..=1.0).contains(*value)) {
        Some((row, &got)) => Err(TableError::IntraClassSimilarity { row, got }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
