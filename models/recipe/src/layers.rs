//! Convolution and batch-norm blocks, and the names of their tensors in files.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d};
use burn::prelude::*;
use lintel_clip::weights::{NamedTensor, NamedTensors};

use crate::conv::convolve;
use crate::norm::normalise;

/// A tensor's values on the host.
pub fn values<const D: usize>(tensor: Tensor<D>) -> NamedTensor {
    let shape = tensor.dims().to_vec();
    let data = tensor.into_data().try_to_vec_as::<f32>().expect("trainers hold f32 tensors");
    NamedTensor::new(shape, data)
}

/// A square convolution without bias, padded to keep the size at stride 1.
pub fn conv(input: usize, output: usize, kernel: usize, stride: usize, device: &Device) -> Conv2d {
    conv_config(input, output, kernel, stride).with_bias(false).init(device)
}

/// The same with a bias.
pub fn conv_biased(input: usize, output: usize, kernel: usize, device: &Device) -> Conv2d {
    conv_config(input, output, kernel, 1).init(device)
}

fn conv_config(input: usize, output: usize, kernel: usize, stride: usize) -> Conv2dConfig {
    let pad = kernel / 2;
    Conv2dConfig::new([input, output], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
}

/// Batch norm with PyTorch's defaults (momentum 0.1, ε 1e-5).
pub fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).init(device)
}

/// `name.weight` in OIHW, and `name.bias` where there is one.
pub fn name_conv(into: &mut NamedTensors, name: &str, conv: &Conv2d) {
    into.insert(format!("{name}.weight"), values(conv.weight.val()));
    if let Some(bias) = &conv.bias {
        into.insert(format!("{name}.bias"), values(bias.val()));
    }
}

/// `name.{weight, bias, running_mean, running_var}`.
pub fn name_norm(into: &mut NamedTensors, name: &str, norm: &BatchNorm) {
    into.insert(format!("{name}.weight"), values(norm.gamma.val()));
    into.insert(format!("{name}.bias"), values(norm.beta.val()));
    into.insert(format!("{name}.running_mean"), values(norm.running_mean.value_sync()));
    into.insert(format!("{name}.running_var"), values(norm.running_var.value_sync()));
}

/// `name.weight` as [out, in] (PyTorch's order) and `name.bias`.
pub fn name_linear(into: &mut NamedTensors, name: &str, linear: &Linear) {
    into.insert(format!("{name}.weight"), values(linear.weight.val().transpose()));
    if let Some(bias) = &linear.bias {
        into.insert(format!("{name}.bias"), values(bias.val()));
    }
}

/// Convolution → batch norm → ReLU.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    /// Fresh weights.
    pub fn new(input: usize, output: usize, kernel: usize, stride: usize, device: &Device) -> Self {
        Self { conv: conv(input, output, kernel, stride, device), norm: norm(output, device) }
    }

    /// Without the ReLU.
    pub fn linear(&self, x: Tensor<4>) -> Tensor<4> {
        normalise(&self.norm, convolve(&self.conv, x), false)
    }

    /// With the ReLU.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        normalise(&self.norm, convolve(&self.conv, x), true)
    }

    /// The pair folded into one convolution: weight OIHW, bias.
    pub fn folded(&self) -> (NamedTensor, NamedTensor) {
        let mut weight = values(self.conv.weight.val());
        let gamma = values(self.norm.gamma.val()).values;
        let beta = values(self.norm.beta.val()).values;
        let mean = values(self.norm.running_mean.value_sync()).values;
        let var = values(self.norm.running_var.value_sync()).values;
        let per_output = weight.values.len() / gamma.len();
        let mut bias = Vec::with_capacity(gamma.len());
        for (o, rows) in weight.values.chunks_mut(per_output).enumerate() {
            let scale = gamma[o] / (var[o] + self.norm.epsilon as f32).sqrt();
            rows.iter_mut().for_each(|w| *w *= scale);
            bias.push(beta[o] - mean[o] * scale);
        }
        let shape = vec![gamma.len()];
        (weight, NamedTensor::new(shape, bias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_block_computes_what_the_block_computes() {
        let device = Device::flex();
        let block = ConvNorm::new(3, 4, 3, 2, &device);
        block.norm.running_mean.update(Tensor::from_floats([0.5, -1.0, 0.0, 2.0], &device));
        block.norm.running_var.update(Tensor::from_floats([0.5, 1.0, 4.0, 2.0], &device));
        let x = Tensor::<4>::random([1, 3, 8, 8], burn::tensor::Distribution::Default, &device);
        // Folding first: it also makes the layer take over the new statistics.
        let (weight, bias) = block.folded();
        let wanted = values(block.linear(x.clone()));
        let mut plain = conv_config(3, 4, 3, 2).init(&device);
        plain.weight =
            plain.weight.map(|_| Tensor::<1>::from_floats(&weight.values[..], &device).reshape([4, 3, 3, 3]));
        plain.bias = plain.bias.map(|b| b.map(|_| Tensor::from_floats(&bias.values[..], &device)));
        let got = values(plain.forward(x));
        for (g, w) in got.values.iter().zip(&wanted.values) {
            assert!((g - w).abs() < 1e-4, "{g} {w}");
        }
    }
}
