//! `[relay]`, `[inputs]` and `door.fail` → the relay, the door's wires, and how the lock must be wired.

use std::time::Duration;

use lintel_core::door::FailMode;

use super::error::RunError;
use crate::config::{Config, RelayKind};
use crate::io::gpio::inputs::{GpioInputs, Inputs};
use crate::io::gpio::line::{InputLine, OutputLine};
use crate::io::gpio::raspberry::RaspberryPin;
use crate::io::gpio::{Active, Line, Pull};
use crate::io::relay::line::{Action, Feedback, LineRelay};
use crate::io::relay::sim::{SimRelay, SimSettings};
use crate::io::relay::{Relay, RelayFailure};

/// The relay that the settings ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayPlan {
    /// One that exists in memory only.
    Simulated,
    /// A relay that a GPIO line drives.
    Line {
        /// Where the line is.
        board: Board,
        /// Name of the GPIO line.
        line: String,
        /// The level that pulls the coil.
        active: Active,
        /// How a release is made.
        action: Action,
        /// The contact that moves with the relay, where there is one.
        contact: Option<ContactPlan>,
    },
}

/// Where a relay's line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Board {
    /// On the kernel's GPIO character device.
    CharacterDevice,
    /// A pin of a Raspberry Pi, through its registers.
    RaspberryPi,
}

/// The contact that moves with the relay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContactPlan {
    /// Name of the GPIO line that reads the contact.
    pub line: String,
    /// The level while the strike is released.
    pub released: Active,
    /// What the board does with the open contact.
    pub pull: Pull,
}

/// What `[relay]` asks for; takes no line.
#[must_use]
pub fn relay_plan(config: &Config) -> RelayPlan {
    let relay = &config.relay;
    let board = match relay.kind {
        RelayKind::Sim => return RelayPlan::Simulated,
        RelayKind::Gpio => Board::CharacterDevice,
        RelayKind::RaspberryPi => Board::RaspberryPi,
    };
    let contact = (!relay.feedback.is_empty()).then(|| ContactPlan {
        line: relay.feedback.clone(),
        released: relay.feedback_released.into(),
        pull: config.inputs.pull.into(),
    });
    let (line, active) = (relay.line.clone(), relay.active.into());
    RelayPlan::Line { board, line, active, action: config.relay_action(), contact }
}

/// The relay of a plan, its line inactive.
///
/// # Errors
/// When its line or its contact's cannot be taken.
pub fn open_relay(plan: RelayPlan) -> Result<Box<dyn Relay>, RunError> {
    let RelayPlan::Line { board, line, active, action, contact } = plan else {
        return Ok(Box::new(SimRelay::new(SimSettings::default())));
    };
    let line: Box<dyn Line> = match board {
        Board::CharacterDevice => Box::new(OutputLine::take(&line, active).map_err(RelayFailure::Coil)?),
        Board::RaspberryPi => Box::new(RaspberryPin::take(&line, active).map_err(RelayFailure::Coil)?),
    };
    let take = |ContactPlan { line, released, pull }| InputLine::take(&line, released, pull, Duration::ZERO);
    let contact = contact.map(take).transpose().map_err(RelayFailure::Contact)?;
    let contact = contact.map(|line| Box::new(line) as Box<dyn Feedback>);
    Ok(Box::new(LineRelay::new(line, action, contact).map_err(RunError::Thread)?))
}

/// The door's wires, if the settings name any.
pub(super) fn open_inputs(config: &Config) -> Result<Option<Box<dyn Inputs>>, RunError> {
    let Some(settings) = config.input_settings() else { return Ok(None) };
    let inputs = GpioInputs::take(&settings)?;
    for wire in inputs.describe() {
        tracing::info!("{wire}");
    }
    Ok(Some(Box::new(inputs)))
}

/// What the door does when power is lost, and the wiring that this takes. The daemon cannot see the wiring: it says
/// which one the settings promise.
#[must_use]
pub fn without_power(fail: FailMode) -> &'static str {
    match fail {
        FailMode::Secure => "locked (fail-secure): the strike gets its power through the relay's NO contact",
        FailMode::Safe => "released (fail-safe): the magnet gets its power through the relay's NC contact",
    }
}
