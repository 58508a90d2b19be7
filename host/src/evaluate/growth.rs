//! People who do not exist → what becomes of both rules as a table grows.
//!
//! The table's rows are the means of each person's faces, which is where training puts a name; `docs/measurements.md` has
//! how near trained rows come to that. Bars are set anew for each table, on strangers and photos that the rates are not
//! measured on, and the rates of all tables of one size are taken together.

use lintel_shared::aggregate;
use lintel_shared::embed::Embedding;
use lintel_shared::runtime::RuntimeError;
use lintel_shared::table::{Person, PersonId, Rule, Table, TableError, TableParts};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::rules::{Comparison, Errors, Family};
use super::visit::{Conditions, Mated, Trial};
use crate::failure::Failure;
use crate::rendered;
use crate::rendered_faces::{Acquaintance, CHUNK, Eyes};
use crate::statistics::Rate;
use crate::strangers::{Cohort, StrangersError};
use crate::train::calibration::{CalibrationError, Genuine, TARGET_FPIR, calibrate};

/// Photos of a person that make the row.
const ENROLLED: u64 = 3;
/// Photos of a person after those that make the row; they set bars.
const HELD_OUT: u64 = 2;
/// Strangers that set bars, and as many others that measure.
const STRANGERS: usize = 2000;
/// Tables of one size, at most.
const TABLES: usize = 50;
/// Which crowd; the same every time, so that reports compare.
const WORLD: u64 = 0;
/// Cosine to logit, as CLIP has it after training.
const LOGIT_SCALE: f32 = 100.0;

/// Both rules by the size of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// By size, ascending.
    pub sizes: Vec<Size>,
}

/// Tables of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Tables, nobody in two of them.
    pub tables: usize,
    /// Over visits, a trial each, all tables together.
    pub comparison: Comparison,
}

/// Faces that tables are made of.
pub struct Crowd {
    dim: usize,
    /// `[P, dim]`, unit rows.
    rows: Vec<f32>,
    /// Photos that set bars, by person.
    setting: Vec<Vec<Embedding>>,
    /// P visits that measure.
    measuring: Vec<Embedding>,
    /// Strangers that set bars, then those that measure.
    strangers: Vec<Embedding>,
}

/// Why it cannot be seen how tables grow.
#[derive(Debug, thiserror::Error)]
pub enum GrowthError {
    /// A model.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The strangers.
    #[error(transparent)]
    Strangers(#[from] StrangersError),
    /// A table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Its bars.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The detector is not one for rendered people.
    #[error("of {rendered} rendered people only {found} have enough usable faces")]
    TooFewPeople {
        /// People that were rendered.
        rendered: u32,
        /// People whose photos pass the gate.
        found: usize,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted(Failure),
}

impl From<GrowthError> for Failure {
    fn from(error: GrowthError) -> Self {
        match error {
            GrowthError::Interrupted(failure) => failure,
            GrowthError::Strangers(error) => error.into(),
            other => Self::work(other),
        }
    }
}

/// How many steps [`Crowd::render`] announces for so many people.
#[must_use]
pub fn steps(people: usize) -> usize {
    people + 2 * STRANGERS
}

impl Crowd {
    /// Renders and embeds `people` people and the strangers; `on_step` is called [`steps`] times and may stop the work.
    ///
    /// # Errors
    /// [`GrowthError`].
    pub fn render(
        people: usize,
        eyes: &mut Eyes,
        mut on_step: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Self, GrowthError> {
        let mut cohort = Cohort::default();
        cohort.grow(2 * STRANGERS, eyes, &mut on_step)?;
        let mut crowd = Self {
            dim: eyes.dim(),
            rows: Vec::new(),
            setting: Vec::new(),
            measuring: Vec::new(),
            strangers: cohort.met.into_iter().map(|stranger| stranger.embedding).collect(),
        };
        let mut next = 0_u32;
        while crowd.setting.len() < people {
            if next as usize >= 256 + 4 * people {
                return Err(GrowthError::TooFewPeople { rendered: next, found: crowd.setting.len() });
            }
            let count = u32::try_from((people - crowd.setting.len()).min(CHUNK)).unwrap_or(1);
            let met: Vec<u64> = (next..next + count).map(|index| rendered::crowd(WORLD, index)).collect();
            next += count;
            for acquaintance in eyes.acquaintances(&met, ENROLLED + HELD_OUT)? {
                if crowd.add(acquaintance) {
                    on_step().map_err(GrowthError::Interrupted)?;
                }
            }
        }
        Ok(crowd)
    }

    /// One more person, unless too few photos pass the gate, or no look at the door; says which it was.
    fn add(&mut self, Acquaintance { photos, visitor }: Acquaintance) -> bool {
        let (enrolled, setting): (Vec<_>, Vec<_>) = photos.into_iter().partition(|(number, _)| *number < ENROLLED);
        let row = aggregate::mean(enrolled.iter().map(|(_, embedding)| embedding));
        let (Some(row), Some(visitor), false) = (row, visitor, setting.is_empty()) else { return false };
        self.rows.extend(row.vector());
        self.setting.push(setting.into_iter().map(|(_, embedding)| embedding).collect());
        self.measuring.push(visitor.embedding);
        true
    }

    /// How many tables [`Crowd::grow`] makes of `people` people.
    #[must_use]
    pub fn tables(sizes: &[usize], people: usize) -> usize {
        sizes.iter().filter(|size| (2..=people).contains(*size)).map(|size| (people / size).min(TABLES)).sum()
    }

    /// Both rules on tables of each size; sizes of more people than there are, or fewer than two, are left out.
    ///
    /// # Errors
    /// [`GrowthError`].
    pub fn grow(
        &self,
        sizes: &[usize],
        mut on_table: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Growth, GrowthError> {
        let there = self.setting.len();
        let mut grown = Vec::new();
        for &size in sizes.iter().filter(|size| (2..=there).contains(*size)) {
            let tables = (there / size).min(TABLES);
            let mut compared: Option<Comparison> = None;
            for first in (0..tables).map(|table| table * size) {
                let one = self.compare(first, size)?;
                compared = Some(compared.map_or(one, |sum| together(&sum, &one)));
                on_table().map_err(GrowthError::Interrupted)?;
            }
            grown.extend(compared.map(|comparison| Size { tables, comparison }));
        }
        Ok(Growth { sizes: grown })
    }

    /// Both rules on the table of the people `first..first + size`.
    fn compare(&self, first: usize, size: usize) -> Result<Comparison, GrowthError> {
        let table = self.table(first, size, Rule::PAPER)?;
        let photos = self.setting[first..first + size].iter().enumerate();
        let genuine: Vec<Genuine> = photos
            .flat_map(|(row, photos)| photos.iter().map(move |photo| Genuine { row, embedding: photo.clone() }))
            .collect();
        let (setting, measuring) = self.strangers.split_at(self.strangers.len() / 2);
        let (rule, _) = calibrate(&table, &genuine, setting, TARGET_FPIR)?;
        let mated = self.measuring[first..first + size].par_iter().enumerate().map(|(row, photo)| {
            let scores = table.score(photo)?;
            let mated = if scores.best as usize == row { Mated::First } else { Mated::Behind };
            Ok(Trial { mated, scores, conditions: Conditions::default() })
        });
        let others = measuring.par_iter().map(|photo| {
            Ok(Trial { mated: Mated::Not, scores: table.score(photo)?, conditions: Conditions::default() })
        });
        let trials = mated.chain(others).collect::<Result<Vec<_>, TableError>>()?;
        let (paper, calibrated) = Family::both(rule, &trials);
        Ok(Comparison::of(size, paper, calibrated.unwrap_or(paper), &trials))
    }

    fn table(&self, first: usize, size: usize, rule: Rule) -> Result<Table, TableError> {
        let people =
            (first..first + size).zip(0..).map(|(person, id)| Person { id: PersonId(id), name: person.to_string() });
        Table::new(TableParts {
            encoder: self.strangers[0].encoder(),
            revision: 1,
            template: String::new(),
            logit_scale: LOGIT_SCALE,
            people: people.collect(),
            classes: self.rows[first * self.dim..(first + size) * self.dim].to_vec(),
            dim: self.dim,
            rule,
            calibration: None,
        })
    }
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
    }
}
