//! The histogram of a value → the scale and zero point with which it is quantised.
//!
//! One pass over the calibration pictures fills a histogram of each value. Its range doubles when larger numbers come,
//! so that memory does not depend on the number of pictures.

use serde::{Deserialize, Serialize};

/// How scales are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// From the least to the greatest value: rare values are kept, as faces are in a detector's frames
    #[default]
    Minmax,
    /// All but the 0.001 % of values at each end
    Percentile,
    /// The range with the least mean squared error: what is cut off against the width of a step
    Mse,
    /// The range whose quantised distribution loses the least information (Kullback-Leibler divergence)
    Entropy,
}

/// The integers of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// 0..=255 around any zero point.
    U8,
    /// −127..=127 around 0.
    S8,
}

/// real = (integer − zero) · scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Width of a step.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero: i32,
    /// The set of integers.
    pub grid: Grid,
}

/// Bins of a histogram.
const BINS: usize = 4096;
/// The first range, doubled as needed.
const FIRST_REACH: f64 = 1e-6;
/// The share of values that [`Method::Percentile`] cuts off at each end.
const CUT: f64 = 1e-5;
/// How many ranges [`Method::Mse`] and [`Method::Entropy`] try for each end.
const TRIES: usize = 24;
/// The least part of the whole range that is a candidate.
const LEAST: f64 = 0.25;

/// Counts of a value's numbers in equal bins.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Counts over −reach..reach.
    counts: Vec<u64>,
    reach: f64,
    low: f64,
    high: f64,
    seen: u64,
    /// Numbers that are not finite.
    bad: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BINS], reach: FIRST_REACH, low: f64::INFINITY, high: f64::NEG_INFINITY, seen: 0, bad: 0 }
    }
}

impl Histogram {
    /// Counts `values`.
    pub fn add(&mut self, values: &[f32]) {
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for &value in values {
            // A comparison with NaN is false; NaN is counted below.
            if value < low {
                low = value;
            }
            if value > high {
                high = value;
            }
        }
        let most = f64::from(low.abs().max(high.abs()));
        if most.is_finite() {
            while self.reach < most {
                self.double();
            }
            self.low = self.low.min(f64::from(low));
            self.high = self.high.max(f64::from(high));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a bin's place needs no more")]
        let per_unit = (BINS as f64 / 2.0 / self.reach) as f32;
        let middle = (BINS / 2) as f32;
        for &value in values {
            if !value.is_finite() {
                self.bad += 1;
                continue;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; negative is 0")]
            let bin = ((value * per_unit + middle) as usize).min(BINS - 1);
            self.counts[bin] += 1;
            self.seen += 1;
        }
    }

    /// Doubles the range and halves the resolution.
    fn double(&mut self) {
        let mut wider = vec![0; BINS];
        for (i, pair) in self.counts.chunks_exact(2).enumerate() {
            wider[BINS / 4 + i] = pair[0] + pair[1];
        }
        self.counts = wider;
        self.reach *= 2.0;
    }

    /// Count of numbers that were NaN or infinite.
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// The least and the greatest value, with 0 always included.
    pub fn range(&self) -> [f64; 2] {
        [self.low.min(0.0), self.high.max(0.0)]
    }

    /// The scale for this histogram.
    pub fn scale(&self, method: Method, grid: Grid) -> Scale {
        let whole = self.range();
        let range = match method {
            Method::Minmax => whole,
            Method::Percentile => self.percentile(),
            Method::Mse => self.best(grid, |range| self.squared_error(range, grid)),
            Method::Entropy => self.best(grid, |range| self.divergence(range, grid)),
        };
        Scale::spanning(range, grid)
    }

    fn centre(&self, bin: usize) -> f64 {
        (bin as f64 + 0.5) * 2.0 * self.reach / BINS as f64 - self.reach
    }

    fn percentile(&self) -> [f64; 2] {
        let cut = (self.seen as f64 * CUT) as u64;
        let [low, high] = self.range();
        let half = self.reach / BINS as f64;
        let first = self.passing(cut, 0..BINS).map_or(low, |bin| (self.centre(bin) - half).max(low));
        let last = self.passing(cut, (0..BINS).rev()).map_or(high, |bin| (self.centre(bin) + half).min(high));
        [first.min(0.0), last.max(0.0)]
    }

    /// The first of `bins` at which more than `count` values have been passed.
    fn passing(&self, count: u64, mut bins: impl Iterator<Item = usize>) -> Option<usize> {
        let mut passed = 0;
        bins.find(|&bin| {
            passed += self.counts[bin];
            passed > count
        })
    }

    /// The range with the least `cost` among those that cut off one end or both.
    fn best(&self, grid: Grid, cost: impl Fn([f64; 2]) -> f64) -> [f64; 2] {
        let [low, high] = self.range();
        let part = |step: usize| LEAST + (1.0 - LEAST) * step as f64 / TRIES as f64;
        let mut best = ([low, high], cost([low, high]));
        let mut consider = |range: [f64; 2]| {
            let cost = cost(range);
            if cost < best.1 {
                best = (range, cost);
            }
            best.0
        };
        for step in 0..TRIES {
            consider([low * part(step), high * part(step)]);
        }
        if grid == Grid::U8 && low < 0.0 {
            let [low, high] = consider([low, high]);
            for step in 0..TRIES {
                consider([low * part(step), high]);
                consider([low, high * part(step)]);
            }
        }
        best.0
    }

    /// Mean squared difference between values and their quantised forms.
    fn squared_error(&self, range: [f64; 2], grid: Grid) -> f64 {
        let Scale { scale, .. } = Scale::spanning(range, grid);
        let [low, high] = if grid == Grid::S8 { symmetric(range) } else { range };
        let rounding = f64::from(scale).powi(2) / 12.0;
        self.occupied()
            .map(|(value, count)| {
                let beyond = (low - value).max(value - high).max(0.0);
                count * if beyond > 0.0 { beyond * beyond } else { rounding }
            })
            .sum()
    }

    /// Kullback-Leibler divergence of the quantised distribution from the original one, whose outliers lie at the ends.
    fn divergence(&self, range: [f64; 2], grid: Grid) -> f64 {
        let [low, high] = if grid == Grid::S8 { symmetric(range) } else { range };
        let inside: Vec<usize> = (0..BINS).filter(|&bin| (low..=high).contains(&self.centre(bin))).collect();
        let (Some(&first), Some(&last)) = (inside.first(), inside.last()) else { return f64::INFINITY };
        let mut seen: Vec<f64> = self.counts[first..=last].iter().map(|&count| count as f64).collect();
        let kept = seen.clone();
        let outside = |bins: &[u64]| bins.iter().sum::<u64>() as f64;
        seen[0] += outside(&self.counts[..first]);
        if let Some(end) = seen.last_mut() {
            *end += outside(&self.counts[last + 1..]);
        }
        let levels = match grid {
            Grid::U8 => 256.0,
            Grid::S8 => 255.0,
        };
        let level = |bin: usize| (bin as f64 * levels / kept.len() as f64) as usize;
        let mut sums = vec![(0.0, 0.0); 257];
        for (bin, &count) in kept.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            sums[level(bin)].0 += count;
            sums[level(bin)].1 += 1.0;
        }
        let (total_seen, total_kept) = (seen.iter().sum::<f64>(), kept.iter().sum::<f64>());
        if total_seen <= 0.0 || total_kept <= 0.0 {
            return f64::INFINITY;
        }
        // A bin with outliers only has no quantised mass: it counts as if it had almost none.
        let floor = 1e-9;
        seen.iter()
            .enumerate()
            .filter(|(_, count)| **count > 0.0)
            .map(|(bin, &count)| {
                let (sum, bins) = sums[level(bin)];
                let quantised = if kept[bin] > 0.0 { sum / bins / total_kept } else { floor };
                let p = count / total_seen;
                p * (p / quantised).ln()
            })
            .sum()
    }

    fn occupied(&self) -> impl Iterator<Item = (f64, f64)> {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, &n)| (self.centre(bin), n as f64))
    }
}

fn symmetric([low, high]: [f64; 2]) -> [f64; 2] {
    let most = high.max(-low);
    [-most, most]
}

impl Scale {
    /// The scale that covers `range`, which contains 0; a range without width gets steps of 1.
    pub fn spanning(range: [f64; 2], grid: Grid) -> Self {
        let [low, high] = range;
        let width = match grid {
            Grid::U8 => (high - low) / 255.0,
            Grid::S8 => high.max(-low) / 127.0,
        };
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let scale = width as f32;
        let scale = if scale.is_normal() && scale > 0.0 { scale } else { 1.0 };
        let zero = match grid {
            #[expect(clippy::cast_possible_truncation, reason = "within 0..=255")]
            Grid::U8 => (-low / f64::from(scale)).round_ties_even().clamp(0.0, 255.0) as i32,
            Grid::S8 => 0,
        };
        Self { scale, zero, grid }
    }
}
