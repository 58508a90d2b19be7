//! Events of the daemon ⇄ bytes: a stream of length-prefixed, versioned messages.
//!
//! ```text
//! length u32 LE (of what follows) │ version u16 LE │ postcard of one Event
//! ```
//!
//! `lintel-edge run --events FILE` writes them, the workstation reads them. A message never changes its meaning: the
//! bytes of every variant are pinned by tests, new variants go to the end, anything else makes a new version.

use alloc::vec::Vec;

use heapless::String;
use serde::{Deserialize, Serialize};

use crate::value::{Contact, EncoderId, Fault, PersonId, Rect, Similarity, Strike, Uptime};

/// The version that this program writes and reads.
pub const VERSION: u16 = 1;
/// Longest message, version and event together, in bytes.
pub const MAX_MESSAGE: usize = 4096;
/// Bytes of the length prefix.
pub const PREFIX: usize = 4;
/// Most faces in one [`Look`].
pub const MAX_FACES: usize = 8;

/// A short text inside an event, in bytes of UTF-8.
pub type Text = String<64>;

/// Something happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, by the daemon's clock.
    pub at: Uptime,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum EventKind {
    /// The daemon runs.
    Started(Started),
    /// The replay camera begins another recording; a live camera never says so.
    Visit {
        /// File stem of the recording.
        recording: Text,
        /// What the recording says of itself, maybe nothing.
        label: Text,
    },
    /// A frame was looked at.
    Sighting(Look),
    /// A verdict over a track.
    Decision(Decision),
    /// The door's state changed.
    Door(DoorState),
    /// The relay did what it was told.
    Relay(Strike),
    /// The door's leaf moved.
    Contact(Contact),
    /// The display shows something else.
    Screen(Screen),
    /// Something failed.
    Fault(Fault),
    /// It works again.
    FaultCleared(Fault),
    /// The daemon stops, in order.
    Stopped,
    /// After repeated refusals nobody is looked at for a while.
    LockedOut {
        /// For how long, in seconds.
        seconds: u32,
        /// Refusals in a row.
        refusals: u32,
    },
}

/// What runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Started {
    /// Version of the daemon.
    pub software: Text,
    /// The model pack that the bundle was made from.
    pub pack: Text,
    /// Revision of the identity table.
    pub revision: u64,
    /// Hash of the encoder that runs.
    pub encoder: EncoderId,
    /// People in the table.
    pub people: u32,
    /// What runs the models: `CPU`, `CUDA`, `TensorRT`.
    pub provider: Text,
}

/// One frame's result without what only the voting needs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Look {
    /// When the camera took the frame.
    pub captured: Uptime,
    /// The faces, best first.
    pub faces: heapless::Vec<LookedAt, MAX_FACES>,
}

/// One face of a frame.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct LookedAt {
    /// Where it is, in frame pixels.
    pub bbox: Rect,
    /// How sure the detector is, 0..=1.
    pub score: f32,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a face.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The quality gate said no.
    Unfit,
    /// It was compared with the table.
    Compared {
        /// Who was named, if the rule's thresholds were passed.
        person: Option<PersonId>,
        /// Cosine with the most similar person.
        similarity: Similarity,
        /// Margin over the next person.
        margin: f32,
        /// Softmax confidence.
        confidence: f32,
    },
}

/// A verdict over a track.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The track that the verdict is about.
    pub track: TrackId,
    /// A person of the table, or a stranger.
    pub verdict: Verdict,
    /// Where the face was last, in frame pixels.
    pub bbox: Rect,
    /// Capture time of the first frame in which this face passed the quality gate.
    pub first_sharp: Uptime,
    /// Capture time of the frame whose vote decided.
    pub captured: Uptime,
    /// When the last vote was counted.
    pub decided: Uptime,
    /// Scores of the vote that decided.
    pub scores: Scores,
}

/// A face that was followed from frame to frame; a daemon gives no number twice between two starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackId(pub u32);

/// Who stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// An enrolled person.
    Known(PersonId),
    /// Nobody who is enrolled.
    Stranger,
}

/// How one embedding compares with everybody in the table.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scores {
    /// Row of the most similar person.
    pub best: u32,
    /// Cosine with that row.
    pub similarity: Similarity,
    /// Margin over the next person, 0..=2.
    pub margin: f32,
    /// Softmax confidence, 0..=1.
    pub confidence: f32,
}

/// What the door is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DoorState {
    /// Waiting for somebody.
    Locked,
    /// The strike is released.
    Released {
        /// When it will be locked.
        until: Uptime,
    },
    /// Locked, and not to be released yet.
    CoolDown {
        /// When it may be released again.
        until: Uptime,
    },
    /// Locked, but the leaf has been standing open for too long.
    HeldOpen,
    /// Locked, but the leaf was opened all the same.
    ForcedOpen,
    /// Locked, as far as that is possible, until the fault is cleared.
    Fault(Fault),
}

/// What the display shows.
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
        /// The person's name; empty where the table has no such person any more.
        name: Text,
    },
    /// Somebody who is not enrolled.
    NotRecognised,
    /// The face is too small.
    StepCloser,
    /// The face is turned away.
    LookAtCamera,
    /// The face is blurred.
    HoldStill,
    /// The door has been standing open for too long.
    HeldOpen,
    /// The door was opened while it was locked.
    ForcedOpen,
    /// The door stays locked because of this.
    Fault(Fault),
    /// A new bundle is being installed.
    Updating,
    /// After repeated refusals nobody is let in for a while.
    TryLater {
        /// How long that still lasts, in seconds.
        seconds: u16,
    },
    /// A workstation may be paired with this device now.
    Pairing {
        /// The code to be typed there.
        code: String<16>,
    },
}

/// Why bytes are not a message. After any of them the stream cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// The length prefix exceeds the limit, or leaves no room for a version.
    #[error("message of {got} bytes, wanted 2 to {MAX_MESSAGE}")]
    Length {
        /// Bytes that the prefix announces.
        got: u64,
    },
    /// A peer of another version.
    #[error("message has version {got}, this program speaks version {wanted}")]
    Version {
        /// The message's.
        got: u16,
        /// The one that is understood.
        wanted: u16,
    },
    /// The event does not decode, or does not fill its message.
    #[error("message content is not a version {VERSION} event")]
    Malformed,
    /// A number in the event is NaN or infinite.
    #[error("message holds a number that is not finite")]
    NotFinite,
    /// The stream ends inside a message.
    #[error("stream ends after {got} of {wanted} bytes of a message")]
    Truncated {
        /// Bytes that are there.
        got: usize,
        /// Bytes that are announced, prefix included.
        wanted: usize,
    },
    /// The event does not fit the buffer.
    #[error("event does not fit a buffer of {0} bytes")]
    Buffer(usize),
}

/// Event → message, written to the beginning of `buffer`; gives its length. Allocates nothing; a buffer of
/// [`PREFIX`] + [`MAX_MESSAGE`] bytes always suffices.
///
/// # Errors
/// [`WireError::Buffer`], and [`WireError::NotFinite`] for an event that no reader would accept.
pub fn encode(event: &Event, buffer: &mut [u8]) -> Result<usize, WireError> {
    if !event.is_finite() {
        return Err(WireError::NotFinite);
    }
    let room = buffer.len();
    let too_small = || WireError::Buffer(room);
    let (prefix, rest) = buffer.split_first_chunk_mut::<PREFIX>().ok_or_else(too_small)?;
    let (version, rest) = rest.split_first_chunk_mut::<2>().ok_or_else(too_small)?;
    *version = VERSION.to_le_bytes();
    let body = postcard::to_slice(event, rest).map_err(|_| too_small())?.len();
    let length = u32::try_from(body + 2).map_err(|_| too_small())?;
    *prefix = length.to_le_bytes();
    Ok(PREFIX + 2 + body)
}

/// Event → message in a vector of its own.
///
/// # Errors
/// [`WireError::NotFinite`] for an event that no reader would accept.
pub fn to_vec(event: &Event) -> Result<Vec<u8>, WireError> {
    let mut buffer = [0; PREFIX + MAX_MESSAGE];
    let len = encode(event, &mut buffer)?;
    Ok(buffer[..len].to_vec())
}

/// The first message of a stream: the event and how many bytes it took. `None`: more bytes are needed.
///
/// # Errors
/// What is wrong with the first message; as soon as it can be known.
pub fn decode(stream: &[u8]) -> Result<Option<(Event, usize)>, WireError> {
    let Some((length, rest)) = stream.split_first_chunk::<PREFIX>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if !(2..=MAX_MESSAGE).contains(&length) {
        return Err(WireError::Length { got: length as u64 });
    }
    let Some((version, _)) = rest.split_first_chunk::<2>() else { return Ok(None) };
    let got = u16::from_le_bytes(*version);
    if got != VERSION {
        return Err(WireError::Version { got, wanted: VERSION });
    }
    let Some(message) = rest.get(2..length) else { return Ok(None) };
    let (event, left) = postcard::take_from_bytes::<Event>(message).map_err(|_| WireError::Malformed)?;
    if !left.is_empty() {
        return Err(WireError::Malformed);
    }
    if !event.is_finite() {
        return Err(WireError::NotFinite);
    }
    Ok(Some((event, PREFIX + length)))
}

/// The events of a whole stream, in order; ends after the first error.
pub fn events(stream: &[u8]) -> impl Iterator<Item = Result<Event, WireError>> {
    let mut rest = Some(stream);
    core::iter::from_fn(move || {
        let stream = rest.take().filter(|stream| !stream.is_empty())?;
        match decode(stream) {
            Ok(Some((event, len))) => {
                rest = stream.get(len..);
                Some(Ok(event))
            }
            Ok(None) => Some(Err(truncated(stream))),
            Err(error) => Some(Err(error)),
        }
    })
}

fn truncated(stream: &[u8]) -> WireError {
    let announced = stream.first_chunk::<PREFIX>().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    WireError::Truncated { got: stream.len(), wanted: PREFIX + announced }
}

impl Event {
    fn is_finite(&self) -> bool {
        match &self.kind {
            EventKind::Sighting(look) => look.faces.iter().all(LookedAt::is_finite),
            EventKind::Decision(decision) => {
                let scores = &decision.scores;
                decision.bbox.is_finite() && scores.margin.is_finite() && scores.confidence.is_finite()
            }
            EventKind::Started(_)
            | EventKind::Visit { .. }
            | EventKind::Door(_)
            | EventKind::Relay(_)
            | EventKind::Contact(_)
            | EventKind::Screen(_)
            | EventKind::Fault(_)
            | EventKind::FaultCleared(_)
            | EventKind::Stopped
            | EventKind::LockedOut { .. } => true,
        }
    }
}

impl LookedAt {
    fn is_finite(&self) -> bool {
        let scores = match self.outcome {
            Outcome::Unfit => true,
            Outcome::Compared { margin, confidence, .. } => margin.is_finite() && confidence.is_finite(),
        };
        scores && self.bbox.is_finite() && self.score.is_finite()
    }
}
