//! Operators, one call each → an ONNX graph.
//!
//! Every method adds one node and returns its value. The caller names the nodes, and a value has the name of its node,
//! so that the file is as readable as the code that wrote it. The same calls give the same bytes.

use std::collections::BTreeSet;

use super::proto::{
    AttributeProto, AttributeType, Dimension, DimensionValue, ElementType, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};

/// The operator set of the graphs: the newest that ONNX Runtime, TensorRT 8.6 and tract all support.
pub const OPSET: i64 = 17;
/// The file format's version that goes with [`OPSET`].
const IR_VERSION: i64 = 8;

/// A value in a graph: the result of a node, a constant or an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(String);

impl Value {
    /// A value of a graph that already exists, by its name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The value's name in the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// One dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A size that is known now.
    Fixed(usize),
    /// A size that is known at run time, by name.
    Named(&'static str),
}

/// The sliding window of a convolution or a pool.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Steps down and right.
    pub stride: [usize; 2],
    /// Zero padding on the top, left, bottom and right.
    pub pad: [usize; 4],
}

impl Window {
    /// A square window of side `kernel`, moved by `stride`, padded by `pad` on all sides.
    #[must_use]
    pub const fn square(kernel: usize, stride: usize, pad: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], pad: [pad; 4] }
    }
}

/// A graph that grows node by node.
///
/// # Panics
/// Methods panic when a name is used twice, which is an error of the calling program and not of its input.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: GraphProto,
    names: BTreeSet<String>,
}

impl GraphBuilder {
    /// An empty graph called `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let graph = GraphProto { name: name.to_owned(), ..GraphProto::default() };
        Self { graph, names: BTreeSet::new() }
    }

    /// Declares an input.
    pub fn input(&mut self, name: &str, element: ElementType, dims: &[Dim]) -> Value {
        let value = self.claim(name);
        self.graph.input.push(value_info(name, element, dims));
        value
    }

    /// Declares `value` an output, under its own name.
    pub fn output(&mut self, value: &Value, element: ElementType, dims: &[Dim]) {
        self.graph.output.push(value_info(value.name(), element, dims));
    }

    /// Declares an output called `name`, a copy of `value`.
    pub fn output_as(&mut self, name: &str, value: &Value, element: ElementType, dims: &[Dim]) {
        let value = self.node("Identity", name, &[value], vec![]);
        self.output(&value, element, dims);
    }

    /// A constant f32 tensor of this shape, with its values row-major.
    pub fn constant(&mut self, name: &str, (shape, values): (&[usize], &[f32])) -> Value {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, ElementType::F32, shape, raw)
    }

    /// A constant f32 number, of rank 0.
    pub fn constant_scalar(&mut self, name: &str, value: f32) -> Value {
        self.constant(name, (&[], &[value]))
    }

    /// A constant list of integers, as shapes and axes are given.
    pub fn constant_ints(&mut self, name: &str, values: &[i64]) -> Value {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, ElementType::I64, &[values.len()], raw)
    }

    /// A constant of any element type, as little-endian bytes.
    pub fn initializer(&mut self, name: &str, element: ElementType, shape: &[usize], raw: Vec<u8>) -> Value {
        let value = self.claim(name);
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|&d| as_i64(d)).collect(),
            data_type: element.into(),
            name: name.to_owned(),
            raw_data: Some(raw),
            ..TensorProto::default()
        });
        value
    }

    /// Any operator with one output. `attributes` are in the order they are written.
    pub fn node(&mut self, op: &str, name: &str, inputs: &[&Value], attributes: Vec<AttributeProto>) -> Value {
        let value = self.claim(name);
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|v| v.0.clone()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute: attributes,
            ..NodeProto::default()
        });
        value
    }

    /// 2-D convolution: x `[N, I, H, W]`, weight `[O, I/groups, kh, kw]`, bias `[O]` → `[N, O, H', W']`.
    pub fn conv(
        &mut self,
        name: &str,
        x: &Value,
        weight: &Value,
        bias: Option<&Value>,
        window: Window,
        groups: usize,
    ) -> Value {
        let mut inputs = vec![x, weight];
        inputs.extend(bias);
        let mut attributes = vec![ints("dilations", &[1, 1]), int("group", as_i64(groups))];
        attributes.extend(window_attributes(window));
        self.node("Conv", name, &inputs, attributes)
    }

    /// Mean over windows, padding counted as zeros; `[N, C, H, W]` → `[N, C, H', W']`.
    pub fn average_pool(&mut self, name: &str, x: &Value, window: Window) -> Value {
        let mut attributes = window_attributes(window);
        attributes.push(int("count_include_pad", 1));
        self.node("AveragePool", name, &[x], attributes)
    }

    /// Maximum over windows; `[N, C, H, W]` → `[N, C, H', W']`.
    pub fn max_pool(&mut self, name: &str, x: &Value, window: Window) -> Value {
        self.node("MaxPool", name, &[x], window_attributes(window))
    }

    /// max(x, 0).
    pub fn relu(&mut self, name: &str, x: &Value) -> Value {
        self.node("Relu", name, &[x], vec![])
    }

    /// 1 / (1 + e⁻ˣ).
    pub fn sigmoid(&mut self, name: &str, x: &Value) -> Value {
        self.node("Sigmoid", name, &[x], vec![])
    }

    /// a + b, broadcast.
    pub fn add(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        self.node("Add", name, &[a, b], vec![])
    }

    /// a − b, broadcast.
    pub fn sub(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        self.node("Sub", name, &[a, b], vec![])
    }

    /// a · b, element by element, broadcast.
    pub fn mul(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        self.node("Mul", name, &[a, b], vec![])
    }

    /// a / b, element by element, broadcast.
    pub fn div(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        self.node("Div", name, &[a, b], vec![])
    }

    /// Matrix product over the last two dimensions, the others broadcast.
    pub fn matmul(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        self.node("MatMul", name, &[a, b], vec![])
    }

    /// x `[N, I]` · weightᵀ, weight `[O, I]`, + bias `[O]` → `[N, O]`: a fully connected layer as PyTorch stores it.
    pub fn gemm(&mut self, name: &str, x: &Value, weight: &Value, bias: Option<&Value>) -> Value {
        let mut inputs = vec![x, weight];
        inputs.extend(bias);
        self.node("Gemm", name, &inputs, vec![int("transB", 1)])
    }

    /// The same values in another shape: 0 keeps a dimension, −1 takes what is left.
    pub fn reshape(&mut self, name: &str, x: &Value, shape: &[i64]) -> Value {
        let shape = self.constant_ints(&format!("{name}.shape"), shape);
        self.node("Reshape", name, &[x, &shape], vec![])
    }

    /// Dimensions in the order `permutation`.
    pub fn transpose(&mut self, name: &str, x: &Value, permutation: &[i64]) -> Value {
        self.node("Transpose", name, &[x], vec![ints("perm", permutation)])
    }

    /// Values one after another along `axis`.
    pub fn concat(&mut self, name: &str, parts: &[&Value], axis: i64) -> Value {
        self.node("Concat", name, parts, vec![int("axis", axis)])
    }

    /// `x[.., start..end, ..]` along `axis`.
    pub fn slice(&mut self, name: &str, x: &Value, axis: i64, start: i64, end: i64) -> Value {
        let starts = self.constant_ints(&format!("{name}.start"), &[start]);
        let ends = self.constant_ints(&format!("{name}.end"), &[end]);
        let axes = self.constant_ints(&format!("{name}.axis"), &[axis]);
        self.node("Slice", name, &[x, &starts, &ends, &axes], vec![])
    }

    /// `x[.., 0..end, ..]` along each of `axes`; `ends` `[axes]` i64 is known at run time only.
    pub fn slice_to(&mut self, name: &str, x: &Value, axes: &[i64], ends: &Value) -> Value {
        let starts = self.constant_ints(&format!("{name}.start"), &vec![0; axes.len()]);
        let axes = self.constant_ints(&format!("{name}.axes"), axes);
        self.node("Slice", name, &[x, &starts, ends, &axes], vec![])
    }

    /// The size of dimension `axis`, as `[1]` i64.
    pub fn dimension(&mut self, name: &str, x: &Value, axis: i64) -> Value {
        self.node("Shape", name, &[x], vec![int("end", axis + 1), int("start", axis)])
    }

    /// The parts of `x` along `axis` that `indices` name: the axis is replaced by the indices' shape.
    pub fn gather(&mut self, name: &str, x: &Value, indices: &Value, axis: i64) -> Value {
        self.node("Gather", name, &[x, indices], vec![int("axis", axis)])
    }

    /// `x[n, indices[n]]` for each n of the first `batch_dims` dimensions.
    pub fn gather_nd(&mut self, name: &str, x: &Value, indices: &Value, batch_dims: i64) -> Value {
        self.node("GatherND", name, &[x, indices], vec![int("batch_dims", batch_dims)])
    }

    /// The index of the first greatest value along `axis`, which stays as size 1: i64.
    pub fn arg_max(&mut self, name: &str, x: &Value, axis: i64) -> Value {
        self.node("ArgMax", name, &[x], vec![int("axis", axis), int("keepdims", 1)])
    }

    /// (x − mean) / √(variance + ε) · weight + bias along the last dimension.
    pub fn layer_norm(&mut self, name: &str, x: &Value, weight: &Value, bias: &Value, epsilon: f32) -> Value {
        self.node("LayerNormalization", name, &[x, weight, bias], vec![int("axis", -1), float("epsilon", epsilon)])
    }

    /// Zeros around the last two dimensions: top, left, bottom, right.
    pub fn pad(&mut self, name: &str, x: &Value, pad: [usize; 4]) -> Value {
        let [top, left, bottom, right] = pad.map(as_i64);
        let pads = self.constant_ints(&format!("{name}.pads"), &[0, 0, top, left, 0, 0, bottom, right]);
        self.node("Pad", name, &[x, &pads], vec![text("mode", "constant")])
    }

    /// Another element type.
    pub fn cast(&mut self, name: &str, x: &Value, to: ElementType) -> Value {
        self.node("Cast", name, &[x], vec![int("to", i64::from(i32::from(to)))])
    }

    /// eˣ / Σ eˣ along `axis`.
    pub fn softmax(&mut self, name: &str, x: &Value, axis: i64) -> Value {
        self.node("Softmax", name, &[x], vec![int("axis", axis)])
    }

    /// Mean along `axes`, which stay as size 1 when `keep` says so.
    pub fn reduce_mean(&mut self, name: &str, x: &Value, axes: &[i64], keep: bool) -> Value {
        self.node("ReduceMean", name, &[x], vec![ints("axes", axes), int("keepdims", i64::from(keep))])
    }

    /// x / ‖x‖₂ along `axis`.
    pub fn normalize(&mut self, name: &str, x: &Value, axis: i64) -> Value {
        let keep = vec![ints("axes", &[axis]), int("keepdims", 1)];
        let norm = self.node("ReduceL2", &format!("{name}.norm"), &[x], keep);
        self.div(name, x, &norm)
    }

    /// Twice the height and width, each value repeated: the upsampling of feature pyramids.
    pub fn upsample_nearest(&mut self, name: &str, x: &Value, factor: usize) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "factors are small")]
        let factor = factor as f32;
        let scales = self.constant(&format!("{name}.scales"), (&[4], &[1.0, 1.0, factor, factor]));
        let attributes = vec![
            text("coordinate_transformation_mode", "asymmetric"),
            text("mode", "nearest"),
            text("nearest_mode", "floor"),
        ];
        self.node("Resize", name, &[x, &Value::named(""), &scales], attributes)
    }

    /// The finished model.
    #[must_use]
    pub fn finish(self) -> ModelProto {
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "lintel".to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: Some(OPSET) }],
            ..ModelProto::default()
        }
    }

    fn claim(&mut self, name: &str) -> Value {
        assert!(self.names.insert(name.to_owned()), "the name {name} is used twice in the graph {}", self.graph.name);
        Value(name.to_owned())
    }
}

/// An integer attribute.
#[must_use]
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// An attribute that is a list of integers.
#[must_use]
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// A float attribute.
#[must_use]
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

/// A text attribute.
#[must_use]
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

/// The declaration of a tensor.
#[must_use]
pub fn value_info(name: &str, element: ElementType, dims: &[Dim]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|dim| Dimension {
            value: Some(match dim {
                Dim::Fixed(size) => DimensionValue::Value(as_i64(*size)),
                Dim::Named(name) => DimensionValue::Param((*name).to_owned()),
            }),
            ..Dimension::default()
        })
        .collect();
    let tensor = TensorType { elem_type: element.into(), shape: Some(TensorShapeProto { dim }) };
    let r#type = TypeProto { value: Some(TypeValue::Tensor(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.to_owned(), r#type: Some(r#type), ..ValueInfoProto::default() }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: kind.into(), ..AttributeProto::default() }
}

fn window_attributes(window: Window) -> Vec<AttributeProto> {
    vec![
        ints("kernel_shape", &window.kernel.map(as_i64)),
        ints("pads", &window.pad.map(as_i64)),
        ints("strides", &window.stride.map(as_i64)),
    ]
}

fn as_i64(size: usize) -> i64 {
    i64::try_from(size).expect("no dimension has 2^63 elements")
}
