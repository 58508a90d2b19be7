//! The people of a step's photos → the classes whose prompts the step computes.
//!
//! With some of the people as classes instead of all (the paper's mini-classes), a step costs as much as those cost.
//! Each person who was drawn by chance is weighted by the number of people for whom it stands, so that the softmax's
//! sum is right on average. Its logarithm is not: on average it is too small (Jensen's inequality), and more so the
//! fewer are drawn; single steps vary. `docs/measurements.md` has the figures.

use std::collections::BTreeMap;

use super::data::mixed;

/// Keeps these draws apart from the shuffles of the split and of the epochs.
const STREAM: u64 = 0x434c_4153_5345_5331;

/// The people of the photos, and others by chance up to `most` in all, ascending, each with the logarithm of the number
/// of people for whom it stands: a function of seed and step alone. The people of the photos are included even if they
/// are more than `most`.
pub(super) fn sampled(labels: &[u32], people: usize, most: usize, seed: u64, step: u64) -> BTreeMap<usize, f32> {
    let mut classes: BTreeMap<usize, f32> = labels.iter().map(|&label| (label as usize, 0.0)).collect();
    let others: Vec<usize> = (0..people).filter(|person| !classes.contains_key(person)).collect();
    let missing = most.saturating_sub(classes.len()).min(others.len());
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^24 people")]
    let log_weight = (others.len() as f32 / missing.max(1) as f32).ln();
    let drawn = fastrand::Rng::with_seed(mixed(seed ^ STREAM, step)).choose_multiple(others, missing);
    classes.extend(drawn.into_iter().map(|person| (person, log_weight)));
    classes
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::Settings;
    use crate::loss::{Targets, loss};
    use lintel_clip::text_encoder::normalized;

    #[test]
    fn the_people_of_the_photos_are_always_there() {
        let check = |labels: &[u32], people: usize, most: usize, expected: usize| {
            for step in 0..20 {
                let classes = sampled(labels, people, most, 7, step);
                assert_eq!(classes.len(), expected);
                assert!(classes.keys().all(|&class| class < people));
                assert!(labels.iter().all(|&label| classes[&(label as usize)] == 0.0));
                // Together they stand for everybody, if anybody was drawn.
                let all: f32 = classes.values().map(|log_weight| log_weight.exp()).sum();
                let expected = if most > 3 { people } else { expected };
                assert!((all - expected as f32).abs() < 1e-2, "{all} {expected}");
            }
        };
        check(&[3, 3, 9], 100, 10, 10);
        check(&[3, 8, 9], 100, 2, 3);
        check(&[0, 1], 5, 10, 5);
        assert_eq!(sampled(&[1], 100, 10, 7, 3), sampled(&[1], 100, 10, 7, 3));
        assert_ne!(sampled(&[1], 100, 10, 7, 3), sampled(&[1], 100, 10, 7, 4));
        assert_ne!(sampled(&[1], 100, 10, 7, 3), sampled(&[1], 100, 10, 8, 3));
    }

    const PEOPLE: usize = 200;
    const DIM: usize = 64;
    const DRAWS: u64 = 500;

    fn unit_rows(rows: usize, seed: u64, device: &Device) -> Tensor<2> {
        let mut random = fastrand::Rng::with_seed(seed);
        let values: Vec<f32> = (0..rows * DIM).map(|_| random.f32() - 0.5).collect();
        normalized(Tensor::from_data(TensorData::new(values, [rows, DIM]), device))
    }

    /// Cross-entropy of sixteen photos and its gradient with respect to all people's embeddings. People who are not
    /// classes have a gradient of zero.
    fn of_classes(
        all: &Tensor<2>,
        photos: &Tensor<2>,
        classes: &BTreeMap<usize, f32>,
        scale: f32,
        weighted: bool,
    ) -> (f32, Vec<f32>) {
        let settings = Settings { similarity: 0.0, ..Settings::default() };
        let place = |person| classes.keys().position(|&class| class == person).expect("who is on a photo is a class");
        let labels = (0..16).map(|person| u32::try_from(place(person)).expect("few")).collect();
        let log_weights = classes.values().map(|&weight| if weighted { weight } else { 0.0 }).collect();
        let leaf = all.clone().require_grad();
        let rows: Vec<i32> = classes.keys().map(|&class| i32::try_from(class).expect("few")).collect();
        let device = all.device();
        let chosen = leaf.clone().select(0, Tensor::from_data(rows.as_slice(), &device));
        let targets = Targets { labels, log_weights };
        let loss = loss(&settings, photos.clone(), chosen, Tensor::from_data([scale], &device), &targets);
        let value = loss.clone().into_scalar::<f32>();
        let gradient = leaf.grad(&loss.backward()).expect("a gradient").into_data();
        (value, gradient.try_to_vec().expect("f32"))
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    fn length(a: &[f32]) -> f32 {
        dot(a, a).sqrt()
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b) / (length(a) * length(b))
    }

    /// The table of `docs/measurements.md`: `--nocapture` shows it.
    #[test]
    fn a_sample_of_classes_is_nearly_all_of_them() {
        let device = Device::flex().autodiff();
        let classes = unit_rows(PEOPLE, 1, &device);
        // Photos of the first sixteen: less of their own direction than of chance.
        let photos = normalized(classes.clone().slice([0..16, 0..DIM]) + unit_rows(16, 2, &device).mul_scalar(1.5));
        let labels: Vec<u32> = (0..16).collect();
        for scale in [1.0 / 0.07, 100.0] {
            let all = (0..PEOPLE).map(|person| (person, 0.0)).collect();
            let (full, wanted) = of_classes(&classes, &photos, &all, scale, true);
            for most in [20, 50, 100, 150] {
                let mean = |weighted: bool| {
                    let (mut mean, mut gradient) = (0.0, vec![0.0; PEOPLE * DIM]);
                    for draw in 0..DRAWS {
                        let sample = sampled(&labels, PEOPLE, most, 1, draw);
                        let (value, one) = of_classes(&classes, &photos, &sample, scale, weighted);
                        mean += value / DRAWS as f32;
                        gradient.iter_mut().zip(one).for_each(|(sum, one)| *sum += one / DRAWS as f32);
                    }
                    (mean / full, length(&gradient) / length(&wanted), cosine(&gradient, &wanted))
                };
                let ((loss, size, cosine), bare) = (mean(true), mean(false));
                println!(
                    "scale {scale:.1}, {most} of {PEOPLE}: loss times {loss:.3}, gradient times {size:.3} at a cosine \
                     of {cosine:.3}; without weights {bare:.3?}"
                );
                // Jensen's inequality, within the scatter of the draws; and nearer than without weights.
                assert!(loss < 1.1 && (1.0 - loss).abs() < 1.0 - bare.0, "{loss} {bare:?}");
            }
        }
    }
}
