//! Embeddings of held-out photos ⇄ `held-out.lintel`.
//!
//! They set a table's thresholds, so that people can join or leave a table and the thresholds can be set anew without
//! the others' photos. The file stays on the workstation and is not part of a bundle.

use lintel_core::embed::{Embedding, EncoderId};
use lintel_core::table::{PersonId, Table};
use lintel_formats::envelope::{self, EnvelopeError};
use lintel_work::kept::embeddings;
use serde::{Deserialize, Serialize};

use crate::calibration::Genuine;

/// The file in the folder of `lintel train`.
pub const HELD_OUT_FILE: &str = "held-out.lintel";
/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"LINTELho";
/// The version of its body.
pub const VERSION: u16 = 1;
/// The largest file that is read: half a million photos at the widest embedding.
const MAX_BYTES: usize = 2 << 30;

/// Embeddings of photos that training did not see.
#[derive(Clone, PartialEq, Default)]
pub struct HeldOutFaces(Vec<(PersonId, Embedding)>);

/// Shows no embeddings: they identify people.
impl std::fmt::Debug for HeldOutFaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeldOutFaces of {} photos", self.0.len())
    }
}

/// Why bytes are refused as such a file.
#[derive(Debug, thiserror::Error)]
pub enum HeldOutError {
    /// The envelope is damaged.
    #[error("held-out faces: {0}")]
    File(#[from] EnvelopeError),
    /// The hash is right but the content does not decode.
    #[error("held-out faces: the content is not a version {VERSION} file")]
    Body,
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    encoder: EncoderId,
    dim: u32,
    people: Vec<PersonId>,
    /// Little-endian f32, `[photos, dim]`.
    #[serde(borrow)]
    values: &'a [u8],
}

impl HeldOutFaces {
    /// The embedding of each photo, and its person.
    #[must_use]
    pub fn new(photos: Vec<(PersonId, Embedding)>) -> Self {
        Self(photos)
    }

    /// Number of held-out faces of all people.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The held-out photos of both.
    #[must_use]
    pub fn with(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Without the photos of these people.
    #[must_use]
    pub fn without(mut self, person: PersonId) -> Self {
        self.0.retain(|(of, _)| *of != person);
        self
    }

    /// Each photo with its person's row in a table; without those of people who are not in the table.
    #[must_use]
    pub fn genuine(&self, table: &Table) -> Vec<Genuine> {
        let rows: std::collections::BTreeMap<PersonId, usize> =
            table.people().iter().enumerate().map(|(row, person)| (person.id, row)).collect();
        let row = |(person, embedding): &(PersonId, Embedding)| {
            Some(Genuine { row: *rows.get(person)?, embedding: embedding.clone() })
        };
        self.0.iter().filter_map(row).collect()
    }

    /// The bytes of the file, for the encoder that made the embeddings.
    #[must_use]
    pub fn to_bytes(&self, encoder: EncoderId) -> Vec<u8> {
        let values = embeddings::to_bytes(self.0.iter().map(|(_, embedding)| embedding));
        let body = Body {
            encoder,
            dim: self.0.first().map_or(0, |(_, embedding)| embedding.vector().len() as u32),
            people: self.0.iter().map(|(person, _)| *person).collect(),
            values: &values,
        };
        // Plain data always encodes.
        envelope::seal(MAGIC, VERSION, &postcard::to_allocvec(&body).unwrap_or_default())
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`HeldOutError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeldOutError> {
        let body = envelope::open(MAGIC, VERSION, MAX_BYTES, bytes)?;
        let Body { encoder, dim, people, values } = postcard::from_bytes(body).map_err(|_| HeldOutError::Body)?;
        let faces = embeddings::from_bytes(values, people.len(), dim as usize, encoder).ok_or(HeldOutError::Body)?;
        Ok(Self(people.into_iter().zip(faces).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faces() -> HeldOutFaces {
        let embedding = |values: [f32; 3]| Embedding::new(&values, EncoderId([7; 32])).expect("an embedding");
        HeldOutFaces::new(vec![
            (PersonId(4), embedding([1.0, 0.0, 0.0])),
            (PersonId(9), embedding([0.0, 0.6, 0.8])),
            (PersonId(4), embedding([0.8, 0.6, 0.0])),
        ])
    }

    #[test]
    fn a_file_is_what_was_written() {
        for faces in [faces(), HeldOutFaces::default()] {
            let read = HeldOutFaces::from_bytes(&faces.to_bytes(EncoderId([7; 32]))).expect("read");
            assert_eq!(read.len(), faces.len());
            for ((of, read), (wanted, face)) in read.0.iter().zip(&faces.0) {
                assert_eq!(of, wanted);
                // Reading normalises to unit length again.
                assert!(read.similarity(face).expect("one encoder").get() > 0.999_999);
            }
        }
    }

    #[test]
    fn who_leaves_is_gone_from_the_bytes() {
        let left = faces().without(PersonId(4));
        assert_eq!(left.len(), 1);
        let alone = HeldOutFaces::new(vec![faces().0[1].clone()]);
        assert_eq!(left.to_bytes(EncoderId([7; 32])), alone.to_bytes(EncoderId([7; 32])));
    }

    proptest! {
        #[test]
        fn other_bytes_are_refused(at in 0_usize..200, bit in 0_u8..8, cut in 0_usize..200) {
            let good = faces().to_bytes(EncoderId([7; 32]));
            let mut flipped = good.clone();
            let at = at % good.len();
            flipped[at] ^= 1 << bit;
            prop_assert!(HeldOutFaces::from_bytes(&flipped).is_err());
            prop_assert!(HeldOutFaces::from_bytes(&good[..cut % good.len()]).is_err());
        }

        #[test]
        fn sealed_nonsense_is_refused_without_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = HeldOutFaces::from_bytes(&envelope::seal(MAGIC, VERSION, &body));
        }
    }
}
