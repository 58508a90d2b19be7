//! A pin of a Raspberry Pi, by its BCM number → output, through the registers (`rppal`).

use rppal::gpio::{Gpio, Level, OutputPin};

use super::{Active, Line, LineError, NameError};

/// A pin as output.
#[derive(Debug)]
pub struct RaspberryPin {
    pin: OutputPin,
    active: Active,
}

impl RaspberryPin {
    /// Takes pin `GPIO17`, `BCM17` or `17` as an inactive output: level first, then direction, so that a pin that rests
    /// at that level makes no edge. It stays as it is when the daemon ends.
    ///
    /// # Errors
    /// On other boards, for pins that are not there or taken.
    pub fn take(line: &str, active: Active) -> Result<Self, LineError> {
        let digits = line.strip_prefix("GPIO").or_else(|| line.strip_prefix("BCM")).unwrap_or(line);
        let number: u8 = digits.parse().map_err(|_| NameError::NoPin(line.to_owned()))?;
        let gpio = Gpio::new().map_err(LineError::Board)?;
        let pin = gpio.get(number).map_err(|source| LineError::Pin { number, source })?;
        let mut pin = match active {
            Active::High => pin.into_output_low(),
            Active::Low => pin.into_output_high(),
        };
        pin.set_reset_on_drop(false);
        Ok(Self { pin, active })
    }
}

impl Line for RaspberryPin {
    fn describe(&self) -> String {
        format!("Raspberry Pi GPIO{}", self.pin.pin())
    }

    fn set(&mut self, active: bool) -> Result<(), LineError> {
        let high = active == (self.active == Active::High);
        self.pin.write(if high { Level::High } else { Level::Low });
        Ok(())
    }

    fn read(&mut self) -> Result<bool, LineError> {
        // The output driver's own register; `rppal` has no other reading for an output.
        Ok(self.pin.is_set_high() == (self.active == Active::High))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pin_or_no_raspberry_is_refused() {
        let check = |line: &str, part: &str| {
            let error = RaspberryPin::take(line, Active::High).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        };
        check("DOOR", "wanted a BCM number such as GPIO17");
        check("300", "wanted a BCM number such as GPIO17");
        if !std::path::Path::new("/proc/device-tree/model").exists() {
            check("GPIO17", "relay.kind = \"gpio\"");
        }
    }
}
