//! A seed → random weights of a text encoder, at the scale that CLIP starts from.

use super::TextConfig;
use crate::weights::{NamedTensor, NamedTensors};

/// CLIP starts from a temperature of 0.07 (Radford et al. 2021, §2.5).
const INITIAL_TEMPERATURE: f32 = 0.07;

/// Weights with CLIP's standard deviations: embeddings 0.02 and 0.01; matrices by their fan-in, those that write into
/// the residual stream smaller by √(2 · layers); norms 1, biases 0.
#[must_use]
pub fn random_tensors(config: &TextConfig, seed: u64) -> NamedTensors {
    let TextConfig { vocabulary, context, width, layers, dim } = *config;
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^24")]
    let by_fan_in = |fan_in: usize| 1.0 / (fan_in as f32).sqrt();
    let residual = by_fan_in(2 * layers);
    let mut draw = Draw { tensors: NamedTensors::new(), random: fastrand::Rng::with_seed(seed) };

    draw.normal("token_embedding.weight", &[vocabulary, width], 0.02);
    draw.normal("positional_embedding", &[context, width], 0.01);
    for i in 0..layers {
        let p = format!("transformer.resblocks.{i}");
        draw.normal(&format!("{p}.attn.in_proj_weight"), &[3 * width, width], by_fan_in(width));
        draw.normal(&format!("{p}.attn.out_proj.weight"), &[width, width], by_fan_in(width) * residual);
        draw.normal(&format!("{p}.mlp.c_fc.weight"), &[4 * width, width], by_fan_in(2 * width));
        draw.normal(&format!("{p}.mlp.c_proj.weight"), &[width, 4 * width], by_fan_in(width) * residual);
        draw.constant(&format!("{p}.attn.in_proj_bias"), 3 * width, 0.0);
        draw.constant(&format!("{p}.attn.out_proj.bias"), width, 0.0);
        draw.constant(&format!("{p}.mlp.c_fc.bias"), 4 * width, 0.0);
        draw.constant(&format!("{p}.mlp.c_proj.bias"), width, 0.0);
        draw.norm(&format!("{p}.ln_1"), width);
        draw.norm(&format!("{p}.ln_2"), width);
    }
    draw.norm("ln_final", width);
    draw.normal("text_projection", &[width, dim], by_fan_in(width));
    draw.tensors.insert("logit_scale", NamedTensor::scalar(-INITIAL_TEMPERATURE.ln()));
    draw.tensors
}

struct Draw {
    tensors: NamedTensors,
    random: fastrand::Rng,
}

impl Draw {
    fn normal(&mut self, name: &str, shape: &[usize], deviation: f32) {
        let values = (0..shape.iter().product()).map(|_| deviation * self.standard_normal()).collect();
        self.tensors.insert(name, NamedTensor::new(shape.to_vec(), values));
    }

    fn constant(&mut self, name: &str, size: usize, value: f32) {
        self.tensors.insert(name, NamedTensor::new(vec![size], vec![value; size]));
    }

    fn norm(&mut self, name: &str, size: usize) {
        self.constant(&format!("{name}.weight"), size, 1.0);
        self.constant(&format!("{name}.bias"), size, 0.0);
    }

    /// Box and Muller's transform; the second of each pair is not used.
    fn standard_normal(&mut self) -> f32 {
        // 1 − u is in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.random.f64()).ln()).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let value = (radius * (std::f64::consts::TAU * self.random.f64()).cos()) as f32;
        value
    }
}
