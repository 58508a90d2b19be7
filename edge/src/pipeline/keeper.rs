//! Sightings, faults, time → verdicts → the strike and the display. The last stage, and the only one that moves
//! anything.
//!
//! Time is an argument: the same keeper runs in real time behind a mailbox and in virtual time in a test.

use std::time::Duration;

use lintel_core::decision::{Decider, Decision, Sighting, Verdict, VoteSettings, VoteSettingsError};
use lintel_core::door::{Command, Door, DoorSettings, DoorSettingsError, DoorState, Fault, FaultSet, Strike};
use lintel_core::lockout::{Lockout, LockoutSettingsError};
use lintel_core::screen::{Screen, Service, ShownName, Situation, shown_name};
use lintel_core::table::PersonId;
use lintel_core::time::Uptime;
use lintel_wire::event::{Event, EventKind, Look, Started};

use crate::events::{Subscriber, text};
use crate::health::{Ages, Report};
use crate::io::camera::Visit;
use crate::io::display::Display;
use crate::io::gpio::inputs::Input;
use crate::io::relay::Relay;
use crate::pipeline::exchange::Exchange;

/// Beyond the relay's own settling time, before its reading is held against it.
const READ_BACK_MARGIN: Duration = Duration::from_millis(20);
/// A relay that failed must read right for so long before it is trusted again.
const RELAY_TRUSTED_AFTER: Duration = Duration::from_secs(5);
/// A display that failed is tried again after so long.
const DISPLAY_RETRY: Duration = Duration::from_secs(1);
/// While somebody is shown or followed, the display is brought up to date this often without anything happening.
const REFRESH: Duration = Duration::from_millis(200);

/// Names of the people in the table, for the display only.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<(PersonId, ShownName)>);

impl Names {
    /// Of these people, in any order.
    pub fn new<'a>(people: impl IntoIterator<Item = (PersonId, &'a str)>) -> Self {
        let mut names: Vec<_> = people.into_iter().map(|(id, name)| (id, shown_name(name))).collect();
        names.sort_unstable_by_key(|(id, _)| id.0);
        Self(names)
    }

    fn get(&self, id: PersonId) -> Option<&ShownName> {
        let at = self.0.binary_search_by_key(&id.0, |(id, _)| id.0).ok()?;
        self.0.get(at).map(|(_, name)| name)
    }
}

/// What a keeper is made of.
pub struct KeeperParts {
    /// When votes become verdicts.
    pub vote: VoteSettings,
    /// How the door behaves.
    pub door: DoorSettings,
    /// What moves the strike.
    pub relay: Box<dyn Relay>,
    /// What shows screens.
    pub display: Box<dyn Display>,
    /// What takes the events.
    pub events: Box<dyn Subscriber>,
    /// Names for the display.
    pub names: Names,
}

/// A setting that the keeper refuses.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum KeeperError {
    /// Of the votes.
    #[error(transparent)]
    Vote(#[from] VoteSettingsError),
    /// Of the door.
    #[error(transparent)]
    Door(#[from] DoorSettingsError),
    /// Of the lockout.
    #[error(transparent)]
    Lockout(#[from] LockoutSettingsError),
}

/// Decides, and moves strike and display.
pub struct Keeper {
    decider: Decider,
    door: Door,
    relay: RelayWatch,
    display: Box<dyn Display>,
    events: Box<dyn Subscriber>,
    names: Names,
    service: Service,
    known: Option<ShownName>,
    refused: Option<Uptime>,
    shown: Option<Screen>,
    display_retry: Option<Uptime>,
    state: DoorState,
    now: Uptime,
    ages: Ages,
    first: Option<Uptime>,
    last: Uptime,
    report: Report,
    seen_faults: FaultSet,
    exchange: Exchange,
    lockout: Option<Lockout>,
}

/// The relay, what it was told, and whether its line agrees.
struct RelayWatch {
    relay: Box<dyn Relay>,
    commanded: Strike,
    /// When the reading may be held against the relay; `None` once that was done.
    check_at: Option<Uptime>,
    /// Since when a relay that failed reads right again.
    right_since: Option<Uptime>,
}

impl Keeper {
    /// A keeper before its first moment. Nothing moves, nothing is shown.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(parts: KeeperParts) -> Result<Self, KeeperError> {
        let KeeperParts { vote, door, relay, display, events, names } = parts;
        let door = Door::new(door)?;
        Ok(Self {
            decider: Decider::new(vote)?,
            state: door.state(),
            door,
            relay: RelayWatch { relay, commanded: Strike::Locked, check_at: None, right_since: None },
            display,
            events,
            names,
            service: Service::Starting,
            known: None,
            refused: None,
            shown: None,
            display_retry: None,
            now: Uptime::ZERO,
            ages: Ages::default(),
            first: None,
            last: Uptime::ZERO,
            report: Report::default(),
            seen_faults: FaultSet::default(),
            exchange: Exchange::default(),
            lockout: None,
        })
    }

    /// The daemon starts; the display says so.
    ///
    /// A strike that is found released was left so by a daemon that is gone, and is locked: the one edge that a start
    /// can make.
    pub fn start(&mut self, started: Started, now: Uptime) {
        self.now = now;
        self.emit(EventKind::Started(started));
        match self.relay.relay.read(now) {
            Ok(Some(Strike::Released)) => {
                tracing::warn!("the strike was found released at the start: locking it");
                self.relay.commanded = Strike::Released;
                self.obey(Command(Strike::Locked));
            }
            Ok(_) => self.relay.check_at = Some(now),
            Err(e) => {
                tracing::error!("{e}");
                self.fault(Fault::Relay);
            }
        }
        self.refresh();
    }

    /// From now on repeated refusals are answered by waits.
    pub fn slow_down(&mut self, lockout: Lockout) {
        self.lockout = Some(lockout);
    }

    /// From now on whoever is shut out there is a stranger here.
    pub fn heed(&mut self, exchange: Exchange) {
        self.exchange = exchange;
    }

    /// From now on sightings are of another bundle. Tracks and votes go on: a person's number stays the same person's.
    pub fn on_replaced(&mut self, names: Names, started: Started, now: Uptime) {
        self.on_tick(now);
        self.names = names;
        self.emit(EventKind::Started(started));
    }

    /// Everything is loaded: from now on frames count.
    pub fn ready(&mut self, now: Uptime) {
        self.service = Service::Running;
        self.on_tick(now);
    }

    /// A recording begins.
    pub fn on_visit(&mut self, visit: &Visit, now: Uptime) {
        self.on_tick(now);
        let kind = EventKind::Visit { recording: text(&visit.recording), label: text(&visit.label) };
        self.emit(kind);
    }

    /// The result of one frame.
    pub fn on_sighting(&mut self, sighting: &Sighting, now: Uptime) {
        self.on_tick(now);
        let age = now.since(sighting.captured);
        self.ages.add(age);
        self.report.looked_at += 1;
        self.report.stale += u64::from(age > self.decider.settings().max_frame_age);
        self.report.with_faces += u64::from(!sighting.seen.is_empty());
        self.first.get_or_insert(sighting.captured);
        self.last = self.last.max(sighting.captured);
        self.emit(EventKind::Sighting(Look::from(sighting)));
        // During a wait nobody is looked at: no vote counts, and whoever stands there when it ends begins anew.
        if self.locked_until().is_none() {
            for decision in self.decider.on_sighting(sighting, now) {
                self.on_decision(&decision);
            }
        }
        self.refresh();
    }

    fn on_decision(&mut self, decision: &Decision) {
        // Somebody who was taken out of the table while the votes were counted is a stranger.
        let mut decision = *decision;
        if let Verdict::Known(person) = decision.verdict
            && self.exchange.is_shut_out(person)
        {
            decision.verdict = Verdict::Stranger;
        }
        let decision = &decision;
        self.emit(EventKind::Decision((*decision).into()));
        match decision.verdict {
            Verdict::Known(person) => {
                self.report.known += 1;
                if let Some(lockout) = &mut self.lockout {
                    lockout.on_recognised();
                }
                self.known = Some(self.names.get(person).cloned().unwrap_or_default());
            }
            Verdict::Stranger => {
                self.report.strangers += 1;
                self.refused = Some(self.now);
                if let Some(wait) = self.lockout.as_mut().and_then(|lockout| lockout.on_refusal(self.now)) {
                    let seconds = u32::try_from(wait.lasts.as_secs()).unwrap_or(u32::MAX);
                    self.emit(EventKind::LockedOut { seconds, refusals: wait.refusals });
                }
            }
        }
        let command = self.door.on_decision(decision, self.now);
        self.carry_out(command);
    }

    fn locked_until(&mut self) -> Option<Uptime> {
        let now = self.now;
        self.lockout.as_mut().and_then(|lockout| lockout.locked_until(now))
    }

    /// The door's wires say something.
    pub fn on_input(&mut self, input: Input, now: Uptime) {
        self.on_tick(now);
        let command = match input {
            Input::Exit => {
                tracing::info!("the exit button was pressed");
                // Whoever leaves is nobody whom the display could greet by name.
                self.known = None;
                self.door.on_exit(self.now)
            }
            Input::Contact(contact) => {
                self.emit(EventKind::Contact(contact.into()));
                self.door.on_contact(contact, self.now)
            }
        };
        self.carry_out(command);
        self.refresh();
    }

    /// Something failed.
    pub fn on_fault(&mut self, fault: Fault, now: Uptime) {
        self.on_tick(now);
        self.fault(fault);
        self.refresh();
    }

    /// Something works again.
    pub fn on_fault_cleared(&mut self, fault: Fault, now: Uptime) {
        self.on_tick(now);
        self.clear(fault);
        self.refresh();
    }

    /// Time passes. To be called at [`Keeper::next_wake`] at the latest.
    pub fn on_tick(&mut self, now: Uptime) {
        self.now = self.now.max(now);
        match (self.exchange.is_expired(), self.door.faults().contains(Fault::Expired)) {
            (true, false) => self.fault(Fault::Expired),
            (false, true) => self.clear(Fault::Expired),
            _ => {}
        }
        let command = self.door.on_tick(self.now);
        self.carry_out(command);
        self.check_relay();
        self.refresh();
    }

    /// The daemon stops: a released strike is locked, which is the one edge that a stop can make.
    pub fn stop(&mut self, now: Uptime) {
        self.on_tick(now);
        if self.relay.commanded == Strike::Released {
            self.obey(Command(Strike::Locked));
        }
        self.emit(EventKind::Stopped);
    }

    /// Locks a released strike after this keeper itself panicked, without trusting anything else of it.
    pub fn lock_after_panic(&mut self, now: Uptime) {
        if self.relay.commanded == Strike::Released
            && let Err(e) = self.relay.relay.set(Strike::Locked, now)
        {
            tracing::error!("{e}");
        }
    }

    /// When [`Keeper::on_tick`] has something to do at the latest; `None`: nothing until something happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Uptime> {
        let busy = !matches!(self.shown, Some(Screen::Ready | Screen::Starting) | None);
        let refresh = busy.then(|| self.now + REFRESH);
        [self.door.next_deadline(), self.relay.check_at, self.display_retry, refresh].into_iter().flatten().min()
    }

    /// Whether the strike is locked, and its line was found to say so or cannot be checked.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        self.relay.commanded == Strike::Locked && self.relay.check_at.is_none()
    }

    /// What the run was like, as far as this stage knows.
    #[must_use]
    pub fn report(&self) -> Report {
        let seconds = self.last.since(self.first.unwrap_or_default()).as_secs_f64();
        let millis = |q| self.ages.quantile(q).as_secs_f64() * 1000.0;
        let fps = if seconds > 0.0 { (self.report.looked_at.saturating_sub(1)) as f64 / seconds } else { 0.0 };
        Report {
            events_lost: self.events.lost(),
            fps,
            age_p50_ms: millis(0.5),
            age_p95_ms: millis(0.95),
            ..self.report.clone()
        }
    }

    fn fault(&mut self, fault: Fault) {
        if !self.door.faults().contains(fault) {
            self.note_fault(fault);
            tracing::error!("fault: {fault}");
            self.emit(EventKind::Fault(fault.into()));
        }
        let command = self.door.on_fault(fault, self.now);
        self.carry_out(command);
    }

    fn clear(&mut self, fault: Fault) {
        if self.door.faults().contains(fault) {
            tracing::info!("no longer: {fault}");
            self.emit(EventKind::FaultCleared(fault.into()));
        }
        let command = self.door.on_fault_cleared(fault, self.now);
        self.carry_out(command);
    }

    fn carry_out(&mut self, command: Option<Command>) {
        if let Some(command) = command {
            self.obey(command);
        }
        self.note_state();
    }

    /// The only place that moves the strike.
    fn obey(&mut self, Command(strike): Command) {
        let edge = strike != self.relay.commanded;
        match self.relay.relay.set(strike, self.now) {
            Ok(()) => {
                self.relay.commanded = strike;
                self.relay.check_at = Some(self.now + self.relay.relay.settle() + READ_BACK_MARGIN);
                self.report.releases += u64::from(edge && strike == Strike::Released);
                if edge {
                    self.emit(EventKind::Relay(strike.into()));
                }
            }
            Err(e) => {
                tracing::error!("{e}");
                // The door answers a relay fault with a lock command of its own at most once a second, so this ends.
                if !self.door.faults().contains(Fault::Relay) {
                    self.fault(Fault::Relay);
                }
            }
        }
    }

    /// Holds the relay's line against what it was told.
    fn check_relay(&mut self) {
        // While it moves, its line says nothing; afterwards it is read with every tick, since it may change by itself.
        if self.relay.check_at.is_some_and(|at| self.now < at) {
            return;
        }
        self.relay.check_at = None;
        let failed = self.door.faults().contains(Fault::Relay);
        let right = match self.relay.relay.read(self.now) {
            Ok(found) => found.is_none_or(|found| found == self.relay.commanded),
            Err(e) => {
                tracing::debug!("{e}");
                false
            }
        };
        if !right {
            self.relay.right_since = None;
            if !failed {
                self.fault(Fault::Relay);
            }
        } else if failed {
            let since = *self.relay.right_since.get_or_insert(self.now);
            if self.now.since(since) >= RELAY_TRUSTED_AFTER {
                self.relay.right_since = None;
                self.clear(Fault::Relay);
            }
        }
    }

    fn note_state(&mut self) {
        let state = self.door.state();
        if state != self.state {
            self.state = state;
            self.emit(EventKind::Door(state.into()));
        }
    }

    /// Brings the display up to date.
    fn refresh(&mut self) {
        self.note_state();
        let locked_out = self.locked_until();
        let pairing = self.exchange.code(self.now);
        let situation = Situation {
            service: self.service,
            door: self.state,
            faults: self.door.faults(),
            known: self.known.as_deref(),
            refused: self.refused,
            locked_out,
            pairing: pairing.as_deref(),
            progress: &self.decider.progress(self.now),
        };
        let screen = Screen::choose(&situation, self.now);
        let retry = self.display_retry.is_some_and(|at| self.now >= at);
        let changed = self.shown.as_ref() != Some(&screen);
        if !changed && !retry {
            return;
        }
        if changed {
            self.report.screens += 1;
            self.emit(EventKind::Screen(screen.clone().into()));
        }
        match self.display.show(&screen) {
            Ok(()) => {
                self.display_retry = None;
                self.shown = Some(screen);
                if self.door.faults().contains(Fault::Display) {
                    self.clear(Fault::Display);
                }
            }
            Err(e) => {
                tracing::warn!("display: {e}");
                self.report.display_errors += 1;
                self.display_retry = Some(self.now + DISPLAY_RETRY);
                self.shown = Some(screen);
                self.fault(Fault::Display);
            }
        }
    }

    fn emit(&mut self, kind: EventKind) {
        let done = self.events.notify(&Event { at: self.now.into(), kind }.into());
        let faulty = self.door.faults().contains(Fault::Storage);
        match (done, faulty) {
            (Ok(()), false) | (Err(_), true) => {}
            // Both go straight to the door first, so that the event about it finds the matter settled.
            (Ok(()), true) => {
                let command = self.door.on_fault_cleared(Fault::Storage, self.now);
                self.carry_out(command);
                self.emit(EventKind::FaultCleared(Fault::Storage.into()));
            }
            (Err(e), false) => {
                tracing::warn!("{e}");
                self.note_fault(Fault::Storage);
                let command = self.door.on_fault(Fault::Storage, self.now);
                self.carry_out(command);
                // Whoever can still take it hears of it; whether that worked changes nothing, or a sink that takes every
                // other event would keep this busy without end.
                let _ = self
                    .events
                    .notify(&Event { at: self.now.into(), kind: EventKind::Fault(Fault::Storage.into()) }.into());
            }
        }
    }

    /// For the report: each fault once.
    fn note_fault(&mut self, fault: Fault) {
        if !self.seen_faults.contains(fault) {
            self.seen_faults.insert(fault);
            self.report.faults.push(fault.to_string());
        }
    }
}
