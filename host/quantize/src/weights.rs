//! Weights and biases → integers, channel by channel.

use rayon::prelude::*;

use super::Precision;
use super::plan::Kind;

/// The largest magnitude of a quantised weight.
const MOST: f32 = 127.0;
/// The largest magnitude of the sum of two neighbours of one sign that cannot saturate: 255 · 128 < 2¹⁵.
const MOST_PAIR: i32 = 128;
/// Fractions of the full range that are tried as the scale of a channel.
const PARTS: [f32; 8] = [1.0, 0.96, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7];

/// A weight tensor in integers.
#[derive(Clone, Debug)]
pub struct QuantizedWeight {
    /// −127..=127, in the order of the original.
    pub values: Vec<i8>,
    /// One for each output channel.
    pub scales: Vec<f32>,
    /// Σ (quantised − real) over the taps of each output channel (row) and each of its input channels.
    pub errors: Vec<Vec<f32>>,
}

/// The layout of a weight tensor.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Output channels.
    pub outputs: usize,
    /// Input channels of one output.
    pub inputs: usize,
    /// Taps of the window; 1 for matrices.
    pub taps: usize,
    /// Whether an output's weights are contiguous (`[O, I, …]`) or not (`[I, O]`).
    pub rows: bool,
}

impl Layout {
    /// The layout of a layer's weights; `None` for any other shape.
    pub fn of(kind: Kind, dims: &[i64]) -> Option<Self> {
        let size = |i: usize| dims.get(i).and_then(|&d| usize::try_from(d).ok()).filter(|d| *d > 0);
        let layout = match kind {
            Kind::Conv { groups } => {
                let taps = size(2)?.checked_mul(size(3)?)?;
                let outputs = size(0).filter(|outputs| outputs % groups == 0)?;
                Self { outputs, inputs: size(1)?, taps, rows: true }
            }
            Kind::Gemm { transposed: true } => Self { outputs: size(0)?, inputs: size(1)?, taps: 1, rows: true },
            Kind::MatMul | Kind::Gemm { transposed: false } => {
                Self { outputs: size(1)?, inputs: size(0)?, taps: 1, rows: false }
            }
            Kind::Product => return None,
        };
        layout.inputs.checked_mul(layout.taps)?.checked_mul(layout.outputs).map(|_| layout)
    }

    fn index(&self, output: usize, at: usize) -> usize {
        if self.rows { output * self.inputs * self.taps + at } else { at * self.outputs + output }
    }
}

/// Quantises the weights of a layer. `least_scale` gives for each channel the least scale that its bias allows.
///
/// # Panics
/// If the number of weights contradicts the layout; callers check.
pub fn quantize(weights: &[f32], layout: Layout, precision: Precision, least_scale: &[f32]) -> QuantizedWeight {
    let length = layout.inputs * layout.taps;
    // Depthwise kernels multiply in 32 bits on every processor.
    let precision = if layout.inputs == 1 && layout.taps > 1 { Precision::Full } else { precision };
    assert_eq!(weights.len(), layout.outputs * length, "the number of weights is that of the layout");
    let channels: Vec<(Vec<i8>, f32, Vec<f32>)> = (0..layout.outputs)
        .into_par_iter()
        .map(|output| {
            let row: Vec<f32> = (0..length).map(|at| weights[layout.index(output, at)]).collect();
            let (values, scale) = channel(&row, layout, precision, least_scale.get(output).copied().unwrap_or(0.0));
            let errors = row
                .chunks_exact(layout.taps)
                .zip(values.chunks_exact(layout.taps))
                .map(|(real, quantised)| real.iter().zip(quantised).map(|(r, &q)| f32::from(q) * scale - r).sum())
                .collect();
            (values, scale, errors)
        })
        .collect();
    let mut values = vec![0; weights.len()];
    for (output, (row, ..)) in channels.iter().enumerate() {
        for (at, &value) in row.iter().enumerate() {
            values[layout.index(output, at)] = value;
        }
    }
    let (scales, errors) = channels.into_iter().map(|(_, scale, errors)| (scale, errors)).unzip();
    QuantizedWeight { values, scales, errors }
}

/// One channel: the scale with the least squared error.
fn channel(row: &[f32], layout: Layout, precision: Precision, least: f32) -> (Vec<i8>, f32) {
    let most = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    if most == 0.0 {
        return (vec![0; row.len()], if least > 0.0 { least } else { 1.0 });
    }
    // With both neighbours at half the range nothing can saturate: the widest scale that can be needed.
    let full = match precision {
        Precision::Full => most / MOST,
        Precision::Exact => (most / MOST).max(greatest_pair(row, layout) / MOST_PAIR as f32),
    };
    let narrowest = most / MOST * PARTS[PARTS.len() - 1];
    let mut best: Option<(f64, Vec<i8>, f32)> = None;
    for part in PARTS {
        let scale = (full * part).max(narrowest).max(least).max(f32::MIN_POSITIVE);
        let values = rounded(row, scale, layout, precision);
        let error = squared_error(row, &values, scale);
        if best.as_ref().is_none_or(|(least, ..)| error < *least) {
            best = Some((error, values, scale));
        }
    }
    let (_, mut values, scale) = best.expect("there is a part to try");
    balance(row, &mut values, scale, layout, precision);
    (values, scale)
}

/// Rounds some weights the other way so that errors cancel in sums: over the taps of a window, whose inputs are
/// neighbours and so nearly equal, then over the whole row (Guo et al. 2022, SQuant).
fn balance(row: &[f32], values: &mut [i8], scale: f32, layout: Layout, precision: Precision) {
    if layout.taps > 1 {
        for place in 0..layout.inputs {
            let window = place * layout.taps..(place + 1) * layout.taps;
            let least = layout.taps as f32 / 2.0;
            flip(&row[window.clone()], &mut values[window], scale, least);
        }
    }
    flip(row, values, scale, row.len() as f32 / 2.0);
    if precision == Precision::Exact {
        part_pairs(row, values, scale, layout);
    }
}

/// Flips the weights nearest to the middle between two steps until the sum of the errors is less than half a step, at
/// most `most` of them.
fn flip(row: &[f32], values: &mut [i8], scale: f32, most: f32) {
    let error = |value: i8, real: f32| f32::from(value) - real / scale;
    let sum: f32 = values.iter().zip(row).map(|(&value, &real)| error(value, real)).sum();
    let flips = sum.abs().min(most).round_ties_even() as usize;
    if flips == 0 {
        return;
    }
    let (step, sign): (i8, f32) = if sum > 0.0 { (-1, 1.0) } else { (1, -1.0) };
    let mut order: Vec<usize> = (0..row.len())
        .filter(|&i| (0.0..=0.5).contains(&(sign * error(values[i], row[i]))) && values[i].unsigned_abs() < 127)
        .collect();
    order.sort_by(|&a, &b| (sign * error(values[b], row[b])).total_cmp(&(sign * error(values[a], row[a]))));
    for at in order.into_iter().take(flips) {
        values[at] += step;
    }
}

fn squared_error(row: &[f32], values: &[i8], scale: f32) -> f64 {
    row.iter().zip(values).map(|(&real, &q)| f64::from(f32::from(q) * scale - real).powi(2)).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to ±127 before")]
fn rounded(row: &[f32], scale: f32, layout: Layout, precision: Precision) -> Vec<i8> {
    let mut values: Vec<i8> = row.iter().map(|w| (w / scale).round_ties_even().clamp(-MOST, MOST) as i8).collect();
    if precision == Precision::Exact {
        part_pairs(row, &mut values, scale, layout);
    }
    values
}

/// Makes neighbours smaller that would saturate together.
fn part_pairs(row: &[f32], values: &mut [i8], scale: f32, layout: Layout) {
    for (a, b) in pairs(layout) {
        while (i32::from(values[a]) + i32::from(values[b])).abs() > MOST_PAIR {
            // The one farther beyond its real value is made smaller.
            let sign = values[a].signum();
            let beyond = |i: usize| f32::from(sign) * (f32::from(values[i]) - row[i] / scale);
            let at = if beyond(a) >= beyond(b) { a } else { b };
            values[at] -= sign;
        }
    }
}

fn greatest_pair(row: &[f32], layout: Layout) -> f32 {
    pairs(layout).map(|(a, b)| (row[a] + row[b]).abs()).fold(0.0, f32::max)
}

/// The weights that processors without VNNI multiply and add in one 16-bit step (`vpmaddubsw`): neighbours in the order
/// of the product's inner dimension, which is tap by tap, because ONNX Runtime's integer convolutions have channels
/// last.
fn pairs(layout: Layout) -> impl Iterator<Item = (usize, usize)> {
    let Layout { inputs, taps, .. } = layout;
    // Index i in the order (tap, channel) → index in the order (channel, tap).
    let place = move |i: usize| (i % inputs) * taps + i / inputs;
    (0..inputs * taps / 2).map(move |i| (place(2 * i), place(2 * i + 1)))
}

/// A bias in steps of input scale × weight scale.
#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of i32 before")]
pub fn quantize_bias(bias: f64, scale: f64) -> i32 {
    (bias / scale).round_ties_even().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONV: Layout = Layout { outputs: 2, inputs: 3, taps: 9, rows: true };

    proptest! {
        #[test]
        fn exact_weights_never_saturate(row in prop::collection::vec(-4.0f32..4.0, 54)) {
            let quantised = quantize(&row, CONV, Precision::Exact, &[]);
            for output in quantised.values.chunks_exact(27) {
                for (a, b) in pairs(CONV) {
                    let (a, b) = (i32::from(output[a]), i32::from(output[b]));
                    let worst = [(255, 255), (255, 0), (0, 255)].map(|(x, y)| x * a + y * b);
                    prop_assert!(worst.iter().all(|sum| i16::try_from(*sum).is_ok()), "{a} {b}");
                }
            }
        }

        #[test]
        fn what_comes_back_is_near(row in prop::collection::vec(-4.0f32..4.0, 54)) {
            for (precision, most) in [(Precision::Full, 0.7), (Precision::Exact, 1.4)] {
                let quantised = quantize(&row, CONV, precision, &[]);
                for (i, (&real, &value)) in row.iter().zip(&quantised.values).enumerate() {
                    let back = f32::from(value) * quantised.scales[i / 27];
                    // Clipping may cost a single weight more than a step; the sum stays close.
                    prop_assert!((back - real).abs() < 0.35 * 4.0, "{back} {real}");
                }
                let error: f32 = row.iter().zip(&quantised.values).enumerate()
                    .map(|(i, (r, &q))| (f32::from(q) * quantised.scales[i / 27] - r).powi(2)).sum();
                let rms = (error / 54.0).sqrt();
                prop_assert!(rms <= most * quantised.scales.iter().fold(0.0, |a, &b| f32::max(a, b)), "{rms}");
            }
        }
    }

    #[test]
    fn a_bias_sets_the_least_scale() {
        let quantised = quantize(&[1e-6; 54], CONV, Precision::Full, &[0.5, 0.0]);
        assert_eq!(quantised.scales[0], 0.5);
        assert!(quantised.scales[1] < 1e-7);
        assert_eq!(quantize_bias(1e30, 1e-9), i32::MAX);
    }

    #[test]
    fn columns_are_channels_of_a_matrix() {
        let layout = Layout::of(Kind::MatMul, &[2, 3]).expect("a matrix");
        let quantised = quantize(&[1.0, 10.0, 100.0, -1.0, -10.0, -100.0], layout, Precision::Full, &[]);
        assert_eq!(quantised.values, [127, 127, 127, -127, -127, -127]);
    }
}
