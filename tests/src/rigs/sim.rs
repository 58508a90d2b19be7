//! A story → what the daemon's stages do, in this process and in virtual time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lintel_core::controller::Names;
use lintel_core::door::CameraFault;
use lintel_core::quality::QualityLimits;
use lintel_core::screen::Screen;
use lintel_core::table::PersonId;
use lintel_core::time::Uptime;
use lintel_core::track::Tracker;
use lintel_edge::compose::bundle::install;
use lintel_edge::config::{Config, Size};
use lintel_edge::events::memory::Memory;
use lintel_edge::events::{EventError, Everyone, Occurrence, Subscriber, text};
use lintel_edge::io::camera::replay::{Pace, Replay};
use lintel_edge::io::camera::{Camera, CameraError, Captured, Picture, Trouble};
use lintel_edge::io::clock::Stop;
use lintel_edge::io::display::card::slug;
use lintel_edge::io::display::panel::PanelError;
use lintel_edge::io::display::png::PngDisplay;
use lintel_edge::io::display::{Display, DisplayError};
use lintel_edge::io::relay::sim::{SimRelay, SimSettings};
use lintel_edge::pipeline::executor::{Executor, ExecutorParts};
use lintel_edge::pipeline::{Analyzer, End, Stages, lockstep};
use lintel_inference::FaceAnalyzer;
use lintel_wire::event::{Event, EventKind, Started, Verdict};
use lintel_wire::value::Strike;

use crate::recordings::recording;
use crate::story::{Observed, ObservedFault, ObservedRelease, Story, Visit};
use crate::world::{self, World};

/// A display whose cable is pulled.
struct Unplugged;

impl Display for Unplugged {
    fn describe(&self) -> String {
        "a display whose cable is pulled".to_owned()
    }

    fn show(&mut self, _: &Screen) -> Result<(), DisplayError> {
        let silent = PanelError::Silent { address: 0x3c, why: "no acknowledge".to_owned() };
        Err(DisplayError::Panel { panel: "display".to_owned(), source: Arc::new(silent) })
    }
}

/// The result of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// All events, in order.
    pub events: Vec<Event>,
    /// The error that ended the run; `None` if it ended with the recordings.
    pub error: Option<String>,
    /// For each person in the table: their id, and the number N in `enrolled N`.
    pub people: Vec<(PersonId, u32)>,
}

/// Plays a story; `state` is an empty folder for the daemon. The simulated machine has no clock but its uptime, which
/// is how a clock at 1970 looks to a door.
///
/// # Errors
/// If the rig fails: the bundle cannot be installed, or a recording cannot be made.
pub fn play(story: &Story, world: &World, state: &Path) -> Result<Run> {
    let bundle = state.join("given");
    crate::rigs::bundle(story, world, &bundle)?;
    let Some(power) = story.power else { return power_on(story, world, state, 0) };
    // Keep the events before the cut.
    let mut run = power_on(story, world, state, 0)?;
    let released = run.events.iter().position(|event| event.kind == EventKind::Relay(Strike::Released));
    let released = released.context("the strike is never released, so there is no moment to cut the power at")?;
    let cut = Uptime::from(run.events[released].at) + Duration::try_from_secs_f64(power.cut_after_s)?;
    run.events.retain(|event| event.at <= cut.into());
    let begun = run.events.iter().filter(|event| matches!(event.kind, EventKind::Visit { .. })).count();
    // A relay coil without power locks the strike.
    run.events.push(Event { at: cut.into(), kind: EventKind::Relay(Strike::Locked) });
    let after = power_on(story, world, state, begun)?;
    run.events.extend(after.events);
    Ok(Run { error: after.error, ..run })
}

/// Starts the daemon and plays the visits from index `from` on.
fn power_on(story: &Story, world: &World, state: &Path, from: usize) -> Result<Run> {
    let (_, bundle) = install(&state.join("given"), state)?;
    let started = Started {
        software: text(env!("CARGO_PKG_VERSION")),
        pack: text(&bundle.manifest.pack),
        revision: bundle.manifest.revision,
        encoder: bundle.manifest.encoder.into(),
        people: u32::try_from(bundle.table.people().len())?,
        provider: text("cpu"),
    };
    let vision = FaceAnalyzer::new(bundle, &lintel_work::places::runtime(), QualityLimits::default())?;
    let number = |name: &str| (1..=world::ENROLLED).find(|number| world::name(*number) == name);
    let people = vision.table().people().iter().filter_map(|person| Some((person.id, number(&person.name)?))).collect();
    let visits = &story.visits[from..];
    // A replay ends at a damaged picture. For a live camera `Cable` damages them instead.
    let whole = |visit: &Visit| Visit { damaged_from_s: None, ..visit.clone() };
    let recordings =
        visits.iter().map(|visit| recording(&whole(visit), &world.kept())).collect::<Result<Vec<PathBuf>>>()?;
    let camera = Cable {
        camera: Replay::new(&recordings, Duration::try_from_secs_f64(story.gap_s)?, Pace::Virtual)?,
        troubles: visits.iter().map(trouble).collect(),
        visit: None,
    };
    let display: Box<dyn Display> = if story.display.missing {
        Box::new(Unplugged)
    } else {
        Box::new(PngDisplay::new(&state.join("display"), Size::Colour240x240, 1000)?)
    };
    let relay = SimRelay::new(SimSettings { welds_after: story.relay.welds_after, ..SimSettings::default() });
    let memory = Memory::default();
    let mut subscribers: Vec<Box<dyn Subscriber>> = vec![Box::new(memory.clone())];
    if story.disk.full {
        subscribers.push(Box::new(FullDisk));
    }
    let config = Config::default();
    let parts = ExecutorParts {
        settings: config.controller_settings(),
        refusals: 0,
        relay: Box::new(relay),
        display,
        events: Box::new(Everyone(subscribers)),
        names: Names::new(vision.table().people().iter().map(|person| (person.id, person.name.as_str()))),
    };
    let mut executor = Executor::new(parts, Uptime::ZERO)?;
    executor.start(started, Uptime::ZERO);
    executor.ready(Uptime::ZERO);
    let tracker = Tracker::new(config.track_settings())?;
    let analyzer: Box<dyn Analyzer> = Box::new(vision);
    let stages = Stages { camera: Box::new(camera), watch: config.camera_watch(), analyzer, tracker, executor };
    let outcome = lockstep::run(stages, &Stop::new());
    let error = match outcome.end {
        End::Played => None,
        End::Stopped => Some("stopped".to_owned()),
        End::Failed(e) => Some(e.to_string()),
    };
    Ok(Run { events: memory.events(), error, people })
}

/// A disk without space.
struct FullDisk;

impl Subscriber for FullDisk {
    fn notify(&mut self, _: &Occurrence) -> Result<(), EventError> {
        Err(EventError::Write { path: PathBuf::from("events"), source: ErrorKind::StorageFull.into() })
    }
}

/// The second of a visit at which the camera's cable gets into trouble, and which trouble.
fn trouble(visit: &Visit) -> Option<(f32, CameraFault)> {
    let unplugged = visit.unplugged_from_s.map(|from| (from, CameraFault::Gone));
    unplugged.or(visit.damaged_from_s.map(|from| (from, CameraFault::Corrupt)))
}

/// A camera whose cable is pulled or damaged.
struct Cable {
    camera: Replay,
    /// One entry for each visit.
    troubles: Vec<Option<(f32, CameraFault)>>,
    /// Index of the current visit, and when it began.
    visit: Option<(usize, Uptime)>,
}

impl Camera for Cable {
    fn describe(&self) -> String {
        self.camera.describe()
    }

    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError> {
        let captured = self.camera.capture(picture)?;
        if let Captured::Visit(visit) = &captured {
            self.visit = Some((self.visit.map_or(0, |(visit, _)| visit + 1), visit.begins));
        }
        let trouble = self.visit.and_then(|(visit, began)| Some((self.troubles.get(visit).copied().flatten()?, began)));
        match (&captured, trouble) {
            (Captured::Picture, Some(((from, fault), began)))
                if picture.captured.since(began).as_secs_f32() >= from =>
            {
                let why = "the cable".to_owned();
                Ok(Captured::Trouble(Trouble { fault, at: picture.captured, why }))
            }
            _ => Ok(captured),
        }
    }
}

/// Extracts from the events what a story checks.
#[must_use]
pub fn observe(run: &Run) -> Observed {
    let mut observed = Observed { error: run.error.clone(), ..Observed::default() };
    let (mut visit, mut began, mut known, mut released) = (0, Uptime::ZERO, 0, Uptime::ZERO);
    let seconds = |from: Uptime, to: Uptime| to.since(from).as_secs_f64();
    for Event { at, kind } in &run.events {
        let at = Uptime::from(*at);
        match kind {
            EventKind::Visit { .. } => (visit, began) = (visit + 1, at),
            EventKind::Decision(decision) => {
                if let Verdict::Known(person) = decision.verdict {
                    known = run.people.iter().find(|(id, _)| *id == person.into()).map_or(0, |(_, number)| *number);
                }
            }
            EventKind::Relay(Strike::Released) => {
                released = at;
                let release = ObservedRelease { visit, person: known, at_s: seconds(began, at), for_s: None };
                observed.releases.push(release);
            }
            EventKind::Relay(Strike::Locked) => {
                if let Some(release) = observed.releases.last_mut() {
                    release.for_s = Some(seconds(released, at));
                }
            }
            EventKind::Fault(fault) => {
                observed.faults.push(ObservedFault { words: fault.to_string(), visit, at_s: seconds(began, at) });
            }
            EventKind::Screen(screen) => observed.screens.push(slug(&screen.clone().into()).to_owned()),
            EventKind::Started(_)
            | EventKind::Sighting(_)
            | EventKind::Door(_)
            | EventKind::Contact(_)
            | EventKind::FaultCleared(_)
            | EventKind::Stopped
            | EventKind::LockedOut { .. } => {}
        }
    }
    observed
}
