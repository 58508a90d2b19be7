//! Who could open for whom, before a table is shipped.

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
use lintel_rendered::faces::ModelPairs;
use lintel_rendered::strangers::{Stranger, Who};
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use lintel_work::progress::Progress;

use super::learning::{Faces, check_detector};
use super::packs::{self, PackChoice};
use super::table::show::read_table;
use super::table::{NewThresholds, check_pack};
use super::thresholds::{self, Thresholds};
use super::{Output, existing_folder, runtime};

/// What to look at.
#[derive(Debug, Clone)]
pub struct Request {
    /// A trained folder.
    pub trained: PathBuf,
    /// An ingested folder with the people of the table.
    pub faces: PathBuf,
    /// The folder to make.
    pub output: Output,
    /// The pack that the table was trained with.
    pub pack: PackChoice,
    /// The table that is deployed: a bundle, a trained folder, or a file.
    pub against: Option<PathBuf>,
    /// Who the strangers are.
    pub thresholds: NewThresholds,
    /// Anything to look at is a failure.
    pub strict: bool,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The folder.
    pub out: PathBuf,
    /// `audit.html`, which shows faces and names.
    pub page: PathBuf,
    /// All findings.
    pub audit: Audit,
    /// As in [`Request::strict`].
    pub strict: bool,
}

/// Compares everybody with everybody and with strangers, and writes a page.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    existing_folder(&request.trained)?;
    existing_folder(&request.faces)?;
    refuse_nested(&request.output.folder, &request.trained)?;
    refuse_nested(&request.output.folder, &request.faces)?;
    let trained = TrainedFolder::open(&request.trained)?;
    let people = People::open(&request.faces, 1)?;
    let pack = packs::open(&request.pack)?;
    check_pack(&trained, &pack, &request.trained)?;
    check_detector(&people, &pack, &request.faces)?;
    let deployed = request.against.as_deref().map(Deployed::open).transpose()?;
    let table = &trained.table;
    let rows: BTreeMap<String, usize> = (0..).zip(table.people()).map(|(row, p)| (folded(&p.name), row)).collect();
    let known: Vec<&Person> = people.people.iter().filter(|p| rows.contains_key(&folded(&p.name))).collect();
    if known.is_empty() {
        return Err(Failure::input(format!(
            "nobody in {} is in the table; give the faces that it was trained on",
            request.faces.display()
        )));
    }
    let out = OutDir::take(&request.output.folder, Kind::Audit, request.output.force, &[])?;
    runtime::find(options)?;

    let looks = Looks {
        known: &known,
        request,
        thresholds: request.thresholds.for_table(table),
        pack: &pack,
        options,
        progress,
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
    let out = out.finish()?;
    Ok(Outcome { page: out.join(PAGE_FILE), out, audit, strict: request.strict })
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

/// Everybody's embeddings by one encoder.
struct Seen {
    people: Vec<(String, Vec<Embedding>)>,
    strangers: Vec<Stranger>,
}

/// Whom encoders look at, and with what.
struct Looks<'a> {
    known: &'a [&'a Person],
    request: &'a Request,
    thresholds: Thresholds,
    pack: &'a Pack,
    options: &'a Options,
    progress: Progress<'a>,
}

impl Looks<'_> {
    fn of(&self, onnx: &[u8], table: &Table) -> Result<Seen, Failure> {
        let mut encoder = Encoder::open(onnx, self.options).map_err(Failure::work)?;
        let faces = Faces::embed(self.known, &self.request.faces, &mut encoder, self.progress)?;
        let mut people: Vec<(String, Vec<Embedding>)> =
            self.known.iter().map(|person| (person.name.clone(), Vec::new())).collect();
        for (embedding, person) in faces.embeddings.into_iter().zip(faces.people) {
            people[person as usize].1.push(embedding);
        }
        let names: Vec<String> = table.people().iter().map(|person| person.name.clone()).collect();
        let strangers = thresholds::strangers(&self.thresholds, &names, self.pack, onnx, self.options, self.progress)?;
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
        let mut models = ModelPairs::open(&looks.pack.detector, encoder, looks.options).map_err(Failure::work)?;
        for near in &audit.strangers {
            let crop = match (&strangers[near.number].who, folder) {
                (Who::Rendered(person), _) => {
                    models.visits(&[*person]).map_err(Failure::work)?.pop().map(|visitor| visitor.crop)
                }
                (Who::Ingested { crop, .. }, Some(folder)) => Some(crop.read(folder)?),
                (Who::Ingested { .. }, None) => None,
            };
            shown.extend(crop.map(|crop| (near.number, crop)));
        }
        let people = looks.known.iter().map(|person| (person.name.as_str(), *person)).collect();
        Ok(Self { people, folder: &looks.request.faces, strangers: shown })
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
