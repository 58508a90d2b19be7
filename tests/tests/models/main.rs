//! Models judged by others: detectors by rendered truth, exported graphs by a second engine and by ONNX's own checker.

mod detectors;
mod engines;
