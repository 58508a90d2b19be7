//! A trained folder → one without these people.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lintel_core::table::{PersonId, Table, TableParts};
use lintel_inference::Options;
use lintel_photos::people::folded;
use lintel_training::trained::{Change, TrainReport, TrainedFolder};
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir};
use lintel_work::progress::Progress;

use super::{NewThresholds, check_pack, open, with_thresholds};
use crate::use_cases::packs::{self, PackChoice};
use crate::use_cases::train::Outcome;
use crate::use_cases::{Output, runtime};

/// Who leaves.
#[derive(Debug, Clone)]
pub struct Request {
    /// A trained folder.
    pub trained: PathBuf,
    /// Names, as the table has them.
    pub names: Vec<String>,
    /// Person ids.
    pub ids: Vec<u32>,
    /// The folder to make.
    pub output: Output,
    /// The pack that the table was trained with.
    pub pack: PackChoice,
    /// How the thresholds are set.
    pub thresholds: NewThresholds,
}

/// Takes people out without any training.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    let trained = open(&request.trained, &request.output)?;
    let leaving = leaving(&trained.table, request)?;
    let pack = packs::open(&request.pack)?;
    check_pack(&trained, &pack, &request.trained)?;
    let thresholds = request.thresholds.for_table(&trained.table);
    let out = OutDir::take(&request.output.folder, Kind::Train, request.output.force, &[])?;
    runtime::find(options)?;

    let TrainedFolder { report, encoder: onnx, table: old, held_out } = trained;
    let gone: BTreeSet<String> = leaving.iter().filter_map(|id| old.person(*id)).map(|p| folded(&p.name)).collect();
    let revision = old.revision().saturating_add(1);
    let (mut table, mut held_out) = (old, held_out);
    for person in &leaving {
        table = table.without(*person).map_err(Failure::work)?;
        held_out = held_out.without(*person);
    }
    let table = Table::new(TableParts { revision, ..table.into_parts() }).map_err(Failure::work)?;
    let table = with_thresholds(table, &held_out, &thresholds, &pack, &onnx, options, progress)?;

    let mut changes = report.changes;
    changes.push(Change::Removed { people: leaving.len() as u32 });
    let report = TrainReport {
        people: table.len() as u32,
        held_out: report.held_out.into_iter().filter(|photo| !gone.contains(&folded(&photo.name))).collect(),
        rule: table.rule(),
        calibration: table.calibration().copied(),
        changes,
        ..report
    };
    let (report, out) = TrainedFolder { report, encoder: onnx, table, held_out }.write(out)?;
    Ok(Outcome { out, report, known: 0 })
}

/// Who is meant.
fn leaving(table: &Table, request: &Request) -> Result<BTreeSet<PersonId>, Failure> {
    let show = format!("`lintel table show {}` lists who is", request.trained.display());
    let mut leaving = BTreeSet::new();
    for name in &request.names {
        let wanted = folded(name);
        let person = table.people().iter().find(|person| folded(&person.name) == wanted);
        let person = person.ok_or_else(|| Failure::input(format!("{name:?} is not in the table; {show}")))?;
        leaving.insert(person.id);
    }
    for &id in &request.ids {
        let id = PersonId(id);
        if table.person(id).is_none() {
            return Err(Failure::input(format!("{id} is not in the table; {show}")));
        }
        leaving.insert(id);
    }
    Ok(leaving)
}
