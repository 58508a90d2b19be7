//! Raw detector outputs and ground truth → quality focal loss, DIoU loss and landmark loss.

use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, sigmoid};

use crate::assign::{Anchor, Corners, assign, iou};
use crate::layers::values;
use crate::scrfd::RawLevel;

/// The distance, in strides, at which smooth L1 turns linear.
const SMOOTH: f32 = 1.0 / 9.0;
/// Weights of the three parts.
const BOX_WEIGHT: f32 = 2.0;
const LANDMARK_WEIGHT: f32 = 2.0;
/// Typical number of anchors assigned to the faces of one picture (2.6 of small views, 3.1 of large ones). The scores'
/// loss is divided by this and not by the actual number: eight views may have four or sixty, and a few must not weigh
/// most.
const MATCHES_PER_PICTURE: f32 = 3.0;

/// One face of a training picture, pixels.
#[derive(Clone, Debug)]
pub struct Target {
    /// Box.
    pub bbox: Corners,
    /// x, y of the five landmarks.
    pub landmarks: [f32; 10],
}

/// The parts of one batch's loss, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// Quality focal loss.
    pub score: f32,
    /// 1 − DIoU.
    pub boxes: f32,
    /// Smooth L1, strides.
    pub landmarks: f32,
    /// Mean IoU of the assigned anchors' boxes.
    pub overlap: f32,
}

/// The loss of a batch; `targets` has one list per picture.
pub fn loss(levels: Vec<RawLevel>, anchors: &[Anchor], targets: &[Vec<Target>]) -> (Tensor<1>, Parts) {
    let per_picture = anchors.len();
    let rows = targets.len() * per_picture;
    let device = levels[0].scores.device();
    let (mut scores, mut boxes, mut landmarks) = (Vec::new(), Vec::new(), Vec::new());
    for level in levels {
        scores.push(level.scores);
        boxes.push(level.boxes);
        landmarks.push(level.landmarks);
    }
    let scores = Tensor::cat(scores, 1).reshape([rows]);
    let boxes = Tensor::cat(boxes, 1).reshape([rows, 4]);
    let landmarks = Tensor::cat(landmarks, 1).reshape([rows, 10]);

    let matches = matches(anchors, targets);
    let mut quality = vec![0.0f32; rows];
    let mut parts = Parts::default();
    let mut extra = None;
    if !matches.is_empty() {
        let index: Vec<i64> = matches.iter().map(|m| m.row as i64).collect();
        let index = Tensor::<1, Int>::from_ints(&index[..], &device);
        let boxes = boxes.select(0, index.clone());
        let landmarks = landmarks.select(0, index);
        let predicted = values(boxes.clone().detach()).values;
        for (found, distances) in matches.iter().zip(predicted.chunks(4)) {
            let a = &found.anchor;
            let corners = [
                a.x - distances[0] * a.stride,
                a.y - distances[1] * a.stride,
                a.x + distances[2] * a.stride,
                a.y + distances[3] * a.stride,
            ];
            quality[found.row] = iou(&corners, &found.target.bbox);
            parts.overlap += quality[found.row] / matches.len() as f32;
        }
        let box_loss = diou_loss(boxes, &wanted_boxes(&matches, &device));
        let landmark_loss = smooth_l1(landmarks, &wanted_landmarks(&matches, &device));
        parts.boxes = scalar(&box_loss);
        parts.landmarks = scalar(&landmark_loss);
        extra = Some(box_loss * BOX_WEIGHT + landmark_loss * LANDMARK_WEIGHT);
    }
    let quality = Tensor::<1>::from_floats(&quality[..], &device);
    let score_loss = quality_focal(scores, quality) / (MATCHES_PER_PICTURE * targets.len() as f32);
    parts.score = scalar(&score_loss);
    let total = match extra {
        Some(extra) => score_loss + extra,
        None => score_loss,
    };
    (total, parts)
}

fn scalar(x: &Tensor<1>) -> f32 {
    values(x.clone().detach()).values[0]
}

/// Σ |q − σ(x)|²·BCE(x, q) (generalised focal loss, Li et al. 2020, β = 2).
fn quality_focal(logits: Tensor<1>, quality: Tensor<1>) -> Tensor<1> {
    let gap = (quality.clone() - sigmoid(logits.clone())).square();
    // BCE with logits: −log σ(−x) − q·x.
    let entropy = log_sigmoid(logits.clone().neg()).neg() - logits * quality;
    (gap * entropy).sum()
}

/// Mean of 1 − IoU + (centre distance / enclosing diagonal)² (Zheng et al. 2020). [M, 4] distances around one point;
/// both boxes share it, so the overlap needs no positions.
fn diou_loss(got: Tensor<2>, wanted: &Tensor<2>) -> Tensor<1> {
    let side = |x: &Tensor<2>, i: usize| x.clone().narrow(1, i, 1);
    let area = |x: &Tensor<2>| (side(x, 0) + side(x, 2)) * (side(x, 1) + side(x, 3));
    let inner = got.clone().min_pair(wanted.clone());
    let outer = got.clone().max_pair(wanted.clone());
    let both = (side(&inner, 0) + side(&inner, 2)).clamp_min(0.0) * (side(&inner, 1) + side(&inner, 3)).clamp_min(0.0);
    let union = area(&got) + area(wanted) - both.clone();
    let overlap = both / union.clamp_min(1e-6);
    let centre = |x: &Tensor<2>, i: usize| (side(x, i + 2) - side(x, i)) * 0.5;
    let apart = (centre(&got, 0) - centre(wanted, 0)).square() + (centre(&got, 1) - centre(wanted, 1)).square();
    let diagonal = (side(&outer, 0) + side(&outer, 2)).square() + (side(&outer, 1) + side(&outer, 3)).square();
    (overlap.neg().add_scalar(1.0) + apart / diagonal.clamp_min(1e-6)).mean()
}

/// Mean smooth L1.
fn smooth_l1(got: Tensor<2>, wanted: &Tensor<2>) -> Tensor<1> {
    let gap = (got - wanted.clone()).abs();
    let near = gap.clone().clamp_max(SMOOTH);
    // Quadratic up to SMOOTH, then linear: near²/(2·SMOOTH) + (gap − near).
    (near.clone().square() / (2.0 * SMOOTH) + (gap - near)).mean()
}

struct Match<'a> {
    row: usize,
    anchor: Anchor,
    target: &'a Target,
}

fn matches<'a>(anchors: &[Anchor], targets: &'a [Vec<Target>]) -> Vec<Match<'a>> {
    let mut found = Vec::new();
    for (picture, faces) in targets.iter().enumerate() {
        if faces.is_empty() {
            continue;
        }
        let boxes: Vec<Corners> = faces.iter().map(|face| face.bbox).collect();
        for (i, owner) in assign(anchors, &boxes).into_iter().enumerate() {
            if let Some(face) = owner {
                found.push(Match { row: picture * anchors.len() + i, anchor: anchors[i], target: &faces[face] });
            }
        }
    }
    found
}

fn wanted_boxes(matches: &[Match], device: &Device) -> Tensor<2> {
    let data: Vec<f32> = matches
        .iter()
        .flat_map(|m| {
            let (a, b) = (&m.anchor, &m.target.bbox);
            [a.x - b[0], a.y - b[1], b[2] - a.x, b[3] - a.y].map(|v| v / a.stride)
        })
        .collect();
    Tensor::<1>::from_floats(&data[..], device).reshape([matches.len(), 4])
}

fn wanted_landmarks(matches: &[Match], device: &Device) -> Tensor<2> {
    let data: Vec<f32> = matches
        .iter()
        .flat_map(|m| {
            let a = m.anchor;
            m.target.landmarks.chunks(2).flat_map(move |p| [(p[0] - a.x) / a.stride, (p[1] - a.y) / a.stride])
        })
        .collect();
    Tensor::<1>::from_floats(&data[..], device).reshape([matches.len(), 10])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(x: [f32; 4]) -> Tensor<2> {
        Tensor::<1>::from_floats(x, &Device::flex()).reshape([1, 4])
    }

    #[test]
    fn diou_by_hand() {
        // Equal boxes; then twice as wide to the right: IoU 1/2, centres 1 apart, diagonal² 4 + 16.
        for (got, wanted, loss) in [([1.0; 4], [1.0; 4], 0.0), ([1.0, 1.0, 3.0, 1.0], [1.0; 4], 0.5 + 1.0 / 20.0)] {
            let value = scalar(&diou_loss(row(got), &row(wanted)));
            assert!((value - loss).abs() < 1e-5, "{value} {loss}");
        }
    }

    #[test]
    fn smooth_l1_by_hand() {
        for (gap, wanted) in [(0.0f32, 0.0f32), (0.05, 0.05 * 0.05 * 4.5), (1.0, 1.0 - 1.0 / 18.0)] {
            let got = scalar(&smooth_l1(row([gap; 4]), &row([0.0; 4])));
            assert!((got - wanted).abs() < 1e-5, "{got} {wanted}");
        }
    }

    #[test]
    fn the_focal_loss_by_hand_and_its_gradient_by_differences() {
        let device = Device::flex().autodiff();
        let by_hand = |x: f64, q: f64| {
            let p = 1.0 / (1.0 + (-x).exp());
            (q - p).powi(2) * -(q * p.ln() + (1.0 - q) * (1.0 - p).ln())
        };
        for (x, q) in [(0.3f64, 0.0f64), (-2.0, 0.8), (1.5, 0.9)] {
            let logits = Tensor::<1>::from_floats([x as f32], &device).require_grad();
            let quality = Tensor::<1>::from_floats([q as f32], &device);
            let loss = quality_focal(logits.clone(), quality);
            assert!((f64::from(scalar(&loss)) - by_hand(x, q)).abs() < 1e-5);
            let gradient = logits.grad(&loss.backward()).expect("a leaf has a gradient");
            let wanted = (by_hand(x + 1e-4, q) - by_hand(x - 1e-4, q)) / 2e-4;
            assert!((f64::from(values(gradient).values[0]) - wanted).abs() < 1e-4);
        }
    }

    #[test]
    fn the_gradient_of_every_head_is_that_of_the_loss() {
        use burn::optim::GradientsParams;

        use crate::assign::anchors;
        use crate::scrfd::{DetectorConfig, Scrfd};

        let device = Device::flex().autodiff();
        device.seed(5);
        let config = DetectorConfig { stages: [8, 8, 8, 8, 8], blocks: [0, 0, 0], neck: 8 };
        let net = Scrfd::new(&config, &device);
        let image = Tensor::<4>::random([2, 3, 64, 64], burn::tensor::Distribution::Default, &device);
        let targets = vec![
            vec![Target {
                bbox: [10.0, 12.0, 40.0, 48.0],
                landmarks: [17.0, 25.0, 32.0, 26.0, 25.0, 32.0, 19.0, 40.0, 31.0, 39.0],
            }],
            vec![],
        ];
        let run = |net: &Scrfd| loss(net.forward(image.clone()), &anchors(64, 64), &targets).0;
        let gradients = GradientsParams::from_grads(run(&net).backward(), &net);
        // Not the boxes: they also change the scores' target, through which no gradient flows on purpose.
        for (level, output) in [(0, 0), (0, 2), (1, 2)] {
            let bias = net.heads[level].out[output].bias.as_ref().expect("heads have biases");
            let gradient = gradients.get::<1>(bias.id).expect("each head learns");
            let gradient = values(gradient).values;
            for (i, &got) in gradient.iter().enumerate() {
                let moved = |by: f32| {
                    let mut net = net.clone();
                    let mut shifted = values(bias.val().detach()).values;
                    shifted[i] += by;
                    let out = &mut net.heads[level].out[output];
                    out.bias = Some(burn::module::Param::from_tensor(Tensor::from_floats(&shifted[..], &device)));
                    scalar(&run(&net))
                };
                let wanted = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((got - wanted).abs() < 2e-2, "level {level} output {output} bias {i}: {got} {wanted}");
            }
        }
    }
}
