//! Linear probe: multinomial logistic regression on the frozen features, the few-shot baseline of CLIP (Radford et al.
//! 2021, §3).
//!
//! Unit features vary so little that the strength of the L2 penalty matters. It is chosen from [`PENALTIES`] by
//! accuracy on photos kept back, then by likelihood; then the classifier is trained on all training photos.

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use super::adam::Adam;
use super::{Data, Photo, Scorer, best_fit, fit, stacked};

/// Candidate strengths of the L2 penalty, the strongest first.
pub const PENALTIES: [f64; 5] = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6];
/// Steps of full-batch Adam; the loss is convex and converges much earlier.
const STEPS: usize = 300;
/// Learning rate at the start; it falls to 0 along half a cosine.
const RATE: f64 = 0.3;

/// A linear classifier: weights `[N, dim]` and offsets `[N]`.
#[derive(Debug, Clone)]
pub struct Probe {
    weights: Vec<f32>,
    offsets: Vec<f32>,
    dim: usize,
}

impl Probe {
    /// Trains on the training photos.
    #[must_use]
    pub fn learnt(data: &Data) -> Self {
        let (learn, choose) = data.to_choose_by();
        let penalty = if choose.is_empty() {
            PENALTIES[PENALTIES.len() / 2]
        } else {
            let tried = |penalty| {
                let probe = Self::fitted(&learn, data.people, data.dim, penalty);
                fit(&|feature| probe.scores(feature), &choose)
            };
            best_fit(PENALTIES.into_iter(), tried).unwrap_or(PENALTIES[0])
        };
        Self::fitted(&data.train.iter().collect::<Vec<_>>(), data.people, data.dim, penalty)
    }

    fn fitted(photos: &[&Photo], people: usize, dim: usize, penalty: f64) -> Self {
        let device = Device::flex();
        let (values, labels) = stacked(photos);
        let count = photos.len();
        // One more column, of ones: the offsets.
        let wide: Vec<f32> = values.chunks_exact(dim).flat_map(|row| row.iter().copied().chain([1.0])).collect();
        let x: Tensor<2> = Tensor::from_data(TensorData::new(wide, [count, dim + 1]), &device);
        let target = one_hot(&labels, people, &device);
        // Offsets have no penalty.
        let pulled = (0..people).flat_map(|_| (0..=dim).map(|column| f32::from(u8::from(column < dim)))).collect();
        let pulled: Tensor<2> = Tensor::from_data(TensorData::new::<f32, _>(pulled, [people, dim + 1]), &device);
        let mut weights: Tensor<2> = pulled.zeros_like();
        let mut adam = Adam::new(&weights, 1e-8, 0.0);
        #[expect(clippy::cast_precision_loss, reason = "counts")]
        for step in 0..STEPS {
            let off = softmax(x.clone().matmul(weights.clone().transpose()), 1) - target.clone();
            let gradient = off.transpose().matmul(x.clone()) / count as f64;
            let gradient = gradient + weights.clone() * pulled.clone() * penalty;
            let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
            weights = adam.step(weights, gradient, rate);
        }
        let values = weights.into_data().try_to_vec::<f32>().expect("weights are f32");
        let rows = values.chunks_exact(dim + 1);
        Self {
            weights: rows.clone().flat_map(|row| row[..dim].iter().copied()).collect(),
            offsets: rows.map(|row| row[dim]).collect(),
            dim,
        }
    }

    /// Logits `[N]`.
    #[must_use]
    pub fn scores(&self, feature: &[f32]) -> Vec<f32> {
        let logit = |(row, offset): (&[f32], &f32)| offset + row.iter().zip(feature).map(|(a, b)| a * b).sum::<f32>();
        self.weights.chunks_exact(self.dim).zip(&self.offsets).map(logit).collect()
    }

    /// This classifier as a [`Classifier`].
    #[must_use]
    pub fn into_scorer(self) -> Scorer<'static> {
        Box::new(move |feature| self.scores(feature))
    }
}

/// `[M, N]`
pub(super) fn one_hot(labels: &[usize], people: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0_f32; labels.len() * people];
    for (photo, label) in labels.iter().enumerate() {
        values[photo * people + label] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [labels.len(), people]), device)
}
