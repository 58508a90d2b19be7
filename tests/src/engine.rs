//! Models through ONNX Runtime, as plain numbers in and out.

use anyhow::Result;
use lintel_inference::{Options, session};
use ort::value::Tensor;

/// Token rows of any length → one unit embedding each, by an exported text encoder. Shorter rows are padded with 0, as
/// CLIP's are.
///
/// # Errors
/// When the model cannot be opened or run.
pub fn embed_tokens(onnx: &[u8], rows: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
    let length = rows.iter().map(Vec::len).max().unwrap_or(0);
    let ids: Vec<i64> =
        rows.iter().flat_map(|row| (0..length).map(|i| row.get(i).map_or(0, |&id| i64::from(id)))).collect();
    let mut session = session::open("open the text encoder", onnx, &Options::default())?.session;
    let tokens = Tensor::from_array(([rows.len(), length], ids))?;
    let outputs = session.run(ort::inputs![tokens])?;
    let (_, values) = outputs[0].try_extract_tensor::<f32>()?;
    Ok(values.chunks_exact(values.len() / rows.len()).map(<[f32]>::to_vec).collect())
}

/// Bytes of some shape → all f32 outputs.
///
/// # Errors
/// When the model cannot be opened or run.
pub fn run_bytes(onnx: &[u8], shape: [usize; 4], bytes: Vec<u8>) -> Result<Vec<Vec<f32>>> {
    let mut session = session::open("open the model", onnx, &Options::default())?.session;
    let input = Tensor::from_array((shape, bytes))?;
    let outputs = session.run(ort::inputs![input])?;
    outputs.values().map(|value| Ok(value.try_extract_tensor::<f32>()?.1.to_vec())).collect()
}
