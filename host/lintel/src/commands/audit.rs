//! `lintel audit`: who could open for whom, before a table is shipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lintel_core::embed::{Embedding, EncoderId};
use lintel_core::table::Table;
use lintel_evaluation::audit::change::{Change, Side, change};
use lintel_evaluation::audit::page::{Gallery, page};
use lintel_evaluation::audit::{AUDIT_FORMAT, Audit, PAGE_FILE, Subject, pairs, photos, strangers};
use lintel_formats::bundle::Role;
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::ingest::{People, Person};
use lintel_photos::people::folded;
use lintel_rendered::faces::Analyzer;
use lintel_rendered::strangers::{Stranger, Who};
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use serde_json::json;

use crate::cli::{AuditArgs, ThresholdsArgs};
use crate::commands::learning::{Faces, check_detector};
use crate::commands::speaker::Console;
use crate::commands::table::{check_pack, read_table, thresholds_args};
use crate::commands::{existing_folder, packs, runtime::find, thresholds};

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &AuditArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    existing_folder(&args.trained)?;
    existing_folder(&args.faces)?;
    refuse_nested(&args.output.out, &args.trained)?;
    refuse_nested(&args.output.out, &args.faces)?;
    let trained = TrainedFolder::open(&args.trained)?;
    let people = People::open(&args.faces, 1)?;
    let pack = packs::open(&args.pack, console)?;
    check_pack(&trained, &pack, &args.trained)?;
    check_detector(&people, &pack, &args.faces)?;
    let deployed = args.against.as_deref().map(Deployed::open).transpose()?;
    let table = &trained.table;
    let rows: BTreeMap<String, usize> = (0..).zip(table.people()).map(|(row, p)| (folded(&p.name), row)).collect();
    let known: Vec<&Person> = people.people.iter().filter(|p| rows.contains_key(&folded(&p.name))).collect();
    if known.is_empty() {
        return Err(Failure::input(format!(
            "nobody in {} is in the table; give the faces that it was trained on",
            args.faces.display()
        )));
    }
    let out = OutDir::take(&args.output.out, Kind::Audit, args.output.force, &[])?;
    find(runtime)?;

    let looks = Looks {
        known: &known,
        args,
        thresholds: thresholds_args(&args.thresholds, table),
        pack: &pack,
        runtime,
        console,
    };
    let after = looks.of(&trained.encoder, table)?;
    let change = deployed.map(|deployed| looks.against(&deployed, table, &after)).transpose()?;

    let subjects: Vec<Subject<'_>> =
        after.people.iter().map(|(name, faces)| Subject { row: rows[&folded(name)], photos: faces }).collect();
    let (nearest, strangers_named) = strangers::nearest(table, &after.strangers);
    let audit = Audit {
        format: AUDIT_FORMAT,
        revision: table.revision(),
        people: table.len(),
        with_photos: subjects.len(),
        rule: table.rule(),
        calibration: table.calibration().copied(),
        pairs: pairs::closest(table, &subjects),
        strangers: nearest,
        strangers_looked_at: after.strangers.len(),
        strangers_named,
        photos: photos::findings(table, &subjects),
        change,
    };
    let gallery = Crops::of(&audit, &looks, &after.strangers, &trained.encoder)?;
    out.write(PAGE_FILE, page(&audit, &gallery).as_bytes())?;
    out.write_json(Kind::Audit.marker(), &audit)?;
    let done = out.finish()?;

    let page = done.join(PAGE_FILE);
    let concerns = audit.concerns();
    for line in &concerns {
        console.say(line);
    }
    if concerns.is_empty() {
        console.say("nothing stands out");
    }
    console.say(format!("wrote {}; it shows faces and names: send it with care", page.display()));
    console.result(&json!({ "out": done, "page": page, "concerns": concerns, "audit": audit }));
    if args.strict && !concerns.is_empty() {
        return Err(Failure::work(format!("{} things are to be looked at: see {}", concerns.len(), page.display())));
    }
    Ok(())
}

/// What is deployed, as far as it is at hand.
struct Deployed {
    table: Table,
    /// Absent where only the table was given.
    encoder: Option<Vec<u8>>,
}

impl Deployed {
    fn open(path: &Path) -> Result<Self, Failure> {
        let table = read_table(path)?;
        let file = path.join(Role::Encoder.file_name());
        if !file.is_file() {
            return Ok(Self { table, encoder: None });
        }
        let onnx = std::fs::read(&file).map_err(|error| Failure::reading(&file, &error))?;
        if EncoderId::of(&onnx) != table.encoder() {
            return Err(Failure::input(format!(
                "{} is not the encoder that {} beside it is for",
                file.display(),
                Role::Table.file_name()
            )));
        }
        Ok(Self { table, encoder: Some(onnx) })
    }
}

/// What one encoder makes of everybody.
struct Seen {
    people: Vec<(String, Vec<Embedding>)>,
    strangers: Vec<Stranger>,
}

/// Whom encoders look at, and with what.
struct Looks<'a> {
    known: &'a [&'a Person],
    args: &'a AuditArgs,
    thresholds: ThresholdsArgs,
    pack: &'a Pack,
    runtime: &'a Options,
    console: &'a Console,
}

impl Looks<'_> {
    fn of(&self, onnx: &[u8], table: &Table) -> Result<Seen, Failure> {
        let mut encoder = Encoder::open(onnx, self.runtime).map_err(Failure::work)?;
        let faces = Faces::embed(self.known, &self.args.faces, &mut encoder, self.console)?;
        let mut people: Vec<(String, Vec<Embedding>)> =
            self.known.iter().map(|person| (person.name.clone(), Vec::new())).collect();
        for (embedding, person) in faces.embeddings.into_iter().zip(faces.people) {
            people[person as usize].1.push(embedding);
        }
        let names: Vec<String> = table.people().iter().map(|person| person.name.clone()).collect();
        let strangers = thresholds::strangers(&self.thresholds, &names, self.pack, onnx, self.runtime, self.console)?;
        Ok(Seen { people, strangers })
    }

    fn against(&self, deployed: &Deployed, table: &Table, after: &Seen) -> Result<Change, Failure> {
        let embeddings = |seen: &Seen| -> Vec<Embedding> {
            seen.strangers.iter().map(|stranger| stranger.embedding.clone()).collect()
        };
        let now = embeddings(after);
        let new = Side { table, people: &after.people, strangers: &now };
        if deployed.table.encoder() == table.encoder() {
            return Ok(change(&deployed.table, table, Some((Side { table: &deployed.table, ..new }, new))));
        }
        let Some(onnx) = &deployed.encoder else { return Ok(change(&deployed.table, table, None)) };
        let before = self.of(onnx, &deployed.table)?;
        let then = embeddings(&before);
        let old = Side { table: &deployed.table, people: &before.people, strangers: &then };
        Ok(change(&deployed.table, table, Some((old, new))))
    }
}

/// The crops that the page shows.
struct Crops<'a> {
    people: BTreeMap<&'a str, &'a Person>,
    folder: &'a Path,
    strangers: BTreeMap<usize, Vec<u8>>,
}

impl<'a> Crops<'a> {
    fn of(audit: &Audit, looks: &'a Looks<'_>, strangers: &[Stranger], encoder: &[u8]) -> Result<Self, Failure> {
        let mut shown = BTreeMap::new();
        let folder: Option<&PathBuf> = looks.thresholds.strangers.as_ref();
        let mut eyes = Analyzer::open(&looks.pack.detector, encoder, looks.runtime).map_err(Failure::work)?;
        for near in &audit.strangers {
            let crop = match (&strangers[near.number].who, folder) {
                (Who::Rendered(person), _) => {
                    eyes.visits(&[*person]).map_err(Failure::work)?.pop().map(|visitor| visitor.crop)
                }
                (Who::Ingested { crop, .. }, Some(folder)) => Some(crop.read(folder)?),
                (Who::Ingested { .. }, None) => None,
            };
            shown.extend(crop.map(|crop| (near.number, crop)));
        }
        let people = looks.known.iter().map(|person| (person.name.as_str(), *person)).collect();
        Ok(Self { people, folder: &looks.args.faces, strangers: shown })
    }
}

impl Gallery for Crops<'_> {
    fn enrolled(&self, person: &str, photo: usize) -> Option<Vec<u8>> {
        self.people.get(person)?.crops.get(photo)?.read(self.folder).ok()
    }

    fn stranger(&self, number: usize) -> Option<Vec<u8>> {
        self.strangers.get(&number).cloned()
    }
}
