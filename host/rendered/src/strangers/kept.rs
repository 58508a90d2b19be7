//! Embeddings of rendered strangers ⇄ a file, so that they need not be rendered again.
//!
//! The user's cache has one file for each detector and encoder; a pack may ship one. A file is believed only after its
//! first and its last person were rendered and embedded again and are the same: where the renderer, the gate or ONNX
//! Runtime has changed, the work begins anew.

use std::path::PathBuf;

use lintel_core::embed::{Embedding, EncoderId};
use lintel_formats::envelope;
use lintel_work::kept;
use lintel_work::kept::embeddings;
use serde::{Deserialize, Serialize};

use super::{Cohort, Stranger, StrangersError, Who};
use crate::faces::ModelPairs;

/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"LINTELst";
/// The version of its body.
pub const VERSION: u16 = 1;
/// No file is longer: the most people who are rendered, at the widest embedding, and some room.
const MAX_BYTES: usize = 512 << 20;
/// Similarity that the same picture reaches with itself, whatever the processor.
const SAME: f32 = 0.9999;

/// Where the strangers of this detector and this encoder are kept.
#[derive(Debug)]
pub struct Kept {
    file: PathBuf,
    encoder: EncoderId,
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    encoder: EncoderId,
    rendered: u32,
    people: Vec<u64>,
    dim: u32,
    #[serde(borrow)]
    values: &'a [u8],
}

impl Kept {
    /// `None` where the user has no cache folder.
    #[must_use]
    pub fn by(detector: &[u8], encoder: EncoderId) -> Option<Self> {
        Some(Self { file: kept::file("strangers", detector, encoder)?, encoder })
    }

    /// The strangers that are kept, if they still look the same; nobody otherwise.
    ///
    /// # Errors
    /// What the models say.
    pub fn open(&self, models: &mut ModelPairs) -> Result<Cohort, StrangersError> {
        std::fs::read(&self.file).map_or_else(|_| Ok(Cohort::default()), |bytes| checked(&bytes, models))
    }

    /// Keeps them.
    ///
    /// # Errors
    /// One line that says why not; nothing is lost but time.
    pub fn keep(&self, cohort: &Cohort) -> Result<(), String> {
        kept::keep(&self.file, &write(cohort, self.encoder))
    }
}

/// The strangers as the bytes of a file; `encoder` made their embeddings.
#[must_use]
pub fn write(cohort: &Cohort, encoder: EncoderId) -> Vec<u8> {
    let rendered = |stranger: &Stranger| match stranger.who {
        Who::Rendered(person) => Some(person),
        Who::Ingested { .. } => None,
    };
    let values = embeddings::to_bytes(cohort.met.iter().map(|stranger| &stranger.embedding));
    let body = Body {
        encoder,
        rendered: cohort.rendered,
        people: cohort.met.iter().filter_map(rendered).collect(),
        dim: cohort.met.first().map_or(0, |stranger| stranger.embedding.vector().len() as u32),
        values: &values,
    };
    // Plain data always encodes.
    envelope::seal(MAGIC, VERSION, &postcard::to_allocvec(&body).unwrap_or_default())
}

/// The strangers of a file, if these models still make the same of its first and its last; nobody otherwise.
///
/// # Errors
/// What the models say.
pub fn checked(bytes: &[u8], models: &mut ModelPairs) -> Result<Cohort, StrangersError> {
    let Some(cohort) = read(bytes, models.encoder()) else { return Ok(Cohort::default()) };
    for stranger in cohort.met.first().into_iter().chain(cohort.met.last()) {
        let Who::Rendered(person) = stranger.who else { return Ok(Cohort::default()) };
        let again = models.visits(&[person])?.pop();
        let same = again
            .and_then(|visitor| visitor.embedding.similarity(&stranger.embedding))
            .is_some_and(|similarity| similarity.get() >= SAME);
        if !same {
            return Ok(Cohort::default());
        }
    }
    Ok(cohort)
}

/// The bytes of the file → who is in it, if they are sound and `by` made the embeddings.
#[must_use]
pub fn read(bytes: &[u8], by: EncoderId) -> Option<Cohort> {
    let body = envelope::open(MAGIC, VERSION, MAX_BYTES, bytes).ok()?;
    let Body { encoder, rendered, people, dim, values } = postcard::from_bytes(body).ok()?;
    if encoder != by {
        return None;
    }
    let faces: Vec<Embedding> = embeddings::from_bytes(values, people.len(), dim as usize, encoder)?;
    let met = people.into_iter().zip(faces);
    let met = met.map(|(person, embedding)| Stranger { who: Who::Rendered(person), embedding }).collect();
    Some(Cohort { met, rendered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept() -> Kept {
        Kept { file: PathBuf::new(), encoder: EncoderId([3; 32]) }
    }

    fn cohort() -> Cohort {
        let stranger = |person, values: [f32; 2]| Stranger {
            who: Who::Rendered(person),
            embedding: Embedding::new(&values, EncoderId([3; 32])).expect("a direction"),
        };
        Cohort { met: vec![stranger(7, [1.0, 0.0]), stranger(9, [0.6, 0.8])], rendered: 3 }
    }

    #[test]
    fn strangers_are_kept() {
        let check = |cohort: &Cohort| {
            let read = read(&write(cohort, kept().encoder), kept().encoder).expect("read");
            assert_eq!((read.rendered, read.met.len()), (cohort.rendered, cohort.met.len()));
            for (a, b) in read.met.iter().zip(&cohort.met) {
                assert_eq!(a.who, b.who);
                assert!(a.embedding.similarity(&b.embedding).expect("one encoder").get() > 0.999_999);
            }
        };
        check(&cohort());
        check(&Cohort::default());
    }

    #[test]
    fn another_encoders_people_are_not_taken() {
        let other = Kept { encoder: EncoderId([4; 32]), ..kept() };
        assert!(read(&write(&cohort(), kept().encoder), other.encoder).is_none());
    }

    proptest! {
        #[test]
        fn damage_is_nobody(body in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let _ = read(&envelope::seal(MAGIC, VERSION, &body), kept().encoder);
            let good = write(&cohort(), kept().encoder);
            prop_assert!(read(&good[..cut % good.len()], kept().encoder).is_none());
        }
    }
}
