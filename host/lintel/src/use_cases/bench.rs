//! The fine-tuned table beside other ways of telling people apart.

pub mod baselines;
pub mod table1;

use std::collections::BTreeSet;
use std::path::PathBuf;

use lintel_core::embed::Embedding;
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::ingest::{People, Person};
use lintel_photos::people::folded;
use lintel_training::baselines::{Data, Photo};
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use lintel_work::progress::Progress;

use super::learning::{Faces, check_detector};
use super::packs::{self, PackChoice};
use super::table::check_pack;
use super::thresholds::{self, Thresholds};
use super::{Output, existing_folder, runtime};

/// The comparison's page, in the folder that it made.
pub const PAGE_FILE: &str = "bench.html";
/// Bumped when the meaning of `bench.json` changes.
const BENCH_FORMAT: u32 = 1;

/// On whom every comparison is made.
#[derive(Debug, Clone)]
pub struct Subjects {
    /// A trained folder.
    pub trained: PathBuf,
    /// The ingested folder that it was trained on.
    pub faces: PathBuf,
    /// The folder to make.
    pub output: Output,
    /// The pack that the table was trained with.
    pub pack: PackChoice,
    /// Who may not pass.
    pub thresholds: Thresholds,
}

/// What every comparison begins with.
struct Bench<'a> {
    subjects: &'a Subjects,
    trained: TrainedFolder,
    people: People,
    pack: Pack,
    options: &'a Options,
    progress: Progress<'a>,
}

impl<'a> Bench<'a> {
    fn open(subjects: &'a Subjects, options: &'a Options, progress: Progress<'a>) -> Result<(Self, OutDir), Failure> {
        existing_folder(&subjects.trained)?;
        existing_folder(&subjects.faces)?;
        refuse_nested(&subjects.output.folder, &subjects.trained)?;
        refuse_nested(&subjects.output.folder, &subjects.faces)?;
        let trained = TrainedFolder::open(&subjects.trained)?;
        let people = People::open(&subjects.faces, 2)?;
        let pack = packs::open(&subjects.pack)?;
        check_pack(&trained, &pack, &subjects.trained)?;
        check_detector(&people, &pack, &subjects.faces)?;
        let same = trained.table.people().iter().map(|p| folded(&p.name)).collect::<BTreeSet<String>>()
            == people.people.iter().map(|p| folded(&p.name)).collect();
        if !same {
            return Err(Failure::input(format!(
                "{} and {} do not hold the same people; give the faces that the table was trained on",
                subjects.trained.display(),
                subjects.faces.display()
            )));
        }
        let out = OutDir::take(&subjects.output.folder, Kind::Bench, subjects.output.force, &[])?;
        runtime::find(options)?;
        Ok((Self { subjects, trained, people, pack, options, progress }, out))
    }

    /// Persons in the order of the table's rows.
    fn persons(&self) -> Vec<&Person> {
        let of = |name: &str| {
            let wanted = folded(name);
            self.people.people.iter().find(|person| folded(&person.name) == wanted)
        };
        self.trained.table.people().iter().filter_map(|person| of(&person.name)).collect()
    }

    fn names(&self) -> Vec<String> {
        self.trained.table.people().iter().map(|person| person.name.clone()).collect()
    }

    /// Everybody's photos and the strangers as this encoder sees them, divided as training divided them.
    fn data(&self, onnx: &[u8]) -> Result<Data, Failure> {
        let mut encoder = Encoder::open(onnx, self.options).map_err(Failure::work)?;
        let faces = Faces::embed(&self.persons(), &self.subjects.faces, &mut encoder, self.progress)?;
        let kept: BTreeSet<(&str, &str)> =
            self.trained.report.held_out.iter().map(|p| (p.name.as_str(), p.source.as_str())).collect();
        let thresholds = &self.subjects.thresholds;
        let strangers =
            thresholds::strangers(thresholds, &self.names(), &self.pack, onnx, self.options, self.progress)?;
        let mut data = Data {
            people: self.trained.table.len(),
            dim: encoder.dim(),
            train: Vec::new(),
            held_out: Vec::new(),
            strangers: strangers.into_iter().map(|stranger| stranger.embedding).collect::<Vec<Embedding>>(),
        };
        for ((face, row), source) in faces.embeddings.into_iter().zip(faces.people).zip(&faces.sources) {
            let photo = Photo { row: row as usize, face };
            if kept.contains(&(source.name.as_str(), source.source.as_str())) {
                data.held_out.push(photo);
            } else {
                data.train.push(photo);
            }
        }
        if data.held_out.is_empty() || data.train.is_empty() {
            return Err(Failure::input(format!(
                "{} holds none of the photos that {} was trained or checked with; give the faces that it was trained \
                on",
                self.subjects.faces.display(),
                self.subjects.trained.display()
            )));
        }
        Ok(data)
    }
}

/// Writes the page and the figures, and finishes the folder.
fn finish(out: OutDir, page: &str, figures: &impl serde::Serialize) -> Result<std::path::PathBuf, Failure> {
    out.write(PAGE_FILE, page.as_bytes())?;
    out.write_json(Kind::Bench.marker(), figures)?;
    Ok(out.finish()?)
}
