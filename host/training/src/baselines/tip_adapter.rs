//! Tip-Adapter-F (Zhang et al. 2022): prompts, and a cache of training features whose keys are trained.
//!
//! Logits are 100 · f·Wᵀ + α · exp(−β (1 − f·Kᵀ)) · L: prompts W `[N, D]`, keys K `[M, D]` that begin as the training
//! features, their labels L `[M, N]` one-hot. The keys are trained for [`EPOCHS`] passes of AdamW at α = 1, β = 5.5.
//! Then α and β are chosen by accuracy, then by likelihood, on photos kept back, on which no key was trained. Then the
//! keys are trained on all photos.

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use super::adam::Adam;
use super::linear_probe::one_hot;
use super::{Data, Photo, Scorer, best_fit, fit, stacked};

/// Passes over the training photos.
pub const EPOCHS: usize = 20;
/// Photos in a step.
const BATCH: usize = 256;
/// Learning rate at the start; it falls to 0 along half a cosine.
const RATE: f64 = 1e-3;
/// AdamW's ε, as published.
const EPSILON: f64 = 1e-4;
/// AdamW's decay, PyTorch's default.
const DECAY: f64 = 0.01;
/// CLIP's logit scale after training.
const LOGIT_SCALE: f32 = 100.0;
/// α and β in training.
const IN_TRAINING: Strengths = Strengths { alpha: 1.0, beta: 5.5 };

#[derive(Debug, Copy, Clone, PartialEq)]
struct Strengths {
    alpha: f32,
    beta: f32,
}

/// Prompts with a trained cache.
#[derive(Debug, Clone)]
pub struct Adapter {
    prompts: Vec<f32>,
    keys: Vec<f32>,
    labels: Vec<usize>,
    strengths: Strengths,
    people: usize,
    dim: usize,
}

impl Adapter {
    /// Trains on the training photos; `prompts` are unit rows `[N, dim]` of the text encoder before any fine-tuning.
    #[must_use]
    pub fn learnt(data: &Data, prompts: &[f32]) -> Self {
        let (learn, choose) = data.to_choose_by();
        let strengths = if choose.is_empty() {
            IN_TRAINING
        } else {
            let mut adapter = Self::fitted(&learn, data, prompts);
            let tried = |strengths| {
                adapter.strengths = strengths;
                fit(&|feature| adapter.scores(feature), &choose)
            };
            best_fit(grid(), tried).unwrap_or(IN_TRAINING)
        };
        Self { strengths, ..Self::fitted(&data.train.iter().collect::<Vec<_>>(), data, prompts) }
    }

    fn fitted(photos: &[&Photo], data: &Data, prompts: &[f32]) -> Self {
        let device = Device::flex();
        let (values, labels) = stacked(photos);
        let count = photos.len();
        let matrix = |values: Vec<f32>, rows: usize| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values, [rows, data.dim]), &device)
        };
        let of_labels = one_hot(&labels, data.people, &device);
        let features = matrix(values, count);
        let plain = features.clone().matmul(matrix(prompts.to_vec(), data.people).transpose()) * f64::from(LOGIT_SCALE);
        let Strengths { alpha, beta } = IN_TRAINING;
        let (alpha, beta) = (f64::from(alpha), f64::from(beta));
        let mut keys = features.clone();
        let mut adam = Adam::new(&keys, EPSILON, DECAY);
        let steps = EPOCHS * count.div_ceil(BATCH);
        let mut step = 0;
        for _ in 0..EPOCHS {
            for first in (0..count).step_by(BATCH) {
                let rows = first..count.min(first + BATCH);
                let batch = rows.len();
                let part = |of: &Tensor<2>| of.clone().slice([rows.clone()]);
                let f = part(&features);
                let near = ((f.clone().matmul(keys.clone().transpose()) - 1.0) * beta).exp();
                let logits = part(&plain) + near.clone().matmul(of_labels.clone()) * alpha;
                #[expect(clippy::cast_precision_loss, reason = "counts")]
                let off = (softmax(logits, 1) - part(&of_labels)) / batch as f64;
                // d near / d keys = β · near · f, and d logits / d near = α · L.
                let pull = off.matmul(of_labels.clone().transpose()) * near * (alpha * beta);
                let gradient = pull.transpose().matmul(f);
                #[expect(clippy::cast_precision_loss, reason = "counts")]
                let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
                keys = adam.step(keys, gradient, rate);
                step += 1;
            }
        }
        let keys = keys.into_data().try_to_vec::<f32>().expect("keys are f32");
        let prompts = prompts.to_vec();
        Self { prompts, keys, labels, strengths: IN_TRAINING, people: data.people, dim: data.dim }
    }

    /// Logits `[N]`.
    #[must_use]
    pub fn scores(&self, feature: &[f32]) -> Vec<f32> {
        let dot = |row: &[f32]| row.iter().zip(feature).map(|(a, b)| a * b).sum::<f32>();
        let mut logits: Vec<f32> = self.prompts.chunks_exact(self.dim).map(|row| LOGIT_SCALE * dot(row)).collect();
        debug_assert_eq!(logits.len(), self.people);
        for (key, &label) in self.keys.chunks_exact(self.dim).zip(&self.labels) {
            logits[label] += self.strengths.alpha * (self.strengths.beta * (dot(key) - 1.0)).exp();
        }
        logits
    }

    /// This classifier as a [`Classifier`].
    #[must_use]
    pub fn into_scorer(self) -> Scorer<'static> {
        Box::new(move |feature| self.scores(feature))
    }
}

/// Candidate pairs: α by powers of two, because the size of logits depends on the prompts; β as published.
fn grid() -> impl Iterator<Item = Strengths> {
    let alphas = (-2_i32..=8).map(|power| 2.0_f32.powi(power));
    alphas.flat_map(|alpha| (1_u8..=14).map(move |half| Strengths { alpha, beta: f32::from(half) * 0.5 }))
}
