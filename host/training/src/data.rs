//! Image features with labels, and their division into training photos and held-out photos.

use serde::{Deserialize, Serialize};

use super::TrainError;

/// The tolerance of a feature's length, which is 1.
const UNIT_SLACK: f32 = 1e-3;

/// The embeddings of M photos, and the person of each.
#[derive(Clone, PartialEq)]
pub struct Features {
    dim: usize,
    /// `[M, dim]` unit rows.
    values: Vec<f32>,
    /// `[M]` indices into the names.
    people: Vec<u32>,
}

/// Why numbers are refused as features.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum FeaturesError {
    /// The numbers of values, rows and labels do not agree.
    #[error("{rows} photos have {values} values of {dim} components each")]
    Count {
        /// Labels.
        rows: usize,
        /// Components in all features together.
        values: usize,
        /// Components of a feature.
        dim: usize,
    },
    /// A row is not a unit vector.
    #[error("the feature of photo {row} has length {length}, wanted 1")]
    NotUnit {
        /// Index of the row.
        row: usize,
        /// Euclidean length of the row.
        length: f32,
    },
}

/// Shows no numbers: a feature can identify a person, and must not be logged by accident.
impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Features").field("dim", &self.dim).field("photos", &self.people.len()).finish_non_exhaustive()
    }
}

impl Features {
    /// `values` are `[M, dim]` unit rows, row-major; `people` are M indices of persons.
    ///
    /// # Errors
    /// [`FeaturesError`].
    pub fn new(dim: usize, values: Vec<f32>, people: Vec<u32>) -> Result<Self, FeaturesError> {
        let rows = people.len();
        if dim == 0 || rows.checked_mul(dim) != Some(values.len()) {
            return Err(FeaturesError::Count { rows, values: values.len(), dim });
        }
        for (row, feature) in values.chunks_exact(dim).enumerate() {
            let length = feature.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length.is_nan() || (length - 1.0).abs() > UNIT_SLACK {
                return Err(FeaturesError::NotUnit { row, length });
            }
        }
        Ok(Self { dim, values, people })
    }

    /// Components of a feature.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of photos, M.
    #[must_use]
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there is no photo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The feature of photo `row`.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..(row + 1) * self.dim]
    }

    /// `[M]`: the person of each photo.
    #[must_use]
    pub fn people(&self) -> &[u32] {
        &self.people
    }

    /// `[M, dim]`, row-major.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Indices of photos, each list ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Training photos.
    pub train: Vec<usize>,
    /// Held-out photos.
    pub held_out: Vec<usize>,
}

/// Holds out a `share` of each person's photos, at least one and not all; the seed decides which.
///
/// A person's division depends on the seed and the person's own photos only, so it does not change when another person
/// is appended.
///
/// # Errors
/// [`TrainError::TooFewPeople`] for nobody, [`TrainError::TooFewPhotos`], or [`TrainError::Setting`] for a share
/// outside 0..1.
pub fn split(features: &Features, people: usize, share: f64, seed: u64) -> Result<Split, TrainError> {
    if people == 0 {
        return Err(TrainError::TooFewPeople { got: people });
    }
    if !(0.0..1.0).contains(&share) {
        let wanted = "at least 0, less than 1";
        return Err(TrainError::Setting { setting: "the held-out share", got: share.to_string(), wanted });
    }
    let mut photos = vec![Vec::new(); people];
    for (row, &person) in features.people().iter().enumerate() {
        match photos.get_mut(person as usize) {
            Some(list) => list.push(row),
            None => return Err(TrainError::TooFewPeople { got: people }),
        }
    }
    let mut split = Split::default();
    for (person, mut rows) in photos.into_iter().enumerate() {
        if rows.len() < 2 {
            return Err(TrainError::TooFewPhotos { person, got: rows.len() });
        }
        fastrand::Rng::with_seed(mixed(seed, person as u64)).shuffle(&mut rows);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts"
        )]
        let held_out = ((rows.len() as f64 * share).round() as usize).clamp(1, rows.len() - 1);
        split.held_out.extend_from_slice(&rows[..held_out]);
        split.train.extend_from_slice(&rows[held_out..]);
    }
    split.train.sort_unstable();
    split.held_out.sort_unstable();
    Ok(split)
}

/// Two numbers → one seed, such that neighbouring numbers give unrelated seeds.
pub(super) fn mixed(seed: u64, stream: u64) -> u64 {
    fastrand::Rng::with_seed(seed.rotate_left(32) ^ stream).u64(..)
}
