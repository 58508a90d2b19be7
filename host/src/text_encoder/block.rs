//! One residual attention block of CLIP's text transformer: `[N·L, W]` → `[N·L, W]`.
//!
//! Activations stay matrices of N·L rows: a linear layer on a rank-3 tensor would be a batch of N small products.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Tensor, TensorData};

use super::{HEAD_WIDTH, Loader, named};
use crate::weights::{NamedTensors, WeightsError};

/// QuickGELU's slope: x · σ(1.702 x), the approximation of GELU that OpenAI's weights were trained with.
pub(crate) const QUICK_GELU: f32 = 1.702;
/// What is added to the score of a later token: e to this is 0 in f32, and the gradient stays a number.
pub(crate) const MASKED: f32 = -1e9;
/// PyTorch's default, which CLIP keeps.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

/// x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Module, Debug)]
pub(super) struct Block {
    ln_1: LayerNorm,
    /// Width → query, key and value, one after another.
    in_proj: Linear,
    out_proj: Linear,
    ln_2: LayerNorm,
    c_fc: Linear,
    c_proj: Linear,
}

impl Block {
    pub(super) fn load(loader: &Loader, index: usize, width: usize) -> Result<Self, WeightsError> {
        let p = format!("transformer.resblocks.{index}");
        let [in_weight, in_bias] = in_proj_names(&p);
        let linear = |name: &str, shape: [usize; 2]| {
            linear(loader, &format!("{p}.{name}.weight"), &format!("{p}.{name}.bias"), shape)
        };
        Ok(Self {
            ln_1: layer_norm(loader, &format!("{p}.ln_1"), width)?,
            in_proj: self::linear(loader, &in_weight, &in_bias, [3 * width, width])?,
            out_proj: linear("attn.out_proj", [width, width])?,
            ln_2: layer_norm(loader, &format!("{p}.ln_2"), width)?,
            c_fc: linear("mlp.c_fc", [4 * width, width])?,
            c_proj: linear("mlp.c_proj", [width, 4 * width])?,
        })
    }

    pub(super) fn save(&self, tensors: &mut NamedTensors, index: usize) {
        let p = format!("transformer.resblocks.{index}");
        let [in_weight, in_bias] = in_proj_names(&p);
        save_linear(tensors, &in_weight, &in_bias, &self.in_proj);
        for (name, layer) in [("attn.out_proj", &self.out_proj), ("mlp.c_fc", &self.c_fc), ("mlp.c_proj", &self.c_proj)]
        {
            save_linear(tensors, &format!("{p}.{name}.weight"), &format!("{p}.{name}.bias"), layer);
        }
        save_norm(tensors, &format!("{p}.ln_1"), &self.ln_1);
        save_norm(tensors, &format!("{p}.ln_2"), &self.ln_2);
    }

    /// x `[n·length, width]`, mask `[1, 1, length, length]` → `[n·length, width]`.
    pub(super) fn forward(&self, x: Tensor<2>, n: usize, length: usize, mask: &Tensor<4>) -> Tensor<2> {
        let x = x.clone() + self.attention(self.ln_1.forward(x), n, length, mask);
        let hidden = self.c_fc.forward(self.ln_2.forward(x.clone()));
        let gate = sigmoid(hidden.clone().mul_scalar(QUICK_GELU));
        x + self.c_proj.forward(hidden * gate)
    }

    fn attention(&self, x: Tensor<2>, n: usize, length: usize, mask: &Tensor<4>) -> Tensor<2> {
        let [rows, width] = x.dims();
        let heads = width / HEAD_WIDTH;
        // [N·L, 3W] → three of [N, heads, L, 64]
        let qkv = self.in_proj.forward(x);
        let part = |i: usize| {
            let part = qkv.clone().slice([0..rows, i * width..(i + 1) * width]);
            part.reshape([n, length, heads, HEAD_WIDTH]).swap_dims(1, 2)
        };
        #[expect(clippy::cast_precision_loss, reason = "the head width is 64")]
        let query = part(0).mul_scalar(1.0 / (HEAD_WIDTH as f32).sqrt());
        let scores = query.matmul(part(1).swap_dims(2, 3)) + mask.clone();
        let mixed = softmax(scores, 3).matmul(part(2));
        self.out_proj.forward(mixed.swap_dims(1, 2).reshape([rows, width]))
    }
}

/// `[1, 1, length, length]`: 0 where a token (row) may look, a large negative number at later tokens.
pub(super) fn causal_mask(length: usize, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..length * length).map(|i| if i % length > i / length { MASKED } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, length, length]), device)
}

pub(super) fn layer_norm(loader: &Loader, name: &str, width: usize) -> Result<LayerNorm, WeightsError> {
    let mut norm = LayerNormConfig::new(width).with_epsilon(NORM_EPSILON).init(loader.device);
    norm.gamma = loader.param(&format!("{name}.weight"), [width])?;
    norm.beta = Some(loader.param(&format!("{name}.bias"), [width])?);
    Ok(norm)
}

pub(super) fn save_norm(tensors: &mut NamedTensors, name: &str, norm: &LayerNorm) {
    tensors.insert(format!("{name}.weight"), named(&norm.gamma.val()));
    save_bias(tensors, &format!("{name}.bias"), norm.beta.as_ref());
}

/// A linear layer whose weight is stored as `[outputs, inputs]`.
fn linear(loader: &Loader, weight: &str, bias: &str, shape: [usize; 2]) -> Result<Linear, WeightsError> {
    Ok(Linear { weight: loader.transposed(weight, shape)?, bias: Some(loader.param(bias, [shape[0]])?) })
}

fn save_linear(tensors: &mut NamedTensors, weight: &str, bias: &str, layer: &Linear) {
    tensors.insert(weight, named(&layer.weight.val()).transposed());
    save_bias(tensors, bias, layer.bias.as_ref());
}

fn save_bias(tensors: &mut NamedTensors, name: &str, bias: Option<&Param<Tensor<1>>>) {
    if let Some(bias) = bias {
        tensors.insert(name, named(&bias.val()));
    }
}

/// PyTorch's `MultiheadAttention` calls these without a dot before `weight`.
fn in_proj_names(block: &str) -> [String; 2] {
    [format!("{block}.attn.in_proj_weight"), format!("{block}.attn.in_proj_bias")]
}
