//! Faces of people who may not pass → embeddings that set a table's thresholds.
//!
//! The faces come from an ingested folder, or from rendered people. Each person is one trial: photos of one person are
//! alike, and a bound that counted each of them would claim too much. As at the door, a person's looks are averaged.

pub mod kept;

use std::path::{Path, PathBuf};

use lintel_core::aggregate::{self, LOOKS};
use lintel_core::embed::Embedding;
use lintel_inference::{Encoder, RuntimeError};
use lintel_photos::ingest::{Crop, IngestError, People};
use lintel_photos::people::folded;
use lintel_work::failure::Failure;

use crate::cohort;
use crate::faces::{CHUNK, ModelPairs, Visitor};

/// The most people that are rendered for a target; a lower one takes real photos.
pub const MOST_RENDERED: usize = 20_000;
/// Which cohort; the same for every training, so that tables compare.
const WORLD: u64 = 0;

/// Somebody who may not pass: one trial.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// Where the stranger comes from: rendered or ingested.
    pub who: Who,
    /// What the door makes of the looks together.
    pub embedding: Embedding,
}

/// Where a stranger comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Who {
    /// Nobody who exists: the renderer's number.
    Rendered(u64),
    /// A person of an ingested folder.
    Ingested {
        /// The person's name in the strangers' folder.
        name: String,
        /// The first crop.
        crop: Crop,
    },
}

/// Why there are no strangers.
#[derive(Debug, thiserror::Error)]
pub enum StrangersError {
    /// Someone is on both sides.
    #[error("{name} is enrolled and in {} too; take one of the two out", folder.display())]
    Enrolled {
        /// The person's name in the strangers' folder.
        name: String,
        /// The strangers' folder.
        folder: PathBuf,
    },
    /// The target needs more strangers than are rendered.
    #[error(
        "this target takes {wanted} strangers, at most {MOST_RENDERED} are rendered; give your own with --strangers"
    )]
    TooMany {
        /// Strangers needed.
        wanted: usize,
    },
    /// The strangers' folder.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A model.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Hardly any rendered visitor passes the gate: the detector is not one for these.
    #[error(
        "the detector finds usable faces of {found} among {rendered} rendered people; give real ones with --strangers"
    )]
    NoFaces {
        /// People whose faces passed.
        found: usize,
        /// People who were rendered.
        rendered: u32,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted(Failure),
}

impl From<StrangersError> for Failure {
    fn from(error: StrangersError) -> Self {
        match error {
            StrangersError::Interrupted(failure) => failure,
            StrangersError::Runtime(_) => Self::work(error),
            StrangersError::Ingest(error) => error.into(),
            _ => Self::input(error),
        }
    }
}

/// The people of an ingested folder, none of whom is among `enrolled`: of each, up to [`LOOKS`] crops together.
///
/// # Errors
/// [`StrangersError`].
pub fn ingested(
    people: &People,
    folder: &Path,
    enrolled: &[String],
    encoder: &mut Encoder,
    mut on_person: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<Stranger>, StrangersError> {
    let enrolled: std::collections::BTreeSet<String> = enrolled.iter().map(|name| folded(name)).collect();
    let mut strangers = Vec::with_capacity(people.people.len());
    for person in &people.people {
        if enrolled.contains(&folded(&person.name)) {
            return Err(StrangersError::Enrolled { name: person.name.clone(), folder: folder.into() });
        }
        let mut looks = Vec::with_capacity(LOOKS);
        for crop in person.crops.iter().take(LOOKS) {
            looks.push(encoder.embed(&crop.read(folder)?)?);
        }
        if let (Some(embedding), Some(crop)) = (aggregate::mean(looks.iter()), person.crops.first()) {
            let who = Who::Ingested { name: person.name.clone(), crop: crop.clone() };
            strangers.push(Stranger { who, embedding });
        }
        on_person().map_err(StrangersError::Interrupted)?;
    }
    Ok(strangers)
}

/// Rendered strangers, always in the same order.
#[derive(Clone, Debug, Default)]
pub struct Cohort {
    /// Those whose faces could be used.
    pub met: Vec<Stranger>,
    /// Rendered people who were tried to find these; some fail the quality gate.
    pub rendered: u32,
}

impl Cohort {
    /// Renders and embeds visits, one person each, until there are `wanted` strangers. Those of a run that ends early
    /// stay.
    ///
    /// # Errors
    /// [`StrangersError`].
    pub fn grow(
        &mut self,
        wanted: usize,
        models: &mut ModelPairs,
        mut on_person: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), StrangersError> {
        if wanted > MOST_RENDERED {
            return Err(StrangersError::TooMany { wanted });
        }
        while self.met.len() < wanted {
            // Most visits pass the gate; where not one in four does, something is wrong with the detector.
            if self.rendered as usize >= 256 + 4 * wanted {
                return Err(StrangersError::NoFaces { found: self.met.len(), rendered: self.rendered });
            }
            let count = u32::try_from((wanted - self.met.len()).min(CHUNK)).unwrap_or(1);
            let people: Vec<u64> = (self.rendered..self.rendered + count).map(|index| cohort(WORLD, index)).collect();
            let visitors = models.visits(&people)?;
            self.rendered += count;
            let strangers = visitors
                .into_iter()
                .map(|Visitor { person, embedding, .. }| Stranger { who: Who::Rendered(person), embedding });
            let before = self.met.len();
            self.met.extend(strangers);
            for _ in before..self.met.len() {
                on_person().map_err(StrangersError::Interrupted)?;
            }
        }
        Ok(())
    }
}
