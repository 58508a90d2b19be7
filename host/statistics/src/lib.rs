//! Counts → rates with intervals; samples → percentiles.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

/// A rate with its confidence interval, from counted trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Number of trials in which it happened.
    pub count: u64,
    /// How often it could have happened.
    pub trials: u64,
    /// `count / trials`; `None` without trials.
    pub rate: Option<f64>,
    /// 95 % Clopper–Pearson interval.
    pub interval: Interval,
}

/// An interval of a proportion, both ends in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Rate {
    /// `count` of `trials`.
    #[must_use]
    pub fn new(count: usize, trials: usize) -> Self {
        let (count, trials) = (count as u64, trials as u64);
        let rate = (trials > 0).then(|| count as f64 / trials as f64);
        Self { count, trials, rate, interval: clopper_pearson(count, trials, 0.95) }
    }

    /// `3 of 10, 30.0 % (95 %: 6.7 to 65.2 %)`.
    #[must_use]
    pub fn text(&self) -> String {
        let Some(rate) = self.rate else { return "no trials".into() };
        let Interval { low, high } = self.interval;
        format!(
            "{} of {}, {:.1} % (95 %: {:.1} to {:.1} %)",
            self.count,
            self.trials,
            rate * 100.0,
            low * 100.0,
            high * 100.0
        )
    }
}

/// The exact binomial interval (Clopper & Pearson 1934): it covers the true rate at least `confidence` of the time.
#[must_use]
pub fn clopper_pearson(count: u64, trials: u64, confidence: f64) -> Interval {
    let count = count.min(trials);
    let (k, n) = (count as f64, trials as f64);
    let tail = (1.0 - confidence) / 2.0;
    let quantile = |p: f64, a: f64, b: f64, otherwise: f64| {
        Beta::new(a, b).map_or(otherwise, |beta| beta.inverse_cdf(p).clamp(0.0, 1.0))
    };
    Interval {
        low: if count == 0 { 0.0 } else { quantile(tail, k, n - k + 1.0, 0.0) },
        high: if count == trials { 1.0 } else { quantile(1.0 - tail, k + 1.0, n - k, 1.0) },
    }
}

/// The nearest-rank percentile, `p` in 0..=1; `None` without samples.
#[must_use]
pub fn percentile(samples: &[f64], p: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = samples.iter().copied().filter(|sample| sample.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (p.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_published_tables() {
        fn check(count: u64, trials: u64, low: f64, high: f64) {
            let got = clopper_pearson(count, trials, 0.95);
            assert!((got.low - low).abs() < 5e-5 && (got.high - high).abs() < 5e-5, "{count}/{trials}: {got:?}");
        }
        // From the F-distribution form in Clopper & Pearson, by scipy's `beta.ppf`.
        check(0, 10, 0.0, 0.30850);
        check(10, 10, 0.69150, 1.0);
        check(5, 10, 0.18709, 0.81291);
        check(1, 100, 0.00025, 0.05446);
        check(0, 0, 0.0, 1.0);
        check(3, 3000, 0.00021, 0.00292);
    }

    #[test]
    fn percentiles_are_samples() {
        fn check(samples: &[f64], p: f64, expected: Option<f64>) {
            assert_eq!(percentile(samples, p), expected);
        }
        check(&[], 0.5, None);
        check(&[3.0], 0.95, Some(3.0));
        check(&[4.0, 1.0, 3.0, 2.0], 0.5, Some(2.0));
        check(&[4.0, 1.0, 3.0, 2.0], 0.95, Some(4.0));
        check(&[f64::NAN, 1.0], 0.5, Some(1.0));
    }
}
