//! Matching: a face is a person's when it is similar to one of the person's reference photos, the published use of face
//! encoders.
//!
//! The threshold is that of equal error among the reference photos themselves: it rejects as many comparisons with the
//! own person as it accepts with others. It needs no stranger.

use super::{Data, Scorer, top};

/// Similarity to the nearest reference photo of each person.
#[must_use]
pub fn scorer(data: &Data) -> Scorer<'_> {
    Box::new(move |feature| {
        let mut scores = vec![f32::NEG_INFINITY; data.people];
        for photo in &data.train {
            let similarity: f32 = photo.face.vector().iter().zip(feature).map(|(a, b)| a * b).sum();
            scores[photo.row] = scores[photo.row].max(similarity);
        }
        scores
    })
}

/// The threshold of equal error over the reference photos, each left out in turn; `None` if nobody has two.
#[must_use]
pub fn equal_error_threshold(data: &Data) -> Option<f32> {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for (left_out, photo) in data.train.iter().enumerate() {
        let rest = data.train.iter().enumerate().filter(|(other, _)| *other != left_out);
        let mut best = [f32::NEG_INFINITY; 2];
        for (_, other) in rest {
            let similarity: f32 = photo.face.vector().iter().zip(other.face.vector()).map(|(a, b)| a * b).sum();
            let side = usize::from(other.row != photo.row);
            best[side] = best[side].max(similarity);
        }
        own.extend(best[0].is_finite().then_some(best[0]));
        others.extend(best[1].is_finite().then_some(best[1]));
    }
    if own.is_empty() || others.is_empty() {
        return None;
    }
    let error = |threshold: f32| {
        #[expect(clippy::cast_precision_loss, reason = "counts of photos")]
        let share = |scores: &[f32], wrong: &dyn Fn(f32) -> bool| {
            scores.iter().filter(|score| wrong(**score)).count() as f64 / scores.len() as f64
        };
        (share(&own, &|score| score < threshold) - share(&others, &|score| score >= threshold)).abs()
    };
    own.iter().chain(&others).copied().min_by(|a, b| error(*a).total_cmp(&error(*b)).then(a.total_cmp(b)))
}

/// The person whom the threshold names.
#[must_use]
pub fn named(scores: &[f32], threshold: f32) -> Option<usize> {
    let (best, thresholds) = top(scores);
    (thresholds.similarity >= threshold).then_some(best)
}
