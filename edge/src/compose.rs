//! Options → a run of the daemon, put together as the program does it; each part beside the settings that choose it.

use lintel_core::controller::{ControllerError, Names};
use lintel_core::door::Fault;
use lintel_core::screen::Screen;
use lintel_core::time::Uptime;
use lintel_core::track::Tracker;
use lintel_wire::event::Started;

use crate::config::Config;
use crate::events::fault_board::FaultBoard;
use crate::events::stream::Stream;
use crate::events::wire_file::WireFile;
use crate::events::{Everyone, Subscriber};
use crate::health::Watchdog;
use crate::io::camera::CameraError;
use crate::io::clock::{Clocks, Stop};
use crate::io::display::Detached;
use crate::link::Running;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::executor::{Executor, ExecutorParts};
use crate::pipeline::threads::{self, Patience, Surroundings};
use crate::pipeline::{End, Outcome, StageError, Stages, lockstep};

pub mod analyzer;
pub mod audit_log;
pub mod bundle;
pub mod camera;
pub mod display;
pub mod door;
mod error;
pub mod link;
mod options;
mod state;
pub mod warmup;

pub use error::RunError;
pub use options::RunOptions;

/// The exit code of a run that began: 0 played to the end, 1 a stage failed, 2 a recording is damaged, 130 stopped.
#[must_use]
pub fn exit_code(end: &End) -> u8 {
    match end {
        End::Played => 0,
        End::Stopped => 130,
        End::Failed(StageError::Camera(CameraError::Open { .. } | CameraError::Frame { .. })) => 2,
        End::Failed(_) => 1,
    }
}

/// How long the stages of a run in real time may be silent, and how old frames get, by `[pipeline]`.
#[must_use]
pub fn patience(config: &Config) -> Patience {
    Patience { stage: config.pipeline.stage_timeout_s.duration(), max_frame_age: config.vote_settings().max_frame_age }
}

/// Runs the daemon until its recordings end or somebody asks to stop. `extra` gets every event too.
///
/// # Errors
/// When the run did not begin. One that began ends with an [`Outcome`], whatever became of it.
pub fn run(
    options: &RunOptions,
    extra: Option<Box<dyn Subscriber>>,
    clocks: &Clocks,
    stop: &Stop,
) -> Result<Outcome, RunError> {
    let config = &options.config;
    let clock = &clocks.monotonic;
    let camera = camera::open(camera::plan(config), options.fast, clock)?;
    let _lock = state::lock(&options.state)?;
    let mut display = display::open(display::plan(options));
    // Before anything that takes time or may fail: a strike that was left released by a daemon that is gone is locked
    // by this, since the line is taken as an inactive output.
    let relay =
        door::open_relay(door::relay_plan(config)).inspect_err(|_| drop(display.show(&Screen::Fault(Fault::Relay))))?;
    let inputs = door::open_inputs(config)?;
    tracing::info!("without power the door is {}", door::without_power(config.door_settings().fail));
    // The controller says it again; but loading takes a moment, and the display would be dark meanwhile.
    if let Err(e) = display.show(&Screen::Starting) {
        tracing::warn!("display: {e}");
    }
    let bundle = bundle::open(options)?;
    let started = bundle::started(&bundle);
    let names = Names::new(bundle.table.people().iter().map(|person| (person.id, person.name.as_str())));
    // A removal that a power cut interrupted is finished before anybody is looked at.
    bundle::finish_removals(&options.state, &bundle.table);
    let (manifest, table) = (bundle.manifest.clone(), bundle.table.clone());
    let (analyzer, provider) = analyzer::open(options, bundle)?;
    let running = Running { manifest, table, provider: provider.as_str().to_owned() };
    let started = Started { provider, ..started };
    let faults = FaultBoard::default();
    let mut subscribers: Vec<Box<dyn Subscriber>> = extra.into_iter().collect();
    subscribers.push(Box::new(faults.clone()));
    if let Some(path) = &options.events {
        subscribers.push(Box::new(WireFile::create(path)?));
    }
    let everyone = Box::new(Everyone(subscribers));
    let parts = |refusals, display, events| ExecutorParts {
        settings: config.controller_settings(),
        refusals,
        relay,
        display,
        events,
        names,
    };
    let tracker = Tracker::new(config.track_settings()).map_err(|e| ControllerError::Decider(e.into()))?;
    let begin = |parts: ExecutorParts, now| {
        let mut executor = Executor::new(parts, now)?;
        executor.start(started, now);
        executor.ready(now);
        Ok::<_, RunError>(Stages { camera, watch: config.camera_watch(), analyzer, tracker, executor })
    };
    if options.fast {
        return Ok(lockstep::run(begin(parts(0, display, everyone), Uptime::ZERO)?, stop));
    }
    // In real time nothing slow may stand between a deadline and the strike.
    let audit_log = audit_log::open(options, clocks);
    let stream = Stream::start(vec![("audit log", Box::new(audit_log.subscriber())), ("events", everyone)])
        .map_err(RunError::Thread)?;
    let display = Box::new(Detached::spawn(display).map_err(RunError::Thread)?);
    let now = clock.now();
    let refusals = audit_log::refusals(options, &audit_log);
    let stages = begin(parts(refusals, display, Box::new(stream.publisher())), now)?;
    let mut watchdog = Watchdog::from_environment();
    watchdog.ready();
    let exchange = Exchange::default();
    let log = link::Log { publisher: stream.publisher(), audit_log, faults };
    let link = link::plan(config).and_then(|plan| link::open(plan, options, running, &exchange, log, clocks, stop));
    let surroundings = Surroundings { inputs, alive: Box::new(move |now| watchdog.alive(now)), exchange };
    let outcome = threads::run(stages, surroundings, clock, stop, patience(config)).map_err(RunError::Thread);
    drop(link);
    outcome
}
