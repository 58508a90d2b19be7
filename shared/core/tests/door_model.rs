//! The door against an oracle, for any sequence of decisions, times, contacts and faults.
//!
//! The oracle is no second state machine: it keeps the history that an observer at the relay could write down, and
//! says from it, for each call, which command the rules demand.

use std::time::Duration;

use lintel_core::decision::{Decision, Verdict};
use lintel_core::door::{
    CameraFault, Command, Contact, Door, DoorSettings, DoorState, FailMode, Fault, FaultSet, LOCK_RETRY, MAX_RELEASE,
    Position, Strike,
};
use lintel_core::embed::Similarity;
use lintel_core::geometry::Rect;
use lintel_core::table::{PersonId, Scores};
use lintel_core::time::Uptime;
use lintel_core::track::TrackId;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Call {
    /// A decision whose frame is this many µs old; negative: from the future.
    Decision {
        known: bool,
        age: i64,
    },
    Tick,
    Contact(Contact),
    Fault(Fault),
    Cleared(Fault),
}

/// How the clock moves before a call.
#[derive(Clone, Copy, Debug)]
enum Step {
    Forward(u64),
    Back(u64),
    /// To the door's own next deadline, give or take µs.
    Deadline(i64),
    To(u64),
}

impl Step {
    fn apply(self, now: u64, door: &Door) -> u64 {
        match self {
            Self::Forward(by) => now.saturating_add(by),
            Self::Back(by) => now.saturating_sub(by),
            Self::Deadline(by) => door.next_deadline().map_or(now, |at| at.as_micros().saturating_add_signed(by)),
            Self::To(at) => at,
        }
    }
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u64..3_000_000).prop_map(Step::Forward),
        1 => (0u64..200_000_000).prop_map(Step::Forward),
        4 => (-1i64..=1).prop_map(Step::Deadline),
        1 => (0u64..3_000_000).prop_map(Step::Back),
        1 => (0u64..200_000_000).prop_map(Step::Back),
        1 => prop::sample::select(&[0, 1, u64::MAX - 1_000_000, u64::MAX][..]).prop_map(Step::To),
    ]
}

fn faults() -> impl Strategy<Value = Fault> {
    let any = prop::sample::select(Fault::ALL.to_vec());
    prop_oneof![Just(Fault::Relay), Just(Fault::Camera(CameraFault::Frozen)), any]
}

fn calls() -> impl Strategy<Value = Call> {
    let age = prop_oneof![6 => 0i64..400_000, 2 => 0i64..12_000_000, 1 => -2_000_000i64..0];
    prop_oneof![
        8 => (prop::bool::weighted(0.8), age).prop_map(|(known, age)| Call::Decision { known, age }),
        6 => Just(Call::Tick),
        2 => prop::sample::select(&[Contact::Open, Contact::Closed][..]).prop_map(Call::Contact),
        1 => faults().prop_map(Call::Fault),
        2 => faults().prop_map(Call::Cleared),
    ]
}

fn settings() -> impl Strategy<Value = DoorSettings> {
    let s = Duration::from_secs;
    let ms = Duration::from_millis;
    (1u64..=60, 0u64..=60, 0u64..3000, 1u64..30, 1u64..=10_000, prop::bool::ANY).prop_map(
        move |(release, more, cool_down, held, age, safe)| DoorSettings {
            release: s(release),
            max_release: s((release + more).min(60)),
            cool_down: ms(cool_down),
            held_open_after: s(held),
            max_decision_age: ms(age),
            fail: if safe { FailMode::Safe } else { FailMode::Secure },
        },
    )
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// What an observer has seen. Times `t` are the sum of all forward steps of the clock, in µs.
struct Observer {
    settings: DoorSettings,
    reading: Option<u64>,
    t: u64,
    strike: Strike,
    released_t: u64,
    /// When the verdicts so far want the strike locked.
    wanted_t: u64,
    cool_until: u64,
    /// Capture times of the verdicts that may still open.
    evidence: Vec<u64>,
    newest_used: Option<u64>,
    faults: FaultSet,
    relay_told: u64,
    leaf: Option<Contact>,
    open_since: u64,
    forced: bool,
}

impl Observer {
    fn new(settings: DoorSettings) -> Self {
        Self {
            settings,
            reading: None,
            t: 0,
            strike: Strike::Locked,
            released_t: 0,
            wanted_t: 0,
            cool_until: 0,
            evidence: Vec::new(),
            newest_used: None,
            faults: FaultSet::default(),
            relay_told: 0,
            leaf: None,
            open_since: 0,
            forced: false,
        }
    }

    fn opens(&self, captured: u64, now: u64) -> bool {
        captured <= now
            && now - captured <= micros(self.settings.max_decision_age)
            && self.newest_used.is_none_or(|used| captured > used)
    }

    /// Takes a call into the history and says which command it must give.
    fn expect(&mut self, call: Call, now: u64) -> Option<Strike> {
        let last = self.reading.replace(now).unwrap_or(now);
        self.t = self.t.saturating_add(now.saturating_sub(last));
        if now < last {
            self.evidence.clear();
            self.newest_used = None;
        }
        let before = self.strike;
        let relay_before = self.faults.contains(Fault::Relay);
        match call {
            Call::Fault(fault) => self.faults.insert(fault),
            Call::Cleared(fault) => self.faults.remove(fault),
            Call::Contact(contact) => self.leaf_moves(contact, before),
            Call::Decision { known: true, age } => self.evidence.extend(captured(now, age).filter(|at| *at <= now)),
            Call::Decision { known: false, .. } | Call::Tick => {}
        }
        let relay_after = self.faults.contains(Fault::Relay);
        if self.faults.stopping().is_some() {
            self.evidence.clear();
        }
        self.evidence.retain(|captured| now - captured <= micros(self.settings.max_decision_age));

        let command = match before {
            Strike::Released => self.must_lock(),
            Strike::Locked => self.may_release(now),
        };
        if self.strike == Strike::Released && before == Strike::Released {
            self.extend(now);
        }
        if relay_after && !relay_before {
            self.relay_told = self.t;
        }
        let again = relay_before && relay_after && self.t >= self.relay_told.saturating_add(micros(LOCK_RETRY));
        if again {
            self.relay_told = self.t;
        }
        let cleared = relay_before && !relay_after;
        if again || cleared { Some(Strike::Locked) } else { command }
    }

    fn must_lock(&mut self) -> Option<Strike> {
        let due = self.t >= self.wanted_t || self.faults.stopping().is_some();
        due.then(|| {
            self.strike = Strike::Locked;
            self.cool_until = self.t.saturating_add(micros(self.settings.cool_down));
            Strike::Locked
        })
    }

    fn may_release(&mut self, now: u64) -> Option<Strike> {
        let newest = self.evidence.iter().copied().filter(|captured| self.opens(*captured, now)).max()?;
        if self.t < self.cool_until {
            return None;
        }
        self.evidence.clear();
        self.newest_used = Some(newest);
        self.strike = Strike::Released;
        self.released_t = self.t;
        self.wanted_t = self.t.saturating_add(micros(self.settings.release));
        Some(Strike::Released)
    }

    fn extend(&mut self, now: u64) {
        if let Some(newest) = self.evidence.iter().copied().filter(|captured| self.opens(*captured, now)).max() {
            let bound = self.released_t.saturating_add(micros(self.settings.max_release));
            let wanted = self.t.saturating_add(micros(self.settings.release)).min(bound);
            self.wanted_t = self.wanted_t.max(wanted);
            self.newest_used = Some(newest);
        }
        self.evidence.clear();
    }

    fn leaf_moves(&mut self, contact: Contact, strike: Strike) {
        if contact == Contact::Open && self.leaf != Some(Contact::Open) {
            self.forced = self.leaf == Some(Contact::Closed) && strike == Strike::Locked;
            self.open_since = self.t;
        }
        self.leaf = Some(contact);
    }

    fn state(&self, now: u64) -> DoorState {
        let reading = |t: u64| Uptime::from_micros(now.saturating_add(t.saturating_sub(self.t)));
        let open = self.leaf == Some(Contact::Open);
        if let Some(fault) = self.faults.stopping() {
            DoorState::Fault(fault)
        } else if self.strike == Strike::Released {
            DoorState::Released { until: reading(self.wanted_t) }
        } else if open && self.forced {
            DoorState::ForcedOpen
        } else if open && self.t - self.open_since >= micros(self.settings.held_open_after) {
            DoorState::HeldOpen
        } else if self.t < self.cool_until {
            DoorState::CoolDown { until: reading(self.cool_until) }
        } else {
            DoorState::Locked
        }
    }
}

fn captured(now: u64, age: i64) -> Option<u64> {
    Some(now.saturating_add_signed(age.checked_neg()?))
}

fn decision(known: bool, captured: u64) -> Decision {
    let captured = Uptime::from_micros(captured);
    Decision {
        track: TrackId(0),
        verdict: if known { Verdict::Known(PersonId(1)) } else { Verdict::Stranger },
        bbox: Rect::new(0.0, 0.0, 1.0, 1.0),
        first_sharp: captured,
        captured,
        decided: captured,
        scores: Scores { best: 0, similarity: Similarity::new(1.0).expect("a cosine"), margin: 1.0, confidence: 1.0 },
    }
}

fn make(door: &mut Door, call: Call, now: u64) -> Option<Strike> {
    let at = Uptime::from_micros(now);
    let command = match call {
        Call::Decision { known, age } => captured(now, age).and_then(|c| door.on_decision(&decision(known, c), at)),
        Call::Tick => door.on_tick(at),
        Call::Contact(contact) => door.on_contact(contact, at),
        Call::Fault(fault) => door.on_fault(fault, at),
        Call::Cleared(fault) => door.on_fault_cleared(fault, at),
    };
    command.map(|Command(strike)| strike)
}

/// The invariants alone, from the commands and the clock: no knowledge of how the door decides.
#[derive(Default)]
struct Relay {
    released_for: Option<u64>,
    reading: Option<u64>,
}

impl Relay {
    fn check(&mut self, command: Option<Strike>, now: u64, settings: &DoorSettings) -> Result<(), TestCaseError> {
        let step = self.reading.replace(now).map_or(0, |last| now.saturating_sub(last));
        if let Some(for_how_long) = &mut self.released_for {
            *for_how_long = for_how_long.saturating_add(step);
        }
        match command {
            Some(Strike::Released) => {
                prop_assert!(self.released_for.is_none(), "released twice without a lock between");
                self.released_for = Some(0);
            }
            Some(Strike::Locked) => self.released_for = None,
            None => {
                let bound = micros(settings.max_release).min(micros(MAX_RELEASE));
                prop_assert!(self.released_for.is_none_or(|t| t < bound), "released for {:?} µs", self.released_for);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn every_command_is_the_one_that_the_rules_demand(
        settings in settings(),
        start in prop_oneof![Just(0u64), 0u64..1_000_000_000],
        history in vec((steps(), calls()), 1..60),
    ) {
        let mut door = Door::new(settings).expect("valid settings");
        let mut observer = Observer::new(settings);
        let mut relay = Relay::default();
        let mut now = start;
        for (step, call) in history {
            now = step.apply(now, &door);
            let expected = observer.expect(call, now);
            let got = make(&mut door, call, now);
            prop_assert_eq!(got, expected, "{:?} at {}", call, now);
            relay.check(got, now, &settings)?;
            prop_assert_eq!(door.state(), observer.state(now), "{:?} at {}", call, now);
            prop_assert_eq!(door.faults(), observer.faults);
            let position = if observer.faults.contains(Fault::Relay) {
                Position::Unknown
            } else {
                Position::Commanded(observer.strike)
            };
            prop_assert_eq!(door.position(), position);
        }
    }

    /// A daemon that only wakes when the door asks for it locks exactly at the deadline, and comes to rest.
    #[test]
    fn waking_at_the_deadlines_is_enough(settings in settings(), history in vec((steps(), calls()), 1..30)) {
        let mut door = Door::new(settings).expect("valid settings");
        let mut now = 0;
        for (step, call) in history {
            now = step.apply(now, &door).min(1 << 60);
            make(&mut door, call, now);
        }
        for fault in Fault::ALL {
            make(&mut door, Call::Cleared(fault), now);
        }
        for _ in 0..8 {
            let Some(next) = door.next_deadline() else { break };
            prop_assert!(next.as_micros() >= now);
            let state = door.state();
            now = next.as_micros();
            let command = door.on_tick(next);
            if let DoorState::Released { until } = state && until == next {
                prop_assert_eq!(command, Some(Command(Strike::Locked)));
            }
        }
        prop_assert_eq!(door.next_deadline(), None);
        prop_assert_eq!(door.position(), Position::Commanded(Strike::Locked));
    }

    /// Whoever presses the exit button, and when: the bounds hold, a relay fault keeps the strike locked, and a press
    /// at any other time releases it or finds it released.
    #[test]
    fn the_exit_button_keeps_the_bounds(
        settings in settings(),
        history in vec((steps(), prop_oneof![2 => calls().prop_map(Some), 1 => Just(None)]), 1..60),
    ) {
        let mut door = Door::new(settings).expect("valid settings");
        let mut relay = Relay::default();
        let mut now = 0;
        for (step, call) in history {
            now = step.apply(now, &door).min(1 << 60);
            let faulty = door.faults().contains(Fault::Relay);
            let got = match call {
                Some(call) => make(&mut door, call, now),
                None => door.on_exit(Uptime::from_micros(now)).map(|Command(strike)| strike),
            };
            relay.check(got, now, &settings)?;
            if call.is_none() && !faulty {
                let pending = got == Some(Strike::Locked);
                let due = door.next_deadline().is_some_and(|at| at.as_micros() == now);
                prop_assert!(door.position() == Position::Commanded(Strike::Released) || pending && due);
            }
            if faulty && call.is_none() {
                prop_assert_ne!(got, Some(Strike::Released));
            }
        }
    }

    /// Whatever strangers, faults, contacts and clocks do: without a known person, the strike is never released.
    #[test]
    fn nobody_known_nobody_in(settings in settings(), history in vec((steps(), calls()), 1..60)) {
        let mut door = Door::new(settings).expect("valid settings");
        let mut now = 0;
        for (step, call) in history {
            now = step.apply(now, &door);
            let call = match call {
                Call::Decision { age, .. } => Call::Decision { known: false, age },
                other => other,
            };
            prop_assert_ne!(make(&mut door, call, now), Some(Strike::Released));
        }
    }
}
