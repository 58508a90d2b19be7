//! RGB [N, 3, H, W] (centred at 127.5, over 128) → per stride scores, boxes and landmarks: a small network of SCRFD's
//! architecture (Guo et al. 2021).
//!
//! Backbone of residual 3×3 blocks → path-aggregation pyramid → one head per stride, two anchors per cell.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::assign::{SIDES, STRIDES};
use crate::conv::convolve;
use crate::layers::{ConvNorm, conv_biased};

/// Width of the detector's frames, in pixels.
pub const WIDTH: usize = 640;
/// Height of the detector's frames, in pixels.
pub const HEIGHT: usize = 480;

/// Anchors per cell.
pub const PER_CELL: usize = 2;
/// Values per anchor of a head's output: score, four distances, five points.
const HEAD_VALUES: [usize; 3] = [1, 4, 10];
/// The score before training, so that the empty background does not dominate the first steps (RetinaNet's prior).
const PRIOR: f32 = -4.595;

/// Channels of the stages and of the pyramid.
#[derive(Clone, Debug)]
pub struct DetectorConfig {
    /// Channels at strides 2, 4, 8, 16, 32.
    pub stages: [usize; 5],
    /// Residual blocks after the strided one, at strides 8, 16, 32.
    pub blocks: [usize; 3],
    /// Channels of the pyramid and the heads.
    pub neck: usize,
}

/// The network.
#[derive(Module, Debug)]
pub struct Scrfd {
    /// Convolutions to stride 4.
    pub stem: Vec<ConvNorm>,
    /// The stages at strides 8, 16, 32.
    pub stages: Vec<Vec<Block>>,
    /// 1×1 convolutions into the pyramid.
    pub laterals: Vec<ConvNorm>,
    /// 3×3 convolutions after the top-down sums.
    pub smooth: Vec<ConvNorm>,
    /// Strided convolutions of the bottom-up path.
    pub down: Vec<ConvNorm>,
    /// 3×3 convolutions after the bottom-up sums.
    pub merge: Vec<ConvNorm>,
    /// One head per stride.
    pub heads: Vec<Head>,
}

/// Two 3×3 convolutions and a shortcut.
#[derive(Module, Debug)]
pub struct Block {
    /// First convolution; carries the stride.
    pub first: ConvNorm,
    /// Second convolution.
    pub second: ConvNorm,
    /// 1×1 projection where the shape changes.
    pub shortcut: Option<ConvNorm>,
}

/// One stride's head.
#[derive(Module, Debug)]
pub struct Head {
    /// Shared 3×3 convolutions.
    pub tower: Vec<ConvNorm>,
    /// 3×3 convolutions to scores, boxes, landmarks.
    pub out: Vec<Conv2d>,
    /// SCRFD's learned factor on the boxes.
    pub scale: Param<Tensor<1>>,
}

/// One stride's raw output, anchors in the published order.
pub struct RawLevel {
    /// [N, cells·2] logits.
    pub scores: Tensor<2>,
    /// [N, cells·2, 4] distances in strides.
    pub boxes: Tensor<3>,
    /// [N, cells·2, 10] offsets in strides.
    pub landmarks: Tensor<3>,
}

impl Block {
    fn new(input: usize, output: usize, stride: usize, device: &Device) -> Self {
        Self {
            first: ConvNorm::new(input, output, 3, stride, device),
            second: ConvNorm::new(output, output, 3, 1, device),
            shortcut: (stride > 1 || input != output).then(|| ConvNorm::new(input, output, 1, stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.second.linear(self.first.forward(x.clone()));
        let x = match &self.shortcut {
            Some(shortcut) => shortcut.linear(x),
            None => x,
        };
        relu(x + y)
    }
}

impl Head {
    fn new(channels: usize, level: usize, device: &Device) -> Self {
        let mut out: Vec<Conv2d> =
            HEAD_VALUES.iter().map(|values| conv_biased(channels, PER_CELL * values, 3, device)).collect();
        let fill = |conv: &mut Conv2d, bias: &[f32]| {
            // Small weights: at the start the output is almost the bias.
            conv.weight = Param::from_tensor((conv.weight.val().detach() * 0.1).detach());
            conv.bias = Some(Param::from_tensor(Tensor::from_floats(bias, device)));
        };
        fill(&mut out[0], &[PRIOR; PER_CELL]);
        // At the start, the predicted box is the anchor itself.
        let half: Vec<f32> = SIDES[level].iter().flat_map(|side| [side / 2.0 / STRIDES[level] as f32; 4]).collect();
        fill(&mut out[1], &half);
        fill(&mut out[2], &[0.0; PER_CELL * 10]);
        Self {
            tower: vec![ConvNorm::new(channels, channels, 3, 1, device)],
            out,
            scale: Param::from_tensor(Tensor::ones([1], device)),
        }
    }

    fn forward(&self, mut x: Tensor<4>) -> RawLevel {
        for block in &self.tower {
            x = block.forward(x);
        }
        let [n, ..] = x.dims();
        let rows = |index: usize| {
            let values = HEAD_VALUES[index];
            let y = convolve(&self.out[index], x.clone()).permute([0, 2, 3, 1]);
            let [_, h, w, _] = y.dims();
            y.reshape([n, h * w * PER_CELL, values])
        };
        let scores = rows(0);
        let count = scores.dims()[1];
        RawLevel {
            scores: scores.reshape([n, count]),
            boxes: rows(1) * self.scale.val().reshape([1, 1, 1]),
            landmarks: rows(2),
        }
    }
}

/// Nearest-neighbour doubling: each cell becomes a 2×2 block.
fn double(x: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    x.reshape([n, c, h, 1, w, 1]).expand([n, c, h, 2, w, 2]).reshape([n, c, 2 * h, 2 * w])
}

impl Scrfd {
    /// Fresh weights.
    pub fn new(config: &DetectorConfig, device: &Device) -> Self {
        let [c2, c4, c8, c16, c32] = config.stages;
        let neck = config.neck;
        let stage = |input: usize, output: usize, more: usize| {
            let mut blocks = vec![Block::new(input, output, 2, device)];
            blocks.extend((0..more).map(|_| Block::new(output, output, 1, device)));
            blocks
        };
        let threes = |count: usize, stride: usize| -> Vec<ConvNorm> {
            (0..count).map(|_| ConvNorm::new(neck, neck, 3, stride, device)).collect()
        };
        Self {
            stem: vec![ConvNorm::new(3, c2, 3, 2, device), ConvNorm::new(c2, c4, 3, 2, device)],
            stages: vec![
                stage(c4, c8, config.blocks[0]),
                stage(c8, c16, config.blocks[1]),
                stage(c16, c32, config.blocks[2]),
            ],
            laterals: [c8, c16, c32].into_iter().map(|c| ConvNorm::new(c, neck, 1, 1, device)).collect(),
            smooth: threes(3, 1),
            down: threes(2, 2),
            merge: threes(2, 1),
            heads: (0..STRIDES.len()).map(|level| Head::new(neck, level, device)).collect(),
        }
    }

    /// The three levels, finest first. H and W are multiples of 32.
    pub fn forward(&self, images: Tensor<4>) -> Vec<RawLevel> {
        let mut x = images;
        for block in &self.stem {
            x = block.forward(x);
        }
        let mut features = Vec::with_capacity(3);
        for stage in &self.stages {
            for block in stage {
                x = block.forward(x);
            }
            features.push(x.clone());
        }
        let mut levels: Vec<Tensor<4>> =
            features.into_iter().zip(&self.laterals).map(|(x, lateral)| lateral.forward(x)).collect();
        for i in [1, 0] {
            levels[i] = levels[i].clone() + double(levels[i + 1].clone());
        }
        for (level, smooth) in levels.iter_mut().zip(&self.smooth) {
            *level = smooth.forward(level.clone());
        }
        for i in 0..2 {
            let sum = levels[i + 1].clone() + self.down[i].forward(levels[i].clone());
            levels[i + 1] = self.merge[i].forward(sum);
        }
        levels.into_iter().zip(&self.heads).map(|(level, head)| head.forward(level)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::values;

    #[test]
    fn a_frame_gives_the_published_row_counts() {
        let device = Device::flex();
        let config = DetectorConfig { stages: [8, 8, 16, 16, 16], blocks: [0, 0, 1], neck: 16 };
        let levels = Scrfd::new(&config, &device).forward(Tensor::zeros([1, 3, 96, 128], &device));
        let rows: Vec<usize> = levels.iter().map(|l| l.scores.dims()[1]).collect();
        assert_eq!(rows, [2 * 12 * 16, 2 * 6 * 8, 2 * 3 * 4]);
        assert_eq!(levels[2].landmarks.dims(), [1, 24, 10]);
    }

    #[test]
    fn doubling_repeats_each_cell() {
        let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &Device::flex()).reshape([1, 1, 2, 2]);
        let wanted = [1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.];
        assert_eq!(values(double(x)).values, wanted);
    }
}
