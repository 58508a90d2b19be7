//! A safetensors file → named f32 tensors, and back.

use std::collections::BTreeMap;

use ::safetensors::tensor::{SafeTensors, TensorView};
use ::safetensors::{Dtype, serialize};
use half::f16;

use super::values::{is_count, values_of};
use super::{MAX_FILE_BYTES, MAX_RANK, MAX_TENSORS, NamedTensor, NamedTensors, Precision, WeightsError, names, within};

impl NamedTensors {
    /// Reads a safetensors file. F16, BF16 and F64 become f32. Integers (counts of batches, the context's length) are
    /// left out.
    ///
    /// # Errors
    /// [`WeightsError`] for anything but a well-formed file of finite numbers within the limits of this module.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, WeightsError> {
        within("bytes", bytes.len(), MAX_FILE_BYTES)?;
        let file = SafeTensors::deserialize(bytes)?;
        within("tensors", file.len(), MAX_TENSORS)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            within("dimensions in a tensor", view.shape().len(), MAX_RANK)?;
            if is_count(view.dtype()) || names::is_mask(name) {
                continue;
            }
            let values = values_of(name, view.dtype(), view.data())?;
            tensors.insert(name.to_owned(), NamedTensor { shape: view.shape().to_vec(), values });
        }
        Ok(Self(tensors))
    }

    /// Writes a safetensors file; the same tensors give the same bytes.
    ///
    /// # Errors
    /// [`WeightsError::Value`] when a value doesn't fit `precision`.
    pub fn to_safetensors(&self, precision: Precision) -> Result<Vec<u8>, WeightsError> {
        let (dtype, stored) = match precision {
            Precision::F32 => (Dtype::F32, self.stored(|v| (v.is_finite(), v.to_le_bytes()))?),
            Precision::F16 => (
                Dtype::F16,
                self.stored(|v| {
                    let half = f16::from_f32(v);
                    (half.is_finite(), half.to_le_bytes())
                })?,
            ),
        };
        let mut views = Vec::with_capacity(stored.len());
        for ((name, tensor), bytes) in self.0.iter().zip(&stored) {
            views.push((name.as_str(), TensorView::new(dtype, tensor.shape.clone(), bytes)?));
        }
        Ok(serialize(views, None)?)
    }

    fn stored<const N: usize>(&self, store: impl Fn(f32) -> (bool, [u8; N])) -> Result<Vec<Vec<u8>>, WeightsError> {
        self.0
            .iter()
            .map(|(name, tensor)| {
                let mut bytes = Vec::with_capacity(tensor.values.len() * N);
                for (index, &value) in tensor.values.iter().enumerate() {
                    let (fits, le) = store(value);
                    if !fits {
                        return Err(WeightsError::Value { name: name.clone(), index, value });
                    }
                    bytes.extend_from_slice(&le);
                }
                Ok(bytes)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ::safetensors::serialize;
    use half::bf16;

    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("a view"))
        });
        serialize(views, None).expect("a file")
    }

    #[test]
    fn every_float_type_becomes_f32() {
        let check = |dtype, bytes: Vec<u8>, expected: f32| {
            let tensors = NamedTensors::from_safetensors(&file(&[("x", dtype, &[1], bytes)])).expect("weights");
            assert_eq!(tensors.get("x").expect("x").values, [expected], "{dtype:?}");
        };
        check(Dtype::F32, 0.1_f32.to_le_bytes().to_vec(), 0.1);
        check(Dtype::F64, 0.1_f64.to_le_bytes().to_vec(), 0.1);
        check(Dtype::F16, f16::from_f32(1.5).to_le_bytes().to_vec(), 1.5);
        check(Dtype::BF16, bf16::from_f32(-2.5).to_le_bytes().to_vec(), -2.5);
    }

    #[test]
    fn what_was_written_is_read() {
        let mut tensors = NamedTensors::new();
        tensors.insert("scalar", NamedTensor::scalar(4.605));
        tensors.insert("matrix", NamedTensor::new(vec![2, 3], vec![0.5, -1.0, 2.0, 0.25, 8.0, -0.125]));
        let check = |precision, expected: &dyn Fn(f32) -> f32| {
            let bytes = tensors.to_safetensors(precision).expect("a file");
            assert_eq!(bytes, tensors.to_safetensors(precision).expect("a file"));
            let read = NamedTensors::from_safetensors(&bytes).expect("weights");
            for (name, tensor) in tensors.iter() {
                let expected: Vec<f32> = tensor.values.iter().map(|&v| expected(v)).collect();
                assert_eq!(read.get_shaped(name, &tensor.shape).expect(name).values, expected, "{precision:?}");
            }
        };
        check(Precision::F32, &|v| v);
        check(Precision::F16, &|v| f16::from_f32(v).to_f32());
    }

    #[test]
    fn bad_files_are_refused() {
        let good = file(&[("x", Dtype::F32, &[2], vec![0; 8])]);
        let check = |bytes: &[u8], expected: &str| {
            let error = NamedTensors::from_safetensors(bytes).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&[], "safetensors");
        check(&good[..good.len() - 1], "safetensors");
        check(&[0xff; 64], "safetensors");
        check(&file(&[("x", Dtype::F32, &[1], f32::NAN.to_le_bytes().to_vec())]), "x holds NaN at index 0");
        check(&file(&[("x", Dtype::F64, &[1], 1e300_f64.to_le_bytes().to_vec())]), "x holds inf");
        check(&file(&[("x", Dtype::F8_E4M3, &[1], vec![0])]), "x is stored as F8_E4M3");
        check(&file(&[("x", Dtype::F32, &[1; 9], vec![0; 4])]), "9 dimensions");
    }

    #[test]
    fn integers_are_left_out() {
        let bytes = file(&[("seen", Dtype::I64, &[], vec![0; 8]), ("x", Dtype::F32, &[1], vec![0; 4])]);
        let tensors = NamedTensors::from_safetensors(&bytes).expect("weights");
        assert_eq!(tensors.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn half_precision_has_a_range() {
        let mut tensors = NamedTensors::new();
        tensors.insert("x", NamedTensor::scalar(1e6));
        assert!(matches!(tensors.to_safetensors(Precision::F16), Err(WeightsError::Value { index: 0, .. })));
        assert!(tensors.to_safetensors(Precision::F32).is_ok());
    }
}
