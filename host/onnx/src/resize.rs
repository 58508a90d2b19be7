//! A detector's graph of one input size → the same graph for another.
//!
//! A network of convolutions has no fixed size. Fixed sizes come from the exporter: the shapes of values and, in files
//! that a simplifier has folded, constants for how far a feature map is upsampled (`Resize`) and how many anchors an
//! output is reshaped to (`Reshape`). They follow from the input's size, and this module computes them for the new one.

use lintel_core::detect::{STRIDES, rows};

use crate::proto::{DimensionValue, GraphProto, NodeProto, TensorProto, TypeValue};
use crate::{ElementType, i64_values};

/// Width and height in pixels.
type Size = (usize, usize);
/// Strides at which SCRFD has feature maps.
const MAP_STRIDES: [usize; 4] = [4, 8, 16, 32];

/// Rewrites what depends on the input's size. `from` is the size that the file was written for, if it is fixed.
pub(super) fn resize(graph: &mut GraphProto, from: (Option<usize>, Option<usize>), to: Size) {
    let from = from.0.zip(from.1);
    if from == Some(to) {
        return;
    }
    // Hints for readers; ONNX Runtime finds the shapes by itself.
    graph.value_info.clear();
    for output in &mut graph.output {
        let Some(TypeValue::Tensor(tensor)) = output.r#type.as_mut().and_then(|t| t.value.as_mut()) else { continue };
        for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            if let (Some(DimensionValue::Value(size)), Some(from)) = (&mut dim.value, from) {
                *size = anchors(*size, from, to);
            }
        }
    }
    let Some(from) = from else { return };
    for index in 0..graph.node.len() {
        let rewritten = match graph.node[index].op_type.as_str() {
            "Reshape" => rewrite(graph, index, 1, |shape| shape.iter().map(|&n| anchors(n, from, to)).collect()),
            "Resize" => rewrite(graph, index, 3, |sizes| map(sizes, from, to)),
            _ => None,
        };
        if let Some(constant) = rewritten {
            // A graph that was resized before already has this name.
            graph.initializer.retain(|old| old.name != constant.name);
            graph.initializer.push(constant);
        }
    }
}

/// The number of anchors of one stride at the new size, if `n` is the number at the old size; `n` otherwise.
fn anchors(n: i64, from: Size, to: Size) -> i64 {
    let count = |(width, height): Size, stride| i64::try_from(rows((width as u32, height as u32), stride)).ok();
    let stride = STRIDES.into_iter().find(|&stride| count(from, stride) == Some(n));
    stride.and_then(|stride| count(to, stride)).unwrap_or(n)
}

/// `[.., h, w]` of a feature map at the new size, if it is that of a map at the old size.
fn map(sizes: &[i64], from: Size, to: Size) -> Vec<i64> {
    let mut new = sizes.to_vec();
    let side = |pixels: usize, stride: usize| i64::try_from(pixels / stride).unwrap_or(i64::MAX);
    if let [.., height, width] = new.as_mut_slice()
        && let Some(stride) = MAP_STRIDES.into_iter().find(|&s| (*width, *height) == (side(from.0, s), side(from.1, s)))
    {
        (*width, *height) = (side(to.0, stride), side(to.1, stride));
    }
    new
}

/// Replaces the constant at a node's input `place`, if the input is a constant and changes: the new constant.
fn rewrite(
    graph: &mut GraphProto,
    node: usize,
    place: usize,
    change: impl Fn(&[i64]) -> Vec<i64>,
) -> Option<TensorProto> {
    let name = graph.node[node].input.get(place).filter(|name| !name.is_empty())?;
    let old = i64_values(constant(graph, name)?).ok()?;
    let new = change(&old);
    if new == old {
        return None;
    }
    // Another node may share the old constant with another meaning.
    let name = format!("lintel.resized.{node}");
    graph.node[node].input[place].clone_from(&name);
    Some(TensorProto {
        dims: vec![i64::try_from(new.len()).ok()?],
        data_type: ElementType::I64.into(),
        name,
        raw_data: Some(new.iter().flat_map(|n| n.to_le_bytes()).collect()),
        ..TensorProto::default()
    })
}

fn constant<'g>(graph: &'g GraphProto, name: &str) -> Option<&'g TensorProto> {
    let made = |node: &&NodeProto| node.op_type == "Constant" && node.output.iter().any(|output| output == name);
    let attribute = || graph.node.iter().find(made)?.attribute.iter().find(|a| a.name == "value")?.t.as_ref();
    graph.initializer.iter().find(|tensor| tensor.name == name).or_else(attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_and_maps_follow_the_size() {
        let (from, to) = ((640, 640), (480, 320));
        for (old, new) in [(12800, 4800), (3200, 1200), (800, 300), (1, 1), (4, 4), (10, 10), (-1, -1)] {
            assert_eq!(anchors(old, from, to), new);
        }
        let check = |sizes: &[i64], expected: &[i64]| assert_eq!(map(sizes, from, to), expected);
        check(&[1, 56, 40, 40], &[1, 56, 20, 30]);
        check(&[1, 56, 80, 80], &[1, 56, 40, 60]);
        check(&[80, 80], &[40, 60]);
        check(&[1, 56, 41, 40], &[1, 56, 41, 40]);
        check(&[], &[]);
    }
}
