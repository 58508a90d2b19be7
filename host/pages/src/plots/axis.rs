//! Values → places along an axis, and the ticks beside it.

/// One axis of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Label beside the axis.
    pub label: String,
    scale: Scale,
    min: f64,
    max: f64,
    /// Values with their labels, ascending.
    pub ticks: Vec<(f64, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Log,
}

impl Axis {
    /// From the least to the greatest of `values`, in about `steps` round steps of at least `least_step`; `whole` moves
    /// the ends out to a step.
    pub fn linear(
        label: &str,
        values: impl Iterator<Item = f64> + Clone,
        steps: f64,
        least_step: f64,
        whole: bool,
    ) -> Self {
        let finite = || values.clone().filter(|value| value.is_finite());
        let max = finite().fold(f64::NEG_INFINITY, f64::max);
        let (min, max) = if max.is_finite() { (finite().fold(max, f64::min), max) } else { (0.0, 1.0) };
        let step = round_step(((max - min) / steps).max(1e-10)).max(least_step);
        let (min, max) = if whole { ((min / step).floor() * step, (max / step).ceil() * step) } else { (min, max) };
        let first = (min / step - 1e-9).ceil();
        let count = ((max / step + 1e-3).floor() - first).clamp(0.0, 100.0) as u32;
        let ticks =
            (0..=count).map(|i| (first + f64::from(i)) * step).map(|value| (value, number(value, step))).collect();
        Self { label: label.to_owned(), scale: Scale::Linear, min, max, ticks }
    }

    /// An axis of rates, from the power of ten at or under `least` up to 1; smaller rates are drawn at the end.
    pub fn rates(label: &str, least: f64) -> Self {
        let decades = (-least.clamp(1e-6, 0.1).log10() - 1e-9).ceil() as i32;
        let tick = |decade: i32| {
            let percent = 10_f64.powi(2 - decade);
            (10_f64.powi(-decade), format!("{percent} %"))
        };
        let ticks = (0..=decades).rev().map(tick).collect();
        Self { label: label.to_owned(), scale: Scale::Log, min: 10_f64.powi(-decades), max: 1.0, ticks }
    }

    /// The place of a finite value: 0 at the axis's beginning, 1 at its end; outside 0 to 1 only for linear axes.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.min) / (self.max - self.min).max(1e-9),
            Scale::Log => (value.clamp(self.min, self.max) / self.min).ln() / (self.max / self.min).ln(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough * 0.999).unwrap_or(power)
}

fn number(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_step_in_round_numbers() {
        fn check(rough: f64, step: f64, label: &str) {
            assert!((round_step(rough) / step - 1.0).abs() < 1e-9, "{rough}");
            assert_eq!(number(step, step), label);
        }
        check(0.37, 0.5, "0.5");
        check(1.0, 1.0, "1");
        check(0.012, 0.02, "0.02");
        check(130.0, 200.0, "200");
    }

    #[test]
    fn ticks_cover_the_values() {
        fn check(axis: &Axis, first: &str, last: &str, count: usize) {
            let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
            assert_eq!((labels.first(), labels.last(), labels.len()), (Some(&first), Some(&last), count), "{labels:?}");
        }
        check(&Axis::linear("", [0.0, 2.31].into_iter(), 5.0, 0.0, true), "0.0", "2.5", 6);
        check(&Axis::linear("", [1.0, 30.0].into_iter(), 8.0, 1.0, false), "5", "30", 6);
        check(&Axis::linear("", [1.0, 1.0].into_iter(), 8.0, 1.0, false), "1", "1", 1);
        check(&Axis::linear("", [f64::NAN].into_iter(), 8.0, 0.0, true), "0.0", "1.0", 6);
        check(&Axis::rates("", 0.0011), "0.1 %", "100 %", 4);
        check(&Axis::rates("", 0.5), "10 %", "100 %", 2);
    }

    #[test]
    fn rates_of_nothing_are_drawn_at_the_end() {
        let axis = Axis::rates("", 0.001);
        let places = [0.0, 0.001, 0.01, 0.1, 1.0].map(|rate| (axis.place(rate) * 300.0).round());
        assert_eq!(places, [0.0, 0.0, 100.0, 200.0, 300.0]);
    }
}
