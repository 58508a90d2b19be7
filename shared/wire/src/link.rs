//! Requests of a workstation and answers of a device ⇄ bytes.
//!
//! ```text
//! length u32 LE (of what follows) │ version u16 LE │ postcard of one Request or Answer
//! ```
//!
//! The first request of a connection is [`Request::Hello`] with the versions that the workstation speaks; the device
//! answers with the newest that both do, and everything after it carries that version. A message never changes its
//! meaning: the bytes of every variant are pinned by tests, new variants go to the end, anything else makes a version.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::value::{EncoderId, PersonId};

pub use crate::value::Hash;

/// The versions that this program speaks.
pub const SPOKEN: RangeInclusive<u16> = 1..=1;
/// Longest message, version and body together, in bytes.
pub const MAX_MESSAGE: usize = 160 << 10;
/// Bytes of the length prefix.
pub const PREFIX: usize = 4;
/// Most bytes of a file in one [`Request::Piece`].
pub const MAX_PIECE: usize = 128 << 10;
/// Largest file of metadata in one [`Request::Metadata`], in bytes.
pub const MAX_METADATA: usize = 128 << 10;
/// Most files of metadata in one offer: four roles and a chain of roots.
pub const MAX_METADATA_FILES: usize = 64;
/// Longest manifest in a [`Status`], in bytes.
pub const MAX_MANIFEST: usize = 8 << 10;
/// Longest text in a message, in bytes of UTF-8.
pub const MAX_TEXT: usize = 512;
/// Most people in one [`Answer::People`].
pub const MAX_PEOPLE_PAGE: usize = 200;
/// Most entries of the journal in one [`Answer::Log`].
pub const MAX_LOG_PAGE: usize = 200;

/// A workstation asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first thing that is said; always in version 1.
    Hello {
        /// The oldest version that the workstation speaks.
        oldest: u16,
        /// The newest version that the workstation speaks.
        newest: u16,
        /// Name and version of its program.
        software: String,
    },
    /// The first half of pairing: the workstation's SPAKE2 message.
    Pair {
        /// 33 bytes.
        message: Vec<u8>,
    },
    /// The second half: the workstation knows the code too, and says whom the device is to trust.
    Confirm {
        /// HMAC under the agreed key over both certificates.
        confirmation: Hash,
        /// What the workstation is called, for people to read.
        name: String,
        /// Until when its key may be used, in seconds since 1970; 0: for ever.
        valid_until: u64,
        /// The root of trust for what is pushed: `root.json` of The Update Framework.
        root: Vec<u8>,
    },
    /// What runs.
    Status,
    /// One file of a push's metadata, kept for this connection.
    Metadata {
        /// `timestamp.json`, `7.snapshot.json`, `7.targets.json`, `3.root.json`.
        name: String,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// Verify the metadata that was sent, and say which files are missing.
    Offer,
    /// A part of a missing file.
    Piece {
        /// Which file, by its SHA-256.
        file: Hash,
        /// Where the part begins: what the device has.
        offset: u64,
        /// 1 to [`MAX_PIECE`] bytes.
        bytes: Vec<u8>,
    },
    /// Everything was sent: prove it, and switch.
    Install,
    /// Back to the bundle in the other slot.
    Rollback,
    /// Who may enter.
    People {
        /// Rows to skip.
        from: u32,
    },
    /// The journal.
    Log {
        /// Only entries after this sequence number; 0: from the oldest.
        after: u64,
        /// At most so many, 1 to [`MAX_LOG_PAGE`].
        most: u16,
    },
    /// A workstation's key is to be known no longer.
    Forget {
        /// The fingerprint of its certificate.
        workstation: Hash,
    },
    /// Which workstations are known.
    Workstations,
    /// While pairing, before [`Request::Confirm`]: an older root of the site, oldest first, so that a device that has
    /// not seen a rotation yet knows the newest one for its own.
    Root {
        /// `3.root.json`.
        bytes: Vec<u8>,
    },
}

/// A device answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The version that both speak from now on.
    Hello {
        /// The newest version that both speak.
        version: u16,
        /// Name and version of the device's program.
        software: String,
    },
    /// The device's SPAKE2 message, and that it knows the code.
    Pair {
        /// 33 bytes.
        message: Vec<u8>,
        /// HMAC under the agreed key over both certificates.
        confirmation: Hash,
    },
    /// The two know each other.
    Paired,
    /// What runs.
    Status(Status),
    /// The metadata is kept.
    Kept,
    /// The metadata is sound; these files are missing.
    Wanted(Vec<Wanted>),
    /// The part is kept.
    Received {
        /// Bytes of the file that the device has now.
        have: u64,
    },
    /// Still at it; another answer follows.
    Working,
    /// The bundle runs.
    Installed(Receipt),
    /// Some of the people.
    People {
        /// A page of people, in the order of the table.
        people: Vec<Named>,
        /// Number of people in the table.
        all: u32,
    },
    /// Some of the journal.
    Log {
        /// Entries as the journal holds them, oldest first.
        entries: Vec<Vec<u8>>,
        /// Sequence number of the first of them.
        first: u64,
        /// The chain's hash before it.
        before: Hash,
        /// Sequence number of the newest entry.
        head: u64,
        /// The chain's hash there.
        head_hash: Hash,
    },
    /// The workstations that are known.
    Workstations(Vec<Workstation>),
    /// The request was carried out.
    Done,
    /// It is not, and nothing has changed.
    Refused {
        /// Why, for a program.
        why: Refusal,
        /// Why, for a person.
        text: String,
    },
}

/// What runs at a door.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The device's name.
    pub name: String,
    /// Version of the daemon.
    pub software: String,
    /// The manifest of the bundle that runs, as its file has it.
    pub manifest: Vec<u8>,
    /// People in the table.
    pub people: u32,
    /// The door's rule.
    pub rule: Rule,
    /// What was measured when it was set.
    pub calibration: Option<Calibration>,
    /// What runs the models.
    pub provider: String,
    /// Revision of the table that a rollback would bring back; `None`: there is none.
    pub previous: Option<u64>,
    /// Version of the root that is trusted.
    pub root: u64,
    /// Versions of timestamp, snapshot and targets that were seen last; 0: none.
    pub versions: [u64; 3],
    /// How long the daemon has run, in seconds.
    pub uptime: u64,
    /// Sequence number of the journal's newest entry.
    pub journal: u64,
    /// The chain's hash there.
    pub journal_head: Hash,
    /// Faults that are there now, in words.
    pub faults: Vec<String>,
}

/// When a face counts as a person's: the thresholds that must all be reached.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum Rule {
    /// Softmax confidence at CLIP's logit scale.
    Paper {
        /// 0 < `confidence` ≤ 1.
        confidence: f32,
    },
    /// Similarity to the best person, and margin over the next.
    Calibrated {
        /// Cosine, −1..=1.
        similarity: f32,
        /// Difference of cosines, 0..=2.
        margin: f32,
    },
}

/// What was measured on strangers when the rule was set. Shares, 0..=1.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Calibration {
    /// The false-positive identification rate that was asked for.
    pub target_fpir: f32,
    /// Trials with strangers.
    pub strangers: u32,
    /// Share of the trials in which somebody was named.
    pub observed_fpir: f32,
    /// Upper end of the 95 % Clopper–Pearson interval of `observed_fpir`.
    pub fpir_upper: f32,
    /// Share of trials with enrolled people in which nobody or somebody else was named.
    pub fnir: f32,
}

/// A file that a device lacks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// Its name in the bundle.
    pub name: String,
    /// Its SHA-256.
    pub file: Hash,
    /// Its size in bytes.
    pub bytes: u64,
    /// What the device has of it, from the beginning.
    pub have: u64,
}

/// A person of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Named {
    /// The person's number in the table.
    pub id: PersonId,
    /// The person's name, as the table has it.
    pub name: String,
}

/// A workstation that a device knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Workstation {
    /// The fingerprint of its certificate.
    pub fingerprint: Hash,
    /// The name that the workstation gave itself when it paired.
    pub name: String,
    /// Until when its key may be used, in seconds since 1970; 0: for ever.
    pub valid_until: u64,
}

/// What a device signs after a switch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Postcard of a [`Statement`].
    pub statement: Vec<u8>,
    /// The device's Ed25519 signature of it, 64 bytes.
    pub signature: Vec<u8>,
}

/// What a receipt says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// The fingerprint of the device's certificate.
    pub device: Hash,
    /// Revision of the table that runs now.
    pub revision: u64,
    /// SHA-256 of `table.lintel`.
    pub table: Hash,
    /// Hash of the encoder that runs now.
    pub encoder: EncoderId,
    /// People who were in the table before, and of whom nothing is left on the device.
    pub removed: Vec<PersonId>,
    /// Sequence number of the journal's newest entry.
    pub journal: u64,
    /// The chain's hash there.
    pub journal_head: Hash,
    /// When, by the device's clock, in seconds since 1970. It may be wrong.
    pub at: u64,
}

/// Why a device refuses; one for each thing that can be told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// No version is spoken by both.
    Version,
    /// The message makes no sense here.
    Protocol,
    /// The workstation's key is not known here.
    UnknownKey,
    /// The workstation's key was known once, and was taken off.
    RevokedKey,
    /// The workstation's key is past its date.
    ExpiredKey,
    /// Pairing mode is off, or has run out.
    NotPairing,
    /// The pairing code does not match the one that the device shows.
    WrongCode,
    /// The device belongs to another site.
    OtherSite,
    /// Signed by nobody who may: arbitrary software.
    Signature,
    /// Older than what was seen before.
    Rollback,
    /// Past its date: somebody may be holding back what is newer.
    Freeze,
    /// More data than was promised, or than is ever needed.
    EndlessData,
    /// A file that nobody listed.
    Extraneous,
    /// Parts of different versions.
    MixAndMatch,
    /// Meant for another device.
    WrongDevice,
    /// The content is not what was signed.
    Content,
    /// The metadata is none.
    Metadata,
    /// A version so high that nothing could follow it: fast-forward.
    FastForward,
    /// The bundle does not do on this device what it did where it was made.
    Proof,
    /// The bundle is sound, and not one that this device can run.
    Bundle,
    /// The disk refuses.
    Storage,
    /// Another push is going on.
    Busy,
    /// There is nothing to go back to.
    NoPrevious,
    /// No handshake: plain text, garbage, or a session that was recorded and is played again.
    Handshake,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Version => "no common version",
            Self::Protocol => "protocol error",
            Self::UnknownKey => "unknown key",
            Self::RevokedKey => "revoked key",
            Self::ExpiredKey => "expired key",
            Self::NotPairing => "not pairing",
            Self::WrongCode => "wrong code",
            Self::OtherSite => "other site",
            Self::Signature => "not signed by who may",
            Self::Rollback => "rollback",
            Self::Freeze => "expired metadata",
            Self::EndlessData => "too much data",
            Self::Extraneous => "extraneous file",
            Self::MixAndMatch => "mix and match",
            Self::WrongDevice => "wrong device",
            Self::Content => "wrong content",
            Self::Metadata => "malformed metadata",
            Self::FastForward => "fast-forward",
            Self::Proof => "proof failed",
            Self::Bundle => "unusable bundle",
            Self::Storage => "storage",
            Self::Busy => "busy",
            Self::NoPrevious => "no previous bundle",
            Self::Handshake => "no handshake",
        })
    }
}

/// Why bytes are not a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MessageError {
    /// The length prefix exceeds the limit, or leaves no room for a version.
    #[error("message of {got} bytes, wanted 2 to {MAX_MESSAGE}")]
    Length {
        /// Bytes that the prefix announces.
        got: u64,
    },
    /// A version that was not agreed on.
    #[error("message has version {got}, wanted {wanted}")]
    Version {
        /// The message's.
        got: u16,
        /// The one that both speak.
        wanted: u16,
    },
    /// The body does not decode, or does not fill its message.
    #[error("message body cannot be read")]
    Malformed,
    /// Something in the body exceeds its limit.
    #[error("message holds {got} {what}, wanted at most {wanted}")]
    Limit {
        /// What is limited, in words.
        what: &'static str,
        /// Number in the message.
        got: usize,
        /// How many there may be.
        wanted: usize,
    },
}

/// What both sides do with a message of theirs.
pub trait Message: Serialize + for<'de> Deserialize<'de> {
    /// Whether everything in it is within its limits.
    ///
    /// # Errors
    /// [`MessageError::Limit`].
    fn check(&self) -> Result<(), MessageError>;
}

/// The newest version that both sides speak.
#[must_use]
pub fn agree(mine: &RangeInclusive<u16>, theirs: &RangeInclusive<u16>) -> Option<u16> {
    let newest = *mine.end().min(theirs.end());
    (newest >= *mine.start().max(theirs.start())).then_some(newest)
}

/// Message → frame.
///
/// # Errors
/// [`MessageError::Limit`] for what no reader would take.
pub fn to_frame(version: u16, message: &impl Message) -> Result<Vec<u8>, MessageError> {
    message.check()?;
    let body = postcard::to_allocvec(message).map_err(|_| MessageError::Malformed)?;
    if body.len() + 2 > MAX_MESSAGE {
        return Err(MessageError::Length { got: body.len() as u64 + 2 });
    }
    let length = u32::try_from(body.len() + 2).map_err(|_| MessageError::Length { got: u64::MAX })?;
    let mut frame = Vec::with_capacity(PREFIX + 2 + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&version.to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// What a length prefix announces.
///
/// # Errors
/// [`MessageError::Length`], so that nobody makes room for a message that is too long.
pub fn announced(prefix: [u8; PREFIX]) -> Result<usize, MessageError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if (2..=MAX_MESSAGE).contains(&length) { Ok(length) } else { Err(MessageError::Length { got: length as u64 }) }
}

/// What stands behind the length prefix → message.
///
/// # Errors
/// What is wrong with it.
pub fn from_body<M: Message>(version: u16, bytes: &[u8]) -> Result<M, MessageError> {
    let (got, body) = bytes.split_first_chunk::<2>().ok_or(MessageError::Length { got: bytes.len() as u64 })?;
    if bytes.len() > MAX_MESSAGE {
        return Err(MessageError::Length { got: bytes.len() as u64 });
    }
    let got = u16::from_le_bytes(*got);
    if got != version {
        return Err(MessageError::Version { got, wanted: version });
    }
    let (message, rest) = postcard::take_from_bytes::<M>(body).map_err(|_| MessageError::Malformed)?;
    if !rest.is_empty() {
        return Err(MessageError::Malformed);
    }
    message.check()?;
    Ok(message)
}

fn within(what: &'static str, got: usize, wanted: usize) -> Result<(), MessageError> {
    if got <= wanted { Ok(()) } else { Err(MessageError::Limit { what, got, wanted }) }
}

fn text(text: &str) -> Result<(), MessageError> {
    within("bytes of text", text.len(), MAX_TEXT)
}

impl Message for Request {
    fn check(&self) -> Result<(), MessageError> {
        match self {
            Self::Hello { software, .. } => text(software),
            Self::Pair { message } => within("bytes of a SPAKE2 message", message.len(), 33),
            Self::Confirm { name, root, .. } => {
                text(name)?;
                within("bytes of metadata", root.len(), MAX_METADATA)
            }
            Self::Metadata { name, bytes } => {
                text(name)?;
                within("bytes of metadata", bytes.len(), MAX_METADATA)
            }
            Self::Root { bytes } => within("bytes of metadata", bytes.len(), MAX_METADATA),
            Self::Piece { bytes, .. } => within("bytes of a piece", bytes.len(), MAX_PIECE),
            Self::Log { most, .. } => within("entries", usize::from(*most), MAX_LOG_PAGE),
            Self::Status
            | Self::Offer
            | Self::Install
            | Self::Rollback
            | Self::People { .. }
            | Self::Forget { .. }
            | Self::Workstations => Ok(()),
        }
    }
}

impl Message for Answer {
    fn check(&self) -> Result<(), MessageError> {
        match self {
            Self::Hello { software, .. } => text(software),
            Self::Pair { message, .. } => within("bytes of a SPAKE2 message", message.len(), 33),
            Self::Status(status) => {
                within("bytes of a manifest", status.manifest.len(), MAX_MANIFEST)?;
                for word in [&status.name, &status.software, &status.provider] {
                    text(word)?;
                }
                within("faults", status.faults.len(), 32)?;
                status.faults.iter().try_for_each(|fault| text(fault))
            }
            Self::Wanted(files) => {
                within("files", files.len(), 16)?;
                files.iter().try_for_each(|file| text(&file.name))
            }
            Self::Installed(receipt) => {
                within("bytes of a statement", receipt.statement.len(), MAX_MESSAGE / 2)?;
                within("bytes of a signature", receipt.signature.len(), 64)
            }
            Self::People { people, .. } => {
                within("people", people.len(), MAX_PEOPLE_PAGE)?;
                people.iter().try_for_each(|person| text(&person.name))
            }
            Self::Log { entries, .. } => within("entries", entries.len(), MAX_LOG_PAGE),
            Self::Workstations(known) => {
                within("workstations", known.len(), 256)?;
                known.iter().try_for_each(|workstation| text(&workstation.name))
            }
            Self::Refused { text: words, .. } => text(words),
            Self::Paired | Self::Kept | Self::Received { .. } | Self::Working | Self::Done => Ok(()),
        }
    }
}

/// As much of a text as a message takes.
#[must_use]
pub fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

#[cfg(test)]
mod tests;
