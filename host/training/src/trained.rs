//! The folder of `lintel train`: `train.json`, and the checks that its files belong together.

use std::path::{Path, PathBuf};

use lintel_core::embed::EncoderId;
use lintel_core::table::{Calibration, Rule, Table};
use lintel_formats::bundle::Role;
use lintel_formats::table::TableFileError;
use lintel_pages::picture::palette;
use lintel_pages::plots::{Curve, curves};
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir};
use serde::{Deserialize, Serialize};

use crate::held_out::{HELD_OUT_FILE, HeldOutFaces};
use crate::{EpochFigures, Settings};

/// The index of a trained folder.
pub const TRAIN_FILE: &str = "train.json";
/// The checkpoint of an interrupted run in the unfinished folder.
pub const CHECKPOINT: &str = "checkpoint";
/// The loss curve.
pub const LOSS_FILE: &str = "loss.png";
/// Raised when the meaning of [`TRAIN_FILE`] changes.
pub const TRAIN_FORMAT: u32 = 2;

/// `train.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    /// [`TRAIN_FORMAT`].
    pub format: u32,
    /// The model pack's name.
    pub pack: String,
    /// SHA-256 of the detector that found the faces, hex.
    pub detector_sha256: String,
    /// SHA-256 of `encoder.onnx`, hex.
    pub encoder: String,
    /// The settings of training.
    pub settings: Settings,
    /// People in the table.
    pub people: u32,
    /// Number of training photos.
    pub trained_on: u32,
    /// The held-out photos.
    pub held_out: Vec<HeldOut>,
    /// Loss and accuracy by epoch.
    pub curve: Vec<EpochFigures>,
    /// The table's rule.
    pub rule: Rule,
    /// The calibration of the thresholds; absent for the paper's rule.
    pub calibration: Option<Calibration>,
    /// How the encoder was quantised; absent if it is a float model.
    #[serde(default)]
    pub int8: Option<lintel_quantize::Report>,
    /// The id of the next person to join: greater than any id that the table ever had.
    #[serde(default)]
    pub next_person: u32,
    /// The changes of the table after training, in order.
    #[serde(default)]
    pub changes: Vec<Change>,
}

/// A change of a trained table. It has no names: people who left leave no trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Change {
    /// People joined.
    Added {
        /// People who joined the table.
        people: u32,
        /// The settings of their training.
        settings: Settings,
    },
    /// People left.
    Removed {
        /// People who left the table.
        people: u32,
    },
}

/// A held-out photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Name of the person in the photo.
    pub name: String,
    /// File name of the photo.
    pub source: String,
}

/// Why a trained folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    /// A file is missing or unreadable.
    #[error("{} is not a folder of `lintel train`: {file}: {reason}", folder.display())]
    NotTrained {
        /// The trained folder.
        folder: PathBuf,
        /// Name of the file that cannot be used.
        file: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The table cannot be read.
    #[error("{}: {source}", file.display())]
    Table {
        /// Path of the table file.
        file: PathBuf,
        /// What is wrong with it.
        source: TableFileError,
    },
    /// The table belongs to another encoder.
    #[error("the table in {} is for encoder {wanted}, the encoder there is {got}; train again", folder.display())]
    Encoder {
        /// The trained folder.
        folder: PathBuf,
        /// The encoder that the table was trained against.
        wanted: EncoderId,
        /// The encoder in the folder.
        got: EncoderId,
    },
}

impl From<TrainedError> for Failure {
    fn from(error: TrainedError) -> Self {
        Self::input(error)
    }
}

/// A checked trained folder.
#[derive(Debug)]
pub struct TrainedFolder {
    /// `train.json`.
    pub report: TrainReport,
    /// The image encoder's ONNX file.
    pub encoder: Vec<u8>,
    /// The identity table.
    pub table: Table,
    /// The held-out photos' embeddings.
    pub held_out: HeldOutFaces,
}

impl TrainedFolder {
    /// Reads the folder and checks that the table is for this encoder.
    ///
    /// # Errors
    /// [`TrainedError`].
    pub fn open(folder: &Path) -> Result<Self, TrainedError> {
        let report = TrainReport::open(folder)?;
        let read = |file: &'static str| {
            std::fs::read(folder.join(file)).map_err(|error| TrainedError::NotTrained {
                folder: folder.into(),
                file,
                reason: reason(&error),
            })
        };
        let encoder = read(Role::Encoder.file_name())?;
        let table = lintel_formats::table::from_bytes(&read(Role::Table.file_name())?)
            .map_err(|source| TrainedError::Table { file: folder.join(Role::Table.file_name()), source })?;
        let (got, wanted) = (EncoderId::of(&encoder), table.encoder());
        if got != wanted {
            return Err(TrainedError::Encoder { folder: folder.into(), wanted, got });
        }
        let held_out = HeldOutFaces::from_bytes(&read(HELD_OUT_FILE)?).map_err(|error| TrainedError::NotTrained {
            folder: folder.into(),
            file: HELD_OUT_FILE,
            reason: error.to_string(),
        })?;
        Ok(Self { report, encoder, table, held_out })
    }

    /// Writes the files into the output folder and finishes it. Returns the report and the folder.
    ///
    /// # Errors
    /// [`Failure`]; what lay at the output is then unchanged.
    pub fn write(self, out: OutDir) -> Result<(TrainReport, PathBuf), Failure> {
        let Self { report, encoder, table, held_out } = self;
        out.write(Role::Encoder.file_name(), &encoder)?;
        out.write(Role::Table.file_name(), &lintel_formats::table::to_bytes(&table))?;
        out.write(HELD_OUT_FILE, &held_out.to_bytes(table.encoder()))?;
        out.write(LOSS_FILE, &loss_picture(&report.curve))?;
        out.write_json(Kind::Train.marker(), &report)?;
        interrupt::check()?;
        // The result is complete in the folder, so the checkpoint may go.
        let checkpoint = out.path().join(CHECKPOINT);
        if checkpoint.exists() {
            std::fs::remove_file(&checkpoint).map_err(|error| Failure::reading(&checkpoint, &error))?;
        }
        Ok((report, out.finish()?))
    }
}

impl TrainReport {
    /// Reads only `train.json`.
    ///
    /// # Errors
    /// [`TrainedError::NotTrained`].
    pub fn open(folder: &Path) -> Result<Self, TrainedError> {
        let not = |reason: String| TrainedError::NotTrained { folder: folder.into(), file: TRAIN_FILE, reason };
        let bytes = std::fs::read(folder.join(TRAIN_FILE)).map_err(|error| not(reason(&error)))?;
        let report: Self = serde_json::from_slice(&bytes).map_err(|error| not(error.to_string()))?;
        if report.format != TRAIN_FORMAT {
            return Err(not(format!("it has format {}, wanted {TRAIN_FORMAT}", report.format)));
        }
        Ok(report)
    }
}

/// Loss by epoch, a PNG.
#[must_use]
pub fn loss_picture(curve: &[EpochFigures]) -> Vec<u8> {
    let points = |value: fn(&EpochFigures) -> f32| {
        curve.iter().map(|point| (f64::from(point.epoch), f64::from(value(point)))).collect()
    };
    let lines = [
        Curve { label: "training".into(), colour: palette::ACCENT, points: points(|point| point.loss) },
        Curve { label: "held out".into(), colour: palette::SECOND, points: points(|point| point.held_out_loss) },
    ];
    curves("loss", "epoch", &lines).into_png()
}
