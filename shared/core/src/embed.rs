//! What an encoder says of a crop → a unit embedding that knows which encoder made it.

use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most components that an embedding may have; CLIP RN50 has 1024.
pub const MAX_DIM: usize = 1024;

/// Shortest vector that can be normalised without drowning in rounding.
const MIN_NORM: f32 = 1e-6;

/// Which encoder made an embedding: the SHA-256 of its `.onnx` file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EncoderId(pub [u8; 32]);

impl EncoderId {
    /// The identity of the encoder in these bytes of an `.onnx` file.
    pub fn of(onnx: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(onnx).into())
    }
}

impl fmt::Display for EncoderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EncoderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncoderId({self})")
    }
}

/// Cosine of the angle between two embeddings, −1..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Similarity(f32);

impl Similarity {
    /// Rounding may carry a cosine past ±1 by this much; more is a mistake.
    const SLACK: f32 = 1e-3;

    /// `None` for NaN, infinities and everything that no cosine can be.
    pub fn new(cosine: f32) -> Option<Self> {
        let possible = cosine.is_finite() && cosine.abs() <= 1.0 + Self::SLACK;
        possible.then(|| Self(cosine.clamp(-1.0, 1.0)))
    }

    /// The cosine, −1..=1.
    pub fn get(self) -> f32 {
        self.0
    }
}

impl TryFrom<f32> for Similarity {
    type Error = EmbedError;

    fn try_from(cosine: f32) -> Result<Self, EmbedError> {
        Self::new(cosine).ok_or(EmbedError::Similarity(cosine))
    }
}

impl From<Similarity> for f32 {
    fn from(similarity: Similarity) -> f32 {
        similarity.0
    }
}

/// Why some numbers are not an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum EmbedError {
    /// No components, or more than [`MAX_DIM`].
    #[error("embedding has {got} components, wanted 1 to {MAX_DIM}")]
    Dim {
        /// Components that were given.
        got: usize,
    },
    /// A component is NaN or infinite.
    #[error("embedding component {index} is not a finite number")]
    NotFinite {
        /// Which one, from 0.
        index: usize,
    },
    /// Too short to have a direction.
    #[error("embedding has length {norm}, wanted more than {MIN_NORM}")]
    NoDirection {
        /// Euclidean length that was found.
        norm: f32,
    },
    /// No cosine can have this value.
    #[error("similarity is {0}, wanted -1 to 1")]
    Similarity(f32),
}

/// A unit vector of at most [`MAX_DIM`] components, tagged with the encoder that made it. It lives on the stack, so
/// that a frame allocates nothing.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    vector: heapless::Vec<f32, MAX_DIM>,
    encoder: EncoderId,
}

impl Embedding {
    /// Normalises `raw` (`[D]`) to unit length.
    pub fn new(raw: &[f32], encoder: EncoderId) -> Result<Self, EmbedError> {
        let dim_error = EmbedError::Dim { got: raw.len() };
        if raw.is_empty() {
            return Err(dim_error);
        }
        if let Some(index) = raw.iter().position(|component| !component.is_finite()) {
            return Err(EmbedError::NotFinite { index });
        }
        let mut vector = heapless::Vec::<f32, MAX_DIM>::from_slice(raw).map_err(|_| dim_error)?;
        // In f64: the squares of finite f32 can neither overflow nor vanish.
        let norm = libm::sqrt(vector.iter().map(|&c| f64::from(c) * f64::from(c)).sum::<f64>());
        if norm < f64::from(MIN_NORM) {
            return Err(EmbedError::NoDirection { norm: norm as f32 });
        }
        for component in &mut vector {
            *component = (f64::from(*component) / norm) as f32;
        }
        Ok(Self { vector, encoder })
    }

    /// `[D]`, unit length.
    pub fn vector(&self) -> &[f32] {
        &self.vector
    }

    /// Number of components.
    pub fn dim(&self) -> usize {
        self.vector.len()
    }

    /// Who made it.
    pub fn encoder(&self) -> EncoderId {
        self.encoder
    }

    /// `None` where the two come from different encoders: such a number would mean nothing.
    pub fn similarity(&self, other: &Self) -> Option<Similarity> {
        if self.encoder != other.encoder || self.dim() != other.dim() {
            return None;
        }
        Similarity::new(self.vector.iter().zip(&other.vector).map(|(a, b)| a * b).sum())
    }
}

/// Without the numbers: an embedding can identify a person, and must not reach a log by accident.
impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedding").field("dim", &self.dim()).field("encoder", &self.encoder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString, vec, vec::Vec};

    const ID: EncoderId = EncoderId([0xab; 32]);

    #[test]
    fn refuses_what_has_no_direction() {
        let check = |raw: &[f32], expected: Result<&[f32], EmbedError>| {
            let got = Embedding::new(raw, ID);
            assert_eq!(got.as_ref().map(|e| e.vector()).map_err(|e| *e), expected, "{raw:?}");
        };
        check(&[3.0, 4.0], Ok(&[0.6, 0.8]));
        check(&[f32::MAX, 0.0], Ok(&[1.0, 0.0]));
        check(&[-2.0], Ok(&[-1.0]));
        check(&[], Err(EmbedError::Dim { got: 0 }));
        check(&vec![1.0; 1025], Err(EmbedError::Dim { got: 1025 }));
        check(&[0.0, 0.0], Err(EmbedError::NoDirection { norm: 0.0 }));
        check(&[1.0, f32::NAN], Err(EmbedError::NotFinite { index: 1 }));
        check(&[f32::INFINITY, 1.0], Err(EmbedError::NotFinite { index: 0 }));
    }

    #[test]
    fn only_one_encoders_embeddings_compare() {
        let check = |a: (&[f32], u8), b: (&[f32], u8), expected: Option<f32>| {
            let [a, b] = [a, b].map(|(raw, id)| Embedding::new(raw, EncoderId([id; 32])).expect("a valid vector"));
            assert_eq!(a.similarity(&b).map(Similarity::get), expected);
        };
        check((&[2.0, 0.0], 1), (&[5.0, 0.0], 1), Some(1.0));
        check((&[2.0, 0.0], 1), (&[0.0, 5.0], 1), Some(0.0));
        check((&[2.0, 0.0], 1), (&[2.0, 0.0], 2), None);
        check((&[2.0, 0.0], 1), (&[2.0], 1), None);
    }

    #[test]
    fn similarity_is_a_cosine() {
        let check = |cosine: f32, expected: Option<f32>| {
            assert_eq!(Similarity::new(cosine).map(Similarity::get), expected, "{cosine}");
        };
        check(0.25, Some(0.25));
        check(1.0005, Some(1.0));
        check(-1.0005, Some(-1.0));
        check(1.01, None);
        check(f32::NAN, None);
        check(f32::NEG_INFINITY, None);
    }

    #[test]
    fn debug_shows_no_component() {
        let shown = format!("{:?}", Embedding::new(&[0.6, 0.8], ID).expect("a valid vector"));
        assert!(!shown.contains("0.6") && !shown.contains("0.8"), "{shown}");
    }

    #[test]
    fn encoder_id_is_the_hash_of_the_file() {
        let abc = EncoderId::of(b"abc").to_string();
        assert_eq!(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let bytes: Vec<u8> = postcard::to_allocvec(&ID).expect("a plain array");
        assert_eq!(bytes, [0xab; 32]);
    }
}
