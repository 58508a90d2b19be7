//! The same training on another device, or in another precision: the difference from the processor's f32.
//!
//! `cargo test --release -p lintel-training --features vulkan --lib parity -- --nocapture` shows the figures. Tests
//! that need a GPU print `SKIPPED` where there is none, and fail where one is broken.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use lintel_clip::text_encoder::plain::gradient;
use lintel_clip::text_encoder::{Prompts, TextConfig, TextEncoder, normalized, random_tensors};

use super::gradients::gradients;
use super::loss::{Targets, loss};
use super::tests::{clip, features, names, settings, tokenizer};
use super::*;

/// Wide enough for the kernels of matrix units, with names that fill several tiles.
const CONFIG: TextConfig = TextConfig { vocabulary: 24, context: 20, width: 256, layers: 3, dim: 128 };
const PEOPLE: u32 = 40;
const PHOTOS: usize = 16;

/// A loss and the gradient of every weight, by name.
struct Found {
    loss: f32,
    gradients: Vec<(String, Vec<f32>)>,
}

fn found(device: &Device, precision: MatmulPrecision, chunk: usize) -> Found {
    let device = device.clone().autodiff();
    let tensors = random_tensors(&CONFIG, 5);
    let encoder = TextEncoder::from_tensors(&tensors, &device).expect("an encoder").with_matmul_precision(precision);
    let row = |person: u32| [&[22, 1, 2, 3], &vec![person % 20; 1 + person as usize / 3][..], &[23]].concat();
    let rows: Vec<Vec<u32>> = (0..PEOPLE).map(row).collect();
    let prompts = Prompts::new(&rows, &CONFIG).expect("prompts");
    let mut random = fastrand::Rng::with_seed(3);
    let values: Vec<f32> = (0..PHOTOS * CONFIG.dim).map(|_| random.f32() - 0.5).collect();
    let photos = normalized(Tensor::from_data(TensorData::new(values, [PHOTOS, CONFIG.dim]), &device));
    let targets = Targets { labels: (0..PHOTOS as u32).collect(), log_weights: vec![0.0; rows.len()] };
    let settings = Settings::default();
    let (loss, of_weights): (f32, GradientsParams) =
        gradients(&encoder, &prompts, chunk, |classes, scale| loss(&settings, photos, classes, scale, &targets));
    let gradients = tensors.iter().map(|(name, tensor)| (name.to_owned(), gradient(&of_weights, name, tensor)));
    Found { loss, gradients: gradients.collect() }
}

/// The differences between `got` and `wanted`: the loss, relatively; the worst component of any weight's gradient,
/// relative to the greatest of that weight; the least cosine between a weight's gradients.
fn distances(got: &Found, wanted: &Found) -> (f32, f32, f32) {
    let (mut worst, mut cosine) = (0.0_f32, 1.0_f32);
    for ((name, got), (of, wanted)) in got.gradients.iter().zip(&wanted.gradients) {
        assert_eq!((name, got.len()), (of, wanted.len()));
        let greatest = wanted.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let difference = got.iter().zip(wanted).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(got.iter().all(|v| v.is_finite()), "{name}");
        worst = worst.max(difference / greatest);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        cosine = cosine.min((dot(got, wanted) / (dot(got, got) * dot(wanted, wanted)).sqrt()) as f32);
    }
    ((got.loss - wanted.loss).abs() / wanted.loss, worst, cosine)
}

/// The device, or none where the machine or the program has none.
fn opened(compute: Compute, precision: MatmulPrecision) -> Option<Processor> {
    match compute.open(precision) {
        Ok(processor) => Some(processor),
        Err(
            error @ (ComputeError::NoAdapter { .. } | ComputeError::NotBuilt { .. } | ComputeError::Precision { .. }),
        ) => {
            println!("SKIPPED {compute} in {precision}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// `(loss, gradient, cosine)`: the greatest allowed differences of the first two, and the least allowed third.
fn check(compute: Compute, precision: MatmulPrecision, thresholds: (f32, f32, f32)) {
    let Some(processor) = opened(compute, precision) else { return };
    for chunk in [PEOPLE as usize, 7] {
        let wanted = found(&Device::flex(), MatmulPrecision::F32, chunk);
        let got = found(&processor.device, precision, chunk);
        let (loss, worst, cosine) = distances(&got, &wanted);
        println!(
            "{} ({compute}, {precision}, chunks of {chunk}): loss off by {loss:.1e}, gradients by {worst:.1e} of the \
             greatest component, least cosine 1 - {:.1e}",
            processor.name,
            1.0 - cosine
        );
        assert!(loss <= thresholds.0 && worst <= thresholds.1 && cosine >= thresholds.2, "{compute} {precision}");
    }
}

const EXACT: (f32, f32, f32) = (1e-5, 1e-4, 0.999_999);
const ROUNDED: (f32, f32, f32) = (1e-2, 0.1, 0.995);

#[test]
fn bf16_gradients_point_where_those_of_f32_do() {
    check(Compute::Cpu, MatmulPrecision::Bf16, ROUNDED);
}

#[test]
fn gradients_on_vulkan_are_those_of_the_processor() {
    check(Compute::Vulkan, MatmulPrecision::F32, EXACT);
    check(Compute::Vulkan, MatmulPrecision::Bf16, ROUNDED);
}

#[test]
fn gradients_on_cuda_are_those_of_the_processor() {
    check(Compute::Cuda, MatmulPrecision::F32, EXACT);
    check(Compute::Cuda, MatmulPrecision::Bf16, ROUNDED);
}

/// Trains from the start, in one go or stopped and resumed after each of some steps.
fn trained(settings: &Settings, stops: &[u64]) -> Trained {
    let (clip, tokenizer, names, features) = (clip(), tokenizer(), names(), features(4, 10));
    let task = Task { clip: &clip, tokenizer: &tokenizer, names: &names, features: &features, settings, fixed: None };
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = folder.path().join("checkpoint");
    for &stop in stops {
        let outcome = train(&task, Some(&checkpoint), &mut |step| {
            if step.done == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(outcome.expect("a run"), Outcome::Stopped { done: stop });
    }
    match train(&task, Some(&checkpoint), &mut |_| ControlFlow::Continue(())).expect("a run") {
        Outcome::Finished(trained) => trained,
        Outcome::Stopped { done } => panic!("unexpectedly stopped after {done}"),
    }
}

/// The mean cosine between the rows of two tables of the same people.
fn similarity(a: &Trained, b: &Trained) -> f32 {
    let cosines = a.classes.chunks(a.dim).zip(b.classes.chunks(b.dim));
    let cosines: Vec<f32> = cosines.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum()).collect();
    cosines.iter().sum::<f32>() / cosines.len() as f32
}

/// A run on this device ends like one on the processor in f32.
fn check_run(compute: Compute, precision: MatmulPrecision) {
    let Some(processor) = opened(compute, precision) else { return };
    let settings = Settings { epochs: 20, ..settings() };
    let wanted = trained(&settings, &[]);
    for stops in [&[][..], &[3, 8]] {
        let got = trained(&Settings { compute, precision, ..settings.clone() }, stops);
        let (last, of) = (got.curve[19], wanted.curve[19]);
        println!(
            "{} ({compute}, {precision}, stopped {} times): held-out accuracy {} and {}, loss {:.4} and {:.4}, cosine \
             between the tables' rows {:.5}",
            processor.name,
            stops.len(),
            last.held_out_accuracy,
            of.held_out_accuracy,
            last.held_out_loss,
            of.held_out_loss,
            similarity(&got, &wanted)
        );
        assert_eq!(last.held_out_accuracy, of.held_out_accuracy);
        assert!((last.held_out_loss - of.held_out_loss).abs() < 0.02, "{last:?} {of:?}");
        assert!(similarity(&got, &wanted) > 0.98);
    }
}

#[test]
fn a_run_in_bf16_ends_where_one_in_f32_does() {
    check_run(Compute::Cpu, MatmulPrecision::Bf16);
}

#[test]
fn a_run_on_a_gpu_ends_where_one_on_the_processor_does() {
    for compute in [Compute::Vulkan, Compute::Cuda] {
        for precision in [MatmulPrecision::F32, MatmulPrecision::Bf16] {
            check_run(compute, precision);
        }
    }
}
