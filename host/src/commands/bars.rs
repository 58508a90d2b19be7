//! Strangers' faces and held-out photos → a table with its bars set.

use lintel_shared::embed::Embedding;
use lintel_shared::quality::QualityLimits;
use lintel_shared::runtime::{Detector, Encoder, Options};
use lintel_shared::table::{Table, TableParts};

use crate::cli::BarsArgs;
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt;
use crate::packs::Pack;
use crate::rendered_faces::Eyes;
use crate::strangers;
use crate::train::calibration::{Genuine, calibrate, strangers_wanted};

/// Faces of people who may not pass: the user's own, or of people who do not exist. None of them may be among `names`.
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
) -> Result<Vec<Embedding>, Failure> {
    let wanted = strangers_wanted(args.target_fpir).min(strangers::MOST_RENDERED);
    let progress = console.progress("looking at strangers", wanted as u64);
    let on_face = || {
        progress.step();
        interrupt::check()
    };
    match &args.strangers {
        Some(folder) => Ok(strangers::ingested(folder, names, encoder, on_face)?),
        None => {
            let mut detector = Detector::open(&pack.detector, runtime).map_err(Failure::work)?;
            let mut eyes = Eyes { detector: &mut detector, encoder, limits: &QualityLimits::default() };
            Ok(strangers::rendered(wanted, &mut eyes, on_face)?.into_iter().map(|face| face.embedding).collect())
        }
    }
}

/// The table with its bars set for the target.
///
/// # Errors
/// [`Failure::Input`] for a claim that the strangers cannot carry.
pub fn set(table: Table, genuine: &[Genuine], strangers: &[Embedding], target_fpir: f64) -> Result<Table, Failure> {
    let (rule, calibration) = calibrate(&table, genuine, strangers, target_fpir).map_err(Failure::input)?;
    Table::new(TableParts { rule, calibration: Some(calibration), ..table.into_parts() }).map_err(Failure::work)
}
