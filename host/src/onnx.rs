//! Graphs as plain data ↔ `.onnx` files.
//!
//! [`proto`] is the file format, message by message. [`GraphBuilder`] writes new graphs with one method per operator.
//! [`read`] and [`write`] turn files into messages and back; the same graph always gives the same bytes, because the
//! hash of an encoder's file is its identity.

mod file;
mod graph;
pub mod proto;

pub use file::{MAX_FILE_BYTES, OnnxError, dims_of, f32_values, i64_values, read, write};
pub use graph::{Dim, GraphBuilder, OPSET, Value, Window, float, int, ints, text, value_info};
pub use proto::ElementType;
