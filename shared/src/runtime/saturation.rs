//! A model's mark and this processor → whether its products of bytes would overflow.
//!
//! x86 without VNNI adds two products of bytes in 16 bits, saturating (PMADDUBSW). A model whose weights use all 8 bits then
//! computes something else than what it was judged by; such a model carries a mark, and is refused here.

use ort::session::Session;

/// The key of the mark in an ONNX model's metadata.
pub const WEIGHTS: &str = "lintel.weights";
/// Its value: weights use all 8 bits.
pub const FULL: &str = "full";

/// Whether ONNX Runtime's integer kernels saturate on this processor.
#[must_use]
pub fn saturates() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        !(std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni"))
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    {
        false
    }
}

/// Whether the model may not run on this processor.
pub(super) fn refuses(session: &Session) -> bool {
    let full = session.metadata().is_ok_and(|metadata| metadata.custom(WEIGHTS).is_some_and(|value| value == FULL));
    full && saturates()
}
