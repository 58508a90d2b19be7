//! Crops of people → features → rows of a table: what `lintel train` and `lintel table add` share.

use std::ops::ControlFlow;
use std::path::Path;

use lintel_core::embed::Embedding;
use lintel_core::table::PersonId;
use lintel_inference::Encoder;
use lintel_packs::Pack;
use lintel_photos::ingest::{People, Person};
use lintel_training::held_out::HeldOutFaces;
use lintel_training::intra_class::intra_class_similarity;
use lintel_training::trained::{CHECKPOINT, HeldOut};
use lintel_training::{CheckpointError, Features, Outcome, Split, Task, TrainError, Trained, train};
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use lintel_work::outdir::OutDir;
use lintel_work::progress::{Progress, Work};
use sha2::{Digest as _, Sha256};

/// Faces cut by one detector and judged by another would differ between training and the door.
///
/// # Errors
/// [`Failure::Input`].
pub fn check_detector(people: &People, pack: &Pack, faces: &Path) -> Result<(), Failure> {
    if people.detector_sha256 == hex::encode(Sha256::digest(&pack.detector)) {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{} was ingested with another detector than pack {} has; give the same --pack, or ingest again",
        faces.display(),
        pack.about.name
    )))
}

/// Every crop's embedding, with whose it is.
pub struct Faces {
    /// `[M]`.
    pub embeddings: Vec<Embedding>,
    /// `[M]`: indices of persons.
    pub people: Vec<u32>,
    /// `[M]`.
    pub sources: Vec<HeldOut>,
}

impl Faces {
    /// Embeds every crop of these people of an ingested folder.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn embed(
        people: &[&Person],
        folder: &Path,
        encoder: &mut Encoder,
        progress: Progress<'_>,
    ) -> Result<Self, Failure> {
        let crops: usize = people.iter().map(|person| person.crops.len()).sum();
        let work = progress.begin("encoding faces", crops as u64);
        let mut faces = Self { embeddings: Vec::new(), people: Vec::new(), sources: Vec::new() };
        for (row, person) in (0..).zip(people) {
            for crop in &person.crops {
                let pixels = crop.read(folder)?;
                faces.embeddings.push(encoder.embed(&pixels).map_err(Failure::work)?);
                faces.people.push(row);
                faces.sources.push(HeldOut { name: person.name.clone(), source: crop.source.clone() });
                work.step();
                interrupt::check()?;
            }
        }
        Ok(faces)
    }

    /// As training takes them.
    ///
    /// # Errors
    /// [`Failure::Work`] where an encoder gives no unit vectors.
    pub fn features(&self, dim: usize) -> Result<Features, Failure> {
        let values = self.embeddings.iter().flat_map(|embedding| embedding.vector().iter().copied()).collect();
        Features::new(dim, values, self.people.clone()).map_err(Failure::work)
    }

    /// The intra-class similarity of each of these `people`, over the photos that training saw, where there are enough.
    #[must_use]
    pub fn intra_class_similarity(&self, split: &Split, people: usize) -> Vec<Option<f32>> {
        let of = |person: usize| {
            let own = split.train.iter().filter(|&&row| self.people[row] as usize == person);
            intra_class_similarity(own.map(|&row| &self.embeddings[row]))
        };
        (0..people).map(of).collect()
    }

    /// The photos that training did not see; `ids` are the people's.
    #[must_use]
    pub fn held_out(&self, split: &Split, ids: &[PersonId]) -> HeldOutFaces {
        let photo = |&row: &usize| (ids[self.people[row] as usize], self.embeddings[row].clone());
        HeldOutFaces::new(split.held_out.iter().map(photo).collect())
    }
}

/// Trains, from the checkpoint in the unfinished folder if there is one.
///
/// # Errors
/// [`Failure`]; what was learnt so far is kept.
pub fn learn(task: &Task<'_>, out: &mut OutDir, progress: Progress<'_>) -> Result<Trained, Failure> {
    let checkpoint = &out.path().join(CHECKPOINT);
    let mut running: Option<Work<'_>> = None;
    let mut total = 0;
    let outcome = train(task, Some(checkpoint), &mut |step| {
        let work = running.get_or_insert_with(|| {
            let work = progress.begin("training", step.total);
            work.set(step.done - 1);
            work
        });
        total = step.total;
        work.step_with(&format!("epoch {} loss {:.3}", step.epoch, step.loss));
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // An epoch may have ended since the folder was taken: whatever comes now, there is something to go on from.
    out.keep_unfinished(checkpoint.exists());
    drop(running);
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
