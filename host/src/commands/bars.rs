//! Strangers' faces and held-out photos → a table with its bars set.

use lintel_shared::embed::Embedding;
use lintel_shared::quality::QualityLimits;
use lintel_shared::runtime::{Detector, Encoder, Options};
use lintel_shared::table::{Table, TableParts};

use crate::cli::BarsArgs;
use crate::console::Console;
use crate::failure::Failure;
use crate::ingest::People;
use crate::interrupt;
use crate::packs::Pack;
use crate::rendered_faces::Eyes;
use crate::strangers::{self, Stranger};
use crate::train::calibration::{Genuine, calibrate, strangers_needed, strangers_wanted};

/// People who may not pass, a trial each: the user's own, or of people who do not exist. None of them may be among `names`.
///
/// # Errors
/// [`Failure`].
pub fn strangers(
    args: &BarsArgs,
    names: &[String],
    pack: &Pack,
    encoder: &mut Encoder,
    runtime: &Options,
    console: &Console,
) -> Result<Vec<Stranger>, Failure> {
    let met = |people: usize| {
        let progress = console.progress("looking at strangers", people as u64);
        move || {
            progress.step();
            interrupt::check()
        }
    };
    match &args.strangers {
        Some(folder) => {
            let people = People::open(folder, 1)?;
            Ok(strangers::ingested(&people, folder, names, encoder, met(people.people.len()))?)
        }
        None => {
            let needed = strangers_needed(args.target_fpir);
            let wanted = strangers_wanted(args.target_fpir).min(needed.max(strangers::MOST_RENDERED));
            let mut detector = Detector::open(&pack.detector, runtime).map_err(Failure::work)?;
            let mut eyes = Eyes { detector: &mut detector, encoder, limits: &QualityLimits::default() };
            Ok(strangers::rendered(wanted, &mut eyes, met(wanted))?)
        }
    }
}

/// The table with its bars set for the target.
///
/// # Errors
/// [`Failure::Input`] for a claim that the strangers cannot carry.
pub fn set(table: Table, genuine: &[Genuine], strangers: Vec<Stranger>, target_fpir: f64) -> Result<Table, Failure> {
    let strangers: Vec<Embedding> = strangers.into_iter().map(|stranger| stranger.embedding).collect();
    let (rule, calibration) = calibrate(&table, genuine, &strangers, target_fpir).map_err(Failure::input)?;
    Table::new(TableParts { rule, calibration: Some(calibration), ..table.into_parts() }).map_err(Failure::work)
}
