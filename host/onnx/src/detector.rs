//! A published SCRFD detector → the form that bundles hold: input u8 `[1, H, W, 3]` RGB, fixed size.
//!
//! The published files take f32 `[1, 3, H, W]`, pixels as (x − 127.5) / 128. Here these steps become the first nodes of
//! the graph, so that a door needs no code for them. [`resize`](super::resize) changes a size that an exporter fixed.

use super::resize::resize;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::{Dim, ElementType, OnnxError, dims_of, int, ints, read, value_info, write};

/// Name of the new input.
pub const INPUT: &str = "lintel.frame";
/// What SCRFD subtracts from a pixel.
const PIXEL_MEAN: f32 = 127.5;
/// The divisor after the subtraction.
const PIXEL_SCALE: f32 = 128.0;
/// The stride of SCRFD's coarsest level: sides must be multiples of it.
const COARSEST_STRIDE: usize = 32;
/// The longest side that is accepted, in pixels.
const MAX_SIDE: usize = 8192;

/// Puts the conversion of pixels in front of a detector and fixes its input size.
///
/// `size` is (width, height) in pixels, multiples of 32; without it the detector keeps its own, which must then be
/// fixed. A detector that already takes u8 `[1, H, W, 3]` of that size is returned unchanged. Only a run shows whether
/// a detector of fixed size works at another one: open the result before you trust it.
///
/// # Errors
/// [`OnnxError`] when the bytes are no model, or the model has another input than SCRFD's.
pub fn with_u8_input(detector: &[u8], size: Option<(u32, u32)>) -> Result<Vec<u8>, OnnxError> {
    let mut model = read(detector)?;
    let graph = model.graph.as_mut().ok_or(OnnxError::NoGraph)?;
    let index = only_input(graph)?;
    let (element, dims) = dims_of(&graph.input[index])?;
    match (element, dims.as_slice()) {
        (ElementType::U8, &[_, height, width, Some(3)]) => {
            let (width, height) = fixed_size([width, height], size)?;
            if dims == [Some(1), Some(height), Some(width), Some(3)] {
                return Ok(detector.to_vec());
            }
            let name = graph.input[index].name.clone();
            graph.input[index] = value_info(&name, ElementType::U8, &frame_dims(width, height));
            resize(graph, (dims[2], dims[1]), (width, height));
        }
        (ElementType::F32, &[batch, Some(3) | None, height, width]) if batch.is_none_or(|b| b == 1) => {
            let (to_width, to_height) = fixed_size([width, height], size)?;
            prefix(graph, index, to_width, to_height)?;
            resize(graph, (width, height), (to_width, to_height));
        }
        _ => {
            return Err(form(format!("input is {element:?} {dims:?}, wanted F32 [1, 3, H, W] or U8 [1, H, W, 3]")));
        }
    }
    Ok(write(&model))
}

fn frame_dims(width: usize, height: usize) -> [Dim; 4] {
    [Dim::Fixed(1), Dim::Fixed(height), Dim::Fixed(width), Dim::Fixed(3)]
}

/// Index of the one input that is not a weight; old files list their weights as inputs too.
pub(super) fn only_input(graph: &GraphProto) -> Result<usize, OnnxError> {
    let is_weight = |name: &str| graph.initializer.iter().any(|t| t.name == name);
    let fed: Vec<usize> = (0..graph.input.len()).filter(|&i| !is_weight(&graph.input[i].name)).collect();
    match fed.as_slice() {
        &[index] => Ok(index),
        _ => Err(form(format!("has {} inputs, wanted 1", fed.len()))),
    }
}

/// The size of the detector's input: the one asked for, or its own.
fn fixed_size(dims: [Option<usize>; 2], asked: Option<(u32, u32)>) -> Result<(usize, usize), OnnxError> {
    let asked = asked.map(|(w, h)| [w as usize, h as usize]);
    let mut size = [0; 2];
    for (i, side) in ["width", "height"].into_iter().enumerate() {
        size[i] = asked
            .map(|a| a[i])
            .or(dims[i])
            .ok_or_else(|| form(format!("input has a free {side} and none was asked for")))?;
        if size[i] == 0 || size[i] % COARSEST_STRIDE != 0 || size[i] > MAX_SIDE {
            return Err(form(format!(
                "input has a {side} of {}, wanted a multiple of {COARSEST_STRIDE} up to {MAX_SIDE}",
                size[i]
            )));
        }
    }
    Ok((size[0], size[1]))
}

fn prefix(graph: &mut GraphProto, index: usize, width: usize, height: usize) -> Result<(), OnnxError> {
    let names = ["lintel.planes", "lintel.float", "lintel.centred", "lintel.mean", "lintel.scale"];
    let taken = |name: &str| {
        graph.node.iter().any(|n| n.output.iter().any(|o| o == name))
            || graph.initializer.iter().any(|t| t.name == name)
    };
    if let Some(name) = names.iter().chain(&[INPUT]).find(|name| taken(name)) {
        return Err(form(format!("already has a value called {name}")));
    }
    let frame = value_info(INPUT, ElementType::U8, &frame_dims(width, height));
    let old = std::mem::replace(&mut graph.input[index], frame).name;

    let [planes, float, centred, mean, scale] = names;
    graph.initializer.extend([scalar(mean, PIXEL_MEAN), scalar(scale, PIXEL_SCALE)]);
    let first = [
        node("Transpose", &[INPUT], planes, vec![ints("perm", &[0, 3, 1, 2])]),
        node("Cast", &[planes], float, vec![int("to", i64::from(i32::from(ElementType::F32)))]),
        node("Sub", &[float, mean], centred, vec![]),
        node("Div", &[centred, scale], &old, vec![]),
    ];
    graph.node.splice(0..0, first);
    Ok(())
}

fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<crate::proto::AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&i| i.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: format!("lintel.{}", op.to_lowercase()),
        op_type: op.to_owned(),
        attribute,
        ..NodeProto::default()
    }
}

fn scalar(name: &str, value: f32) -> TensorProto {
    TensorProto {
        data_type: ElementType::F32.into(),
        name: name.to_owned(),
        raw_data: Some(value.to_le_bytes().to_vec()),
        ..TensorProto::default()
    }
}

fn form(what: String) -> OnnxError {
    OnnxError::Form { what }
}
