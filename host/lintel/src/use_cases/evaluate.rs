//! A bundle and recordings → `report.json`, its pictures, the figures.

use std::path::PathBuf;
use std::time::Duration;

use lintel_core::camera_watch::CameraWatchSettings;
use lintel_core::controller::ControllerSettings;
use lintel_core::embed::Embedding;
use lintel_core::quality::QualityLimits;
use lintel_core::track::Tracker;
use lintel_evaluation::evaluate::crowd::{self, Crowd};
use lintel_evaluation::evaluate::growth::{Faces, Growth, STRANGERS, tables};
use lintel_evaluation::evaluate::visit::Visit;
use lintel_evaluation::evaluate::{
    EvaluateError, Measured, REPORT_FORMAT, Report, Setup, figures, find_recordings, measure, open_recording, pictures,
};
use lintel_formats::bundle::Role;
use lintel_inference::{FaceAnalyzer, LoadedBundle, Options};
use lintel_rendered::faces::ModelPairs;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use lintel_work::progress::Progress;

use super::{Output, existing_folder, runtime, thresholds};

/// Rendered people after whom their embeddings are kept again.
const KEPT_EVERY: usize = 512;

/// What to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A folder that an export made.
    pub bundle: PathBuf,
    /// Recordings, or folders of them.
    pub recordings: Vec<PathBuf>,
    /// The folder to make.
    pub output: Output,
    /// How long the door takes over one frame, ms: frames that come meanwhile are passed over.
    pub frame_ms: u32,
    /// Sizes of tables of rendered people on which both rules are compared.
    pub growth: Vec<u32>,
    /// Which rendered people these tables hold.
    pub growth_seed: u64,
    /// The least deployment accuracy, 0 to 1.
    pub min_accuracy: Option<f64>,
}

impl Request {
    /// These recordings at a door that takes no time over a frame.
    #[must_use]
    pub fn new(bundle: impl Into<PathBuf>, recordings: Vec<PathBuf>, output: Output) -> Self {
        let (growth, bundle) = (Vec::new(), bundle.into());
        Self { bundle, recordings, output, frame_ms: 0, growth, growth_seed: 0, min_accuracy: None }
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The folder.
    pub out: PathBuf,
    /// All figures.
    pub report: Report,
    /// As in [`Request::min_accuracy`].
    pub min_accuracy: Option<f64>,
}

/// Plays every recording through the code of the door, in virtual time.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    existing_folder(&request.bundle)?;
    refuse_nested(&request.output.folder, &request.bundle)?;
    for path in &request.recordings {
        refuse_nested(&request.output.folder, path)?;
    }
    let bundle = LoadedBundle::load(&request.bundle).map_err(Failure::input)?;
    let paths = find_recordings(&request.recordings)?;
    // Opened twice: a bad one is told before any work, and only one at a time is held in memory.
    let frames = paths.iter().map(|path| Ok(open_recording(path)?.len())).sum::<Result<usize, EvaluateError>>()?;
    let out = OutDir::take(&request.output.folder, Kind::Evaluation, request.output.force, &[])?;
    runtime::find(options)?;

    let setup = Setup {
        quality: QualityLimits::default(),
        camera: CameraWatchSettings::default(),
        controller: ControllerSettings::default(),
        frame_time: Duration::from_millis(request.frame_ms.into()),
    };
    let (pack, table) = (bundle.manifest.pack.clone(), bundle.table.clone());
    let (detector, encoder) = (bundle.files[Role::Detector].to_vec(), bundle.files[Role::Encoder].to_vec());
    let mut vision = FaceAnalyzer::new(bundle, options, setup.quality).map_err(Failure::work)?;
    let work = progress.begin("playing recordings", frames as u64);
    let visits: Vec<Visit> = paths
        .iter()
        .map(|path| {
            let recording = open_recording(path)?;
            let on_frame = || {
                work.step();
                interrupt::check()
            };
            let mut tracker = Tracker::new(setup.controller.track).map_err(|e| EvaluateError::Setup(e.to_string()))?;
            Visit::of(path, &recording, &table, &setup, |frame| vision.look(frame, &mut tracker), on_frame)
        })
        .collect::<Result<_, EvaluateError>>()?;
    drop(work);
    drop(vision);
    let Measured { participants, trials, curves, comparison, slices } = measure(&visits, &table, &setup)?;

    let report = Report {
        format: REPORT_FORMAT,
        pack,
        revision: table.revision(),
        encoder: table.encoder().to_string(),
        rule: table.rule(),
        calibration: table.calibration().cloned(),
        setup,
        people: table.people().iter().map(|person| person.name.clone()).collect(),
        figures: figures(&participants),
        participants,
        curves,
        comparison,
        slices,
        growth: grown(request, &detector, &encoder, options, progress)?,
    };
    out.write_json(Kind::Evaluation.marker(), &report)?;
    let who = pictures::confusion(&report.people, &report.participants).draw("who was taken for whom");
    for (file, picture) in [
        ("confusion.png", who),
        ("det.png", pictures::det(&report.curves)),
        ("by-threshold.png", pictures::by_threshold(&trials, report.rule)),
        ("scores.png", pictures::scores(&trials)),
    ] {
        out.write(file, &picture.into_png())?;
    }
    interrupt::check()?;
    Ok(Outcome { out: out.finish()?, report, min_accuracy: request.min_accuracy })
}

/// Both rules on tables of rendered people.
fn grown(
    request: &Request,
    detector: &[u8],
    encoder: &[u8],
    options: &Options,
    progress: Progress<'_>,
) -> Result<Option<Growth>, Failure> {
    let sizes = &request.growth;
    let Some(people) = sizes.iter().max().map(|&size| size as usize) else { return Ok(None) };
    let mut sizes: Vec<usize> = sizes.iter().map(|&size| size as usize).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut models = ModelPairs::open(detector, encoder, options).map_err(Failure::work)?;
    let strangers = thresholds::rendered(STRANGERS, detector, &mut models, progress)?;
    let strangers: Vec<Embedding> = strangers.met.into_iter().take(STRANGERS).map(|one| one.embedding).collect();
    let crowd = crowd(people, request.growth_seed, detector, &mut models, progress)?;
    let work = progress.begin("comparing both rules", tables(&sizes, people) as u64);
    let growth = Faces { people: &crowd.people[..people], strangers: &strangers }.grow(&sizes, || {
        work.step();
        interrupt::check()
    })?;
    Ok(Some(growth))
}

/// At least `wanted` rendered people; those that are kept from an earlier run are not rendered again.
fn crowd(
    wanted: usize,
    seed: u64,
    detector: &[u8],
    models: &mut ModelPairs,
    progress: Progress<'_>,
) -> Result<Crowd, Failure> {
    let kept = crowd::Kept::by(detector, models.encoder(), seed);
    let opened = kept.as_ref().map(|kept| kept.open(models)).transpose().map_err(Failure::work)?;
    let mut crowd = opened.unwrap_or_default();
    let work = progress.begin("encoding rendered people", wanted.saturating_sub(crowd.people.len()) as u64);
    while crowd.people.len() < wanted {
        let grown = crowd.grow(seed, wanted.min(crowd.people.len() + KEPT_EVERY), models, || {
            work.step();
            interrupt::check()
        });
        if let Some(Err(reason)) = kept.as_ref().map(|kept| kept.keep(&crowd)) {
            progress.note(format!("the rendered people cannot be kept for the next time: {reason}"));
        }
        grown?;
    }
    Ok(crowd)
}
