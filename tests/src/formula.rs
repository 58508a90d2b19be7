//! Name and shape → the weights and pictures of `../shared/reference`, which are functions of their names.

use lintel::weights::{NamedTensor, NamedTensors};
use serde::Deserialize;

/// A value in [−1, 1) for each name and index.
fn unit(name: &str, index: u64) -> f64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let top = splitmix64(hash.wrapping_add(index)) >> 40;
    top as f64 / f64::from(1 << 23) - 1.0
}

fn splitmix64(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A line of `tensors.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Described {
    /// OpenAI's name.
    pub name: String,
    /// Size along each dimension.
    pub shape: Vec<usize>,
}

/// The tensor called `name`, in f32.
#[must_use]
pub fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
    let value = rule(name, shape);
    let count = shape.iter().product::<usize>() as u64;
    NamedTensor::new(shape.to_vec(), (0..count).map(|i| value(unit(name, i)) as f32).collect())
}

/// All of them.
#[must_use]
pub fn tensors(described: &[Described]) -> NamedTensors {
    let mut tensors = NamedTensors::new();
    for Described { name, shape } in described {
        tensors.insert(name, tensor(name, shape));
    }
    tensors
}

/// How a uniform number becomes a weight, by the last part of the name.
fn rule(name: &str, shape: &[usize]) -> Box<dyn Fn(f64) -> f64> {
    let last = name.rsplit('.').next().unwrap_or(name);
    match last {
        "running_var" => Box::new(|u| 1.0 + 0.2 * u),
        "running_mean" => Box::new(|u| 0.1 * u),
        "weight" if shape.len() == 1 => Box::new(|u| 1.0 + 0.1 * u),
        "bias" | "in_proj_bias" => Box::new(|u| 0.05 * u),
        "logit_scale" => Box::new(|_| 100.0_f64.ln()),
        "positional_embedding" => Box::new(|u| 0.05 * u),
        _ if name.ends_with("token_embedding.weight") => Box::new(|u| 0.05 * u),
        _ => {
            let fan_in = if last == "text_projection" { shape[0] } else { shape[1..].iter().product() };
            let scale = 3.0_f64.sqrt() * (1.5 / fan_in as f64).sqrt();
            Box::new(move |u| u * scale)
        }
    }
}

/// The picture called `name`: `side`² pixels, RGB8.
#[must_use]
pub fn picture(name: &str, side: u64) -> Vec<u8> {
    let waves = format!("{name}.k");
    let k = |channel: u64, j: u64| unit(&waves, 3 * channel + j);
    let mut pixels = Vec::new();
    for y in 0..side {
        for x in 0..side {
            for channel in 0..3 {
                let noise = unit(name, (y * side + x) * 3 + channel);
                let phase = x as f64 * k(channel, 0) + y as f64 * k(channel, 1);
                let value = 127.5 + 80.0 * (0.08 * phase + 3.0 * k(channel, 2)).sin() + 40.0 * noise;
                pixels.push(value.floor().clamp(0.0, 255.0) as u8);
            }
        }
    }
    pixels
}
