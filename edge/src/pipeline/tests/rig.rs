//! Fakes with physics: the picture itself says who stands there, and the analyzer read it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lintel_core::controller::{ControllerSettings, Names};
use lintel_core::decision::{Seen, VoteSettings};
use lintel_core::detect::Face;
use lintel_core::door::{DoorSettings, Fault, Strike};
use lintel_core::embed::{EncoderId, Similarity};
use lintel_core::geometry::{Point, Rect};
use lintel_core::quality::Quality;
use lintel_core::screen::Screen;
use lintel_core::table::Opinion;
use lintel_core::table::{PersonId, Scores};
use lintel_core::time::Uptime;
use lintel_core::track::{TrackId, TrackSettings, Tracker};
use lintel_wire::event::{Event, EventKind, Started};

use crate::events::memory::Memory;
use crate::io::camera::{Captured, Picture, Trouble};
use crate::io::clock::{Clock, Stop};
use crate::io::display::panel::PanelError;
use crate::io::display::{Display, DisplayError, NoDisplay};
use crate::io::gpio::inputs::{Input, InputError, Inputs};
use crate::io::relay::sim::{Edge, EdgeLog, SimRelay, SimSettings};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::executor::ExecutorParts;
use crate::pipeline::threads::{Patience, Surroundings};
use crate::pipeline::*;

/// Nobody; a stranger; others are people in the table.
pub const NOBODY: u8 = 0;
pub const STRANGER: u8 = 255;
pub const FRAME: u64 = 100;

pub fn ms(millis: u64) -> Uptime {
    Uptime::from_millis(millis)
}

/// Who stands there in each picture, ten pictures a second; `None`: the sensor delivers its last picture again.
pub struct FakeCamera {
    pub scene: Vec<Option<u8>>,
    pub next: usize,
    /// In real time: when the camera began, and its clock.
    pub clock: Option<(Uptime, Clock)>,
    pub breaks_at: Option<usize>,
    pub panics_at: Option<usize>,
    /// In place of these pictures there is trouble.
    pub troubles: Vec<(Range<usize>, CameraFault)>,
    pub last: Picture,
}

impl Camera for FakeCamera {
    fn describe(&self) -> String {
        "a camera of a test".to_owned()
    }

    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError> {
        let index = self.next;
        assert!(self.panics_at != Some(index), "a panic that this test wants");
        if self.breaks_at == Some(index) {
            let source = "cut off".into();
            return Err(CameraError::Frame { path: "visits/ada.mjpeg".into(), index: index as u64, source });
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
        if let Some((_, fault)) = self.troubles.iter().find(|(indices, _)| indices.contains(&index)) {
            let why = "what the driver said".to_owned();
            return Ok(Captured::Trouble(Trouble { fault: *fault, at: captured, why }));
        }
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

/// Sees what the picture says, and can be slow, fail or panic.
#[derive(Default)]
pub struct FakeAnalyzer {
    pub takes: Duration,
    pub looks: u64,
    pub fails_at: Option<u64>,
    pub panics_at: Option<u64>,
    pub hangs_at: Option<u64>,
    /// The greatest age of a picture that was looked at, in microseconds.
    pub oldest: Arc<AtomicU64>,
    pub clock: Option<Clock>,
}

pub fn seen(who: u8) -> Seen {
    let bbox = Rect { x1: 10.0, y1: 10.0, x2: 40.0, y2: 40.0 };
    let face = Face { bbox, score: 0.9, landmarks: [Point { x: 20.0, y: 20.0 }; 5] };
    let scores = Scores { best: 0, similarity: Similarity::new(0.7).unwrap(), margin: 0.2, confidence: 0.9 };
    let opinion = match who {
        STRANGER => Opinion::Stranger { scores },
        person => Opinion::Known { person: PersonId(person.into()), scores },
    };
    Seen { track: TrackId(0), face, quality: Quality::default(), opinion: Some(opinion), flaw: None }
}

impl Analyzer for FakeAnalyzer {
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError> {
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
            let reason = "out of memory".to_owned();
            return Err(RuntimeError::OnnxRuntime { doing: "run", reason }.into());
        }
        let mut sighting = Sighting { captured: frame.captured(), ..Sighting::default() };
        let there = (frame.pixels()[0] != NOBODY).then(|| seen(frame.pixels()[0]));
        let boxes: Vec<Rect> = there.iter().map(|seen| seen.face.bbox).collect();
        let tracks = tracker.on_faces(frame.captured(), &boxes);
        for (seen, track) in there.into_iter().zip(tracks) {
            sighting.seen.push(Seen { track: track.unwrap(), ..seen }).unwrap();
        }
        Ok(sighting)
    }
}

/// Wires that say something so many milliseconds after the start.
pub struct FakeInputs {
    pub script: Vec<(u64, Input)>,
    pub clock: Clock,
}

impl Inputs for FakeInputs {
    fn next(&mut self, patience: Duration) -> Result<Option<Input>, InputError> {
        let due = self.script.first().is_some_and(|(at, _)| self.clock.now() >= ms(*at));
        if due {
            return Ok(Some(self.script.remove(0).1));
        }
        thread::sleep(patience.min(Duration::from_millis(5)));
        Ok(None)
    }
}

/// A display whose cable is pulled.
pub struct NoCable;

impl Display for NoCable {
    fn describe(&self) -> String {
        "a display without its cable".to_owned()
    }

    fn show(&mut self, _: &Screen) -> Result<(), DisplayError> {
        let refused = PanelError::Bus { bus: "I²C", why: "no acknowledge".to_owned() };
        Err(DisplayError::Panel { panel: "/dev/i2c-1".to_owned(), source: Arc::new(refused) })
    }
}

pub struct Rig {
    pub scene: Vec<Option<u8>>,
    pub analyzer: FakeAnalyzer,
    pub breaks_at: Option<usize>,
    pub camera_panics_at: Option<usize>,
    pub troubles: Vec<(Range<usize>, CameraFault)>,
    pub inputs: Vec<(u64, Input)>,
    pub relay: SimSettings,
    pub display: Box<dyn Display>,
    pub real: Option<Clock>,
    pub stage_patience: Duration,
    pub stop: Stop,
    pub exchange: Exchange,
}

pub struct Run {
    pub outcome: Outcome,
    pub edges: Vec<Edge>,
    pub events: Vec<Event>,
    pub log: EdgeLog,
}

impl Rig {
    pub fn new(scene: impl IntoIterator<Item = u8>) -> Self {
        Self {
            scene: scene.into_iter().map(Some).collect(),
            analyzer: FakeAnalyzer::default(),
            breaks_at: None,
            camera_panics_at: None,
            troubles: Vec::new(),
            inputs: Vec::new(),
            relay: SimSettings::default(),
            display: Box::new(NoDisplay),
            real: None,
            stage_patience: Duration::from_secs(2),
            stop: Stop::new(),
            exchange: Exchange::default(),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a test in real time")]
    pub fn in_real_time(mut self) -> Self {
        let start = Instant::now();
        let clock = Clock::new(move || Uptime::ZERO + start.elapsed());
        self.analyzer.clock = Some(clock.clone());
        self.real = Some(clock);
        self
    }

    pub fn run(self) -> Run {
        let relay = SimRelay::new(self.relay);
        let (log, memory) = (relay.log(), Memory::default());
        let door = DoorSettings { release: Duration::from_secs(1), ..DoorSettings::default() };
        let now = self.real.as_ref().map_or(Uptime::ZERO, Clock::now);
        let parts = ExecutorParts {
            settings: ControllerSettings { door, ..ControllerSettings::default() },
            refusals: 0,
            relay: Box::new(relay),
            display: self.display,
            events: Box::new(memory.clone()),
            names: Names::new([(PersonId(1), "Ada"), (PersonId(2), "Grace")]),
        };
        let mut executor = Executor::new(parts, now).unwrap();
        let started = Started {
            software: "0".try_into().unwrap(),
            pack: "none".try_into().unwrap(),
            revision: 1,
            encoder: EncoderId([0; 32]).into(),
            people: 2,
            provider: "CPU".try_into().unwrap(),
        };
        executor.start(started, now);
        executor.ready(now);
        let camera = FakeCamera {
            scene: self.scene,
            next: 0,
            clock: self.real.clone().map(|clock| (now, clock)),
            breaks_at: self.breaks_at,
            panics_at: self.camera_panics_at,
            troubles: self.troubles,
            last: Picture::default(),
        };
        let watch = CameraWatchSettings { fault_after: Duration::from_secs(2), dark_below: 6.0 };
        let tracker = Tracker::new(TrackSettings::default()).unwrap();
        let stages = Stages { camera: Box::new(camera), watch, analyzer: Box::new(self.analyzer), tracker, executor };
        let outcome = match &self.real {
            None => lockstep::run(stages, &self.stop),
            Some(clock) => {
                let patience =
                    Patience { stage: self.stage_patience, max_frame_age: VoteSettings::default().max_frame_age };
                let inputs = FakeInputs { script: self.inputs, clock: clock.clone() };
                let surroundings =
                    Surroundings { inputs: Some(Box::new(inputs)), exchange: self.exchange, ..Surroundings::default() };
                threads::run(stages, surroundings, clock, &self.stop, patience).unwrap()
            }
        };
        Run { outcome, edges: log.edges(), events: memory.events(), log }
    }
}

impl Run {
    pub fn edge_times(&self) -> Vec<(u64, Strike)> {
        self.edges.iter().map(|edge| (edge.at.as_micros() / 1000, edge.to)).collect()
    }

    pub fn screens(&self) -> Vec<Screen> {
        let screen = |event: &Event| match &event.kind {
            EventKind::Screen(screen) => Some(screen.clone().into()),
            _ => None,
        };
        self.events.iter().filter_map(screen).collect()
    }

    pub fn faults(&self) -> Vec<Fault> {
        let fault = |event: &Event| match event.kind {
            EventKind::Fault(fault) => Some(fault.into()),
            _ => None,
        };
        self.events.iter().filter_map(fault).collect()
    }
}

pub fn many(who: u8, pictures: usize) -> Vec<u8> {
    vec![who; pictures]
}
