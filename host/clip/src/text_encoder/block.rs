//! One residual attention block of CLIP's text transformer: `[T, W]` → `[T, W]`.
//!
//! Activations stay matrices of T token slots: a linear layer on a rank-3 tensor would be a batch of small products.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData, s};

use super::packing::Packing;
use super::{HEAD_WIDTH, Loader, MatmulPrecision, named};
use crate::weights::{NamedTensors, WeightsError};

/// QuickGELU's slope: x · σ(1.702 x), the approximation of GELU that OpenAI's weights were trained with.
pub const QUICK_GELU: f32 = 1.702;
/// Added to the score of a later token: e to this power is 0 in f32, and the gradient stays finite.
pub const MASKED: f32 = -1e9;
/// PyTorch's default, which CLIP keeps.
pub const NORM_EPSILON: f64 = 1e-5;

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

    /// x `[T, width]` → `[T, width]`.
    pub(super) fn forward(&self, x: Tensor<2>, view: &View) -> Tensor<2> {
        let mixed = self.attention(self.ln_1.forward(x.clone()), view);
        self.mlp(x + view.precision.linear(&self.out_proj, mixed), view.precision)
    }

    /// x `[T, width]` → the given rows of the result of [`Block::forward`], `[rows, width]`. Of the other rows only
    /// keys and values are computed.
    pub(super) fn forward_rows(&self, x: Tensor<2>, view: &View, rows: &Tensor<1, Int>) -> Tensor<2> {
        let mixed = self.attention(self.ln_1.forward(x.clone()), view).select(0, rows.clone());
        let x = x.select(0, rows.clone()) + view.precision.linear(&self.out_proj, mixed);
        self.mlp(x, view.precision)
    }

    fn mlp(&self, x: Tensor<2>, precision: MatmulPrecision) -> Tensor<2> {
        let hidden = precision.linear(&self.c_fc, self.ln_2.forward(x.clone()));
        let gate = sigmoid(hidden.clone().mul_scalar(QUICK_GELU));
        x + precision.linear(&self.c_proj, hidden * gate)
    }

    /// x `[T, width]` → for each slot the attention-weighted sum of the values that it attends to, `[T, width]`.
    fn attention(&self, x: Tensor<2>, view: &View) -> Tensor<2> {
        let [rows, width] = x.dims();
        let (tiles, slots, heads) = (view.tiles, view.slots, width / HEAD_WIDTH);
        // [T, 3W] → three of [1, tiles, heads, slots, 64]
        let qkv = view.precision.linear(&self.in_proj, x);
        let qkv = qkv.reshape([tiles, slots, 3, heads, HEAD_WIDTH]).permute([2, 0, 3, 1, 4]);
        let part = |i: usize| qkv.clone().slice([i..=i]);
        // [1, tiles, heads, shared + slots, 64]
        let seen = |own: Tensor<5>| {
            let shared = own.clone().slice(s![.., 0..1, .., 0..view.shared, ..]);
            Tensor::cat(vec![shared.expand([1, tiles, heads, view.shared, HEAD_WIDTH]), own], 3)
        };
        #[expect(clippy::cast_precision_loss, reason = "the head width is 64")]
        let query = part(0).mul_scalar(1.0 / (HEAD_WIDTH as f32).sqrt());
        let scores = query.matmul(seen(part(1)).swap_dims(3, 4)) + view.mask.clone();
        let mixed = softmax(scores, 4).matmul(seen(part(2)));
        mixed.swap_dims(2, 3).reshape([rows, width])
    }
}

/// The attention mask of T = tiles · slots token slots, and the precision of the products.
pub(super) struct View {
    tiles: usize,
    slots: usize,
    /// Slots at the start of the first tile that all other slots may attend to.
    shared: usize,
    /// `[1, tiles, 1, slots, shared + slots]`: 0 where a slot attends, a large negative number elsewhere.
    mask: Tensor<5>,
    precision: MatmulPrecision,
}

impl View {
    pub(super) fn new(packing: &Packing, precision: MatmulPrecision, device: &Device) -> Self {
        let (tiles, slots, shared) = (packing.tiles, packing.slots, packing.shared_columns());
        let shape = [1, tiles, 1, slots, shared + slots];
        let mask = Tensor::from_data(TensorData::new(packing.mask(MASKED), shape), device);
        Self { tiles, slots, shared, mask, precision }
    }
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
