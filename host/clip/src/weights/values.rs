//! Little-endian bytes of a weight → finite f32 values.

use ::safetensors::Dtype;
use half::{bf16, f16};

use super::WeightsError;

/// Whether a tensor of this type is a counter and not a weight.
pub(super) fn is_count(dtype: Dtype) -> bool {
    matches!(
        dtype,
        Dtype::BOOL
            | Dtype::U8
            | Dtype::I8
            | Dtype::U16
            | Dtype::I16
            | Dtype::U32
            | Dtype::I32
            | Dtype::U64
            | Dtype::I64
    )
}

/// Little-endian bytes of `dtype` → finite f32 values.
pub(super) fn values_of(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, WeightsError> {
    let values: Vec<f32> = match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
        Dtype::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        got => return Err(WeightsError::Dtype { name: name.to_owned(), got }),
    };
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(WeightsError::Value { name: name.to_owned(), index, value: values[index] }),
        None => Ok(values),
    }
}
