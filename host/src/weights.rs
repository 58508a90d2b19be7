//! A weights file (safetensors) → named f32 tensors, and back.
//!
//! Names are those of OpenAI's CLIP state dict (`visual.conv1.weight`, `transformer.resblocks.0.attn.in_proj_weight`,
//! …), so that every pack looks alike. Nothing about an architecture is assumed here: who asks for a tensor says what
//! shape it wants, and gets an error that names both when the file disagrees.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The largest weights file that is read, in bytes. CLIP RN50 in fp32 is 410 MB.
pub const MAX_FILE_BYTES: usize = 2 << 30;
/// The largest number of tensors in one file. CLIP RN50 has 451.
pub const MAX_TENSORS: usize = 8192;
/// The largest number of dimensions of a tensor.
pub const MAX_RANK: usize = 8;

/// A dense f32 array, row-major.
#[derive(Clone, PartialEq)]
pub struct NamedTensor {
    /// Size along each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` finite values.
    pub values: Vec<f32>,
}

/// Tensors by name, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedTensors(BTreeMap<String, NamedTensor>);

/// How values are stored in a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Precision {
    /// IEEE half precision: 2 bytes a value; values beyond ±65504 are refused.
    F16,
    /// IEEE single precision: 4 bytes a value, exact.
    F32,
}

/// Why weights were refused.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file is not safetensors, is cut short, or its offsets contradict its shapes.
    #[error("weights are not a valid safetensors file: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// A limit that keeps memory bounded was passed.
    #[error("weights have {got} {what}, at most {most} are allowed")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many were found.
        got: usize,
        /// How many are allowed.
        most: usize,
    },
    /// A tensor is stored in a type that weights don't come in.
    #[error("tensor {name} is stored as {got:?}, wanted F32, F16, BF16 or F64")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// The type in the file.
        got: Dtype,
    },
    /// A value is NaN, infinite, or too large for the precision asked for.
    #[error("tensor {name} holds {value} at index {index}, wanted a finite number within range")]
    Value {
        /// The tensor's name.
        name: String,
        /// Row-major index of the value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A tensor that the architecture needs is not there.
    #[error("tensor {name} is missing")]
    Missing {
        /// The tensor's name.
        name: String,
    },
    /// A tensor has another shape than the architecture needs.
    #[error("tensor {name} is {got:?}, wanted {wanted}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape in the file.
        got: Vec<usize>,
        /// What was wanted, in words or numbers.
        wanted: String,
    },
}

/// The shape alone: the values would fill books.
impl std::fmt::Debug for NamedTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedTensor").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl NamedTensor {
    /// An array of `shape` that holds `values`.
    ///
    /// # Panics
    /// If the number of values is not the product of the shape: a mistake of the caller, never of a file.
    #[must_use]
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{shape:?} does not hold {} values", values.len());
        Self { shape, values }
    }

    /// A single number, of shape `[]`.
    #[must_use]
    pub fn scalar(value: f32) -> Self {
        Self { shape: Vec::new(), values: vec![value] }
    }

    /// The transpose of a matrix: `[rows, columns]` → `[columns, rows]`.
    ///
    /// # Panics
    /// If this is not a matrix.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let &[rows, columns] = self.shape.as_slice() else {
            panic!("only a matrix has a transpose, this is {:?}", self.shape)
        };
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..columns {
            values.extend((0..rows).map(|row| self.values[row * columns + column]));
        }
        Self { shape: vec![columns, rows], values }
    }
}

impl NamedTensors {
    /// No tensors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `tensor` under `name`, in place of what was there.
    pub fn insert(&mut self, name: impl Into<String>, tensor: NamedTensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Takes every tensor of `other`.
    pub fn extend(&mut self, other: NamedTensors) {
        self.0.extend(other.0);
    }

    /// The tensor called `name`, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&NamedTensor> {
        self.0.get(name)
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// [`WeightsError::Missing`].
    pub fn get(&self, name: &str) -> Result<&NamedTensor, WeightsError> {
        self.0.get(name).ok_or_else(|| WeightsError::Missing { name: name.to_owned() })
    }

    /// The tensor called `name`, if it has exactly `shape`.
    ///
    /// # Errors
    /// [`WeightsError::Missing`], [`WeightsError::Shape`].
    pub fn get_shaped(&self, name: &str, shape: &[usize]) -> Result<&NamedTensor, WeightsError> {
        let tensor = self.get(name)?;
        if tensor.shape != shape {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                got: tensor.shape.clone(),
                wanted: format!("{shape:?}"),
            });
        }
        Ok(tensor)
    }

    /// The shape of `name`, if it has `RANK` dimensions, none of them zero.
    ///
    /// # Errors
    /// [`WeightsError::Missing`], [`WeightsError::Shape`].
    pub fn dims<const RANK: usize>(&self, name: &str) -> Result<[usize; RANK], WeightsError> {
        let tensor = self.get(name)?;
        match <[usize; RANK]>::try_from(tensor.shape.as_slice()) {
            Ok(dims) if !dims.contains(&0) => Ok(dims),
            _ => Err(WeightsError::Shape {
                name: name.to_owned(),
                got: tensor.shape.clone(),
                wanted: format!("{RANK} dimensions, none of them 0"),
            }),
        }
    }

    /// How many numbers `0, 1, 2, …` there are such that `prefix` + number + `suffix` names a tensor.
    #[must_use]
    pub fn count(&self, prefix: &str, suffix: &str) -> usize {
        (0..self.0.len()).take_while(|i| self.0.contains_key(&format!("{prefix}{i}{suffix}"))).count()
    }

    /// Names and tensors, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NamedTensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tensors whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).map(|(n, t)| (n.clone(), t.clone())).collect())
    }

    /// Reads a safetensors file. F16, BF16 and F64 become f32; integers, which only count (batches that a norm has
    /// seen, the context's length), are left out.
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
            if is_count(view.dtype()) {
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
        Ok(safetensors::serialize(views, None)?)
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

fn within(what: &'static str, got: usize, most: usize) -> Result<(), WeightsError> {
    if got > most {
        return Err(WeightsError::TooLarge { what, got, most });
    }
    Ok(())
}

fn is_count(dtype: Dtype) -> bool {
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
fn values_of(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, WeightsError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("a view"))
        });
        safetensors::serialize(views, None).expect("a file")
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
    fn shapes_are_checked_by_name() {
        let mut tensors = NamedTensors::new();
        tensors.insert("m", NamedTensor::new(vec![2, 3], vec![0.0; 6]));
        tensors.insert("empty", NamedTensor::new(vec![0, 3], vec![]));
        let check = |got: Result<(), WeightsError>, expected: &str| {
            assert_eq!(got.err().map(|e| e.to_string()).unwrap_or_default(), expected);
        };
        check(tensors.dims::<2>("m").map(drop), "");
        check(tensors.dims::<1>("m").map(drop), "tensor m is [2, 3], wanted 1 dimensions, none of them 0");
        check(tensors.dims::<2>("empty").map(drop), "tensor empty is [0, 3], wanted 2 dimensions, none of them 0");
        check(tensors.get_shaped("m", &[3, 2]).map(drop), "tensor m is [2, 3], wanted [3, 2]");
        check(tensors.get("absent").map(drop), "tensor absent is missing");
    }

    #[test]
    fn half_precision_has_a_range() {
        let mut tensors = NamedTensors::new();
        tensors.insert("x", NamedTensor::scalar(1e6));
        assert!(matches!(tensors.to_safetensors(Precision::F16), Err(WeightsError::Value { index: 0, .. })));
        assert!(tensors.to_safetensors(Precision::F32).is_ok());
    }

    #[test]
    fn transposition_swaps_rows_and_columns() {
        let m = NamedTensor::new(vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(m.transposed(), NamedTensor::new(vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    }
}
