//! Exit button, door contact → what they say, as it happens.

use std::time::Duration;

use lintel_core::door::Contact;

use super::line::InputLine;
use super::{Active, LineError, Pull};

/// Something that the door's wires say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// Somebody inside wants to leave.
    Exit,
    /// The leaf was opened or closed, or is so at the start.
    Contact(Contact),
}

/// The wires of a door.
pub trait Inputs: Send {
    /// What happens next, if it happens in time.
    ///
    /// # Errors
    /// When a wire cannot be read; it may be asked again.
    fn next(&mut self, patience: Duration) -> Result<Option<Input>, InputError>;
}

/// A wire cannot be taken or read.
#[derive(Debug, thiserror::Error)]
#[error("{wire}: {source}")]
pub struct InputError {
    /// Which wire of the door.
    pub wire: &'static str,
    /// What its line said.
    pub source: LineError,
}

const EXIT_BUTTON: &str = "exit button";
const DOOR_CONTACT: &str = "door contact";

/// Names the wire that a line's error is about.
fn on(wire: &'static str) -> impl Fn(LineError) -> InputError {
    move |source| InputError { wire, source }
}

/// A press that nobody heard for so long (the models were being loaded) opens nothing any more.
const STALE: Duration = Duration::from_secs(1);

/// Which lines, and what their levels mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputSettings {
    /// The exit button's line; empty: there is none.
    pub exit_button: String,
    /// The level while it is pressed.
    pub pressed: Active,
    /// The door contact's line; empty: there is none.
    pub door_contact: String,
    /// The level while the leaf stands open.
    pub open: Active,
    /// What the board does with a wire that nobody drives.
    pub pull: Pull,
    /// A level must last so long.
    pub debounce: Duration,
}

/// Inputs on GPIO lines.
#[derive(Debug)]
pub struct GpioInputs {
    exit: Option<InputLine>,
    contact: Option<InputLine>,
    /// The contact's first reading, and the button's last level.
    untold: Option<Contact>,
    pressed: bool,
}

impl GpioInputs {
    /// Takes the lines.
    ///
    /// # Errors
    /// When one of them is not there or somebody else's.
    pub fn take(settings: &InputSettings) -> Result<Self, InputError> {
        let InputSettings { exit_button, pressed, door_contact, open, pull, debounce } = settings;
        let take = |wire: &'static str, line: &str, active: Active| {
            let wired = (!line.is_empty()).then(|| InputLine::take(line, active, *pull, *debounce));
            wired.transpose().map_err(on(wire))
        };
        let exit = take(EXIT_BUTTON, exit_button, *pressed)?;
        let contact = take(DOOR_CONTACT, door_contact, *open)?;
        let open = contact.as_ref().map(InputLine::read).transpose().map_err(on(DOOR_CONTACT))?;
        let untold = open.map(leaf);
        // A button that is held down at the start was not pressed for us.
        let pressed = exit.as_ref().map(InputLine::read).transpose().map_err(on(EXIT_BUTTON))?.unwrap_or(false);
        Ok(Self { exit, contact, untold, pressed })
    }

    /// One line for the installer about each wire.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let wire = |what: &str, line: &Option<InputLine>| line.as_ref().map(|l| format!("{what}: {}", l.describe()));
        [wire(EXIT_BUTTON, &self.exit), wire(DOOR_CONTACT, &self.contact)].into_iter().flatten().collect()
    }
}

fn leaf(open: bool) -> Contact {
    if open { Contact::Open } else { Contact::Closed }
}

impl Inputs for GpioInputs {
    fn next(&mut self, patience: Duration) -> Result<Option<Input>, InputError> {
        if let Some(contact) = self.untold.take() {
            return Ok(Some(Input::Contact(contact)));
        }
        // Two lines share the patience; an edge waits in the kernel until its line is asked.
        let patience = if self.exit.is_some() && self.contact.is_some() { patience / 2 } else { patience };
        if let Some(line) = &self.exit
            && let Some(edge) = line.edge(patience).map_err(on(EXIT_BUTTON))?
        {
            let before = std::mem::replace(&mut self.pressed, edge.active);
            return Ok((edge.active && !before && edge.age <= STALE).then_some(Input::Exit));
        }
        match &self.contact {
            Some(line) => {
                let edge = line.edge(patience).map_err(on(DOOR_CONTACT))?;
                Ok(edge.map(|edge| Input::Contact(leaf(edge.active))))
            }
            None => Ok(None),
        }
    }
}
