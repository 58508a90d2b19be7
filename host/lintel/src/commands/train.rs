//! `lintel train`: crops → image features → trained names → an identity table with its thresholds.

use std::path::Path;

use lintel_core::table::{Person as Enrolled, PersonId, Rule, Table, TableParts};
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::calibration_set;
use lintel_photos::ingest::{People, Person};
use lintel_quantize::Quantized;
use lintel_training::trained::{CHECKPOINT, TRAIN_FORMAT, TrainReport, TrainedFolder};
use lintel_training::{Settings, Task, Trained, intra_class};
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use serde_json::json;

use crate::cli::{RuleArg, TrainArgs};
use crate::commands::learning::{Faces, check_detector, learn};
use crate::commands::quantize::{quantized, say as say_integers};
use crate::commands::speaker::Console;
use crate::commands::{compute, existing_folder, packs, runtime::find, thresholds};

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &TrainArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    existing_folder(&args.faces)?;
    refuse_nested(&args.output.out, &args.faces)?;
    if let Some(strangers) = &args.thresholds.strangers {
        existing_folder(strangers)?;
        refuse_nested(&args.output.out, strangers)?;
    }
    let people = People::open(&args.faces, 2)?;
    let pack = packs::open(&args.pack, console)?;
    check_detector(&people, &pack, &args.faces)?;
    let settings = settings(args, &pack)?;
    compute::check(&args.compute, console)?;
    let keep: &[&str] = if args.fresh { &[] } else { &[CHECKPOINT] };
    let mut out = OutDir::take(&args.output.out, Kind::Train, args.output.force, keep)?;
    out.keep_unfinished(out.path().join(CHECKPOINT).exists());
    find(runtime)?;

    let (onnx, int8) = encoder_to_run(args, &pack, runtime, console)?;
    let mut encoder = Encoder::open(&onnx, runtime).map_err(Failure::work)?;
    let everybody: Vec<&Person> = people.people.iter().collect();
    let faces = Faces::embed(&everybody, &args.faces, &mut encoder, console)?;
    let names: Vec<String> = people.people.iter().map(|person| person.name.clone()).collect();
    let strangers = match args.rule {
        RuleArg::Paper => Vec::new(),
        RuleArg::Calibrated => thresholds::strangers(&args.thresholds, &names, &pack, &onnx, runtime, console)?,
    };

    let features = faces.features(encoder.dim())?;
    let task = Task {
        clip: &pack.clip,
        tokenizer: &pack.tokenizer,
        names: &names,
        features: &features,
        settings: &settings,
        fixed: None,
    };
    let trained = learn(&task, &mut out, console)?;
    let intra_class_similarity = intra_class::of_table(&[], &faces.intra_class_similarity(&trained.split, names.len()));
    let table = table(args, &settings, &encoder, &names, &trained, intra_class_similarity)?;
    let ids: Vec<PersonId> = table.people().iter().map(|person| person.id).collect();
    let held_out = faces.held_out(&trained.split, &ids);
    let table = match args.rule {
        RuleArg::Paper => table,
        RuleArg::Calibrated => {
            let genuine = held_out.genuine(&table);
            thresholds::set(table, &genuine, strangers, args.thresholds.target_fpir)?
        }
    };

    let report = TrainReport {
        format: TRAIN_FORMAT,
        pack: pack.about.name.clone(),
        detector_sha256: people.detector_sha256.clone(),
        encoder: encoder.id().to_string(),
        settings,
        people: names.len() as u32,
        trained_on: trained.split.train.len() as u32,
        held_out: trained.split.held_out.iter().map(|&row| faces.sources[row].clone()).collect(),
        curve: trained.curve.clone(),
        rule: table.rule(),
        calibration: table.calibration().copied(),
        int8,
        next_person: names.len() as u32,
        changes: Vec::new(),
    };
    let done = TrainedFolder { report, encoder: onnx, table, held_out }.write(out)?;
    say(&done.0, &done.1, console);
    Ok(())
}

/// The encoder that the door will run: the table is for exactly this file.
fn encoder_to_run(
    args: &TrainArgs,
    pack: &Pack,
    runtime: &Options,
    console: &Console,
) -> Result<(Vec<u8>, Option<lintel_quantize::Report>), Failure> {
    let float = pack.encoder_onnx().map_err(Failure::input)?;
    if !args.int8 {
        return Ok((float, None));
    }
    let settings = args.integers.settings_to_run()?;
    let crops = calibration_set::crops(&args.faces, calibration_set::MOST)?;
    let Quantized { onnx, report } = quantized(&float, &crops, &settings, runtime, console)?;
    say_integers(&report, console);
    Ok((onnx, Some(report)))
}

fn settings(args: &TrainArgs, pack: &Pack) -> Result<Settings, Failure> {
    let own = Settings::default();
    let recommended = pack.about.training;
    Ok(Settings {
        template: args.template.clone(),
        epochs: args.epochs.or(recommended.epochs).unwrap_or(own.epochs),
        learning_rate: args.lr.or(recommended.learning_rate).unwrap_or(own.learning_rate),
        batch: args.batch as usize,
        seed: args.seed,
        classes_per_step: args.classes_per_step as usize,
        chunk: args.chunk.map_or(args.compute.compute().chunk(), |names| names as usize),
        compute: args.compute.compute(),
        precision: args.compute.precision(),
        loss: args.loss()?,
        ..own
    })
}

fn table(
    args: &TrainArgs,
    settings: &Settings,
    encoder: &Encoder,
    names: &[String],
    trained: &Trained,
    intra_class_similarity: Vec<f32>,
) -> Result<Table, Failure> {
    let people = (0..).zip(names).map(|(id, name)| Enrolled { id: PersonId(id), name: name.clone() }).collect();
    Table::new(TableParts {
        encoder: encoder.id(),
        revision: args.revision,
        template: settings.template.clone(),
        logit_scale: trained.logit_scale,
        people,
        classes: trained.classes.clone(),
        dim: trained.dim,
        intra_class_similarity,
        rule: Rule::PAPER,
        calibration: None,
    })
    .map_err(Failure::work)
}

/// What came of it.
pub fn say(report: &TrainReport, done: &Path, console: &Console) {
    if let Some(last) = report.curve.last() {
        console.say(format!(
            "{} people, {} faces trained on, {} held out: {:.1} % of these are recognised, loss {:.3}",
            report.people,
            report.trained_on,
            report.held_out.len(),
            last.held_out_accuracy * 100.0,
            last.held_out_loss
        ));
    }
    if let (Rule::Calibrated { similarity, margin }, Some(calibration)) = (report.rule, &report.calibration) {
        console.say(format!(
            "thresholds: normalised similarity {similarity:.3}, margin {margin:.3}; {} strangers: {:.2} % would be \
             named (95 % confidence: at most {:.2} %); {:.1} % of the held-out faces would not be named",
            calibration.strangers,
            calibration.observed_fpir * 100.0,
            calibration.fpir_upper * 100.0,
            calibration.fnir * 100.0
        ));
    }
    console.say(format!("wrote {}", done.display()));
    console.result(&json!({ "out": done, "report": report }));
}
