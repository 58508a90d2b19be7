//! What can fail, and which failures stop the door.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong with the camera.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CameraFault {
    /// Not there, or unplugged.
    Gone,
    /// Delivers one picture over and over, or nothing any more.
    Frozen,
    /// Delivers pictures without light.
    Dark,
    /// Delivers pictures that cannot be decoded.
    Corrupt,
}

/// What can fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// The relay did not do, or may not have done, what it was told.
    Relay,
    /// The models or the table cannot be used.
    Model,
    /// No usable pictures.
    Camera(CameraFault),
    /// Nothing can be written: events, audit journal.
    Storage,
    /// The display does not answer.
    Display,
    /// Nobody has vouched for the table for longer than the settings allow.
    Expired,
}

impl Fault {
    /// Every fault, the gravest first.
    pub const ALL: [Self; 9] = [
        Self::Relay,
        Self::Model,
        Self::Expired,
        Self::Camera(CameraFault::Gone),
        Self::Camera(CameraFault::Frozen),
        Self::Camera(CameraFault::Dark),
        Self::Camera(CameraFault::Corrupt),
        Self::Storage,
        Self::Display,
    ];

    /// Whether the door must stay locked. A full disk or a missing display does not lock people out.
    #[must_use]
    pub const fn stops_door(self) -> bool {
        match self {
            Self::Relay | Self::Model | Self::Expired | Self::Camera(_) => true,
            Self::Storage | Self::Display => false,
        }
    }

    const fn bit(self) -> u16 {
        match self {
            Self::Relay => 1,
            Self::Model => 1 << 1,
            Self::Camera(CameraFault::Gone) => 1 << 2,
            Self::Camera(CameraFault::Frozen) => 1 << 3,
            Self::Camera(CameraFault::Dark) => 1 << 4,
            Self::Camera(CameraFault::Corrupt) => 1 << 5,
            Self::Storage => 1 << 6,
            Self::Display => 1 << 7,
            Self::Expired => 1 << 8,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relay => "relay does not answer",
            Self::Model => "models cannot be used",
            Self::Camera(CameraFault::Gone) => "camera is gone",
            Self::Camera(CameraFault::Frozen) => "camera is frozen",
            Self::Camera(CameraFault::Dark) => "camera sees no light",
            Self::Camera(CameraFault::Corrupt) => "camera pictures are damaged",
            Self::Storage => "storage cannot be written",
            Self::Display => "display does not answer",
            Self::Expired => "table is out of date: push it again",
        })
    }
}

/// The faults that are there at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FaultSet(u16);

impl FaultSet {
    /// No fault.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this fault is there.
    #[must_use]
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// Adds a fault; twice is once.
    pub const fn insert(&mut self, fault: Fault) {
        self.0 |= fault.bit();
    }

    /// Takes a fault out.
    pub const fn remove(&mut self, fault: Fault) {
        self.0 &= !fault.bit();
    }

    /// The faults, the gravest first.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.contains(*fault))
    }

    /// The gravest fault, if any stops the door.
    #[must_use]
    pub fn stopping(self) -> Option<Fault> {
        self.iter().find(|fault| fault.stops_door())
    }
}

impl FromIterator<Fault> for FaultSet {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        let mut set = Self::default();
        faults.into_iter().for_each(|fault| set.insert(fault));
        set
    }
}
