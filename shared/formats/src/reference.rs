//! Pictures with the decisions that they must lead to: what a bundle must do on a device before it may run there.
//!
//! Encoder, provider and table are proved together: each picture is embedded by the device's own provider, compared
//! with the new table, and must come out as it did where the bundle was made. The pictures are of people who do not
//! exist.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::envelope::{self, EnvelopeError};
use lintel_core::align::CROP_BYTES;
use lintel_core::embed::Embedding;
use lintel_core::table::{PersonId, Scores, Table, TableError};

/// The file's name in a push.
pub const REFERENCE: &str = "reference.lintel";
/// Largest file, in bytes.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Most pictures in a file.
pub const MAX_PICTURES: usize = 24;
/// The file format's version.
pub const VERSION: u16 = 1;
const MAGIC: [u8; 8] = *b"LNTLREFD";

/// One picture and what must become of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Expected {
    /// A crop, RGB8, 224×224.
    pub crop: Vec<u8>,
    /// Who is named, if anybody.
    pub person: Option<PersonId>,
    /// Cosine with the most similar person.
    pub similarity: f32,
    /// Margin over the next person.
    pub margin: f32,
}

/// The pictures of one push.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reference {
    /// By how much similarity and margin may differ: providers round differently.
    pub tolerance: f32,
    /// 1 to [`MAX_PICTURES`].
    pub pictures: Vec<Expected>,
}

/// Why bytes or values are no reference.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ReferenceError {
    /// Not such a file, of another version, cut off or damaged.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The content does not decode.
    #[error("the content is not a version {VERSION} reference")]
    Body,
    /// Too few or too many pictures.
    #[error("{got} pictures, wanted 1 to {MAX_PICTURES}")]
    Pictures {
        /// Number of pictures in the file.
        got: usize,
    },
    /// A picture has another size.
    #[error("picture {index} has {got} bytes, wanted {CROP_BYTES}")]
    Crop {
        /// Index of the picture, from 0.
        index: usize,
        /// Its bytes.
        got: usize,
    },
    /// A number that is none, or a tolerance that would let everything pass.
    #[error("the {what} is {got}, wanted {wanted}")]
    Number {
        /// Name of the number in words.
        what: &'static str,
        /// The value that was refused.
        got: f32,
        /// Its range.
        wanted: &'static str,
    },
}

/// Why a bundle is not proved.
#[derive(Debug, thiserror::Error)]
pub enum ProofError<E> {
    /// The encoder can't be run.
    #[error("picture {index} could not be embedded: {source}")]
    Embed {
        /// Which picture.
        index: usize,
        /// What the runtime says.
        source: E,
    },
    /// The embedding doesn't fit the table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Something else came out.
    #[error("picture {index}: {what} is {got:.4}, where the bundle was made it was {wanted:.4}")]
    Score {
        /// Which picture.
        index: usize,
        /// Which score.
        what: &'static str,
        /// What came out.
        got: f32,
        /// What should have.
        wanted: f32,
    },
    /// Somebody else is named, or nobody, or somebody where nobody should be.
    #[error("picture {index} leads to another decision than where the bundle was made")]
    Decision {
        /// Which picture.
        index: usize,
    },
}

impl Reference {
    /// Checks all values, and seals them into a file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReferenceError> {
        self.check()?;
        let body = postcard::to_allocvec(self).map_err(|_| ReferenceError::Body)?;
        Ok(envelope::seal(MAGIC, VERSION, &body))
    }

    /// Reads a file, and checks all values.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReferenceError> {
        let body = envelope::open(MAGIC, VERSION, MAX_FILE_BYTES, bytes)?;
        match postcard::take_from_bytes::<Self>(body) {
            Ok((reference, [])) => reference.check().map(|()| reference),
            _ => Err(ReferenceError::Body),
        }
    }

    fn check(&self) -> Result<(), ReferenceError> {
        let number = |what, ok: bool, got, wanted| {
            if ok { Ok(()) } else { Err(ReferenceError::Number { what, got, wanted }) }
        };
        number("tolerance", self.tolerance > 0.0 && self.tolerance <= 0.1, self.tolerance, "more than 0, at most 0.1")?;
        if !(1..=MAX_PICTURES).contains(&self.pictures.len()) {
            return Err(ReferenceError::Pictures { got: self.pictures.len() });
        }
        for (index, picture) in self.pictures.iter().enumerate() {
            if picture.crop.len() != CROP_BYTES {
                return Err(ReferenceError::Crop { index, got: picture.crop.len() });
            }
            number("similarity", (-1.0..=1.0).contains(&picture.similarity), picture.similarity, "-1 to 1")?;
            number("margin", (0.0..=2.0).contains(&picture.margin), picture.margin, "0 to 2")?;
        }
        Ok(())
    }

    /// What the pictures lead to with this encoder and this table.
    ///
    /// # Errors
    /// What the encoder says, or that it is not the table's.
    pub fn make<E>(
        crops: Vec<Vec<u8>>,
        tolerance: f32,
        table: &Table,
        mut embed: impl FnMut(&[u8]) -> Result<Embedding, E>,
    ) -> Result<Self, ProofError<E>> {
        let mut pictures = Vec::with_capacity(crops.len());
        for (index, crop) in crops.into_iter().enumerate() {
            let embedding = embed(&crop).map_err(|source| ProofError::Embed { index, source })?;
            let scores = table.score(&embedding)?;
            let person = table.opinion(&scores).person();
            pictures.push(Expected { crop, person, similarity: scores.similarity.get(), margin: scores.margin });
        }
        Ok(Self { tolerance, pictures })
    }

    /// Whether the pictures lead to the same decisions here. A decision that hangs by less than the tolerance may
    /// differ with the scores; then only these are compared.
    ///
    /// # Errors
    /// The first picture that comes out otherwise.
    pub fn verify<E>(
        &self,
        mut embed: impl FnMut(&[u8]) -> Result<Embedding, E>,
        table: &Table,
    ) -> Result<(), ProofError<E>> {
        for (index, expected) in self.pictures.iter().enumerate() {
            let embedding = embed(&expected.crop).map_err(|source| ProofError::Embed { index, source })?;
            let scores = table.score(&embedding)?;
            let pairs = [
                ("similarity", scores.similarity.get(), expected.similarity),
                ("margin", scores.margin, expected.margin),
            ];
            for (what, got, wanted) in pairs {
                // NaN is refused too.
                let near = (got - wanted).abs() <= self.tolerance;
                if !near {
                    return Err(ProofError::Score { index, what, got, wanted });
                }
            }
            let same = table.opinion(&scores).person() == expected.person;
            if !same && !hangs(table, &scores, self.tolerance) {
                return Err(ProofError::Decision { index });
            }
        }
        Ok(())
    }
}

/// Whether a decision stands within the tolerance of one of the rule's thresholds.
fn hangs(table: &Table, scores: &Scores, tolerance: f32) -> bool {
    use lintel_core::table::Rule;
    match table.rule() {
        Rule::Calibrated { similarity, margin } => {
            (table.normalized_similarity(scores) - similarity).abs() <= tolerance
                || (scores.margin - margin).abs() <= tolerance
        }
        // At the logit scale a small difference of leads moves the confidence a lot.
        Rule::Paper { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;
    use lintel_core::embed::EncoderId;
    use lintel_core::table::{Person, Rule, TableParts};
    use proptest::prelude::*;

    const ID: EncoderId = EncoderId([1; 32]);

    fn table(margin: f32) -> Table {
        let person = |id: u32| Person { id: PersonId(id), name: id.to_string() };
        Table::new(TableParts {
            encoder: ID,
            revision: 1,
            template: "{name}".into(),
            logit_scale: 100.0,
            people: vec![person(4), person(5)],
            classes: vec![1.0, 0.0, 0.0, 1.0],
            dim: 2,
            intra_class_similarity: vec![1.0; 2],
            rule: Rule::Calibrated { similarity: 0.5, margin },
            calibration: None,
        })
        .expect("a table")
    }

    /// The first two pixels are the embedding, shifted by how far the device's arithmetic is off.
    fn encoder(off: f32) -> impl FnMut(&[u8]) -> Result<Embedding, &'static str> {
        move |crop| {
            let values = [f32::from(crop[0]) + off * 100.0, f32::from(crop[1])];
            Embedding::new(&values, ID).map_err(|_| "no embedding")
        }
    }

    fn crop(first: u8, second: u8) -> Vec<u8> {
        let mut crop = vec![0; CROP_BYTES];
        (crop[0], crop[1]) = (first, second);
        crop
    }

    fn reference() -> Reference {
        let crops = vec![crop(100, 10), crop(10, 100), crop(70, 70)];
        Reference::make(crops, 0.02, &table(0.1), encoder(0.0)).expect("a reference")
    }

    #[test]
    fn the_same_arithmetic_is_proved_and_another_is_not() {
        let reference = reference();
        let people: Vec<_> = reference.pictures.iter().map(|picture| picture.person).collect();
        assert_eq!(people, [Some(PersonId(4)), Some(PersonId(5)), None]);
        reference.verify(encoder(0.0), &table(0.1)).expect("the same");
        reference.verify(encoder(0.005), &table(0.1)).expect("within the tolerance");
        let error = reference.verify(encoder(0.3), &table(0.1)).expect_err("far off").to_string();
        assert!(error.starts_with("picture 0") || error.starts_with("picture 1"), "{error}");
        // The scores are right and the threshold is not.
        let error = reference.verify(encoder(0.0), &table(1.5)).expect_err("nobody passes");
        assert!(matches!(error, ProofError::Decision { index: 0 }), "{error}");
    }

    #[test]
    fn files_are_read_back_and_damage_is_refused() {
        let reference = reference();
        let bytes = reference.to_bytes().expect("a file");
        assert!(bytes.starts_with(b"LNTLREFD\x01\x00"));
        assert_eq!(Reference::from_bytes(&bytes), Ok(reference.clone()));
        assert!(Reference::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        let check = |change: &dyn Fn(&mut Reference), part: &str| {
            let mut changed = reference.clone();
            change(&mut changed);
            let error = changed.to_bytes().expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
            let sealed = envelope::seal(MAGIC, VERSION, &postcard::to_allocvec(&changed).expect("plain data"));
            assert!(Reference::from_bytes(&sealed).is_err(), "{part}");
        };
        check(&|r| r.tolerance = 0.5, "tolerance is 0.5");
        check(&|r| r.tolerance = f32::NAN, "tolerance is NaN");
        check(&|r| r.pictures.clear(), "0 pictures");
        check(&|r| r.pictures[1].crop.truncate(9), "picture 1 has 9 bytes");
        check(&|r| r.pictures[0].similarity = f32::INFINITY, "similarity is inf");
        check(&|r| r.pictures[0].margin = -0.1, "margin is -0.1");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Reference::from_bytes(&body);
            let _ = Reference::from_bytes(&envelope::seal(MAGIC, VERSION, &body));
        }
    }
}
