//! Rendered people → for each a row, photos that set thresholds, and a visit.
//!
//! Rendering ten thousand people takes most of an hour, so they are kept in the user's cache, including those of an
//! interrupted run. The file is used only after its first and its last person were rendered again with the same result.

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

/// Photos of a person from which the row is made: four in five of the ten that the admin's guide asks for.
const ENROLLED: u64 = 8;
/// Photos of a person after those of the row; they set thresholds.
const HELD_OUT: u64 = 2;
/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"LINTELcr";
/// The version of its body.
pub const VERSION: u16 = 2;
/// The largest file that is read: twenty thousand people at the widest embedding, and some room.
const MAX_BYTES: usize = 1 << 30;
/// The least similarity of two embeddings of the same picture.
const SAME: f32 = 0.9999;

/// A person whose photos and visit pass the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Index of the person in the crowd.
    pub index: u32,
    /// The mean of the photos of the row, which is where training puts a class row.
    pub row: Embedding,
    /// Their intra-class similarity, if there are enough of them.
    pub intra_class_similarity: Option<f32>,
    /// Single photos that set thresholds, at least one.
    pub setting: Vec<Embedding>,
    /// The aggregated embedding of a visit.
    pub visit: Embedding,
}

/// People in a fixed order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Crowd {
    /// People who were usable.
    pub people: Vec<Neighbour>,
    /// Rendered people who were tried to find these; some fail the quality gate.
    pub rendered: u32,
}

/// Why no crowd can be made.
#[derive(Debug, thiserror::Error)]
pub enum CrowdError {
    /// A model failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The detector does not find rendered people.
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
    /// Renders people of the crowd `seed` until there are `wanted`. If it ends early, the people so far are kept.
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

/// The usable ones among these people.
fn meet(
    seed: u64,
    indices: impl Iterator<Item = u32> + Clone,
    models: &mut ModelPairs,
) -> Result<Vec<Neighbour>, RuntimeError> {
    let people: Vec<u64> = indices.clone().map(|index| lintel_rendered::crowd(seed, index)).collect();
    let met = models.acquaintances(&people, ENROLLED + HELD_OUT)?;
    Ok(indices.zip(met).filter_map(|(index, acquaintance)| neighbour(index, acquaintance)).collect())
}

/// `None` if too few photos pass the gate, or no look of the visit does.
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

/// The file of a crowd.
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
    /// By person: index, number of photos for thresholds, intra-class similarity.
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

    /// The kept people, if rendering them still gives the same; otherwise none.
    ///
    /// # Errors
    /// A model's error.
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

    /// Writes the people.
    ///
    /// # Errors
    /// One line with the reason. Without the file the people are rendered again.
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

/// The bytes of the file → its people, if they are sound and `by` made the embeddings.
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
    fn people_are_kept() {
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
