//! A weights file (safetensors, PyTorch's or TorchScript's archive) → named f32 tensors.
//!
//! Names are those of OpenAI's CLIP state dict (`visual.conv1.weight`, `transformer.resblocks.0.attn.in_proj_weight`,
//! …). This module assumes no architecture: a caller names the tensor and the shape that it wants, and gets an error
//! with both shapes if the file disagrees.

mod names;
mod safetensors;
mod torch;
mod values;

use std::collections::BTreeMap;

pub use self::torch::TorchError;

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
    /// The file is not safetensors, is cut short, or has offsets that contradict its shapes.
    #[error("weights are not a valid safetensors file: {0}")]
    Format(#[from] ::safetensors::SafeTensorError),
    /// The file is a zip archive, but PyTorch did not write it, or it holds more than weights.
    #[error("weights in PyTorch's archive: {0}")]
    Torch(#[from] TorchError),
    /// PyTorch's format before version 1.6.
    #[error(
        "weights are a bare pickle, as PyTorch wrote before 1.6; load and save them once with a newer torch.save, \
         which writes a zip archive"
    )]
    BarePickle,
    /// Two tensors would have the same name.
    #[error("tensor {name} is there twice")]
    Twice {
        /// The tensor's name, as OpenAI's state dict has it.
        name: String,
    },
    /// The file exceeds a limit on memory.
    #[error("weights have {got} {what}, at most {most} are allowed")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many were found.
        got: usize,
        /// How many are allowed.
        most: usize,
    },
    /// A tensor is stored in a type that is not read.
    #[error("tensor {name} is stored as {got:?}, wanted F32, F16, BF16 or F64")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// The type in the file.
        got: ::safetensors::Dtype,
    },
    /// A value is NaN, infinite, or too large for the precision asked for.
    #[error("tensor {name} holds {value} at index {index}, wanted a finite number within range")]
    Value {
        /// The tensor's name.
        name: String,
        /// Row-major index of the value.
        index: usize,
        /// The value as it was read, which may be NaN or infinite.
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

/// Shows the shape only: the values are too many.
impl std::fmt::Debug for NamedTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedTensor").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl NamedTensor {
    /// An array of `shape` that holds `values`.
    ///
    /// # Panics
    /// If the number of values is not the product of the shape. Files never cause this; callers check.
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

    /// Shape and values, row-major, as constants of an ONNX graph take them.
    #[must_use]
    pub fn parts(&self) -> (&[usize], &[f32]) {
        (&self.shape, &self.values)
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

    /// Stores `tensor` under `name` and replaces a tensor that was there.
    pub fn insert(&mut self, name: impl Into<String>, tensor: NamedTensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Moves every tensor of `other` into this set.
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

    /// The count of numbers `0, 1, 2, …` for which `prefix` + number + `suffix` names a tensor, without a gap.
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

    /// Reads CLIP's weights in any of the forms in which they are published, which are told apart by content: OpenAI's
    /// TorchScript archive, a state dict of `torch.save`, or a safetensors file. Tensors get OpenAI's names; F16, BF16
    /// and F64 become f32. Integers (counts of batches, the context's length) and the causal mask, which follows from
    /// the context's length, are left out.
    ///
    /// Beside `bytes`, memory stays below twelve times the larger of the file's size and 64 MiB. For a PyTorch file it
    /// is the size of the tensors in f32 plus the largest storage.
    ///
    /// # Errors
    /// [`WeightsError`] for anything but a well-formed file of finite numbers within the limits of this module.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        within("bytes", bytes.len(), MAX_FILE_BYTES)?;
        let tensors = match bytes {
            [b'P', b'K', 3, 4, ..] => torch::read(bytes)?,
            [0x80, 2..=5, ..] => return Err(WeightsError::BarePickle),
            _ => Self::from_safetensors(bytes)?,
        };
        names::openai(tensors)
    }

    /// The tensors whose name `keep` accepts.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keep(name)).map(|(n, t)| (n.clone(), t.clone())).collect())
    }
}

fn within(what: &'static str, got: usize, most: usize) -> Result<(), WeightsError> {
    if got > most {
        return Err(WeightsError::TooLarge { what, got, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn transposition_swaps_rows_and_columns() {
        let m = NamedTensor::new(vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(m.transposed(), NamedTensor::new(vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    }
}
