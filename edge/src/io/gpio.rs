//! Digital lines of the board: outputs ([`Line`]), and inputs with edges.

use std::path::PathBuf;

pub mod inputs;
pub mod line;
pub mod raspberry;

/// The level at which a line is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Active {
    /// Near the supply.
    High,
    /// Near ground.
    Low,
}

/// What the board does with an input that nobody drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    /// Left as it is.
    AsIs,
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// Nothing.
    Off,
}

/// Why a line cannot be taken, or does not do as told.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The configuration must name another line.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The chip is not there or may not be used.
    #[error("{}: {source}; is it there, and the user in the group `gpio`?", path.display())]
    Chip {
        /// The chip's node.
        path: PathBuf,
        /// What the kernel said.
        source: gpiocdev::Error,
    },
    /// The line belongs to somebody else.
    #[error("{line}: {source}; does another program use it?")]
    Taken {
        /// Chip and offset, or name, in words.
        line: String,
        /// What the kernel said.
        source: gpiocdev::Error,
    },
    /// This is no Raspberry Pi, or its registers may not be used.
    #[error("{0}; on other boards set relay.kind = \"gpio\"")]
    Board(#[source] rppal::gpio::Error),
    /// A pin of a Raspberry Pi belongs to somebody else.
    #[error("GPIO{number}: {source}")]
    Pin {
        /// BCM number.
        number: u8,
        /// What the driver said.
        source: rppal::gpio::Error,
    },
    /// The driver refuses now; it may be asked again.
    #[error("{0}")]
    Driver(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a name in the configuration means no line.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// No name is configured.
    #[error("no GPIO line is named in the configuration; {SEE}")]
    Empty,
    /// No chip has this name, node or label.
    #[error("there is no GPIO chip {0:?}; {SEE}")]
    NoChip(String),
    /// The chip has fewer lines.
    #[error("{line}: the chip has lines 0 to {last}; {SEE}")]
    Offset {
        /// As configured.
        line: String,
        /// The greatest offset that there is.
        last: u32,
    },
    /// No line of any chip has this name.
    #[error("no GPIO line is called {0:?}; {SEE}")]
    NoLine(String),
    /// The lines of the chips cannot be listed.
    #[error("no GPIO line is called {name:?}: {source}; {SEE}")]
    Unlisted {
        /// As configured.
        name: String,
        /// What the kernel said.
        source: gpiocdev::Error,
    },
    /// Lines of several chips have this name.
    #[error("{count} GPIO lines are called {name:?}; give one as CHIP:OFFSET; {SEE}")]
    Ambiguous {
        /// As configured.
        name: String,
        /// Lines that have this name.
        count: usize,
    },
    /// It is no BCM number.
    #[error("pin is {0:?}, wanted a BCM number such as GPIO17")]
    NoPin(String),
}

const SEE: &str = "see `gpioinfo` for what there is";

/// A digital output.
pub trait Line: Send {
    /// One line for the installer.
    fn describe(&self) -> String;

    /// Makes it active or not.
    ///
    /// # Errors
    /// What the driver said.
    fn set(&mut self, active: bool) -> Result<(), LineError>;

    /// Whether it is active, as far as the driver can read it back.
    ///
    /// # Errors
    /// What the driver said.
    fn read(&mut self) -> Result<bool, LineError>;
}
