//! A bundle, the machine → what works, how fast, and what to fix.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_core::align::{CROP, CROP_BYTES};
use lintel_core::frame::Frame;
use lintel_core::time::Uptime;
use lintel_formats::bundle::Role;
use lintel_formats::recording::{Recording, RecordingError};
use lintel_inference::{Detector, Encoder, LoadedBundle, Skipped, library};
use serde::Serialize;

use crate::compose::RunOptions;
use crate::compose::analyzer::inference;
use crate::config::CameraKind;
use crate::io::camera::CameraError;
use crate::io::camera::replay::{Pace, Replay};
use crate::io::clock::Clock;
use crate::io::disk::RealDisk;
use crate::slots::{SlotError, Slots};

mod door;

/// Why something does not work: only shown, with what to do beside it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What came of one check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It works.
    Good,
    /// It works, not as asked.
    Warning,
    /// It does not.
    Bad,
}

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Line {
    /// What was checked.
    pub what: &'static str,
    /// What came of it.
    pub mark: Mark,
    /// The result in words.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub fix: String,
}

/// Everything that was checked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Checks {
    /// In the order of the data path.
    pub lines: Vec<Line>,
}

impl Checks {
    /// Whether nothing is bad.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lines.iter().all(|line| line.mark != Mark::Bad)
    }

    fn add(&mut self, what: &'static str, mark: Mark, found: impl Into<String>, fix: impl Into<String>) {
        self.lines.push(Line { what, mark, found: found.into(), fix: fix.into() });
    }

    fn bad(&mut self, what: &'static str, found: &dyn fmt::Display, fix: &str) {
        self.add(what, Mark::Bad, found.to_string(), fix);
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let mark = match line.mark {
                Mark::Good => "ok",
                Mark::Warning => "warning",
                Mark::Bad => "BAD",
            };
            writeln!(f, "{:<8} {:<9} {}", mark, line.what, line.found)?;
            if !line.fix.is_empty() {
                writeln!(f, "{:18} fix: {}", "", line.fix)?;
            }
        }
        Ok(())
    }
}

/// What the installer asks for beside looking.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extra {
    /// The relay is to be released for a moment.
    pub click_relay: bool,
    /// The camera's picture, faces in boxes, goes into this PNG file.
    pub picture: Option<PathBuf>,
}

/// Checks everything that `run` with the same options would use. Moves nothing and writes nothing but what `extra` asks
/// for; a relay's line is taken as `run` takes it, and a panel says that it is ready.
#[must_use]
pub fn check(options: &RunOptions, extra: &Extra, clock: &Clock) -> Checks {
    let mut checks = Checks::default();
    let bundle = check_bundle(options, &mut checks);
    if let Some(bundle) = &bundle {
        check_models(options, bundle, clock, &mut checks);
    }
    match options.config.camera.kind {
        CameraKind::Replay => check_recordings(options, clock, &mut checks),
        CameraKind::V4l2 => door::camera(options, bundle, extra, clock, &mut checks),
    }
    door::display(options, &mut checks);
    door::inputs(options, &mut checks);
    door::relay(options, extra, clock, &mut checks);
    checks
}

fn check_bundle(options: &RunOptions, checks: &mut Checks) -> Option<LoadedBundle> {
    let slots = Slots::new(&options.state, RealDisk);
    let folder = match (&options.bundle, slots.current()) {
        (Some(folder), _) => folder.clone(),
        (None, Ok(Some(slot))) => slots.dir(slot),
        (None, Ok(None)) => {
            let found = format!("none is installed in {}", options.state.display());
            checks.bad("bundle", &found, "give one with --bundle DIR");
            return None;
        }
        (None, Err(e @ (SlotError::Current { .. } | SlotError::Disk { .. } | SlotError::Proof { .. }))) => {
            checks.bad("bundle", &e, "install a bundle: lintel-edge run --bundle DIR …");
            return None;
        }
    };
    match LoadedBundle::load(&folder) {
        Ok(bundle) => {
            let manifest = &bundle.manifest;
            let found = format!(
                "{}: pack {}, revision {}, {} people, every file as its manifest says",
                folder.display(),
                manifest.pack,
                manifest.revision,
                bundle.table.people().len()
            );
            checks.add("bundle", Mark::Good, found, "");
            Some(bundle)
        }
        Err(e) => {
            checks.bad("bundle", &e, "export it again with `lintel export`, and copy the whole folder");
            None
        }
    }
}

fn check_models(options: &RunOptions, bundle: &LoadedBundle, clock: &Clock, checks: &mut Checks) {
    let inference = inference(options);
    match library::find(&inference.library) {
        Ok(path) => checks.add("library", Mark::Good, format!("ONNX Runtime at {}", path.display()), ""),
        Err(e) => {
            let fix = "give one with --onnxruntime PATH, or let --fetch-onnxruntime fetch it once";
            checks.bad("library", &e, fix);
            return;
        }
    }
    let skipped = |checks: &mut Checks, skipped: &[Skipped]| {
        for Skipped { provider, reason } in skipped {
            let fix = "install the provider's libraries, or take it out of inference.providers";
            checks.add("provider", Mark::Warning, format!("{provider} was asked for and skipped: {reason}"), fix);
        }
    };
    let fix = "export the bundle again with `lintel export`";
    let before = clock.now();
    match Detector::open(&bundle.files[Role::Detector], &inference) {
        Ok(mut detector) => {
            let opened = clock.now().since(before);
            skipped(checks, detector.skipped());
            let (width, height) = detector.input();
            let pixels = vec![128; width as usize * height as usize * 3];
            let mut look = || -> Result<Duration, Failure> {
                let frame = Frame::rgb8(&pixels, width, height, Uptime::ZERO)?;
                // Once to warm up, once for the time.
                detector.detect(&frame)?;
                Ok(timed(clock, || detector.detect(&frame))?)
            };
            match look() {
                Ok(took) => {
                    let on = detector.provider();
                    let found = format!("{width}×{height} on {on}: opened in {opened:.1?}, a frame in {took:.1?}");
                    checks.add("detector", Mark::Good, found, "");
                }
                Err(e) => checks.bad("detector", &e, fix),
            }
        }
        Err(e) => checks.bad("detector", &e, fix),
    }
    let before = clock.now();
    match Encoder::open(&bundle.files[Role::Encoder], &inference) {
        Ok(mut encoder) => {
            let opened = clock.now().since(before);
            skipped(checks, encoder.skipped());
            let crop = vec![128; CROP_BYTES];
            let mut embed = || -> Result<[Duration; 2], Failure> {
                let embedding = encoder.embed(&crop)?;
                let took = timed(clock, || encoder.embed(&crop))?;
                Ok([took, timed(clock, || bundle.table.score(&embedding))?])
            };
            match embed() {
                Ok([took, scored]) => {
                    let (on, dim) = (encoder.provider(), encoder.dim());
                    let found = format!(
                        "{CROP}×{CROP} to {dim} on {on}: opened in {opened:.1?}, a face in {took:.1?}, \
                         scored in {scored:.1?}"
                    );
                    checks.add("encoder", Mark::Good, found, "");
                }
                Err(e) => checks.bad("encoder", &e, fix),
            }
        }
        Err(e) => checks.bad("encoder", &e, fix),
    }
}

fn timed<T, E>(clock: &Clock, work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let before = clock.now();
    work()?;
    Ok(clock.now().since(before))
}

fn check_recordings(options: &RunOptions, clock: &Clock, checks: &mut Checks) {
    let camera = &options.config.camera;
    if camera.recordings.is_empty() {
        checks.add("camera", Mark::Warning, "replay of no recordings", "give some with --replay FILE_OR_DIR");
        return;
    }
    let fix = "record again, or leave this recording out";
    let replay = match Replay::new(&camera.recordings, camera.gap_s.duration(), Pace::Virtual) {
        Ok(replay) => replay,
        Err(e @ CameraError::Nothing { .. }) => return checks.bad("camera", &e, "make some with `lintel render`"),
        Err(e) => return checks.bad("camera", &e, fix),
    };
    let before = clock.now();
    let mut frames = 0;
    for path in replay.recordings() {
        match decode_all(path) {
            Ok(count) => frames += count,
            Err(e) => return checks.bad("camera", &format!("{}: {e}", path.display()), fix),
        }
    }
    let took = clock.now().since(before) / u32::try_from(frames.max(1)).unwrap_or(u32::MAX);
    let found = format!("{} recordings, {frames} frames, each decoded in {took:.1?}", replay.recordings().len());
    checks.add("camera", Mark::Good, found, "");
}

fn decode_all(path: &Path) -> Result<usize, RecordingError> {
    let recording = Recording::open(path)?;
    let mut pixels = Vec::new();
    let mut frames = recording.frames();
    let mut count = 0;
    while let Some(decoded) = frames.next_into(&mut pixels) {
        decoded?;
        count += 1;
    }
    Ok(count)
}
