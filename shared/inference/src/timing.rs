//! Where the time of a frame goes: inside ONNX Runtime, or in Lintel's own code.

use std::time::{Duration, Instant};

/// Sums over all frames since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From frame to sighting.
    pub total: Duration,
    /// The part of it that was spent inside ONNX Runtime.
    pub onnx_runtime: Duration,
    /// How many frames were looked at.
    pub frames: u64,
    /// How many of them at two scales.
    pub twice: u64,
}

impl Timings {
    /// The part of the time that was not spent in ONNX Runtime, 0..=1; 0 before the first frame.
    pub fn share_outside(&self) -> f64 {
        let total = self.total.as_secs_f64();
        if total > 0.0 { 1.0 - self.onnx_runtime.as_secs_f64() / total } else { 0.0 }
    }
}

/// Runs `work` and adds what it took to `sum`.
#[allow(clippy::disallowed_methods, reason = "measures its own cost; no decision depends on it")]
pub(super) fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *sum += start.elapsed();
    result
}
