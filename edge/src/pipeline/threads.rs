//! The stages side by side in real time.
//!
//! Capture and vision have a thread each, decisions are made on the caller's. Frames and sightings go through mailboxes
//! in which only the latest counts; faults go straight to the executor. The keeper wakes for its deadlines by itself,
//! so a slow or dead stage never keeps a door released.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lintel_core::camera_watch::{CameraWatch, FlawChange};
use lintel_core::controller::Names;
use lintel_core::decision::Sighting;
use lintel_core::door::CameraFault;
use lintel_core::time::Uptime;
use lintel_core::track::Tracker;
use lintel_wire::event::Started;

use super::exchange::Exchange;
use super::executor::Executor;
use super::{Analyzer, CAPTURE, DECISION, End, INPUTS, Outcome, StageError, Stages, VISION, hear};
use crate::health::Report;
use crate::io::camera::{Camera, Captured, Picture, Visit};
use crate::io::clock::{Clock, Stop};
use crate::io::gpio::inputs::{Input, Inputs};
use crate::mailbox::{Put, Receiver, Sender, Taken, mailbox};

/// Nobody waits longer than this without looking round: for a wish to stop, for a stage that hangs.
const PATIENCE: Duration = Duration::from_millis(50);
/// A stage that does not end within this after everything else has is left behind.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the stages tell the executor beside sightings.
enum Notice {
    Visit(Visit),
    Flaw(FlawChange),
    Input(Input),
    /// From here on sightings are of another bundle.
    Replaced(Box<(Names, Started)>),
    Failed(StageError),
    /// The camera has no more pictures, and all of them were looked at.
    Played,
}

/// When a stage was last seen alive, and what it counted.
#[derive(Default)]
struct Signs {
    capture_alive: AtomicU64,
    vision_alive: AtomicU64,
    captured: AtomicU64,
    repeated: AtomicU64,
    damaged: AtomicU64,
    overwritten: AtomicU64,
    stale: AtomicU64,
}

/// What the stages of a run share.
#[derive(Clone)]
struct Context {
    clock: Clock,
    stop: Stop,
    signs: Arc<Signs>,
}

impl Context {
    fn alive(&self, stage: &AtomicU64) {
        stage.store(self.clock.now().as_micros(), Ordering::Relaxed);
    }
}

/// How long a stage may be silent, and how old a frame may get.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A stage that is silent for longer hangs.
    pub stage: Duration,
    /// Older frames are not even looked at.
    pub max_frame_age: Duration,
}

/// What a run in real time has around it.
pub struct Surroundings {
    /// The door's wires.
    pub inputs: Option<Box<dyn Inputs>>,
    /// Called again and again while every stage is alive; a watchdog that misses the call must end this process.
    pub alive: Box<dyn FnMut(Uptime)>,
    /// Where another bundle may come from while this one runs.
    pub exchange: Exchange,
}

impl Default for Surroundings {
    /// No wires, nobody who waits.
    fn default() -> Self {
        Self { inputs: None, alive: Box::new(|_| {}), exchange: Exchange::default() }
    }
}

/// Runs the stages until the camera ends, a stage fails or somebody asks to stop.
///
/// # Errors
/// When the operating system gives no thread; nothing has moved then.
pub fn run(
    stages: Stages,
    surroundings: Surroundings,
    clock: &Clock,
    stop: &Stop,
    patience: Patience,
) -> std::io::Result<Outcome> {
    let Surroundings { inputs, mut alive, exchange } = surroundings;
    let Stages { camera, watch, analyzer, tracker, mut executor } = stages;
    executor.hear(exchange.clone());
    // The stages stop when the executor stops, for whatever reason.
    let context = Context { clock: clock.clone(), stop: Stop::new(), signs: Arc::default() };
    context.alive(&context.signs.capture_alive);
    context.alive(&context.signs.vision_alive);
    let (to_vision, pictures) = mailbox::<Picture, ()>(Picture::default(), CAPTURE);
    let (to_decision, inbox) = mailbox::<Sighting, Notice>(Sighting::default(), VISION);
    let from_capture = to_decision.another(CAPTURE);
    let wires = inputs.map(|inputs| (inputs, to_decision.another(INPUTS)));
    let mut threads = vec![
        spawn(CAPTURE, {
            let context = context.clone();
            move || capture(camera, CameraWatch::new(watch), to_vision, from_capture, &context)
        })?,
        spawn(VISION, {
            let context = context.clone();
            move || look((analyzer, tracker), &exchange, &pictures, to_decision, patience.max_frame_age, &context)
        })?,
    ];
    if let Some((inputs, to_decision)) = wires {
        let context = context.clone();
        threads.push(spawn(INPUTS, move || listen(inputs, to_decision, &context))?);
    }
    // Whatever this stage does wrong, the strike is locked before anything else happens.
    let decided =
        catch_unwind(AssertUnwindSafe(|| decide(&mut executor, &inbox, &context, stop, patience.stage, &mut alive)));
    let end = decided.unwrap_or_else(|_| {
        executor.lock_after_panic(clock.now());
        End::Failed(StageError::Died { stage: DECISION })
    });
    if let End::Failed(e) = &end {
        executor.on_fault(e.fault(), clock.now());
    }
    executor.stop(clock.now());
    context.stop.ask();
    drop(inbox);
    for thread in threads {
        part(thread, clock);
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let signs = &context.signs;
    let report = executor.report();
    let report = Report {
        captured: count(&signs.captured),
        repeated: count(&signs.repeated),
        damaged: count(&signs.damaged),
        overwritten: count(&signs.overwritten),
        stale: report.stale + count(&signs.stale),
        ..report
    };
    Ok(Outcome { end, report })
}

fn spawn(name: &'static str, stage: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(stage)
}

/// Waits for a thread to end; one that hangs is left behind.
fn part(thread: JoinHandle<()>, clock: &Clock) {
    let since = clock.now();
    while !thread.is_finished() {
        if clock.now().since(since) > FAREWELL {
            tracing::warn!("the {} stage does not end and is left behind", thread.thread().name().unwrap_or("?"));
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    // How it ended was told through the mailbox.
    let _ = thread.join();
}

/// The capture stage: camera → the pictures' mailbox.
fn capture(
    mut camera: Box<dyn Camera>,
    mut watch: CameraWatch,
    to_vision: Sender<Picture, ()>,
    to_decision: Sender<Sighting, Notice>,
    context: &Context,
) {
    let mut picture = Picture::default();
    let signs = &context.signs;
    while !context.stop.asked() {
        context.alive(&signs.capture_alive);
        match camera.capture(&mut picture) {
            Ok(Captured::Picture) => {
                signs.captured.fetch_add(1, Ordering::Relaxed);
                let seen = match picture.frame() {
                    Ok(frame) => watch.observe(&frame),
                    Err(e) => {
                        to_decision.notify(Notice::Failed(e.into()));
                        break;
                    }
                };
                for change in seen.changes.into_iter().flatten() {
                    to_decision.notify(Notice::Flaw(change));
                }
                if seen.repeat {
                    signs.repeated.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                match to_vision.put(&mut picture) {
                    Put::Placed => {}
                    Put::Overwrote => drop(signs.overwritten.fetch_add(1, Ordering::Relaxed)),
                    Put::NobodyReads => break,
                }
            }
            Ok(Captured::Idle) => {}
            Ok(Captured::Visit(visit)) => drop(to_decision.notify(Notice::Visit(visit))),
            Ok(Captured::Trouble(trouble)) => {
                let damaged = trouble.fault == CameraFault::Corrupt;
                signs.damaged.fetch_add(damaged.into(), Ordering::Relaxed);
                if let Some(change) = hear(&mut watch, &trouble) {
                    to_decision.notify(Notice::Flaw(change));
                }
            }
            Ok(Captured::End) => break,
            Err(e) => {
                to_decision.notify(Notice::Failed(e.into()));
                break;
            }
        }
    }
    to_vision.finish();
    to_decision.finish();
}

/// The vision stage: the pictures' mailbox → the sightings' mailbox.
fn look(
    (mut analyzer, mut tracker): (Box<dyn Analyzer>, Tracker),
    exchange: &Exchange,
    pictures: &Receiver<Picture, ()>,
    to_decision: Sender<Sighting, Notice>,
    max_age: Duration,
    context: &Context,
) {
    let mut picture = Picture::default();
    let take_over = |analyzer: &mut Box<dyn Analyzer>| {
        if let Some(replacement) = exchange.take() {
            *analyzer = replacement.analyzer;
            to_decision.notify(Notice::Replaced(Box::new((replacement.names, replacement.started))));
        }
    };
    while !context.stop.asked() {
        context.alive(&context.signs.vision_alive);
        // Also while no picture comes.
        take_over(&mut analyzer);
        match pictures.take(&mut picture, PATIENCE) {
            Taken::Fresh => {}
            Taken::Nothing | Taken::Notice(()) => continue,
            // Its death was told to the executor by its other sender.
            Taken::Died(_) => break,
            Taken::Finished => {
                to_decision.notify(Notice::Played);
                break;
            }
        }
        // What was offered during the wait counts for this very picture.
        take_over(&mut analyzer);
        if context.clock.now().since(picture.captured) > max_age {
            context.signs.stale.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let looked = picture
            .frame()
            .map_err(StageError::from)
            .and_then(|frame| analyzer.look(&frame, &mut tracker).map_err(StageError::Analyzer));
        match looked {
            Ok(mut sighting) => {
                if to_decision.put(&mut sighting) == Put::NobodyReads {
                    break;
                }
            }
            Err(e) => {
                to_decision.notify(Notice::Failed(e));
                break;
            }
        }
    }
    to_decision.finish();
}

/// The executor's loop: sightings, notices and deadlines, until an end.
fn decide(
    executor: &mut Executor,
    inbox: &Receiver<Sighting, Notice>,
    context: &Context,
    stop: &Stop,
    stage_patience: Duration,
    alive: &mut dyn FnMut(Uptime),
) -> End {
    let clock = &context.clock;
    let mut sighting = Sighting::default();
    let mut played = false;
    loop {
        let before = clock.now();
        let until_wake = executor.next_wake().map_or(PATIENCE, |wake| wake.since(before).min(PATIENCE));
        let patience = if played { Duration::ZERO } else { until_wake };
        let taken = inbox.take(&mut sighting, patience);
        let now = clock.now();
        executor.on_tick(now);
        match taken {
            Taken::Fresh => executor.on_sighting(&sighting, now),
            Taken::Notice(Notice::Visit(visit)) => executor.on_visit(&visit, now),
            Taken::Notice(Notice::Input(input)) => executor.on_input(input, now),
            Taken::Notice(Notice::Replaced(what)) => executor.on_replaced(what.0, what.1, now),
            Taken::Notice(Notice::Flaw(change)) => executor.handle(change.input(), now),
            Taken::Notice(Notice::Failed(e)) => return End::Failed(e),
            Taken::Notice(Notice::Played) => played = true,
            Taken::Died(stage) => return End::Failed(StageError::Died { stage }),
            Taken::Nothing | Taken::Finished if played => {
                if executor.at_rest() {
                    return End::Played;
                }
                thread::sleep(until_wake);
            }
            Taken::Nothing => {}
            // Both stages have ended without a word: only a stop does that.
            Taken::Finished => return End::Stopped,
        }
        if stop.asked() {
            return End::Stopped;
        }
        if !played && let Some(hanging) = hanging(&context.signs, now, stage_patience) {
            return End::Failed(hanging);
        }
        alive(now);
    }
}

/// The wires' thread: exit button and door contact → the executor.
fn listen(mut inputs: Box<dyn Inputs>, to_decision: Sender<Sighting, Notice>, context: &Context) {
    let mut failing = false;
    while !context.stop.asked() {
        let heard = inputs.next(PATIENCE);
        if let (Err(e), false) = (&heard, failing) {
            tracing::error!("{e}");
        }
        failing = heard.is_err();
        match heard {
            Ok(Some(input)) if !to_decision.notify(Notice::Input(input)) => break,
            Ok(_) => {}
            Err(_) => thread::sleep(PATIENCE),
        }
    }
    to_decision.finish();
}

fn hanging(signs: &Signs, now: Uptime, patience: Duration) -> Option<StageError> {
    [(CAPTURE, &signs.capture_alive), (VISION, &signs.vision_alive)].into_iter().find_map(|(stage, alive)| {
        let silent = now.since(Uptime::from_micros(alive.load(Ordering::Relaxed)));
        (silent > patience).then_some(StageError::Hangs { stage, silent })
    })
}
