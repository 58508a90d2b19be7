//! `lintel evaluate`: a bundle and recordings → `report.json`, `confusion.png`, the figures.

use std::time::Duration;

use lintel_shared::door::DoorSettings;
use lintel_shared::quality::QualityLimits;
use lintel_shared::runtime::{LoadedBundle, Options, Vision};
use lintel_shared::verdict::VoteSettings;
use serde_json::json;

use crate::cli::EvaluateArgs;
use crate::commands::{existing_folder, runtime::find};
use crate::console::Console;
use crate::evaluate::{
    EvaluateError, Participant, REPORT_FORMAT, Report, Setup, confusion, figures, find_recordings, open_recording,
    visit,
};
use crate::failure::Failure;
use crate::interrupt;
use crate::outdir::{Kind, OutDir, refuse_nested};

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
        votes: VoteSettings::default(),
        door: DoorSettings::default(),
        frame_time: Duration::from_millis(args.frame_ms.into()),
    };
    let (pack, table) = (bundle.manifest.pack.clone(), bundle.table.clone());
    let mut vision = Vision::new(bundle, runtime, setup.quality).map_err(Failure::work)?;
    let progress = console.progress("standing at the door", frames as u64);
    let participants: Vec<Participant> = paths
        .iter()
        .map(|path| {
            let recording = open_recording(path)?;
            visit(
                path,
                &recording,
                &table,
                &setup,
                |frame| vision.look(frame),
                || {
                    progress.step();
                    interrupt::check()
                },
            )
        })
        .collect::<Result<_, EvaluateError>>()?;
    drop(progress);

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
    };
    out.write_json(Kind::Evaluation.marker(), &report)?;
    let picture = confusion(&report.people, &report.participants).draw("who was taken for whom");
    out.write("confusion.png", &picture.into_png())?;
    interrupt::check()?;
    let done = out.finish()?;
    for line in text(&report) {
        console.say(line);
    }
    console.say(format!("wrote {}", done.display()));
    console.result(&json!({ "out": done, "report": report }));
    check_target(args, &report)
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
    lines
}
