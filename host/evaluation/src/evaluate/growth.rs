//! Rendered people → both rules' errors as a table grows.
//!
//! A table's rows are the means of each person's faces, which is where training puts class rows; `docs/measurements.md`
//! says how near trained rows come to that. Thresholds are set anew for each table, on strangers and photos that are
//! not used for the rates, and the rates of all tables of one size are added.

use lintel_core::embed::Embedding;
use lintel_core::table::{Person, PersonId, Rule, Table, TableError, TableParts};
use lintel_statistics::Rate;
use lintel_training::calibration::{CalibrationError, Genuine, TARGET_FPIR, calibrate};
use lintel_training::intra_class;
use lintel_work::failure::Failure;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::crowd::Neighbour;
use super::rules::{Comparison, Errors, Family};
use super::visit::{Asked, Conditions, Mated, Trial};

/// Number of strangers: half of them set thresholds, and the others are for the rates.
pub const STRANGERS: usize = 4000;
/// The most tables of one size.
const TABLES: usize = 50;
/// The factor between cosine and logit, CLIP's after training.
const LOGIT_SCALE: f32 = 100.0;

/// Both rules by the size of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// By size, ascending.
    pub sizes: Vec<Size>,
}

/// Both rules on the tables of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Number of tables, which share no person.
    pub tables: usize,
    /// Over visits, one trial each, of all tables together.
    pub comparison: Comparison,
}

/// The faces from which tables are made.
pub struct Faces<'a> {
    /// People who may be enrolled.
    pub people: &'a [Neighbour],
    /// Strangers' visits; the first half sets thresholds, the second is for the rates.
    pub strangers: &'a [Embedding],
}

/// Why growing tables cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum GrowthError {
    /// An identity table could not be built from the crowd.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The thresholds of a table cannot be set.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted(Failure),
}

impl From<GrowthError> for Failure {
    fn from(error: GrowthError) -> Self {
        match error {
            GrowthError::Interrupted(failure) => failure,
            other => Self::work(other),
        }
    }
}

/// The number of tables that [`Faces::grow`] makes of `people` people.
#[must_use]
pub fn tables(sizes: &[usize], people: usize) -> usize {
    sizes.iter().filter(|size| (2..=people).contains(*size)).map(|size| (people / size).min(TABLES)).sum()
}

impl Faces<'_> {
    /// Both rules on tables of each size; sizes below two, or above the number of people, are left out.
    ///
    /// # Errors
    /// [`GrowthError`].
    pub fn grow(
        &self,
        sizes: &[usize],
        mut on_table: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Growth, GrowthError> {
        let there = self.people.len();
        let mut grown = Vec::new();
        for &size in sizes.iter().filter(|size| (2..=there).contains(*size)) {
            let tables = (there / size).min(TABLES);
            let mut compared: Option<Comparison> = None;
            for people in self.people.chunks_exact(size).take(tables) {
                let one = self.compare(people)?;
                compared = Some(compared.map_or(one, |sum| together(&sum, &one)));
                on_table().map_err(GrowthError::Interrupted)?;
            }
            grown.extend(compared.map(|comparison| Size { tables, comparison }));
        }
        Ok(Growth { sizes: grown })
    }

    /// Both rules on the table of these people.
    fn compare(&self, people: &[Neighbour]) -> Result<Comparison, GrowthError> {
        let table = table(people, Rule::PAPER)?;
        let photos = people.iter().enumerate();
        let genuine: Vec<Genuine> = photos
            .flat_map(|(row, one)| one.setting.iter().map(move |photo| Genuine { row, embedding: photo.clone() }))
            .collect();
        let (setting, measuring) = self.strangers.split_at(self.strangers.len() / 2);
        let (rule, _) = calibrate(&table, &genuine, setting, TARGET_FPIR)?;
        let mated = people.par_iter().enumerate().map(|(row, one)| {
            let scores = table.score(&one.visit)?;
            let mated = if scores.best as usize == row { Mated::First } else { Mated::Behind };
            Ok(Trial { mated, asked: Asked::of(&scores, &table), conditions: Conditions::default() })
        });
        let others = measuring.par_iter().map(|photo| {
            let asked = Asked::of(&table.score(photo)?, &table);
            Ok(Trial { mated: Mated::Not, asked, conditions: Conditions::default() })
        });
        let trials = mated.chain(others).collect::<Result<Vec<_>, TableError>>()?;
        let (paper, calibrated) = Family::both(rule, &trials);
        Ok(Comparison::of(people.len(), paper, calibrated.unwrap_or(paper), &trials))
    }
}

fn table(people: &[Neighbour], rule: Rule) -> Result<Table, TableError> {
    let person = |(one, id): (&Neighbour, u32)| Person { id: PersonId(id), name: one.index.to_string() };
    Table::new(TableParts {
        encoder: people[0].row.encoder(),
        revision: 1,
        template: String::new(),
        logit_scale: LOGIT_SCALE,
        people: people.iter().zip(0..).map(person).collect(),
        classes: people.iter().flat_map(|one| one.row.vector()).copied().collect(),
        dim: people[0].row.vector().len(),
        intra_class_similarity: intra_class::of_table(
            &[],
            &people.iter().map(|one| one.intra_class_similarity).collect::<Vec<_>>(),
        ),
        rule,
        calibration: None,
    })
}

/// The counts of two comparisons of tables of one size, added.
fn together(a: &Comparison, b: &Comparison) -> Comparison {
    let rate = |a: Rate, b: Rate| Rate::new((a.count + b.count) as usize, (a.trials + b.trials) as usize);
    let errors = |a: Errors, b: Errors| Errors { fpir: rate(a.fpir, b.fpir), fnir: rate(a.fnir, b.fnir) };
    Comparison {
        people: a.people,
        paper: errors(a.paper, b.paper),
        calibrated: errors(a.calibrated, b.calibrated),
        at_equal_fnir: errors(a.at_equal_fnir, b.at_equal_fnir),
        paper_at_equal_fnir: errors(a.paper_at_equal_fnir, b.paper_at_equal_fnir),
    }
}
