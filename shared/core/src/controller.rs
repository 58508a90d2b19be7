//! Sightings, wires, faults, time → what the strike, the display and the audit log are to do.
//!
//! The one place where decision, door, lockout and screen come together. The door runs it on real hardware; evaluation,
//! replay and the stories run the same thing. It does no I/O and reads no clock: [`Controller::handle`] takes an
//! [`Input`] and the time, and returns [`Output`]s. Whoever carries an output out tells the controller what became of
//! it with another input, before the next output; [`carry_out`] does that with whatever moves, shows and logs.

use alloc::collections::BTreeSet;
use alloc::vec::Vec as Growing;
use core::time::Duration;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::decision::{Decider, DeciderError, Decision, Sighting, Verdict, VoteSettings};
use crate::door::{Command, Contact, Door, DoorSettings, DoorSettingsError, DoorState, Fault, FaultSet, Strike};
use crate::lockout::{Lockout, LockoutSettings, LockoutSettingsError};
use crate::screen::{Screen, Service, ShownName, Situation, shown_name};
use crate::table::PersonId;
use crate::time::Uptime;
use crate::track::{MAX_SEEN, TrackSettings};

/// Beyond the relay's own settling time, before its reading is held against it.
const READ_BACK_MARGIN: Duration = Duration::from_millis(20);
/// A relay that failed must read right for so long before it is trusted again.
const RELAY_TRUSTED_AFTER: Duration = Duration::from_secs(5);
/// A display that failed is tried again after so long.
const DISPLAY_RETRY: Duration = Duration::from_secs(1);
/// While somebody is shown or followed, the display is brought up to date this often without anything happening.
const REFRESH: Duration = Duration::from_millis(200);
/// Most outputs of one input: two for each face that is decided on, and less than eight for everything else.
pub const MAX_OUTPUTS: usize = 2 * MAX_SEEN + 8;

/// A code that a person reads from the display while a workstation is paired.
pub type PairingCode = String<16>;

/// Names of the people in the identity table, for the display only.
#[derive(Clone, Debug, Default)]
pub struct Names(Growing<(PersonId, ShownName)>);

impl Names {
    /// Of these people, in any order.
    pub fn new<'a>(people: impl IntoIterator<Item = (PersonId, &'a str)>) -> Self {
        let mut names: Growing<_> = people.into_iter().map(|(id, name)| (id, shown_name(name))).collect();
        names.sort_unstable_by_key(|(id, _)| id.0);
        Self(names)
    }

    fn get(&self, id: PersonId) -> Option<&ShownName> {
        let at = self.0.binary_search_by_key(&id.0, |(id, _)| id.0).ok()?;
        self.0.get(at).map(|(_, name)| name)
    }
}

/// How a controller decides. As a default: the defaults of each part, and a relay that moves at once.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ControllerSettings {
    /// When votes become verdicts.
    pub vote: VoteSettings,
    /// When two faces are one track.
    pub track: TrackSettings,
    /// How the door behaves.
    pub door: DoorSettings,
    /// How refusals are slowed down.
    pub lockout: LockoutSettings,
    /// How long the relay moves after a command, before its line can be read.
    pub relay_settle: Duration,
}

/// A setting that a controller refuses.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ControllerError {
    /// A setting of the votes or the tracks is out of range.
    #[error(transparent)]
    Decider(#[from] DeciderError),
    /// A setting of the door is out of range.
    #[error(transparent)]
    Door(#[from] DoorSettingsError),
    /// A setting of the lockout is out of range.
    #[error(transparent)]
    Lockout(#[from] LockoutSettingsError),
}

/// What the relay's line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelayReading {
    /// The strike is there.
    Is(Strike),
    /// Nothing is wired that could say so.
    NoFeedback,
    /// The line cannot be read.
    Failed,
}

/// Something that the controller must know.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The daemon starts, and the relay's line says this. A strike that is found released was left so by a daemon that
    /// is gone, and is locked: the one edge that a start can make.
    Start(RelayReading),
    /// Everything is loaded: from now on frames count.
    Ready,
    /// Time passes. To be given at [`Controller::next_wake`] at the latest, and before any other input.
    Tick,
    /// The result of one frame.
    Sighting(&'a Sighting),
    /// The exit button was pressed.
    Exit,
    /// The door's leaf moved.
    Contact(Contact),
    /// Something failed.
    Fault(Fault),
    /// It works again.
    FaultCleared(Fault),
    /// From now on sightings are of a table with these people. Tracks and votes go on: a number stays the same
    /// person's.
    Identities(Names),
    /// From now on these people, and only these, are strangers, whatever the table that runs says.
    ShutOut(BTreeSet<PersonId>),
    /// Whether nobody has vouched for the table for too long.
    Expired(bool),
    /// The display shows this code until then; `None`: no longer.
    Pairing(Option<(PairingCode, Uptime)>),
    /// The daemon stops: a released strike is locked, which is the one edge that a stop can make.
    Stop,
    /// The strike was told this, and the relay took it or did not.
    StrikeSet {
        /// What it was told.
        strike: Strike,
        /// Whether the relay took it.
        done: bool,
    },
    /// The relay's line was read.
    RelayRead(RelayReading),
    /// The display showed the screen, or did not.
    Shown(bool),
    /// The audit log took the event, or did not.
    Logged(bool),
}

/// Something to be done at once, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Bring the strike to [`Controller::strike`], as it stands when this is carried out; then tell
    /// [`Input::StrikeSet`].
    Strike,
    /// Read the relay's line; then tell [`Input::RelayRead`].
    ReadRelay,
    /// Show [`Controller::screen`], as it stands when this is carried out; then tell [`Input::Shown`].
    Show,
    /// Write this to the audit log; then tell [`Input::Logged`].
    Log(Event),
}

/// Something that happened at the door.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A verdict over a track.
    Decision(Decision),
    /// After repeated refusals nobody is looked at for a while.
    LockedOut {
        /// For so long.
        lasts: Duration,
        /// Refusals in a row.
        refusals: u32,
    },
    /// The relay did what it was told.
    Relay(Strike),
    /// The door's leaf moved.
    Contact(Contact),
    /// The door's state changed.
    Door(DoorState),
    /// The display is to show something else.
    Screen(Screen),
    /// Something failed.
    Fault(Fault),
    /// It works again.
    FaultCleared(Fault),
}

/// What one input leads to.
pub type Outputs = Vec<Output, MAX_OUTPUTS>;

/// Decides what strike and display do.
#[derive(Clone, Debug)]
pub struct Controller {
    decider: Decider,
    door: Door,
    lockout: Lockout,
    relay: RelayWatch,
    names: Names,
    shut_out: BTreeSet<PersonId>,
    pairing: Option<(PairingCode, Uptime)>,
    service: Service,
    known: Option<ShownName>,
    refused: Option<Uptime>,
    screen: Option<Screen>,
    display_retry: Option<Uptime>,
    state: DoorState,
    now: Uptime,
}

/// What the relay was told, and whether its line agrees.
#[derive(Clone, Copy, Debug)]
struct RelayWatch {
    settle: Duration,
    /// Where the strike is to be.
    wanted: Strike,
    /// Whether the door gave a command since the strike was last brought to `wanted`.
    due: bool,
    /// What the relay took last.
    commanded: Strike,
    /// When the reading may be held against the relay; `None` once that was done.
    check_at: Option<Uptime>,
    /// Since when a relay that failed reads right again.
    right_since: Option<Uptime>,
}

impl Controller {
    /// A controller before its first moment, with the refusals in a row that were counted before it. Nothing moves,
    /// nothing is shown.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(
        settings: &ControllerSettings,
        names: Names,
        refusals: u32,
        now: Uptime,
    ) -> Result<Self, ControllerError> {
        let door = Door::new(settings.door)?;
        let relay = RelayWatch {
            settle: settings.relay_settle,
            wanted: Strike::Locked,
            due: false,
            commanded: Strike::Locked,
            check_at: None,
            right_since: None,
        };
        Ok(Self {
            decider: Decider::new(settings.vote, settings.track)?,
            state: door.state(),
            door,
            lockout: Lockout::new(settings.lockout, refusals, now)?,
            relay,
            names,
            shut_out: BTreeSet::new(),
            pairing: None,
            service: Service::Starting,
            known: None,
            refused: None,
            screen: None,
            display_retry: None,
            now: Uptime::ZERO,
        })
    }

    /// Takes one input; what is to be done follows from it, in order. A `now` before that of an earlier call is taken
    /// for that one.
    #[must_use]
    pub fn handle(&mut self, input: Input<'_>, now: Uptime) -> Outputs {
        self.now = self.now.max(now);
        let mut outputs = Outputs::new();
        let out = &mut outputs;
        match input {
            Input::Start(reading) => self.start(reading, out),
            Input::Ready => self.service = Service::Running,
            Input::Tick => self.tick(out),
            Input::Sighting(sighting) => self.on_sighting(sighting, out),
            Input::Exit => {
                // Whoever leaves is nobody whom the display could greet by name.
                self.known = None;
                let command = self.door.on_exit(self.now);
                self.command(command);
            }
            Input::Contact(contact) => {
                push(out, Output::Log(Event::Contact(contact)));
                let command = self.door.on_contact(contact, self.now);
                self.command(command);
            }
            Input::Fault(fault) => self.fault(fault, out),
            Input::FaultCleared(fault) => self.clear(fault, out),
            Input::Identities(names) => self.names = names,
            Input::ShutOut(people) => self.shut_out = people,
            Input::Expired(true) if !self.faults().contains(Fault::Expired) => self.fault(Fault::Expired, out),
            Input::Expired(false) if self.faults().contains(Fault::Expired) => self.clear(Fault::Expired, out),
            Input::Expired(_) => {}
            Input::Pairing(code) => self.pairing = code,
            Input::Stop => {
                if self.relay.commanded == Strike::Released {
                    self.command(Some(Command(Strike::Locked)));
                }
            }
            Input::StrikeSet { strike, done } => self.on_strike_set(strike, done, out),
            Input::RelayRead(reading) => self.on_relay_read(reading, out),
            Input::Shown(done) => self.on_shown(done, out),
            Input::Logged(done) => self.on_logged(done, out),
        }
        if core::mem::take(&mut self.relay.due) {
            // What the door then is, and what the display says of it, follows when the strike was set.
            push(out, Output::Strike);
        } else {
            self.note_state(out);
            self.refresh(out);
        }
        outputs
    }

    /// Where the strike is to be now.
    #[must_use]
    pub fn strike(&self) -> Strike {
        self.relay.wanted
    }

    /// What the display is to show now; `None` before the first moment.
    #[must_use]
    pub fn screen(&self) -> Option<&Screen> {
        self.screen.as_ref()
    }

    /// Every fault that is present.
    #[must_use]
    pub fn faults(&self) -> FaultSet {
        self.door.faults()
    }

    /// When votes become verdicts.
    #[must_use]
    pub fn vote_settings(&self) -> &VoteSettings {
        self.decider.settings()
    }

    /// When [`Input::Tick`] has something to do at the latest; `None`: nothing until something happens.
    #[must_use]
    pub fn next_wake(&self) -> Option<Uptime> {
        let busy = !matches!(self.screen, Some(Screen::Ready | Screen::Starting) | None);
        let refresh = busy.then(|| self.now + REFRESH);
        [self.door.next_deadline(), self.relay.check_at, self.display_retry, refresh].into_iter().flatten().min()
    }

    /// Whether the strike is locked, and its line was found to say so or cannot be checked.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        self.relay.commanded == Strike::Locked && self.relay.check_at.is_none()
    }

    fn start(&mut self, reading: RelayReading, out: &mut Outputs) {
        match reading {
            RelayReading::Is(Strike::Released) => {
                self.relay.commanded = Strike::Released;
                self.command(Some(Command(Strike::Locked)));
            }
            RelayReading::Is(Strike::Locked) | RelayReading::NoFeedback => self.relay.check_at = Some(self.now),
            RelayReading::Failed => self.fault(Fault::Relay, out),
        }
    }

    fn tick(&mut self, out: &mut Outputs) {
        let command = self.door.on_tick(self.now);
        self.command(command);
        // While the relay moves, its line says nothing; afterwards it is read with every tick, since it may change by
        // itself.
        if !self.relay.due && self.relay.check_at.is_none_or(|at| self.now >= at) {
            self.relay.check_at = None;
            push(out, Output::ReadRelay);
        }
    }

    fn on_sighting(&mut self, sighting: &Sighting, out: &mut Outputs) {
        // During a wait nobody is looked at: no vote counts, and whoever stands there when it ends begins anew.
        if self.lockout.locked_until(self.now).is_some() {
            return;
        }
        for decision in self.decider.on_sighting(sighting, self.now) {
            self.on_decision(decision, out);
        }
    }

    fn on_decision(&mut self, mut decision: Decision, out: &mut Outputs) {
        // Somebody who was taken out of the table while the votes were counted is a stranger.
        if let Verdict::Known(person) = decision.verdict
            && self.shut_out.contains(&person)
        {
            decision.verdict = Verdict::Stranger;
        }
        push(out, Output::Log(Event::Decision(decision)));
        match decision.verdict {
            Verdict::Known(person) => {
                self.lockout.on_recognised();
                self.known = Some(self.names.get(person).cloned().unwrap_or_default());
            }
            Verdict::Stranger => {
                self.refused = Some(self.now);
                if let Some(wait) = self.lockout.on_refusal(self.now) {
                    push(out, Output::Log(Event::LockedOut { lasts: wait.lasts, refusals: wait.refusals }));
                }
            }
        }
        let command = self.door.on_decision(&decision, self.now);
        self.command(command);
    }

    fn on_strike_set(&mut self, strike: Strike, done: bool, out: &mut Outputs) {
        if done {
            let edge = strike != self.relay.commanded;
            self.relay.commanded = strike;
            self.relay.check_at = Some(self.now + self.relay.settle + READ_BACK_MARGIN);
            if edge {
                push(out, Output::Log(Event::Relay(strike)));
            }
        } else if !self.faults().contains(Fault::Relay) {
            // The door answers a relay fault with a lock command of its own at most once a second, so this ends.
            self.fault(Fault::Relay, out);
        }
    }

    /// Holds the relay's line against what it was told.
    fn on_relay_read(&mut self, reading: RelayReading, out: &mut Outputs) {
        let failed = self.faults().contains(Fault::Relay);
        let right = match reading {
            RelayReading::Is(found) => found == self.relay.commanded,
            RelayReading::NoFeedback => true,
            RelayReading::Failed => false,
        };
        if !right {
            self.relay.right_since = None;
            if !failed {
                self.fault(Fault::Relay, out);
            }
        } else if failed {
            let since = *self.relay.right_since.get_or_insert(self.now);
            if self.now.since(since) >= RELAY_TRUSTED_AFTER {
                self.relay.right_since = None;
                self.clear(Fault::Relay, out);
            }
        }
    }

    fn on_shown(&mut self, done: bool, out: &mut Outputs) {
        if done {
            self.display_retry = None;
            if self.faults().contains(Fault::Display) {
                self.clear(Fault::Display, out);
            }
        } else {
            self.display_retry = Some(self.now + DISPLAY_RETRY);
            self.fault(Fault::Display, out);
        }
    }

    fn on_logged(&mut self, done: bool, out: &mut Outputs) {
        match (done, self.faults().contains(Fault::Storage)) {
            (true, true) => self.clear(Fault::Storage, out),
            (false, false) => self.fault(Fault::Storage, out),
            (true, false) | (false, true) => {}
        }
    }

    fn fault(&mut self, fault: Fault, out: &mut Outputs) {
        if !self.faults().contains(fault) {
            push(out, Output::Log(Event::Fault(fault)));
        }
        let command = self.door.on_fault(fault, self.now);
        self.command(command);
    }

    fn clear(&mut self, fault: Fault, out: &mut Outputs) {
        if self.faults().contains(fault) {
            push(out, Output::Log(Event::FaultCleared(fault)));
        }
        let command = self.door.on_fault_cleared(fault, self.now);
        self.command(command);
    }

    fn command(&mut self, command: Option<Command>) {
        if let Some(Command(strike)) = command {
            self.relay.wanted = strike;
            self.relay.due = true;
        }
    }

    fn note_state(&mut self, out: &mut Outputs) {
        let state = self.door.state();
        if state != self.state {
            self.state = state;
            push(out, Output::Log(Event::Door(state)));
        }
    }

    /// Brings the display up to date.
    fn refresh(&mut self, out: &mut Outputs) {
        let locked_out = self.lockout.locked_until(self.now);
        let pairing = self.pairing.as_ref().filter(|(_, until)| self.now < *until);
        let situation = Situation {
            service: self.service,
            door: self.state,
            faults: self.faults(),
            known: self.known.as_deref(),
            refused: self.refused,
            locked_out,
            pairing: pairing.map(|(code, _)| code.as_str()),
            progress: &self.decider.progress(self.now),
        };
        let screen = Screen::choose(&situation, self.now);
        let retry = self.display_retry.take_if(|at| self.now >= *at).is_some();
        let changed = self.screen.as_ref() != Some(&screen);
        if changed {
            push(out, Output::Log(Event::Screen(screen.clone())));
            self.screen = Some(screen);
        }
        if changed || retry {
            push(out, Output::Show);
        }
    }
}

/// What a controller moves, shows and writes to.
pub trait Peripherals {
    /// Tells the relay where the strike is to be. Whether the relay took it.
    fn set_strike(&mut self, strike: Strike, now: Uptime) -> bool;

    /// What the relay's line says.
    fn read_relay(&mut self, now: Uptime) -> RelayReading;

    /// Shows a screen. Whether the display took it.
    fn show(&mut self, screen: &Screen, now: Uptime) -> bool;

    /// Writes an event to the audit log. Whether it was taken.
    fn log(&mut self, event: &Event, now: Uptime) -> bool;
}

/// Lets time pass to `now`, gives the controller an input, and carries out all that follows from either.
pub fn carry_out(controller: &mut Controller, input: Input<'_>, now: Uptime, peripherals: &mut impl Peripherals) {
    // What a relay's line says before the start belongs to a daemon that is gone.
    if !matches!(input, Input::Tick | Input::Start(_)) {
        let outputs = controller.handle(Input::Tick, now);
        follow(controller, &outputs, now, peripherals, true);
    }
    let outputs = controller.handle(input, now);
    follow(controller, &outputs, now, peripherals, true);
}

/// Lets time pass from `from` to `to`, with every deadline of the controller in between at its own instant.
pub fn pass_time(controller: &mut Controller, from: Uptime, to: Uptime, peripherals: &mut impl Peripherals) {
    let mut now = from;
    while let Some(wake) = controller.next_wake()
        && wake < to
    {
        // A deadline that is already past is kept now.
        now = now.max(wake);
        carry_out(controller, Input::Tick, now, peripherals);
        if controller.next_wake() == Some(wake) {
            break;
        }
    }
    carry_out(controller, Input::Tick, now.max(to), peripherals);
}

/// Carries out outputs, each with all that follows from it before the next. `heeded`: whether it matters that an event
/// was logged. It does not for the events that tell of the audit log's own fault: a log that takes every other event
/// would keep this busy without end.
fn follow(
    controller: &mut Controller,
    outputs: &Outputs,
    now: Uptime,
    peripherals: &mut impl Peripherals,
    heeded: bool,
) {
    for output in outputs {
        let (answer, heeded) = match output {
            Output::Strike => {
                let strike = controller.strike();
                (Input::StrikeSet { strike, done: peripherals.set_strike(strike, now) }, heeded)
            }
            Output::ReadRelay => (Input::RelayRead(peripherals.read_relay(now)), heeded),
            Output::Show => {
                let Some(screen) = controller.screen() else { continue };
                (Input::Shown(peripherals.show(screen, now)), heeded)
            }
            Output::Log(event) => {
                let done = peripherals.log(event, now);
                if !heeded || done != controller.faults().contains(Fault::Storage) {
                    continue;
                }
                (Input::Logged(done), false)
            }
        };
        let outputs = controller.handle(answer, now);
        follow(controller, &outputs, now, peripherals, heeded);
    }
}

/// There is room for all that one input can lead to.
fn push(out: &mut Outputs, output: Output) {
    let fits = out.push(output).is_ok();
    debug_assert!(fits, "an input leads to more than {MAX_OUTPUTS} outputs");
}
