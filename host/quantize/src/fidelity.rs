//! Outputs of the float model and of the integer model → their similarity.

use lintel_inference::{Array, Model};
use serde::{Deserialize, Serialize};

use super::QuantizeError;

/// A picture's output that is weaker than the others' by this factor does not count: its direction is noise.
const SILENT: f64 = 0.1;

/// All outputs for one sample.
pub type Outputs = Vec<Vec<f32>>;

/// Cosines and noise of one output, over the held-out samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputFidelity {
    /// The output's name.
    pub output: String,
    /// Cosine with the original, mean over the samples.
    pub mean_cosine: f64,
    /// Lowest cosine over the held-out samples, −1 to 1.
    pub least_cosine: f64,
    /// Cosine over all samples as one vector.
    pub pooled_cosine: f64,
    /// Signal to quantisation noise over all samples, dB.
    pub sqnr_db: f64,
}

impl OutputFidelity {
    /// The figure that is compared with the threshold.
    pub fn worst(&self) -> f64 {
        self.least_cosine.min(self.pooled_cosine)
    }
}

/// The worst figure of all outputs; 0 without outputs.
pub fn worst(outputs: &[OutputFidelity]) -> f64 {
    outputs.iter().map(OutputFidelity::worst).reduce(f64::min).unwrap_or(0.0)
}

/// The model's outputs for every sample; outputs that are not f32 are empty.
///
/// # Errors
/// [`QuantizeError`] when ONNX Runtime fails.
pub fn outputs_of(model: &mut Model, names: &[String], samples: &[&Array]) -> Result<Vec<Outputs>, QuantizeError> {
    samples
        .iter()
        .map(|sample| {
            let mut outputs = vec![Vec::new(); names.len()];
            model.run(sample, names, |place, _, numbers| outputs[place] = numbers.to_vec())?;
            Ok(outputs)
        })
        .collect()
}

/// Compares the outputs of two models for the same samples.
pub fn compare(names: &[String], wanted: &[Outputs], got: &[Outputs]) -> Vec<OutputFidelity> {
    let mut all = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let pairs: Vec<Sums> =
            wanted.iter().zip(got).map(|(wanted, got)| Sums::of(&wanted[place], &got[place])).collect();
        let pooled = pairs.iter().fold(Sums::default(), |a, b| a.plus(*b));
        let typical = pooled.wanted / pairs.len().max(1) as f64;
        let speaking = || pairs.iter().filter(|sums| sums.wanted >= SILENT * SILENT * typical);
        let cosines: Vec<f64> = speaking().map(|sums| sums.cosine()).collect();
        all.push(OutputFidelity {
            output: name.clone(),
            mean_cosine: cosines.iter().sum::<f64>() / cosines.len().max(1) as f64,
            least_cosine: cosines.iter().copied().fold(1.0, f64::min),
            pooled_cosine: pooled.cosine(),
            sqnr_db: pooled.sqnr_db(),
        });
    }
    all
}

/// Signal to noise of one value, dB.
pub fn sqnr_db(wanted: &[f32], got: &[f32]) -> f64 {
    Sums::of(wanted, got).sqnr_db()
}

#[derive(Clone, Copy, Default)]
struct Sums {
    wanted: f64,
    got: f64,
    product: f64,
    noise: f64,
}

impl Sums {
    fn of(wanted: &[f32], got: &[f32]) -> Self {
        if wanted.len() != got.len() {
            return Self { wanted: 1.0, got: 1.0, product: 0.0, noise: 1.0 };
        }
        wanted.iter().zip(got).fold(Self::default(), |sums, (&w, &g)| {
            let (w, g) = (f64::from(w), f64::from(g));
            sums.plus(Self { wanted: w * w, got: g * g, product: w * g, noise: (w - g) * (w - g) })
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            wanted: self.wanted + other.wanted,
            got: self.got + other.got,
            product: self.product + other.product,
            noise: self.noise + other.noise,
        }
    }

    /// 1 when both are zeros only; 0 when one of them is, or when a number is not finite.
    fn cosine(self) -> f64 {
        if self.wanted == 0.0 && self.got == 0.0 {
            return 1.0;
        }
        let cosine = self.product / (self.wanted.sqrt() * self.got.sqrt());
        if cosine.is_finite() { cosine.clamp(-1.0, 1.0) } else { 0.0 }
    }

    fn sqnr_db(self) -> f64 {
        let ratio = 10.0 * (self.wanted / self.noise).log10();
        if ratio.is_nan() { 0.0 } else { ratio.clamp(-200.0, 200.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_and_unlike() {
        let check = |wanted: &[f32], got: &[f32], cosine: f64, sqnr: f64| {
            let names = ["y".to_owned()];
            let all = compare(&names, &[vec![wanted.to_vec()]], &[vec![got.to_vec()]]);
            assert!((worst(&all) - cosine).abs() < 1e-6, "{all:?}");
            assert!((all[0].sqnr_db - sqnr).abs() < 1e-3, "{all:?}");
        };
        check(&[1.0, 2.0], &[1.0, 2.0], 1.0, 200.0);
        check(&[1.0, 0.0], &[0.0, 1.0], 0.0, -3.0103);
        check(&[1.0, 1.0], &[0.9, 0.9], 1.0, 20.0);
        check(&[0.0], &[0.0], 1.0, 0.0);
        check(&[1.0], &[f32::NAN], 0.0, 0.0);
        check(&[1.0], &[1.0, 1.0], 0.0, 0.0);
    }

    #[test]
    fn a_silent_picture_is_no_judge() {
        let names = ["y".to_owned()];
        let wanted = [vec![vec![10.0, 0.0]], vec![vec![0.01, 0.0]]];
        let got = [vec![vec![10.0, 0.1]], vec![vec![0.0, 0.01]]];
        assert!(worst(&compare(&names, &wanted, &got)) > 0.999);
    }
}
