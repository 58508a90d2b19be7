//! Strangers' faces and held-out photos → a table with its thresholds set.

use lintel_core::embed::Embedding;
use lintel_core::table::{Table, TableParts};
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::ingest::People;
use lintel_rendered::faces::Analyzer;
use lintel_rendered::strangers::kept::Kept;
use lintel_rendered::strangers::{self, Cohort, Stranger};
use lintel_training::calibration::{Genuine, calibrate, strangers_needed, strangers_wanted};
use lintel_work::failure::Failure;
use lintel_work::interrupt;

use crate::cli::ThresholdsArgs;
use crate::commands::speaker::Console;

/// People who may not pass, a trial each: the user's own, or of people who do not exist. None of them may be among
/// `names`.
///
/// # Errors
/// [`Failure`].
pub fn strangers(
    args: &ThresholdsArgs,
    names: &[String],
    pack: &Pack,
    encoder: &[u8],
    runtime: &Options,
    console: &Console,
) -> Result<Vec<Stranger>, Failure> {
    match &args.strangers {
        Some(folder) => {
            let people = People::open(folder, 1)?;
            let mut encoder = Encoder::open(encoder, runtime).map_err(Failure::work)?;
            let progress = console.progress("looking at strangers", people.people.len() as u64);
            Ok(strangers::ingested(&people, folder, names, &mut encoder, || {
                progress.step();
                interrupt::check()
            })?)
        }
        None => {
            let needed = strangers_needed(args.target_fpir);
            let wanted = strangers_wanted(args.target_fpir).min(needed.max(strangers::MOST_RENDERED));
            let mut eyes = Analyzer::open(&pack.detector, encoder, runtime).map_err(Failure::work)?;
            let mut cohort = rendered(wanted, &pack.detector, &mut eyes, console)?;
            cohort.met.truncate(wanted);
            Ok(cohort.met)
        }
    }
}

/// At least so many strangers who do not exist; whoever was met before need not be met again.
///
/// # Errors
/// [`Failure`].
pub fn rendered(wanted: usize, detector: &[u8], eyes: &mut Analyzer, console: &Console) -> Result<Cohort, Failure> {
    let kept = Kept::by(detector, eyes.encoder());
    let mut cohort = kept.as_ref().map(|kept| kept.open(eyes)).transpose()?.unwrap_or_default();
    if cohort.met.len() < wanted {
        let progress = console.progress("looking at strangers", (wanted - cohort.met.len()) as u64);
        let grown = cohort.grow(wanted, eyes, || {
            progress.step();
            interrupt::check()
        });
        // Also what was met before an interruption.
        if let Some(Err(reason)) = kept.map(|kept| kept.keep(&cohort)) {
            console.say(format!("the strangers cannot be kept for the next time: {reason}"));
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
