//! How fast the door is: the pipeline compared with the models alone, time to verdict, growth of memory, and time to
//! start.
//!
//! ```sh
//! cargo build --release --workspace && target/release/pipeline_speed --frames 100000
//! ```

use std::alloc::System;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use lintel_core::controller::{ControllerSettings, Names};
use lintel_core::decision::Sighting;
use lintel_core::frame::Frame;
use lintel_core::lockout::UNLIMITED;
use lintel_core::quality::QualityLimits;
use lintel_core::time::Uptime;
use lintel_core::track::Tracker;
use lintel_edge::config::Config;
use lintel_edge::events::memory::Memory;
use lintel_edge::events::{Nobody, Subscriber};
use lintel_edge::io::camera::replay::{Pace, Replay};
use lintel_edge::io::camera::{Camera, CameraError, Captured, Picture};
use lintel_edge::io::clock::{Clock, Stop};
use lintel_edge::io::display::NoDisplay;
use lintel_edge::io::relay::sim::{SimRelay, SimSettings};
use lintel_edge::pipeline::executor::{Executor, ExecutorParts};
use lintel_edge::pipeline::threads::{self, Patience, Surroundings};
use lintel_edge::pipeline::{Analyzer, AnalyzerError, End, Stages, lockstep};
use lintel_inference::{FaceAnalyzer, Options, Timings};
use lintel_tests::recordings::recording;
use lintel_tests::rigs::link::clock;
use lintel_tests::rigs::programs::{daemon, program};
use lintel_tests::story::{Visit, Who};
use lintel_tests::world::World;
use lintel_wire::event::{self, EventKind, Verdict};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How fast the door is.
#[derive(Parser)]
struct Args {
    /// Where the trained bundle is kept
    #[arg(long, default_value = "target/tmp")]
    cache: PathBuf,
    /// Frames that are replayed without a pause
    #[arg(long, default_value_t = 1000)]
    frames: usize,
    /// Visits in real time
    #[arg(long, default_value_t = 8)]
    visits: usize,
    /// Starts of the daemon
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Threads of ONNX Runtime; 0: as many as there are cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let world = World::open(&args.cache)?;
    let visit = |number: u32| Visit::of(vec![Who::Enrolled(number)], 6.0);
    let played = (1..=2).map(|number| recording(&visit(number), &world.kept())).collect::<Result<Vec<_>>>()?;
    let options = Options { threads: args.threads, ..lintel_work::places::runtime() };
    replayed(args.frames, &world, &options, &played)?.print();
    rounds(&world, &options, &played)?;
    live(&args, &world, &options, &played)?;
    starts(&args, &world, &played)
}

/// An analyzer that records the models' time after each look.
struct Timed {
    vision: FaceAnalyzer,
    timings: Arc<Mutex<Timings>>,
    looks: Arc<Mutex<Looks>>,
}

/// The resources that the process had used at some looks.
#[derive(Default)]
struct Looks {
    done: usize,
    every: usize,
    marks: Vec<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    looks: usize,
    wall: Instant,
    cpu: Duration,
    resident_kb: u64,
    allocations: usize,
    held: isize,
}

impl Analyzer for Timed {
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError> {
        let seen = Analyzer::look(&mut self.vision, frame, tracker)?;
        *self.timings.lock().unwrap_or_else(PoisonError::into_inner) = self.vision.timings();
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.done += 1;
        if looks.done.is_multiple_of(looks.every) {
            let mark = mark(looks.done, resident());
            looks.marks.push(mark);
        }
        Ok(seen)
    }
}

#[allow(clippy::disallowed_methods, reason = "this program measures time")]
fn now() -> Instant {
    Instant::now()
}

fn mark(looks: usize, resident_kb: u64) -> Mark {
    let stats = HEAP.stats();
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Mark {
        looks,
        wall: now(),
        cpu: Duration::new(used.tv_sec.cast_unsigned(), u32::try_from(used.tv_nsec).unwrap_or_default()),
        resident_kb,
        allocations: stats.allocations + stats.reallocations,
        held: stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed(),
    }
}

/// Memory of this process, in kB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn executor(vision: &FaceAnalyzer, config: &Config, events: Box<dyn Subscriber>) -> Result<Executor> {
    let names = vision.table().people().iter().map(|person| (person.id, person.name.as_str()));
    let parts = ExecutorParts {
        // The same few people come again and again.
        settings: ControllerSettings { lockout: UNLIMITED, ..config.controller_settings() },
        refusals: 0,
        relay: Box::new(SimRelay::new(SimSettings::default())),
        display: Box::new(NoDisplay),
        events,
        names: Names::new(names),
    };
    Ok(Executor::new(parts, Uptime::ZERO)?)
}

/// Time per frame, one frame after the other.
struct Replayed {
    frames: u64,
    /// Milliseconds per frame.
    whole: f64,
    /// Milliseconds of it in the models.
    models: f64,
    marks: Vec<Mark>,
}

impl Replayed {
    fn print(&self) {
        let Self { frames, whole, models, .. } = self;
        println!(
            "one after the other: {frames} frames, {whole:.2} ms each, the models alone {models:.2} ms: {:.3} times",
            whole / models
        );
        println!("     frames   ms each   CPU ms each   resident kB   allocations each   heap bytes");
        for pair in self.marks.windows(2) {
            let [before, after] = [pair[0], pair[1]];
            let frames = (after.looks - before.looks) as f64;
            println!(
                "{:>11}   {:>7.2}   {:>11.2}   {:>11}   {:>16.1}   {:>10}",
                after.looks,
                (after.wall - before.wall).as_secs_f64() * 1e3 / frames,
                (after.cpu - before.cpu).as_secs_f64() * 1e3 / frames,
                after.resident_kb,
                (after.allocations - before.allocations) as f64 / frames,
                after.held
            );
        }
    }
}

/// From MJPEG to verdicts, one frame after the other, without pauses.
fn replayed(frames: usize, world: &World, options: &Options, played: &[PathBuf]) -> Result<Replayed> {
    let each = 60;
    let repeats: Vec<PathBuf> = played.iter().cycle().take(frames.div_ceil(each).max(2)).cloned().collect();
    let vision = FaceAnalyzer::open(&world.bundle(), options, QualityLimits::default())?;
    let config = Config::default();
    let executor = executor(&vision, &config, Box::new(Nobody))?;
    let timings = Arc::new(Mutex::new(vision.timings()));
    let every = (repeats.len() * each / 10).max(1);
    let looks = Arc::new(Mutex::new(Looks { every, marks: Vec::with_capacity(16), ..Looks::default() }));
    let analyzer = Timed { vision, timings: Arc::clone(&timings), looks: Arc::clone(&looks) };
    let stages = Stages {
        camera: Box::new(Replay::new(&repeats, Duration::from_secs(2), Pace::Virtual)?),
        watch: config.camera_watch(),
        analyzer: Box::new(analyzer),
        tracker: Tracker::new(config.track_settings())?,
        executor,
    };
    let begun = now();
    let outcome = lockstep::run(stages, &Stop::new());
    let wall = begun.elapsed();
    let End::Played = outcome.end else { bail!("the run ended with {:?}", outcome.end) };
    let timings = *timings.lock().unwrap_or_else(PoisonError::into_inner);
    let millis = |time: Duration| time.as_secs_f64() * 1e3 / timings.frames as f64;
    let marks = std::mem::take(&mut looks.lock().unwrap_or_else(PoisonError::into_inner).marks);
    Ok(Replayed { frames: timings.frames, whole: millis(wall), models: millis(timings.onnx_runtime), marks })
}

/// Frames per round, and rounds. A machine's speed changes, so the models alone and the three threads take turns.
const ROUND: usize = 600;
const ROUNDS: usize = 9;

/// The daemon's three threads compared with the models alone.
fn rounds(world: &World, options: &Options, played: &[PathBuf]) -> Result<()> {
    let mut ratios = Vec::new();
    let mut allocations = 0.0;
    for _ in 0..ROUNDS {
        let alone = replayed(ROUND, world, options, played)?.models;
        let (each, allocated) = flat_out(ROUND, world, options, played)?;
        ratios.push(each / alone);
        allocations = allocated;
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "three threads: {:.3} times the models alone (median of {ROUNDS} rounds; {:.3} to {:.3}; limit 1.10); \
         {allocations:.1} allocations per frame",
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1]
    );
    Ok(())
}

/// A camera whose next picture is ready as soon as the one before is being analysed.
struct OnDemand {
    camera: Replay,
    clock: Clock,
    looking: Arc<Gate>,
}

/// Lets one picture pass each time it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_one();
    }

    fn pass(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let shut = |open: &mut bool| !*open;
        let waited = self.opened.wait_timeout_while(open, Duration::from_millis(50), shut);
        let (mut open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *open)
    }
}

impl Camera for OnDemand {
    fn describe(&self) -> String {
        self.camera.describe()
    }

    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError> {
        if !self.looking.pass() {
            return Ok(Captured::Idle);
        }
        let captured = self.camera.capture(picture)?;
        if captured == Captured::Picture {
            picture.captured = self.clock.now();
        } else {
            self.looking.open();
        }
        Ok(captured)
    }
}

/// An analyzer that opens the gate when a look begins, and records resources when it ends.
struct Asking {
    vision: FaceAnalyzer,
    looking: Arc<Gate>,
    /// After the first look, and after the latest.
    marks: Arc<Mutex<Option<[Mark; 2]>>>,
}

impl Analyzer for Asking {
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError> {
        self.looking.open();
        let seen = Analyzer::look(&mut self.vision, frame, tracker)?;
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let looks = marks.map_or(1, |[_, last]| last.looks + 1);
        let mark = mark(looks, 0);
        *marks = Some([marks.map_or(mark, |[first, _]| first), mark]);
        Ok(seen)
    }
}

/// The same with the daemon's three threads: the next picture is decoded while the models work. Returns milliseconds
/// and allocations per frame.
fn flat_out(frames: usize, world: &World, options: &Options, played: &[PathBuf]) -> Result<(f64, f64)> {
    let repeats: Vec<PathBuf> = played.iter().cycle().take(frames.div_ceil(60).max(2)).cloned().collect();
    let vision = FaceAnalyzer::open(&world.bundle(), options, QualityLimits::default())?;
    let config = Config::default();
    let clock = clock();
    let mut executor = executor(&vision, &config, Box::new(Nobody))?;
    executor.ready(clock.now());
    let (looking, marks) = (Arc::new(Gate::default()), Arc::new(Mutex::new(None)));
    looking.open();
    let camera = Replay::new(&repeats, Duration::ZERO, Pace::Virtual)?;
    let stages = Stages {
        camera: Box::new(OnDemand { camera, clock: clock.clone(), looking: Arc::clone(&looking) }),
        watch: config.camera_watch(),
        analyzer: Box::new(Asking { vision, looking, marks: Arc::clone(&marks) }),
        tracker: Tracker::new(config.track_settings())?,
        executor,
    };
    let outcome = threads::run(stages, Surroundings::default(), &clock, &Stop::new(), patience(&config))?;
    let End::Played = outcome.end else { bail!("the run ended with {:?}", outcome.end) };
    let [first, last] = marks.lock().unwrap_or_else(PoisonError::into_inner).context("nothing was looked at")?;
    let frames = (last.looks - first.looks) as f64;
    let each = (last.wall - first.wall).as_secs_f64() * 1e3 / frames;
    Ok((each, (last.allocations - first.allocations) as f64 / frames))
}

fn patience(config: &Config) -> Patience {
    Patience { stage: config.pipeline.stage_timeout_s.duration(), max_frame_age: config.vote_settings().max_frame_age }
}

/// Three threads in real time, as the daemon runs them.
fn live(args: &Args, world: &World, options: &Options, played: &[PathBuf]) -> Result<()> {
    let vision = FaceAnalyzer::open(&world.bundle(), options, QualityLimits::default())?;
    let config = Config::default();
    let memory = Memory::default();
    let mut executor = executor(&vision, &config, Box::new(memory.clone()))?;
    let clock = clock();
    executor.ready(clock.now());
    let repeats: Vec<PathBuf> = played.iter().cycle().take(args.visits).cloned().collect();
    let stages = Stages {
        camera: Box::new(Replay::new(&repeats, Duration::from_secs(2), Pace::RealTime(clock.clone()))?),
        watch: config.camera_watch(),
        analyzer: Box::new(vision),
        tracker: Tracker::new(config.track_settings())?,
        executor,
    };
    let outcome = threads::run(stages, Surroundings::default(), &clock, &Stop::new(), patience(&config))?;
    let report = outcome.report;
    println!(
        "capture to use: p50 {:.1} ms, p95 {:.1} ms: {:.2} times (limit 2); {} of {} frames overwritten",
        report.age_p50_ms,
        report.age_p95_ms,
        report.age_p95_ms / report.age_p50_ms,
        report.overwritten,
        report.captured
    );
    let mut verdicts: Vec<f64> = memory
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Decision(decision) if matches!(decision.verdict, Verdict::Known(_)) => {
                Some(decision.decided.since(decision.captured).as_secs_f64() * 1e3)
            }
            _ => None,
        })
        .collect();
    verdicts.sort_by(f64::total_cmp);
    let at = |share: f64| verdicts[((verdicts.len() - 1) as f64 * share).round() as usize];
    if !verdicts.is_empty() {
        let (p50, p95) = (at(0.5), at(0.95));
        println!(
            "capture to verdict: p50 {p50:.1} ms, p95 {p95:.1} ms: {:.2} times (limit 2), {} verdicts",
            p95 / p50,
            verdicts.len()
        );
    }
    Ok(())
}

/// The program, from its start to the first verdict about a person who already stands there.
fn starts(args: &Args, world: &World, played: &[PathBuf]) -> Result<()> {
    let Some(edge) = program("lintel-edge") else { bail!("lintel-edge is not built") };
    let folder = tempfile::tempdir()?;
    let (state, events) = (folder.path().join("state"), folder.path().join("events"));
    lintel_edge::compose::bundle::install(&world.bundle(), &state)?;
    let mut times = Vec::new();
    for _ in 0..args.starts {
        let _ = fs::remove_file(&events);
        let begun = now();
        let mut child = daemon(&edge, &[])
            .arg("--state")
            .arg(&state)
            .arg("--events")
            .arg(&events)
            .arg("--replay")
            .arg(&played[0])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let first = verdict(&events);
        times.push((begun.elapsed(), first));
        let _ = child.kill();
        let _ = child.wait();
    }
    times.sort_by_key(|(whole, _)| *whole);
    let (whole, first) = times[times.len() / 2];
    let first = first.context("the daemon gave no verdict")?;
    println!(
        "start to first verdict: {:.2} s (median of {} starts; at worst {:.2} s; limit 2 s); {:.2} s by its own clock",
        whole.as_secs_f64(),
        times.len(),
        times.last().map_or(0.0, |(whole, _)| whole.as_secs_f64()),
        first.since(Uptime::ZERO).as_secs_f64()
    );
    Ok(())
}

/// Waits for the first verdict. Returns its time by the daemon's clock.
fn verdict(events: &Path) -> Option<Uptime> {
    for _ in 0..2000 {
        let bytes = fs::read(events).unwrap_or_default();
        let mut decisions = event::events(&bytes).map_while(Result::ok).filter_map(|event| match event.kind {
            EventKind::Decision(decision) => Some(decision.decided.into()),
            _ => None,
        });
        if let Some(decided) = decisions.next() {
            return Some(decided);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}
