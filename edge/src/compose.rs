//! Options → a run of the daemon, put together as the program does it; each part beside the settings that choose it.

use lintel_core::door::Fault;
use lintel_core::screen::Screen;
use lintel_core::time::Uptime;
use lintel_wire::event::Started;

use crate::events::faults::FaultBoard;
use crate::events::{self, Sink, Tee, WireFile};
use crate::health::Watchdog;
use crate::io::camera::CameraError;
use crate::io::clock::{Clock, Stop, WallClock};
use crate::io::display::Detached;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::keeper::{Keeper, KeeperParts, Names};
use crate::pipeline::threads::{self, Patience, Surroundings};
use crate::pipeline::{End, Outcome, StageError, Stages, lockstep};

pub mod analyzer;
mod audit_log;
pub mod bundle;
mod camera;
pub mod display;
pub mod door;
mod error;
mod link;
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

/// Runs the daemon until its recordings end or somebody asks to stop. `extra` gets every event too.
///
/// # Errors
/// When the run did not begin. One that began ends with an [`Outcome`], whatever became of it.
pub fn run(
    options: &RunOptions,
    extra: Option<Box<dyn Sink>>,
    (clock, wall): (&Clock, &WallClock),
    stop: &Stop,
) -> Result<Outcome, RunError> {
    let config = &options.config;
    let camera = camera::open(options, clock)?;
    let _lock = state::lock(&options.state)?;
    let mut display = display::open(options);
    // Before anything that takes time or may fail: a strike that was left released by a daemon that is gone is locked
    // by this, since the line is taken as an inactive output.
    let relay = door::open_relay(config).inspect_err(|_| drop(display.show(&Screen::Fault(Fault::Relay))))?;
    let inputs = door::open_inputs(config)?;
    // The keeper says it again; but loading takes a moment, and the display would be dark meanwhile.
    if let Err(e) = display.show(&Screen::Starting) {
        tracing::warn!("display: {e}");
    }
    let bundle = bundle::open(options)?;
    let started = bundle::started(&bundle);
    let names = Names::new(bundle.table.people().iter().map(|person| (person.id, person.name.as_str())));
    // A removal that a power cut interrupted is finished before anybody is looked at.
    bundle::finish_removals(&options.state, &bundle.table);
    let running = (bundle.manifest.clone(), bundle.table.clone());
    let (analyzer, provider) = analyzer::open(options, bundle)?;
    let started = Started { provider: provider.clone(), ..started };
    let mut sinks: Vec<Box<dyn Sink>> = extra.into_iter().collect();
    let journal = audit_log::open(options, clock, wall);
    if let Some(journal) = &journal {
        sinks.push(Box::new(journal.sink().map_err(RunError::Thread)?));
    }
    let faults = FaultBoard::default();
    sinks.push(Box::new(faults.clone()));
    if let Some(path) = &options.events {
        sinks.push(Box::new(WireFile::create(path)?));
    }
    let mut events: Box<dyn Sink> = Box::new(Tee(sinks));
    if !options.fast {
        // In real time nothing slow may stand between a deadline and the strike.
        events = Box::new(events::Detached::spawn(events).map_err(RunError::Thread)?);
        display = Box::new(Detached::spawn(display).map_err(RunError::Thread)?);
    }
    let mut keeper = Keeper::new(KeeperParts {
        vote: options.config.vote_settings(),
        door: options.config.door_settings(),
        relay,
        display,
        events,
        names,
    })?;
    let now = if options.fast { Uptime::ZERO } else { clock.now() };
    keeper.slow_down(audit_log::lockout(options, journal.as_ref(), now)?);
    keeper.start(started, now);
    keeper.ready(now);
    let stages = Stages { camera, watch: options.config.camera_watch(), analyzer, keeper };
    if options.fast {
        return Ok(lockstep::run(stages, stop));
    }
    let pipeline = &options.config.pipeline;
    let patience = Patience {
        stage: pipeline.stage_timeout_s.duration(),
        max_frame_age: options.config.vote_settings().max_frame_age,
    };
    let mut watchdog = Watchdog::from_environment();
    watchdog.ready();
    let exchange = Exchange::default();
    let link = link::open(options, running, provider, (&exchange, faults), (journal, clock, wall), stop);
    let surroundings = Surroundings { inputs, alive: Box::new(move |now| watchdog.alive(now)), exchange };
    let outcome = threads::run(stages, surroundings, clock, stop, patience).map_err(RunError::Thread);
    drop(link);
    outcome
}
