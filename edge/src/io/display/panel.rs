//! A panel that may be missing, unplugged or plugged in later → a [`Display`] that opens it whenever there is a screen
//! to show.

use std::io;
use std::sync::Arc;

use lintel_core::screen::Screen;

use super::card::{self, Card};
use super::form::FormError;
use super::{Display, DisplayError};
use crate::io::gpio::LineError;

/// A panel that was opened and set up.
pub trait Panel: Send {
    /// Draws every pixel.
    ///
    /// # Errors
    /// What its bus said. It is opened anew before it is drawn again.
    fn draw(&mut self, card: &Card) -> Result<(), PanelError>;
}

/// A panel cannot be opened or drawn.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    /// The bus or screen is not there, or may not be used.
    #[error("{source}; {hint}")]
    Open {
        /// What the operating system said.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What the installer may look at.
        hint: &'static str,
    },
    /// One of the panel's lines.
    #[error("{role}: {source}")]
    Line {
        /// What the line is for.
        role: &'static str,
        /// What it said.
        source: LineError,
    },
    /// No panel is at this address of the bus.
    #[error("nothing answers at address 0x{address:02x} ({why}); see `i2cdetect -y` for what does")]
    Silent {
        /// As configured.
        address: u8,
        /// What the bus said.
        why: String,
    },
    /// The screen is of a form that Lintel cannot draw on.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The bus refuses; drivers of buses have errors for programmers only.
    #[error("{bus}: {why}")]
    Bus {
        /// I²C, SPI, or one of its lines.
        bus: &'static str,
        /// What the driver said.
        why: String,
    },
    /// The screen cannot be written.
    #[error("{0}")]
    Write(#[source] io::Error),
}

/// Opens the panel and sets it up.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Panel>, PanelError> + Send>;

/// A display on a panel, which is opened when there is something to show and after each failure.
pub struct PanelDisplay {
    words: String,
    opener: Opener,
    panel: Option<Box<dyn Panel>>,
}

impl PanelDisplay {
    /// `words` say which panel, where. Nothing is opened yet.
    #[must_use]
    pub fn new(words: String, opener: Opener) -> Self {
        Self { words, opener, panel: None }
    }
}

impl Display for PanelDisplay {
    fn describe(&self) -> String {
        self.words.clone()
    }

    fn show(&mut self, screen: &Screen) -> Result<(), DisplayError> {
        let failed = |e| DisplayError::Panel { panel: self.words.clone(), source: Arc::new(e) };
        let mut panel = match self.panel.take() {
            Some(panel) => panel,
            None => (self.opener)().map_err(failed)?,
        };
        panel.draw(&card::card(screen)).map_err(failed)?;
        self.panel = Some(panel);
        Ok(())
    }
}
