//! The values that all families share.

use core::fmt;

use lintel_core::door;
use lintel_core::embed;
use lintel_core::geometry;
use lintel_core::table;
use lintel_core::time;

use crate::value::{CameraFault, Contact, EncoderId, Fault, PersonId, Rect, Similarity, Strike, Uptime};

impl From<time::Uptime> for Uptime {
    fn from(instant: time::Uptime) -> Self {
        Self::from_micros(instant.as_micros())
    }
}

impl From<Uptime> for time::Uptime {
    fn from(instant: Uptime) -> Self {
        Self::from_micros(instant.as_micros())
    }
}

impl From<table::PersonId> for PersonId {
    fn from(person: table::PersonId) -> Self {
        Self(person.0)
    }
}

impl From<PersonId> for table::PersonId {
    fn from(person: PersonId) -> Self {
        Self(person.0)
    }
}

impl From<embed::EncoderId> for EncoderId {
    fn from(encoder: embed::EncoderId) -> Self {
        Self(encoder.0)
    }
}

impl From<EncoderId> for embed::EncoderId {
    fn from(encoder: EncoderId) -> Self {
        Self(encoder.0)
    }
}

impl From<embed::Similarity> for Similarity {
    fn from(similarity: embed::Similarity) -> Self {
        // Both hold a cosine, so the default is never taken.
        Self::new(similarity.get()).unwrap_or_default()
    }
}

impl From<geometry::Rect> for Rect {
    fn from(rect: geometry::Rect) -> Self {
        let geometry::Rect { x1, y1, x2, y2 } = rect;
        Self { x1, y1, x2, y2 }
    }
}

impl From<Rect> for geometry::Rect {
    fn from(rect: Rect) -> Self {
        let Rect { x1, y1, x2, y2 } = rect;
        Self { x1, y1, x2, y2 }
    }
}

impl From<door::Strike> for Strike {
    fn from(strike: door::Strike) -> Self {
        match strike {
            door::Strike::Locked => Self::Locked,
            door::Strike::Released => Self::Released,
        }
    }
}

impl From<Strike> for door::Strike {
    fn from(strike: Strike) -> Self {
        match strike {
            Strike::Locked => Self::Locked,
            Strike::Released => Self::Released,
        }
    }
}

impl From<door::Contact> for Contact {
    fn from(contact: door::Contact) -> Self {
        match contact {
            door::Contact::Open => Self::Open,
            door::Contact::Closed => Self::Closed,
        }
    }
}

impl From<door::CameraFault> for CameraFault {
    fn from(fault: door::CameraFault) -> Self {
        match fault {
            door::CameraFault::Gone => Self::Gone,
            door::CameraFault::Frozen => Self::Frozen,
            door::CameraFault::Dark => Self::Dark,
            door::CameraFault::Corrupt => Self::Corrupt,
        }
    }
}

impl From<CameraFault> for door::CameraFault {
    fn from(fault: CameraFault) -> Self {
        match fault {
            CameraFault::Gone => Self::Gone,
            CameraFault::Frozen => Self::Frozen,
            CameraFault::Dark => Self::Dark,
            CameraFault::Corrupt => Self::Corrupt,
        }
    }
}

impl From<door::Fault> for Fault {
    fn from(fault: door::Fault) -> Self {
        match fault {
            door::Fault::Relay => Self::Relay,
            door::Fault::Model => Self::Model,
            door::Fault::Camera(fault) => Self::Camera(fault.into()),
            door::Fault::Storage => Self::Storage,
            door::Fault::Display => Self::Display,
            door::Fault::Expired => Self::Expired,
        }
    }
}

impl From<Fault> for door::Fault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Relay => Self::Relay,
            Fault::Model => Self::Model,
            Fault::Camera(fault) => Self::Camera(fault.into()),
            Fault::Storage => Self::Storage,
            Fault::Display => Self::Display,
            Fault::Expired => Self::Expired,
        }
    }
}

/// The domain's words: a person reads the same at the door and in the audit log.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        door::Fault::from(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn every_fault_goes_both_ways_and_keeps_its_words() {
        for fault in door::Fault::ALL {
            let message = Fault::from(fault);
            assert_eq!(door::Fault::from(message), fault);
            assert_eq!(message.to_string(), fault.to_string());
        }
    }

    #[test]
    fn the_ends_of_every_range_convert() {
        for micros in [0, 1, u64::MAX] {
            let instant = time::Uptime::from_micros(micros);
            assert_eq!(time::Uptime::from(Uptime::from(instant)), instant);
        }
        for cosine in [-1.0, -0.0, 0.25, 1.0] {
            let similarity = embed::Similarity::new(cosine).expect("a cosine");
            assert_eq!(Similarity::from(similarity).get().to_bits(), cosine.to_bits());
        }
    }
}
