//! `.onnx` bytes ↔ [`ModelProto`], and the shapes and values of its tensors.

use prost::Message;

use super::proto::{DimensionValue, ElementType, ModelProto, TensorProto, TypeValue, ValueInfoProto};

/// The largest file that is read, in bytes. Protobuf's limit is 2 GiB.
pub const MAX_FILE_BYTES: usize = (2 << 30) - 1;

/// Why an `.onnx` file, or a part of one, was refused.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file exceeds protobuf's limit.
    #[error("model has {got} bytes, at most {MAX_FILE_BYTES} are allowed")]
    TooLarge {
        /// The file's size in bytes.
        got: usize,
    },
    /// The bytes are not an ONNX model, or are cut short.
    #[error("model is not a valid ONNX file: {0}")]
    Format(#[from] prost::DecodeError),
    /// The file has no graph.
    #[error("model has no graph")]
    NoGraph,
    /// A tensor's values contradict its shape or type.
    #[error("tensor {name} {what}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong, with got and wanted.
        what: String,
    },
    /// The graph has a form that the caller cannot work with.
    #[error("model {what}")]
    Form {
        /// Got and wanted.
        what: String,
    },
}

/// Reads a model.
///
/// # Errors
/// [`OnnxError`] when the bytes are no model or hold no graph.
pub fn read(bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(OnnxError::TooLarge { got: bytes.len() });
    }
    let model = ModelProto::decode(bytes)?;
    if model.graph.is_none() {
        return Err(OnnxError::NoGraph);
    }
    Ok(model)
}

/// Writes a model; equal models give equal bytes.
#[must_use]
pub fn write(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// Element type and dimensions of a graph's input or output; `None` is a dimension that is not known before run time.
///
/// # Errors
/// [`OnnxError::Form`] when it is not a tensor of known rank.
pub fn dims_of(info: &ValueInfoProto) -> Result<(ElementType, Vec<Option<usize>>), OnnxError> {
    let form = |what: &str| OnnxError::Form { what: format!("value {} {what}", info.name) };
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(form("is not a dense tensor"));
    };
    let shape = tensor.shape.as_ref().ok_or_else(|| form("has no shape"))?;
    let dims = shape
        .dim
        .iter()
        .map(|dim| match dim.value {
            Some(DimensionValue::Value(size)) if size > 0 => usize::try_from(size).ok(),
            _ => None,
        })
        .collect();
    Ok((tensor.elem_type(), dims))
}

/// The values of a constant of type f32, from `raw_data` or the typed list.
///
/// # Errors
/// [`OnnxError::Tensor`] for another type, values in another file, or a count that the shape contradicts.
pub fn f32_values(tensor: &TensorProto) -> Result<Vec<f32>, OnnxError> {
    let wrong = |what: String| OnnxError::Tensor { name: tensor.name.clone(), what };
    if tensor.data_type() != ElementType::F32 {
        return Err(wrong(format!("holds {:?}, wanted F32", tensor.data_type())));
    }
    let wanted = element_count(tensor)?;
    let values = match &tensor.raw_data {
        Some(raw) if raw.len() % 4 != 0 => {
            return Err(wrong(format!("has {} bytes, wanted a multiple of 4", raw.len())));
        }
        Some(raw) => raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        None => tensor.float_data.clone(),
    };
    if values.len() != wanted {
        return Err(wrong(format!("has {} values, its shape {:?} wants {wanted}", values.len(), tensor.dims)));
    }
    Ok(values)
}

/// The values of a constant of type i64, from `raw_data` or the typed list.
///
/// # Errors
/// [`OnnxError::Tensor`] for another type, values in another file, or a count that the shape contradicts.
pub fn i64_values(tensor: &TensorProto) -> Result<Vec<i64>, OnnxError> {
    let wrong = |what: String| OnnxError::Tensor { name: tensor.name.clone(), what };
    if tensor.data_type() != ElementType::I64 {
        return Err(wrong(format!("holds {:?}, wanted I64", tensor.data_type())));
    }
    let wanted = element_count(tensor)?;
    let values = match &tensor.raw_data {
        Some(raw) => raw.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect(),
        None => tensor.int64_data.clone(),
    };
    if values.len() != wanted {
        return Err(wrong(format!("has {} values, its shape {:?} wants {wanted}", values.len(), tensor.dims)));
    }
    Ok(values)
}

fn element_count(tensor: &TensorProto) -> Result<usize, OnnxError> {
    tensor.dims.iter().try_fold(1usize, |n, &d| usize::try_from(d).ok().and_then(|d| n.checked_mul(d))).ok_or_else(
        || OnnxError::Tensor {
            name: tensor.name.clone(),
            what: format!("has shape {:?}, wanted sizes that can be counted", tensor.dims),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Dim, GraphBuilder, Window};
    use super::*;

    fn model() -> ModelProto {
        let mut g = GraphBuilder::new("test");
        let x = g.input("x", ElementType::F32, &[Dim::Named("batch"), Dim::Fixed(1), Dim::Fixed(4), Dim::Fixed(4)]);
        let w = g.constant("w", (&[2, 1, 3, 3], &[0.25; 18]));
        let y = g.conv("conv", &x, &w, None, Window::square(3, 1, 1), 1);
        let y = g.upsample_nearest("up", &y, 2);
        g.output(&y, ElementType::F32, &[Dim::Named("batch"), Dim::Fixed(2), Dim::Fixed(8), Dim::Fixed(8)]);
        g.finish()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = write(&model());
        assert_eq!(bytes, write(&model()));
        let read = read(&bytes).expect("a model");
        assert_eq!(read, model());
        let graph = read.graph.expect("a graph");
        let (element, dims) = dims_of(&graph.input[0]).expect("a tensor");
        assert_eq!((element, dims), (ElementType::F32, vec![None, Some(1), Some(4), Some(4)]));
        assert_eq!(f32_values(&graph.initializer[0]).expect("values"), [0.25; 18]);
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = write(&model());
        let check = |bytes: &[u8], expected: &str| {
            let error = read(bytes).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&[], "no graph");
        check(b"not a model", "not a valid ONNX file");
        for cut in 1..bytes.len() {
            // Protobuf has no frame: a cut between two fields gives a shorter message; a cut anywhere else is an error.
            if let Ok(model) = read(&bytes[..cut]) {
                assert!(model.graph.is_some());
            }
        }
    }

    #[test]
    fn constants_hold_what_their_shape_says() {
        let tensor = |dims: &[i64], raw: Option<Vec<u8>>, float_data: Vec<f32>| TensorProto {
            dims: dims.to_vec(),
            data_type: ElementType::F32.into(),
            raw_data: raw,
            float_data,
            ..TensorProto::default()
        };
        let check = |tensor: &TensorProto, expected: Option<&[f32]>| {
            assert_eq!(f32_values(tensor).ok().as_deref(), expected);
        };
        check(&tensor(&[2], None, vec![1.0, 2.0]), Some(&[1.0, 2.0]));
        check(&tensor(&[], Some(1.5_f32.to_le_bytes().to_vec()), vec![]), Some(&[1.5]));
        check(&tensor(&[0], Some(vec![]), vec![]), Some(&[]));
        check(&tensor(&[2], Some(vec![0; 4]), vec![]), None);
        check(&tensor(&[1], Some(vec![0; 5]), vec![]), None);
        check(&tensor(&[-1], None, vec![1.0]), None);
        check(&tensor(&[i64::MAX, i64::MAX], None, vec![]), None);
        check(&TensorProto { data_type: ElementType::I64.into(), ..TensorProto::default() }, None);
    }

    #[test]
    #[should_panic(expected = "the name conv is used twice")]
    fn a_name_is_used_once() {
        let mut g = GraphBuilder::new("test");
        let x = g.input("conv", ElementType::F32, &[]);
        g.relu("conv", &x);
    }
}
