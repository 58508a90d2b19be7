//! Faces of people who may not pass → embeddings that a table's bars are set by.
//!
//! From an ingested folder, or of people who do not exist: one photo of each, so that every trial is another person.

use std::path::{Path, PathBuf};

use lintel_shared::embed::Embedding;
use lintel_shared::runtime::{Encoder, RuntimeError};

use crate::failure::Failure;
use crate::ingest::{IngestError, People};
use crate::people::Name;
use crate::rendered::cohort;
use crate::rendered_faces::{CHUNK, Eyes, RenderedFace};

/// The most people that are rendered for a target; a lower one takes real photos.
pub const MOST_RENDERED: usize = 20_000;
/// Which cohort; the same for every training, so that tables compare.
const WORLD: u64 = 0;

/// Why there are no strangers.
#[derive(Debug, thiserror::Error)]
pub enum StrangersError {
    /// Someone is on both sides.
    #[error("{name} is enrolled and in {} too; take one of the two out", folder.display())]
    Enrolled {
        /// Who.
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
    /// Hardly any rendered face passes the gate: the detector is not one for these.
    #[error("the detector finds {found} usable faces in {rendered} rendered photos; give real ones with --strangers")]
    NoFaces {
        /// Faces that passed.
        found: usize,
        /// Photos that were rendered.
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

/// Every crop of an ingested folder whose people are not among `enrolled`.
///
/// # Errors
/// [`StrangersError`].
pub fn ingested(
    folder: &Path,
    enrolled: &[String],
    encoder: &mut Encoder,
    mut on_face: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<Embedding>, StrangersError> {
    let people = People::open(folder)?;
    let folded = |name: &str| Name::new(name).map(|name| name.folded()).unwrap_or_default();
    let enrolled: std::collections::BTreeSet<String> = enrolled.iter().map(|name| folded(name)).collect();
    let mut embeddings = Vec::new();
    for person in &people.people {
        if enrolled.contains(&folded(&person.name)) {
            return Err(StrangersError::Enrolled { name: person.name.clone(), folder: folder.into() });
        }
        for crop in &person.crops {
            embeddings.push(encoder.embed(&crop.read(folder)?)?);
            on_face().map_err(StrangersError::Interrupted)?;
        }
    }
    Ok(embeddings)
}

/// `wanted` people who do not exist, one face each that passes the gate.
///
/// # Errors
/// [`StrangersError`].
pub fn rendered(
    wanted: usize,
    eyes: &mut Eyes<'_>,
    mut on_face: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<RenderedFace>, StrangersError> {
    if wanted > MOST_RENDERED {
        return Err(StrangersError::TooMany { wanted });
    }
    let mut faces = Vec::with_capacity(wanted);
    let mut next = 0;
    while faces.len() < wanted {
        // Most photos pass the gate; where not one in four does, something is wrong with the detector.
        if next as usize >= 256 + 4 * wanted {
            return Err(StrangersError::NoFaces { found: faces.len(), rendered: next });
        }
        let count = u32::try_from((wanted - faces.len()).min(CHUNK)).unwrap_or(1);
        let shots: Vec<_> = (next..next + count).map(|index| (cohort(WORLD, index), 0)).collect();
        next += count;
        for face in eyes.look(&shots)? {
            faces.push(face);
            on_face().map_err(StrangersError::Interrupted)?;
        }
    }
    Ok(faces)
}
