//! `main`'s readings of the machine's clocks → [`Clock`] and [`WallClock`], for the threads that wait in real time;
//! and [`Stop`], which ends them.
//!
//! Nothing below `main` reads a clock by itself: the daemon hands in its monotonic clock once, virtual time hands in
//! none at all (the capture times of the frames are the clock there).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lintel_core::time::Uptime;
use rustix::time::{ClockId, clock_gettime};

/// The kernel's monotonic clock, by which drivers stamp frames and edges; only for how long ago those were.
#[must_use]
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The real-time clock that `main` reads and hands on. Cheap to clone; never goes backwards.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Uptime + Send + Sync>);

impl Clock {
    /// `read` must be monotonic.
    pub fn new(read: impl Fn() -> Uptime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Uptime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The wall clock, in seconds since 1970; it may be wrong. Cheap to clone.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl WallClock {
    /// `read` is whatever the machine believes.
    pub fn new(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What it says now.
    #[must_use]
    pub fn now(&self) -> u64 {
        (self.0)()
    }
}

/// Both clocks of the machine, as `main` hands them in. Cheap to clone.
#[derive(Clone)]
pub struct Clocks {
    /// For how long something lasts.
    pub monotonic: Clock,
    /// For which day it is.
    pub wall: WallClock,
}

/// The wish to stop, from a signal to every stage. Cheap to clone; once asked it stays asked.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop. Safe to call from a signal handler's thread, any number of times.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
