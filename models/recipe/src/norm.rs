//! Batch norm and ReLU on the processor in as few passes as possible, forward and backward.
//!
//! burn needs some ten passes for either, each into a tensor of its own. On other devices burn's own layer is used.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::nn::BatchNorm;
use burn::prelude::*;
use rayon::prelude::*;

use crate::conv::{Plain, flat, shaped};

/// Values that are summed in parallel.
const LANES: usize = 16;

/// Batch norm, then ReLU if `rectified`; in training with the batch's statistics, which also update the running ones.
pub fn normalise(norm: &BatchNorm, x: Tensor<4>, rectified: bool) -> Tensor<4> {
    let parameters = [norm.gamma.val(), norm.beta.val()].map(|p| p.try_into_primitive::<Autodiff<Flex>>());
    let (Ok(x), [Ok(gamma), Ok(beta)]) = (x.clone().try_into_primitive::<Autodiff<Flex>>(), parameters) else {
        let y = norm.forward(x);
        return if rectified { burn::tensor::activation::relu(y) } else { y };
    };
    let ((x, x_node), (gamma, gamma_node), (beta, beta_node)) = (x.into_parts(), gamma.into_parts(), beta.into_parts());
    let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.to_contiguous());
    let layer = Layer::new(&x, &gamma, &beta, norm.epsilon as f32, rectified);
    let y = shaped(layer.forward(flat(&x)), x.layout().shape().to_vec());
    let nodes = [x_node, gamma_node, beta_node];
    update(norm, &layer);
    let y = match Normalisation.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((x, layer), y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(y)
}

/// Moves the running statistics towards the batch's.
fn update(norm: &BatchNorm, layer: &Layer) {
    let momentum = norm.momentum;
    let mix = |running: Tensor<1>, of: fn(&Channel) -> f32| {
        let batch: Vec<f32> = layer.channels.iter().map(of).collect();
        let batch = Tensor::<1>::from_floats(&batch[..], &running.device());
        (running * (1.0 - momentum) + batch * momentum).detach()
    };
    norm.running_mean.update(mix(norm.running_mean.value_sync(), |channel| channel.mean));
    norm.running_var.update(mix(norm.running_var.value_sync(), |channel| channel.variance));
}

#[derive(Debug)]
struct Normalisation;

impl Backward<Flex, 3> for Normalisation {
    type State = (Plain, Layer);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, layer) = ops.state;
        let [to_x, to_gamma, to_beta] = layer.backward(flat(&x), flat(&gradient));
        let count = layer.channels.len();
        let shapes = [x.layout().shape().to_vec(), vec![count], vec![count]];
        for ((node, values), shape) in ops.parents.into_iter().zip([to_x, to_gamma, to_beta]).zip(shapes) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, shaped(values, shape));
            }
        }
    }
}

/// The sizes and statistics of one batch in a layer.
#[derive(Clone, Debug)]
struct Layer {
    channels: Vec<Channel>,
    /// Values of one channel of one picture.
    plane: usize,
    rectified: bool,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    mean: f32,
    /// Biased, as burn's running variance is.
    variance: f32,
    /// 1 / standard deviation.
    inverse: f32,
    gamma: f32,
    beta: f32,
}

impl Layer {
    fn new(x: &Plain, gamma: &Plain, beta: &Plain, epsilon: f32, rectified: bool) -> Self {
        let shape = x.layout().shape();
        let (count, plane) = (shape[1], shape[2] * shape[3]);
        let (x, gamma, beta) = (flat(x), flat(gamma), flat(beta));
        let samples = (x.len() / count) as f64;
        let channels = (0..count)
            .into_par_iter()
            .map(|channel| {
                let planes = || x.chunks_exact(plane).skip(channel).step_by(count);
                let mean = (planes().map(|values| sum(values, |v| v)).sum::<f64>() / samples) as f32;
                let squares = planes().map(|values| sum(values, |v| (v - mean) * (v - mean))).sum::<f64>();
                let variance = (squares / samples) as f32;
                let inverse = 1.0 / (variance + epsilon).sqrt();
                Channel { mean, variance, inverse, gamma: gamma[channel], beta: beta[channel] }
            })
            .collect();
        Self { channels, plane, rectified }
    }

    /// The least value that the next layer gets.
    fn least(&self) -> f32 {
        if self.rectified { 0.0 } else { f32::NEG_INFINITY }
    }

    /// The channel of each plane, repeated.
    fn of(&self, index: usize) -> Channel {
        self.channels[index % self.channels.len()]
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let least = self.least();
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(self.plane).zip(x.par_chunks(self.plane)).enumerate().for_each(|(index, (y, x))| {
            let channel = self.of(index);
            let (scale, shift) = channel.line();
            for (y, x) in y.iter_mut().zip(x) {
                let line = x * scale + shift;
                // NaN stays NaN.
                *y = if line < least { least } else { line };
            }
        });
        y
    }

    /// The gradients of the input, gamma and beta.
    fn backward(&self, x: &[f32], gradient: &[f32]) -> [Vec<f32>; 3] {
        let count = self.channels.len();
        // Σ gradient and Σ gradient·normalised for each channel, after the ReLU's mask.
        let sums: Vec<[f64; 2]> = (0..count)
            .into_par_iter()
            .map(|index| {
                let channel = self.channels[index];
                let planes = x.chunks_exact(self.plane).zip(gradient.chunks_exact(self.plane));
                planes.skip(index).step_by(count).fold([0.0; 2], |[plain, weighted], (x, gradient)| {
                    let [p, w] = self.sums(&channel, x, gradient);
                    [plain + p, weighted + w]
                })
            })
            .collect();
        let samples = (x.len() / count) as f64;
        let least = self.least();
        let mut to_x = vec![0.0; x.len()];
        to_x.par_chunks_mut(self.plane)
            .zip(x.par_chunks(self.plane).zip(gradient.par_chunks(self.plane)))
            .enumerate()
            .for_each(|(index, (to_x, (x, gradient)))| {
                let channel = self.of(index);
                let [plain, weighted] = sums[index % count].map(|sum| (sum / samples) as f32);
                let (scale, shift) = channel.line();
                // scale·(g − mean g − normalised·mean g·normalised), the last two as a line of x.
                let slope = scale * weighted * channel.inverse;
                let offset = scale * plain - slope * channel.mean;
                for ((to, x), g) in to_x.iter_mut().zip(x).zip(gradient) {
                    let g = if x * scale + shift > least { *g } else { 0.0 };
                    *to = scale * g - slope * x - offset;
                }
            });
        [to_x, sums.iter().map(|s| s[1] as f32).collect(), sums.iter().map(|s| s[0] as f32).collect()]
    }

    /// Σ gradient and Σ gradient·normalised over a plane.
    fn sums(&self, channel: &Channel, x: &[f32], gradient: &[f32]) -> [f64; 2] {
        let (scale, shift) = channel.line();
        let (least, mean) = (self.least(), channel.mean);
        let mut plain = [0.0f32; LANES];
        let mut weighted = [0.0f32; LANES];
        let mut add = |x: &[f32; LANES], gradient: &[f32; LANES]| {
            for lane in 0..LANES {
                let g = if x[lane] * scale + shift > least { gradient[lane] } else { 0.0 };
                plain[lane] += g;
                weighted[lane] += g * (x[lane] - mean);
            }
        };
        let (x_blocks, x_rest) = x.as_chunks::<LANES>();
        let (g_blocks, g_rest) = gradient.as_chunks::<LANES>();
        x_blocks.iter().zip(g_blocks).for_each(|(x, g)| add(x, g));
        let mut last = [[0.0; LANES]; 2];
        last[0][..x_rest.len()].copy_from_slice(x_rest);
        last[1][..g_rest.len()].copy_from_slice(g_rest);
        add(&last[0], &last[1]);
        let total = |lanes: [f32; LANES]| lanes.iter().map(|v| f64::from(*v)).sum::<f64>();
        [total(plain), total(weighted) * f64::from(channel.inverse)]
    }
}

impl Channel {
    /// Factor and summand of the channel's values.
    fn line(&self) -> (f32, f32) {
        let scale = self.gamma * self.inverse;
        (scale, self.beta - scale * self.mean)
    }
}

fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, value)| *lane += of(*value));
    }
    lanes.iter().map(|v| f64::from(*v)).sum::<f64>() + rest.iter().map(|v| f64::from(of(*v))).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;
    use burn::tensor::activation::relu;

    use super::*;
    use crate::conv::tests::apart;
    use crate::layers::norm;

    #[test]
    fn it_is_burns_batch_norm_and_so_are_its_gradients_and_its_memory() {
        let device = Device::flex().autodiff();
        for (shape, rectified) in
            [([3, 5, 7, 9], true), ([2, 8, 16, 16], false), ([4, 1, 1, 1], true), ([1, 3, 40, 2], false)]
        {
            let random = |d: f64| Tensor::<4>::random(shape, Distribution::Normal(d, 2.0), &device);
            let x = random(3.0).require_grad();
            let weights = random(0.0);
            let mut layers = [norm(shape[1], &device), norm(shape[1], &device)];
            for layer in &mut layers {
                let line = |from: f32| (0..shape[1]).map(|c| from + 0.3 * c as f32).collect::<Vec<_>>();
                layer.gamma =
                    layer.gamma.clone().map(|_| Tensor::<1>::from_floats(&line(-0.5)[..], &device).require_grad());
                layer.beta =
                    layer.beta.clone().map(|_| Tensor::<1>::from_floats(&line(0.1)[..], &device).require_grad());
            }
            let theirs = layers[1].forward(x.clone());
            let theirs = if rectified { relu(theirs) } else { theirs };
            let ours = normalise(&layers[0], x.clone(), rectified);
            assert!(apart(ours.clone(), theirs.clone()) < 1e-4, "{shape:?}");
            let (ours, theirs) = ((ours * weights.clone()).sum().backward(), (theirs * weights).sum().backward());
            let to_x = [x.grad(&ours), x.grad(&theirs)].map(|g| g.expect("x"));
            if shape != [4, 1, 1, 1] {
                assert!(apart(to_x[0].clone(), to_x[1].clone()) < 1e-3, "{shape:?} input");
            }
            for of in [|n: &BatchNorm| n.gamma.val(), |n: &BatchNorm| n.beta.val()] {
                let (a, b) = (of(&layers[0]).grad(&ours), of(&layers[1]).grad(&theirs));
                assert!(apart(a.expect("ours"), b.expect("theirs")) < 1e-3, "{shape:?} parameters");
            }
            for of in [|n: &BatchNorm| n.running_mean.value_sync(), |n: &BatchNorm| n.running_var.value_sync()] {
                assert!(apart(of(&layers[0]), of(&layers[1])) < 1e-4, "{shape:?} running");
            }
        }
    }
}
