//! Photo features and class embeddings → the loss, and the similarity term.
//!
//! Cross-entropy alone fades once the right class is ahead of the others. With ten people and CLIP's logit scale that
//! is at a cosine of 0.6; the rest of the class's direction, 0.8, is then still that of the untrained prompt, to which
//! strangers are as similar as anybody. The similarity term goes on until that rest is gone.

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Loss, Settings};

/// The least squared sine that is differentiated: the slope of the sine is unbounded towards 0.
const LEAST_SQUARED_SINE: f32 = 1e-6;

/// What the features of B photos are compared with, besides the N class embeddings.
pub(super) struct Targets {
    /// B indices of classes.
    pub labels: Vec<u32>,
    /// N: the logarithm of the number of classes for which each one stands in the softmax's sum.
    pub log_weights: Vec<f32>,
}

/// Mean over the photos of the loss that the settings name, plus `similarity` times the mean of 1 − cosine with the
/// right class. Softmax with a `similarity` of 0 is CLIP's loss over classes, and the paper's.
///
/// `features` `[B, D]` and `classes` `[N, D]` are unit rows, `scale` `[1]` is the factor between cosine and logit. →
/// `[1]`
pub(super) fn loss(
    settings: &Settings,
    features: Tensor<2>,
    classes: Tensor<2>,
    scale: Tensor<1>,
    targets: &Targets,
) -> Tensor<1> {
    let [photos, _] = features.dims();
    let [people, _] = classes.dims();
    let device = features.device();
    let right = one_hot(&targets.labels, people, &device);
    let log_weights = Tensor::from_data(TensorData::new(targets.log_weights.clone(), [1, people]), &device);
    let cosines = features.matmul(classes.transpose());
    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    let mean = 1.0 / photos as f32;
    let entropy = |cosines: Tensor<2>| {
        let logits = cosines * scale.unsqueeze::<2>() + log_weights;
        (log_softmax(logits, 1) * right.clone()).sum().mul_scalar(-mean)
    };
    let apart = match settings.loss {
        Loss::Softmax => entropy(cosines.clone()),
        Loss::ArcFace { margin } => entropy(turned(cosines.clone(), right.clone(), margin)),
        Loss::CosFace { margin } => entropy(cosines.clone() - right.clone().mul_scalar(margin)),
        Loss::Triplet { margin } => triplets(cosines.clone(), right.clone(), margin).sum().mul_scalar(mean),
    };
    let distance = (cosines * right).sum().mul_scalar(-mean).add_scalar(1.0);
    apart + distance.mul_scalar(settings.similarity)
}

/// The cosines, with the angle to the right class enlarged by `margin`, in radians. If the sum would exceed half a
/// turn, where its cosine rises again, the cosine is lowered by a constant instead.
fn turned(cosines: Tensor<2>, right: Tensor<2>, margin: f32) -> Tensor<2> {
    let sines = cosines.clone().square().neg().add_scalar(1.0).clamp_min(LEAST_SQUARED_SINE).sqrt();
    let turned = cosines.clone().mul_scalar(margin.cos()) - sines.mul_scalar(margin.sin());
    let beyond = cosines.clone().lower_elem(-margin.cos());
    let turned = turned.mask_where(beyond, cosines.clone().add_scalar(-margin * margin.sin()));
    cosines.clone() + right * (turned - cosines)
}

/// `[B, 1]`: a photo's squared distance to its own class plus the margin, minus that to the nearest other class.
fn triplets(cosines: Tensor<2>, right: Tensor<2>, margin: f32) -> Tensor<2> {
    let own = (cosines.clone() * right.clone()).sum_dim(1);
    // Cosines are at most 1, so the right class is never the nearest other.
    let other = (cosines - right.mul_scalar(4.0)).max_dim(1);
    // Of unit rows the squared distance is 2 − 2 cos.
    relu((other - own).mul_scalar(2.0).add_scalar(margin))
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

    fn value(settings: &Settings, features: [[f32; 2]; 2], scale: f32, labels: [u32; 2], log_weights: [f32; 2]) -> f32 {
        let device = Device::flex();
        let classes = Tensor::from_data([[1.0_f32, 0.0], [0.0, 1.0]], &device);
        let targets = Targets { labels: labels.to_vec(), log_weights: log_weights.to_vec() };
        let (features, scale) = (Tensor::from_data(features, &device), Tensor::from_data([scale], &device));
        loss(settings, features, classes, scale, &targets).into_scalar::<f32>()
    }

    const AXES: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

    /// Two classes at cosines 1 and 0: log(1 + e^-s) when right, s more when wrong.
    fn right(s: f32) -> f32 {
        (-s).exp().ln_1p()
    }

    #[test]
    fn the_loss_is_cross_entropy_and_distance() {
        let check = |features: [[f32; 2]; 2], scale: f32, labels: [u32; 2], similarity: f32, expected: f32| {
            let settings = Settings { similarity, ..Settings::default() };
            let got = value(&settings, features, scale, labels, [0.0; 2]);
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        };
        check(AXES, 2.0, [0, 1], 0.0, right(2.0));
        check(AXES, 2.0, [1, 0], 0.0, right(2.0) + 2.0);
        check(AXES, 10.0, [0, 0], 0.0, right(10.0) + 5.0);
        check([[0.6, 0.6], [0.6, 0.6]], 100.0, [0, 1], 0.0, 2.0_f32.ln());
        check([[0.6, 0.6], [0.6, 0.6]], 100.0, [0, 1], 3.0, 2.0_f32.ln() + 3.0 * 0.4);
        check(AXES, 2.0, [1, 0], 0.5, right(2.0) + 2.5);
    }

    #[test]
    fn a_class_can_stand_for_several() {
        // Three of the second class, one of the first.
        let settings = Settings { similarity: 0.0, ..Settings::default() };
        let got = value(&settings, [[1.0, 0.0], [1.0, 0.0]], 2.0, [0, 0], [0.0, 3.0_f32.ln()]);
        assert!((got - (3.0 * (-2.0_f32).exp()).ln_1p()).abs() < 1e-5, "{got}");
    }

    #[test]
    fn margins_make_it_harder() {
        let check = |loss: Loss, features: [[f32; 2]; 2], labels: [u32; 2], expected: f32| {
            let settings = Settings { loss, similarity: 0.0, ..Settings::default() };
            let got = value(&settings, features, 4.0, labels, [0.0; 2]);
            assert!((got - expected).abs() < 1e-4, "{loss:?}: {got} {expected}");
        };
        // At cosines 1 and 0: cos(0.5) and 1 − 0.35 replace 1, except for the sine's bound.
        let arc = 0.5_f32.cos() - 0.5_f32.sin() * LEAST_SQUARED_SINE.sqrt();
        check(Loss::ArcFace { margin: 0.5 }, AXES, [0, 1], right(4.0 * arc));
        check(Loss::CosFace { margin: 0.35 }, AXES, [0, 1], right(4.0 * 0.65));
        // A right angle to the right class becomes wider.
        let wide = 4.0 * (1.0 + 0.5_f32.sin());
        check(Loss::ArcFace { margin: 0.5 }, AXES, [1, 0], right(wide) + wide);
        // Opposite to it, and beyond: −1 − 0.5 sin 0.5 instead of a cosine that rises again; the other class is at 0.
        let beyond = 1.0 + 0.5 * 0.5_f32.sin();
        check(Loss::ArcFace { margin: 0.5 }, [[-1.0, 0.0], [0.0, -1.0]], [0, 1], right(4.0 * beyond) + 4.0 * beyond);
        // Squared distances 0 and 2: met, or missed by 2 and the margin.
        check(Loss::Triplet { margin: 0.2 }, AXES, [0, 1], 0.0);
        check(Loss::Triplet { margin: 0.2 }, AXES, [1, 0], 2.2);
        check(Loss::Triplet { margin: 0.2 }, AXES, [0, 0], 1.1);
    }
}
