//! Faces of people who may not pass → embeddings that a table's bars are set by.
//!
//! From an ingested folder, or of people who do not exist: one photo of each, so that every trial is another person.

use std::path::{Path, PathBuf};

use lintel_faces::photo;
use lintel_shared::align::{CROP_BYTES, crop_transform, warp};
use lintel_shared::detect::Face;
use lintel_shared::embed::Embedding;
use lintel_shared::frame::Frame;
use lintel_shared::quality::{QualityLimits, measure};
use lintel_shared::runtime::{Detector, Encoder, RuntimeError};
use lintel_shared::time::Uptime;
use rayon::prelude::*;

use crate::failure::Failure;
use crate::ingest::{IngestError, People};
use crate::people::Name;
use crate::rendered::cohort;

/// The most people that are rendered for a target; a lower one takes real photos.
pub const MOST_RENDERED: usize = 20_000;
/// Size of a rendered photo, px: a face in it is as large as at the door.
const PHOTO: [u32; 2] = [320, 320];
/// Photos that are rendered at a time.
const CHUNK: u32 = 64;
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
    detector: &mut Detector,
    encoder: &mut Encoder,
    limits: &QualityLimits,
    mut on_face: impl FnMut() -> Result<(), Failure>,
) -> Result<Vec<Embedding>, StrangersError> {
    if wanted > MOST_RENDERED {
        return Err(StrangersError::TooMany { wanted });
    }
    let mut embeddings = Vec::with_capacity(wanted);
    let mut next = 0;
    while embeddings.len() < wanted {
        // Most photos pass the gate; where not one in four does, something is wrong with the detector.
        if next as usize >= 256 + 4 * wanted {
            return Err(StrangersError::NoFaces { found: embeddings.len(), rendered: next });
        }
        let missing = u32::try_from(wanted - embeddings.len()).unwrap_or(CHUNK);
        let count = missing.clamp(1, CHUNK);
        let pictures: Vec<_> =
            (next..next + count).into_par_iter().map(|index| photo(cohort(WORLD, index), 0, PHOTO)).collect();
        next += count;
        for picture in &pictures {
            let frame = Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO);
            // The renderer fills the size that it was asked for; a frame that does not is passed over as faceless.
            let Ok(frame) = frame else { continue };
            let faces = detector.detect(&frame)?;
            if let Some(crop) = usable(&frame, &faces, limits) {
                embeddings.push(encoder.embed(&crop)?);
                on_face().map_err(StrangersError::Interrupted)?;
            }
        }
    }
    Ok(embeddings)
}

/// The crop of the largest face, if it passes the gate.
fn usable(frame: &Frame<'_>, faces: &[Face], limits: &QualityLimits) -> Option<Vec<u8>> {
    let face = faces.iter().max_by(|a, b| a.bbox.area().total_cmp(&b.bbox.area()))?;
    let transform = crop_transform(&face.landmarks).ok()?;
    let mut crop = vec![0; CROP_BYTES];
    warp(frame, &transform, &mut crop);
    limits.check(&measure(face, &crop)).ok()?;
    Some(crop)
}
