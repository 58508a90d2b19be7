//! Recordings → what the door would have done, and how often that was right.
//!
//! Frames go through the very code that runs at the door ([`Decider`], [`Door`]) in virtual time: the clock is the
//! recording's own, so the same bundle and recordings give the same figures on every machine.
//!
//! One recording is one transaction of one participant. *Mated*: the person is in the table. A stranger, or someone
//! whom the table does not have, is *non-mated*.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_shared::door::{Door, DoorSettings, Strike};
use lintel_shared::frame::Frame;
use lintel_shared::quality::QualityLimits;
use lintel_shared::recording::{About, Decoded, Recording, RecordingError};
use lintel_shared::table::{Calibration, PersonId, Rule, Table};
use lintel_shared::time::Uptime;
use lintel_shared::verdict::{Decider, Decision, Sighting, Verdict, VoteSettings};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, reason};
use crate::plots::Confusion;
use crate::statistics::{Rate, percentile};

/// Bumped when the meaning of `report.json` changes.
pub const REPORT_FORMAT: u32 = 1;

/// How the door is set up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The quality gate.
    pub quality: QualityLimits,
    /// Votes to verdicts.
    pub votes: VoteSettings,
    /// Verdicts to the strike.
    pub door: DoorSettings,
    /// How long the door takes over one frame; frames that come meanwhile are passed over.
    pub frame_time: Duration,
}

/// What became of one participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An enrolled person, and that name.
    NamedRight,
    /// An enrolled person, and another's name at least once.
    Misnamed,
    /// An enrolled person, and no name.
    NotNamed,
    /// A stranger, and no name.
    Rejected,
    /// A stranger, and somebody's name.
    Accepted,
}

impl Outcome {
    /// As a person reads it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NamedRight => "named right",
            Self::Misnamed => "MISNAMED",
            Self::NotNamed => "not named",
            Self::Rejected => "rejected",
            Self::Accepted => "ACCEPTED",
        }
    }

    /// Whether it is what should have happened.
    #[must_use]
    pub fn is_right(self) -> bool {
        matches!(self, Self::NamedRight | Self::Rejected)
    }
}

/// One recording and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// The recording's name.
    pub recording: String,
    /// What it says of itself.
    pub label: String,
    /// Who it is of; `None`: a stranger.
    pub person: Option<String>,
    /// Whether the table has that person.
    pub mated: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// Whom the door named: the wrong one first, if there was one.
    pub named: Option<String>,
    /// From the first sharp frame to the verdict that the outcome rests on.
    pub verdict_ms: Option<f64>,
    /// When the strike was released, from the recording's start.
    pub released_ms: Option<f64>,
    /// Its frames.
    pub frames: Frames,
}

/// What single frames said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// Looked at.
    pub looked_at: u32,
    /// Passed over because the door was still busy.
    pub passed_over: u32,
    /// With a face.
    pub with_face: u32,
    /// With a face that passed the quality gate; the largest counts.
    pub compared: u32,
    /// Named as the person who stands there.
    pub right: u32,
    /// Named as somebody else.
    pub wrong: u32,
}

/// The figures over all recordings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Participants who got what they should, of all (the paper's deployment accuracy).
    pub deployment_accuracy: Rate,
    /// Enrolled participants who were not named right (the paper's FPR).
    pub paper_fpr: Rate,
    /// Strangers who were not rejected (the paper's FNR).
    pub paper_fnr: Rate,
    /// Non-mated transactions in which somebody was named (NIST's FPIR).
    pub fpir: Rate,
    /// Mated transactions in which the person was not named, or misnamed (NIST's FNIR).
    pub fnir: Rate,
    /// The same over single frames of faces that passed the gate.
    pub frame_fpir: Rate,
    /// The same over single frames of faces that passed the gate.
    pub frame_fnir: Rate,
    /// From the first sharp frame to the verdict, median, ms.
    pub verdict_ms_p50: Option<f64>,
    /// From the first sharp frame to the verdict, 95th percentile, ms.
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
    /// How its bars were set.
    pub calibration: Option<Calibration>,
    /// How the door was set up.
    pub setup: Setup,
    /// The names in the table.
    pub people: Vec<String>,
    /// Over all recordings.
    pub figures: Figures,
    /// By recording.
    pub participants: Vec<Participant>,
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
    /// A folder without any.
    #[error("{} holds no recordings (NAME.mjpeg with NAME.toml beside it)", .0.display())]
    None(PathBuf),
    /// The models.
    #[error("{recording}: {reason}")]
    Vision {
        /// Where it happened.
        recording: String,
        /// What was said.
        reason: String,
    },
    /// A setting of the door.
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
            EvaluateError::Vision { .. } => Self::work(error),
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

/// The recordings that the paths name, themselves or in a folder, by file name.
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

/// Opens one.
///
/// # Errors
/// [`EvaluateError::Recording`].
pub fn open_recording(path: &Path) -> Result<Recording, EvaluateError> {
    Recording::open(path).map_err(|source| EvaluateError::Recording { path: path.into(), source })
}

/// Plays one recording at the door.
///
/// `look` is the way from a frame to a sighting; `on_frame` is called after each frame and may stop the work.
///
/// # Errors
/// [`EvaluateError`], at the first frame that is damaged.
pub fn visit<E: std::fmt::Display>(
    path: &Path,
    recording: &Recording,
    table: &Table,
    setup: &Setup,
    mut look: impl FnMut(&Frame<'_>) -> Result<Sighting, E>,
    mut on_frame: impl FnMut() -> Result<(), Failure>,
) -> Result<Participant, EvaluateError> {
    let mut decider = Decider::new(setup.votes).map_err(|error| EvaluateError::Setup(error.to_string()))?;
    let mut door = Door::new(setup.door).map_err(|error| EvaluateError::Setup(error.to_string()))?;
    let enrolled = row_of(table, recording.about());
    let mut frames = Frames::default();
    let mut decisions: Vec<Decision> = Vec::new();
    let mut released = None;
    let mut free_at = Uptime::ZERO;
    for decoded in recording.frames() {
        let decoded: Decoded = decoded.map_err(|source| EvaluateError::Recording { path: path.into(), source })?;
        let captured = decoded.info.captured;
        if captured < free_at {
            frames.passed_over += 1;
            continue;
        }
        let vision = |reason: String| EvaluateError::Vision { recording: recording.name().to_owned(), reason };
        let frame = decoded.frame().map_err(|error| vision(error.to_string()))?;
        let sighting = look(&frame).map_err(|error| vision(error.to_string()))?;
        let now = captured.saturating_add(setup.frame_time);
        free_at = now;
        count(&mut frames, &sighting, enrolled);

        let mut commands = vec![door.on_tick(now)];
        for decision in decider.on_sighting(&sighting, now) {
            commands.push(door.on_decision(&decision, now));
            decisions.push(decision);
        }
        if commands.into_iter().flatten().any(|command| command.0 == Strike::Released) && released.is_none() {
            released = Some(now);
        }
        on_frame().map_err(EvaluateError::Interrupted)?;
    }
    Ok(judge(recording.name(), recording.about(), table, enrolled, &decisions, released, frames))
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

/// Who came against who was named, one row per recording.
#[must_use]
pub fn confusion(people: &[String], participants: &[Participant]) -> Confusion {
    let column = |name: &Option<String>| {
        name.as_ref().and_then(|name| people.iter().position(|person| person == name)).unwrap_or(people.len())
    };
    // Enrolled people first, in the table's order, so that what is right lies on the diagonal.
    let mut sorted: Vec<&Participant> = participants.iter().collect();
    sorted.sort_by_key(|participant| if participant.mated { column(&participant.person) } else { people.len() });
    Confusion {
        rows: sorted.iter().map(|participant| participant.label.clone()).collect(),
        columns: people.iter().cloned().chain(["nobody".to_owned()]).collect(),
        counts: sorted
            .iter()
            .map(|participant| {
                let mut row = vec![0; people.len() + 1];
                row[column(&participant.named)] = 1;
                row
            })
            .collect(),
        right: sorted
            .iter()
            .map(|participant| if participant.mated { column(&participant.person) } else { people.len() })
            .collect(),
    }
}

fn row_of(table: &Table, about: &About) -> Option<PersonId> {
    let name = about.person.as_ref()?;
    table.people().iter().find(|person| person.name == *name).map(|person| person.id)
}

fn count(frames: &mut Frames, sighting: &Sighting, enrolled: Option<PersonId>) {
    frames.looked_at += 1;
    // The largest face comes first, and the participant is who stands nearest.
    let Some(seen) = sighting.seen.first() else { return };
    frames.with_face += 1;
    let Some(opinion) = &seen.opinion else { return };
    frames.compared += 1;
    match opinion.person() {
        Some(person) if Some(person) == enrolled => frames.right += 1,
        Some(_) => frames.wrong += 1,
        None => {}
    }
}

fn judge(
    recording: &str,
    about: &About,
    table: &Table,
    enrolled: Option<PersonId>,
    decisions: &[Decision],
    released: Option<Uptime>,
    frames: Frames,
) -> Participant {
    let known = |decision: &&Decision| matches!(decision.verdict, Verdict::Known(_));
    let wrong = decisions.iter().filter(known).find(|decision| !names(decision, enrolled));
    let right = decisions.iter().find(|decision| names(decision, enrolled));
    let outcome = match (enrolled.is_some(), wrong, right) {
        (true, Some(_), _) => Outcome::Misnamed,
        (true, None, Some(_)) => Outcome::NamedRight,
        (true, None, None) => Outcome::NotNamed,
        (false, Some(_), _) => Outcome::Accepted,
        (false, None, _) => Outcome::Rejected,
    };
    let decisive = wrong.or(right).or(decisions.first());
    let named = wrong.or(right).and_then(|decision| match decision.verdict {
        Verdict::Known(id) => Some(table.person(id).map_or_else(|| format!("person {}", id.0), |p| p.name.clone())),
        Verdict::Stranger => None,
    });
    Participant {
        recording: recording.to_owned(),
        label: if about.label.is_empty() { recording.to_owned() } else { about.label.clone() },
        person: about.person.clone(),
        mated: enrolled.is_some(),
        outcome,
        named,
        verdict_ms: decisive.map(|decision| milliseconds(decision.decided.since(decision.first_sharp))),
        released_ms: released.map(|at| milliseconds(at.since(Uptime::ZERO))),
        frames,
    }
}

fn names(decision: &Decision, enrolled: Option<PersonId>) -> bool {
    matches!((decision.verdict, enrolled), (Verdict::Known(id), Some(person)) if id == person)
}

/// For tables and JSON.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests;
