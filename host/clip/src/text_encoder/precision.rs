//! The precision of the products in the text encoder's linear layers: f32, or bf16 factors with f32 results.

use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// The precision of the factors in a linear layer's product. Weights, normalisation, attention, sums and gradients
/// outside the product stay f32.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatmulPrecision {
    /// IEEE single precision.
    #[default]
    F32,
    /// The range of f32 with 8 bits of precision. Matrix units of GPUs multiply it, and the loss needs no scaling
    /// (Kalamkar et al. 2019, *A Study of BFLOAT16 for Deep Learning Training*).
    Bf16,
}

impl std::fmt::Display for MatmulPrecision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

/// The text names no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("got {0:?}, wanted f32 or bf16")]
pub struct NoPrecision(String);

impl std::str::FromStr for MatmulPrecision {
    type Err = NoPrecision;

    fn from_str(text: &str) -> Result<Self, NoPrecision> {
        let all = [Self::F32, Self::Bf16];
        all.into_iter().find(|precision| precision.to_string() == text).ok_or_else(|| NoPrecision(text.to_owned()))
    }
}

impl MatmulPrecision {
    /// x `[T, inputs]` → `[T, outputs]`.
    pub(super) fn linear(self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        match (self, &layer.bias) {
            (Self::Bf16, Some(bias)) => self.product(x, layer.weight.val()) + bias.val().unsqueeze(),
            (Self::Bf16, None) => self.product(x, layer.weight.val()),
            (Self::F32, _) => layer.forward(x),
        }
    }

    /// `[T, K]` and `[K, N]`, both f32 → their product in f32, `[T, N]`.
    pub fn product(self, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        match self {
            Self::F32 => a.matmul(b),
            Self::Bf16 => a.cast(FloatDType::BF16).matmul(b.cast(FloatDType::BF16)).cast(FloatDType::F32),
        }
    }
}
