//! A [`Screen`] → something that a person in front of the door can see.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lintel_core::screen::Screen;

use crate::mailbox::{Put, Sender, Taken, mailbox};

pub mod card;
pub mod draw;
pub mod form;
pub mod framebuffer;
pub mod icon;
pub mod panel;
pub mod png;
pub mod ssd1306;
pub mod st7789;
pub mod text;

use panel::PanelError;

/// Something that shows screens. A display that fails never stops the door: its errors are counted and logged.
pub trait Display: Send {
    /// One line for the installer: what it is, size and depth.
    fn describe(&self) -> String;

    /// Shows a screen; called again for every change, and with the same screen as often as one likes.
    ///
    /// # Errors
    /// When the display is gone or its picture could not be written.
    fn show(&mut self, screen: &Screen) -> Result<(), DisplayError>;
}

/// A display did not show what it was told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DisplayError {
    /// The panel is not there, or its bus refuses; it is opened again with the next screen.
    #[error("{panel}: {source}")]
    Panel {
        /// The panel's kind and the device that it is on.
        panel: String,
        /// What went wrong.
        source: Arc<PanelError>,
    },
    /// The picture cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The picture cannot be made.
    #[error("display picture: {0}")]
    Picture(#[source] Arc<image::ImageError>),
    /// The display's thread has ended; nothing is shown any more.
    #[error("{0}: its thread has ended")]
    Ended(String),
}

/// No display at all: shows nothing, and that is no error.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDisplay;

impl Display for NoDisplay {
    fn describe(&self) -> String {
        "none".to_owned()
    }

    fn show(&mut self, _: &Screen) -> Result<(), DisplayError> {
        Ok(())
    }
}

/// A display on a thread of its own, so that a slow one holds nobody up; of screens that come too fast it shows the
/// latest. It tries again every second what it could not show; a call of `show` meanwhile returns the error.
pub struct Detached {
    description: String,
    screens: Option<Sender<Screen, ()>>,
    failed: Arc<Mutex<Option<DisplayError>>>,
    thread: Option<JoinHandle<()>>,
}

/// A screen that could not be shown is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);

impl Detached {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn spawn(mut display: Box<dyn Display>) -> std::io::Result<Self> {
        let description = display.describe();
        let (screens, inbox) = mailbox::<Screen, ()>(Screen::Starting, "display");
        let failed: Arc<Mutex<Option<DisplayError>>> = Arc::default();
        let told = Arc::clone(&failed);
        let thread = std::thread::Builder::new().name("display".to_owned()).spawn(move || {
            let mut screen = Screen::Starting;
            let mut again = false;
            loop {
                match inbox.take(&mut screen, RETRY) {
                    Taken::Nothing if again => {}
                    Taken::Fresh => {}
                    Taken::Nothing | Taken::Notice(()) => continue,
                    Taken::Died(_) | Taken::Finished => break,
                }
                let error = display.show(&screen).err();
                again = error.is_some();
                *told.lock().unwrap_or_else(PoisonError::into_inner) = error;
            }
        })?;
        Ok(Self { description, screens: Some(screens), failed, thread: Some(thread) })
    }
}

impl Display for Detached {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn show(&mut self, screen: &Screen) -> Result<(), DisplayError> {
        let taken = self.screens.as_ref().map(|screens| screens.put(&mut screen.clone()));
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(error);
        }
        match taken {
            Some(Put::Placed | Put::Overwrote) => Ok(()),
            Some(Put::NobodyReads) | None => Err(DisplayError::Ended(self.description.clone())),
        }
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(screens) = self.screens.take() {
            screens.finish();
        }
        if let Some(thread) = self.thread.take() {
            // A panic in there was told as "its thread has ended".
            let _ = thread.join();
        }
    }
}
