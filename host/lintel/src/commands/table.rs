//! `lintel table`: who is in a table, who joins it, who leaves it.

mod add;
mod remove;
mod show;

pub(super) use show::read_table;

use std::path::Path;

use lintel_core::table::{Rule, Table};
use lintel_inference::Options;
use sha2::{Digest as _, Sha256};

use crate::cli::{NewThresholdsArgs, Output, TableAction, TableArgs, ThresholdsArgs};
use crate::commands::speaker::Console;
use crate::commands::{existing_folder, thresholds};
use lintel_packs::Pack;
use lintel_training::calibration::TARGET_FPIR;
use lintel_training::held_out::HeldOutFaces;
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::Failure;
use lintel_work::outdir::refuse_nested;

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &TableArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    match &args.action {
        TableAction::Show(args) => show::run(args, console),
        TableAction::Add(args) => add::run(args, runtime, console),
        TableAction::Remove(args) => remove::run(args, runtime, console),
    }
}

/// The trained folder, which the output may replace but not lie in.
fn open(trained: &Path, output: &Output) -> Result<TrainedFolder, Failure> {
    existing_folder(trained)?;
    if trained != output.out {
        refuse_nested(&output.out, trained)?;
    }
    Ok(TrainedFolder::open(trained)?)
}

/// A table is changed with the models that it was made with.
pub(super) fn check_pack(trained: &TrainedFolder, pack: &Pack, folder: &Path) -> Result<(), Failure> {
    let same = trained.report.pack == pack.about.name
        && trained.report.detector_sha256 == hex::encode(Sha256::digest(&pack.detector));
    if same {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{} was trained with pack {}, this is another pack {}; give the same --pack",
        folder.display(),
        trained.report.pack,
        pack.about.name
    )))
}

/// How the thresholds are set anew: what was not chosen is the table's own.
pub(super) fn thresholds_args(args: &NewThresholdsArgs, table: &Table) -> ThresholdsArgs {
    let own = table.calibration().map(|calibration| {
        // As it was typed: the table keeps it as f32.
        calibration.target_fpir.to_string().parse().unwrap_or(TARGET_FPIR)
    });
    ThresholdsArgs { strangers: args.strangers.clone(), target_fpir: args.target_fpir.or(own).unwrap_or(TARGET_FPIR) }
}

/// The changed table with its thresholds set anew; one with the paper's rule, or without a held-out face, keeps its
/// rule.
fn with_thresholds(
    table: Table,
    held_out: &HeldOutFaces,
    args: &ThresholdsArgs,
    pack: &Pack,
    encoder: &[u8],
    runtime: &Options,
    console: &Console,
) -> Result<Table, Failure> {
    let genuine = held_out.genuine(&table);
    match table.rule() {
        Rule::Calibrated { .. } if !genuine.is_empty() => {
            let names: Vec<String> = table.people().iter().map(|person| person.name.clone()).collect();
            let strangers = thresholds::strangers(args, &names, pack, encoder, runtime, console)?;
            thresholds::set(table, &genuine, strangers, args.target_fpir)
        }
        Rule::Calibrated { .. } | Rule::Paper { .. } => Ok(table),
    }
}
