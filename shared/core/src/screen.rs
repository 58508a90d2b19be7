//! Door, votes, verdicts, faults → the one thing that the display says.
//!
//! What it looks like is the display's business; that both ends agree on what it says is this module's.

use core::time::Duration;

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::decision::Progress;
use crate::door::{DoorState, Fault, FaultSet};
use crate::quality::QualityFlaw;
use crate::time::Uptime;

/// Longest name on a display, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 64;
/// How long [`Screen::NotRecognised`] stays.
pub const REFUSAL_SHOWN: Duration = Duration::from_secs(3);

/// A name as a display shows it.
pub type ShownName = String<MAX_NAME_BYTES>;

/// Everything that a display can say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Screen {
    /// The daemon loads its models.
    Starting,
    /// Nobody is there.
    Ready,
    /// Somebody is there and the votes are being counted.
    Looking {
        /// Votes so far.
        votes: u8,
        /// Votes that make a verdict.
        needed: u8,
    },
    /// Come in.
    Welcome {
        /// Who; empty where the table has no such person any more.
        name: ShownName,
    },
    /// Somebody who is not enrolled.
    NotRecognised,
    /// The face is too small.
    StepCloser,
    /// The face is turned away.
    LookAtCamera,
    /// The face is blurred.
    HoldStill,
    /// The door stands open for too long.
    HeldOpen,
    /// The door was opened while it was locked.
    ForcedOpen,
    /// The door stays locked because of this.
    Fault(Fault),
    /// A new bundle is being taken over.
    Updating,
    /// After repeated refusals nobody is let in for a while.
    TryLater {
        /// How long it still lasts.
        seconds: u16,
    },
    /// A workstation may be paired with this device now.
    Pairing {
        /// The code to be typed there.
        code: String<16>,
    },
}

/// What the daemon is busy with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Service {
    /// Models are being loaded.
    #[default]
    Starting,
    /// Looking at frames.
    Running,
    /// A new bundle is being taken over, and nobody is recognised meanwhile.
    Updating,
}

/// Everything that decides what is shown.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What the daemon is busy with.
    pub service: Service,
    /// What the door is doing.
    pub door: DoorState,
    /// Every fault that is present.
    pub faults: FaultSet,
    /// Name of the person whom the last [`crate::decision::Verdict::Known`] named; `None` before the first.
    pub known: Option<&'a str>,
    /// When the last [`crate::decision::Verdict::Stranger`] was decided.
    pub refused: Option<Uptime>,
    /// Nobody is let in before this.
    pub locked_out: Option<Uptime>,
    /// The code of pairing mode.
    pub pairing: Option<&'a str>,
    /// The faces that are followed, the nearest first, as from [`crate::decision::Decider::progress`].
    pub progress: &'a [Progress],
}

impl Screen {
    /// The gravest thing first: a fault that stops the door, an alarm, an open door, a refusal, advice to the person
    /// who stands nearest, the votes, nothing.
    #[must_use]
    pub fn choose(situation: &Situation<'_>, now: Uptime) -> Self {
        match situation.service {
            Service::Starting => return Self::Starting,
            Service::Updating => return Self::Updating,
            Service::Running => {}
        }
        if let Some(fault) = situation.faults.stopping() {
            return Self::Fault(fault);
        }
        match situation.door {
            DoorState::Fault(fault) => return Self::Fault(fault),
            DoorState::ForcedOpen => return Self::ForcedOpen,
            DoorState::HeldOpen => return Self::HeldOpen,
            DoorState::Released { .. } => {
                return Self::Welcome { name: shown_name(situation.known.unwrap_or_default()) };
            }
            DoorState::Locked | DoorState::CoolDown { .. } => {}
        }
        if let Some(code) = situation.pairing {
            return Self::Pairing { code: code.try_into().unwrap_or_default() };
        }
        if let Some(until) = situation.locked_out.filter(|until| *until > now) {
            // Whole seconds, rounded up: 0 is never shown.
            let seconds = until.since(now).as_millis().div_ceil(1000);
            return Self::TryLater { seconds: u16::try_from(seconds).unwrap_or(u16::MAX) };
        }
        let refused = situation.refused.is_some_and(|at| at <= now && now.since(at) < REFUSAL_SHOWN);
        if refused {
            return Self::NotRecognised;
        }
        // Whoever has been told already is not counted again.
        match situation.progress.iter().find(|face| face.verdict.is_none()) {
            Some(face) => Self::for_face(face),
            None => Self::Ready,
        }
    }

    fn for_face(face: &Progress) -> Self {
        match &face.flaw {
            Some(QualityFlaw::TooSmall { .. }) => Self::StepCloser,
            Some(QualityFlaw::TurnedAway { .. }) => Self::LookAtCamera,
            Some(QualityFlaw::TooBlurred { .. }) => Self::HoldStill,
            None => Self::Looking { votes: face.votes, needed: face.needed },
        }
    }
}

/// A name cut to what a display message holds: at a character boundary, never between a letter and its combining
/// marks, and with an ellipsis where something is missing.
#[must_use]
pub fn shown_name(name: &str) -> ShownName {
    const ELLIPSIS: &str = "…";
    let mut shown = ShownName::new();
    if shown.push_str(name).is_ok() {
        return shown;
    }
    let room = MAX_NAME_BYTES - ELLIPSIS.len();
    let cut = name.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).filter(|at| separable(name, *at));
    let cut = cut.last().unwrap_or(0);
    // The cut is a boundary and leaves room for the ellipsis, so neither can fail.
    let fits = shown.push_str(name[..cut].trim_end()).and_then(|()| shown.push_str(ELLIPSIS));
    debug_assert!(fits.is_ok());
    shown
}

/// Whether what follows the boundary `at` is a character of its own: no combining mark, variation selector or skin
/// tone, and not joined to the one before it.
fn separable(name: &str, at: usize) -> bool {
    const JOINER: char = '\u{200d}';
    let (before, after) = name.split_at(at);
    let continues = |next: char| {
        matches!(next,
            JOINER
            | '\u{300}'..='\u{36f}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{fe20}'..='\u{fe2f}'
            | '\u{1f3fb}'..='\u{1f3ff}')
    };
    !before.ends_with(JOINER) && !after.starts_with(continues)
}
