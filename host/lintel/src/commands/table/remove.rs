//! `lintel table remove`: a trained folder → one without these people.

use std::collections::BTreeSet;

use lintel_core::table::{PersonId, Table, TableParts};
use lintel_inference::Options;
use lintel_photos::people::folded;
use lintel_training::trained::{Change, TrainReport, TrainedFolder};
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir};

use super::{check_pack, open, thresholds_args, with_thresholds};
use crate::cli::TableRemoveArgs;
use crate::commands::speaker::Console;
use crate::commands::{packs, runtime::find, train::say};

pub(super) fn run(args: &TableRemoveArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    let trained = open(&args.trained, &args.output)?;
    let leaving = leaving(&trained.table, args)?;
    let pack = packs::open(&args.pack, console)?;
    check_pack(&trained, &pack, &args.trained)?;
    let thresholds = thresholds_args(&args.thresholds, &trained.table);
    let out = OutDir::take(&args.output.out, Kind::Train, args.output.force, &[])?;
    find(runtime)?;

    let TrainedFolder { report, encoder: onnx, table: old, held_out } = trained;
    let gone: BTreeSet<String> = leaving.iter().filter_map(|id| old.person(*id)).map(|p| folded(&p.name)).collect();
    let revision = old.revision().saturating_add(1);
    let (mut table, mut held_out) = (old, held_out);
    for person in &leaving {
        table = table.without(*person).map_err(Failure::work)?;
        held_out = held_out.without(*person);
    }
    let table = Table::new(TableParts { revision, ..table.into_parts() }).map_err(Failure::work)?;
    let table = with_thresholds(table, &held_out, &thresholds, &pack, &onnx, runtime, console)?;

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
    let (report, done) = TrainedFolder { report, encoder: onnx, table, held_out }.write(out)?;
    say(&report, &done, console);
    Ok(())
}

/// Who is meant.
fn leaving(table: &Table, args: &TableRemoveArgs) -> Result<BTreeSet<PersonId>, Failure> {
    let show = format!("`lintel table show {}` lists who is", args.trained.display());
    let mut leaving = BTreeSet::new();
    for name in &args.names {
        let wanted = folded(name);
        let person = table.people().iter().find(|person| folded(&person.name) == wanted);
        let person = person.ok_or_else(|| Failure::input(format!("{name:?} is not in the table; {show}")))?;
        leaving.insert(person.id);
    }
    for &id in &args.ids {
        let id = PersonId(id);
        if table.person(id).is_none() {
            return Err(Failure::input(format!("{id} is not in the table; {show}")));
        }
        leaving.insert(id);
    }
    Ok(leaving)
}
