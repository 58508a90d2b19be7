//! AdamW on one matrix (Kingma & Ba 2015; Loshchilov & Hutter 2019), for gradients that are computed by hand.

use burn::tensor::Tensor;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;

/// The moments of a `[rows, columns]` matrix.
pub(super) struct Adam {
    mean: Tensor<2>,
    square: Tensor<2>,
    steps: i32,
    epsilon: f64,
    decay: f64,
}

impl Adam {
    /// Zero moments for a matrix of this shape; `decay` is AdamW's, decoupled.
    pub(super) fn new(of: &Tensor<2>, epsilon: f64, decay: f64) -> Self {
        Self { mean: of.zeros_like(), square: of.zeros_like(), steps: 0, epsilon, decay }
    }

    /// The matrix after one step.
    pub(super) fn step(&mut self, matrix: Tensor<2>, gradient: Tensor<2>, rate: f64) -> Tensor<2> {
        self.steps += 1;
        self.mean = self.mean.clone() * BETA_1 + gradient.clone() * (1.0 - BETA_1);
        self.square = self.square.clone() * BETA_2 + gradient.powi_scalar(2) * (1.0 - BETA_2);
        let mean = self.mean.clone() / (1.0 - BETA_1.powi(self.steps));
        let square = self.square.clone() / (1.0 - BETA_2.powi(self.steps));
        matrix * (1.0 - rate * self.decay) - mean / (square.sqrt() + self.epsilon) * rate
    }
}
