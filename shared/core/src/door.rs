//! Decisions, time, door contact, faults → commands to the strike.
//!
//! ```text
//!             Known, fresh                    deadline or fault
//!   Locked ────────────────▶ Released{until} ───────────────────▶ CoolDown{until} ──▶ Locked
//! ```
//!
//! A pure state machine: time comes in, commands go out. What holds whatever comes in:
//!
//! - The strike is never released longer than [`DoorSettings::max_release`], measured by the time that the calls
//!   bring; the lock command is given by the first call at or after the deadline, whichever call that is.
//! - Nothing but a fresh [`Verdict::Known`] and the exit button release. No frame does so twice, and none while the
//!   door cools down or a fault stops it; the button always does but while the strike's position is unknown, since
//!   nobody is to be locked in.
//! - Neither making nor dropping a door gives a command: no edge on start or stop.
//! - A clock that steps back makes no progress for that step and moves no deadline further away.

mod fault;

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Verdict};
use crate::time::Uptime;

pub use fault::{CameraFault, Fault, FaultSet};

/// No setting allows a longer release.
pub const MAX_RELEASE: Duration = Duration::from_secs(60);
/// While the strike's position is unknown, the lock command is given again this often.
pub const LOCK_RETRY: Duration = Duration::from_secs(1);

/// What the strike is told, and where it then is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Strike {
    /// The door is held shut.
    Locked,
    /// The door can be opened.
    Released,
}

/// An order to the relay; to be carried out at once, and [`Fault::Relay`] to be reported if that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a command that is not carried out leaves the door in the wrong position"]
pub struct Command(pub Strike);

/// Where the strike is, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Position {
    /// As it was commanded last; locked before the first command.
    Commanded(Strike),
    /// A relay fault leaves it open: it may be either.
    Unknown,
}

/// What the door contact says of the door leaf.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Contact {
    /// The leaf stands open.
    Open,
    /// The leaf is shut.
    Closed,
}

/// Where the door goes when power is lost. It says how lock and relay must be wired: a coil without current always
/// means [`Strike::Locked`] while there is power for the lock, and the state machine is the same for both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum FailMode {
    /// Locked without power: the strike is powered to release.
    #[default]
    Secure,
    /// Released without power: the lock is powered to hold, as escape routes may require.
    Safe,
}

/// How the door behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DoorSettings {
    /// How long one verdict releases the strike: 1..=60 s.
    pub release: Duration,
    /// How long the strike may be released in one go, however many verdicts come: `release`..=[`MAX_RELEASE`].
    pub max_release: Duration,
    /// Pause after each release: at most 60 s.
    pub cool_down: Duration,
    /// A door that stands open for longer is held open: 1 s..=1 h.
    pub held_open_after: Duration,
    /// A decision whose frame is older opens nothing: > 0, ≤ 10 s.
    pub max_decision_age: Duration,
    /// Where the door goes without power.
    pub fail: FailMode,
}

impl Default for DoorSettings {
    /// Released for 5 s, at most 15 s; 1 s pause; held open after 30 s; decisions up to 1 s old; fail-secure.
    fn default() -> Self {
        Self {
            release: Duration::from_secs(5),
            max_release: Duration::from_secs(15),
            cool_down: Duration::from_secs(1),
            held_open_after: Duration::from_secs(30),
            max_decision_age: Duration::from_secs(1),
            fail: FailMode::Secure,
        }
    }
}

/// A door setting outside its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("door setting {setting} is {got:?}, wanted {min:?} to {max:?}")]
pub struct DoorSettingsError {
    /// Name of the setting that is out of range.
    pub setting: &'static str,
    /// The value that was refused.
    pub got: Duration,
    /// Its least value.
    pub min: Duration,
    /// Its greatest value.
    pub max: Duration,
}

impl DoorSettings {
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), DoorSettingsError> {
        const SECOND: Duration = Duration::from_secs(1);
        let ranges = [
            ("release", self.release, SECOND, MAX_RELEASE),
            ("max_release", self.max_release, self.release, MAX_RELEASE),
            ("cool_down", self.cool_down, Duration::ZERO, Duration::from_secs(60)),
            ("held_open_after", self.held_open_after, SECOND, Duration::from_secs(3600)),
            ("max_decision_age", self.max_decision_age, Duration::from_micros(1), Duration::from_secs(10)),
        ];
        match ranges.into_iter().find(|(_, got, min, max)| got < min || got > max) {
            Some((setting, got, min, max)) => Err(DoorSettingsError { setting, got, min, max }),
            None => Ok(()),
        }
    }
}

/// What the door is doing; of several things that are true at once, the first in this order: fault, released,
/// forced open, held open, cool-down, locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DoorState {
    /// Waiting for somebody.
    Locked,
    /// The strike is released.
    Released {
        /// When it will be locked.
        until: Uptime,
    },
    /// Locked, and not to be released yet.
    CoolDown {
        /// When it may be released again.
        until: Uptime,
    },
    /// Locked, but the leaf has been standing open for too long.
    HeldOpen,
    /// Locked, but the leaf was opened all the same.
    ForcedOpen,
    /// Locked, as far as that is possible, until the fault is cleared.
    Fault(Fault),
}

/// Decides when the strike is released and locked.
#[derive(Clone, Debug)]
pub struct Door {
    settings: DoorSettings,
    clock: Clock,
    strike: Strike,
    /// When the strike was released last, and when it must be locked; meaningful while it is released.
    released: Ticks,
    deadline: Ticks,
    cool_until: Ticks,
    /// A verdict that has not been acted on yet, by the capture time of its frame.
    waiting: Option<Uptime>,
    /// The exit button was pressed and has not been acted on yet.
    leaving: Option<Ticks>,
    /// Whether the button released the strike: a fault of the camera is nothing to whoever leaves.
    by_button: bool,
    /// Capture time of the newest frame that released the strike: no frame does so twice.
    used: Option<Uptime>,
    leaf: Leaf,
    faults: FaultSet,
    /// When to try again to lock a strike whose position is unknown.
    retry: Option<Ticks>,
}

/// Time that has passed since the door was made, as far as calls have shown. Unlike their readings it never steps
/// back.
type Ticks = Uptime;

#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    reading: Option<Uptime>,
    passed: Ticks,
}

impl Clock {
    /// Adds what has passed since the last reading; a step back adds nothing.
    fn advance(&mut self, now: Uptime) -> Ticks {
        let step = self.reading.map_or(Duration::ZERO, |last| now.since(last));
        self.reading = Some(now);
        self.passed = self.passed + step;
        self.passed
    }

    /// What the clock will read at `at` if it keeps going.
    fn reading_at(&self, at: Ticks) -> Uptime {
        self.reading.unwrap_or_default() + at.since(self.passed)
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Leaf {
    Unknown,
    Closed,
    Open { since: Ticks, forced: bool },
}

impl Door {
    /// A locked door; no command is given, since a strike without power is where the installer wants it.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(settings: DoorSettings) -> Result<Self, DoorSettingsError> {
        settings.check()?;
        Ok(Self {
            settings,
            clock: Clock::default(),
            strike: Strike::Locked,
            released: Ticks::ZERO,
            deadline: Ticks::ZERO,
            cool_until: Ticks::ZERO,
            waiting: None,
            leaving: None,
            by_button: false,
            used: None,
            leaf: Leaf::Unknown,
            faults: FaultSet::default(),
            retry: None,
        })
    }

    /// The settings that the door was made with.
    #[must_use]
    pub fn settings(&self) -> &DoorSettings {
        &self.settings
    }

    /// A verdict. A known person releases the strike, or keeps it released for as long as the bound allows; a
    /// stranger changes nothing. During the cool-down the verdict waits, and counts if it is still fresh at its end.
    pub fn on_decision(&mut self, decision: &Decision, now: Uptime) -> Option<Command> {
        let command = self.on_tick(now);
        let known = matches!(decision.verdict, Verdict::Known(_));
        let stopped = self.faults.stopping().is_some();
        if known && !stopped && decision.captured <= now {
            self.waiting = self.waiting.max(Some(decision.captured));
        }
        match command {
            // One command at a time: the verdict waits for the end of the cool-down.
            Some(Command(Strike::Locked)) => command,
            Some(Command(Strike::Released)) | None => self.admit(now).or(command),
        }
    }

    /// Somebody inside pressed the exit button. Releases the strike, or keeps it released for as long as the bound
    /// allows, whatever is wrong with camera or models; only a strike whose position is unknown is left alone.
    pub fn on_exit(&mut self, now: Uptime) -> Option<Command> {
        let command = self.on_tick(now);
        self.leaving = Some(self.clock.passed);
        match command {
            // One command at a time: the button waits for the next call, which is due at once.
            Some(Command(Strike::Locked)) => command,
            Some(Command(Strike::Released)) | None => self.let_out().or(command),
        }
    }

    /// Time passes. To be called at [`Door::next_deadline`] at the latest.
    pub fn on_tick(&mut self, now: Uptime) -> Option<Command> {
        if self.clock.reading.is_some_and(|last| now < last) {
            // Capture times of before the step say nothing any more.
            (self.waiting, self.used) = (None, None);
        }
        let passed = self.clock.advance(now);
        if self.strike == Strike::Released && passed >= self.deadline {
            return Some(self.lock());
        }
        if self.retry.is_some_and(|retry| passed >= retry) {
            return Some(self.lock_again());
        }
        self.let_out().or_else(|| self.admit(now))
    }

    /// The leaf was opened or closed.
    pub fn on_contact(&mut self, contact: Contact, now: Uptime) -> Option<Command> {
        // Whether the leaf was forced is judged by where the strike was until now.
        let strike = self.strike;
        let command = self.on_tick(now);
        self.leaf = match (contact, self.leaf) {
            (Contact::Closed, _) => Leaf::Closed,
            (Contact::Open, open @ Leaf::Open { .. }) => open,
            (Contact::Open, before) => {
                // A leaf that stands open from the start was not seen being forced.
                let forced = before == Leaf::Closed && strike == Strike::Locked;
                Leaf::Open { since: self.clock.passed, forced }
            }
        };
        command
    }

    /// Something failed. Locks at once if the fault stops the door and the strike is released; after a relay fault
    /// the strike's position is unknown, and it is told to lock again and again until the fault is cleared.
    pub fn on_fault(&mut self, fault: Fault, now: Uptime) -> Option<Command> {
        // Before time passes, so that the fault comes before anybody who waits.
        self.faults.insert(fault);
        let command = self.on_tick(now);
        if fault == Fault::Relay && self.retry.is_none() {
            self.retry = Some(self.clock.passed + LOCK_RETRY);
        }
        match self.strike {
            Strike::Released if fault.stops_door() && (fault == Fault::Relay || !self.by_button) => Some(self.lock()),
            Strike::Released | Strike::Locked => command,
        }
    }

    /// Something works again. After a relay fault the strike is told once more to lock.
    pub fn on_fault_cleared(&mut self, fault: Fault, now: Uptime) -> Option<Command> {
        // Before the fault goes, so that nobody is let in on what was seen while it was there.
        let command = self.on_tick(now);
        let position_unknown = fault == Fault::Relay && self.faults.contains(fault);
        self.faults.remove(fault);
        if position_unknown {
            self.retry = None;
            return Some(self.lock());
        }
        command
    }

    /// What the door is doing.
    #[must_use]
    pub fn state(&self) -> DoorState {
        let passed = self.clock.passed;
        if let Some(fault) = self.faults.stopping() {
            return DoorState::Fault(fault);
        }
        if self.strike == Strike::Released {
            return DoorState::Released { until: self.clock.reading_at(self.deadline) };
        }
        match self.leaf {
            Leaf::Open { forced: true, .. } => return DoorState::ForcedOpen,
            Leaf::Open { since, .. } if passed.since(since) >= self.settings.held_open_after => {
                return DoorState::HeldOpen;
            }
            Leaf::Open { .. } | Leaf::Closed | Leaf::Unknown => {}
        }
        if passed < self.cool_until {
            return DoorState::CoolDown { until: self.clock.reading_at(self.cool_until) };
        }
        DoorState::Locked
    }

    /// Where the strike is.
    #[must_use]
    pub fn position(&self) -> Position {
        if self.faults.contains(Fault::Relay) { Position::Unknown } else { Position::Commanded(self.strike) }
    }

    /// Every fault that is there, those that do not stop the door too.
    #[must_use]
    pub fn faults(&self) -> FaultSet {
        self.faults
    }

    /// When [`Door::on_tick`] has something to do: lock, lock again, let in somebody who waits, or say that the leaf
    /// is held open. `None`: nothing until something happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Uptime> {
        let passed = self.clock.passed;
        let relock = (self.strike == Strike::Released).then_some(self.deadline);
        let cooled = Some(self.cool_until).filter(|until| *until > passed);
        let held = match self.leaf {
            Leaf::Open { since, .. } => Some(since + self.settings.held_open_after).filter(|at| *at > passed),
            Leaf::Closed | Leaf::Unknown => None,
        };
        let leaving = self.leaving.map(|_| passed);
        let next = [relock, cooled, held, self.retry, leaving].into_iter().flatten().min();
        next.map(|at| self.clock.reading_at(at))
    }

    /// Lets in whoever waits, if the door may open and the verdict is still fresh.
    fn admit(&mut self, now: Uptime) -> Option<Command> {
        let captured = self.waiting?;
        let fresh = captured <= now && now.since(captured) <= self.settings.max_decision_age;
        let used = self.used.is_some_and(|used| captured <= used);
        if !fresh || used || self.faults.stopping().is_some() {
            self.waiting = None;
            return None;
        }
        let passed = self.clock.passed;
        if self.strike == Strike::Locked && passed < self.cool_until {
            return None;
        }
        self.waiting = None;
        self.used = Some(captured);
        self.release()
    }

    /// Lets out whoever pressed the button a moment ago.
    fn let_out(&mut self) -> Option<Command> {
        let pressed = self.leaving.take()?;
        let fresh = self.clock.passed.since(pressed) <= self.settings.max_decision_age;
        if !fresh || self.faults.contains(Fault::Relay) {
            return None;
        }
        self.by_button = true;
        self.release()
    }

    /// Releases the strike, or keeps it released for as long as the bound allows.
    fn release(&mut self) -> Option<Command> {
        let passed = self.clock.passed;
        let wanted = passed + self.settings.release;
        if self.strike == Strike::Released {
            let bound = self.released + self.settings.max_release;
            self.deadline = self.deadline.max(wanted.min(bound));
            return None;
        }
        self.strike = Strike::Released;
        self.released = passed;
        self.deadline = wanted;
        Some(Command(Strike::Released))
    }

    fn lock(&mut self) -> Command {
        if self.strike == Strike::Released {
            self.cool_until = self.clock.passed + self.settings.cool_down;
        }
        (self.strike, self.by_button) = (Strike::Locked, false);
        Command(Strike::Locked)
    }

    fn lock_again(&mut self) -> Command {
        self.retry = Some(self.clock.passed + LOCK_RETRY);
        self.lock()
    }
}
