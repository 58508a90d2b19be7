//! A clock reading of `main` (microseconds) → [`Uptime`], the only time that this crate knows.
//!
//! Time is an argument everywhere: replay and virtual time cost nothing, and no test waits.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A monotonic instant: microseconds since some start that all readings of one process share.
///
/// It says nothing about the calendar. Arithmetic saturates, so no sequence of readings can panic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uptime(u64);

impl Uptime {
    /// The start.
    pub const ZERO: Self = Self(0);
    /// The last instant that can be told; additions stop here.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the start; saturates.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was, seen from `self`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// `self` plus `duration`, or `None` past the last instant.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let micros = u64::try_from(duration.as_micros()).ok()?;
        self.0.checked_add(micros).map(Self)
    }

    /// `self` plus `duration`, at most [`Uptime::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::MAX)
    }
}

/// Saturates at [`Uptime::MAX`].
impl Add<Duration> for Uptime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

/// Seconds with six decimals: `12.345678 s`.
impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_never_goes_below_zero() {
        let check = |later: u64, earlier: u64, expected: u64| {
            let got = Uptime::from_micros(later).since(Uptime::from_micros(earlier));
            assert_eq!(got, Duration::from_micros(expected), "{later} since {earlier}");
        };
        check(5, 3, 2);
        check(3, 3, 0);
        check(3, 5, 0);
        check(u64::MAX, 0, u64::MAX);
    }

    #[test]
    fn addition_stops_at_the_last_instant() {
        let check = |start: u64, add: Duration, expected: u64| {
            assert_eq!((Uptime::from_micros(start) + add).as_micros(), expected, "{start} + {add:?}");
        };
        check(1, Duration::from_micros(2), 3);
        check(1, Duration::from_nanos(999), 1);
        check(u64::MAX, Duration::from_micros(1), u64::MAX);
        check(0, Duration::MAX, u64::MAX);
        check(u64::MAX - 1, Duration::from_micros(1), u64::MAX);
        assert_eq!(Uptime::from_millis(u64::MAX), Uptime::MAX);
        assert_eq!(Uptime::from_millis(2), Uptime::from_micros(2000));
    }

    #[test]
    fn shows_seconds() {
        extern crate alloc;
        assert_eq!(alloc::format!("{}", Uptime::from_micros(12_345_678)), "12.345678 s");
    }
}
