//! The pipeline over fakes with physics: the picture itself says who stands there, and the eyes read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lintel_shared::detect::Face;
use lintel_shared::door::{DoorSettings, Fault, Strike};
use lintel_shared::embed::{EncoderId, Similarity};
use lintel_shared::geometry::{Point, Rect};
use lintel_shared::quality::Quality;
use lintel_shared::screen::Screen;
use lintel_shared::table::{PersonId, Scores};
use lintel_shared::time::Uptime;
use lintel_shared::verdict::{Opinion, Seen, VoteSettings};
use lintel_shared::wire::{Event, EventKind, Started};

use super::keeper::{KeeperParts, Names};
use super::threads::Patience;
use super::*;
use crate::camera::{Captured, Picture};
use crate::clock::{Clock, Stop};
use crate::display::{Display, DisplayError, NoDisplay};
use crate::events::Memory;
use crate::relay::sim::{Edge, EdgeLog, SimRelay, SimSettings};

/// Nobody; a stranger; others are people in the table.
const NOBODY: u8 = 0;
const STRANGER: u8 = 255;
const FRAME: u64 = 100;

fn ms(millis: u64) -> Uptime {
    Uptime::from_millis(millis)
}

/// Who stands there in each picture, ten pictures a second; `None`: the sensor delivers its last picture again.
struct FakeCamera {
    scene: Vec<Option<u8>>,
    next: usize,
    /// In real time: when the camera began, and its clock.
    clock: Option<(Uptime, Clock)>,
    breaks_at: Option<usize>,
    panics_at: Option<usize>,
    last: Picture,
}

impl Camera for FakeCamera {
    fn describe(&self) -> String {
        "a camera of a test".to_owned()
    }

    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError> {
        let index = self.next;
        assert!(self.panics_at != Some(index), "a panic that this test wants");
        if self.breaks_at == Some(index) {
            let why = "cut off".to_owned();
            return Err(CameraError::Frame { path: "visits/ada.mjpeg".into(), index: index as u64, why });
        }
        let Some(who) = self.scene.get(index) else { return Ok(Captured::End) };
        let due = ms(index as u64 * FRAME);
        let captured = match &self.clock {
            None => due,
            Some((began, clock)) => {
                let due = *began + due.since(Uptime::ZERO);
                let now = clock.now();
                if now < due {
                    thread::sleep(due.since(now).min(Duration::from_millis(20)));
                    return Ok(Captured::Idle);
                }
                now
            }
        };
        self.next += 1;
        if let Some(who) = who {
            // Bright, who stands there in the first byte, and noise that never repeats.
            let noise = (index as u64).to_le_bytes();
            self.last.pixels.clear();
            self.last.pixels.resize(64 * 48 * 3, 128);
            self.last.pixels[0] = *who;
            self.last.pixels[1..9].copy_from_slice(&noise);
        }
        (self.last.width, self.last.height, self.last.captured) = (64, 48, captured);
        picture.clone_from(&self.last);
        Ok(Captured::Picture)
    }
}

/// Eyes that see what the picture says, and can be slow, fail or panic.
#[derive(Default)]
struct FakeEyes {
    takes: Duration,
    looks: u64,
    fails_at: Option<u64>,
    panics_at: Option<u64>,
    hangs_at: Option<u64>,
    /// The greatest age of a picture that was looked at, in microseconds.
    oldest: Arc<AtomicU64>,
    clock: Option<Clock>,
}

fn seen(who: u8) -> Seen {
    let bbox = Rect { x1: 10.0, y1: 10.0, x2: 40.0, y2: 40.0 };
    let face = Face { bbox, score: 0.9, landmarks: [Point { x: 20.0, y: 20.0 }; 5] };
    let scores = Scores { best: 0, likeness: Similarity::new(0.7).unwrap(), lead: 0.2, confidence: 0.9 };
    let opinion = match who {
        STRANGER => Opinion::Stranger { scores },
        person => Opinion::Known { person: PersonId(person.into()), scores },
    };
    Seen { face, quality: Quality::default(), opinion: Some(opinion), flaw: None }
}

impl Eyes for FakeEyes {
    fn look(&mut self, frame: &Frame<'_>) -> Result<Sighting, String> {
        let look = self.looks;
        self.looks += 1;
        if let Some(clock) = &self.clock {
            let age = clock.now().since(frame.captured());
            self.oldest.fetch_max(u64::try_from(age.as_micros()).unwrap(), Ordering::SeqCst);
        }
        thread::sleep(self.takes);
        assert!(self.panics_at != Some(look), "a panic that this test wants");
        if self.hangs_at == Some(look) {
            thread::sleep(Duration::from_secs(4));
        }
        if self.fails_at == Some(look) {
            return Err("out of memory".to_owned());
        }
        let mut sighting = Sighting { captured: frame.captured(), ..Sighting::default() };
        if frame.pixels()[0] != NOBODY {
            sighting.seen.push(seen(frame.pixels()[0])).unwrap();
        }
        Ok(sighting)
    }
}

/// A display whose cable is pulled.
struct NoCable;

impl Display for NoCable {
    fn describe(&self) -> String {
        "a display without its cable".to_owned()
    }

    fn show(&mut self, _: &Screen) -> Result<(), DisplayError> {
        Err(DisplayError { what: "/dev/i2c-1".to_owned(), why: "no acknowledge".to_owned() })
    }
}

struct Rig {
    scene: Vec<Option<u8>>,
    eyes: FakeEyes,
    breaks_at: Option<usize>,
    camera_panics_at: Option<usize>,
    relay: SimSettings,
    display: Box<dyn Display>,
    real: Option<Clock>,
    stage_patience: Duration,
    stop: Stop,
}

struct Run {
    outcome: Outcome,
    edges: Vec<Edge>,
    events: Vec<Event>,
    log: EdgeLog,
}

impl Rig {
    fn new(scene: impl IntoIterator<Item = u8>) -> Self {
        Self {
            scene: scene.into_iter().map(Some).collect(),
            eyes: FakeEyes::default(),
            breaks_at: None,
            camera_panics_at: None,
            relay: SimSettings::default(),
            display: Box::new(NoDisplay),
            real: None,
            stage_patience: Duration::from_secs(2),
            stop: Stop::new(),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a test in real time")]
    fn in_real_time(mut self) -> Self {
        let start = Instant::now();
        let clock = Clock::new(move || Uptime::ZERO + start.elapsed());
        self.eyes.clock = Some(clock.clone());
        self.real = Some(clock);
        self
    }

    fn run(self) -> Run {
        let relay = SimRelay::new(self.relay);
        let (log, memory) = (relay.log(), Memory::default());
        let door = DoorSettings { release: Duration::from_secs(1), ..DoorSettings::default() };
        let mut keeper = Keeper::new(KeeperParts {
            vote: VoteSettings::default(),
            door,
            relay: Box::new(relay),
            display: self.display,
            events: Box::new(memory.clone()),
            names: Names::new([(PersonId(1), "Ada"), (PersonId(2), "Grace")]),
        })
        .unwrap();
        let started = Started {
            software: "0".try_into().unwrap(),
            pack: "none".try_into().unwrap(),
            revision: 1,
            encoder: EncoderId([0; 32]),
            people: 2,
            provider: "CPU".try_into().unwrap(),
        };
        let now = self.real.as_ref().map_or(Uptime::ZERO, Clock::now);
        keeper.start(started, now);
        keeper.ready(now);
        let camera = FakeCamera {
            scene: self.scene,
            next: 0,
            clock: self.real.clone().map(|clock| (now, clock)),
            breaks_at: self.breaks_at,
            panics_at: self.camera_panics_at,
            last: Picture::default(),
        };
        let watch = CameraWatchSettings { fault_after: Duration::from_secs(2), dark_below: 6.0 };
        let stages = Stages { camera: Box::new(camera), watch, eyes: Box::new(self.eyes), keeper };
        let outcome = match &self.real {
            None => lockstep::run(stages, &self.stop),
            Some(clock) => {
                let patience =
                    Patience { stage: self.stage_patience, max_frame_age: VoteSettings::default().max_frame_age };
                threads::run(stages, clock, &self.stop, patience).unwrap()
            }
        };
        Run { outcome, edges: log.edges(), events: memory.events(), log }
    }
}

impl Run {
    fn edge_times(&self) -> Vec<(u64, Strike)> {
        self.edges.iter().map(|edge| (edge.at.as_micros() / 1000, edge.to)).collect()
    }

    fn screens(&self) -> Vec<Screen> {
        let screen = |event: &Event| match &event.kind {
            EventKind::Screen(screen) => Some(screen.clone()),
            _ => None,
        };
        self.events.iter().filter_map(screen).collect()
    }

    fn faults(&self) -> Vec<Fault> {
        let fault = |event: &Event| match event.kind {
            EventKind::Fault(fault) => Some(fault),
            _ => None,
        };
        self.events.iter().filter_map(fault).collect()
    }
}

fn many(who: u8, pictures: usize) -> Vec<u8> {
    vec![who; pictures]
}

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
            .filter_map(|event| if let EventKind::Relay(strike) = event.kind { Some(strike) } else { None })
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
    let cleared = EventKind::FaultCleared(Fault::Camera(CameraFault::Frozen));
    assert!(run.events.iter().any(|event| event.kind == cleared), "it recovers by itself");
}

#[test]
fn a_damaged_frame_locks_and_ends_the_run() {
    let run = Rig { breaks_at: Some(6), ..Rig::new(many(1, 9)) }.run();
    let End::Failed(error) = &run.outcome.end else { panic!("{:?}", run.outcome.end) };
    let expected = "visits/ada.mjpeg: frame 6 cannot be read (cut off); the recording was played up to there";
    assert_eq!(error.to_string(), expected);
    assert_eq!(run.edge_times(), [(300, Strike::Released), (500, Strike::Locked)]);
    assert_eq!(run.faults(), [Fault::Camera(CameraFault::Corrupt)]);
    assert_eq!(crate::run::exit_code(&run.outcome.end), 2);
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
        check(real, &|rig| rig.eyes.fails_at = Some(6), "vision: out of memory", Fault::Model);
        check(real, &|rig| rig.eyes.panics_at = Some(6), &died("vision"), Fault::Model);
        check(real, &|rig| rig.camera_panics_at = Some(6), &died("capture"), Fault::Camera(CameraFault::Gone));
    }
}

#[test]
fn a_stage_that_hangs_locks_in_time_and_ends_the_run() {
    let mut rig = Rig::new(many(1, 60)).in_real_time();
    rig.eyes.hangs_at = Some(6);
    rig.stage_patience = Duration::from_millis(500);
    let run = rig.run();
    let End::Failed(StageError::Hangs { stage, .. }) = &run.outcome.end else { panic!("{:?}", run.outcome.end) };
    assert_eq!(*stage, VISION);
    assert_eq!(run.edges.len(), 2, "{:?}", run.edges);
    assert!(run.edges[1].at.since(run.edges[0].at) <= Duration::from_millis(1100));
}

#[test]
fn slow_eyes_see_the_newest_picture_and_skip_the_others() {
    // A camera of ten pictures a second, eyes that take a quarter of a second.
    let mut rig = Rig::new(many(1, 30)).in_real_time();
    rig.eyes.takes = Duration::from_millis(250);
    let oldest = Arc::clone(&rig.eyes.oldest);
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
    rig.eyes.takes = Duration::from_millis(600);
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
    let fault = run.events.iter().find(|event| event.kind == EventKind::Fault(Fault::Relay)).unwrap();
    // Locked at 1.3 s; the contact had its time to settle.
    assert!(fault.at > ms(1300) && fault.at < ms(1400), "{}", fault.at);
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
