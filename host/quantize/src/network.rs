//! A graph → for each value the node that gives it, the nodes that read it, its size, and whether it is a constant.

use std::collections::{BTreeMap, BTreeSet};

use lintel_onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use lintel_onnx::{ElementType, OnnxError, dims_of};

use super::QuantizeError;

/// The most nodes of a graph that is accepted.
const MAX_NODES: usize = 50_000;

/// For each value of a graph, the node that gives it and the nodes that read it.
#[derive(Debug)]
pub struct Network<'g> {
    graph: &'g GraphProto,
    producers: BTreeMap<&'g str, usize>,
    consumers: BTreeMap<&'g str, Vec<usize>>,
    constants: BTreeMap<&'g str, &'g TensorProto>,
    outputs: BTreeSet<&'g str>,
    shapes: BTreeMap<&'g str, (ElementType, Vec<Option<usize>>)>,
}

impl<'g> Network<'g> {
    /// Reads the graph of a model.
    ///
    /// # Errors
    /// [`QuantizeError`] when the graph is not sound: a value that no node or two nodes give, nodes out of order,
    /// branches and loops, quantised already.
    pub fn of(model: &'g ModelProto) -> Result<Self, QuantizeError> {
        let graph = model.graph.as_ref().ok_or(OnnxError::NoGraph)?;
        if graph.node.len() > MAX_NODES {
            return Err(form(format!("has {} nodes, at most {MAX_NODES} are accepted", graph.node.len())));
        }
        if !model.functions.is_empty() {
            return Err(form("has functions of its own, wanted plain operators".to_owned()));
        }
        let mut network = Self {
            graph,
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            constants: BTreeMap::new(),
            outputs: graph.output.iter().map(|output| output.name.as_str()).collect(),
            shapes: BTreeMap::new(),
        };
        let mut known = BTreeSet::new();
        for constant in &graph.initializer {
            if constant.data_location == Some(1) || !constant.external_data.is_empty() {
                return Err(form(format!("keeps the values of {} in another file", constant.name)));
            }
            network.constants.insert(&constant.name, constant);
            known.insert(constant.name.as_str());
        }
        known.extend(graph.input.iter().map(|input| input.name.as_str()));
        for (at, node) in graph.node.iter().enumerate() {
            network.add(at, node, &mut known)?;
        }
        if let Some(missing) = network.outputs.iter().find(|name| !known.contains(*name)) {
            return Err(form(format!("has an output {missing} that no node gives")));
        }
        for info in graph.value_info.iter().chain(&graph.input).chain(&graph.output) {
            if let Ok(shape) = dims_of(info) {
                network.shapes.insert(&info.name, shape);
            }
        }
        Ok(network)
    }

    fn add(&mut self, at: usize, node: &'g NodeProto, known: &mut BTreeSet<&'g str>) -> Result<(), QuantizeError> {
        if node.attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty()) {
            return Err(form(format!("has a branch or a loop ({} {}), wanted a plain graph", node.op_type, node.name)));
        }
        if matches!(node.op_type.as_str(), "QuantizeLinear" | "DynamicQuantizeLinear" | "QLinearConv") {
            return Err(form(format!("is quantised already ({} {})", node.op_type, node.name)));
        }
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            if !known.contains(input.as_str()) {
                return Err(form(format!("reads {input} in {} {} before a node gives it", node.op_type, node.name)));
            }
            self.consumers.entry(input).or_default().push(at);
        }
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(output) {
                return Err(form(format!("gives the value {output} twice")));
            }
            self.producers.insert(output, at);
        }
        Ok(())
    }

    /// The ONNX graph that was indexed.
    pub fn graph(&self) -> &'g GraphProto {
        self.graph
    }

    /// The nodes in execution order.
    pub fn nodes(&self) -> &'g [NodeProto] {
        &self.graph.node
    }

    /// The node that gives `value`; `None` for inputs and constants.
    pub fn producer(&self, value: &str) -> Option<usize> {
        self.producers.get(value).copied()
    }

    /// The nodes that read `value`, once for each time that they do.
    pub fn consumers(&self, value: &str) -> &[usize] {
        self.consumers.get(value).map_or(&[], Vec::as_slice)
    }

    /// The constant called `name`.
    pub fn constant(&self, name: &str) -> Option<&'g TensorProto> {
        self.constants.get(name).copied()
    }

    /// Whether `value` is an output of the graph.
    pub fn is_output(&self, value: &str) -> bool {
        self.outputs.contains(value)
    }

    /// Element type and sizes of `value`, if the file gives them.
    pub fn shape(&self, value: &str) -> Option<&(ElementType, Vec<Option<usize>>)> {
        self.shapes.get(value)
    }

    /// Number of elements of one sample, with open sizes counted as one; `None` if the file does not give it.
    pub fn elements(&self, value: &str) -> Option<usize> {
        let (_, dims) = self.shape(value)?;
        dims.iter().try_fold(1usize, |count, dim| count.checked_mul(dim.unwrap_or(1)))
    }

    /// The value that leaves `node` after the activation that is fused with it: the output of a Relu or Clip that alone
    /// reads the node's output, else the node's own output.
    pub fn activated(&self, node: &'g NodeProto) -> Option<&'g str> {
        let own = node.output.first()?.as_str();
        if let &[reader] = self.consumers(own)
            && !self.is_output(own)
            && let reader = &self.graph.node[reader]
            && matches!(reader.op_type.as_str(), "Relu" | "Clip")
            && reader.input.first().is_some_and(|input| input == own)
        {
            return reader.output.first().map(String::as_str);
        }
        Some(own)
    }
}

/// The integers of an attribute, empty when it is absent.
pub fn ints_of<'n>(node: &'n NodeProto, name: &str) -> &'n [i64] {
    node.attribute.iter().find(|a| a.name == name).map_or(&[], |a| a.ints.as_slice())
}

/// An integer attribute.
pub fn int_of(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.attribute.iter().find(|a| a.name == name).and_then(|a| a.i).unwrap_or(default)
}

/// A float attribute.
pub fn float_of(node: &NodeProto, name: &str, default: f32) -> f32 {
    node.attribute.iter().find(|a| a.name == name).and_then(|a| a.f).unwrap_or(default)
}

/// A text attribute.
pub fn text_of<'n>(node: &'n NodeProto, name: &str) -> &'n [u8] {
    node.attribute.iter().find(|a| a.name == name).and_then(|a| a.s.as_deref()).unwrap_or_default()
}

pub(super) fn form(what: String) -> QuantizeError {
    QuantizeError::Onnx(OnnxError::Form { what })
}
