//! `[relay]` and `[inputs]` → the relay, and the door's wires.

use std::time::Duration;

use super::error::RunError;
use crate::config::{Config, RelayKind};
use crate::io::gpio::Line;
use crate::io::gpio::inputs::{GpioInputs, Inputs};
use crate::io::gpio::line::{InputLine, OutputLine};
use crate::io::gpio::raspberry::RaspberryPin;
use crate::io::relay::line::{Feedback, LineRelay};
use crate::io::relay::sim::{SimRelay, SimSettings};
use crate::io::relay::{Relay, RelayFailure};

/// The relay that the settings name, its line inactive.
///
/// # Errors
/// When its line cannot be taken.
pub fn open_relay(config: &Config) -> Result<Box<dyn Relay>, RunError> {
    let relay = &config.relay;
    let line: Box<dyn Line> = match relay.kind {
        RelayKind::Sim => return Ok(Box::new(SimRelay::new(SimSettings::default()))),
        RelayKind::Gpio => Box::new(OutputLine::take(&relay.line, relay.active.into()).map_err(RelayFailure::Coil)?),
        RelayKind::RaspberryPi => {
            Box::new(RaspberryPin::take(&relay.line, relay.active.into()).map_err(RelayFailure::Coil)?)
        }
    };
    let contact = (!relay.feedback.is_empty()).then(|| {
        let released = relay.feedback_released.into();
        InputLine::take(&relay.feedback, released, config.inputs.pull.into(), Duration::ZERO)
    });
    let contact = contact.transpose().map_err(RelayFailure::Contact)?;
    let contact = contact.map(|line| Box::new(line) as Box<dyn Feedback>);
    Ok(Box::new(LineRelay::new(line, config.relay_action(), contact).map_err(RunError::Thread)?))
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
