//! The door by example: what it does in each situation that an installer can think of.

use std::time::Duration;

use lintel_core::decision::{Decision, Verdict};
use lintel_core::door::{
    CameraFault, Command, Contact, Door, DoorSettings, DoorSettingsError, DoorState, FailMode, Fault, FaultSet,
    MAX_RELEASE, Position, Strike,
};
use lintel_core::embed::Similarity;
use lintel_core::geometry::Rect;
use lintel_core::table::{PersonId, Scores};
use lintel_core::time::Uptime;
use lintel_core::track::TrackId;

use Do::{Clear, Close, Exit, Fail, Known, KnownAt, Open, Stranger, Tick};

const LOCK: Option<Strike> = Some(Strike::Locked);
const RELEASE: Option<Strike> = Some(Strike::Released);
const CAMERA: Fault = Fault::Camera(CameraFault::Frozen);

/// What happens to the door.
#[derive(Clone, Copy, Debug)]
enum Do {
    /// Somebody enrolled, by a frame of this very moment.
    Known,
    /// Somebody enrolled, by a frame of this moment in ms.
    KnownAt(u64),
    Stranger,
    /// Somebody inside presses the button.
    Exit,
    Tick,
    Open,
    Close,
    Fail(Fault),
    Clear(Fault),
}

fn ms(millis: u64) -> Uptime {
    Uptime::from_millis(millis)
}

fn decision(verdict: Verdict, captured: Uptime) -> Decision {
    let similarity = Similarity::new(0.9).expect("a cosine");
    Decision {
        track: TrackId(1),
        verdict,
        bbox: Rect::new(0.0, 0.0, 10.0, 10.0),
        first_sharp: captured,
        captured,
        decided: captured,
        scores: Scores { best: 0, similarity, margin: 0.5, confidence: 0.99 },
    }
}

fn apply(door: &mut Door, what: Do, now: Uptime) -> Option<Strike> {
    let command = match what {
        Known => door.on_decision(&decision(Verdict::Known(PersonId(3)), now), now),
        KnownAt(captured) => door.on_decision(&decision(Verdict::Known(PersonId(3)), ms(captured)), now),
        Stranger => door.on_decision(&decision(Verdict::Stranger, now), now),
        Exit => door.on_exit(now),
        Tick => door.on_tick(now),
        Open => door.on_contact(Contact::Open, now),
        Close => door.on_contact(Contact::Closed, now),
        Fail(fault) => door.on_fault(fault, now),
        Clear(fault) => door.on_fault_cleared(fault, now),
    };
    command.map(|Command(strike)| strike)
}

/// Runs the steps (ms, what, command) on a door with the default settings, then compares its state.
fn check(steps: &[(u64, Do, Option<Strike>)], expected: DoorState) {
    check_with(DoorSettings::default(), steps, expected);
}

fn check_with(settings: DoorSettings, steps: &[(u64, Do, Option<Strike>)], expected: DoorState) -> Door {
    let mut door = Door::new(settings).expect("valid settings");
    for (index, (at, what, command)) in steps.iter().enumerate() {
        let got = apply(&mut door, *what, ms(*at));
        assert_eq!(got, *command, "step {index}: {what:?} at {at} ms of {steps:?}");
    }
    assert_eq!(door.state(), expected, "after {steps:?}");
    door
}

fn released(until: u64) -> DoorState {
    DoorState::Released { until: ms(until) }
}

fn cooling(until: u64) -> DoorState {
    DoorState::CoolDown { until: ms(until) }
}

#[test]
fn starts_locked_and_says_nothing() {
    check(&[], DoorState::Locked);
    check(&[(0, Tick, None), (3_600_000, Tick, None)], DoorState::Locked);
    let door = Door::new(DoorSettings::default()).expect("valid settings");
    assert_eq!(door.position(), Position::Commanded(Strike::Locked));
    assert_eq!(door.next_deadline(), None);
}

#[test]
fn a_known_person_opens_for_the_set_time() {
    check(&[(100, Known, RELEASE)], released(5100));
    check(&[(100, Known, RELEASE), (5099, Tick, None)], released(5100));
    check(&[(100, Known, RELEASE), (5100, Tick, LOCK)], cooling(6100));
    check(&[(100, Known, RELEASE), (5100, Tick, LOCK), (6099, Tick, None)], cooling(6100));
    check(&[(100, Known, RELEASE), (5100, Tick, LOCK), (6100, Tick, None)], DoorState::Locked);
    check(&[(100, Known, RELEASE), (5100, Tick, LOCK), (6100, Known, RELEASE)], released(11_100));
}

#[test]
fn a_stranger_opens_nothing_and_keeps_nothing_open() {
    check(&[(100, Stranger, None)], DoorState::Locked);
    check(&[(100, Known, RELEASE), (3000, Stranger, None)], released(5100));
    check(&[(100, Known, RELEASE), (5100, Stranger, LOCK)], cooling(6100));
}

#[test]
fn whichever_call_comes_first_after_the_deadline_locks() {
    for what in [Tick, Known, Stranger, Open, Close, Fail(CAMERA), Fail(Fault::Storage), Clear(CAMERA)] {
        let mut door = Door::new(DoorSettings::default()).expect("valid settings");
        assert_eq!(apply(&mut door, Known, ms(0)), RELEASE);
        assert_eq!(apply(&mut door, what, ms(9000)), LOCK, "{what:?}");
    }
}

#[test]
fn further_people_keep_it_open_up_to_the_bound() {
    check(&[(0, Known, RELEASE), (3000, Known, None)], released(8000));
    check(&[(0, Known, RELEASE), (4000, Known, None), (8000, Known, None), (12_000, Known, None)], released(15_000));
    check(
        &[
            (0, Known, RELEASE),
            (4000, Known, None),
            (8000, Known, None),
            (12_000, Known, None),
            (14_999, Known, None),
            (15_000, Known, LOCK),
        ],
        cooling(16_000),
    );
    let fixed = DoorSettings { max_release: Duration::from_secs(5), ..DoorSettings::default() };
    check_with(fixed, &[(0, Known, RELEASE), (4000, Known, None)], released(5000));
}

#[test]
fn only_fresh_frames_open() {
    check(&[(10_000, KnownAt(9000), RELEASE)], released(15_000));
    check(&[(10_000, KnownAt(8999), None)], DoorState::Locked);
    check(&[(10_000, KnownAt(0), None)], DoorState::Locked);
    // From the future: the clocks disagree, so the age is not known.
    check(&[(10_000, KnownAt(10_001), None)], DoorState::Locked);
    check(&[(10_000, KnownAt(10_001), None), (10_001, Tick, None)], DoorState::Locked);
    // An old frame does not keep the door open either.
    check(&[(10_000, Known, RELEASE), (14_000, KnownAt(12_999), None)], released(15_000));
}

#[test]
fn a_frame_opens_once() {
    let quick = DoorSettings {
        release: Duration::from_secs(1),
        max_release: Duration::from_secs(1),
        cool_down: Duration::ZERO,
        max_decision_age: Duration::from_secs(10),
        ..DoorSettings::default()
    };
    check_with(
        quick,
        &[(500, KnownAt(500), RELEASE), (1500, Tick, LOCK), (1600, KnownAt(500), None), (1700, KnownAt(400), None)],
        DoorState::Locked,
    );
    check_with(
        quick,
        &[(500, KnownAt(500), RELEASE), (1500, Tick, LOCK), (1600, KnownAt(501), RELEASE)],
        released(2600),
    );
}

#[test]
fn during_the_cool_down_a_verdict_waits() {
    let cooled = [(0, Known, RELEASE), (5000, Tick, LOCK)];
    let then = |more: &[(u64, Do, Option<Strike>)], expected| check(&[&cooled, more].concat(), expected);
    then(&[(5500, Known, None)], cooling(6000));
    then(&[(5500, Known, None), (5999, Tick, None), (6000, Tick, RELEASE)], released(11_000));
    then(&[(5500, Known, None), (6500, Tick, RELEASE)], released(11_500));
    // No longer fresh when the pause is over.
    then(&[(5500, Known, None), (6501, Tick, None)], DoorState::Locked);
    then(&[(5500, Stranger, None), (6000, Tick, None)], DoorState::Locked);
    then(
        &[(5500, Known, None), (5600, Fail(CAMERA), None), (5700, Clear(CAMERA), None), (6000, Tick, None)],
        DoorState::Locked,
    );
}

#[test]
fn a_fault_locks_at_once_and_keeps_locked() {
    for fault in [CAMERA, Fault::Model, Fault::Relay, Fault::Camera(CameraFault::Gone)] {
        check(&[(0, Known, RELEASE), (1000, Fail(fault), LOCK)], DoorState::Fault(fault));
        check(&[(0, Fail(fault), None), (100, Known, None)], DoorState::Fault(fault));
        check(&[(0, Fail(fault), None), (100, Fail(fault), None)], DoorState::Fault(fault));
    }
    check(&[(0, Fail(CAMERA), None), (100, Clear(CAMERA), None)], DoorState::Locked);
    check(&[(0, Fail(CAMERA), None), (100, Known, None), (200, Clear(CAMERA), None)], DoorState::Locked);
    check(&[(0, Fail(CAMERA), None), (100, Clear(CAMERA), None), (200, Known, RELEASE)], released(5200));
    // The pause after a release is kept through the fault.
    check(&[(0, Known, RELEASE), (1000, Fail(CAMERA), LOCK), (1100, Clear(CAMERA), None)], cooling(2000));
}

#[test]
fn every_fault_must_be_cleared_and_the_gravest_is_told() {
    check(
        &[(0, Fail(CAMERA), None), (1, Fail(Fault::Model), None), (2, Clear(CAMERA), None)],
        DoorState::Fault(Fault::Model),
    );
    check(&[(0, Fail(CAMERA), None), (1, Fail(Fault::Model), None)], DoorState::Fault(Fault::Model));
    check(&[(0, Clear(Fault::Model), None)], DoorState::Locked);
}

#[test]
fn a_full_disk_or_a_missing_display_locks_nobody_out() {
    for fault in [Fault::Storage, Fault::Display] {
        check(&[(0, Fail(fault), None), (100, Known, RELEASE)], released(5100));
        check(&[(0, Known, RELEASE), (100, Fail(fault), None)], released(5000));
    }
}

#[test]
fn after_a_relay_fault_it_locks_again_and_again() {
    check(
        &[
            (0, Known, RELEASE),
            (1000, Fail(Fault::Relay), LOCK),
            (1999, Tick, None),
            (2000, Tick, LOCK),
            (2500, Fail(Fault::Relay), None),
            (3000, Tick, LOCK),
            (3100, Known, None),
            (3200, Clear(Fault::Relay), LOCK),
            (3300, Clear(Fault::Relay), None),
            (9000, Tick, None),
        ],
        DoorState::Locked,
    );
    // A verdict that comes with such a command counts as little as any other during a fault.
    check(
        &[(0, Fail(Fault::Relay), None), (1000, Known, LOCK), (1000, Clear(Fault::Relay), LOCK), (1001, Tick, None)],
        DoorState::Locked,
    );
    // Never commanded, but then not known to be locked either.
    check(
        &[(0, Fail(Fault::Relay), None), (1000, Tick, LOCK), (1500, Clear(Fault::Relay), LOCK), (5000, Tick, None)],
        DoorState::Locked,
    );
    let door = check_with(DoorSettings::default(), &[(0, Fail(Fault::Relay), None)], DoorState::Fault(Fault::Relay));
    assert_eq!(door.position(), Position::Unknown);
    assert_eq!(door.next_deadline(), Some(ms(1000)));
}

#[test]
fn a_clock_that_steps_back_extends_nothing() {
    // 3 s of the 5 have passed; after the step, 2 s are left.
    let stepped = [(100_000, Known, RELEASE), (103_000, Tick, None), (50_000, Tick, None)];
    let then = |more: &[(u64, Do, Option<Strike>)], expected| check(&[&stepped, more].concat(), expected);
    then(&[], released(52_000));
    then(&[(51_999, Tick, None)], released(52_000));
    then(&[(52_000, Tick, LOCK)], cooling(53_000));
    // Frames of before the step are from the future now; new ones count.
    then(&[(50_001, KnownAt(103_000), None), (52_000, Tick, LOCK)], cooling(53_000));
    then(&[(50_500, Known, None)], released(55_500));
    // A clock that swings to and fro makes progress with every forward step.
    check(
        &[
            (10_000, Known, RELEASE),
            (12_000, Tick, None),
            (9000, Tick, None),
            (11_000, Tick, None),
            (10_000, Tick, None),
            (11_000, Tick, LOCK),
        ],
        cooling(12_000),
    );
}

#[test]
fn an_open_leaf_is_held_open_or_forced() {
    let first = [(0, Close, None)];
    let then = |more: &[(u64, Do, Option<Strike>)], expected| check(&[&first, more].concat(), expected);
    then(&[(10, Known, RELEASE), (1000, Open, None)], released(5010));
    then(&[(10, Known, RELEASE), (1000, Open, None), (5010, Tick, LOCK)], cooling(6010));
    let stands = [(10, Known, RELEASE), (1000, Open, None), (5010, Tick, LOCK)];
    let stands_then = |more: &[(u64, Do, Option<Strike>)], expected| then(&[&stands, more].concat(), expected);
    stands_then(&[(30_999, Tick, None)], DoorState::Locked);
    stands_then(&[(31_000, Tick, None)], DoorState::HeldOpen);
    // Told twice, it has been open since the first time.
    stands_then(&[(20_000, Open, None), (31_000, Tick, None)], DoorState::HeldOpen);
    stands_then(&[(31_000, Tick, None), (32_000, Close, None)], DoorState::Locked);
    stands_then(&[(20_000, Close, None), (20_001, Open, None)], DoorState::ForcedOpen);
    // A known person may come in past an alarm.
    stands_then(&[(40_000, Known, RELEASE)], released(45_000));

    then(&[(10, Open, None)], DoorState::ForcedOpen);
    then(&[(10, Open, None), (60_000, Tick, None)], DoorState::ForcedOpen);
    then(&[(10, Open, None), (20, Close, None)], DoorState::Locked);
    then(&[(10, Known, RELEASE), (5010, Tick, LOCK), (5500, Open, None)], DoorState::ForcedOpen);
    // Whoever pulls when the deadline has just passed but nobody ticked was let in.
    then(&[(10, Known, RELEASE), (5500, Open, LOCK)], cooling(6500));
    then(&[(10, Open, None), (20, Fail(CAMERA), None)], DoorState::Fault(CAMERA));
    // Open from the start: nobody saw it being forced.
    check(&[(0, Open, None)], DoorState::Locked);
    check(&[(0, Open, None), (30_000, Tick, None)], DoorState::HeldOpen);
}

#[test]
fn the_exit_button_lets_out_whatever_is_wrong_with_the_camera() {
    check(&[(100, Exit, RELEASE)], released(5100));
    check(&[(100, Exit, RELEASE), (5100, Tick, LOCK), (5200, Exit, RELEASE)], released(10_200));
    check(&[(0, Known, RELEASE), (3000, Exit, None)], released(8000));
    check(&[(0, Exit, RELEASE), (3000, Exit, None), (7000, Exit, None), (11_000, Exit, None)], released(15_000));
    check(&[(0, Fail(CAMERA), None), (100, Exit, RELEASE), (5100, Tick, LOCK)], DoorState::Fault(CAMERA));
    check(&[(0, Fail(Fault::Model), None), (100, Exit, RELEASE)], DoorState::Fault(Fault::Model));
    check(&[(0, Fail(Fault::Relay), None), (100, Exit, None)], DoorState::Fault(Fault::Relay));
    // A camera that fails meanwhile shuts nobody in; a relay that fails is another matter.
    check(&[(0, Exit, RELEASE), (100, Fail(CAMERA), None), (5000, Tick, LOCK)], DoorState::Fault(CAMERA));
    check(&[(0, Exit, RELEASE), (100, Fail(Fault::Relay), LOCK)], DoorState::Fault(Fault::Relay));
    check(
        &[(0, Exit, RELEASE), (5000, Tick, LOCK), (7000, Known, RELEASE), (7100, Fail(CAMERA), LOCK)],
        DoorState::Fault(CAMERA),
    );
    // At the very deadline the strike is locked, and released again by the next call, which is due at once.
    let door = check_with(DoorSettings::default(), &[(0, Known, RELEASE), (5000, Exit, LOCK)], cooling(6000));
    assert_eq!(door.next_deadline(), Some(ms(5000)));
    check(&[(0, Known, RELEASE), (5000, Exit, LOCK), (5000, Tick, RELEASE)], released(10_000));
    check(&[(0, Known, RELEASE), (5000, Exit, LOCK), (9000, Tick, None)], DoorState::Locked);
    // Who leaves by the button has not forced the door.
    check(&[(0, Close, None), (100, Exit, RELEASE), (900, Open, None)], released(5100));
}

#[test]
fn says_when_it_wants_to_be_called() {
    let check = |steps: &[(u64, Do)], expected: Option<u64>| {
        let mut door = Door::new(DoorSettings::default()).expect("valid settings");
        for (at, what) in steps {
            apply(&mut door, *what, ms(*at));
        }
        assert_eq!(door.next_deadline(), expected.map(ms), "{steps:?}");
    };
    check(&[(7, Tick)], None);
    check(&[(0, Known)], Some(5000));
    check(&[(0, Known), (5000, Tick)], Some(6000));
    check(&[(0, Known), (5000, Tick), (6000, Tick)], None);
    check(&[(0, Close), (10, Open)], Some(30_010));
    check(&[(0, Close), (10, Open), (30_010, Tick)], None);
    check(&[(100_000, Known), (50_000, Tick)], Some(55_000));
}

#[test]
fn refuses_settings_that_no_door_should_have() {
    let s = Duration::from_secs;
    let check = |settings: DoorSettings, expected: Result<(), &str>| {
        let got = Door::new(settings).map(drop).map_err(|DoorSettingsError { setting, .. }| setting);
        assert_eq!(got, expected, "{settings:?}");
    };
    let sound = DoorSettings::default();
    check(sound, Ok(()));
    check(DoorSettings { fail: FailMode::Safe, ..sound }, Ok(()));
    check(DoorSettings { release: s(1), ..sound }, Ok(()));
    check(DoorSettings { release: s(60), max_release: s(60), ..sound }, Ok(()));
    check(DoorSettings { release: Duration::from_millis(999), ..sound }, Err("release"));
    check(DoorSettings { release: s(61), max_release: s(61), ..sound }, Err("release"));
    check(DoorSettings { max_release: s(4), ..sound }, Err("max_release"));
    check(DoorSettings { max_release: MAX_RELEASE + Duration::from_micros(1), ..sound }, Err("max_release"));
    check(DoorSettings { cool_down: s(61), ..sound }, Err("cool_down"));
    check(DoorSettings { cool_down: s(0), ..sound }, Ok(()));
    check(DoorSettings { held_open_after: s(0), ..sound }, Err("held_open_after"));
    check(DoorSettings { held_open_after: s(3601), ..sound }, Err("held_open_after"));
    check(DoorSettings { max_decision_age: s(0), ..sound }, Err("max_decision_age"));
    check(DoorSettings { max_decision_age: s(11), ..sound }, Err("max_decision_age"));
    let error = Door::new(DoorSettings { release: s(0), ..sound }).expect_err("too short");
    assert_eq!(error.to_string(), "door setting release is 0ns, wanted 1s to 60s");
}

#[test]
fn faults_are_a_set() {
    let mut set = FaultSet::default();
    assert!(set.is_empty());
    for fault in Fault::ALL {
        assert!(!set.contains(fault), "{fault}");
        set.insert(fault);
        assert!(set.contains(fault), "{fault}");
    }
    assert!(set.iter().eq(Fault::ALL));
    assert_eq!(set, Fault::ALL.into_iter().collect());
    for fault in Fault::ALL {
        set.remove(fault);
        assert!(!set.contains(fault), "{fault}");
    }
    assert!(set.is_empty());
    assert_eq!([Fault::Storage, Fault::Display].into_iter().collect::<FaultSet>().stopping(), None);
}
