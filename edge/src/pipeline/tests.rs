//! The pipeline over fakes: who gets in and when, and what becomes of it when a part fails.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use lintel_core::door::{Contact, DoorState, Fault, Strike};
use lintel_core::screen::Screen;
use lintel_wire::event::EventKind;

use super::*;
use crate::io::gpio::inputs::Input;
use crate::io::relay::sim::SimSettings;

mod rig;

use rig::{NOBODY, NoCable, Rig, STRANGER, many, ms};

#[test]
fn who_gets_in_and_when() {
    use Strike::{Locked, Released};
    let check = |scene: Vec<u8>, expected: &[(u64, Strike)]| {
        let run = Rig::new(scene.clone()).run();
        assert!(matches!(run.outcome.end, End::Played), "{:?}", run.outcome.end);
        assert_eq!(run.edge_times(), expected, "{scene:?}");
        // What the relay did is what the events say that it did, and the run ends locked.
        let told: Vec<Strike> = run
            .events
            .iter()
            .filter_map(|event| if let EventKind::Relay(strike) = event.kind { Some(strike.into()) } else { None })
            .collect();
        assert_eq!(told, expected.iter().map(|(_, strike)| *strike).collect::<Vec<_>>());
        assert!(matches!(run.events.last().unwrap().kind, EventKind::Stopped));
    };
    check(vec![], &[]);
    check(many(NOBODY, 30), &[]);
    check(many(STRANGER, 30), &[]);
    // The fourth vote decides; the strike is locked again at its own instant, not at a frame's.
    check([many(NOBODY, 5), many(1, 4)].concat(), &[(800, Released), (1800, Locked)]);
    // Three votes are too few.
    check([many(1, 3), many(NOBODY, 20)].concat(), &[]);
    // Two people take turns before the camera: nobody has four votes of six.
    check([1, 2, 1, 2, 1, 2, 1, 2, 1, 2].to_vec(), &[]);
}

#[test]
fn the_display_tells_what_happens() {
    let run = Rig::new([many(NOBODY, 3), many(1, 6), many(NOBODY, 20)].concat()).run();
    let looking = |votes| Screen::Looking { votes, needed: 4 };
    let welcome = Screen::Welcome { name: "Ada".try_into().unwrap() };
    let expected =
        [Screen::Starting, Screen::Ready, looking(1), looking(2), looking(3), welcome, Screen::Ready].to_vec();
    assert_eq!(run.screens(), expected);
    assert_eq!(run.outcome.report.screens, 7);
}

#[test]
fn the_same_scene_gives_the_same_run() {
    let scene = || [many(NOBODY, 3), many(1, 9), many(NOBODY, 20), many(STRANGER, 20), many(2, 9)].concat();
    assert_eq!(Rig::new(scene()).run().events, Rig::new(scene()).run().events);
}

#[test]
fn a_frozen_camera_counts_once_and_is_a_fault() {
    let mut rig = Rig::new([]);
    rig.scene = [vec![Some(NOBODY); 5], vec![Some(1)], vec![None; 40], vec![Some(NOBODY); 3]].concat();
    let run = rig.run();
    assert_eq!(run.edge_times(), []);
    assert_eq!(run.faults(), [Fault::Camera(CameraFault::Frozen)]);
    assert_eq!(run.outcome.report.repeated, 40);
    let cleared = EventKind::FaultCleared(Fault::Camera(CameraFault::Frozen).into());
    assert!(run.events.iter().any(|event| event.kind == cleared), "it recovers by itself");
}

#[test]
fn a_live_camera_in_trouble_is_a_fault_and_recovers_by_itself() {
    use CameraFault::{Corrupt, Frozen, Gone};
    let check = |troubles: &[(Range<usize>, CameraFault)], faults: &[Fault], edges: &[(u64, Strike)]| {
        let scene = [many(1, 40), many(NOBODY, 20)].concat();
        let run = Rig { troubles: troubles.to_vec(), ..Rig::new(scene) }.run();
        assert!(matches!(run.outcome.end, End::Played), "{troubles:?}: {:?}", run.outcome.end);
        assert_eq!(run.faults(), faults, "{troubles:?}");
        assert_eq!(run.edge_times(), edges, "{troubles:?}");
        for fault in faults {
            assert!(
                run.events.iter().any(|event| event.kind == EventKind::FaultCleared((*fault).into())),
                "{troubles:?}"
            );
            assert!(run.screens().contains(&Screen::Fault(*fault)), "{troubles:?}: {:?}", run.screens());
        }
    };
    let locked_by = |at: u64| [(300, Strike::Released), (at, Strike::Locked)];
    // Unplugged while the strike is released; in the middle of the vote; for so long that the votes are void.
    check(&[(6..40, Gone)], &[Fault::Camera(Gone)], &locked_by(600));
    check(&[(3..40, Gone)], &[Fault::Camera(Gone)], &[]);
    check(&[(2..5, Gone)], &[Fault::Camera(Gone)], &[(600, Strike::Released), (1600, Strike::Locked)]);
    check(&[(3..40, Frozen)], &[Fault::Camera(Frozen)], &[]);
    // Damage is a fault only when it lasts.
    check(&[(2..40, Corrupt)], &[Fault::Camera(Corrupt)], &[]);
    let after_damage = Rig { troubles: vec![(2..12, Corrupt)], ..Rig::new(many(1, 20)) }.run();
    assert_eq!(after_damage.faults(), []);
    assert_eq!(after_damage.outcome.report.damaged, 10);
}

#[test]
fn a_live_camera_in_trouble_is_a_fault_in_real_time_too() {
    let troubles = vec![(6..12, CameraFault::Gone)];
    let run = Rig { troubles, ..Rig::new(many(1, 20)) }.in_real_time().run();
    assert_eq!(run.faults(), [Fault::Camera(CameraFault::Gone)]);
    assert!(matches!(run.outcome.end, End::Played));
    let open = run.edges[1].at.since(run.edges[0].at);
    assert!(open < Duration::from_millis(900), "locked by the fault, not by the deadline: {open:?}");
}

#[test]
fn the_exit_button_releases_and_the_contact_tells_a_forced_door() {
    let mut rig = Rig::new(many(NOBODY, 35)).in_real_time();
    rig.troubles = vec![(2..35, CameraFault::Gone)];
    rig.inputs = [
        (100, Input::Contact(Contact::Closed)),
        (500, Input::Exit),
        (800, Input::Contact(Contact::Open)),
        (900, Input::Contact(Contact::Closed)),
        (2500, Input::Contact(Contact::Open)),
    ]
    .to_vec();
    let run = rig.run();
    let strikes: Vec<Strike> = run.edges.iter().map(|edge| edge.to).collect();
    assert_eq!(strikes, [Strike::Released, Strike::Locked], "whatever the camera says");
    assert!(run.edges[0].at >= ms(500), "{}", run.edges[0].at);
    let contacts = run.events.iter().filter(|event| matches!(event.kind, EventKind::Contact(_))).count();
    assert_eq!(contacts, 4);
    // The same with a camera that works, for the alarm on the display.
    let mut rig = Rig::new(many(NOBODY, 12)).in_real_time();
    rig.inputs = [(100, Input::Contact(Contact::Closed)), (500, Input::Contact(Contact::Open))].to_vec();
    let run = rig.run();
    assert!(run.events.iter().any(|event| event.kind == EventKind::Door(DoorState::ForcedOpen.into())));
    assert_eq!(run.screens().last(), Some(&Screen::ForcedOpen));
}

#[test]
fn a_damaged_frame_locks_and_ends_the_run() {
    let run = Rig { breaks_at: Some(6), ..Rig::new(many(1, 9)) }.run();
    let End::Failed(error) = &run.outcome.end else { panic!("{:?}", run.outcome.end) };
    let expected = "visits/ada.mjpeg: frame 6 cannot be read (cut off); the recording was played up to there";
    assert_eq!(error.to_string(), expected);
    assert_eq!(run.edge_times(), [(300, Strike::Released), (500, Strike::Locked)]);
    assert_eq!(run.faults(), [Fault::Camera(CameraFault::Corrupt)]);
    assert_eq!(crate::compose::exit_code(&run.outcome.end), 2);
}

#[test]
fn a_stage_that_fails_or_panics_locks_and_ends_the_run() {
    let check = |real: bool, change: &dyn Fn(&mut Rig), expected: &str, fault: Fault| {
        let mut rig = Rig::new(many(1, 20));
        if real {
            rig = rig.in_real_time();
        }
        change(&mut rig);
        let run = rig.run();
        let End::Failed(error) = &run.outcome.end else { panic!("{:?}", run.outcome.end) };
        assert_eq!(error.to_string(), expected, "in real time: {real}");
        assert_eq!(run.faults(), [fault]);
        let strikes: Vec<Strike> = run.edges.iter().map(|edge| edge.to).collect();
        assert_eq!(strikes, [Strike::Released, Strike::Locked], "released by the fourth frame, locked by the fault");
        let open = run.edges[1].at.since(run.edges[0].at);
        assert!(open < Duration::from_millis(900), "locked by the fault, not by the deadline: {open:?}");
    };
    let died = |stage: &str| format!("the {stage} stage died of a programming error; the door was locked");
    for real in [false, true] {
        check(
            real,
            &|rig| rig.analyzer.fails_at = Some(6),
            "vision: onnx runtime could not run: out of memory",
            Fault::Model,
        );
        check(real, &|rig| rig.analyzer.panics_at = Some(6), &died("vision"), Fault::Model);
        check(real, &|rig| rig.camera_panics_at = Some(6), &died("capture"), Fault::Camera(CameraFault::Gone));
    }
}

#[test]
fn a_stage_that_hangs_locks_in_time_and_ends_the_run() {
    let mut rig = Rig::new(many(1, 60)).in_real_time();
    rig.analyzer.hangs_at = Some(6);
    rig.stage_patience = Duration::from_millis(500);
    let run = rig.run();
    let End::Failed(StageError::Hangs { stage, .. }) = &run.outcome.end else { panic!("{:?}", run.outcome.end) };
    assert_eq!(*stage, VISION);
    assert_eq!(run.edges.len(), 2, "{:?}", run.edges);
    assert!(run.edges[1].at.since(run.edges[0].at) <= Duration::from_millis(1100));
}

#[test]
fn slow_eyes_see_the_newest_picture_and_skip_the_others() {
    // A camera of ten pictures a second, analyzer that take a quarter of a second.
    let mut rig = Rig::new(many(1, 30)).in_real_time();
    rig.analyzer.takes = Duration::from_millis(250);
    let oldest = Arc::clone(&rig.analyzer.oldest);
    let run = rig.run();
    let report = &run.outcome.report;
    assert!(matches!(run.outcome.end, End::Played));
    assert_eq!(report.captured, 30);
    assert!(report.overwritten >= 10, "{report:?}");
    assert!(report.looked_at + report.overwritten + report.stale == 30, "{report:?}");
    // Never a picture from before the one that it could have had.
    let oldest = Duration::from_micros(oldest.load(Ordering::SeqCst));
    assert!(oldest < Duration::from_millis(200), "{oldest:?}");
}

#[test]
fn results_that_come_too_late_never_count() {
    let mut rig = Rig::new(many(1, 40)).in_real_time();
    rig.analyzer.takes = Duration::from_millis(600);
    let run = rig.run();
    assert_eq!(run.edge_times(), []);
    assert!(run.outcome.report.stale >= 4, "{:?}", run.outcome.report);
    assert_eq!(run.outcome.report.known, 0);
}

#[test]
fn a_stop_makes_no_edge_but_relocking() {
    let check = |scene: Vec<u8>, after: u64, expected: &[Strike]| {
        let rig = Rig::new(scene).in_real_time();
        let stop = rig.stop.clone();
        let asker = thread::spawn(move || {
            thread::sleep(Duration::from_millis(after));
            stop.ask();
        });
        let run = rig.run();
        asker.join().unwrap();
        assert!(matches!(run.outcome.end, End::Stopped), "{:?}", run.outcome.end);
        let strikes: Vec<Strike> = run.edges.iter().map(|edge| edge.to).collect();
        assert_eq!(strikes, expected, "after {after} ms");
        assert!(matches!(run.events.last().unwrap().kind, EventKind::Stopped));
        assert_eq!(run.log.edges().len(), expected.len(), "nothing moves after the end either");
    };
    check(many(NOBODY, 50), 0, &[]);
    check(many(1, 50), 150, &[]);
    check(many(1, 50), 700, &[Strike::Released, Strike::Locked]);
}

#[test]
fn a_missing_display_keeps_nobody_out() {
    let run = Rig { display: Box::new(NoCable), ..Rig::new([many(1, 6), many(NOBODY, 20)].concat()) }.run();
    assert_eq!(run.edge_times(), [(300, Strike::Released), (1300, Strike::Locked)]);
    assert_eq!(run.faults(), [Fault::Display]);
    assert!(run.outcome.report.display_errors > 1, "it was tried again");
}

#[test]
fn a_welded_relay_is_a_fault_and_the_door_stays_shut_to_the_next() {
    let welded = SimSettings { welds_after: Some(1), ..SimSettings::default() };
    let scene = [many(1, 6), many(NOBODY, 60), many(2, 10)].concat();
    let run = Rig { relay: welded, ..Rig::new(scene) }.run();
    assert_eq!(run.faults(), [Fault::Relay]);
    let fault = run.events.iter().find(|event| event.kind == EventKind::Fault(Fault::Relay.into())).unwrap();
    // Locked at 1.3 s; the contact had its time to settle.
    assert!(fault.at > ms(1300).into() && fault.at < ms(1400).into(), "{:?}", fault.at);
    // Nobody else is let in while nobody knows where the strike is.
    assert_eq!(run.edge_times(), [(300, Strike::Released), (1300, Strike::Locked)]);
    assert_eq!(run.screens().last(), Some(&Screen::Fault(Fault::Relay)));
}

#[test]
fn a_strike_that_a_crash_left_released_is_locked_at_the_start() {
    let left = SimSettings { at_start: Strike::Released, ..SimSettings::default() };
    let run = Rig { relay: left, ..Rig::new(many(NOBODY, 10)) }.run();
    assert_eq!(run.edge_times(), [(0, Strike::Locked)]);
    assert_eq!(run.faults(), []);
}

/// A bundle that is taken over while somebody's votes are counted: no frame is passed over, and no vote is lost.
#[test]
fn another_bundle_between_two_frames() {
    let rig = Rig::new(many(1, 12)).in_real_time();
    let exchange = rig.exchange.clone();
    let clock = rig.real.clone().unwrap();
    let offering = thread::spawn(move || {
        thread::sleep(Duration::from_millis(250));
        let started = lintel_wire::event::Started {
            software: "0".try_into().unwrap(),
            pack: "next".try_into().unwrap(),
            revision: 2,
            encoder: lintel_core::embed::EncoderId([1; 32]).into(),
            people: 1,
            provider: "CPU".try_into().unwrap(),
        };
        let analyzer = rig::FakeAnalyzer { clock: Some(clock), ..rig::FakeAnalyzer::default() };
        let names = lintel_core::controller::Names::new([(lintel_core::table::PersonId(1), "Ada B.")]);
        exchange.offer(exchange::Replacement { analyzer: Box::new(analyzer), names, started }, Duration::from_secs(2))
    });
    let run = rig.run();
    assert!(offering.join().unwrap(), "it was taken");
    let count = |kind: fn(&EventKind) -> bool| run.events.iter().filter(|event| kind(&event.kind)).count();
    assert_eq!(count(|kind| matches!(kind, EventKind::Sighting(_))), 12, "every picture was looked at");
    assert_eq!(count(|kind| matches!(kind, EventKind::Started(_))), 2);
    let (opened, strike) = run.edge_times()[0];
    assert_eq!(strike, Strike::Released);
    assert!(opened < 600, "the votes of before counted: released at {opened} ms");
    // By the names of the table that decided.
    assert!(run.screens().contains(&Screen::Welcome { name: "Ada B.".try_into().unwrap() }), "{:?}", run.screens());
}

/// A removed person is a stranger from that moment on, even with nearly complete votes.
#[test]
fn a_removed_person_is_not_let_in_by_votes_of_before() {
    let rig = Rig::new(many(1, 12)).in_real_time();
    let exchange = rig.exchange.clone();
    let removing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(220));
        exchange.shut_out([lintel_core::table::PersonId(1)]);
    });
    let run = rig.run();
    removing.join().unwrap();
    assert_eq!(run.edges, []);
    assert!(run.screens().contains(&Screen::NotRecognised), "{:?}", run.screens());
}
