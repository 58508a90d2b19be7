//! A line that moves a relay's coil → a relay that is never released for longer than it may be.
//!
//! A thread of its own ends every pulse, and ends a release that nobody ended: a daemon whose other threads hang does
//! not hold a door open.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lintel_core::door::Strike;
use lintel_core::time::Uptime;

use super::{Relay, RelayError, RelayFailure};
use crate::io::gpio::line::InputLine;
use crate::io::gpio::{Line, LineError};

/// A contact that moves with the relay: what its line is told is not yet what it does.
pub trait Feedback: Send {
    /// One line for the installer.
    fn describe(&self) -> String;

    /// Whether it says that the strike is released.
    ///
    /// # Errors
    /// What the driver said.
    fn released(&mut self) -> Result<bool, LineError>;
}

impl Feedback for InputLine {
    fn describe(&self) -> String {
        Self::describe(self)
    }

    fn released(&mut self) -> Result<bool, LineError> {
        self.read()
    }
}

/// How a release is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The line is active for as long as the strike is released, at most for so long.
    Latched {
        /// Beyond everything that the door itself allows.
        at_most: Duration,
    },
    /// The line is active for so long whenever the strike is released; the lock times itself.
    Pulse {
        /// How long.
        length: Duration,
    },
}

impl Action {
    fn bound(self) -> Duration {
        match self {
            Self::Latched { at_most } => at_most,
            Self::Pulse { length } => length,
        }
    }
}

struct Held {
    line: Box<dyn Line>,
    feedback: Option<Box<dyn Feedback>>,
    commanded: Strike,
    active: bool,
    /// Counts releases, so that the end of one is not taken for the end of the next.
    releases: u64,
    ends: bool,
}

struct Shared {
    held: Mutex<Held>,
    changed: Condvar,
    action: Action,
}

impl Shared {
    // A thread that panicked with the lock held left the line as `active` says, or was setting it: set it again.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guarding thread.
    fn guard(&self) {
        let mut held = self.lock();
        loop {
            held = self
                .changed
                .wait_while(held, |held| !held.active && !held.ends)
                .unwrap_or_else(PoisonError::into_inner);
            if held.ends {
                return;
            }
            let release = held.releases;
            let goes_on = |held: &mut Held| held.active && held.releases == release && !held.ends;
            let (after, waited) = self
                .changed
                .wait_timeout_while(held, self.action.bound(), goes_on)
                .unwrap_or_else(PoisonError::into_inner);
            held = after;
            if waited.timed_out() && goes_on(&mut held) {
                self.expire(&mut held);
            }
        }
    }

    fn expire(&self, held: &mut Held) {
        if let Action::Latched { at_most } = self.action {
            tracing::error!("the strike was released for {at_most:?} and nobody locked it: locking it");
        }
        match held.line.set(false) {
            Ok(()) => held.active = false,
            // Tried again after the same time; the keeper finds the line in the wrong position meanwhile.
            Err(e) => tracing::error!("the relay's line cannot be made inactive: {e}"),
        }
    }
}

/// A relay and its contact have come to rest after so long.
const CONTACT_SETTLES: Duration = Duration::from_millis(300);

/// A relay on a line. Active is released, inactive is locked.
pub struct LineRelay {
    shared: Arc<Shared>,
    guard: Option<JoinHandle<()>>,
}

impl LineRelay {
    /// A relay on this line, which is inactive; `feedback` says what became of it, where there is such a contact.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn new(line: Box<dyn Line>, action: Action, feedback: Option<Box<dyn Feedback>>) -> std::io::Result<Self> {
        let held = Held { line, feedback, commanded: Strike::Locked, active: false, releases: 0, ends: false };
        let shared = Arc::new(Shared { held: Mutex::new(held), changed: Condvar::new(), action });
        let theirs = Arc::clone(&shared);
        let guard = std::thread::Builder::new().name("relay".to_owned()).spawn(move || theirs.guard())?;
        Ok(Self { shared, guard: Some(guard) })
    }
}

impl Relay for LineRelay {
    fn describe(&self) -> String {
        let held = self.shared.lock();
        let line = held.line.describe();
        let contact = held.feedback.as_ref().map_or_else(String::new, |it| format!("; its contact: {}", it.describe()));
        match self.shared.action {
            Action::Latched { at_most } => format!("{line}, active while released, {at_most:?} at most{contact}"),
            Action::Pulse { length } => format!("{line}, a pulse of {length:?}{contact}"),
        }
    }

    fn set(&mut self, strike: Strike, _: Uptime) -> Result<(), RelayError> {
        let mut held = self.shared.lock();
        let active = strike == Strike::Released;
        let repeated = strike == held.commanded && (strike == Strike::Released || !held.active);
        if repeated && held.line.read().is_ok_and(|active| active == held.active) {
            return Ok(());
        }
        if let Err(e) = held.line.set(active) {
            let position = held.line.read().ok().map(position);
            return Err(RelayError { wanted: strike, position, source: e.into() });
        }
        held.commanded = strike;
        held.active = active;
        held.releases += u64::from(active);
        drop(held);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn read(&mut self, _: Uptime) -> Result<Option<Strike>, RelayError> {
        let mut held = self.shared.lock();
        let wanted = held.commanded;
        let failed = |source| RelayError { wanted, position: None, source };
        let line = position(held.line.read().map_err(|e| failed(e.into()))?);
        // Between pulses nothing is said of a lock that times itself.
        if matches!(self.shared.action, Action::Pulse { .. }) && wanted == Strike::Released {
            return Ok(None);
        }
        // Both must be as told: whichever is not is what is said.
        match &mut held.feedback {
            Some(contact) if line == wanted => contact
                .released()
                .map(|released| Some(position(released)))
                .map_err(|e| failed(RelayFailure::Contact(e))),
            _ => Ok(Some(line)),
        }
    }

    fn settle(&self) -> Duration {
        if self.shared.lock().feedback.is_some() { CONTACT_SETTLES } else { Duration::from_millis(10) }
    }
}

fn position(active: bool) -> Strike {
    if active { Strike::Released } else { Strike::Locked }
}

impl Drop for LineRelay {
    /// Ends the thread; the line stays as it is.
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.changed.notify_all();
        if let Some(guard) = self.guard.take() {
            // Its panic has left the line to the keeper, which has locked it before it dropped this.
            let _ = guard.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Strike::{Locked, Released};

    /// A line that a test holds the other end of.
    #[derive(Clone, Default)]
    struct Wire(Arc<Mutex<Copper>>);

    #[derive(Default)]
    struct Copper {
        active: bool,
        edges: Vec<bool>,
        stuck: bool,
        broken: bool,
    }

    impl Wire {
        fn now(&self) -> MutexGuard<'_, Copper> {
            self.0.lock().unwrap()
        }

        /// Waits until the line is inactive again.
        fn wait_inactive(&self) {
            for _ in 0..1000 {
                if !self.now().active {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            panic!("the line is still active");
        }
    }

    impl Line for Wire {
        fn describe(&self) -> String {
            "a wire".to_owned()
        }

        fn set(&mut self, active: bool) -> Result<(), LineError> {
            let mut copper = self.now();
            if copper.broken {
                return Err(LineError::Driver("bus error".into()));
            }
            if active != copper.active && !copper.stuck {
                copper.active = active;
                copper.edges.push(active);
            }
            Ok(())
        }

        fn read(&mut self) -> Result<bool, LineError> {
            let copper = self.now();
            if copper.broken { Err(LineError::Driver("bus error".into())) } else { Ok(copper.active) }
        }
    }

    fn relay(action: Action) -> (LineRelay, Wire) {
        let wire = Wire::default();
        (LineRelay::new(Box::new(wire.clone()), action, None).unwrap(), wire)
    }

    const LONG: Action = Action::Latched { at_most: Duration::from_secs(3600) };
    const AT: Uptime = Uptime::ZERO;

    #[test]
    fn a_latched_line_follows_and_repeats_are_no_edges() {
        let (mut relay, wire) = relay(LONG);
        for strike in [Locked, Released, Released, Locked, Locked] {
            relay.set(strike, AT).unwrap();
            assert_eq!(relay.read(AT).unwrap(), Some(strike));
        }
        drop(relay);
        assert_eq!(wire.now().edges, [true, false]);
    }

    #[test]
    fn start_and_stop_make_no_edge() {
        let (relay, wire) = relay(LONG);
        drop(relay);
        assert!(wire.now().edges.is_empty());
        let (mut relay, wire) = self::relay(LONG);
        relay.set(Released, AT).unwrap();
        drop(relay);
        assert_eq!(wire.now().edges, [true], "locking before the end is the keeper's business");
    }

    #[test]
    fn a_pulse_ends_by_itself_and_locks_early_if_told_to() {
        let (mut relay, wire) = relay(Action::Pulse { length: Duration::from_millis(30) });
        relay.set(Released, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), None);
        wire.wait_inactive();
        assert_eq!(relay.read(AT).unwrap(), None, "the lock times itself");
        relay.set(Locked, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), Some(Locked));
        assert_eq!(wire.now().edges, [true, false]);
        let (mut relay, wire) = self::relay(Action::Pulse { length: Duration::from_secs(3600) });
        relay.set(Released, AT).unwrap();
        relay.set(Locked, AT).unwrap();
        assert_eq!(wire.now().edges, [true, false]);
    }

    #[test]
    fn a_release_that_nobody_ends_is_ended_and_found_out() {
        let (mut relay, wire) = relay(Action::Latched { at_most: Duration::from_millis(30) });
        relay.set(Released, AT).unwrap();
        wire.wait_inactive();
        // The keeper reads that, and calls it a fault of the relay.
        assert_eq!(relay.read(AT).unwrap(), Some(Locked));
        relay.set(Locked, AT).unwrap();
        relay.set(Released, AT).unwrap();
        wire.wait_inactive();
        assert_eq!(wire.now().edges, [true, false, true, false]);
    }

    #[test]
    fn a_line_that_does_not_follow_is_read_as_it_is_and_told_again() {
        let (mut relay, wire) = relay(LONG);
        relay.set(Released, AT).unwrap();
        wire.now().stuck = true;
        relay.set(Locked, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), Some(Released));
        wire.now().stuck = false;
        relay.set(Locked, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), Some(Locked));
        assert_eq!(wire.now().edges, [true, false]);
    }

    /// A contact that a test moves.
    #[derive(Clone, Default)]
    struct Contact(Arc<Mutex<Option<bool>>>);

    impl Contact {
        fn is(&self, released: Option<bool>) {
            *self.0.lock().unwrap() = released;
        }
    }

    impl Feedback for Contact {
        fn describe(&self) -> String {
            "a contact".to_owned()
        }

        fn released(&mut self) -> Result<bool, LineError> {
            self.0.lock().unwrap().ok_or_else(|| LineError::Driver("cut off".into()))
        }
    }

    #[test]
    fn a_contact_says_what_the_line_does_not() {
        let (wire, contact) = (Wire::default(), Contact::default());
        let make = |action| LineRelay::new(Box::new(wire.clone()), action, Some(Box::new(contact.clone()))).unwrap();
        let mut relay = make(LONG);
        assert!(relay.describe().ends_with("; its contact: a contact") && relay.settle() == CONTACT_SETTLES);
        contact.is(Some(false));
        relay.set(Released, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), Some(Locked), "the coil does not pull");
        contact.is(Some(true));
        assert_eq!(relay.read(AT).unwrap(), Some(Released));
        relay.set(Locked, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), Some(Released), "it has welded");
        contact.is(None);
        let error = relay.read(AT).unwrap_err().to_string();
        assert_eq!(error, "relay was told locked, its position is unknown: its contact: cut off");
        contact.is(Some(false));
        assert_eq!(relay.read(AT).unwrap(), Some(Locked));
        // The line itself is still read.
        relay.set(Released, AT).unwrap();
        wire.now().stuck = true;
        relay.set(Locked, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), Some(Released));
        wire.now().stuck = false;
        relay.set(Locked, AT).unwrap();
        // Of a pulse only the rest is told.
        let mut relay = make(Action::Pulse { length: Duration::from_secs(3600) });
        relay.set(Released, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), None);
        contact.is(Some(true));
        relay.set(Locked, AT).unwrap();
        assert_eq!(relay.read(AT).unwrap(), Some(Released));
    }

    #[test]
    fn a_line_that_fails_is_an_error_with_what_is_known() {
        let (mut relay, wire) = relay(LONG);
        wire.now().broken = true;
        let error = relay.set(Released, AT).unwrap_err();
        assert_eq!(error.to_string(), "relay was told released, its position is unknown: bus error");
        assert!(relay.read(AT).is_err());
        wire.now().broken = false;
        assert_eq!(relay.read(AT).unwrap(), Some(Locked));
    }
}
