//! A wanted position of the strike → the relay's line; what the line says → a reading.
//!
//! Constructors and `Drop` never switch: a relay moves in [`Relay::set`] or not at all, so that start, stop and crash
//! of the daemon make no edge.

use std::fmt;
use std::time::Duration;

use lintel_core::door::Strike;
use lintel_core::time::Uptime;

use super::gpio::LineError;

pub mod line;
pub mod sim;

/// Something that holds the strike locked or released.
pub trait Relay: Send {
    /// One line for the installer: what it is and how it switches.
    fn describe(&self) -> String;

    /// Moves the strike. Setting the position that it already has is no edge.
    ///
    /// # Errors
    /// Says what is then known of the position.
    fn set(&mut self, strike: Strike, now: Uptime) -> Result<(), RelayError>;

    /// What the line says, or `None` where it cannot be read back.
    ///
    /// # Errors
    /// When a line that can usually be read could not be.
    fn read(&mut self, now: Uptime) -> Result<Option<Strike>, RelayError>;

    /// How long after [`Relay::set`] a reading may still be the old one, contact bounce included.
    fn settle(&self) -> Duration;
}

/// The relay did not do as told.
#[derive(Debug, thiserror::Error)]
#[error("relay was told {}, {}: {source}", Position(Some(*.wanted)), Found(*.position))]
pub struct RelayError {
    /// The position that was asked for.
    pub wanted: Strike,
    /// The position that is known, if any.
    pub position: Option<Strike>,
    /// What went wrong.
    pub source: RelayFailure,
}

/// Which of a relay's lines failed.
#[derive(Debug, thiserror::Error)]
pub enum RelayFailure {
    /// The line that moves the coil.
    #[error(transparent)]
    Coil(#[from] LineError),
    /// The line of the contact that moves with it.
    #[error("its contact: {0}")]
    Contact(#[source] LineError),
}

struct Position(Option<Strike>);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(Strike::Locked) => "locked",
            Some(Strike::Released) => "released",
            None => "unknown",
        })
    }
}

struct Found(Option<Strike>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(_) => write!(f, "its line says {}", Position(self.0)),
            None => f.write_str("its position is unknown"),
        }
    }
}
