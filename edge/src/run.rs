//! Options → a run of the daemon, put together as the program does it.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lintel_core::door::Fault;
use lintel_core::lockout::Lockout;
use lintel_core::quality::QualityLimits;
use lintel_core::screen::Screen;
use lintel_core::table::{PersonId, Table};
use lintel_core::time::Uptime;
use lintel_formats::bundle::{self, Manifest};
use lintel_inference::{BundleError, FaceAnalyzer, Fallback, Fetch, Library, LoadedBundle, Options, Provider};
use lintel_wire::event::{Started, Text};

use crate::camera::replay::{Pace, Replay};
use crate::camera::v4l2::V4l2Camera;
use crate::camera::{Camera, CameraError};
use crate::clock::{Clock, Stop};
use crate::config::{CameraKind, Config, DisplayKind, ProviderName, RelayKind};
use crate::display::panel::PanelDisplay;
use crate::display::png::{self, PngDisplay};
use crate::display::st7789::Wiring;
use crate::display::{self, Display, NoDisplay, framebuffer, ssd1306, st7789};
use crate::events::{self, EventError, Sink, Tee, WireFile};
use crate::health::Watchdog;
use crate::inputs::{GpioInputs, Inputs};
use crate::journal::Journal;
use crate::link::{Chronicle, Device, FaultBoard, Link, Parts, Running, Silent, Wall};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::keeper::{Keeper, KeeperError, KeeperParts, Names};
use crate::pipeline::recorded::{Recorded, RecordedError};
use crate::pipeline::threads::{self, Patience, Surroundings};
use crate::pipeline::{Analyzer, End, Outcome, StageError, Stages, lockstep};
use crate::relay::Relay;
use crate::relay::gpio::{InputLine, OutputLine};
use crate::relay::line::{Feedback, Line, LineRelay};
use crate::relay::raspberry::RaspberryPin;
use crate::relay::sim::{SimRelay, SimSettings};
use crate::slots::disk::RealDisk;
use crate::slots::{Installed, SlotError, Slots};

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The settings.
    pub config: Config,
    /// Install this bundle first; without it the one that is installed runs.
    pub bundle: Option<PathBuf>,
    /// The state folder.
    pub state: PathBuf,
    /// Write the event stream to this file.
    pub events: Option<PathBuf>,
    /// Virtual time instead of real time.
    pub fast: bool,
    /// ONNX Runtime may be fetched if it is not found.
    pub fetch: bool,
    /// For rigs: nobody is recognised; what was seen before is taken from this file.
    pub recorded: Option<PathBuf>,
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state folder is in use.
    #[error("{}: another lintel-edge uses this state folder; stop it, or give another --state", .0.display())]
    InUse(PathBuf),
    /// The state folder cannot be made or locked.
    #[error("{}: {source}", path.display())]
    State {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No bundle was given, and none is installed.
    #[error("{}: no bundle is installed here; give one with --bundle DIR", .0.display())]
    NoBundle(PathBuf),
    /// The bundle cannot be used. What was installed before still is.
    #[error("bundle: {0}")]
    Bundle(#[from] BundleError),
    /// The bundle cannot be installed.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The recordings cannot be played.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The event file cannot be made.
    #[error(transparent)]
    Events(#[from] EventError),
    /// A setting is out of its range.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The relay's line cannot be taken.
    #[error("relay: {0}")]
    Relay(String),
    /// A wire of the door's cannot be read.
    #[error("inputs: {0}")]
    Inputs(String),
    /// Virtual time needs frames that have a time of their own.
    #[error("--fast plays recordings; a camera runs in real time: leave it out, or give --replay FILE_OR_DIR")]
    FastCamera,
    /// What a rig recorded cannot be used.
    #[error(transparent)]
    Recorded(#[from] RecordedError),
    /// The operating system gives no thread.
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
}

impl RunError {
    /// 1: the work failed; 2: what was given is not right.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::State { .. }
            | Self::Slot(SlotError::Disk { .. })
            | Self::Events(_)
            | Self::Relay(_)
            | Self::Inputs(_)
            | Self::Thread(_) => 1,
            Self::FastCamera
            | Self::Recorded(_)
            | Self::InUse(_)
            | Self::NoBundle(_)
            | Self::Bundle(_)
            | Self::Slot(_)
            | Self::Camera(_)
            | Self::Keeper(_) => 2,
        }
    }
}

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
    (clock, wall): (&Clock, &Wall),
    stop: &Stop,
) -> Result<Outcome, RunError> {
    let config = &options.config;
    let camera = open_camera(options, clock)?;
    let _lock = lock(&options.state)?;
    let mut display = open_display(options);
    // Before anything that takes time or may fail: a strike that was left released by a daemon that is gone is locked
    // by this, since the line is taken as an inactive output.
    let relay = open_relay(config).inspect_err(|_| drop(display.show(&Screen::Fault(Fault::Relay))))?;
    let inputs = open_inputs(config)?;
    // The keeper says it again; but loading takes a moment, and the display would be dark meanwhile.
    if let Err(e) = display.show(&Screen::Starting) {
        tracing::warn!("display: {e}");
    }
    let bundle = bundle(options)?;
    let started = Started { people: people(&bundle), ..started(&bundle) };
    let names = Names::new(bundle.table.people().iter().map(|person| (person.id, person.name.as_str())));
    // A removal that a power cut interrupted is finished before anybody is looked at.
    finish_removals(&options.state, &bundle.table);
    let running = (bundle.manifest.clone(), bundle.table.clone());
    let (analyzer, provider) = open_analyzer(options, bundle)?;
    let started = Started { provider: provider.clone(), ..started };
    let mut sinks: Vec<Box<dyn Sink>> = extra.into_iter().collect();
    let journal = open_journal(options, clock, wall);
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
        display = Box::new(display::Detached::spawn(display).map_err(RunError::Thread)?);
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
    keeper.slow_down(open_lockout(options, journal.as_ref(), now)?);
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
    let link = open_link(options, running, provider, (&exchange, faults), (journal, clock, wall), stop);
    let surroundings = Surroundings { inputs, alive: Box::new(move |now| watchdog.alive(now)), exchange };
    let outcome = threads::run(stages, surroundings, clock, stop, patience).map_err(RunError::Thread);
    drop(link);
    outcome
}

/// The network, if the settings want one. What is wrong with it is said, and the door goes on without.
fn open_link(
    options: &RunOptions,
    (manifest, table): (Manifest, Table),
    provider: Text,
    (exchange, faults): (&Exchange, FaultBoard),
    (journal, clock, wall): (Option<Journal>, &Clock, &Wall),
    stop: &Stop,
) -> Option<Link> {
    let network = &options.config.network;
    if network.listen.is_empty() {
        return None;
    }
    let parts = Parts {
        state: options.state.clone(),
        name: if network.name.is_empty() { host_name() } else { network.name.clone() },
        inference: inference(options),
        running: Running { manifest, table, provider: provider.as_str().to_owned() },
        exchange: exchange.clone(),
        chronicle: journal.map_or_else(|| Arc::new(Silent) as Arc<dyn Chronicle>, |journal| Arc::new(journal)),
        faults,
        clock: clock.clone(),
        wall: wall.clone(),
        table_lasts: options.config.table_lasts(),
    };
    let started =
        Device::open(parts).and_then(|device| Link::start(Arc::new(device), &network.listen, network.announce, stop));
    match started {
        Ok(link) => {
            tracing::info!("listening at {}", link.address());
            Some(link)
        }
        Err(e) => {
            tracing::error!("no network: {e}; the door goes on without it");
            None
        }
    }
}

/// The journal; a disk that refuses it now is said, and waited for. A run in virtual time is no history.
fn open_journal(options: &RunOptions, clock: &Clock, wall: &Wall) -> Option<Journal> {
    (!options.fast).then(|| Journal::patient(&options.state, options.config.journal.keep, clock, wall))
}

/// Refusals that were counted before the power went still count.
fn open_lockout(options: &RunOptions, journal: Option<&Journal>, now: Uptime) -> Result<Lockout, RunError> {
    let settings = options.config.lockout_settings();
    let before = journal.map_or(Ok(0), |journal| journal.refusals(settings.forget_after)).unwrap_or_else(|e| {
        tracing::error!("{e}");
        0
    });
    Lockout::new(settings, before, now).map_err(|e| RunError::Keeper(e.into()))
}

/// What the machine calls itself.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "lintel".to_owned() } else { name.to_owned() }
}

/// Takes out of the slot to go back to whoever is not in the table.
fn finish_removals(state: &Path, table: &Table) {
    let stay: BTreeSet<PersonId> = table.people().iter().map(|person| person.id).collect();
    match Slots::new(state, RealDisk).scrub(|id| stay.contains(&id)) {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => tracing::info!("{} removed people were taken out of the older bundle too", gone.len()),
        Err(e) => tracing::error!("{e}; removed people may still be in the older bundle"),
    }
}

/// The state folder is this process's alone until the file is dropped.
fn lock(state: &Path) -> Result<File, RunError> {
    fs::create_dir_all(state).map_err(|source| RunError::State { path: state.to_owned(), source })?;
    let path = state.join("lock");
    let file = match File::create(&path) {
        // A disk that can't be written any more still holds a bundle, and people still want to come home.
        Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
        made => made,
    };
    let file = file.map_err(|source| RunError::State { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::InUse(state.to_owned())),
        Err(TryLockError::Error(source)) => Err(RunError::State { path, source }),
    }
}

/// The bundle that is to run, from its slot; installed first, if one is given.
///
/// # Errors
/// When there is none, or it is not sound.
pub fn bundle(options: &RunOptions) -> Result<LoadedBundle, RunError> {
    let Some(folder) = &options.bundle else {
        let slots = Slots::new(&options.state, RealDisk);
        let slot = slots.current()?.ok_or_else(|| RunError::NoBundle(options.state.clone()))?;
        return Ok(LoadedBundle::load(&slots.dir(slot))?);
    };
    if let Some(bundle) = newer_installed(folder, &options.state) {
        tracing::warn!(
            "revision {} is installed, {} holds an older one: a door only goes forward",
            bundle.manifest.revision,
            folder.display()
        );
        return Ok(bundle);
    }
    let (installed, bundle) = install(folder, &options.state)?;
    let Installed { slot, changed, .. } = installed;
    tracing::info!("the bundle {} slot {slot}", if changed { "was installed in" } else { "is already in" });
    Ok(bundle)
}

/// The bundle that is installed, if it is newer than the one in `folder`: a `--bundle` that was left on the command line
/// of the first start must not undo a push, and bring a removed person back, with every start.
fn newer_installed(folder: &Path, state: &Path) -> Option<LoadedBundle> {
    let slots = Slots::new(state, RealDisk);
    let installed = LoadedBundle::load(&slots.dir(slots.current().ok()??)).ok()?;
    let given = fs::read(folder.join(bundle::MANIFEST)).ok()?;
    let given = Manifest::from_bytes(&given).ok()?;
    (installed.manifest.revision > given.revision).then_some(installed)
}

/// Installs the bundle in `folder` under `state`, and gives it as it was loaded from there.
///
/// # Errors
/// When the bundle is not sound or cannot be written; what was current before still is.
pub fn install(folder: &Path, state: &Path) -> Result<(Installed, LoadedBundle), RunError> {
    // First as it is, so that a bad bundle writes nothing at all.
    let mut loaded = LoadedBundle::load(folder)?;
    let mut files = Vec::new();
    for name in [bundle::DETECTOR, bundle::ENCODER, bundle::TABLE, bundle::MANIFEST] {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|source| BundleError::Read { path, source })?;
        files.push((name, bytes));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let installed = Slots::new(state, RealDisk).install(&files, |dir| {
        loaded = LoadedBundle::load(dir).map_err(|e| e.to_string())?;
        Ok(())
    })?;
    Ok((installed, loaded))
}

/// How the models are run, by the settings.
#[must_use]
pub fn inference(options: &RunOptions) -> Options {
    let inference = &options.config.inference;
    let provider = |name: &ProviderName| match name {
        ProviderName::Tensorrt => Provider::TensorRt,
        ProviderName::Cuda => Provider::Cuda,
        ProviderName::Cpu => Provider::Cpu,
    };
    let path = Some(inference.onnxruntime.clone()).filter(|path| !path.as_os_str().is_empty());
    Options {
        library: Library { path, fetch: if options.fetch { Fetch::Allowed } else { Fetch::Never } },
        providers: inference.providers.iter().map(provider).collect(),
        fallback: if inference.require { Fallback::Refused } else { Fallback::Shown },
        threads: inference.threads.into(),
        engines: Some(options.state.join("engines")),
    }
}

/// The camera that the settings name.
fn open_camera(options: &RunOptions, clock: &Clock) -> Result<Box<dyn Camera>, RunError> {
    let camera = &options.config.camera;
    match camera.kind {
        CameraKind::Replay => {
            let pace = if options.fast { Pace::Virtual } else { Pace::RealTime(clock.clone()) };
            Ok(Box::new(Replay::new(&camera.recordings, camera.gap_s.duration(), pace)?))
        }
        CameraKind::V4l2 if options.fast => Err(RunError::FastCamera),
        CameraKind::V4l2 => Ok(Box::new(V4l2Camera::new(options.config.v4l2_settings(), clock.clone()))),
    }
}

/// The models, and what computes them; or, for rigs, what was seen before.
fn open_analyzer(options: &RunOptions, bundle: LoadedBundle) -> Result<(Box<dyn Analyzer>, Text), RunError> {
    if let Some(path) = &options.recorded {
        tracing::warn!("nobody is recognised: what is seen comes from {}", path.display());
        return Ok((Box::new(Recorded::open(path)?), events::text("recorded")));
    }
    let vision = FaceAnalyzer::new(bundle, &inference(options), QualityLimits::default())?;
    for skipped in vision.encoder().skipped().iter().chain(vision.detector().skipped()) {
        tracing::warn!("inference provider {} was skipped: {}", skipped.provider, skipped.reason);
    }
    let provider = events::text(vision.encoder().provider().name());
    Ok((Box::new(vision), provider))
}

/// The relay that the settings name, its line inactive.
///
/// # Errors
/// When its line cannot be taken.
pub fn open_relay(config: &Config) -> Result<Box<dyn Relay>, RunError> {
    let relay = &config.relay;
    let line: Box<dyn Line> = match relay.kind {
        RelayKind::Sim => return Ok(Box::new(SimRelay::new(SimSettings::default()))),
        RelayKind::Gpio => Box::new(OutputLine::take(&relay.line, relay.active.into()).map_err(RunError::Relay)?),
        RelayKind::RaspberryPi => {
            Box::new(RaspberryPin::take(&relay.line, relay.active.into()).map_err(RunError::Relay)?)
        }
    };
    let contact = (!relay.feedback.is_empty()).then(|| {
        let released = relay.feedback_released.into();
        InputLine::take(&relay.feedback, released, config.inputs.pull.into(), Duration::ZERO)
    });
    let contact = contact.transpose().map_err(|e| RunError::Relay(format!("its contact: {e}")))?;
    let contact = contact.map(|line| Box::new(line) as Box<dyn Feedback>);
    Ok(Box::new(LineRelay::new(line, config.relay_action(), contact).map_err(RunError::Thread)?))
}

/// The door's wires, if the settings name any.
fn open_inputs(config: &Config) -> Result<Option<Box<dyn Inputs>>, RunError> {
    let Some(settings) = config.input_settings() else { return Ok(None) };
    let inputs = GpioInputs::take(&settings).map_err(RunError::Inputs)?;
    for wire in inputs.describe() {
        tracing::info!("{wire}");
    }
    Ok(Some(Box::new(inputs)))
}

/// The display that the settings name. One that cannot be opened now is tried again whenever there is something to
/// show; only a folder that cannot be written is no display, and a warning.
#[must_use]
pub fn open_display(options: &RunOptions) -> Box<dyn Display> {
    let settings = options.config.display.clone();
    let words = describe_display(options);
    let device = display_device(options);
    match settings.kind {
        DisplayKind::None => Box::new(NoDisplay),
        DisplayKind::Png => match PngDisplay::new(&options.state.join("display"), settings.size, settings.history) {
            Ok(display) => Box::new(display),
            Err(e) => {
                tracing::warn!("display: {e}; the door goes on without it");
                Box::new(NoDisplay)
            }
        },
        DisplayKind::Ssd1306 => {
            let open = move || ssd1306::open(&device, settings.i2c_address);
            Box::new(PanelDisplay::new(words, Box::new(open)))
        }
        DisplayKind::St7789 => {
            let wiring = Wiring {
                data_command: settings.data_command,
                reset: settings.reset,
                hertz: settings.spi_mhz.saturating_mul(1_000_000),
            };
            Box::new(PanelDisplay::new(words, Box::new(move || st7789::open(&device, &wiring))))
        }
        DisplayKind::Framebuffer => Box::new(PanelDisplay::new(words, Box::new(move || framebuffer::open(&device)))),
    }
}

/// The bus or screen of the display that the settings name.
fn display_device(options: &RunOptions) -> PathBuf {
    let display = &options.config.display;
    let usual = match display.kind {
        DisplayKind::Ssd1306 => ssd1306::BUS,
        DisplayKind::St7789 => st7789::BUS,
        DisplayKind::Framebuffer => framebuffer::SCREEN,
        DisplayKind::Png | DisplayKind::None => "",
    };
    PathBuf::from(if display.device.is_empty() { usual } else { &display.device })
}

/// One line about the display that the settings name; opens nothing.
#[must_use]
pub fn describe_display(options: &RunOptions) -> String {
    let device = display_device(options);
    let device = device.display();
    match options.config.display.kind {
        DisplayKind::None => NoDisplay.describe(),
        DisplayKind::Png => png::describe(&options.state.join("display"), options.config.display.size),
        DisplayKind::Ssd1306 => format!("SSD1306, 128×64, on {device}"),
        DisplayKind::St7789 => format!("ST7789, 240×240, on {device}"),
        DisplayKind::Framebuffer => format!("framebuffer {device}"),
    }
}

fn started(bundle: &LoadedBundle) -> Started {
    let manifest = &bundle.manifest;
    Started {
        software: events::text(env!("CARGO_PKG_VERSION")),
        pack: events::text(&manifest.pack),
        revision: manifest.revision,
        encoder: manifest.encoder,
        people: 0,
        provider: Text::new(),
    }
}

fn people(bundle: &LoadedBundle) -> u32 {
    u32::try_from(bundle.table.people().len()).unwrap_or(u32::MAX)
}
