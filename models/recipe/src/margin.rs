//! Features and labels → the large-margin cosine loss (CosFace, Wang et al. 2018).

use burn::module::Param;
use burn::nn::Initializer;
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

/// One unit direction per training person.
#[derive(Module, Debug)]
pub struct Margin {
    classes: Param<Tensor<2>>,
}

/// Rows of unit length.
pub fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().square().sum_dim(1).add_scalar(1e-12).sqrt();
    x / length
}

impl Margin {
    /// Random directions for `people` classes of `dim` features.
    pub fn new(people: usize, dim: usize, device: &Device) -> Self {
        let init = Initializer::Normal { mean: 0.0, std: 0.05 };
        Self { classes: init.init([people, dim], device) }
    }

    /// The given directions, `[people, dim]`.
    pub fn towards(classes: Tensor<2>) -> Self {
        Self { classes: Param::from_tensor(classes) }
    }

    /// Mean over the batch of −log softmax(`scale`·(cos − `margin` at the true class)); also the cosines [N, people].
    pub fn loss(&self, features: Tensor<2>, labels: &[u32], scale: f32, margin: f32) -> (Tensor<1>, Tensor<2>) {
        let device = features.device();
        let people = self.classes.dims()[0];
        let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
        let labels = Tensor::<1, Int>::from_ints(&labels[..], &device);
        let cosines = unit(features).matmul(unit(self.classes.val()).transpose());
        let truth = labels.clone().one_hot::<2>(people).float();
        let logits = (cosines.clone() - truth * margin) * scale;
        let picked = log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1));
        (picked.mean().neg(), cosines.detach())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::values;

    #[test]
    fn the_loss_is_the_formula_by_hand() {
        let device = Device::flex();
        let mut head = Margin::new(2, 2, &device);
        head.classes = head.classes.map(|_| Tensor::from_floats([[2.0, 0.0], [0.0, 3.0]], &device));
        let features = Tensor::from_floats([[3.0, 4.0]], &device); // cosines 0.6, 0.8
        for (scale, margin) in [(1.0f32, 0.0f32), (10.0, 0.35), (30.0, 0.2)] {
            let (loss, _) = head.loss(features.clone(), &[0], scale, margin);
            let (a, b) = (scale * (0.6 - margin), scale * 0.8);
            let wanted = -(a - b - (1.0 + (a - b).exp()).ln());
            let got = values(loss).values[0];
            assert!((got - wanted).abs() < 1e-3, "{got} {wanted}");
        }
    }
}
