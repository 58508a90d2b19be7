//! A loss over class embeddings → the gradient of every weight, with the graph of only one chunk of prompts in memory.
//!
//! The backward pass of one prompt needs only the gradient of the loss with respect to the prompt's own embedding. So
//! the embeddings are computed without a graph, the loss's gradient with respect to them is computed once, and then
//! each chunk is computed again with its part of that gradient (Gao et al. 2021, *Scaling Deep Contrastive Learning
//! Batch Size under Memory Limited Setup*). The gradient is the same, for one more forward pass.

use burn::module::Module as _;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use lintel_clip::text_encoder::{Prompts, TextEncoder};

/// Unit embeddings of the prompts, `[N, D]`, outside any graph.
pub(super) fn embeddings(encoder: &TextEncoder, prompts: &Prompts, chunk: usize) -> Tensor<2> {
    let encoder = encoder.valid();
    Tensor::cat(prompts.chunks(chunk).map(|part| encoder.forward(&part)).collect(), 0)
}

/// The loss and its gradients. `loss` takes unit embeddings of the prompts `[N, D]` and the factor between cosine and
/// logit `[1]`, and gives `[1]`. If all prompts fit into one chunk, there is one forward pass.
pub(super) fn gradients(
    encoder: &TextEncoder,
    prompts: &Prompts,
    chunk: usize,
    loss: impl FnOnce(Tensor<2>, Tensor<1>) -> Tensor<1>,
) -> (f32, GradientsParams) {
    if prompts.len() <= chunk {
        let loss = loss(encoder.forward(prompts), encoder.logit_scale());
        let value = loss.clone().into_scalar::<f32>();
        return (value, GradientsParams::from_grads(loss.backward(), encoder));
    }
    let classes = Tensor::from_inner(embeddings(encoder, prompts, chunk)).require_grad();
    let loss = loss(classes.clone(), encoder.logit_scale());
    let value = loss.clone().into_scalar::<f32>();
    let gradients = loss.backward();
    let pull = classes.grad(&gradients).expect("a loss depends on the classes");
    drop(classes);
    let mut sum = GradientsAccumulator::new();
    sum.accumulate(encoder, GradientsParams::from_grads(gradients, encoder));
    let mut first = 0;
    // The sum so far takes memory too; half a chunk at a time makes up for it.
    for part in prompts.chunks(chunk.div_ceil(2)) {
        let rows = first..first + part.len();
        first = rows.end;
        let pulled = (encoder.forward(&part) * Tensor::from_inner(pull.clone().slice([rows]))).sum();
        sum.accumulate(encoder, GradientsParams::from_grads(pulled.backward(), encoder));
    }
    (value, sum.grads())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use proptest::prelude::*;

    use super::*;
    use crate::loss::{Targets, loss};
    use crate::{Loss, Settings};
    use lintel_clip::text_encoder::plain::{Plain, check_close, gradient};
    use lintel_clip::text_encoder::{TextConfig, normalized, random_tensors};

    const CONFIG: TextConfig = TextConfig { vocabulary: 24, context: 12, width: 64, layers: 2, dim: 16 };

    /// Prompts of two to seven people: a template and each person's own tokens.
    fn rows() -> impl Strategy<Value = Vec<Vec<u32>>> {
        let names = prop::collection::vec(prop::collection::vec(0_u32..20, 1..6), 2..8);
        (prop::collection::vec(0_u32..20, 0..5), names).prop_map(|(template, names)| {
            names.iter().map(|name| [&[22], &template[..], &name[..], &[23]].concat()).collect()
        })
    }

    /// Four photos, `[4, D]` unit rows.
    fn photos(device: &Device) -> Tensor<2> {
        let mut random = fastrand::Rng::with_seed(3);
        let values: Vec<f32> = (0..4 * CONFIG.dim).map(|_| random.f32() - 0.5).collect();
        normalized(Tensor::from_data(TensorData::new(values, [4, CONFIG.dim]), device))
    }

    /// The person of each photo: 0, 3, 6 and 9, spread over the list.
    fn targets(people: usize) -> Targets {
        let labels = (0..4).map(|photo| u32::try_from(3 * photo % people).expect("few")).collect();
        Targets { labels, log_weights: vec![0.0; people] }
    }

    fn losses() -> impl Strategy<Value = Settings> {
        let losses = [Loss::Softmax, Loss::ARCFACE, Loss::COSFACE];
        prop::sample::select(losses.to_vec()).prop_map(|loss| Settings { loss, ..Settings::default() })
    }

    fn ours(settings: &Settings, rows: &[Vec<u32>], targets: &Targets, chunk: usize) -> (f32, GradientsParams) {
        let device = Device::flex().autodiff();
        let encoder = TextEncoder::random(&CONFIG, 5, &device);
        let prompts = Prompts::new(rows, &CONFIG).expect("prompts");
        gradients(&encoder, &prompts, chunk, |classes, scale| loss(settings, photos(&device), classes, scale, targets))
    }

    /// Like [`check_close`], for the logit scale's gradient. It is a single number, the sum of terms as large as the
    /// loss that almost cancel, and is compared to 1e-5 of the loss.
    fn check_gradient(name: &str, loss: f32, got: &[f32], wanted: &[f32]) {
        let least = if name == "logit_scale" { loss } else { 0.0 };
        check_close(name, &[got, &[least]].concat(), &[wanted, &[least]].concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn chunked_gradients_are_the_plain_ones(settings in losses(), rows in rows(), chunk in 1_usize..9) {
            let tensors = random_tensors(&CONFIG, 5);
            let plain = Plain::new(&tensors);
            let targets = targets(rows.len());
            let classes = normalized(plain.features(&rows));
            let photos = photos(&classes.device());
            let wanted = loss(&settings, photos, classes, plain.log_logit_scale().exp(), &targets);
            let (value, got) = ours(&settings, &rows, &targets, chunk);
            check_close("loss", &[value], &[wanted.clone().into_scalar::<f32>()]);
            let wanted = wanted.backward();
            for (name, tensor) in tensors.iter() {
                check_gradient(name, value, &gradient(&got, name, tensor), &plain.gradient(&wanted, name));
            }
        }

        #[test]
        fn the_order_of_people_does_not_matter(rows in rows(), chunk in 1_usize..9, seed in any::<u64>()) {
            let settings = Settings::default();
            let targets = targets(rows.len());
            let mut order: Vec<usize> = (0..rows.len()).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut order);
            let moved: Vec<Vec<u32>> = order.iter().map(|&row| rows[row].clone()).collect();
            let place = |label: &u32| order.iter().position(|&row| row == *label as usize).expect("all are there");
            let labels = targets.labels.iter().map(|label| u32::try_from(place(label)).expect("few")).collect();
            let moved_targets = Targets { labels, log_weights: targets.log_weights.clone() };
            let (value, gradients) = ours(&settings, &rows, &targets, chunk);
            let (moved_value, moved_gradients) = ours(&settings, &moved, &moved_targets, chunk);
            check_close("loss", &[moved_value], &[value]);
            for (name, tensor) in random_tensors(&CONFIG, 5).iter() {
                let moved = gradient(&moved_gradients, name, tensor);
                check_gradient(name, value, &moved, &gradient(&gradients, name, tensor));
            }
        }
    }
}
