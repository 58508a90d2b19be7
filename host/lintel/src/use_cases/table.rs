//! Who is in a table, who joins it, who leaves it.

pub mod add;
pub mod remove;
pub mod show;

use std::path::{Path, PathBuf};

use lintel_core::table::{Rule, Table};
use lintel_inference::Options;
use lintel_packs::Pack;
use lintel_training::calibration::TARGET_FPIR;
use lintel_training::held_out::HeldOutFaces;
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::Failure;
use lintel_work::outdir::refuse_nested;
use lintel_work::progress::Progress;
use sha2::{Digest as _, Sha256};

use super::thresholds::{self, Thresholds};
use super::{Output, existing_folder};

/// How the thresholds of a table that exists are set anew.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewThresholds {
    /// Ingested faces of people who may not pass; `None`: rendered people.
    pub strangers: Option<PathBuf>,
    /// The highest share of strangers that may be named, 0 to 1; `None`: the table's own target.
    pub target_fpir: Option<f64>,
}

impl NewThresholds {
    /// What was not chosen is the table's own.
    pub(super) fn for_table(&self, table: &Table) -> Thresholds {
        let own = table.calibration().map(|calibration| {
            // As it was typed: the table keeps it as f32.
            calibration.target_fpir.to_string().parse().unwrap_or(TARGET_FPIR)
        });
        Thresholds { strangers: self.strangers.clone(), target_fpir: self.target_fpir.or(own).unwrap_or(TARGET_FPIR) }
    }
}

/// The trained folder, which the output may replace but not lie in.
fn open(trained: &Path, output: &Output) -> Result<TrainedFolder, Failure> {
    existing_folder(trained)?;
    if trained != output.folder {
        refuse_nested(&output.folder, trained)?;
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

/// The changed table with its thresholds set anew; one with the paper's rule, or without a held-out face, keeps its
/// rule.
fn with_thresholds(
    table: Table,
    held_out: &HeldOutFaces,
    thresholds: &Thresholds,
    pack: &Pack,
    encoder: &[u8],
    options: &Options,
    progress: Progress<'_>,
) -> Result<Table, Failure> {
    let genuine = held_out.genuine(&table);
    match table.rule() {
        Rule::Calibrated { .. } if !genuine.is_empty() => {
            let names: Vec<String> = table.people().iter().map(|person| person.name.clone()).collect();
            let strangers = thresholds::strangers(thresholds, &names, pack, encoder, options, progress)?;
            thresholds::set(table, &genuine, strangers, thresholds.target_fpir)
        }
        Rule::Calibrated { .. } | Rule::Paper { .. } => Ok(table),
    }
}
