//! Trained detector → an ONNX graph in the published SCRFD form.
//!
//! Input `input.1`: f32 `[1, 3, H, W]`, RGB, (x − 127.5) / 128. Outputs, strides 8, 16, 32: three of scores `[n, 1]`
//! after the sigmoid, three of box distances `[n, 4]` and three of landmark offsets `[n, 10]` in strides;
//! n = H/s · W/s · 2.

use burn::nn::conv::Conv2d;
use lintel_clip::weights::NamedTensor;
use lintel_onnx::{Dim, ElementType, GraphBuilder, Value, Window, write};

use crate::assign::STRIDES;
use crate::layers::{ConvNorm, values};
use crate::scrfd::{Block, PER_CELL, Scrfd};

/// The operating point at which the file's scores are those of the network.
pub const AS_TRAINED: f32 = 0.5;
/// Names and widths of a head's three outputs.
const OUTPUTS: [(&str, usize); 3] = [("score", 1), ("bbox", 4), ("kps", 10)];

/// The file's bytes, for frames of `width`×`height` (multiples of 32). Scores are shifted so that the network's
/// `operating_point` becomes 0.5, the product's threshold.
pub fn export(net: &Scrfd, width: usize, height: usize, operating_point: f32) -> Vec<u8> {
    let mut graph = GraphBuilder::new("scrfd");
    let input = [1, 3, height, width].map(Dim::Fixed);
    let mut x = graph.input("input.1", ElementType::F32, &input);
    for (i, conv) in net.stem.iter().enumerate() {
        x = folded(&mut graph, &format!("stem{i}"), &x, conv, (3, 2), true);
    }
    let mut levels = Vec::new();
    for (i, stage) in net.stages.iter().enumerate() {
        for (j, unit) in stage.iter().enumerate() {
            x = block(&mut graph, &format!("stage{i}.{j}"), &x, unit);
        }
        levels.push(folded(&mut graph, &format!("lateral{i}"), &x, &net.laterals[i], (1, 1), true));
    }
    for i in [1, 0] {
        let up = graph.upsample_nearest(&format!("up{i}"), &levels[i + 1], 2);
        levels[i] = graph.add(&format!("topdown{i}"), &levels[i], &up);
    }
    for (i, level) in levels.iter_mut().enumerate() {
        *level = folded(&mut graph, &format!("smooth{i}"), level, &net.smooth[i], (3, 1), true);
    }
    for i in 0..2 {
        let down = folded(&mut graph, &format!("down{i}"), &levels[i], &net.down[i], (3, 2), true);
        let sum = graph.add(&format!("bottomup{i}"), &levels[i + 1], &down);
        levels[i + 1] = folded(&mut graph, &format!("merge{i}"), &sum, &net.merge[i], (3, 1), true);
    }
    let score_shift = -(operating_point / (1.0 - operating_point)).ln();
    for (output, (what, columns)) in OUTPUTS.into_iter().enumerate() {
        for (i, level) in levels.iter().enumerate() {
            let rows = height / STRIDES[i] * (width / STRIDES[i]) * PER_CELL;
            let value = head_output(&mut graph, net, (i, output), level, score_shift);
            graph.output_as(
                &format!("{what}_{}", STRIDES[i]),
                &value,
                ElementType::F32,
                &[Dim::Fixed(rows), Dim::Fixed(columns)],
            );
        }
    }
    write(&graph.finish())
}

/// A level's output, cells before anchors before columns. The tower before it is written with the first output.
fn head_output(
    graph: &mut GraphBuilder,
    net: &Scrfd,
    (level, output): (usize, usize),
    x: &Value,
    score_shift: f32,
) -> Value {
    let head = &net.heads[level];
    let (what, columns) = OUTPUTS[output];
    let mut x = x.clone();
    for (j, conv) in head.tower.iter().enumerate() {
        let name = format!("head{level}.{j}");
        x = if output == 0 { folded(graph, &name, &x, conv, (3, 1), true) } else { Value::named(name) };
    }
    let name = format!("head{level}.{what}");
    // The learned factor on the boxes goes into the convolution.
    let factor = if what == "bbox" { values(head.scale.val()).values[0] } else { 1.0 };
    let shift = if what == "score" { score_shift } else { 0.0 };
    let y = biased(graph, &name, &x, &head.out[output], (factor, shift));
    let y = graph.transpose(&format!("{name}.cells"), &y, &[0, 2, 3, 1]);
    let y = graph.reshape(&format!("{name}.rows"), &y, &[-1, columns as i64]);
    if what == "score" { graph.sigmoid(&format!("{name}.sigmoid"), &y) } else { y }
}

fn block(graph: &mut GraphBuilder, name: &str, x: &Value, unit: &Block) -> Value {
    let stride = if unit.shortcut.is_some() { 2 } else { 1 };
    let y = folded(graph, &format!("{name}.first"), x, &unit.first, (3, stride), true);
    let y = folded(graph, &format!("{name}.second"), &y, &unit.second, (3, 1), false);
    let shortcut = match &unit.shortcut {
        Some(conv) => folded(graph, &format!("{name}.shortcut"), x, conv, (1, stride), false),
        None => x.clone(),
    };
    let sum = graph.add(&format!("{name}.sum"), &y, &shortcut);
    graph.relu(name, &sum)
}

fn folded(
    graph: &mut GraphBuilder,
    name: &str,
    x: &Value,
    conv: &ConvNorm,
    (kernel, stride): (usize, usize),
    relu: bool,
) -> Value {
    let (weight, bias) = conv.folded();
    let conv_name = if relu { format!("{name}.conv") } else { name.to_owned() };
    let y = convolution(graph, &conv_name, x, &weight, &bias, (kernel, stride));
    if relu { graph.relu(name, &y) } else { y }
}

fn biased(graph: &mut GraphBuilder, name: &str, x: &Value, conv: &Conv2d, (factor, shift): (f32, f32)) -> Value {
    let mut weight = values(conv.weight.val());
    let mut bias = conv
        .bias
        .as_ref()
        .map_or_else(|| NamedTensor::new(vec![weight.shape[0]], vec![0.0; weight.shape[0]]), |bias| values(bias.val()));
    weight.values.iter_mut().chain(&mut bias.values).for_each(|v| *v *= factor);
    bias.values.iter_mut().for_each(|v| *v += shift);
    convolution(graph, name, x, &weight, &bias, (3, 1))
}

fn convolution(
    graph: &mut GraphBuilder,
    name: &str,
    x: &Value,
    weight: &NamedTensor,
    bias: &NamedTensor,
    (kernel, stride): (usize, usize),
) -> Value {
    let weight = graph.constant(&format!("{name}.weight"), weight.parts());
    let bias = graph.constant(&format!("{name}.bias"), bias.parts());
    graph.conv(name, x, &weight, Some(&bias), Window::square(kernel, stride, kernel / 2), 1)
}

#[cfg(test)]
mod tests {
    use burn::prelude::Device;

    use super::*;
    use crate::detector::SHAPE;

    #[test]
    fn the_outputs_are_in_the_published_form() {
        let net = Scrfd::new(&SHAPE, &Device::flex());
        let model = lintel_onnx::read(&export(&net, 640, 480, AS_TRAINED)).expect("the written file can be read");
        let graph = model.graph.expect("a model has a graph");
        let outputs: Vec<Vec<Option<usize>>> =
            graph.output.iter().map(|info| lintel_onnx::dims_of(info).expect("outputs have shapes").1).collect();
        let wanted =
            [[9600, 1], [2400, 1], [600, 1], [9600, 4], [2400, 4], [600, 4], [9600, 10], [2400, 10], [600, 10]];
        assert_eq!(outputs, wanted.map(|row| row.map(Some).to_vec()));
    }
}
