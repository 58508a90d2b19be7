//! A V4L2 camera → pictures, for as long as the door stands: what goes wrong is told, and tried again.
//!
//! A camera that is unplugged, says nothing, or sends damage is a [`Trouble`] and never an end: its node is looked up
//! by name and opened again after a tenth of a second; each failure doubles the wait, up to two seconds.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use lintel_core::door::CameraFault;
use lintel_core::time::Uptime;

use super::{Camera, CameraError, Captured, Picture, Trouble};
use crate::io::clock::Clock;

pub mod device;
pub mod mode;
pub mod node;
pub mod pixels;

use device::DeviceError;
use mode::Wanted;
use node::{FindError, Roots};
use pixels::{FrameDamage, Layout};

/// Longest wait inside one call.
const SLICE: Duration = Duration::from_millis(50);
/// The first wait before a camera is opened again, and the longest.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// A camera that was just opened may take so much longer for its first frame.
const WARM_UP: Duration = Duration::from_secs(3);

/// A frame as it comes from the driver.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// The bytes that the driver filled.
    pub bytes: &'a [u8],
    /// The driver itself says that they are damaged.
    pub damaged: bool,
    /// How long ago it was taken.
    pub age: Duration,
}

/// Something that is open and delivers frames.
pub trait Delivery: Send {
    /// One line for the installer: card, node, mode.
    fn describe(&self) -> &str;

    /// The form of all its frames.
    fn layout(&self) -> Layout;

    /// Hands the newest frame to `take`, and passes over older ones that waited with it; `false` if none comes in time.
    ///
    /// # Errors
    /// When the camera is gone; it is not to be asked again.
    fn next(&mut self, patience: Duration, take: &mut dyn FnMut(Raw<'_>)) -> io::Result<bool>;
}

/// What has the camera.
pub trait Machine: Send {
    /// Opens the camera that is meant, whatever the kernel calls it today.
    ///
    /// # Errors
    /// Why there is none; it is tried again.
    fn open(&mut self) -> Result<Box<dyn Delivery>, OpenError>;

    /// Waits.
    fn pause(&mut self, pause: Duration) {
        thread::sleep(pause);
    }
}

/// Why no camera is open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No node is the camera that is meant.
    #[error(transparent)]
    Find(#[from] FindError),
    /// None of the nodes that may be meant can be used.
    #[error("{0}")]
    Unusable(Reasons),
}

/// Nodes, and why each cannot be used.
#[derive(Debug)]
pub struct Reasons(pub Vec<(PathBuf, DeviceError)>);

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.0.iter().map(|(path, e)| format!("{}: {e}", path.display())).collect();
        f.write_str(&reasons.join("; "))
    }
}

/// This machine.
struct Here {
    device: String,
    wanted: Wanted,
}

impl Machine for Here {
    fn open(&mut self) -> Result<Box<dyn Delivery>, OpenError> {
        let mut reasons = Vec::new();
        for path in Roots::default().find(&self.device)? {
            match device::Node::start(&path, self.wanted) {
                Ok(node) => return Ok(Box::new(node)),
                Err(e) => reasons.push((path, e)),
            }
        }
        Err(OpenError::Unusable(Reasons(reasons)))
    }
}

/// Which camera, which picture, and when its silence is a fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct V4l2Settings {
    /// What the installer calls it; empty: the first that works.
    pub device: String,
    /// The picture that is wanted.
    pub wanted: Wanted,
    /// A camera that gives nothing for so long is a fault.
    pub silent_after: Duration,
}

/// A camera that comes and goes.
pub struct V4l2Camera {
    settings: V4l2Settings,
    machine: Box<dyn Machine>,
    clock: Clock,
    state: State,
    /// Room for JPEGs that lack something.
    mended: Vec<u8>,
}

enum State {
    /// To be opened at that time, and after that long if it fails.
    Closed { at: Uptime, next_wait: Duration },
    /// Delivers; when it must have delivered again.
    Open { delivery: Box<dyn Delivery>, due: Uptime },
}

impl V4l2Camera {
    /// The camera of that name on this machine. It is opened when it is first asked for a picture.
    #[must_use]
    pub fn new(settings: V4l2Settings, clock: Clock) -> Self {
        let V4l2Settings { device, wanted, .. } = settings.clone();
        Self::on(Box::new(Here { device, wanted }), settings, clock)
    }

    /// The same on any machine.
    #[must_use]
    pub fn on(machine: Box<dyn Machine>, settings: V4l2Settings, clock: Clock) -> Self {
        let state = State::Closed { at: Uptime::ZERO, next_wait: RETRY[0] };
        Self { settings, machine, clock, state, mended: Vec::new() }
    }

    fn name(&self) -> &str {
        if self.settings.device.is_empty() { "the first camera" } else { &self.settings.device }
    }

    fn trouble(&self, fault: CameraFault, why: &dyn fmt::Display) -> Captured {
        Captured::Trouble(Trouble { fault, at: self.clock.now(), why: format!("{}: {why}", self.name()) })
    }

    /// Opens the camera if it is time, or waits a little.
    fn open(&mut self, at: Uptime, wait: Duration) -> Captured {
        let now = self.clock.now();
        if now < at {
            self.machine.pause(at.since(now).min(SLICE));
            return Captured::Idle;
        }
        match self.machine.open() {
            Ok(delivery) => {
                tracing::info!("camera: {}", delivery.describe());
                let due = self.clock.now() + self.settings.silent_after + WARM_UP;
                self.state = State::Open { delivery, due };
                Captured::Idle
            }
            Err(why) => {
                self.close(wait);
                self.trouble(CameraFault::Gone, &why)
            }
        }
    }

    /// Closes what is open; it is opened again after `wait`.
    fn close(&mut self, wait: Duration) {
        let state = State::Closed { at: self.clock.now() + wait, next_wait: (wait * 2).min(RETRY[1]) };
        if let State::Open { delivery, .. } = std::mem::replace(&mut self.state, state) {
            // `v4l` panics where a driver refuses to stop; it is closed all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(delivery)));
        }
    }
}

impl Camera for V4l2Camera {
    fn describe(&self) -> String {
        match &self.state {
            State::Open { delivery, .. } => delivery.describe().to_owned(),
            State::Closed { .. } => format!("{}, not open", self.name()),
        }
    }

    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError> {
        let (delivery, due) = match &mut self.state {
            State::Open { delivery, due } => (delivery, due),
            State::Closed { at, next_wait } => {
                let (at, wait) = (*at, *next_wait);
                return Ok(self.open(at, wait));
            }
        };
        let layout = delivery.layout();
        let (mended, pixels) = (&mut self.mended, &mut picture.pixels);
        let (mut captured, mut decoded) = (Uptime::ZERO, Ok(()));
        let mut take = |raw: Raw<'_>| {
            let age = u64::try_from(raw.age.as_micros()).unwrap_or(u64::MAX);
            captured = Uptime::from_micros(self.clock.now().as_micros().saturating_sub(age));
            decoded = if raw.damaged { Err(FrameDamage::Flagged) } else { layout.to_rgb(raw.bytes, mended, pixels) };
        };
        match delivery.next(SLICE, &mut take) {
            Ok(true) => {}
            Ok(false) => {
                if self.clock.now() <= *due {
                    return Ok(Captured::Idle);
                }
                // Opening it anew wakes most of them up, and shows whether it is there at all: not every driver tells.
                self.close(RETRY[0]);
                return Ok(self.trouble(CameraFault::Frozen, &"gives no frames any more"));
            }
            Err(e) => {
                self.close(RETRY[0]);
                return Ok(self.trouble(CameraFault::Gone, &e));
            }
        };
        *due = self.clock.now() + self.settings.silent_after;
        if let Err(why) = decoded {
            return Ok(self.trouble(CameraFault::Corrupt, &why));
        }
        (picture.width, picture.height, picture.captured) = (layout.width, layout.height, captured);
        Ok(Captured::Picture)
    }
}

#[cfg(test)]
mod tests;
