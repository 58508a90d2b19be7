//! `lintel bench`: the fine-tuned table beside other ways of telling people apart.

mod baselines;
mod table1;

use std::collections::BTreeSet;
use std::path::Path;

use lintel_core::embed::Embedding;
use lintel_inference::{Encoder, Options};
use lintel_packs::Pack;
use lintel_photos::ingest::{People, Person};
use lintel_photos::people::folded;
use lintel_training::baselines::{Data, Photo};
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::Failure;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};

use crate::cli::{BenchAction, BenchArgs, BenchData, ThresholdsArgs};
use crate::commands::learning::{Faces, check_detector};
use crate::commands::speaker::Console;
use crate::commands::table::check_pack;
use crate::commands::{existing_folder, packs, runtime::find, thresholds};

/// The page.
const PAGE_FILE: &str = "bench.html";
/// Bumped when the meaning of `bench.json` changes.
const BENCH_FORMAT: u32 = 1;

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &BenchArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    match &args.action {
        BenchAction::Baselines(args) => baselines::run(args, runtime, console),
        BenchAction::Table1(args) => table1::run(args, runtime, console),
    }
}

/// What every comparison begins with.
struct Bench<'a> {
    args: &'a BenchData,
    trained: TrainedFolder,
    people: People,
    pack: Pack,
    runtime: &'a Options,
    console: &'a Console,
}

impl<'a> Bench<'a> {
    fn open(args: &'a BenchData, runtime: &'a Options, console: &'a Console) -> Result<(Self, OutDir), Failure> {
        existing_folder(&args.trained)?;
        existing_folder(&args.faces)?;
        refuse_nested(&args.output.out, &args.trained)?;
        refuse_nested(&args.output.out, &args.faces)?;
        let trained = TrainedFolder::open(&args.trained)?;
        let people = People::open(&args.faces, 2)?;
        let pack = packs::open(&args.pack, console)?;
        check_pack(&trained, &pack, &args.trained)?;
        check_detector(&people, &pack, &args.faces)?;
        let same = trained.table.people().iter().map(|p| folded(&p.name)).collect::<BTreeSet<String>>()
            == people.people.iter().map(|p| folded(&p.name)).collect();
        if !same {
            return Err(Failure::input(format!(
                "{} and {} do not hold the same people; give the faces that the table was trained on",
                args.trained.display(),
                args.faces.display()
            )));
        }
        let out = OutDir::take(&args.output.out, Kind::Bench, args.output.force, &[])?;
        find(runtime)?;
        Ok((Self { args, trained, people, pack, runtime, console }, out))
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
        let mut encoder = Encoder::open(onnx, self.runtime).map_err(Failure::work)?;
        let faces = Faces::embed(&self.persons(), &self.args.faces, &mut encoder, self.console)?;
        let kept: BTreeSet<(&str, &str)> =
            self.trained.report.held_out.iter().map(|p| (p.name.as_str(), p.source.as_str())).collect();
        let strangers = ThresholdsArgs { strangers: self.args.strangers.clone(), target_fpir: self.args.target_fpir };
        let strangers = thresholds::strangers(&strangers, &self.names(), &self.pack, onnx, self.runtime, self.console)?;
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
                self.args.faces.display(),
                self.args.trained.display()
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

/// What is said in the end.
fn say(lines: &[String], done: &Path, console: &Console) {
    lines.iter().for_each(|line| console.say(line));
    console.say(format!("wrote {}", done.join(PAGE_FILE).display()));
}
