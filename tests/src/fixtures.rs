//! Input for tests of several crates: weights by formula, archives, faces near the camera; and models run as
//! plain numbers.

pub mod clip_shapes;
pub mod formula;
pub mod near_faces;
pub mod onnx_runtime;
pub mod torch_archive;
