//! Inputs of the door controller → the relay, the display and the audit log that carry its outputs out. The last stage,
//! and the only one that moves anything.
//!
//! Time is an argument: the same executor runs in real time behind a mailbox and in virtual time in a test.

use std::time::Duration;

use lintel_core::controller::{
    self, Controller, ControllerError, ControllerSettings, Event as Happened, Input, Names, Peripherals, RelayReading,
};
use lintel_core::decision::{Sighting, Verdict};
use lintel_core::door::{Fault, FaultSet, Strike};
use lintel_core::screen::Screen;
use lintel_core::time::Uptime;
use lintel_wire::event::{Event, EventKind, Look, Started};

use crate::events::{Subscriber, text};
use crate::health::{Ages, Report};
use crate::io::camera::Visit;
use crate::io::display::Display;
use crate::io::gpio::inputs;
use crate::io::relay::Relay;
use crate::pipeline::exchange::Exchange;

/// What an executor is made of.
pub struct ExecutorParts {
    /// How the controller decides; the relay says itself how long it moves.
    pub settings: ControllerSettings,
    /// Refusals in a row that were counted before this start.
    pub refusals: u32,
    /// What moves the strike.
    pub relay: Box<dyn Relay>,
    /// What shows screens.
    pub display: Box<dyn Display>,
    /// What takes the events.
    pub events: Box<dyn Subscriber>,
    /// Names for the display.
    pub names: Names,
}

/// Drives the controller, and carries out what it says.
pub struct Executor {
    controller: Controller,
    hardware: Hardware,
    exchange: Exchange,
    heard: u64,
    ages: Ages,
    first: Option<Uptime>,
    last: Uptime,
    now: Uptime,
}

/// What is moved, shown and written to.
struct Hardware {
    relay: Box<dyn Relay>,
    /// What the relay took last; kept beside the controller, for the case that the controller itself dies.
    commanded: Strike,
    display: Box<dyn Display>,
    events: Box<dyn Subscriber>,
    report: Report,
    seen_faults: FaultSet,
}

impl Executor {
    /// An executor before its first moment. Nothing moves, nothing is shown.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(parts: ExecutorParts, now: Uptime) -> Result<Self, ControllerError> {
        let ExecutorParts { settings, refusals, relay, display, events, names } = parts;
        let settings = ControllerSettings { relay_settle: relay.settle(), ..settings };
        Ok(Self {
            controller: Controller::new(&settings, names, refusals, now)?,
            hardware: Hardware {
                relay,
                commanded: Strike::Locked,
                display,
                events,
                report: Report::default(),
                seen_faults: FaultSet::default(),
            },
            exchange: Exchange::default(),
            heard: 0,
            ages: Ages::default(),
            first: None,
            last: Uptime::ZERO,
            now,
        })
    }

    /// The daemon starts; the display says so.
    pub fn start(&mut self, started: Started, now: Uptime) {
        self.now = now;
        self.emit(EventKind::Started(started));
        let reading = self.hardware.read_relay(now);
        if reading == RelayReading::Is(Strike::Released) {
            tracing::warn!("the strike was found released at the start: locking it");
            self.hardware.commanded = Strike::Released;
        }
        self.follow(Input::Start(reading));
    }

    /// From now on the exchange is heard: who is shut out, whether the table expired, the pairing code.
    pub fn hear(&mut self, exchange: Exchange) {
        self.exchange = exchange;
    }

    /// From now on sightings are of another bundle. Tracks and votes go on: a person's number stays the same person's.
    pub fn on_replaced(&mut self, names: Names, started: Started, now: Uptime) {
        self.handle(Input::Identities(names), now);
        self.emit(EventKind::Started(started));
    }

    /// Everything is loaded: from now on frames count.
    pub fn ready(&mut self, now: Uptime) {
        self.handle(Input::Ready, now);
    }

    /// A recording begins.
    pub fn on_visit(&mut self, visit: &Visit, now: Uptime) {
        self.on_tick(now);
        self.emit(EventKind::Visit { recording: text(&visit.recording), label: text(&visit.label) });
    }

    /// The result of one frame.
    pub fn on_sighting(&mut self, sighting: &Sighting, now: Uptime) {
        self.on_tick(now);
        let age = now.since(sighting.captured);
        self.ages.add(age);
        let report = &mut self.hardware.report;
        report.looked_at += 1;
        report.stale += u64::from(age > self.controller.vote_settings().max_frame_age);
        report.with_faces += u64::from(!sighting.seen.is_empty());
        self.first.get_or_insert(sighting.captured);
        self.last = self.last.max(sighting.captured);
        self.emit(EventKind::Sighting(Look::from(sighting)));
        self.handle(Input::Sighting(sighting), now);
    }

    /// The door's wires say something.
    pub fn on_input(&mut self, input: inputs::Input, now: Uptime) {
        match input {
            inputs::Input::Exit => {
                tracing::info!("the exit button was pressed");
                self.handle(Input::Exit, now);
            }
            inputs::Input::Contact(contact) => self.handle(Input::Contact(contact), now),
        }
    }

    /// Something failed.
    pub fn on_fault(&mut self, fault: Fault, now: Uptime) {
        self.handle(Input::Fault(fault), now);
    }

    /// Time passes. To be called at [`Executor::next_wake`] at the latest.
    pub fn on_tick(&mut self, now: Uptime) {
        self.handle(Input::Tick, now);
    }

    /// Lets virtual time pass, with every deadline at its own instant.
    pub fn pass_time(&mut self, to: Uptime) {
        controller::pass_time(&mut self.controller, self.now, to, &mut self.hardware);
        self.now = self.now.max(to);
    }

    /// Gives the controller an input, and carries out all that follows; what the exchange says comes first.
    pub fn handle(&mut self, input: Input<'_>, now: Uptime) {
        self.now = self.now.max(now);
        if let Some(news) = self.exchange.news(&mut self.heard) {
            self.follow(Input::ShutOut(news.shut_out));
            self.follow(Input::Expired(news.expired));
            self.follow(Input::Pairing(news.pairing));
        }
        self.follow(input);
    }

    /// The daemon stops: a released strike is locked, which is the one edge that a stop can make.
    pub fn stop(&mut self, now: Uptime) {
        self.handle(Input::Stop, now);
        self.emit(EventKind::Stopped);
    }

    /// Locks a released strike after this stage itself panicked, without trusting anything else of it.
    pub fn lock_after_panic(&mut self, now: Uptime) {
        if self.hardware.commanded == Strike::Released
            && let Err(e) = self.hardware.relay.set(Strike::Locked, now)
        {
            tracing::error!("{e}");
        }
    }

    /// When [`Executor::on_tick`] has something to do at the latest; `None`: nothing until something happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Uptime> {
        self.controller.next_wake()
    }

    /// Whether the strike is locked, and its line was found to say so or cannot be checked.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        self.controller.at_rest()
    }

    /// What the run was like, as far as this stage knows.
    #[must_use]
    pub fn report(&self) -> Report {
        let seconds = self.last.since(self.first.unwrap_or_default()).as_secs_f64();
        let millis = |q| self.ages.quantile(q).as_secs_f64() * 1000.0;
        let report = &self.hardware.report;
        let fps = if seconds > 0.0 { (report.looked_at.saturating_sub(1)) as f64 / seconds } else { 0.0 };
        Report {
            events_lost: self.hardware.events.lost(),
            fps,
            age_p50_ms: millis(0.5),
            age_p95_ms: millis(0.95),
            ..report.clone()
        }
    }

    fn follow(&mut self, input: Input<'_>) {
        controller::carry_out(&mut self.controller, input, self.now, &mut self.hardware);
    }

    /// An event that the controller knows nothing of.
    fn emit(&mut self, kind: EventKind) {
        let done = self.hardware.emit(kind, self.now);
        if done == self.controller.faults().contains(Fault::Storage) {
            self.follow(Input::Logged(done));
        }
    }
}

impl Hardware {
    fn emit(&mut self, kind: EventKind, now: Uptime) -> bool {
        let done = self.events.notify(&Event { at: now.into(), kind }.into());
        if let Err(e) = &done {
            tracing::warn!("{e}");
        }
        done.is_ok()
    }
}

impl Peripherals for Hardware {
    fn set_strike(&mut self, strike: Strike, now: Uptime) -> bool {
        let edge = strike != self.commanded;
        match self.relay.set(strike, now) {
            Ok(()) => {
                self.commanded = strike;
                self.report.releases += u64::from(edge && strike == Strike::Released);
                true
            }
            Err(e) => {
                tracing::error!("{e}");
                false
            }
        }
    }

    fn read_relay(&mut self, now: Uptime) -> RelayReading {
        match self.relay.read(now) {
            Ok(found) => found.map_or(RelayReading::NoFeedback, RelayReading::Is),
            Err(e) => {
                tracing::debug!("{e}");
                RelayReading::Failed
            }
        }
    }

    fn show(&mut self, screen: &Screen, _: Uptime) -> bool {
        match self.display.show(screen) {
            Ok(()) => true,
            Err(e) => {
                tracing::warn!("display: {e}");
                self.report.display_errors += 1;
                false
            }
        }
    }

    fn log(&mut self, event: &Happened, now: Uptime) -> bool {
        match event {
            Happened::Decision(decision) => match decision.verdict {
                Verdict::Known(_) => self.report.known += 1,
                Verdict::Stranger => self.report.strangers += 1,
            },
            Happened::Fault(fault) => {
                tracing::error!("fault: {fault}");
                if !self.seen_faults.contains(*fault) {
                    self.seen_faults.insert(*fault);
                    self.report.faults.push(fault.to_string());
                }
            }
            Happened::FaultCleared(fault) => tracing::info!("no longer: {fault}"),
            Happened::Screen(_) => self.report.screens += 1,
            Happened::LockedOut { .. } | Happened::Relay(_) | Happened::Contact(_) | Happened::Door(_) => {}
        }
        self.emit(kind(event), now)
    }
}

/// The controller's event as it is written.
fn kind(event: &Happened) -> EventKind {
    match *event {
        Happened::Decision(decision) => EventKind::Decision(decision.into()),
        Happened::LockedOut { lasts, refusals } => EventKind::LockedOut { seconds: seconds(lasts), refusals },
        Happened::Relay(strike) => EventKind::Relay(strike.into()),
        Happened::Contact(contact) => EventKind::Contact(contact.into()),
        Happened::Door(state) => EventKind::Door(state.into()),
        Happened::Screen(ref screen) => EventKind::Screen(screen.clone().into()),
        Happened::Fault(fault) => EventKind::Fault(fault.into()),
        Happened::FaultCleared(fault) => EventKind::FaultCleared(fault.into()),
    }
}

fn seconds(lasts: Duration) -> u32 {
    u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX)
}
