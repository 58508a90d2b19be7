//! The controller with hardware that works, fails and comes back: what moves, what is shown, what is logged.

use std::collections::BTreeSet;
use std::time::Duration;

use lintel_core::controller::{
    self, Controller, ControllerSettings, Event, Input, Names, Output, Peripherals, RelayReading,
};
use lintel_core::decision::{Seen, Sighting, Verdict};
use lintel_core::detect::Face;
use lintel_core::door::{CameraFault, Contact, DoorState, Fault, Strike};
use lintel_core::embed::Similarity;
use lintel_core::geometry::{Point, Rect};
use lintel_core::quality::Quality;
use lintel_core::screen::Screen;
use lintel_core::table::{Opinion, PersonId, Scores};
use lintel_core::time::Uptime;
use lintel_core::track::TrackId;
use proptest::collection::vec;
use proptest::prelude::*;

const ADA: PersonId = PersonId(1);
const BO: PersonId = PersonId(2);

fn ms(millis: u64) -> Uptime {
    Uptime::from_millis(millis)
}

/// Hardware that can fail, and what it was told.
#[derive(Default)]
struct Bench {
    strike_fails: bool,
    relay_reads: Option<RelayReading>,
    display_fails: bool,
    log_fails: bool,
    strikes: Vec<(u64, Strike)>,
    screens: Vec<Screen>,
    events: Vec<Event>,
    refused_events: usize,
}

impl Peripherals for Bench {
    fn set_strike(&mut self, strike: Strike, now: Uptime) -> bool {
        if !self.strike_fails {
            self.strikes.push((now.as_micros() / 1000, strike));
        }
        !self.strike_fails
    }

    fn read_relay(&mut self, _: Uptime) -> RelayReading {
        self.relay_reads.unwrap_or(RelayReading::NoFeedback)
    }

    fn show(&mut self, screen: &Screen, _: Uptime) -> bool {
        if !self.display_fails {
            self.screens.push(screen.clone());
        }
        !self.display_fails
    }

    fn log(&mut self, event: &Event, _: Uptime) -> bool {
        if self.log_fails {
            self.refused_events += 1;
        } else {
            self.events.push(event.clone());
        }
        !self.log_fails
    }
}

struct Rig {
    controller: Controller,
    bench: Bench,
    now: Uptime,
}

impl Rig {
    fn new() -> Self {
        Self::with(Bench::default())
    }

    fn with(bench: Bench) -> Self {
        let names = Names::new([(ADA, "Ada"), (BO, "Bo")]);
        let controller = Controller::new(&ControllerSettings::default(), names, 0, ms(0)).expect("default settings");
        let mut rig = Self { controller, bench, now: ms(0) };
        rig.tell(Input::Start(rig.bench.relay_reads.unwrap_or(RelayReading::NoFeedback)));
        rig.tell(Input::Ready);
        rig
    }

    fn tell(&mut self, input: Input<'_>) {
        controller::carry_out(&mut self.controller, input, self.now, &mut self.bench);
    }

    fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        controller::pass_time(&mut self.controller, self.now, until, &mut self.bench);
        self.now = until;
    }

    /// So many frames, ten a second, with this face.
    fn sees(&mut self, who: Option<PersonId>, track: u32, frames: usize) {
        for _ in 0..frames {
            self.wait(100);
            let sighting = Sighting { captured: self.now, seen: [seen(who, track)].into_iter().collect() };
            self.tell(Input::Sighting(&sighting));
        }
    }

    fn decisions(&self) -> Vec<Verdict> {
        let verdict = |event: &Event| if let Event::Decision(decision) = event { Some(decision.verdict) } else { None };
        self.bench.events.iter().filter_map(verdict).collect()
    }

    fn screen(&self) -> Screen {
        self.controller.screen().cloned().expect("it was started")
    }
}

fn seen(who: Option<PersonId>, track: u32) -> Seen {
    let bbox = Rect::new(10.0, 10.0, 110.0, 110.0);
    let scores = Scores { best: 0, similarity: Similarity::new(0.8).expect("a cosine"), margin: 0.2, confidence: 0.9 };
    let opinion = who.map_or(Opinion::Stranger { scores }, |person| Opinion::Known { person, scores });
    Seen {
        track: TrackId(track),
        face: Face { bbox, score: 0.9, landmarks: [Point::new(50.0, 50.0); 5] },
        quality: Quality::default(),
        opinion: Some(opinion),
        flaw: None,
    }
}

#[test]
fn an_enrolled_person_is_let_in_and_the_door_locks_again() {
    let mut rig = Rig::new();
    rig.sees(Some(ADA), 0, 4);
    assert_eq!(rig.bench.strikes, [(400, Strike::Released)]);
    assert_eq!(rig.screen(), Screen::Welcome { name: "Ada".try_into().expect("a short name") });
    rig.wait(6000);
    assert_eq!(rig.bench.strikes, [(400, Strike::Released), (5400, Strike::Locked)]);
    let order: Vec<&Event> = rig.bench.events.iter().filter(|event| !matches!(event, Event::Screen(_))).collect();
    assert!(
        matches!(
            order.as_slice(),
            [
                Event::Decision(_),
                Event::Relay(Strike::Released),
                Event::Door(DoorState::Released { .. }),
                Event::Relay(Strike::Locked),
                Event::Door(DoorState::CoolDown { .. }),
                Event::Door(DoorState::Locked),
            ]
        ),
        "{order:?}"
    );
}

#[test]
fn who_is_shut_out_is_a_stranger_from_that_moment() {
    let mut rig = Rig::new();
    rig.sees(Some(ADA), 0, 3);
    rig.tell(Input::ShutOut(BTreeSet::from([ADA])));
    rig.sees(Some(ADA), 0, 4);
    assert_eq!(rig.decisions(), [Verdict::Stranger]);
    assert_eq!(rig.bench.strikes, []);
    // Nobody else is, and who may come in again may.
    rig.sees(Some(BO), 1, 4);
    rig.tell(Input::ShutOut(BTreeSet::new()));
    rig.wait(10_000);
    rig.sees(Some(ADA), 2, 4);
    assert_eq!(rig.decisions(), [Verdict::Stranger, Verdict::Known(BO), Verdict::Known(ADA)]);
}

#[test]
fn a_table_that_expired_lets_nobody_in() {
    let mut rig = Rig::new();
    rig.tell(Input::Expired(true));
    rig.sees(Some(ADA), 0, 8);
    assert_eq!((rig.bench.strikes.len(), rig.screen()), (0, Screen::Fault(Fault::Expired)));
    rig.tell(Input::Expired(false));
    rig.wait(2000);
    rig.sees(Some(ADA), 1, 4);
    assert_eq!(rig.bench.strikes.len(), 1);
}

#[test]
fn after_refusals_nobody_is_looked_at_for_a_while() {
    let mut rig = Rig::new();
    for track in 0..5 {
        rig.sees(None, track, 12);
        rig.wait(2000);
    }
    let waits = |rig: &Rig| rig.bench.events.iter().filter(|event| matches!(event, Event::LockedOut { .. })).count();
    assert_eq!(waits(&rig), 1);
    assert!(matches!(rig.screen(), Screen::TryLater { .. }), "{:?}", rig.screen());
    rig.sees(Some(ADA), 9, 20);
    assert_eq!(rig.bench.strikes, []);
    rig.wait(30_000);
    rig.sees(Some(ADA), 10, 4);
    assert_eq!(rig.bench.strikes.len(), 1);
}

#[test]
fn a_relay_that_refuses_or_lies_is_a_fault_and_the_door_wants_to_be_locked() {
    let mut rig = Rig::new();
    rig.bench.strike_fails = true;
    rig.sees(Some(ADA), 0, 4);
    assert!(rig.controller.faults().contains(Fault::Relay));
    assert_eq!(rig.controller.strike(), Strike::Locked);
    assert!(!rig.bench.events.contains(&Event::Relay(Strike::Released)));
    assert_eq!(rig.screen(), Screen::Fault(Fault::Relay));
    // It works again, and is trusted after a while of right readings.
    rig.bench.strike_fails = false;
    rig.wait(10_000);
    assert!(!rig.controller.faults().contains(Fault::Relay));
    rig.sees(Some(ADA), 1, 4);
    assert_eq!(rig.bench.strikes.last().map(|strike| strike.1), Some(Strike::Released));
    // The line says locked, long after it was told otherwise.
    rig.bench.relay_reads = Some(RelayReading::Is(Strike::Locked));
    rig.wait(300);
    assert!(rig.controller.faults().contains(Fault::Relay));
    assert_eq!(rig.controller.strike(), Strike::Locked);
}

#[test]
fn a_strike_found_released_at_the_start_is_locked_and_nothing_else_moves() {
    let rig = Rig::with(Bench { relay_reads: Some(RelayReading::Is(Strike::Released)), ..Bench::default() });
    assert_eq!(rig.bench.strikes, [(0, Strike::Locked)]);
    let still = Rig::with(Bench { relay_reads: Some(RelayReading::Is(Strike::Locked)), ..Bench::default() });
    assert_eq!(still.bench.strikes, []);
    let unreadable = Rig::with(Bench { relay_reads: Some(RelayReading::Failed), ..Bench::default() });
    assert!(unreadable.controller.faults().contains(Fault::Relay));
}

#[test]
fn a_display_that_fails_stops_nobody_and_is_tried_again() {
    let mut rig = Rig::new();
    rig.bench.display_fails = true;
    rig.sees(Some(ADA), 0, 4);
    assert!(rig.controller.faults().contains(Fault::Display));
    assert_eq!(rig.bench.strikes.len(), 1);
    rig.bench.display_fails = false;
    rig.wait(1500);
    assert!(!rig.controller.faults().contains(Fault::Display));
    assert_eq!(rig.bench.screens.last(), Some(&rig.screen()));
}

#[test]
fn a_log_that_fails_is_told_once_and_comes_back() {
    let mut rig = Rig::new();
    rig.bench.log_fails = true;
    rig.tell(Input::Contact(Contact::Closed));
    assert!(rig.controller.faults().contains(Fault::Storage));
    let refused = rig.bench.refused_events;
    assert!((2..=4).contains(&refused), "the event, and the fault that it became: {refused}");
    rig.bench.log_fails = false;
    rig.tell(Input::Contact(Contact::Closed));
    assert!(!rig.controller.faults().contains(Fault::Storage));
    assert!(rig.bench.events.contains(&Event::FaultCleared(Fault::Storage)));
}

#[test]
fn a_stop_locks_a_released_strike_and_touches_no_locked_one() {
    let mut rig = Rig::new();
    rig.tell(Input::Stop);
    assert_eq!(rig.bench.strikes, []);
    rig.sees(Some(ADA), 0, 4);
    rig.tell(Input::Stop);
    assert_eq!(rig.bench.strikes.last(), Some(&(400, Strike::Locked)));
}

#[test]
fn the_pairing_code_is_shown_until_its_time() {
    let mut rig = Rig::new();
    rig.tell(Input::Pairing(Some(("123 456".try_into().expect("a short code"), ms(1000)))));
    assert!(matches!(rig.screen(), Screen::Pairing { .. }));
    rig.wait(1500);
    assert_eq!(rig.screen(), Screen::Ready);
}

/// What may happen to a controller.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Sees(Option<PersonId>, u32),
    Exit,
    Contact(bool),
    Fault(bool),
    Expired(bool),
    ShutOut(bool),
    Hardware { strike_fails: bool, relay: Option<RelayReading>, display_fails: bool, log_fails: bool },
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    let who = prop_oneof![Just(Some(ADA)), Just(Some(BO)), Just(None)];
    let relay = prop_oneof![
        Just(None),
        Just(Some(RelayReading::Failed)),
        Just(Some(RelayReading::Is(Strike::Locked))),
        Just(Some(RelayReading::Is(Strike::Released))),
    ];
    prop_oneof![
        6 => (0_u64..3000).prop_map(Step::Wait),
        20 => (who, 0_u32..3).prop_map(|(who, track)| Step::Sees(who, track)),
        1 => Just(Step::Exit),
        2 => any::<bool>().prop_map(Step::Contact),
        1 => any::<bool>().prop_map(Step::Fault),
        1 => any::<bool>().prop_map(Step::Expired),
        1 => any::<bool>().prop_map(Step::ShutOut),
        2 => (any::<bool>(), relay, any::<bool>(), any::<bool>()).prop_map(
            |(strike_fails, relay, display_fails, log_fails)| {
                Step::Hardware { strike_fails, relay, display_fails, log_fails }
            }
        ),
        1 => Just(Step::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens, and whatever fails: what one input leads to has an end; who is shut out opens nothing; while a
    /// fault stops the door nobody's face releases the strike; and with working hardware the strike is where it is
    /// wanted.
    #[test]
    fn nothing_releases_but_an_enrolled_person_or_the_button(steps in vec(step(), 1..120)) {
        let mut rig = Rig::new();
        let (mut shut_out, mut stopped, mut expired) = (false, false, false);
        for step in steps {
            let before = rig.bench.strikes.len();
            let mut may_release = false;
            match step {
                Step::Wait(millis) => rig.wait(millis),
                Step::Sees(who, track) => {
                    may_release = who.is_some_and(|who| !(shut_out && who == ADA)) && !stopped && !expired;
                    rig.sees(who, track, 1);
                }
                Step::Exit => {
                    may_release = true;
                    rig.tell(Input::Exit);
                }
                Step::Contact(open) => rig.tell(Input::Contact(if open { Contact::Open } else { Contact::Closed })),
                Step::Fault(there) => {
                    stopped = there;
                    let fault = Fault::Camera(CameraFault::Gone);
                    rig.tell(if there { Input::Fault(fault) } else { Input::FaultCleared(fault) });
                }
                Step::Expired(there) => {
                    expired = there;
                    rig.tell(Input::Expired(there));
                }
                Step::ShutOut(there) => {
                    shut_out = there;
                    rig.tell(Input::ShutOut(if there { BTreeSet::from([ADA]) } else { BTreeSet::new() }));
                }
                Step::Hardware { strike_fails, relay, display_fails, log_fails } => {
                    (rig.bench.strike_fails, rig.bench.relay_reads) = (strike_fails, relay);
                    (rig.bench.display_fails, rig.bench.log_fails) = (display_fails, log_fails);
                }
                Step::Stop => rig.tell(Input::Stop),
            }
            let released = rig.bench.strikes[before..].iter().any(|strike| strike.1 == Strike::Released);
            prop_assert!(may_release || !released, "released by nobody");
            if !rig.bench.strike_fails && let Some((_, last)) = rig.bench.strikes[before..].last() {
                prop_assert_eq!(*last, rig.controller.strike());
            }
        }
    }

    /// No input leads to more outputs than there is room for, even if nobody carries any out.
    #[test]
    fn outputs_have_room(inputs in vec(step(), 1..60)) {
        let names = Names::default();
        let settings = ControllerSettings::default();
        let mut controller = Controller::new(&settings, names, 0, ms(0)).expect("default settings");
        let mut now = ms(0);
        for step in inputs {
            now = now + Duration::from_millis(100);
            let faces = (0..8).map(|track| seen(Some(ADA), track)).collect();
            let sighting = Sighting { captured: now, seen: faces };
            let input = match step {
                Step::Fault(true) => Input::Fault(Fault::Relay),
                Step::Fault(false) => Input::FaultCleared(Fault::Relay),
                Step::Exit => Input::Exit,
                Step::Wait(_) => Input::Tick,
                _ => Input::Sighting(&sighting),
            };
            let outputs = controller.handle(input, now);
            prop_assert!(outputs.iter().filter(|output| **output == Output::Strike).count() <= 1);
        }
    }
}
