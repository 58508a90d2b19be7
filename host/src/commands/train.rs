//! `lintel train`: crops → image features → trained names → an identity table with its bars.

use std::ops::ControlFlow;
use std::path::Path;

use lintel_shared::align::CROP;
use lintel_shared::bundle::{ENCODER, TABLE};
use lintel_shared::embed::Embedding;
use lintel_shared::quality::QualityLimits;
use lintel_shared::runtime::{Detector, Encoder, Options};
use lintel_shared::table::{Calibration, Person, PersonId, Rule, Table, TableParts};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::calibration_set;
use crate::cli::{RuleArg, TrainArgs};
use crate::commands::quantize::{quantized, say as say_integers};
use crate::commands::{existing_folder, packs, runtime::find};
use crate::console::{Console, Progress};
use crate::export::encoder_onnx;
use crate::failure::{Failure, reason};
use crate::ingest::People;
use crate::interrupt;
use crate::outdir::{Kind, OutDir, refuse_nested};
use crate::packs::Pack;
use crate::picture::palette;
use crate::plots::{Curve, curves};
use crate::quantize::{self, Quantized};
use crate::rendered_faces::Eyes;
use crate::strangers;
use crate::train::calibration::{Genuine, calibrate, strangers_needed};
use crate::train::{CheckpointError, EpochFigures, Features, Outcome, Settings, Task, TrainError, Trained, train};
use crate::trained::{HeldOut, LOSS_FILE, TRAIN_FORMAT, TrainReport};

/// What an interrupted run leaves in the unfinished folder.
const CHECKPOINT: &str = "checkpoint";

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &TrainArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    existing_folder(&args.faces)?;
    refuse_nested(&args.output.out, &args.faces)?;
    if let Some(strangers) = &args.strangers {
        existing_folder(strangers)?;
        refuse_nested(&args.output.out, strangers)?;
    }
    let people = People::open(&args.faces)?;
    let pack = packs::open(&args.pack, console)?;
    check_detector(&people, &pack, args)?;
    let settings = settings(args, &pack)?;
    let keep: &[&str] = if args.fresh { &[] } else { &[CHECKPOINT] };
    let mut out = OutDir::take(&args.output.out, Kind::Train, args.output.force, keep)?;
    let checkpoint = out.path().join(CHECKPOINT);
    out.keep_unfinished(checkpoint.exists());
    find(runtime)?;

    let (onnx, int8) = encoder_to_run(args, &pack, runtime, console)?;
    out.write(ENCODER, &onnx)?;
    let mut encoder = Encoder::open(&onnx, runtime).map_err(Failure::work)?;
    let faces = Faces::embed(&people, &args.faces, &mut encoder, console)?;
    let strangers = match args.rule {
        RuleArg::Paper => Vec::new(),
        RuleArg::Calibrated => stranger_faces(args, &people, &pack, &mut encoder, runtime, console)?,
    };

    let names: Vec<String> = people.people.iter().map(|person| person.name.clone()).collect();
    let features = faces.features(encoder.dim())?;
    let task =
        Task { clip: &pack.clip, tokenizer: &pack.tokenizer, names: &names, features: &features, settings: &settings };
    let trained = learn(&task, &checkpoint, &mut out, console)?;
    let table = table(args, &settings, &encoder, &names, &trained, Rule::PAPER, None)?;
    let (table, calibration) = match args.rule {
        RuleArg::Paper => (table, None),
        RuleArg::Calibrated => {
            let genuine: Vec<Genuine> = trained
                .split
                .held_out
                .iter()
                .map(|&row| Genuine { row: faces.people[row] as usize, embedding: faces.embeddings[row].clone() })
                .collect();
            let (rule, calibration) =
                calibrate(&table, &genuine, &strangers, args.target_fpir).map_err(Failure::input)?;
            let calibrated = self::table(args, &settings, &encoder, &names, &trained, rule, Some(calibration))?;
            (calibrated, Some(calibration))
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
        calibration,
        int8,
    };
    out.write(TABLE, &table.to_bytes())?;
    out.write_json(Kind::Train.marker(), &report)?;
    out.write(LOSS_FILE, &loss_picture(&trained.curve))?;
    interrupt::check()?;
    // The result is complete in the folder, so what it was resumed from may go.
    if checkpoint.exists() {
        std::fs::remove_file(&checkpoint).map_err(|error| Failure::reading(&checkpoint, &error))?;
    }
    let done = out.finish()?;
    say(&report, &done, console);
    Ok(())
}

/// The encoder that the door will run: the table is for exactly this file.
fn encoder_to_run(
    args: &TrainArgs,
    pack: &Pack,
    runtime: &Options,
    console: &Console,
) -> Result<(Vec<u8>, Option<quantize::Report>), Failure> {
    let float = encoder_onnx(&pack.clip, CROP as usize).map_err(Failure::input)?;
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
        chunk: args.chunk as usize,
        loss: args.loss()?,
        ..own
    })
}

/// Faces cut by one detector and judged by another would differ between training and the door.
fn check_detector(people: &People, pack: &Pack, args: &TrainArgs) -> Result<(), Failure> {
    if people.detector_sha256 == hex::encode(Sha256::digest(&pack.detector)) {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{} was ingested with another detector than pack {} has; give the same --pack, or ingest again",
        args.faces.display(),
        pack.about.name
    )))
}

/// Every crop's embedding, with whose it is.
struct Faces {
    embeddings: Vec<Embedding>,
    people: Vec<u32>,
    sources: Vec<HeldOut>,
}

impl Faces {
    fn embed(people: &People, folder: &Path, encoder: &mut Encoder, console: &Console) -> Result<Self, Failure> {
        let crops: usize = people.people.iter().map(|person| person.crops.len()).sum();
        let progress = console.progress("encoding faces", crops as u64);
        let mut faces = Self { embeddings: Vec::new(), people: Vec::new(), sources: Vec::new() };
        for (row, person) in (0..).zip(&people.people) {
            for crop in &person.crops {
                let pixels = crop.read(folder)?;
                faces.embeddings.push(encoder.embed(&pixels).map_err(Failure::work)?);
                faces.people.push(row);
                faces.sources.push(HeldOut { name: person.name.clone(), source: crop.source.clone() });
                progress.step();
                interrupt::check()?;
            }
        }
        Ok(faces)
    }

    fn features(&self, dim: usize) -> Result<Features, Failure> {
        let values = self.embeddings.iter().flat_map(|embedding| embedding.vector().iter().copied()).collect();
        Features::new(dim, values, self.people.clone()).map_err(Failure::work)
    }
}

fn stranger_faces(
    args: &TrainArgs,
    people: &People,
    pack: &Pack,
    encoder: &mut Encoder,
    runtime: &Options,
    console: &Console,
) -> Result<Vec<Embedding>, Failure> {
    let needed = strangers_needed(args.target_fpir);
    let progress = console.progress("looking at strangers", needed as u64);
    let on_face = || {
        progress.step();
        interrupt::check()
    };
    let faces = match &args.strangers {
        Some(folder) => {
            let names: Vec<String> = people.people.iter().map(|person| person.name.clone()).collect();
            strangers::ingested(folder, &names, encoder, on_face)?
        }
        None => {
            let mut detector = Detector::open(&pack.detector, runtime).map_err(Failure::work)?;
            let mut eyes = Eyes { detector: &mut detector, encoder, limits: &QualityLimits::default() };
            strangers::rendered(needed, &mut eyes, on_face)?.into_iter().map(|face| face.embedding).collect()
        }
    };
    Ok(faces)
}

fn learn(task: &Task<'_>, checkpoint: &Path, out: &mut OutDir, console: &Console) -> Result<Trained, Failure> {
    let mut progress: Option<Progress> = None;
    let mut total = 0;
    let outcome = train(task, Some(checkpoint), &mut |step| {
        let bar = progress.get_or_insert_with(|| {
            let bar = console.progress("training", step.total);
            bar.set(step.done - 1);
            bar
        });
        total = step.total;
        bar.step_with(&format!("epoch {} loss {:.3}", step.epoch, step.loss));
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // An epoch may have ended since the folder was taken: whatever comes now, there is something to go on from.
    out.keep_unfinished(checkpoint.exists());
    match outcome.map_err(|error| explained(error, task.names, out.out()))? {
        Outcome::Finished(trained) => Ok(trained),
        Outcome::Stopped { done } => Err(Failure::Interrupted(format!(
            "stopped after step {done} of {total}; the same command goes on from there"
        ))),
    }
}

/// In the user's terms: names instead of rows, and what to do about a checkpoint.
fn explained(error: TrainError, names: &[String], out: &Path) -> Failure {
    let name = |row: usize| names.get(row).map_or("?", String::as_str);
    match error {
        TrainError::Checkpoint(CheckpointError::File { path, source }) => {
            Failure::work(format!("cannot write {}: {}", path.display(), reason(&source)))
        }
        TrainError::Checkpoint(error) => Failure::input(format!(
            "the checkpoint in {}.partial cannot be gone on from ({error}); --fresh starts over",
            out.display()
        )),
        TrainError::SamePrompt { first, second, context } => Failure::input(format!(
            "{} and {} read the same within the {context} tokens of a prompt; shorten the template or a name",
            name(first),
            name(second)
        )),
        TrainError::TooFewPhotos { person, got, .. } => {
            Failure::input(format!("{} has {got} faces, at least 2 are needed", name(person)))
        }
        other => Failure::input(other),
    }
}

fn table(
    args: &TrainArgs,
    settings: &Settings,
    encoder: &Encoder,
    names: &[String],
    trained: &Trained,
    rule: Rule,
    calibration: Option<Calibration>,
) -> Result<Table, Failure> {
    let people = (0..).zip(names).map(|(id, name)| Person { id: PersonId(id), name: name.clone() }).collect();
    Table::new(TableParts {
        encoder: encoder.id(),
        revision: args.revision,
        template: settings.template.clone(),
        logit_scale: trained.logit_scale,
        people,
        classes: trained.classes.clone(),
        dim: trained.dim,
        rule,
        calibration,
    })
    .map_err(Failure::work)
}

fn loss_picture(curve: &[EpochFigures]) -> Vec<u8> {
    let points = |value: fn(&EpochFigures) -> f32| {
        curve.iter().map(|point| (f64::from(point.epoch), f64::from(value(point)))).collect()
    };
    let lines = [
        Curve { label: "training".into(), colour: palette::ACCENT, points: points(|point| point.loss) },
        Curve { label: "held out".into(), colour: palette::SECOND, points: points(|point| point.held_out_loss) },
    ];
    curves("loss", "epoch", &lines).into_png()
}

fn say(report: &TrainReport, done: &Path, console: &Console) {
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
    if let (Rule::Calibrated { likeness, lead }, Some(calibration)) = (report.rule, &report.calibration) {
        console.say(format!(
            "bars: likeness {likeness:.3}, lead {lead:.3}; of {} strangers {:.2} % would be named at a look \
             (95 %: at most {:.2} %), {:.1} % of the held-out faces would not",
            calibration.strangers,
            calibration.observed_fpir * 100.0,
            calibration.fpir_upper * 100.0,
            calibration.fnir * 100.0
        ));
    }
    console.say(format!("wrote {}", done.display()));
    console.result(&json!({ "out": done, "report": report }));
}
