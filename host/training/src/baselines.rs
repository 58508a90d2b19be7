//! Features of photos → the accuracy of simpler classifiers, measured as the door is.
//!
//! The fine-tuned text encoder must beat these on the same features. Each is trained on the photos that the fine-tune
//! was trained on, and chooses its own settings (strengths, passes) on photos kept back from those. Held-out photos and
//! strangers are for measuring only.

mod adam;
pub mod class_mean;
pub mod linear_probe;
pub mod matching;
pub mod tip_adapter;

use lintel_core::embed::Embedding;
use lintel_statistics::Rate;
use serde::{Deserialize, Serialize};

use crate::calibration::{Thresholds, thresholds_for};

/// A classifier: a unit feature `[dim]` → a score for each person `[N]`; more is more similar.
pub type Scorer<'a> = Box<dyn Fn(&[f32]) -> Vec<f32> + Send + Sync + 'a>;

/// The feature of one photo with its person.
#[derive(Debug, Clone)]
pub struct Photo {
    /// The person's row, below the number of people.
    pub row: usize,
    /// The photo's unit feature.
    pub face: Embedding,
}

/// The data that all classifiers are compared on.
#[derive(Debug, Clone)]
pub struct Data {
    /// Number of enrolled people N; labels are below it.
    pub people: usize,
    /// Components of a feature.
    pub dim: usize,
    /// Photos for training.
    pub train: Vec<Photo>,
    /// Photos for measuring only.
    pub held_out: Vec<Photo>,
    /// People who are not enrolled; each is one trial.
    pub strangers: Vec<Embedding>,
}

/// The accuracy of one classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Name of the baseline, as pages and JSON show it.
    pub name: String,
    /// Held-out photos whose person has the highest score.
    pub rank_1: Rate,
    /// Held-out photos that are not named, or misnamed, with thresholds for the target FPIR.
    pub fnir: Rate,
    /// Strangers who are named with these thresholds.
    pub fpir: Rate,
}

impl Data {
    /// The photos in two parts: for training, and one in four of each person's for choosing settings. A person with
    /// fewer than four photos gives none to the second part.
    #[must_use]
    pub fn to_choose_by(&self) -> (Vec<&Photo>, Vec<&Photo>) {
        let mut seen = vec![0_usize; self.people];
        self.train.iter().partition(|photo| {
            seen[photo.row] += 1;
            !seen[photo.row].is_multiple_of(4)
        })
    }
}

/// Rank-1 accuracy, and the misses with thresholds for `target` on score and margin.
///
/// Thresholds are set on one half of strangers and held-out photos and measured on the other half, and then the other
/// way round, so that every trial counts once and none is measured with thresholds that it set. Half of the strangers
/// must suffice for the target; otherwise the thresholds let none of them pass.
#[must_use]
pub fn measure(name: &str, scorer: &Scorer<'_>, data: &Data, target: f64) -> Measured {
    let mut mated: Vec<(Thresholds, bool)> = data
        .held_out
        .iter()
        .map(|photo| {
            let (best, thresholds) = top(&scorer(photo.face.vector()));
            (thresholds, best == photo.row)
        })
        .collect();
    let mut others: Vec<Thresholds> = data.strangers.iter().map(|face| top(&scorer(face.vector())).1).collect();
    // Thresholds are on cosines; logits are scaled to the same range, which keeps their order.
    let largest =
        |largest: f32, thresholds: &Thresholds| largest.max(thresholds.similarity.abs()).max(thresholds.margin / 2.0);
    let scale = mated.iter().map(|(thresholds, _)| thresholds).chain(&others).fold(1.0, largest);
    for thresholds in mated.iter_mut().map(|(thresholds, _)| thresholds).chain(&mut others) {
        *thresholds = Thresholds { similarity: thresholds.similarity / scale, margin: thresholds.margin / scale };
    }
    let (mut missed, mut named) = (0, 0);
    for half in 0..2 {
        let sets = |place: &usize| place % 2 == half;
        let of = |all: &[Thresholds], setting: bool| -> Vec<Thresholds> {
            all.iter()
                .enumerate()
                .filter(|(place, _)| sets(place) == setting)
                .map(|(_, thresholds)| *thresholds)
                .collect()
        };
        let right: Vec<Thresholds> = mated
            .iter()
            .enumerate()
            .filter(|(place, (_, right))| sets(place) && *right)
            .map(|(_, (thresholds, _))| *thresholds)
            .collect();
        let thresholds = thresholds_for(&of(&others, true), &right, target);
        let named_right = |(got, right): &(Thresholds, bool)| *right && got.passes(thresholds);
        missed += mated.iter().enumerate().filter(|(place, trial)| !sets(place) && !named_right(trial)).count();
        named += of(&others, false).iter().filter(|got| got.passes(thresholds)).count();
    }
    Measured {
        name: name.to_owned(),
        rank_1: Rate::new(mated.iter().filter(|(_, right)| *right).count(), mated.len()),
        fnir: Rate::new(missed, mated.len()),
        fpir: Rate::new(named, others.len()),
    }
}

/// The best row, its score, and its margin over the next.
#[must_use]
pub fn top(scores: &[f32]) -> (usize, Thresholds) {
    let (mut best, mut first, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (row, &score) in scores.iter().enumerate() {
        if score > first {
            (best, second, first) = (row, first, score);
        } else if score > second {
            second = score;
        }
    }
    (best, Thresholds { similarity: first, margin: if second.is_finite() { first - second } else { 0.0 } })
}

/// Scores by cosine with one unit row for each person: the fine-tuned table, prompts, class means.
#[must_use]
pub fn by_rows<'a>(rows: Vec<f32>, dim: usize) -> Scorer<'a> {
    Box::new(move |feature| {
        rows.chunks_exact(dim).map(|row| row.iter().zip(feature).map(|(a, b)| a * b).sum()).collect()
    })
}

/// Features `[M, dim]`, row-major, and the person of each.
fn stacked(photos: &[&Photo]) -> (Vec<f32>, Vec<usize>) {
    let values = photos.iter().flat_map(|photo| photo.face.vector().iter().copied()).collect();
    (values, photos.iter().map(|photo| photo.row).collect())
}

/// How well logits fit photos: the number of right ones, then the likelihood (minus the mean cross-entropy). More is
/// better.
fn fit(scorer: &dyn Fn(&[f32]) -> Vec<f32>, photos: &[&Photo]) -> (usize, f64) {
    let (mut right, mut sum) = (0, 0.0);
    for photo in photos {
        let logits = scorer(photo.face.vector());
        let (best, Thresholds { similarity: most, .. }) = top(&logits);
        right += usize::from(best == photo.row);
        let all: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
        sum += f64::from(logits[photo.row] - most) - all.ln();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of photos")]
    let mean = sum / photos.len().max(1) as f64;
    (right, mean)
}

/// The choice with the best fit; of equals the first.
fn best_fit<T: Copy>(choices: impl Iterator<Item = T>, mut fit: impl FnMut(T) -> (usize, f64)) -> Option<T> {
    let mut best: Option<(T, (usize, f64))> = None;
    for choice in choices {
        let now = fit(choice);
        if best.is_none_or(|(_, before)| now > before) {
            best = Some((choice, now));
        }
    }
    best.map(|(choice, _)| choice)
}

#[cfg(test)]
mod tests;
