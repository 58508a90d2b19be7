//! A trained folder and new people's crops → one with these people.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lintel_core::table::{Person as Enrolled, PersonId, Table, TableParts};
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::ingest::{People, Person};
use lintel_photos::people::folded;
use lintel_training::trained::{CHECKPOINT, Change, TrainReport, TrainedFolder};
use lintel_training::{Fixed, Settings, Task, intra_class};
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use lintel_work::progress::Progress;

use super::{NewThresholds, check_pack, open, with_thresholds};
use crate::use_cases::learning::{Faces, check_detector, learn};
use crate::use_cases::packs::{self, PackChoice};
use crate::use_cases::train::Outcome;
use crate::use_cases::{Output, existing_folder, runtime};

/// Who joins.
#[derive(Debug, Clone)]
pub struct Request {
    /// A trained folder.
    pub trained: PathBuf,
    /// An ingested folder with the new people in it.
    pub faces: PathBuf,
    /// The folder to make.
    pub output: Output,
    /// The pack that the table was trained with.
    pub pack: PackChoice,
    /// Passes over the new people's faces; `None`: the pack's, or more until there are 150 steps.
    pub epochs: Option<u32>,
    /// Highest learning rate; `None`: the pack's.
    pub learning_rate: Option<f64>,
    /// Decides which photos are held out, and the order of the others.
    pub seed: u64,
    /// How the thresholds are set.
    pub thresholds: NewThresholds,
    /// Starts over where a checkpoint was left.
    pub fresh: bool,
}

/// A prompt that is trained alone takes about so many steps to find its place, however few photos there are.
const LEAST_STEPS: usize = 150;

/// Trains the new people's rows against the others', which stay as they are.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    let trained = open(&request.trained, &request.output)?;
    existing_folder(&request.faces)?;
    refuse_nested(&request.output.folder, &request.faces)?;
    let people = People::open(&request.faces, 1)?;
    let pack = packs::open(&request.pack)?;
    check_pack(&trained, &pack, &request.trained)?;
    check_detector(&people, &pack, &request.faces)?;
    let new = new_people(&people, &trained.table, request)?;
    let known = people.people.len() - new.len();
    let settings = settings(request, &pack, &trained.table, &new);
    let thresholds = request.thresholds.for_table(&trained.table);
    let keep: &[&str] = if request.fresh { &[] } else { &[CHECKPOINT] };
    let mut out = OutDir::take(&request.output.folder, Kind::Train, request.output.force, keep)?;
    out.keep_unfinished(out.path().join(CHECKPOINT).exists());
    runtime::find(options)?;

    let TrainedFolder { report, encoder: onnx, table: old, held_out } = trained;
    let mut encoder = Encoder::open(&onnx, options).map_err(Failure::work)?;
    let faces = Faces::embed(&new, &request.faces, &mut encoder, progress)?;
    let features = faces.features(encoder.dim())?;
    let names: Vec<String> = new.iter().map(|person| person.name.clone()).collect();
    let fixed = Fixed { rows: old.classes(), logit_scale: old.logit_scale() };
    let task = Task {
        clip: &pack.clip,
        tokenizer: &pack.tokenizer,
        names: &names,
        features: &features,
        settings: &settings,
        fixed: (!old.is_empty()).then_some(fixed),
    };
    let learnt = learn(&task, &mut out, progress)?;

    // A number is never given again, even if its person has left.
    let highest = old.people().iter().map(|person| person.id.0 + 1).max().unwrap_or(0);
    let first = report.next_person.max(highest);
    let ids: Vec<PersonId> = (first..).take(names.len()).map(PersonId).collect();
    let held_out = held_out.with(faces.held_out(&learnt.split, &ids));
    let intra_class_similarity =
        intra_class::of_table(old.intra_class_similarity(), &faces.intra_class_similarity(&learnt.split, names.len()));
    let table = joined(old, &ids, &names, &learnt.classes, &intra_class_similarity)?;
    let table = with_thresholds(table, &held_out, &thresholds, &pack, &onnx, options, progress)?;

    let mut sources = report.held_out;
    sources.extend(learnt.split.held_out.iter().map(|&row| faces.sources[row].clone()));
    let mut changes = report.changes;
    changes.push(Change::Added { people: names.len() as u32, settings });
    let report = TrainReport {
        people: table.len() as u32,
        trained_on: report.trained_on + learnt.split.train.len() as u32,
        held_out: sources,
        rule: table.rule(),
        calibration: table.calibration().copied(),
        next_person: first + names.len() as u32,
        changes,
        ..report
    };
    let (report, out) = TrainedFolder { report, encoder: onnx, table, held_out }.write(out)?;
    Ok(Outcome { out, report, known })
}

/// Those whom the table does not have.
fn new_people<'a>(people: &'a People, table: &Table, request: &Request) -> Result<Vec<&'a Person>, Failure> {
    let there: BTreeSet<String> = table.people().iter().map(|person| folded(&person.name)).collect();
    let new: Vec<&Person> = people.people.iter().filter(|person| !there.contains(&folded(&person.name))).collect();
    if new.is_empty() {
        return Err(Failure::input(format!(
            "everybody in {} is in the table already ({} people); to learn new photos of them, run \
             `lintel train` again, or `lintel table remove` first",
            request.faces.display(),
            people.people.len()
        )));
    }
    Ok(new)
}

fn settings(request: &Request, pack: &Pack, table: &Table, new: &[&Person]) -> Settings {
    let own = Settings::default();
    let recommended = pack.about.training;
    let crops: usize = new.iter().map(|person| person.crops.len()).sum();
    let steps_per_epoch = crops.div_ceil(own.batch).max(1);
    let least = LEAST_STEPS.div_ceil(steps_per_epoch) as u32;
    let usual = recommended.epochs.unwrap_or(own.epochs);
    Settings {
        template: table.template().to_owned(),
        epochs: request.epochs.unwrap_or(usual.max(least)),
        learning_rate: request.learning_rate.or(recommended.learning_rate).unwrap_or(own.learning_rate),
        seed: request.seed,
        ..own
    }
}

/// The table with new rows behind the old, one revision later; its thresholds are still those of before.
fn joined(
    old: Table,
    ids: &[PersonId],
    names: &[String],
    rows: &[f32],
    intra_class_similarity: &[f32],
) -> Result<Table, Failure> {
    let mut parts = old.into_parts();
    parts.people.extend(ids.iter().zip(names).map(|(&id, name)| Enrolled { id, name: name.clone() }));
    parts.classes.extend_from_slice(rows);
    parts.intra_class_similarity.extend_from_slice(intra_class_similarity);
    let revision = parts.revision.saturating_add(1);
    Table::new(TableParts { revision, calibration: None, ..parts }).map_err(Failure::input)
}
