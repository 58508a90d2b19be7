//! People's photos → intra-class similarity, by which the threshold on similarity is normalised.

use lintel_core::aggregate::mean_cosine;
use lintel_core::embed::Embedding;

/// With fewer photos of a person the estimate is not used.
const LEAST: usize = 4;
/// The most by which a person may be below the table's median. Photos of two people in one folder are hardly similar,
/// and must not lower the threshold for everybody who resembles either.
const MOST_BELOW: f32 = 0.15;

/// The cosine that a photo may be expected to have with the true mean of its person, 0..=1: the square root of the mean
/// cosine of two of the photos. Unlike the cosine with the sample mean, or with the mean of the others, its expectation
/// does not depend on the number of photos, so that nobody gets another threshold for having few. `None` for fewer than
/// four.
#[must_use]
pub fn intra_class_similarity<'a>(photos: impl IntoIterator<Item = &'a Embedding>) -> Option<f32> {
    let photos: Vec<&[f32]> = photos.into_iter().map(Embedding::vector).collect();
    let cosine = (photos.len() >= LEAST).then(|| mean_cosine(photos)).flatten()?;
    Some(cosine.clamp(0.0, 1.0).sqrt())
}

/// The intra-class similarities of people who join a table that has `before`. A person with too few photos gets the
/// median, and nobody gets much less than it. 1, which does not move the threshold, if nothing is known of the people
/// before, or of anybody.
#[must_use]
pub fn of_table(before: &[f32], joining: &[Option<f32>]) -> Vec<f32> {
    let mut known: Vec<f32> = before.iter().copied().chain(joining.iter().copied().flatten()).collect();
    let nothing_before = !before.is_empty() && before.iter().all(|own| *own >= 1.0);
    if known.is_empty() || nothing_before {
        return vec![1.0; joining.len()];
    }
    let middle = known.len() / 2;
    let (_, &mut median, _) = known.select_nth_unstable_by(middle, f32::total_cmp);
    joining.iter().map(|own| own.unwrap_or(median).max(median - MOST_BELOW)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_core::embed::EncoderId;
    use proptest::prelude::*;

    fn face(values: &[f32]) -> Embedding {
        Embedding::new(values, EncoderId([1; 32])).expect("a direction")
    }

    #[test]
    fn photos_that_differ_have_less() {
        let check = |photos: &[[f32; 4]], expected: Option<f32>| {
            let photos: Vec<Embedding> = photos.iter().map(|values| face(values)).collect();
            let got = intra_class_similarity(&photos);
            assert_eq!(got.is_some(), expected.is_some());
            assert!((got.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-5, "{got:?}");
        };
        let axis = |at: usize| std::array::from_fn(|place| f32::from(u8::from(place == at)));
        check(&[[1.0, 2.0, 3.0, 4.0]; 5], Some(1.0));
        check(&[axis(0), axis(1), axis(2), axis(3)], Some(0.0));
        // Two pairs of six are similar.
        check(&[axis(0), axis(0), axis(1), axis(1)], Some((1.0_f32 / 3.0).sqrt()));
        // Opposite photos give 0, and three photos give none.
        check(&[axis(0), axis(0).map(|value: f32| -value), axis(1), axis(2)], Some(0.0));
        check(&[axis(0); 3], None);
        check(&[], None);
    }

    #[test]
    fn a_table_bounds_and_fills() {
        let check = |before: &[f32], joining: &[Option<f32>], expected: &[f32]| {
            assert_eq!(of_table(before, joining), expected, "{before:?} {joining:?}");
        };
        check(&[], &[Some(0.9), Some(0.95), Some(0.85)], &[0.9, 0.95, 0.85]);
        check(&[], &[Some(0.9), None, Some(0.3)], &[0.9, 0.9, 0.75]);
        check(&[0.8, 0.9, 0.9], &[None, Some(0.1)], &[0.9, 0.75]);
        check(&[], &[None, None], &[1.0, 1.0]);
        check(&[0.9], &[], &[]);
        // A table of version 1 has no values: people who join get the same threshold as the others.
        check(&[1.0, 1.0], &[Some(0.9), None], &[1.0, 1.0]);
    }

    proptest! {
        /// Photos that scatter equally around a face have the same intra-class similarity, for any number of photos.
        #[test]
        fn it_does_not_depend_on_how_many_photos_there_are(seed: u64, scatter in 0.2_f32..1.5) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut normal = || (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
            let photos: Vec<Embedding> = (0..1000)
                .map(|_| {
                    let values: Vec<f32> =
                        (0..32).map(|at| f32::from(u8::from(at == 0)) * 4.0 + scatter * normal()).collect();
                    face(&values)
                })
                .collect();
            let all = intra_class_similarity(&photos).expect("enough");
            let squares = photos.chunks(5).map(|few| intra_class_similarity(few).expect("enough").powi(2));
            let of_few = squares.sum::<f32>() / 200.0;
            prop_assert!((of_few.sqrt() - all).abs() < 0.05, "{} {}", of_few.sqrt(), all);
        }
    }
}
