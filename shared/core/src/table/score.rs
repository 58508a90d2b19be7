//! Unit embedding and class rows → best person, similarity, margin, confidence, in one pass.

use serde::{Deserialize, Serialize};

use super::{PersonId, Rule, Table, TableError};
use crate::embed::{Embedding, Similarity};

/// CLIP clips the logit scale at 100 (Radford et al. 2021, §2.5).
pub const MAX_LOGIT_SCALE: f32 = 100.0;

/// Differences of logits below this add nothing to a sum of at most 20 000 terms in f32.
const NEGLIGIBLE_LOGIT: f32 = -32.0;

/// How one embedding compares with everybody in the table.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scores {
    /// Row of the most similar person; the first of equals. 0 for an empty table.
    pub best: u32,
    /// Cosine with that row; −1 for an empty table.
    pub similarity: Similarity,
    /// By how much the similarity exceeds the next person's, 0..=2; 0 with fewer than two people.
    pub margin: f32,
    /// Softmax share of the best person at the clipped logit scale, 0..=1; 0 with fewer than two people, where a
    /// softmax would be sure of anybody.
    pub confidence: f32,
}

/// What one face of one frame says.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum Opinion {
    /// The rule's thresholds are passed.
    Known {
        /// The person who reaches the rule's thresholds.
        person: PersonId,
        /// The scores that reached the thresholds.
        scores: Scores,
    },
    /// They are not.
    Stranger {
        /// The scores of the most similar person.
        scores: Scores,
    },
}

impl Opinion {
    /// Scores of the most similar person.
    #[must_use]
    pub fn scores(&self) -> &Scores {
        match self {
            Self::Known { scores, .. } | Self::Stranger { scores } => scores,
        }
    }

    /// The person if it is a person; `None` for a stranger.
    #[must_use]
    pub fn person(&self) -> Option<PersonId> {
        match self {
            Self::Known { person, .. } => Some(*person),
            Self::Stranger { .. } => None,
        }
    }
}

impl Table {
    /// Compares an embedding with every row. `O(N · dim)`, allocates nothing, never NaN.
    ///
    /// # Errors
    /// [`TableError::OtherEncoder`] and [`TableError::OtherDim`]: such numbers would mean nothing.
    pub fn score(&self, embedding: &Embedding) -> Result<Scores, TableError> {
        let parts = &self.parts;
        if embedding.encoder() != parts.encoder {
            let (got, wanted) = (embedding.encoder(), parts.encoder);
            return Err(TableError::OtherEncoder { got, wanted });
        }
        let vector = embedding.vector();
        if vector.len() != parts.dim {
            return Err(TableError::OtherDim { got: vector.len(), wanted: parts.dim });
        }
        let mut ranking = Ranking::new(parts.logit_scale.min(MAX_LOGIT_SCALE));
        for (row, class) in (0u32..).zip(parts.classes.chunks_exact(parts.dim)) {
            ranking.add(row, dot(class, vector));
        }
        Ok(ranking.scores())
    }

    /// What the threshold on similarity is asked of: the similarity, and what the best person's own photos lack in
    /// similarity to each other. Whose face differs from photo to photo differs at the door too, and one threshold for
    /// everybody would miss the same few people again and again (client-centric score normalisation;
    /// docs/decisions/0030). −1..=2.
    #[must_use]
    pub fn normalized_similarity(&self, scores: &Scores) -> f32 {
        let best = usize::try_from(scores.best).ok();
        let intra_class_similarity =
            best.and_then(|row| self.parts.intra_class_similarity.get(row)).copied().unwrap_or(1.0);
        scores.similarity.get() + 1.0 - intra_class_similarity
    }

    /// Applies the table's rule. Scores of another table may name a row that is not there: that is a stranger.
    #[must_use]
    pub fn opinion(&self, scores: &Scores) -> Opinion {
        let passes = match self.parts.rule {
            Rule::Paper { confidence } => scores.confidence >= confidence,
            Rule::Calibrated { similarity, margin } => {
                self.normalized_similarity(scores) >= similarity && scores.margin >= margin
            }
        };
        let best = usize::try_from(scores.best).ok().and_then(|row| self.parts.people.get(row));
        match best {
            Some(person) if passes => Opinion::Known { person: person.id, scores: *scores },
            _ => Opinion::Stranger { scores: *scores },
        }
    }
}

/// Running best, runner-up and softmax denominator over the rows seen so far.
struct Ranking {
    scale: f32,
    rows: u32,
    best: u32,
    first: f32,
    second: f32,
    /// Sum of `exp(scale · (cosine − first))`; in f64 so that 20 000 small terms are not lost.
    sum: f64,
}

impl Ranking {
    fn new(scale: f32) -> Self {
        Self { scale, rows: 0, best: 0, first: -1.0, second: -1.0, sum: 0.0 }
    }

    fn add(&mut self, row: u32, cosine: f32) {
        // Rows may be longer than 1 by the slack; no cosine is.
        let cosine = cosine.clamp(-1.0, 1.0);
        if self.rows == 0 {
            (self.best, self.first, self.sum) = (row, cosine, 1.0);
        } else if cosine > self.first {
            self.sum = self.sum * self.weight(self.first - cosine) + 1.0;
            (self.best, self.second, self.first) = (row, self.first, cosine);
        } else {
            self.second = self.second.max(cosine);
            self.sum += self.weight(cosine - self.first);
        }
        self.rows += 1;
    }

    /// `exp(scale · difference)` for a difference that is not positive.
    fn weight(&self, difference: f32) -> f64 {
        let logit = self.scale * difference;
        if logit < NEGLIGIBLE_LOGIT { 0.0 } else { f64::from(libm::expf(logit)) }
    }

    fn scores(&self) -> Scores {
        let lonely = self.rows < 2;
        Scores {
            best: self.best,
            // Clamped above, so it is always a cosine; a default would be "nothing alike" all the same.
            similarity: Similarity::new(self.first).unwrap_or_default(),
            margin: if lonely { 0.0 } else { self.first - self.second },
            confidence: if lonely { 0.0 } else { (1.0 / self.sum) as f32 },
        }
    }
}

/// Scalar product; the two are equally long. Sixteen independent sums let the compiler use vector registers and keep
/// the order of the additions, and so the result, the same everywhere.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
