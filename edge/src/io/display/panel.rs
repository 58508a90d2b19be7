//! A panel that may be missing, unplugged or plugged in later → a [`Display`] that opens it whenever it has something to
//! show.

use lintel_core::screen::Screen;

use super::card::{self, Card};
use super::{Display, DisplayError};

/// A panel that is there.
pub trait Panel: Send {
    /// Draws the whole of it.
    ///
    /// # Errors
    /// What its bus said. It is opened anew before it is drawn again.
    fn draw(&mut self, card: &Card) -> Result<(), String>;
}

/// Opens the panel and sets it up.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Panel>, String> + Send>;

/// A display that is one panel.
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
        let failed = |why| DisplayError { what: self.words.clone(), why };
        let mut panel = match self.panel.take() {
            Some(panel) => panel,
            None => (self.opener)().map_err(failed)?,
        };
        panel.draw(&card::card(screen)).map_err(failed)?;
        self.panel = Some(panel);
        Ok(())
    }
}
