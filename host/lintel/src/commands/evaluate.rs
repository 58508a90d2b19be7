//! `lintel evaluate`: a bundle and recordings → `report.json`, its pictures, the figures.

use std::time::Duration;

use lintel_core::camera_watch::CameraWatchSettings;
use lintel_core::controller::ControllerSettings;
use lintel_core::embed::Embedding;
use lintel_core::quality::QualityLimits;
use lintel_core::track::Tracker;
use lintel_evaluation::evaluate::crowd::{self, Crowd};
use lintel_evaluation::evaluate::growth::{Faces, Growth, STRANGERS, tables};
use lintel_evaluation::evaluate::rules::{Comparison, Errors};
use lintel_evaluation::evaluate::slices::Slice;
use lintel_evaluation::evaluate::visit::Visit;
use lintel_evaluation::evaluate::{
    EvaluateError, Measured, REPORT_FORMAT, Report, Setup, figures, find_recordings, measure, open_recording, pictures,
};
use lintel_formats::bundle::Role;
use lintel_inference::{FaceAnalyzer, LoadedBundle, Options};
use lintel_rendered::faces::Analyzer;
use lintel_statistics::Rate;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use serde_json::json;

use crate::cli::EvaluateArgs;
use crate::commands::speaker::Console;
use crate::commands::{existing_folder, runtime::find, thresholds};

/// People after whom those who were met are kept again.
const KEPT_EVERY: usize = 512;

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was. A missed `--min-accuracy` is told after it was written.
pub fn run(args: &EvaluateArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    existing_folder(&args.bundle)?;
    refuse_nested(&args.output.out, &args.bundle)?;
    for path in &args.recordings {
        refuse_nested(&args.output.out, path)?;
    }
    let bundle = LoadedBundle::load(&args.bundle).map_err(Failure::input)?;
    let paths = find_recordings(&args.recordings)?;
    // Opened twice: a bad one is told before any work, and only one at a time is held in memory.
    let frames = paths.iter().map(|path| Ok(open_recording(path)?.len())).sum::<Result<usize, EvaluateError>>()?;
    let out = OutDir::take(&args.output.out, Kind::Evaluation, args.output.force, &[])?;
    find(runtime)?;

    let setup = Setup {
        quality: QualityLimits::default(),
        camera: CameraWatchSettings::default(),
        controller: ControllerSettings::default(),
        frame_time: Duration::from_millis(args.frame_ms.into()),
    };
    let (pack, table) = (bundle.manifest.pack.clone(), bundle.table.clone());
    let (detector, encoder) = (bundle.files[Role::Detector].to_vec(), bundle.files[Role::Encoder].to_vec());
    let mut vision = FaceAnalyzer::new(bundle, runtime, setup.quality).map_err(Failure::work)?;
    let progress = console.progress("standing at the door", frames as u64);
    let visits: Vec<Visit> = paths
        .iter()
        .map(|path| {
            let recording = open_recording(path)?;
            let on_frame = || {
                progress.step();
                interrupt::check()
            };
            let mut tracker = Tracker::new(setup.controller.track).map_err(|e| EvaluateError::Setup(e.to_string()))?;
            Visit::of(path, &recording, &table, &setup, |frame| vision.look(frame, &mut tracker), on_frame)
        })
        .collect::<Result<_, EvaluateError>>()?;
    drop(progress);
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
        growth: grown(args, &detector, &encoder, runtime, console)?,
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
    let done = out.finish()?;
    for line in text(&report) {
        console.say(line);
    }
    console.say(format!("wrote {}", done.display()));
    console.result(&json!({ "out": done, "report": report }));
    check_target(args, &report)
}

/// Both rules on tables of people who do not exist.
fn grown(
    args: &EvaluateArgs,
    detector: &[u8],
    encoder: &[u8],
    runtime: &Options,
    console: &Console,
) -> Result<Option<Growth>, Failure> {
    let sizes = &args.growth;
    let Some(people) = sizes.iter().max().map(|&size| size as usize) else { return Ok(None) };
    let mut sizes: Vec<usize> = sizes.iter().map(|&size| size as usize).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut eyes = Analyzer::open(detector, encoder, runtime).map_err(Failure::work)?;
    let strangers = thresholds::rendered(STRANGERS, detector, &mut eyes, console)?;
    let strangers: Vec<Embedding> = strangers.met.into_iter().take(STRANGERS).map(|one| one.embedding).collect();
    let crowd = crowd(people, args.growth_seed, detector, &mut eyes, console)?;
    let progress = console.progress("comparing them", tables(&sizes, people) as u64);
    let growth = Faces { people: &crowd.people[..people], strangers: &strangers }.grow(&sizes, || {
        progress.step();
        interrupt::check()
    })?;
    Ok(Some(growth))
}

/// At least so many people who do not exist, as far as they were met before; kept every so often on the way.
fn crowd(wanted: usize, seed: u64, detector: &[u8], eyes: &mut Analyzer, console: &Console) -> Result<Crowd, Failure> {
    let kept = crowd::Kept::by(detector, eyes.encoder(), seed);
    let opened = kept.as_ref().map(|kept| kept.open(eyes)).transpose().map_err(Failure::work)?;
    let mut crowd = opened.unwrap_or_default();
    let progress =
        console.progress("meeting people who do not exist", wanted.saturating_sub(crowd.people.len()) as u64);
    while crowd.people.len() < wanted {
        let grown = crowd.grow(seed, wanted.min(crowd.people.len() + KEPT_EVERY), eyes, || {
            progress.step();
            interrupt::check()
        });
        if let Some(Err(reason)) = kept.as_ref().map(|kept| kept.keep(&crowd)) {
            console.say(format!("the people who were met cannot be kept for the next time: {reason}"));
        }
        grown?;
    }
    Ok(crowd)
}

fn check_target(args: &EvaluateArgs, report: &Report) -> Result<(), Failure> {
    let Some(wanted) = args.min_accuracy else { return Ok(()) };
    let got = report.figures.deployment_accuracy.rate.unwrap_or(0.0);
    if got >= wanted {
        return Ok(());
    }
    Err(Failure::work(format!("deployment accuracy is {:.1} %, wanted {:.1} %", got * 100.0, wanted * 100.0)))
}

/// The report as a person reads it: who came, then the figures.
#[must_use]
pub fn text(report: &Report) -> Vec<String> {
    let label = report.participants.iter().map(|p| p.label.chars().count()).max().unwrap_or(0).clamp(8, 40);
    let mut lines = vec![format!("{:<label$}  {:<12} {:>10}  named", "who came", "outcome", "verdict")];
    for participant in &report.participants {
        let time = participant.verdict_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
        let name = participant.named.as_deref().unwrap_or("-");
        lines.push(format!("{:<label$}  {:<12} {time:>10}  {name}", participant.label, participant.outcome.text()));
    }
    let figures = &report.figures;
    lines.push(String::new());
    lines.push(format!("deployment accuracy        {}", figures.deployment_accuracy.text()));
    lines.push(format!("FPR as the paper has it    {}", figures.paper_fpr.text()));
    lines.push(format!("FNR as the paper has it    {}", figures.paper_fnr.text()));
    lines.push(format!("FPIR (a stranger is named) {}", figures.fpir.text()));
    lines.push(format!("FNIR (not or misnamed)     {}", figures.fnir.text()));
    lines.push(format!("single frames: FPIR {}; FNIR {}", figures.frame_fpir.text(), figures.frame_fnir.text()));
    if let (Some(p50), Some(p95)) = (figures.verdict_ms_p50, figures.verdict_ms_p95) {
        lines.push(format!("first sharp frame to verdict: median {p50:.0} ms, 95 % within {p95:.0} ms"));
    }
    lines.extend(
        report.comparison.as_ref().map(|compared| compared_text("on these looks", compared)).into_iter().flatten(),
    );
    if let Some(growth) = &report.growth {
        for size in &growth.sizes {
            let tables = if size.tables == 1 { "1 table".to_owned() } else { format!("{} tables", size.tables) };
            let what = format!("{tables} of {} people who do not exist", size.comparison.people);
            lines.extend(compared_text(&what, &size.comparison));
        }
    }
    lines.extend(slices_text(&report.slices));
    lines
}

/// The paper's rule against the table's thresholds.
fn compared_text(what: &str, compared: &Comparison) -> Vec<String> {
    let rates = |errors: &Errors| format!("FPIR {}; FNIR {}", errors.fpir.text(), errors.fnir.text());
    let of_the_papers = |ratio: Option<f64>| {
        ratio.map_or_else(
            || "the paper's rule named no stranger here: nothing to compare".to_owned(),
            |ratio| format!("the thresholds have {ratio:.2} of the FPIR of the paper's rule there"),
        )
    };
    let (at_its, at_theirs) = (of_the_papers(compared.ratio()), of_the_papers(compared.ratio_where_thresholds_stand()));
    vec![
        String::new(),
        format!("{what}, the paper's 80 %: {}", rates(&compared.paper)),
        format!("    the thresholds moved to that FNIR: {} ({at_its})", rates(&compared.at_equal_fnir)),
        format!("    the thresholds where they stand: {}", rates(&compared.calibrated)),
        format!(
            "    the paper's confidence moved to that FNIR: {} ({at_theirs})",
            rates(&compared.paper_at_equal_fnir)
        ),
    ]
}

fn slices_text(slices: &[Slice]) -> Vec<String> {
    let width = slices.iter().map(|slice| slice.by.chars().count() + slice.part.chars().count()).max().unwrap_or(0) + 2;
    let mut lines = vec![String::new(), "frames by condition (FPIR; FNIR):".to_owned()];
    for slice in slices {
        let what = format!("{}: {}", slice.by, slice.part);
        let rate = |rate: &Rate| {
            rate.rate.map_or_else(|| "-".into(), |share| format!("{:.1} % of {}", share * 100.0, rate.trials))
        };
        lines.push(format!("    {what:<width$}  {:>16}; {:>16}", rate(&slice.looks.fpir), rate(&slice.looks.fnir)));
    }
    lines
}
