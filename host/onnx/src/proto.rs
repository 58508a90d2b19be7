//! ONNX's protobuf messages, as far as models for inference use them.
//!
//! Field numbers are those of `onnx.proto3` (ONNX 1.18, IR version 12). Every field of a model for inference is here,
//! so that reading, editing and writing a file loses nothing. Numbers whose presence matters to readers built on proto2
//! (attribute values, the element count of an empty tensor) are `Option`s.

use prost::{Message, Oneof};

/// A model: a graph and the operator sets that it uses.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// Version of the file format, not of the operators.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The program that wrote the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// The version of that program.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// Reverse-DNS name space of the model.
    #[prost(string, tag = "4")]
    pub domain: String,
    /// The model's own version.
    #[prost(int64, optional, tag = "5")]
    pub model_version: Option<i64>,
    /// Description for people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The computation.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Operator sets by domain; the empty domain is ONNX's own.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Free key-value pairs.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Functions that nodes of this model may call.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
}

/// A directed acyclic graph of nodes, in topological order.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// The operations.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// The graph's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants (weights) by name.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Description for people.
    #[prost(string, tag = "10")]
    pub doc_string: String,
    /// Values that the caller feeds. Files of IR version 3 list the initializers here too.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// Values that the graph returns.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types of intermediate values.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
    /// Scales and zero points that a quantiser attached to values.
    #[prost(message, repeated, tag = "14")]
    pub quantization_annotation: Vec<TensorAnnotation>,
    /// Constants in sparse form.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<SparseTensorProto>,
    /// Free key-value pairs.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of the values it reads; an empty name is an optional input left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values it makes.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The node's own name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator, e.g. `Conv`.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Its settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// Description for people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The operator's domain; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub domain: String,
    /// Which of several functions of that name is called.
    #[prost(string, tag = "8")]
    pub overload: String,
    /// Free key-value pairs.
    #[prost(message, repeated, tag = "9")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A named setting of a node.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// The setting's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A string (UTF-8 by convention).
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// A sub-graph, e.g. the branch of an `If`.
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    /// Content of a `FLOATS` attribute.
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    /// Integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Content of a `STRINGS` attribute, each in UTF-8.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// Content of a `TENSORS` attribute.
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<TensorProto>,
    /// Sub-graphs.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<GraphProto>,
    /// Description for people.
    #[prost(string, tag = "13")]
    pub doc_string: String,
    /// A type.
    #[prost(message, optional, tag = "14")]
    pub tp: Option<TypeProto>,
    /// Content of a `TYPE_PROTOS` attribute.
    #[prost(message, repeated, tag = "15")]
    pub type_protos: Vec<TypeProto>,
    /// Which of the fields holds the value.
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub r#type: i32,
    /// In a function: the caller's attribute that this one refers to.
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
    /// Content of a `SPARSE_TENSOR` attribute.
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<SparseTensorProto>,
    /// Content of a `SPARSE_TENSORS` attribute.
    #[prost(message, repeated, tag = "23")]
    pub sparse_tensors: Vec<SparseTensorProto>,
}

/// Which field of an [`AttributeProto`] holds its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are the fields'")]
pub enum AttributeType {
    Undefined = 0,
    Float = 1,
    Int = 2,
    String = 3,
    Tensor = 4,
    Graph = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10,
    SparseTensor = 11,
    SparseTensors = 12,
    TypeProto = 13,
    TypeProtos = 14,
}

/// A dense array with its values inside the file (`raw_data` or a typed list) or beside it (`external_data`).
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Size along each dimension.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// The element type, an [`ElementType`].
    #[prost(enumeration = "ElementType", tag = "2")]
    pub data_type: i32,
    /// For tensors that are cut into pieces.
    #[prost(message, optional, tag = "3")]
    pub segment: Option<Segment>,
    /// Values of f32 (and pairs of complex).
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Values of integers up to 32 bits, bools, and 16-bit floats as bit patterns.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Values of strings.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Values of i64.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// The tensor's name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Values as little-endian bytes, row-major; the usual place.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Values of f64.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Values of u32 and u64.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Description for people.
    #[prost(string, tag = "12")]
    pub doc_string: String,
    /// Where the values are when they are in a file of their own.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 0: inside this message; 1: in `external_data`.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
    /// Free key-value pairs.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// The part of a tensor that a message holds.
#[derive(Clone, PartialEq, Message)]
pub struct Segment {
    /// First element.
    #[prost(int64, optional, tag = "1")]
    pub begin: Option<i64>,
    /// One past the last element.
    #[prost(int64, optional, tag = "2")]
    pub end: Option<i64>,
}

/// Element types of tensors, with the numbers of `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names say the type")]
pub enum ElementType {
    Undefined = 0,
    F32 = 1,
    U8 = 2,
    I8 = 3,
    U16 = 4,
    I16 = 5,
    I32 = 6,
    I64 = 7,
    Text = 8,
    Bool = 9,
    F16 = 10,
    F64 = 11,
    U32 = 12,
    U64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    BF16 = 16,
    F8E4M3FN = 17,
    F8E4M3FNUZ = 18,
    F8E5M2 = 19,
    F8E5M2FNUZ = 20,
    U4 = 21,
    I4 = 22,
    F4E2M1 = 23,
}

/// A sparse array: values and their positions.
#[derive(Clone, PartialEq, Message)]
pub struct SparseTensorProto {
    /// The values that are not zero.
    #[prost(message, optional, tag = "1")]
    pub values: Option<TensorProto>,
    /// Positions of the non-zero elements, i64 `[NNZ]` or `[NNZ, rank]`.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<TensorProto>,
    /// Size along each dimension.
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub dims: Vec<i64>,
}

/// A named value and its type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// The value's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// Description for people.
    #[prost(string, tag = "3")]
    pub doc_string: String,
    /// Free key-value pairs.
    #[prost(message, repeated, tag = "4")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// Type of a graph value: a tensor, a sequence, a map, an optional or a sparse tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// A denotation such as `IMAGE`.
    #[prost(string, tag = "6")]
    pub denotation: String,
    /// The type itself.
    #[prost(oneof = "TypeValue", tags = "1, 4, 5, 8, 9")]
    pub value: Option<TypeValue>,
}

/// What a value can be.
#[derive(Clone, PartialEq, Oneof)]
pub enum TypeValue {
    /// A dense tensor.
    #[prost(message, tag = "1")]
    Tensor(TensorType),
    /// A list of values of one type.
    #[prost(message, tag = "4")]
    Sequence(Box<InnerType>),
    /// A map from keys of one element type to values of one type.
    #[prost(message, tag = "5")]
    Map(Box<MapType>),
    /// A sparse tensor with element type and shape.
    #[prost(message, tag = "8")]
    SparseTensor(TensorType),
    /// A value that may be absent.
    #[prost(message, tag = "9")]
    Optional(Box<InnerType>),
}

/// Element type and shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// The element type.
    #[prost(enumeration = "ElementType", tag = "1")]
    pub elem_type: i32,
    /// The shape; absent when even the number of dimensions is unknown.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// The type inside a sequence or an optional.
#[derive(Clone, PartialEq, Message)]
pub struct InnerType {
    /// The element's type.
    #[prost(message, optional, tag = "1")]
    pub elem_type: Option<TypeProto>,
}

/// The types of a map's keys and values.
#[derive(Clone, PartialEq, Message)]
pub struct MapType {
    /// An integer type or text.
    #[prost(enumeration = "ElementType", tag = "1")]
    pub key_type: i32,
    /// Type that all values of the map have.
    #[prost(message, optional, tag = "2")]
    pub value_type: Option<TypeProto>,
}

/// A shape, dimension by dimension.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// The dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One dimension of a shape.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// A denotation such as `DATA_BATCH`.
    #[prost(string, tag = "3")]
    pub denotation: String,
    /// Its size; absent when unknown.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
}

/// The size of a dimension.
#[derive(Clone, PartialEq, Oneof)]
pub enum DimensionValue {
    /// A fixed length, in elements.
    #[prost(int64, tag = "1")]
    Value(i64),
    /// A name for a size that is known at run time only.
    #[prost(string, tag = "2")]
    Param(String),
}

/// A domain of operators and its version.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// The domain; empty for ONNX's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Version of the operator set, from 1.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// A pair of strings.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// Key of the metadata entry.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Text that the metadata entry has under its key.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Quantisation parameters of a value.
#[derive(Clone, PartialEq, Message)]
pub struct TensorAnnotation {
    /// The value's name.
    #[prost(string, tag = "1")]
    pub tensor_name: String,
    /// Roles (`SCALE_TENSOR`, …) and the names of the tensors that play them.
    #[prost(message, repeated, tag = "2")]
    pub quant_parameter_tensor_names: Vec<StringStringEntryProto>,
}

/// A function that is part of a model.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionProto {
    /// Operator type that nodes call the function by.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Names of its inputs.
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    /// Names of its outputs.
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    /// Names of its attributes without a default.
    #[prost(string, repeated, tag = "6")]
    pub attribute: Vec<String>,
    /// Its body.
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<NodeProto>,
    /// Description for people.
    #[prost(string, tag = "8")]
    pub doc_string: String,
    /// Operator sets of its body.
    #[prost(message, repeated, tag = "9")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Operator set domain that the function belongs to.
    #[prost(string, tag = "10")]
    pub domain: String,
    /// Its attributes that have a default.
    #[prost(message, repeated, tag = "11")]
    pub attribute_proto: Vec<AttributeProto>,
    /// Types of values in its body.
    #[prost(message, repeated, tag = "12")]
    pub value_info: Vec<ValueInfoProto>,
    /// Which of several functions of that name this is.
    #[prost(string, tag = "13")]
    pub overload: String,
    /// Free key-value pairs.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}
