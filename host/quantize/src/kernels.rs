//! The graph as ONNX Runtime rewrites it → the number of layers that run in integers.

use std::collections::BTreeMap;

use lintel_onnx::proto::ModelProto;
use serde::{Deserialize, Serialize};

/// Operators that multiply integers.
const INTEGER: [&str; 8] = [
    "ConvInteger",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QGemm",
    "QLinearConv",
    "QLinearMatMul",
    "QAttention",
];
/// Operators that multiply floats.
const FLOAT: [&str; 6] = ["Conv", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul"];

/// The graph that ONNX Runtime runs on this machine, in counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernels {
    /// Layers that multiply integers.
    pub integer: usize,
    /// Layers that multiply floats.
    pub float: usize,
    /// Nodes by operator.
    pub operators: BTreeMap<String, usize>,
}

impl Kernels {
    /// Counts the nodes of a graph that ONNX Runtime has rewritten.
    pub fn of(model: &ModelProto) -> Self {
        let mut kernels = Self::default();
        for node in model.graph.iter().flat_map(|graph| &graph.node) {
            *kernels.operators.entry(node.op_type.clone()).or_default() += 1;
            kernels.integer += usize::from(INTEGER.contains(&node.op_type.as_str()));
            kernels.float += usize::from(FLOAT.contains(&node.op_type.as_str()));
        }
        kernels
    }
}
