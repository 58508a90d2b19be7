//! The values that messages of all families are made of, and how they look in bytes (postcard) and in JSON.
//!
//! They mirror types of the domain, and are frozen where those are free to change: a change here changes the wire.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// SHA-256 of something.
pub type Hash = [u8; 32];

/// A monotonic instant: microseconds since a start that all messages of one process share. A varint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uptime(u64);

impl Uptime {
    /// The instant `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A person's number in the identity table. A varint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub u32);

/// An encoder, by the SHA-256 of its `.onnx` file. 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EncoderId(pub Hash);

/// Cosine of the angle between two embeddings, −1..=1. A little-endian `f32`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Similarity(f32);

impl Similarity {
    /// Rounding may carry a cosine past ±1 by this much.
    const SLACK: f32 = 1e-3;

    /// Clamps to −1..=1; `None` for NaN, infinities and everything further from that range than rounding explains.
    #[must_use]
    pub fn new(cosine: f32) -> Option<Self> {
        let possible = cosine.is_finite() && cosine.abs() <= 1.0 + Self::SLACK;
        possible.then(|| Self(cosine.clamp(-1.0, 1.0)))
    }

    /// The cosine, −1..=1.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }
}

/// A number that no cosine can have.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("similarity is {0}, wanted -1 to 1")]
pub struct NoSimilarity(pub f32);

impl TryFrom<f32> for Similarity {
    type Error = NoSimilarity;

    fn try_from(cosine: f32) -> Result<Self, NoSimilarity> {
        Self::new(cosine).ok_or(NoSimilarity(cosine))
    }
}

impl From<Similarity> for f32 {
    fn from(similarity: Similarity) -> f32 {
        similarity.0
    }
}

/// An upright rectangle in a frame: left, top, right, bottom, in pixels; the centre of the top-left pixel is (0, 0).
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
}

impl Rect {
    /// No coordinate is NaN or infinite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        [self.x1, self.y1, self.x2, self.y2].iter().all(|edge| edge.is_finite())
    }
}

/// What the strike was told, or where it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Strike {
    /// The door is held shut.
    Locked,
    /// The door can be opened.
    Released,
}

/// Where the door's leaf is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Contact {
    /// The leaf stands open.
    Open,
    /// The leaf is shut.
    Closed,
}

/// What is wrong with the camera.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CameraFault {
    /// Not there, or unplugged.
    Gone,
    /// Delivers one picture over and over, or nothing any more.
    Frozen,
    /// Delivers pictures without light.
    Dark,
    /// Delivers pictures that cannot be decoded.
    Corrupt,
}

/// What failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// The relay did not do, or may not have done, what it was told.
    Relay,
    /// The models or the table cannot be used.
    Model,
    /// No usable pictures.
    Camera(CameraFault),
    /// Nothing can be written: events, audit log.
    Storage,
    /// The display does not answer.
    Display,
    /// Nobody has vouched for the table for longer than the settings allow.
    Expired,
}
