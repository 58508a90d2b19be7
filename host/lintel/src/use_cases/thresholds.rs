//! Strangers' faces and held-out photos → a table with its thresholds set.

use std::path::PathBuf;

use lintel_core::embed::Embedding;
use lintel_core::table::{Table, TableParts};
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::ingest::People;
use lintel_rendered::faces::ModelPairs;
use lintel_rendered::strangers::kept::{self, Kept};
use lintel_rendered::strangers::{self, Cohort, Stranger};
use lintel_training::calibration::{Genuine, TARGET_FPIR, calibrate, strangers_needed, strangers_wanted};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::progress::Progress;

/// How the thresholds of a table are set.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Ingested faces of people who may not pass; `None`: rendered people.
    pub strangers: Option<PathBuf>,
    /// The highest share of strangers that may be named, 0 to 1.
    pub target_fpir: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { strangers: None, target_fpir: TARGET_FPIR }
    }
}

/// People who may not pass, a trial each: the user's own, or rendered ones. None of them may be among `names`.
///
/// # Errors
/// [`Failure`].
pub fn strangers(
    thresholds: &Thresholds,
    names: &[String],
    pack: &Pack,
    encoder: &[u8],
    options: &Options,
    progress: Progress<'_>,
) -> Result<Vec<Stranger>, Failure> {
    match &thresholds.strangers {
        Some(folder) => {
            let people = People::open(folder, 1)?;
            let mut encoder = Encoder::open(encoder, options).map_err(Failure::work)?;
            let work = progress.begin("encoding strangers", people.people.len() as u64);
            Ok(strangers::ingested(&people, folder, names, &mut encoder, || {
                work.step();
                interrupt::check()
            })?)
        }
        None => {
            let needed = strangers_needed(thresholds.target_fpir);
            let wanted = strangers_wanted(thresholds.target_fpir).min(needed.max(strangers::MOST_RENDERED));
            let mut models = ModelPairs::open(&pack.detector, encoder, options).map_err(Failure::work)?;
            let mut cohort = rendered(wanted, &pack.detector, &mut models, progress)?;
            cohort.met.truncate(wanted);
            Ok(cohort.met)
        }
    }
}

/// At least `wanted` rendered strangers; those that are kept from an earlier run are not rendered again.
///
/// # Errors
/// [`Failure`].
pub fn rendered(
    wanted: usize,
    detector: &[u8],
    models: &mut ModelPairs,
    progress: Progress<'_>,
) -> Result<Cohort, Failure> {
    let kept = Kept::by(detector, models.encoder());
    let mut cohort = kept.as_ref().map(|kept| kept.open(models)).transpose()?.unwrap_or_default();
    if cohort.met.is_empty()
        && let Some(shipped) = lintel_packs::embedded_strangers(detector)
    {
        cohort = kept::checked(shipped, models)?;
    }
    if cohort.met.len() < wanted {
        let work = progress.begin("encoding strangers", (wanted - cohort.met.len()) as u64);
        let grown = cohort.grow(wanted, models, || {
            work.step();
            interrupt::check()
        });
        // Also what an interrupted run has.
        if let Some(Err(reason)) = kept.map(|kept| kept.keep(&cohort)) {
            progress.note(format!("the strangers cannot be kept for the next time: {reason}"));
        }
        grown?;
    }
    Ok(cohort)
}

/// The table with its thresholds set for the target.
///
/// # Errors
/// [`Failure::Input`] for a claim that the strangers cannot carry.
pub fn set(table: Table, genuine: &[Genuine], strangers: Vec<Stranger>, target_fpir: f64) -> Result<Table, Failure> {
    let strangers: Vec<Embedding> = strangers.into_iter().map(|stranger| stranger.embedding).collect();
    let (rule, calibration) = calibrate(&table, genuine, &strangers, target_fpir).map_err(Failure::input)?;
    Table::new(TableParts { rule, calibration: Some(calibration), ..table.into_parts() }).map_err(Failure::work)
}
