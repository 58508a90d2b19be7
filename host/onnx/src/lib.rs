//! Graphs as plain data ↔ `.onnx` files.
//!
//! [`proto`] is the file format, message by message. [`GraphBuilder`] writes new graphs with one method per operator.
//! [`read`] and [`write`] turn files into messages and back; the same graph always gives the same bytes, because the
//! hash of an encoder's file is its identity. [`with_u8_input`] brings a published detector into the form of bundles,
//! [`graft`] a published face encoder.

mod detector;
mod file;
mod graft;
mod graph;
pub mod proto;
mod resize;

pub use detector::with_u8_input;
pub use file::{MAX_FILE_BYTES, OnnxError, dims_of, f32_values, i64_values, read, write};
pub use graft::{Preprocessing, graft};
pub use graph::{Dim, GraphBuilder, OPSET, Value, Window, float, int, ints, text, value_info};
pub use proto::ElementType;
