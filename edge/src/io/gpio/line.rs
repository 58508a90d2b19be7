//! A GPIO line of the kernel's character device, by name or by chip and offset → output, input with edges.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Value};

use super::{Active, Line, Pull};
use crate::io::clock::monotonic;

/// Who we are in `gpioinfo`.
const CONSUMER: &str = "lintel-edge";

/// A line of a chip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    chip: PathBuf,
    offset: u32,
    words: String,
}

impl Place {
    /// Finds the line that the installer means: its name in the device tree (`DOOR_RELAY`), or `CHIP:OFFSET` with the
    /// chip's node (`gpiochip0:17`, `/dev/gpiochip0:17`) or label (`pinctrl-bcm2711:17`).
    ///
    /// # Errors
    /// What is not there, and how to see what is.
    pub fn find(line: &str) -> Result<Self, String> {
        let see = "see `gpioinfo` for what there is";
        if line.is_empty() {
            return Err(format!("no GPIO line is named in the configuration; {see}"));
        }
        let numbered = line.rsplit_once(':').and_then(|(chip, offset)| Some((chip, offset.parse::<u32>().ok()?)));
        let Some((chip, offset)) = numbered else { return Self::named(line, see) };
        let path = chip_node(chip).ok_or_else(|| format!("there is no GPIO chip {chip:?}; {see}"))?;
        let lines =
            gpiocdev::Chip::from_path(&path).and_then(|chip| chip.info()).map_err(|e| unreadable(&path, &e))?.num_lines;
        if offset >= lines {
            return Err(format!("{line}: the chip has lines 0 to {}; {see}", lines.saturating_sub(1)));
        }
        let words = format!("line {offset} of {}", path.display());
        Ok(Self { chip: path, offset, words })
    }

    fn named(name: &str, see: &str) -> Result<Self, String> {
        let lines = gpiocdev::lines().map_err(|e| format!("no GPIO line is called {name:?}: {e}; {see}"))?;
        let found: Vec<_> = lines.filter(|line| line.info.name == name).collect();
        match found.as_slice() {
            [] => Err(format!("no GPIO line is called {name:?}; {see}")),
            [line] => {
                let words = format!("line {name}, number {} of {}", line.info.offset, line.chip.display());
                Ok(Self { chip: line.chip.clone(), offset: line.info.offset, words })
            }
            several => Err(format!("{} GPIO lines are called {name:?}; give one as CHIP:OFFSET; {see}", several.len())),
        }
    }
}

/// The node of a chip given as path, node name or label.
fn chip_node(chip: &str) -> Option<PathBuf> {
    let direct = if chip.starts_with('/') { PathBuf::from(chip) } else { Path::new("/dev").join(chip) };
    if direct.exists() {
        return Some(direct);
    }
    let label = |path: &PathBuf| gpiocdev::Chip::from_path(path).and_then(|c| c.info()).is_ok_and(|i| i.label == chip);
    gpiocdev::chip::chips().ok()?.into_iter().find(label)
}

fn unreadable(path: &Path, error: &gpiocdev::Error) -> String {
    format!("{}: {error}; is it there, and the user in the group `gpio`?", path.display())
}

/// An output on the character device. While the daemon lives the line is the daemon's; what becomes of it afterwards
/// is the controller's business, and nearly all keep the last level.
#[derive(Debug)]
pub struct OutputLine {
    request: Request,
    place: Place,
}

impl OutputLine {
    /// Takes the line as an inactive output, in one step: the kernel sets level and direction together, so a line that
    /// rests at that level makes no edge.
    ///
    /// # Errors
    /// When the line is not there or somebody else's.
    pub fn take(line: &str, active: Active) -> Result<Self, String> {
        let place = Place::find(line)?;
        let mut builder = Request::builder();
        builder.on_chip(&place.chip).with_consumer(CONSUMER).with_line(place.offset).as_output(Value::Inactive);
        if active == Active::Low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(|e| format!("{}: {e}; does another program use it?", place.words))?;
        Ok(Self { request, place })
    }
}

impl Line for OutputLine {
    fn describe(&self) -> String {
        format!("GPIO {}", self.place.words)
    }

    fn set(&mut self, active: bool) -> Result<(), String> {
        let value = if active { Value::Active } else { Value::Inactive };
        self.request.set_value(self.place.offset, value).map(drop).map_err(|e| e.to_string())
    }

    fn read(&mut self) -> Result<bool, String> {
        let value = self.request.value(self.place.offset).map_err(|e| e.to_string())?;
        Ok(value == Value::Active)
    }
}

/// An input that tells of its edges, debounced by the kernel.
#[derive(Debug)]
pub struct InputLine {
    request: Request,
    place: Place,
}

impl InputLine {
    /// Takes the line as an input.
    ///
    /// # Errors
    /// When the line is not there or somebody else's, or the controller knows no edges.
    pub fn take(line: &str, active: Active, pull: Pull, debounce: Duration) -> Result<Self, String> {
        let place = Place::find(line)?;
        let mut builder = Request::builder();
        builder.on_chip(&place.chip).with_consumer(CONSUMER).with_line(place.offset).as_input();
        if active == Active::Low {
            builder.as_active_low();
        }
        match pull {
            Pull::AsIs => {}
            Pull::Up => drop(builder.with_bias(Bias::PullUp)),
            Pull::Down => drop(builder.with_bias(Bias::PullDown)),
            Pull::Off => drop(builder.with_bias(Bias::Disabled)),
        }
        if !debounce.is_zero() {
            builder.with_debounce_period(debounce);
        }
        builder.with_edge_detection(EdgeDetection::BothEdges);
        let request = builder.request().map_err(|e| format!("{}: {e}; does another program use it?", place.words))?;
        Ok(Self { request, place })
    }

    /// One line for the installer.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("GPIO {}", self.place.words)
    }

    /// Whether the line is active now.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn read(&self) -> Result<bool, String> {
        Ok(self.request.value(self.place.offset).map_err(|e| e.to_string())? == Value::Active)
    }

    /// The next edge, if one comes in time.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn edge(&self, patience: Duration) -> Result<Option<InputEdge>, String> {
        if !self.request.wait_edge_event(patience).map_err(|e| e.to_string())? {
            return Ok(None);
        }
        let event = self.request.read_edge_event().map_err(|e| e.to_string())?;
        let age = monotonic().saturating_sub(Duration::from_nanos(event.timestamp_ns));
        Ok(Some(InputEdge { active: event.kind == EdgeKind::Rising, age }))
    }
}

/// A change of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InputEdge {
    /// Whether the line became active.
    pub active: bool,
    /// How long ago.
    pub age: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_with_what_to_do() {
        let check = |line: &str, part: &str| {
            let error = Place::find(line).unwrap_err();
            assert!(error.contains(part) && error.contains("gpioinfo"), "{line:?}: {error}");
            assert_eq!(OutputLine::take(line, Active::High).unwrap_err(), error);
        };
        check("", "no GPIO line is named");
        check("NO_SUCH_LINE_OF_LINTEL", "no GPIO line is called");
        check("gpiochip987:3", "no GPIO chip");
        check("no-such-label:3", "no GPIO chip");
    }
}
