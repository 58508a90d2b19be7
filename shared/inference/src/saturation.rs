//! A model's mark and this processor → whether its products of bytes would overflow.
//!
//! x86 without VNNI adds two products of bytes in 16 bits, saturating (PMADDUBSW). A model whose weights use all 8 bits
//! then computes something else than what it was judged by; such a model carries a mark, and is refused here.

use ort::session::Session;

use super::error::RuntimeError;

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

/// Refuses a model that carries the mark on a processor that saturates.
///
/// # Errors
/// [`RuntimeError::Saturates`]; also when the metadata can't be read, since then nobody knows.
pub(super) fn check(session: &Session) -> Result<(), RuntimeError> {
    let metadata = session.metadata().map_err(RuntimeError::onnx("read the model's metadata"))?;
    if metadata.custom(WEIGHTS).is_some_and(|value| value == FULL) && saturates() {
        return Err(RuntimeError::Saturates);
    }
    Ok(())
}
