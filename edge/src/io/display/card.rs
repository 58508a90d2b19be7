//! A [`Screen`] → the words, the icon and the tone that say it.

use lintel_core::door::{CameraFault, Fault};
use lintel_core::screen::Screen;

use super::icon::Icon;

/// How a screen feels; the colour panel's background.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Nothing is going on.
    Calm,
    /// Something is.
    Busy,
    /// Come in.
    Good,
    /// No.
    Bad,
    /// Please do something.
    Ask,
    /// Something is wrong.
    Alarm,
}

/// What a screen says, whatever the display.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    /// Background.
    pub tone: Tone,
    /// Picture.
    pub icon: Icon,
    /// The few words that can be read from two metres away.
    pub headline: String,
    /// A second line; may be empty.
    pub detail: String,
    /// Votes that are in, and votes that are needed.
    pub votes: Option<(u8, u8)>,
}

/// The card that says a screen.
#[must_use]
pub fn card(screen: &Screen) -> Card {
    let say = |tone, icon, headline: &str, detail: &str| Card {
        tone,
        icon,
        headline: headline.to_owned(),
        detail: detail.to_owned(),
        votes: None,
    };
    match screen {
        Screen::Starting => say(Tone::Calm, Icon::Wait, "Starting", "one moment"),
        Screen::Ready => say(Tone::Calm, Icon::Viewfinder, "Ready", "look here"),
        Screen::Looking { votes, needed } => {
            Card { votes: Some((*votes, *needed)), ..say(Tone::Busy, Icon::Eye, "Looking", "stay a moment") }
        }
        Screen::Welcome { name } if name.is_empty() => say(Tone::Good, Icon::Tick, "Welcome", "come in"),
        Screen::Welcome { name } => say(Tone::Good, Icon::Tick, name, "come in"),
        Screen::NotRecognised => say(Tone::Bad, Icon::Cross, "Not recognised", "ask at the desk"),
        Screen::StepCloser => say(Tone::Ask, Icon::Closer, "Step closer", "please"),
        Screen::LookAtCamera => say(Tone::Ask, Icon::Viewfinder, "Look here", "face the camera"),
        Screen::HoldStill => say(Tone::Ask, Icon::Eye, "Hold still", "please"),
        Screen::HeldOpen => say(Tone::Alarm, Icon::OpenDoor, "Close the door", "please"),
        Screen::ForcedOpen => say(Tone::Alarm, Icon::OpenDoor, "Door forced", "call security"),
        Screen::Fault(fault) => say(Tone::Alarm, fault_icon(*fault), "Out of order", fault_words(*fault)),
        Screen::Updating => say(Tone::Calm, Icon::Arrive, "Updating", "one moment"),
        Screen::TryLater { seconds } => say(Tone::Bad, Icon::Padlock, "Try again", &later(*seconds)),
        Screen::Pairing { code } => say(Tone::Ask, Icon::Arrive, code, "pairing code"),
    }
}

/// How long it still lasts, as people say it.
fn later(seconds: u16) -> String {
    if seconds < 120 { format!("in {seconds} s") } else { format!("in {} min", seconds.div_ceil(60)) }
}

fn fault_icon(fault: Fault) -> Icon {
    match fault {
        Fault::Relay => Icon::Padlock,
        Fault::Camera(_) | Fault::Model | Fault::Storage | Fault::Display | Fault::Expired => Icon::Warning,
    }
}

/// For the person who is called, so that they know which tool to bring.
fn fault_words(fault: Fault) -> &'static str {
    match fault {
        Fault::Relay => "door relay",
        Fault::Model => "recognition",
        Fault::Camera(CameraFault::Gone) => "no camera",
        Fault::Camera(CameraFault::Frozen) => "camera frozen",
        Fault::Camera(CameraFault::Dark) => "camera dark",
        Fault::Camera(CameraFault::Corrupt) => "camera pictures",
        Fault::Storage => "storage",
        Fault::Display => "display",
        Fault::Expired => "list is too old",
    }
}

/// A screen's name in file names: lower case, hyphens, no person's name.
#[must_use]
pub fn slug(screen: &Screen) -> &'static str {
    match screen {
        Screen::Starting => "starting",
        Screen::Ready => "ready",
        Screen::Looking { .. } => "looking",
        Screen::Welcome { .. } => "welcome",
        Screen::NotRecognised => "not-recognised",
        Screen::StepCloser => "step-closer",
        Screen::LookAtCamera => "look-at-camera",
        Screen::HoldStill => "hold-still",
        Screen::HeldOpen => "held-open",
        Screen::ForcedOpen => "forced-open",
        Screen::Fault(Fault::Relay) => "fault-relay",
        Screen::Fault(Fault::Model) => "fault-model",
        Screen::Fault(Fault::Camera(CameraFault::Gone)) => "fault-camera-gone",
        Screen::Fault(Fault::Camera(CameraFault::Frozen)) => "fault-camera-frozen",
        Screen::Fault(Fault::Camera(CameraFault::Dark)) => "fault-camera-dark",
        Screen::Fault(Fault::Camera(CameraFault::Corrupt)) => "fault-camera-corrupt",
        Screen::Fault(Fault::Storage) => "fault-storage",
        Screen::Fault(Fault::Display) => "fault-display",
        Screen::Fault(Fault::Expired) => "fault-expired",
        Screen::Updating => "updating",
        Screen::TryLater { .. } => "try-later",
        Screen::Pairing { .. } => "pairing",
    }
}
