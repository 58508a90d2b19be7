//! Crops → image features → trained names → an identity table with its thresholds.

use std::path::PathBuf;

use lintel_clip::text_encoder::MatmulPrecision;
use lintel_core::table::{Person as Enrolled, PersonId, Rule, Table, TableParts};
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::calibration_set;
use lintel_photos::ingest::{People, Person};
use lintel_quantize::{Quantized, Settings as Int8Settings};
use lintel_training::trained::{CHECKPOINT, TRAIN_FORMAT, TrainReport, TrainedFolder};
use lintel_training::{Compute, Loss, Settings, Task, Trained, intra_class};
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use lintel_work::progress::Progress;

use super::learning::{Faces, check_detector, learn};
use super::packs::{self, PackChoice};
use super::quantize::{check_runs_here, quantized};
use super::thresholds::{self, Thresholds};
use super::{Output, compute, existing_folder, runtime};

/// Whom to train, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A folder that an ingest made.
    pub faces: PathBuf,
    /// The folder to make.
    pub output: Output,
    /// Whose encoders.
    pub pack: PackChoice,
    /// Passes over the training faces; `None`: the pack's.
    pub epochs: Option<u32>,
    /// Highest learning rate; `None`: the pack's.
    pub learning_rate: Option<f64>,
    /// Faces in a minibatch.
    pub batch: usize,
    /// People that each step tells apart; 0: all.
    pub classes_per_step: usize,
    /// Where training runs.
    pub compute: Compute,
    /// How exactly linear layers multiply.
    pub precision: MatmulPrecision,
    /// Names that are worked on at once; `None`: the device's.
    pub chunk: Option<usize>,
    /// What tells people apart.
    pub loss: Loss,
    /// Decides the 80/20 split, the order of the faces, and people by chance.
    pub seed: u64,
    /// The prompt; `{name}` stands for the name.
    pub template: String,
    /// How the thresholds are set.
    pub thresholds: Thresholds,
    /// Which rule the table carries.
    pub rule: DecisionRule,
    /// Number of the table; a door only goes forward.
    pub revision: u64,
    /// Starts over where a checkpoint was left.
    pub fresh: bool,
    /// Quantises the encoder first, so, and trains on what it then gives.
    pub int8: Option<Int8Settings>,
}

impl Request {
    /// With the program's own pack and training's own [`Settings`].
    #[must_use]
    pub fn new(faces: impl Into<PathBuf>, output: Output) -> Self {
        let Settings { batch, classes_per_step, compute, precision, loss, seed, template, .. } = Settings::default();
        Self {
            faces: faces.into(),
            output,
            pack: PackChoice::default(),
            epochs: None,
            learning_rate: None,
            batch,
            classes_per_step,
            compute,
            precision,
            chunk: None,
            loss,
            seed,
            template,
            thresholds: Thresholds::default(),
            rule: DecisionRule::Calibrated,
            revision: 1,
            fresh: false,
            int8: None,
        }
    }
}

/// Which rule a table carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionRule {
    /// A threshold on similarity and one on the margin over the next person, both from strangers' faces.
    Calibrated,
    /// Softmax at the logit scale; below 0.80 nobody.
    Paper,
}

/// A table that was trained or changed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The folder.
    pub out: PathBuf,
    /// What `train.json` says.
    pub report: TrainReport,
    /// People of the faces who were in the table before and stay as they are; 0 for a new table.
    pub known: usize,
}

/// Trains a table and sets its thresholds.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    existing_folder(&request.faces)?;
    refuse_nested(&request.output.folder, &request.faces)?;
    if let Some(strangers) = &request.thresholds.strangers {
        existing_folder(strangers)?;
        refuse_nested(&request.output.folder, strangers)?;
    }
    let people = People::open(&request.faces, 2)?;
    let pack = packs::open(&request.pack)?;
    check_detector(&people, &pack, &request.faces)?;
    let settings = settings(request, &pack);
    compute::check(request.compute, request.precision, progress)?;
    let keep: &[&str] = if request.fresh { &[] } else { &[CHECKPOINT] };
    let mut out = OutDir::take(&request.output.folder, Kind::Train, request.output.force, keep)?;
    out.keep_unfinished(out.path().join(CHECKPOINT).exists());
    runtime::find(options)?;

    let (onnx, int8) = encoder_to_run(request, &pack, options, progress)?;
    let mut encoder = Encoder::open(&onnx, options).map_err(Failure::work)?;
    let everybody: Vec<&Person> = people.people.iter().collect();
    let faces = Faces::embed(&everybody, &request.faces, &mut encoder, progress)?;
    let names: Vec<String> = people.people.iter().map(|person| person.name.clone()).collect();
    let strangers = match request.rule {
        DecisionRule::Paper => Vec::new(),
        DecisionRule::Calibrated => {
            thresholds::strangers(&request.thresholds, &names, &pack, &onnx, options, progress)?
        }
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
    let trained = learn(&task, &mut out, progress)?;
    let intra_class_similarity = intra_class::of_table(&[], &faces.intra_class_similarity(&trained.split, names.len()));
    let table = table(request, &settings, &encoder, &names, &trained, intra_class_similarity)?;
    let ids: Vec<PersonId> = table.people().iter().map(|person| person.id).collect();
    let held_out = faces.held_out(&trained.split, &ids);
    let table = match request.rule {
        DecisionRule::Paper => table,
        DecisionRule::Calibrated => {
            let genuine = held_out.genuine(&table);
            thresholds::set(table, &genuine, strangers, request.thresholds.target_fpir)?
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
    let (report, out) = TrainedFolder { report, encoder: onnx, table, held_out }.write(out)?;
    Ok(Outcome { out, report, known: 0 })
}

/// The encoder that the door will run: the table is for exactly this file.
fn encoder_to_run(
    request: &Request,
    pack: &Pack,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Vec<u8>, Option<lintel_quantize::Report>), Failure> {
    let float = pack.encoder_onnx().map_err(Failure::input)?;
    let Some(settings) = &request.int8 else { return Ok((float, None)) };
    check_runs_here(settings)?;
    let crops = calibration_set::crops(&request.faces, calibration_set::MOST)?;
    let Quantized { onnx, report } = quantized(&float, &crops, settings, options, progress)?;
    Ok((onnx, Some(report)))
}

fn settings(request: &Request, pack: &Pack) -> Settings {
    let own = Settings::default();
    let recommended = pack.about.training;
    Settings {
        template: request.template.clone(),
        epochs: request.epochs.or(recommended.epochs).unwrap_or(own.epochs),
        learning_rate: request.learning_rate.or(recommended.learning_rate).unwrap_or(own.learning_rate),
        batch: request.batch,
        seed: request.seed,
        classes_per_step: request.classes_per_step,
        chunk: request.chunk.unwrap_or(request.compute.chunk()),
        compute: request.compute,
        precision: request.precision,
        loss: request.loss,
        ..own
    }
}

fn table(
    request: &Request,
    settings: &Settings,
    encoder: &Encoder,
    names: &[String],
    trained: &Trained,
    intra_class_similarity: Vec<f32>,
) -> Result<Table, Failure> {
    let people = (0..).zip(names).map(|(id, name)| Enrolled { id: PersonId(id), name: name.clone() }).collect();
    Table::new(TableParts {
        encoder: encoder.id(),
        revision: request.revision,
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
