//! Recordings → what the door would have done, and how often that was right.
//!
//! Frames pass the same code that runs at the door (`CameraWatch`, `FaceAnalyzer`, `Controller`) in virtual time. The
//! clock is the recording's own, so the same bundle and recordings give the same figures on every machine.
//!
//! One recording is one transaction of one participant. *Mated*: the person is in the table. A participant who is not
//! in the table is *non-mated*.

pub mod crowd;
pub mod growth;
pub mod pictures;
pub mod rules;
pub mod slices;
pub mod visit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_core::camera_watch::CameraWatchSettings;
use lintel_core::controller::ControllerSettings;
use lintel_core::quality::QualityLimits;
use lintel_core::table::{Calibration, Rule, Table};
use lintel_formats::recording::{Recording, RecordingError};
use lintel_statistics::{Rate, percentile};
use lintel_work::failure::{Failure, reason};
use serde::{Deserialize, Serialize};

use growth::Growth;
use rules::{Comparison, Errors, Family, Point};
use slices::{Judged, Slice, slices};
use visit::{Participant, Trial, Visit};

/// Raised when the meaning of `report.json` changes.
pub const REPORT_FORMAT: u32 = 4;

/// The settings of the door.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The quality gate.
    pub quality: QualityLimits,
    /// The settings of the camera watch.
    pub camera: CameraWatchSettings,
    /// The settings of the door controller.
    pub controller: ControllerSettings,
    /// Processing time of one frame; frames that come meanwhile are skipped.
    pub frame_time: Duration,
}

/// The rates over all recordings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Participants who got the right result, of all (the paper's deployment accuracy).
    pub deployment_accuracy: Rate,
    /// Enrolled participants who were not named right (the paper's FPR).
    pub paper_fpr: Rate,
    /// Strangers who were not rejected (the paper's FNR).
    pub paper_fnr: Rate,
    /// Non-mated transactions in which somebody was named (NIST's FPIR).
    pub fpir: Rate,
    /// Mated transactions in which the person was not named, or misnamed (NIST's FNIR).
    pub fnir: Rate,
    /// FPIR over single frames with a face that passed the gate.
    pub frame_fpir: Rate,
    /// FNIR over single frames with a face that passed the gate.
    pub frame_fnir: Rate,
    /// Time from the first sharp frame to the verdict, median, ms.
    pub verdict_ms_p50: Option<f64>,
    /// Time from the first sharp frame to the verdict, 95th percentile, ms.
    pub verdict_ms_p95: Option<f64>,
}

/// The content of `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The model pack.
    pub pack: String,
    /// The table's revision.
    pub revision: u64,
    /// SHA-256 of the encoder, hex.
    pub encoder: String,
    /// The table's rule.
    pub rule: Rule,
    /// The calibration of its thresholds.
    pub calibration: Option<Calibration>,
    /// The settings of the door.
    pub setup: Setup,
    /// The names in the table.
    pub people: Vec<String>,
    /// Over all recordings.
    pub figures: Figures,
    /// By recording.
    pub participants: Vec<Participant>,
    /// Both rules' error rates at other thresholds: first over frames, then over whole visits.
    pub curves: Vec<ErrorCurve>,
    /// The paper's rule and the table's thresholds on the same looks; `None` for a table with the paper's rule.
    pub comparison: Option<Comparison>,
    /// By yaw, distance, light and the recordings' tags.
    pub slices: Vec<Slice>,
    /// Both rules on growing tables, if asked for.
    pub growth: Option<Growth>,
}

/// One rule's error rates at moving thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorCurve {
    /// The measure that the threshold applies to.
    pub rule: String,
    /// Whether whole visits are counted instead of frames.
    pub of_visits: bool,
    /// The rates at the threshold in use.
    pub at_the_threshold: Errors,
    /// From the lowest threshold to the highest.
    pub points: Vec<Point>,
}

/// The part of the report that needs no model.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// By recording.
    pub participants: Vec<Participant>,
    /// Every comparison.
    pub trials: Vec<Trial>,
    /// See [`Report::curves`].
    pub curves: Vec<ErrorCurve>,
    /// See [`Report::comparison`].
    pub comparison: Option<Comparison>,
    /// See [`Report::slices`].
    pub slices: Vec<Slice>,
}

/// Counts the votes of every visit, by the table's rule and by others.
///
/// # Errors
/// [`EvaluateError::Setup`].
pub fn measure(visits: &[Visit], table: &Table, setup: &Setup) -> Result<Measured, EvaluateError> {
    let participants: Vec<Participant> =
        visits.iter().map(|visit| visit.judged(table, setup)).collect::<Result<_, _>>()?;
    let trials: Vec<Trial> = visits.iter().flat_map(|visit| visit.trials(table)).collect();
    let (paper, calibrated) = Family::both(table.rule(), &trials);
    let mut curves = Vec::new();
    for family in calibrated.iter().chain([&paper]) {
        curves.push(ErrorCurve {
            rule: family.name().to_owned(),
            of_visits: false,
            at_the_threshold: family.errors(&trials),
            points: family.curve_of_looks(&trials),
        });
    }
    for family in calibrated.iter().chain([&paper]) {
        curves.push(ErrorCurve {
            rule: family.name().to_owned(),
            of_visits: true,
            at_the_threshold: family.errors_of_visits(visits, table, setup)?,
            points: family.curve_of_visits(&trials, visits, table, setup)?,
        });
    }
    let own = calibrated.unwrap_or(paper);
    let judged: Vec<Judged<'_>> = visits
        .iter()
        .zip(&participants)
        .map(|(visit, participant)| Judged { visit, participant, trials: visit.trials(table).collect() })
        .collect();
    Ok(Measured {
        slices: slices(&judged, |trial| own.passes(&trial.asked)),
        comparison: calibrated.map(|calibrated| Comparison::of(table.len(), paper, calibrated, &trials)),
        participants,
        trials,
        curves,
    })
}

/// Why recordings cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A recording does not open.
    #[error("{}: {}", path.display(), recording_reason(source))]
    Recording {
        /// The recording.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordingError,
    },
    /// A folder has no recordings.
    #[error("{} holds no recordings (NAME.mjpeg with NAME.toml beside it)", .0.display())]
    None(PathBuf),
    /// A model failed.
    #[error("{recording}: {reason}")]
    Analyzer {
        /// The recording or file.
        recording: String,
        /// The error.
        reason: String,
    },
    /// A setting of the door is refused.
    #[error("{0}")]
    Setup(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted(Failure),
}

impl From<EvaluateError> for Failure {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Interrupted(failure) => failure,
            EvaluateError::Analyzer { .. } => Self::work(error),
            _ => Self::input(error),
        }
    }
}

fn recording_reason(error: &RecordingError) -> String {
    match error {
        RecordingError::Io { path, source } => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            format!("{name}: {}", reason(source))
        }
        RecordingError::Frame { .. } | RecordingError::Size { .. } => {
            format!("{error}; take the recording out or record it again")
        }
        other => other.to_string(),
    }
}

/// The recordings of the paths (files, or folders with files), by file name.
///
/// # Errors
/// [`EvaluateError`].
pub fn find_recordings(paths: &[PathBuf]) -> Result<Vec<PathBuf>, EvaluateError> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.with_extension("mjpeg"));
            continue;
        }
        let failed = |source| EvaluateError::Recording {
            path: path.clone(),
            source: RecordingError::Io { path: path.clone(), source },
        };
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension == "mjpeg") {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            return Err(EvaluateError::None(path.clone()));
        }
        inside.sort();
        found.append(&mut inside);
    }
    Ok(found)
}

/// Opens a recording.
///
/// # Errors
/// [`EvaluateError::Recording`].
pub fn open_recording(path: &Path) -> Result<Recording, EvaluateError> {
    Recording::open(path).map_err(|source| EvaluateError::Recording { path: path.into(), source })
}

/// The rates over all participants.
#[must_use]
pub fn figures(participants: &[Participant]) -> Figures {
    let mated = || participants.iter().filter(|participant| participant.mated);
    let others = || participants.iter().filter(|participant| !participant.mated);
    let right = participants.iter().filter(|participant| participant.outcome.is_right()).count();
    let unnamed = mated().filter(|participant| !participant.outcome.is_right()).count();
    let accepted = others().filter(|participant| !participant.outcome.is_right()).count();
    let sum = |frames: &mut dyn Iterator<Item = u32>| frames.map(|count| count as usize).sum::<usize>();
    let fpir = Rate::new(accepted, others().count());
    let fnir = Rate::new(unnamed, mated().count());
    let times: Vec<f64> = participants.iter().filter_map(|participant| participant.verdict_ms).collect();
    Figures {
        deployment_accuracy: Rate::new(right, participants.len()),
        paper_fpr: fnir,
        paper_fnr: fpir,
        fpir,
        fnir,
        frame_fpir: Rate::new(
            sum(&mut others().map(|participant| participant.frames.wrong)),
            sum(&mut others().map(|participant| participant.frames.compared)),
        ),
        frame_fnir: Rate::new(
            sum(&mut mated().map(|participant| participant.frames.compared - participant.frames.right)),
            sum(&mut mated().map(|participant| participant.frames.compared)),
        ),
        verdict_ms_p50: percentile(&times, 0.5),
        verdict_ms_p95: percentile(&times, 0.95),
    }
}

/// The figures with their labels, for tables and JSON.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests;
