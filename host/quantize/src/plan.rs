//! The layers that are to run in integers → the values that must be integers for that.
//!
//! ONNX Runtime (and TensorRT) turn a layer into an integer kernel when its inputs come out of DequantizeLinear and its
//! output, after the fused activation, goes into QuantizeLinear. Between two such layers everything should stay in
//! integers: additions, pools and concatenations are framed in the same way, and nodes that only move values
//! (Transpose, Reshape, MaxPool, nearest Resize) keep their input's scale, so that they work on bytes.

use std::collections::{BTreeMap, BTreeSet};

use lintel_onnx::ElementType;
use lintel_onnx::proto::NodeProto;

use super::Target;
use super::network::{Network, float_of, int_of, text_of};

/// A product of two activations with fewer multiplications than this is slower with the conversions around it.
const LEAST_PRODUCT: usize = 1_000_000;

/// What a layer multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Conv with constant weights `[O, I / groups, kh, kw]`.
    Conv {
        /// Groups of channels.
        groups: usize,
    },
    /// MatMul with constant weights `[I, O]`.
    MatMul,
    /// Gemm with constant weights, `[O, I]` when transposed, else `[I, O]`.
    Gemm {
        /// Whether each output has a row (transposed weights).
        transposed: bool,
    },
    /// MatMul of two activations, as in attention.
    Product,
}

/// A node that multiplies, and so gains from integers.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its index among the nodes.
    pub node: usize,
    /// Its name in tables: the node's name, or else its output's.
    pub name: String,
    /// What it multiplies.
    pub kind: Kind,
}

impl Layer {
    /// The weights' axis of output channels.
    pub fn axis(&self) -> i64 {
        match self.kind {
            Kind::Conv { .. } | Kind::Gemm { transposed: true } => 0,
            _ => 1,
        }
    }
}

/// All layers of a graph, in the order in which they run.
pub fn layers(network: &Network<'_>) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (at, node) in network.nodes().iter().enumerate() {
        if let Some(kind) = kind_of(network, node) {
            let name = if node.name.is_empty() { &node.output[0] } else { &node.name };
            layers.push(Layer { node: at, name: name.clone(), kind });
        }
    }
    layers
}

fn kind_of(network: &Network<'_>, node: &NodeProto) -> Option<Kind> {
    let [x, w, ..] = node.input.as_slice() else { return None };
    if !node.domain.is_empty() || node.output.len() != 1 || network.constant(x).is_some() {
        return None;
    }
    let rank = network.constant(w).filter(|w| w.data_type() == ElementType::F32).map(|w| w.dims.len());
    let constant_bias = node.input.get(2).is_none_or(|b| b.is_empty() || network.constant(b).is_some());
    match (node.op_type.as_str(), rank) {
        ("Conv", Some(4)) if constant_bias => {
            let groups = usize::try_from(int_of(node, "group", 1)).ok().filter(|groups| *groups > 0)?;
            Some(Kind::Conv { groups })
        }
        ("MatMul", Some(2)) => Some(Kind::MatMul),
        ("Gemm", Some(2))
            if constant_bias
                && (float_of(node, "alpha", 1.0), float_of(node, "beta", 1.0)) == (1.0, 1.0)
                && int_of(node, "transA", 0) == 0 =>
        {
            Some(Kind::Gemm { transposed: int_of(node, "transB", 0) != 0 })
        }
        ("MatMul", None) if network.constant(w).is_none() => {
            let inner = network.shape(x)?.1.last().copied().flatten()?;
            let products = network.elements(&node.output[0])?.checked_mul(inner)?;
            (products >= LEAST_PRODUCT).then_some(Kind::Product)
        }
        _ => None,
    }
}

/// What becomes integers.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Nodes that are to run in integers.
    pub nodes: BTreeSet<usize>,
    /// Values that get a scale, and the value whose scale it is: their own, or that of the value that they were moved
    /// from.
    pub values: BTreeMap<String, String>,
}

/// How the nodes between layers are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// Gets a scale of its own.
    Computes,
    /// Keeps its input's scale.
    Moves,
}

fn between(network: &Network<'_>, node: &NodeProto) -> Option<Between> {
    let data = |name: &String| !name.is_empty() && network.constant(name).is_none();
    if !node.domain.is_empty() || node.output.len() != 1 {
        return None;
    }
    match node.op_type.as_str() {
        "Add" if node.input.iter().all(data) => Some(Between::Computes),
        "Concat" if node.input.iter().all(data) => Some(Between::Computes),
        "AveragePool" | "GlobalAveragePool" => Some(Between::Computes),
        "MaxPool" | "Transpose" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => Some(Between::Moves),
        "Resize" if text_of(node, "mode") == b"nearest" => Some(Between::Moves),
        "Pad" if matches!(text_of(node, "mode"), b"" | b"constant") && node.input.len() == 2 => Some(Between::Moves),
        _ => None,
    }
}

/// The inputs of a node that are data and not parameters.
fn data_inputs(node: &NodeProto, kind: Option<Between>) -> &[String] {
    match (kind, node.op_type.as_str()) {
        (Some(Between::Moves), _) | (_, "AveragePool" | "GlobalAveragePool") => &node.input[..node.input.len().min(1)],
        _ => &node.input,
    }
}

/// The values that a node works on, without constants and parameters.
pub fn numbers<'g>(network: &Network<'_>, node: &'g NodeProto) -> Vec<&'g str> {
    let inputs = data_inputs(node, between(network, node)).iter().map(String::as_str);
    let constant = |name: &str| network.constant(name).is_some();
    inputs.filter(|name| !name.is_empty() && !constant(name)).collect()
}

/// The plan that runs the layers at `chosen` (indices of nodes) in integers, and with `between` also the nodes between
/// them. `given` are values that are integers from the start: pixels.
pub fn plan(
    network: &Network<'_>,
    all: &[Layer],
    chosen: &BTreeSet<usize>,
    with_between: bool,
    target: Target,
    given: &BTreeSet<String>,
) -> Plan {
    let mut plan = Plan::default();
    for value in given {
        plan.values.insert(value.clone(), value.clone());
    }
    let wanted = wanted(network, chosen, with_between);
    for (at, node) in network.nodes().iter().enumerate() {
        if chosen.contains(&at) {
            let Some(layer) = all.iter().find(|layer| layer.node == at) else { continue };
            let inputs = if layer.kind == Kind::Product { 2 } else { 1 };
            for input in &node.input[..inputs] {
                plan.own(input);
            }
            // A convolution without an integer output would run in float. Products may end in float.
            if matches!(layer.kind, Kind::Conv { .. })
                && let Some(output) = network.activated(node)
                && (target == Target::Cpu || wanted.contains(output))
            {
                plan.own(output);
            }
            plan.nodes.insert(at);
        } else if with_between
            && let Some(kind) = between(network, node)
            && let Some(output) = network.activated(node)
            && wanted.contains(output)
        {
            let inputs = data_inputs(node, Some(kind));
            let known = |input: &String| plan.values.contains_key(input);
            match kind {
                Between::Moves if known(&inputs[0]) => {
                    let root = plan.values[&inputs[0]].clone();
                    plan.values.insert(output.to_owned(), root);
                }
                Between::Computes if inputs.iter().any(known) => {
                    inputs.iter().for_each(|input| plan.own(input));
                    plan.own(output);
                }
                _ => continue,
            }
            plan.nodes.insert(at);
        }
    }
    plan
}

/// Values that a chosen layer reads, directly or through nodes that can be integers too.
fn wanted<'g>(network: &Network<'g>, chosen: &BTreeSet<usize>, with_between: bool) -> BTreeSet<&'g str> {
    let mut wanted = BTreeSet::new();
    for (at, node) in network.nodes().iter().enumerate().rev() {
        if chosen.contains(&at) {
            wanted.extend(node.input.iter().map(String::as_str));
        } else if with_between
            && let kind @ Some(_) = between(network, node)
            && network.activated(node).is_some_and(|output| wanted.contains(output))
        {
            wanted.extend(data_inputs(node, kind).iter().map(String::as_str));
        }
    }
    wanted
}

impl Plan {
    fn own(&mut self, value: &str) {
        self.values.entry(value.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// Values that need a scale of their own.
    pub fn roots(&self) -> BTreeSet<&str> {
        self.values.values().map(String::as_str).collect()
    }
}
