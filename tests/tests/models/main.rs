//! Models judged by others: detectors by rendered truth, exported graphs by a second engine and by ONNX's own
//! checker; the crops that a push ships, and the strangers that the embedded pack ships, by the renderer.

mod detectors;
mod engines;
mod reference_crops;
mod strangers;
