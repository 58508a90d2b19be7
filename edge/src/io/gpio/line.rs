//! A GPIO line of the kernel's character device, by name or by chip and offset → output, input with edges.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Value};

use super::{Active, Line, LineError, NameError, Pull};
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
    pub fn find(line: &str) -> Result<Self, LineError> {
        if line.is_empty() {
            return Err(NameError::Empty.into());
        }
        let numbered = line.rsplit_once(':').and_then(|(chip, offset)| Some((chip, offset.parse::<u32>().ok()?)));
        let Some((chip, offset)) = numbered else { return Self::named(line) };
        let path = chip_node(chip).ok_or_else(|| NameError::NoChip(chip.to_owned()))?;
        let info = gpiocdev::Chip::from_path(&path).and_then(|chip| chip.info());
        let lines = info.map_err(|source| LineError::Chip { path: path.clone(), source })?.num_lines;
        if offset >= lines {
            return Err(NameError::Offset { line: line.to_owned(), last: lines.saturating_sub(1) }.into());
        }
        let words = format!("line {offset} of {}", path.display());
        Ok(Self { chip: path, offset, words })
    }

    fn named(name: &str) -> Result<Self, LineError> {
        let lines = gpiocdev::lines().map_err(|source| NameError::Unlisted { name: name.to_owned(), source })?;
        let found: Vec<_> = lines.filter(|line| line.info.name == name).collect();
        match found.as_slice() {
            [] => Err(NameError::NoLine(name.to_owned()).into()),
            [line] => {
                let words = format!("line {name}, number {} of {}", line.info.offset, line.chip.display());
                Ok(Self { chip: line.chip.clone(), offset: line.info.offset, words })
            }
            several => Err(NameError::Ambiguous { name: name.to_owned(), count: several.len() }.into()),
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

fn refused(error: gpiocdev::Error) -> LineError {
    LineError::Driver(Box::new(error))
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
    pub fn take(line: &str, active: Active) -> Result<Self, LineError> {
        let place = Place::find(line)?;
        let mut builder = Request::builder();
        builder.on_chip(&place.chip).with_consumer(CONSUMER).with_line(place.offset).as_output(Value::Inactive);
        if active == Active::Low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(|source| LineError::Taken { line: place.words.clone(), source })?;
        Ok(Self { request, place })
    }
}

impl Line for OutputLine {
    fn describe(&self) -> String {
        format!("GPIO {}", self.place.words)
    }

    fn set(&mut self, active: bool) -> Result<(), LineError> {
        let value = if active { Value::Active } else { Value::Inactive };
        self.request.set_value(self.place.offset, value).map(drop).map_err(refused)
    }

    fn read(&mut self) -> Result<bool, LineError> {
        let value = self.request.value(self.place.offset).map_err(refused)?;
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
    pub fn take(line: &str, active: Active, pull: Pull, debounce: Duration) -> Result<Self, LineError> {
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
        let request = builder.request().map_err(|source| LineError::Taken { line: place.words.clone(), source })?;
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
    pub fn read(&self) -> Result<bool, LineError> {
        Ok(self.request.value(self.place.offset).map_err(refused)? == Value::Active)
    }

    /// The next edge, if one comes in time.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn edge(&self, patience: Duration) -> Result<Option<InputEdge>, LineError> {
        if !self.request.wait_edge_event(patience).map_err(refused)? {
            return Ok(None);
        }
        let event = self.request.read_edge_event().map_err(refused)?;
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
            let error = Place::find(line).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("gpioinfo"), "{line:?}: {error}");
            assert_eq!(OutputLine::take(line, Active::High).unwrap_err().to_string(), error);
        };
        check("", "no GPIO line is named");
        check("NO_SUCH_LINE_OF_LINTEL", "no GPIO line is called");
        check("gpiochip987:3", "no GPIO chip");
        check("no-such-label:3", "no GPIO chip");
    }
}
