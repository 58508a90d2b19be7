//! The text encoder as Radford et al. 2021 describe it: each prompt whole, all positions of the context, nothing
//! shared. Slow, and for tests only: features and gradients of the encoder are compared with those of this one.
#![allow(clippy::missing_panics_doc, reason = "a failure ends the test that called")]

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};

use super::{HEAD_WIDTH, MASKED, NORM_EPSILON, QUICK_GELU, TextConfig, param_id};
use crate::weights::{NamedTensor, NamedTensors};

/// Named weights as leaves of a graph.
pub struct Plain {
    config: TextConfig,
    device: Device,
    matrices: BTreeMap<String, Tensor<2>>,
    vectors: BTreeMap<String, Tensor<1>>,
}

impl Plain {
    /// The tensors of a text encoder, on the processor.
    #[must_use]
    pub fn new(tensors: &NamedTensors) -> Self {
        let device = Device::flex().autodiff();
        let config = TextConfig::from_tensors(tensors).expect("a text encoder");
        let (mut matrices, mut vectors) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in tensors.iter() {
            let values = tensor.values.clone();
            match *tensor.shape {
                [rows, columns] => {
                    let leaf = Tensor::from_data(TensorData::new(values, [rows, columns]), &device).require_grad();
                    matrices.insert(name.to_owned(), leaf);
                }
                _ => {
                    let leaf = Tensor::from_data(values.as_slice(), &device).require_grad();
                    vectors.insert(name.to_owned(), leaf);
                }
            }
        }
        Self { config, device, matrices, vectors }
    }

    /// Rows of token ids → features `[N, D]` before normalisation.
    #[must_use]
    pub fn features(&self, rows: &[Vec<u32>]) -> Tensor<2> {
        let TextConfig { context, width, layers, .. } = self.config;
        let n = rows.len();
        let padded = rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat(0)).take(context));
        let ids: Vec<i32> = padded.map(u32::cast_signed).collect();
        let end_of = |(i, row): (usize, &[i32])| {
            let greatest = row.iter().max().expect("a token");
            let end = row.iter().position(|token| token == greatest).expect("it is there");
            i32::try_from(i * context + end).expect("few tokens")
        };
        let ends: Vec<i32> = ids.chunks(context).enumerate().map(end_of).collect();
        let index = |values: &[i32]| Tensor::<1, Int>::from_data(values, &self.device);

        let tokens = self.matrix("token_embedding.weight").select(0, index(&ids)).reshape([n, context, width]);
        let positions = self.matrix("positional_embedding").unsqueeze::<3>();
        let mut x = (tokens + positions).reshape([n * context, width]);
        for i in 0..layers {
            let p = format!("transformer.resblocks.{i}");
            let qkv = self.linear(&self.norm(x.clone(), &format!("{p}.ln_1")), &format!("{p}.attn.in_proj_"));
            x = x + self.linear(&self.attention(&qkv, n), &format!("{p}.attn.out_proj."));
            let hidden = self.linear(&self.norm(x.clone(), &format!("{p}.ln_2")), &format!("{p}.mlp.c_fc."));
            let active = hidden.clone() * sigmoid(hidden.mul_scalar(QUICK_GELU));
            x = x + self.linear(&active, &format!("{p}.mlp.c_proj."));
        }
        self.norm(x, "ln_final").select(0, index(&ends)).matmul(self.matrix("text_projection"))
    }

    /// The logarithm of the logit scale, `[1]`.
    #[must_use]
    pub fn log_logit_scale(&self) -> Tensor<1> {
        self.vector("logit_scale")
    }

    /// The gradient of the tensor `name`, in the tensor's own order.
    #[must_use]
    pub fn gradient(&self, gradients: &Gradients, name: &str) -> Vec<f32> {
        match self.matrices.get(name) {
            Some(leaf) => values(&leaf.grad(gradients).expect("a gradient")),
            None => values(&self.vectors[name].grad(gradients).expect("a gradient")),
        }
    }

    fn attention(&self, qkv: &Tensor<2>, n: usize) -> Tensor<2> {
        let TextConfig { context, width, .. } = self.config;
        let part = |i: usize| {
            let part = qkv.clone().slice([0..n * context, i * width..(i + 1) * width]);
            part.reshape([n, context, width / HEAD_WIDTH, HEAD_WIDTH]).swap_dims(1, 2)
        };
        let later = |i: usize| if i % context > i / context { MASKED } else { 0.0 };
        let mask: Vec<f32> = (0..context * context).map(later).collect();
        let mask = Tensor::<4>::from_data(TensorData::new(mask, [1, 1, context, context]), &self.device);
        let scores = part(0).matmul(part(1).swap_dims(2, 3)).mul_scalar(0.125) + mask;
        softmax(scores, 3).matmul(part(2)).swap_dims(1, 2).reshape([n * context, width])
    }

    fn linear(&self, x: &Tensor<2>, prefix: &str) -> Tensor<2> {
        let product = x.clone().matmul(self.matrix(&format!("{prefix}weight")).transpose());
        product + self.vector(&format!("{prefix}bias")).unsqueeze()
    }

    fn norm(&self, x: Tensor<2>, name: &str) -> Tensor<2> {
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        let scaled = centred / variance.add_scalar(NORM_EPSILON).sqrt();
        scaled * self.vector(&format!("{name}.weight")).unsqueeze() + self.vector(&format!("{name}.bias")).unsqueeze()
    }

    fn matrix(&self, name: &str) -> Tensor<2> {
        self.matrices[name].clone()
    }

    fn vector(&self, name: &str) -> Tensor<1> {
        self.vectors[name].clone()
    }
}

/// The gradient that the encoder gives the tensor `name`, in the tensor's own order.
#[must_use]
pub fn gradient(gradients: &GradientsParams, name: &str, tensor: &NamedTensor) -> Vec<f32> {
    let id = param_id(name);
    match tensor.shape.len() {
        // Linear layers hold their weights transposed.
        2 if name.starts_with("transformer") => values(&gradients.get::<2>(id).expect(name).transpose()),
        2 => values(&gradients.get::<2>(id).expect(name)),
        _ => values(&gradients.get::<1>(id).expect(name)),
    }
}

/// Panics unless both are equal to 1e-5 of the greatest component.
pub fn check_close(name: &str, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{name}");
    let greatest = wanted.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    let difference = got.iter().zip(wanted).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference <= 1e-5 * greatest, "{name}: {difference} of {greatest}");
}

fn values<const RANK: usize>(tensor: &Tensor<RANK>) -> Vec<f32> {
    tensor.to_data().try_to_vec().expect("f32")
}
