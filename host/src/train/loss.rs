//! Photo features and class embeddings → softmax cross-entropy, and how far each photo is from its class.
//!
//! Cross-entropy alone is content when the right class is ahead of the others. With ten people and CLIP's logit scale
//! that is so at a cosine of 0.6; the other 0.8 of the class's direction is what the prompt started from, and
//! strangers are as near to that as anybody. The likeness term goes on pulling until it is gone.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

/// Mean over the photos of −log of the softmax at the right class, plus `likeness` times the mean of 1 − cosine with
/// the right class. With a `likeness` of 0 this is CLIP's loss over classes, and the paper's.
///
/// `features` `[B, D]` and `classes` `[N, D]` are unit rows, `scale` `[1]` is the factor between cosine and logit,
/// `labels` are B indices of classes. → `[1]`
pub(super) fn loss(
    features: Tensor<2>,
    classes: Tensor<2>,
    scale: Tensor<1>,
    labels: &[u32],
    likeness: f32,
) -> Tensor<1> {
    let [photos, _] = features.dims();
    let [people, _] = classes.dims();
    let right = one_hot(labels, people, &features.device());
    let cosines = features.matmul(classes.transpose());
    let logits = cosines.clone() * scale.unsqueeze::<2>();
    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    let mean = 1.0 / photos as f32;
    let entropy = (log_softmax(logits, 1) * right.clone()).sum().mul_scalar(-mean);
    let distance = (cosines * right).sum().mul_scalar(-mean).add_scalar(1.0);
    entropy + distance.mul_scalar(likeness)
}

/// `[B, N]`: 1 at each row's label, 0 elsewhere.
fn one_hot(labels: &[u32], people: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0_f32; labels.len() * people];
    for (row, &label) in labels.iter().enumerate() {
        values[row * people + label as usize] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [labels.len(), people]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_cross_entropy_and_distance() {
        let check = |features: [[f32; 2]; 2], scale: f32, labels: [u32; 2], likeness: f32, expected: f32| {
            let device = Device::flex();
            let classes = Tensor::from_data([[1.0_f32, 0.0], [0.0, 1.0]], &device);
            let features = Tensor::from_data(features, &device);
            let loss = loss(features, classes, Tensor::from_data([scale], &device), &labels, likeness);
            let got = loss.into_scalar::<f32>();
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        };
        // Two classes at cosines 1 and 0: log(1 + e^-s) when right, s more when wrong.
        let right = |s: f32| (-s).exp().ln_1p();
        check([[1.0, 0.0], [0.0, 1.0]], 2.0, [0, 1], 0.0, right(2.0));
        check([[1.0, 0.0], [0.0, 1.0]], 2.0, [1, 0], 0.0, right(2.0) + 2.0);
        check([[1.0, 0.0], [0.0, 1.0]], 10.0, [0, 0], 0.0, right(10.0) + 5.0);
        check([[0.6, 0.6], [0.6, 0.6]], 100.0, [0, 1], 0.0, 2.0_f32.ln());
        check([[0.6, 0.6], [0.6, 0.6]], 100.0, [0, 1], 3.0, 2.0_f32.ln() + 3.0 * 0.4);
        check([[1.0, 0.0], [0.0, 1.0]], 2.0, [1, 0], 0.5, right(2.0) + 2.5);
    }
}
