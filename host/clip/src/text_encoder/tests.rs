//! Properties of the text encoder. `tests/reference` checks its numbers against the reference.

use burn::optim::GradientsParams;

use super::plain::{Plain, check_close, gradient};
use super::*;

const CONFIG: TextConfig = TextConfig { vocabulary: 20, context: 12, width: 128, layers: 2, dim: 32 };

fn prompts(rows: &[&[u32]]) -> Prompts {
    let rows: Vec<Vec<u32>> = rows.iter().map(|r| r.to_vec()).collect();
    Prompts::new(&rows, &CONFIG).expect("prompts")
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

#[test]
fn weights_survive_a_round_trip() {
    let tensors = random_tensors(&CONFIG, 7);
    let encoder = TextEncoder::from_tensors(&tensors, &Device::flex()).expect("an encoder");
    assert_eq!(encoder.to_tensors(), tensors);
    assert_eq!(encoder.config(), CONFIG);
    assert_eq!(TextConfig::from_tensors(&tensors).expect("a config"), CONFIG);
}

#[test]
fn a_seed_is_one_encoder() {
    assert_eq!(random_tensors(&CONFIG, 1), random_tensors(&CONFIG, 1));
    assert_ne!(random_tensors(&CONFIG, 1), random_tensors(&CONFIG, 2));
}

#[test]
fn a_prompt_does_not_see_its_neighbours() {
    let encoder = TextEncoder::random(&CONFIG, 3, &Device::flex());
    let alone = values(encoder.forward(&prompts(&[&[18, 4, 5, 19]])));
    let together = values(encoder.forward(&prompts(&[&[18, 4, 5, 19], &[18, 1, 2, 3, 4, 5, 6, 19]])));
    let difference = alone.iter().zip(&together).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < 1e-5, "{difference}");
    for row in together.chunks_exact(CONFIG.dim) {
        assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

/// Rows whose prompts share much, little or nothing, and have different lengths.
fn row_sets() -> Vec<Vec<Vec<u32>>> {
    let named =
        |names: &[&[u32]]| names.iter().map(|name| [&[18, 4, 5, 6], *name, &[19]].concat()).collect::<Vec<Vec<u32>>>();
    vec![
        named(&[&[7, 8], &[9], &[10, 11, 12, 13], &[7, 9]]),
        // A prompt that is the beginning of others; one prompt alone; the same prompt twice.
        named(&[&[], &[3], &[3, 3]]),
        named(&[&[7, 8]]),
        named(&[&[7, 8], &[7, 8]]),
        // Only the start mark is shared, or not even that.
        vec![vec![18, 1, 2, 19], vec![18, 3, 19, 5, 5]],
        vec![vec![19], vec![18, 1, 19]],
        // More than one tile.
        (0..30).map(|i| [&[18, 4, 5], &vec![i % 17; 1 + i as usize % 7][..], &[19]].concat()).collect(),
    ]
}

#[test]
fn packing_changes_neither_features_nor_gradients() {
    let tensors = random_tensors(&CONFIG, 11);
    let device = Device::flex().autodiff();
    for rows in row_sets() {
        let prompts = Prompts::new(&rows, &CONFIG).expect("prompts");
        let encoder = TextEncoder::from_tensors(&tensors, &device).expect("an encoder");
        let plain = Plain::new(&tensors);
        let (ours, theirs) = (encoder.features(&prompts), plain.features(&rows));
        check_close("features", &values(ours.clone()), &values(theirs.clone()));

        let mut random = fastrand::Rng::with_seed(5);
        let weights: Vec<f32> = (0..rows.len() * CONFIG.dim).map(|_| random.f32() - 0.5).collect();
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [rows.len(), CONFIG.dim]), &device);
        let loss = |rows: Tensor<2>, scale: Tensor<1>| (normalized(rows) * weights.clone()).sum() * scale;
        let gradients = loss(ours, encoder.logit_scale()).backward();
        let gradients = GradientsParams::from_grads(gradients, &encoder);
        let wanted = loss(theirs, plain.log_logit_scale().exp()).backward();
        for (name, tensor) in tensors.iter() {
            check_close(name, &gradient(&gradients, name, tensor), &plain.gradient(&wanted, name));
        }
    }
}

#[test]
fn the_logit_scale_is_clipped() {
    let check = |log: f32, factor: f32, clipped_log: f32| {
        let mut tensors = random_tensors(&CONFIG, 1);
        tensors.insert("logit_scale", NamedTensor::scalar(log));
        let encoder = TextEncoder::from_tensors(&tensors, &Device::flex().autodiff()).expect("an encoder");
        let got = encoder.logit_scale().into_scalar::<f32>();
        assert!((got - factor).abs() < 1e-3 * factor, "{got} {factor}");
        let clipped = encoder.with_clipped_logit_scale();
        assert!((clipped.log_logit_scale() - clipped_log).abs() < 1e-6);
        assert!(clipped.logit_scale_param().val().is_require_grad());
    };
    check(2.0, 2.0_f32.exp(), 2.0);
    check(5.0, 100.0, 100.0_f32.ln());
}

#[test]
fn every_weight_learns() {
    let device = Device::flex().autodiff();
    let encoder = TextEncoder::random(&CONFIG, 3, &device);
    let rows = encoder.forward(&prompts(&[&[18, 4, 5, 19], &[18, 6, 19]]));
    let target = Tensor::<2>::ones([2, CONFIG.dim], &device);
    let loss = (rows * target).sum() * encoder.logit_scale().sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
    for (name, tensor) in random_tensors(&CONFIG, 3).iter() {
        let id = param_id(name);
        let found = match tensor.shape.len() {
            2 => gradients.get::<2>(id).is_some(),
            _ => gradients.get::<1>(id).is_some(),
        };
        assert!(found, "{name} has no gradient");
    }
}

#[test]
fn weights_of_another_form_are_refused() {
    let check = |name: &str, tensor: Option<NamedTensor>, expected: &str| {
        let mut tensors = random_tensors(&CONFIG, 1).filtered(|n| n != name);
        if let Some(tensor) = tensor {
            tensors.insert(name, tensor);
        }
        let error = TextEncoder::from_tensors(&tensors, &Device::flex()).expect_err(expected).to_string();
        assert_eq!(error, expected);
    };
    check("ln_final.bias", None, "tensor ln_final.bias is missing");
    check("ln_final.bias", Some(NamedTensor::new(vec![2], vec![0.0; 2])), "tensor ln_final.bias is [2], wanted [128]");
    check(
        "transformer.resblocks.0.attn.in_proj_weight",
        None,
        "tensor transformer.resblocks.0.attn.in_proj_weight is missing",
    );
    check(
        "token_embedding.weight",
        Some(NamedTensor::new(vec![2, 65], vec![0.0; 130])),
        "tensor token_embedding.weight is [2, 65], wanted a width that is a multiple of 64",
    );
}
