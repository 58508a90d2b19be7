//! Pixels that a graph converts to floats → pixels that its first convolution reads as bytes.
//!
//! A model that takes u8 begins with Cast and a subtraction of the mean, perhaps a division: work on every pixel, and
//! its result would be rounded to bytes again. Bytes are quantised already, with a scale of 1. So DequantizeLinear
//! replaces that arithmetic, with the zero point at the mean of the means. The rest moves into the first convolution:
//! factors into its weights, and the differences between the channels' means into one more, constant channel of pixels,
//! whose padding is zero like that of the centred picture. A term in the bias would be wrong at the borders.

use std::collections::BTreeSet;

use lintel_onnx::proto::{ModelProto, NodeProto, TensorProto};
use lintel_onnx::{ElementType, f32_values};

use super::QuantizeError;
use super::network::{Network, int_of, ints_of, text_of};
use super::rewrite::{floats, node, raw};

/// Channels whose means are this close to the zero point need no channel of their own: half of a pixel's step.
const NEAR: f64 = 0.5;
/// Prefix of the names of new values.
const PREFIX: &str = "lintel.feed";

/// The beginning of a graph.
struct Head {
    /// The nodes that turn bytes into centred floats, in order; the last one gives `value`.
    nodes: Vec<usize>,
    /// The bytes, planes first, and the centred floats.
    planes: String,
    value: String,
    /// value = factor · (byte − mean), by channel.
    means: Vec<f64>,
    factors: Vec<f64>,
    /// The convolutions that read it, directly or through pools and padding.
    convolutions: Vec<usize>,
}

/// Feeds the first convolution with bytes, if the graph begins that way. Returns the values that now come out of a
/// DequantizeLinear, with scale and zero point; empty if the graph begins otherwise and was not changed.
///
/// # Errors
/// [`QuantizeError`] when a weight contradicts its shape.
pub fn feed_bytes(model: &mut ModelProto) -> Result<Option<(String, i32)>, QuantizeError> {
    let Some(head) = find(&Network::of(model)?)? else { return Ok(None) };
    let mean = head.means.iter().sum::<f64>() / head.means.len() as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a pixel's value")]
    let zero = mean.round().clamp(0.0, 255.0) as i32;
    // byte − mean = (byte − zero) + rest
    let rests: Vec<f64> = head.means.iter().map(|mean| f64::from(zero) - mean).collect();
    let extra = rests.iter().any(|rest| rest.abs() > NEAR);
    // The constant channel is as far from the zero point as bytes allow, so that its weights are small.
    let constant = if zero < 128 { 255 } else { 0 };
    let graph = model.graph.as_mut().ok_or(lintel_onnx::OnnxError::NoGraph)?;
    for &at in &head.convolutions {
        let names = [format!("{PREFIX}.weight.{at}"), format!("{PREFIX}.bias.{at}")];
        let [weight, bias] = moved(&graph.node[at], &graph.initializer, &head, &rests, extra, constant - zero, names)?;
        let conv = &mut graph.node[at];
        conv.input.resize(3, String::new());
        conv.input[1].clone_from(&weight.name);
        conv.input[2].clone_from(&bias.name);
        graph.initializer.extend([weight, bias]);
    }

    let [scale, zero_name] = [format!("{PREFIX}.scale"), format!("{PREFIX}.zero")];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are pixels' values")]
    let [zero_byte, constant_byte] = [zero as u8, constant as u8];
    graph.initializer.push(floats(&scale, &[], &[1.0]));
    graph.initializer.push(raw(&zero_name, ElementType::U8, &[], vec![zero_byte]));
    let mut first = Vec::new();
    let mut bytes = head.planes.clone();
    if extra {
        let pads: Vec<u8> = [0i64, 0, 0, 0, 0, 1, 0, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let [pads_name, constant] = [format!("{PREFIX}.pads"), format!("{PREFIX}.constant")];
        graph.initializer.push(raw(&pads_name, ElementType::I64, &[8], pads));
        graph.initializer.push(raw(&constant, ElementType::U8, &[], vec![constant_byte]));
        let widened = format!("{PREFIX}.widened");
        first.push(node("Pad", &[&bytes, &pads_name, &constant], &widened));
        bytes = widened;
    }
    let value = format!("{PREFIX}.pixels");
    first.push(node("DequantizeLinear", &[&bytes, &scale, &zero_name], &value));
    for node in &mut graph.node {
        for input in node.input.iter_mut().filter(|input| **input == head.value) {
            input.clone_from(&value);
        }
    }
    let last = head.nodes[head.nodes.len() - 1];
    graph.node.splice(last..=last, first);
    let dead: BTreeSet<usize> = head.nodes[..head.nodes.len() - 1].iter().copied().collect();
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !dead.contains(&(at - 1))
    });
    // Sizes recorded after it were written for three channels.
    graph.value_info.clear();
    Ok(Some((value, zero)))
}

fn find(network: &Network<'_>) -> Result<Option<Head>, QuantizeError> {
    let [input] = network.graph().input.as_slice() else { return Ok(None) };
    let Some((ElementType::U8, dims)) = network.shape(&input.name) else { return Ok(None) };
    let only = |value: &str| match network.consumers(value) {
        &[reader] if !network.is_output(value) => Some((reader, &network.nodes()[reader])),
        _ => None,
    };
    let mut planes = input.name.clone();
    let mut channels = dims.get(1).copied().flatten();
    if let Some((_, transpose)) = only(&planes)
        && transpose.op_type == "Transpose"
        && ints_of(transpose, "perm") == [0, 3, 1, 2]
    {
        planes.clone_from(&transpose.output[0]);
        channels = dims.get(3).copied().flatten();
    }
    let (Some(channels), 4) = (channels.filter(|c| (1..=4).contains(c)), dims.len()) else { return Ok(None) };
    let Some((cast, node)) = only(&planes) else { return Ok(None) };
    if node.op_type != "Cast" || int_of(node, "to", 0) != i64::from(i32::from(ElementType::F32)) {
        return Ok(None);
    }
    let mut head = Head {
        nodes: vec![cast],
        planes,
        value: node.output[0].clone(),
        means: vec![0.0; channels],
        factors: vec![1.0; channels],
        convolutions: Vec::new(),
    };
    while let Some((at, node)) = only(&head.value)
        && let Some(by_channel) = constant_operand(network, node, &head.value, channels)?
    {
        for ((mean, factor), by) in head.means.iter_mut().zip(&mut head.factors).zip(by_channel) {
            match node.op_type.as_str() {
                "Sub" => *mean += by / *factor,
                "Add" => *mean -= by / *factor,
                "Mul" => *factor *= by,
                _ => *factor /= by,
            }
        }
        head.nodes.push(at);
        head.value.clone_from(&node.output[0]);
    }
    let sound = head.factors.iter().all(|f| f.is_normal()) && head.means.iter().all(|m| (0.0..=255.0).contains(m));
    if head.nodes.len() < 2 || !sound || !readers(network, &head.value, channels, &mut head.convolutions) {
        return Ok(None);
    }
    Ok(Some(head))
}

/// The constant that an arithmetic node applies to `value`, by channel; `None` if it is another node.
fn constant_operand(
    network: &Network<'_>,
    node: &NodeProto,
    value: &str,
    channels: usize,
) -> Result<Option<Vec<f64>>, QuantizeError> {
    let [a, b] = node.input.as_slice() else { return Ok(None) };
    let other = match node.op_type.as_str() {
        "Sub" | "Add" | "Mul" | "Div" if a == value => b,
        "Add" | "Mul" if b == value => a,
        _ => return Ok(None),
    };
    let Some(constant) = network.constant(other).filter(|c| c.data_type() == ElementType::F32) else {
        return Ok(None);
    };
    let values: Vec<f64> = f32_values(constant)?.into_iter().map(f64::from).collect();
    let wide = i64::try_from(channels).unwrap_or(i64::MAX);
    Ok(match (values.len(), constant.dims.as_slice()) {
        (1, dims) if dims.len() <= 4 => Some(vec![values[0]; channels]),
        (_, [1, c, 1, 1] | [c, 1, 1]) if *c == wide => Some(values),
        _ => None,
    })
}

/// Whether everything that reads `value` is a convolution, or a pool or padding before one, which a constant channel
/// passes like the others.
fn readers(network: &Network<'_>, value: &str, channels: usize, found: &mut Vec<usize>) -> bool {
    let all = network.consumers(value);
    !all.is_empty()
        && !network.is_output(value)
        && all.iter().all(|&at| {
            let node = &network.nodes()[at];
            if !node.domain.is_empty() || node.output.len() != 1 || node.input[0] != value {
                return false;
            }
            match node.op_type.as_str() {
                "Conv" => {
                    let sees = |name: &String| network.constant(name).and_then(|w| w.dims.get(1).copied());
                    let fits = int_of(node, "group", 1) == 1
                        && node.input.get(1).and_then(sees).and_then(|c| usize::try_from(c).ok()) == Some(channels)
                        && node.input.get(2).is_none_or(|b| b.is_empty() || network.constant(b).is_some());
                    if fits && !found.contains(&at) {
                        found.push(at);
                    }
                    fits
                }
                "AveragePool" => readers(network, &node.output[0], channels, found),
                "Pad" => {
                    let constant = matches!(text_of(node, "mode"), b"" | b"constant");
                    constant && node.input.len() == 2 && readers(network, &node.output[0], channels, found)
                }
                _ => false,
            }
        })
}

/// A convolution's weights and bias for bytes.
fn moved(
    conv: &NodeProto,
    constants: &[TensorProto],
    head: &Head,
    rests: &[f64],
    extra: bool,
    constant: i32,
    [weight_name, bias_name]: [String; 2],
) -> Result<[TensorProto; 2], QuantizeError> {
    let find = |name: &String| constants.iter().find(|c| c.name == *name);
    let wrong = || super::network::form(format!("has no constant weights for {}", conv.name));
    let old = find(&conv.input[1]).ok_or_else(wrong)?;
    let values = f32_values(old)?;
    let sizes: Vec<usize> = old.dims.iter().filter_map(|&d| usize::try_from(d).ok()).collect();
    let &[outputs, channels, kh, kw] = sizes.as_slice() else { return Err(wrong()) };
    let taps = kh * kw;
    let mut bias: Vec<f64> = match conv.input.get(2).filter(|name| !name.is_empty()) {
        Some(name) => f32_values(find(name).ok_or_else(wrong)?)?.into_iter().map(f64::from).collect(),
        None => vec![0.0; outputs],
    };
    if bias.len() != outputs || taps == 0 {
        return Err(wrong());
    }
    let mut weight: Vec<f32> = Vec::with_capacity(outputs * (channels + 1) * taps);
    for (row, bias) in values.chunks_exact(channels * taps).zip(&mut bias) {
        let mut shift = vec![0.0; taps];
        for (i, &w) in row.iter().enumerate() {
            let scaled = f64::from(w) * head.factors[i / taps];
            shift[i % taps] += scaled * rests[i / taps];
            weight.push(as_f32(scaled));
        }
        if extra {
            weight.extend(shift.iter().map(|s| as_f32(s / f64::from(constant))));
        } else {
            *bias += shift.iter().sum::<f64>();
        }
    }
    let mut dims = old.dims.clone();
    dims[1] += i64::from(extra);
    let bias: Vec<f32> = bias.into_iter().map(as_f32).collect();
    Ok([floats(&weight_name, &dims, &weight), floats(&bias_name, &[old.dims[0]], &bias)])
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn as_f32(value: f64) -> f32 {
    value as f32
}
