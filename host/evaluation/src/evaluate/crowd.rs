//! People who do not exist → each one's row, photos that set thresholds, and a visit to the door.
//!
//! Meeting ten thousand takes the better part of an hour, so they are kept in the user's cache, also those of a run
//! that was stopped. The file is believed only after the first and the last of them were met again and look the same.

use std::path::PathBuf;

use lintel_core::aggregate;
use lintel_core::embed::{Embedding, EncoderId};
use lintel_formats::envelope;
use lintel_inference::RuntimeError;
use lintel_rendered;
use lintel_rendered::faces::{Acquaintance, CHUNK, ModelPairs};
use lintel_training::intra_class::intra_class_similarity;
use lintel_work::failure::Failure;
use lintel_work::kept;
use lintel_work::kept::embeddings;
use serde::{Deserialize, Serialize};

/// Photos of a person that make the row: four in five of the ten that the admin's guide asks for.
const ENROLLED: u64 = 8;
/// Photos of a person after those that make the row; they set thresholds.
const HELD_OUT: u64 = 2;
/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"LINTELcr";
/// The version of its body.
pub const VERSION: u16 = 2;
/// No file is longer: twenty thousand people at the widest embedding, and some room.
const MAX_BYTES: usize = 1 << 30;
/// The same pictures give an embedding that is at least so like.
const SAME: f32 = 0.9999;

/// Somebody whose photos and whose visit pass the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Which person of the crowd.
    pub index: u32,
    /// The mean of the photos that they are enrolled by, which is where training puts a name.
    pub row: Embedding,
    /// How like these photos are to each other, where there are enough to say so.
    pub intra_class_similarity: Option<f32>,
    /// Single photos that set thresholds, one at least.
    pub setting: Vec<Embedding>,
    /// What the door makes of a visit.
    pub visit: Embedding,
}

/// People, in an order that is always the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Crowd {
    /// Those who could be used.
    pub people: Vec<Neighbour>,
    /// Rendered people who were tried to find these; some fail the quality gate.
    pub rendered: u32,
}

/// Why there is no crowd.
#[derive(Debug, thiserror::Error)]
pub enum CrowdError {
    /// A model.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The detector is not one for rendered people.
    #[error("of {rendered} rendered people only {found} have enough usable faces")]
    TooFewPeople {
        /// People that were rendered.
        rendered: u32,
        /// People whose photos pass the gate.
        found: usize,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted(Failure),
}

impl From<CrowdError> for Failure {
    fn from(error: CrowdError) -> Self {
        match error {
            CrowdError::Interrupted(failure) => failure,
            other => Self::work(other),
        }
    }
}

impl Crowd {
    /// Until there are `wanted` of the crowd `seed`, no two of which share anybody; whoever was met when it ends early
    /// stays.
    ///
    /// # Errors
    /// [`CrowdError`].
    pub fn grow(
        &mut self,
        seed: u64,
        wanted: usize,
        models: &mut ModelPairs,
        mut on_person: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), CrowdError> {
        while self.people.len() < wanted {
            if self.rendered as usize >= 256 + 4 * wanted {
                return Err(CrowdError::TooFewPeople { rendered: self.rendered, found: self.people.len() });
            }
            let count = u32::try_from((wanted - self.people.len()).min(CHUNK)).unwrap_or(1);
            let met = meet(seed, self.rendered..self.rendered + count, models)?;
            self.rendered += count;
            let before = self.people.len();
            self.people.extend(met);
            for _ in before..self.people.len() {
                on_person().map_err(CrowdError::Interrupted)?;
            }
        }
        Ok(())
    }
}

/// Those of the crowd's people who could be used.
fn meet(
    seed: u64,
    indices: impl Iterator<Item = u32> + Clone,
    models: &mut ModelPairs,
) -> Result<Vec<Neighbour>, RuntimeError> {
    let people: Vec<u64> = indices.clone().map(|index| lintel_rendered::crowd(seed, index)).collect();
    let met = models.acquaintances(&people, ENROLLED + HELD_OUT)?;
    Ok(indices.zip(met).filter_map(|(index, acquaintance)| neighbour(index, acquaintance)).collect())
}

/// None where too few photos pass the gate, or no look at the door.
fn neighbour(index: u32, Acquaintance { photos, visitor }: Acquaintance) -> Option<Neighbour> {
    let (enrolled, setting): (Vec<_>, Vec<_>) = photos.into_iter().partition(|(number, _)| *number < ENROLLED);
    let row = aggregate::mean(enrolled.iter().map(|(_, embedding)| embedding))?;
    let intra_class_similarity = intra_class_similarity(enrolled.iter().map(|(_, embedding)| embedding));
    let setting: Vec<Embedding> = setting.into_iter().map(|(_, embedding)| embedding).collect();
    (!setting.is_empty()).then_some(Neighbour {
        index,
        row,
        intra_class_similarity,
        setting,
        visit: visitor?.embedding,
    })
}

/// Where a crowd is kept.
#[derive(Debug)]
pub struct Kept {
    file: PathBuf,
    encoder: EncoderId,
    seed: u64,
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    encoder: EncoderId,
    rendered: u32,
    /// By person: which, how many photos set thresholds, and the intra-class similarity.
    people: Vec<(u32, u8, Option<f32>)>,
    dim: u32,
    /// By person: row, visit, photos.
    #[serde(borrow)]
    values: &'a [u8],
}

impl Kept {
    /// `None` where the user has no cache folder.
    #[must_use]
    pub fn by(detector: &[u8], encoder: EncoderId, seed: u64) -> Option<Self> {
        Some(Self { file: kept::file(&format!("crowd/{seed}"), detector, encoder)?, encoder, seed })
    }

    /// Whoever is kept, if they still look the same; nobody otherwise.
    ///
    /// # Errors
    /// What the models say.
    pub fn open(&self, models: &mut ModelPairs) -> Result<Crowd, RuntimeError> {
        let crowd = std::fs::read(&self.file).ok().and_then(|bytes| read(&bytes, self.encoder)).unwrap_or_default();
        for one in crowd.people.first().into_iter().chain(crowd.people.last()) {
            let again = meet(self.seed, std::iter::once(one.index), models)?.pop();
            let like =
                |a: &Embedding, b: &Embedding| a.similarity(b).is_some_and(|similarity| similarity.get() >= SAME);
            let same = |again: &Neighbour| {
                let apart = again.intra_class_similarity.unwrap_or(2.0) - one.intra_class_similarity.unwrap_or(2.0);
                like(&again.row, &one.row) && like(&again.visit, &one.visit) && apart.abs() <= 1.0 - SAME
            };
            if !again.as_ref().is_some_and(same) {
                return Ok(Crowd::default());
            }
        }
        Ok(crowd)
    }

    /// Keeps them.
    ///
    /// # Errors
    /// One line that says why not; nothing is lost but time.
    pub fn keep(&self, crowd: &Crowd) -> Result<(), String> {
        kept::keep(&self.file, &write(crowd, self.encoder))
    }
}

fn write(crowd: &Crowd, encoder: EncoderId) -> Vec<u8> {
    let of =
        |one: &Neighbour| (one.index, u8::try_from(one.setting.len()).unwrap_or(u8::MAX), one.intra_class_similarity);
    let all = crowd.people.iter().flat_map(|one| [&one.row, &one.visit].into_iter().chain(&one.setting));
    let body = Body {
        encoder,
        rendered: crowd.rendered,
        people: crowd.people.iter().map(of).collect(),
        dim: crowd.people.first().map_or(0, |one| one.row.vector().len() as u32),
        values: &embeddings::to_bytes(all),
    };
    // Plain data always encodes.
    envelope::seal(MAGIC, VERSION, &postcard::to_allocvec(&body).unwrap_or_default())
}

/// The bytes of the file → who is in it, if they are sound and `by` made the embeddings.
#[must_use]
pub fn read(bytes: &[u8], by: EncoderId) -> Option<Crowd> {
    let body = envelope::open(MAGIC, VERSION, MAX_BYTES, bytes).ok()?;
    let Body { encoder, rendered, people, dim, values } = postcard::from_bytes(body).ok()?;
    let count = people.iter().map(|(_, photos, _)| 2 + usize::from(*photos)).sum();
    let sound = |intra_class_similarity: &Option<f32>| {
        intra_class_similarity.is_none_or(|intra_class_similarity| (0.0..=1.0).contains(&intra_class_similarity))
    };
    if encoder != by
        || people.iter().any(|(_, photos, intra_class_similarity)| *photos == 0 || !sound(intra_class_similarity))
    {
        return None;
    }
    let mut all = embeddings::from_bytes(values, count, dim as usize, encoder)?.into_iter();
    let one = |(index, photos, intra_class_similarity): (u32, u8, Option<f32>)| {
        let (row, visit) = (all.next()?, all.next()?);
        Some(Neighbour {
            index,
            row,
            intra_class_similarity,
            visit,
            setting: all.by_ref().take(photos.into()).collect(),
        })
    };
    Some(Crowd { people: people.into_iter().map(one).collect::<Option<_>>()?, rendered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENCODER: EncoderId = EncoderId([3; 32]);

    fn crowd() -> Crowd {
        let face = |values: [f32; 2]| Embedding::new(&values, ENCODER).expect("a direction");
        let one = |index, setting| Neighbour {
            index,
            row: face([1.0, 0.0]),
            intra_class_similarity: (index > 0).then_some(0.75),
            visit: face([0.6, 0.8]),
            setting,
        };
        Crowd { people: vec![one(0, vec![face([0.0, 1.0])]), one(2, vec![face([0.8, 0.6]); 2])], rendered: 3 }
    }

    #[test]
    fn whoever_was_met_is_kept() {
        for crowd in [crowd(), Crowd::default()] {
            let read = read(&write(&crowd, ENCODER), ENCODER).expect("read");
            assert_eq!((read.rendered, read.people.len()), (crowd.rendered, crowd.people.len()));
            for (a, b) in read.people.iter().zip(&crowd.people) {
                assert_eq!(
                    (a.index, a.setting.len(), a.intra_class_similarity),
                    (b.index, b.setting.len(), b.intra_class_similarity)
                );
                let like = |a: &Embedding, b: &Embedding| a.similarity(b).expect("one encoder").get() > 0.999_999;
                assert!(like(&a.row, &b.row) && like(&a.visit, &b.visit));
                assert!(a.setting.iter().zip(&b.setting).all(|(a, b)| like(a, b)));
            }
        }
        assert!(read(&write(&crowd(), ENCODER), EncoderId([4; 32])).is_none());
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_nobody(body in prop::collection::vec(any::<u8>(), 0..200), cut in any::<usize>()) {
            let _ = read(&envelope::seal(MAGIC, VERSION, &body), ENCODER);
            let good = write(&crowd(), ENCODER);
            prop_assert!(read(&good[..cut % good.len()], ENCODER).is_none());
        }
    }
}
