//! Small ONNX files, written field by field, so that models of every form and fault can be had in a test.

const FLOAT: u64 = 1;
pub const BYTE: u64 = 2;
pub const F32: u64 = FLOAT;
const INT: u64 = 2;
const INTS: u64 = 7;

/// A protobuf message under construction.
#[derive(Clone, Default)]
pub struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn number(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend(bytes);
        message
    }

    fn message(self, field: u64, inner: Self) -> Self {
        self.bytes(field, &inner.0)
    }
}

/// An end of a model: name, element type, sizes; -1 leaves a size open.
pub fn end(name: &str, element: u64, shape: &[i64]) -> Message {
    let dim = |size: &i64| match u64::try_from(*size) {
        Ok(size) => Message::default().number(1, size),
        Err(_) => Message::default().bytes(2, b"open"),
    };
    let dims = shape.iter().map(dim).fold(Message::default(), |dims, dim| dims.message(1, dim));
    let tensor = Message::default().number(1, element).message(2, dims);
    Message::default().bytes(1, name.as_bytes()).message(2, Message::default().message(1, tensor))
}

fn node(operator: &str, input: &str, output: &str, attributes: &[Message]) -> Message {
    let node = Message::default().bytes(1, input.as_bytes()).bytes(2, output.as_bytes()).bytes(4, operator.as_bytes());
    attributes.iter().fold(node, |node, attribute| node.message(5, attribute.clone()))
}

fn integer(name: &str, value: u64) -> Message {
    Message::default().bytes(1, name.as_bytes()).number(3, value).number(20, INT)
}

fn model(nodes: &[Message], constants: &[Message], input: &Message, outputs: &[Message]) -> Vec<u8> {
    let put = |graph: Message, field, parts: &[Message]| {
        parts.iter().fold(graph, |graph, part| graph.message(field, part.clone()))
    };
    let graph = put(Message::default(), 1, nodes).bytes(2, b"test");
    let graph = put(graph, 5, constants).message(11, input.clone());
    let graph = put(graph, 12, outputs);
    let opset = Message::default().bytes(1, b"").number(2, 13);
    Message::default().number(1, 8).message(7, graph).message(8, opset).0
}

/// An encoder whose embedding is the mean colour: u8 `[n, 224, 224, 3]` → f32 `[n, 3]`.
pub fn mean_colour(n: i64) -> Vec<u8> {
    let axes = Message::default().bytes(1, b"axes").number(8, 1).number(8, 2).number(20, INTS);
    let nodes = [
        node("Cast", "crops", "floats", &[integer("to", FLOAT)]),
        node("ReduceMean", "floats", "means", &[axes, integer("keepdims", 0)]),
    ];
    model(&nodes, &[], &end("crops", BYTE, &[n, 224, 224, 3]), &[end("means", F32, &[n, 3])])
}

/// A model that gives the same outputs whatever it is shown: name, shape, numbers.
pub fn constant(input: &Message, outputs: &[(&str, &[i64], Vec<f32>)]) -> Vec<u8> {
    let (mut nodes, mut constants, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (name, shape, numbers) in outputs {
        let inner = format!("constant {name}");
        nodes.push(node("Identity", &inner, name, &[]));
        let tensor = shape.iter().fold(Message::default(), |tensor, &size| tensor.number(1, size as u64));
        let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        constants.push(tensor.number(2, FLOAT).bytes(8, inner.as_bytes()).bytes(9, &raw));
        ends.push(end(name, F32, shape));
    }
    model(&nodes, &constants, input, &ends)
}
