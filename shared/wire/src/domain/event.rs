//! Events of the daemon.

use lintel_core::decision;
use lintel_core::door;
use lintel_core::screen;
use lintel_core::table;

use crate::event::{Decision, DoorState, Look, LookedAt, MAX_FACES, Outcome, Scores, Screen, TrackId, Verdict};

impl From<&decision::Sighting> for Look {
    /// Leaves out what only the voting needs.
    fn from(sighting: &decision::Sighting) -> Self {
        Self {
            captured: sighting.captured.into(),
            faces: sighting.seen.iter().take(MAX_FACES).map(LookedAt::from).collect(),
        }
    }
}

impl From<&decision::Seen> for LookedAt {
    fn from(seen: &decision::Seen) -> Self {
        Self { bbox: seen.face.bbox.into(), score: seen.face.score, outcome: seen.opinion.as_ref().into() }
    }
}

impl From<Option<&table::Opinion>> for Outcome {
    /// `None`: the quality gate said no.
    fn from(opinion: Option<&table::Opinion>) -> Self {
        let Some(opinion) = opinion else { return Self::Unfit };
        let scores = opinion.scores();
        Self::Compared {
            person: opinion.person().map(Into::into),
            similarity: scores.similarity.into(),
            margin: scores.margin,
            confidence: scores.confidence,
        }
    }
}

impl From<decision::Verdict> for Verdict {
    fn from(verdict: decision::Verdict) -> Self {
        match verdict {
            decision::Verdict::Known(person) => Self::Known(person.into()),
            decision::Verdict::Stranger => Self::Stranger,
        }
    }
}

impl From<table::Scores> for Scores {
    fn from(scores: table::Scores) -> Self {
        let table::Scores { best, similarity, margin, confidence } = scores;
        Self { best, similarity: similarity.into(), margin, confidence }
    }
}

impl From<decision::Decision> for Decision {
    fn from(decision: decision::Decision) -> Self {
        Self {
            track: TrackId(decision.track.0),
            verdict: decision.verdict.into(),
            bbox: decision.bbox.into(),
            first_sharp: decision.first_sharp.into(),
            captured: decision.captured.into(),
            decided: decision.decided.into(),
            scores: decision.scores.into(),
        }
    }
}

impl From<door::DoorState> for DoorState {
    fn from(state: door::DoorState) -> Self {
        match state {
            door::DoorState::Locked => Self::Locked,
            door::DoorState::Released { until } => Self::Released { until: until.into() },
            door::DoorState::CoolDown { until } => Self::CoolDown { until: until.into() },
            door::DoorState::HeldOpen => Self::HeldOpen,
            door::DoorState::ForcedOpen => Self::ForcedOpen,
            door::DoorState::Fault(fault) => Self::Fault(fault.into()),
        }
    }
}

impl From<screen::Screen> for Screen {
    fn from(screen: screen::Screen) -> Self {
        match screen {
            screen::Screen::Starting => Self::Starting,
            screen::Screen::Ready => Self::Ready,
            screen::Screen::Looking { votes, needed } => Self::Looking { votes, needed },
            screen::Screen::Welcome { name } => Self::Welcome { name },
            screen::Screen::NotRecognised => Self::NotRecognised,
            screen::Screen::StepCloser => Self::StepCloser,
            screen::Screen::LookAtCamera => Self::LookAtCamera,
            screen::Screen::HoldStill => Self::HoldStill,
            screen::Screen::HeldOpen => Self::HeldOpen,
            screen::Screen::ForcedOpen => Self::ForcedOpen,
            screen::Screen::Fault(fault) => Self::Fault(fault.into()),
            screen::Screen::Updating => Self::Updating,
            screen::Screen::TryLater { seconds } => Self::TryLater { seconds },
            screen::Screen::Pairing { code } => Self::Pairing { code },
        }
    }
}

impl From<Screen> for screen::Screen {
    fn from(screen: Screen) -> Self {
        match screen {
            Screen::Starting => Self::Starting,
            Screen::Ready => Self::Ready,
            Screen::Looking { votes, needed } => Self::Looking { votes, needed },
            Screen::Welcome { name } => Self::Welcome { name },
            Screen::NotRecognised => Self::NotRecognised,
            Screen::StepCloser => Self::StepCloser,
            Screen::LookAtCamera => Self::LookAtCamera,
            Screen::HoldStill => Self::HoldStill,
            Screen::HeldOpen => Self::HeldOpen,
            Screen::ForcedOpen => Self::ForcedOpen,
            Screen::Fault(fault) => Self::Fault(fault.into()),
            Screen::Updating => Self::Updating,
            Screen::TryLater { seconds } => Self::TryLater { seconds },
            Screen::Pairing { code } => Self::Pairing { code },
        }
    }
}
