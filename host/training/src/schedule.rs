//! A seed and a step → the photos of the step, and its learning rate.

use super::data::mixed;

/// Keeps the shuffles of the epochs apart from the shuffles of the split.
const STREAM: u64 = 0x5348_5546_464c_4531;

/// The training photos in the order of one epoch: a function of seed and epoch alone, so a resumed run needs no
/// generator state.
pub(super) fn order(train: &[usize], seed: u64, epoch: u32) -> Vec<usize> {
    let mut order = train.to_vec();
    fastrand::Rng::with_seed(mixed(seed ^ STREAM, u64::from(epoch))).shuffle(&mut order);
    order
}

/// Half a cosine from `start` at step 0 to 0 at step `total` (Loshchilov & Hutter 2017, without restarts).
pub(super) fn cosine(start: f64, done: u64, total: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "runs are shorter than 2^52 steps")]
    let progress = done as f64 / total.max(1) as f64;
    0.5 * start * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_along_half_a_cosine() {
        let check = |done, expected: f64| assert!((cosine(2.0, done, 8) - expected).abs() < 1e-12, "{done}");
        check(0, 2.0);
        check(4, 1.0);
        check(8, 0.0);
    }

    #[test]
    fn every_epoch_has_its_own_order() {
        let photos: Vec<usize> = (0..50).collect();
        let check = |a: (u64, u32), b: (u64, u32), same: bool| {
            assert_eq!(order(&photos, a.0, a.1) == order(&photos, b.0, b.1), same, "{a:?} {b:?}");
        };
        check((1, 0), (1, 0), true);
        check((1, 0), (1, 1), false);
        check((1, 0), (2, 0), false);
        let mut sorted = order(&photos, 1, 3);
        sorted.sort_unstable();
        assert_eq!(sorted, photos);
    }
}
