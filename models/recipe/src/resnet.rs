//! Normalised RGB [N, 3, R, R] → image features [N, D]: CLIP's ModifiedResNet with attention pooling.
//!
//! The architecture of Radford et al. 2021 (§2.4): three stem convolutions, average pooling wherever a ResNet would
//! stride, and multi-head attention from the mean token instead of global pooling.

mod load;

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::pool::AvgPool2dConfig;
use burn::nn::{BatchNorm, Initializer, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::{relu, softmax};
use lintel_clip::weights::NamedTensors;

use crate::conv::convolve;
use crate::layers::{conv, name_conv, name_linear, name_norm, norm, values};
use crate::norm::normalise;

const EXPANSION: usize = 4;
/// Channels of one attention head in both of CLIP's towers.
const HEAD: usize = 64;

/// The encoder's sizes.
#[derive(Clone, Debug)]
pub struct ImageConfig {
    /// Channels after the stem.
    pub width: usize,
    /// Blocks per stage.
    pub layers: [usize; 4],
    /// Side of the last feature map: the input's side over 32.
    pub side: usize,
    /// Components of a feature.
    pub dim: usize,
}

/// CLIP's modified ResNet: a batch of crops → unit embeddings.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    stem: Vec<Conv2d>,
    stem_norms: Vec<BatchNorm>,
    stages: Vec<Vec<Bottleneck>>,
    pool: AttentionPool,
}

#[derive(Module, Debug)]
struct Bottleneck {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    shortcut: Option<Conv2d>,
    shortcut_norm: Option<BatchNorm>,
    stride: usize,
}

#[derive(Module, Debug)]
struct AttentionPool {
    position: Param<Tensor<2>>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
}

fn average(x: Tensor<4>) -> Tensor<4> {
    AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init().forward(x)
}

impl Bottleneck {
    fn new(input: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let output = planes * EXPANSION;
        let project = stride > 1 || input != output;
        let mut last = norm(output, device);
        // Each block starts as the identity, as in CLIP.
        last.gamma = Param::from_tensor(Tensor::zeros([output], device));
        Self {
            convs: vec![
                conv(input, planes, 1, 1, device),
                conv(planes, planes, 3, 1, device),
                conv(planes, output, 1, 1, device),
            ],
            norms: vec![norm(planes, device), norm(planes, device), last],
            shortcut: project.then(|| conv(input, output, 1, 1, device)),
            shortcut_norm: project.then(|| norm(output, device)),
            stride,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shrink = |x: Tensor<4>| if self.stride > 1 { average(x) } else { x };
        let y = normalise(&self.norms[0], convolve(&self.convs[0], x.clone()), true);
        let y = normalise(&self.norms[1], convolve(&self.convs[1], y), true);
        let y = normalise(&self.norms[2], convolve(&self.convs[2], shrink(y)), false);
        let x = match (&self.shortcut, &self.shortcut_norm) {
            (Some(conv), Some(norm)) => normalise(norm, convolve(conv, shrink(x)), false),
            _ => x,
        };
        relu(x + y)
    }

    fn name(&self, into: &mut NamedTensors, prefix: &str) {
        for (i, (conv, norm)) in self.convs.iter().zip(&self.norms).enumerate() {
            name_conv(into, &format!("{prefix}.conv{}", i + 1), conv);
            name_norm(into, &format!("{prefix}.bn{}", i + 1), norm);
        }
        if let (Some(conv), Some(norm)) = (&self.shortcut, &self.shortcut_norm) {
            name_conv(into, &format!("{prefix}.downsample.0"), conv);
            name_norm(into, &format!("{prefix}.downsample.1"), norm);
        }
    }
}

impl AttentionPool {
    fn new(side: usize, channels: usize, dim: usize, device: &Device) -> Self {
        let std = (channels as f64).powf(-0.5);
        let init = Initializer::Normal { mean: 0.0, std };
        let linear = |output| LinearConfig::new(channels, output).with_initializer(init.clone()).init(device);
        Self {
            position: init.init([side * side + 1, channels], device),
            query: linear(channels),
            key: linear(channels),
            value: linear(channels),
            output: linear(dim),
        }
    }

    /// [N, C, H, W] → [N, D]. Only the mean token's output is used, so only its query is computed.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [n, c, h, w] = x.dims();
        let heads = c / HEAD;
        let tokens = x.reshape([n, c, h * w]).swap_dims(1, 2);
        let tokens = Tensor::cat(vec![tokens.clone().mean_dim(1), tokens], 1) + self.position.val().unsqueeze();
        let length = h * w + 1;
        let first = tokens.clone().narrow(1, 0, 1).reshape([n, c]);
        let flat = tokens.reshape([n * length, c]);
        let split = |x: Tensor<2>, length: usize| x.reshape([n, length, heads, HEAD]).swap_dims(1, 2);
        let query = split(self.query.forward(first), 1) / (HEAD as f32).sqrt();
        let key = split(self.key.forward(flat.clone()), length);
        let value = split(self.value.forward(flat), length);
        let weights = softmax(query.matmul(key.swap_dims(2, 3)), 3);
        self.output.forward(weights.matmul(value).swap_dims(1, 2).reshape([n, c]))
    }
}

impl ImageEncoder {
    /// Fresh weights.
    pub fn new(config: &ImageConfig, device: &Device) -> Self {
        let width = config.width;
        let mut input = width;
        let mut stages = Vec::new();
        for (stage, &blocks) in config.layers.iter().enumerate() {
            let planes = width << stage;
            let mut row = Vec::new();
            for block in 0..blocks {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                row.push(Bottleneck::new(input, planes, stride, device));
                input = planes * EXPANSION;
            }
            stages.push(row);
        }
        Self {
            stem: vec![
                conv(3, width / 2, 3, 2, device),
                conv(width / 2, width / 2, 3, 1, device),
                conv(width / 2, width, 3, 1, device),
            ],
            stem_norms: vec![norm(width / 2, device), norm(width / 2, device), norm(width, device)],
            stages,
            pool: AttentionPool::new(config.side, input, config.dim, device),
        }
    }

    /// [N, 3, R, R] → [N, D], not normalised.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = images;
        for (conv, norm) in self.stem.iter().zip(&self.stem_norms) {
            x = normalise(norm, convolve(conv, x), true);
        }
        x = average(x);
        for block in self.stages.iter().flatten() {
            x = block.forward(x);
        }
        self.pool.forward(x)
    }

    /// All tensors under OpenAI's state-dict names.
    pub fn named(&self) -> NamedTensors {
        let mut named = NamedTensors::new();
        for (i, (conv, norm)) in self.stem.iter().zip(&self.stem_norms).enumerate() {
            name_conv(&mut named, &format!("visual.conv{}", i + 1), conv);
            name_norm(&mut named, &format!("visual.bn{}", i + 1), norm);
        }
        for (i, stage) in self.stages.iter().enumerate() {
            for (j, block) in stage.iter().enumerate() {
                block.name(&mut named, &format!("visual.layer{}.{j}", i + 1));
            }
        }
        let pool = &self.pool;
        named.insert("visual.attnpool.positional_embedding", values(pool.position.val()));
        for (name, linear) in
            [("q_proj", &pool.query), ("k_proj", &pool.key), ("v_proj", &pool.value), ("c_proj", &pool.output)]
        {
            name_linear(&mut named, &format!("visual.attnpool.{name}"), linear);
        }
        named
    }
}

#[cfg(test)]
mod tests;
