//! Aligned crop → embedding, by an image encoder in ONNX Runtime.

use std::time::Duration;

use ort::session::{Session, SessionOutputs};
use ort::value::{Tensor, TensorElementType, ValueType};

use super::error::RuntimeError;
use super::provider::Provider;
use super::session::{self, Options, Skipped, describe};
use super::timing::timed;
use lintel_core::align::{CROP, CROP_BYTES};
use lintel_core::embed::{Embedding, EncoderId, MAX_DIM};

/// Most crops that go through the encoder at once.
pub const MAX_BATCH: usize = 64;

/// An image encoder, ready to run: u8 `[N, 224, 224, 3]` RGB in, f32 `[N, D]` out. All preprocessing is inside the
/// model.
#[derive(Debug)]
pub struct Encoder {
    session: Session,
    provider: Provider,
    skipped: Vec<Skipped>,
    id: EncoderId,
    dim: usize,
    takes_batches: bool,
    crop: Tensor<u8>,
    inside: Duration,
}

impl Encoder {
    /// Opens the model, and runs it once, so that the first crop is not slower than the others.
    pub fn open(onnx: &[u8], options: &Options) -> Result<Self, RuntimeError> {
        let opened = session::open("open the encoder", onnx, options)?;
        let mut session = opened.session;
        let takes_batches = takes_batches(&session)?;
        let crop = tensor(vec![0; CROP_BYTES])?;
        let mut inside = Duration::ZERO;
        let dim = {
            let outputs = run(&mut session, &crop, &mut inside)?;
            rows(&outputs, 1)?.1
        };
        let (provider, skipped, id) = (opened.provider, opened.skipped, EncoderId::of(onnx));
        Ok(Self { session, provider, skipped, id, dim, takes_batches, crop, inside: Duration::ZERO })
    }

    /// Which encoder this is.
    pub fn id(&self) -> EncoderId {
        self.id
    }

    /// Components of its embeddings.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Who computes.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Who should have computed, and why they do not.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// `crop`: an aligned face, RGB8, 224×224.
    pub fn embed(&mut self, crop: &[u8]) -> Result<Embedding, RuntimeError> {
        check_crop(crop)?;
        self.crop.extract_tensor_mut().1.copy_from_slice(crop);
        let outputs = run(&mut self.session, &self.crop, &mut self.inside)?;
        Ok(Embedding::new(rows(&outputs, 1)?.0, self.id)?)
    }

    /// One embedding for each crop, in their order. Up to [`MAX_BATCH`] go through the model at once, if it can.
    pub fn embed_batch(&mut self, crops: &[&[u8]]) -> Result<Vec<Embedding>, RuntimeError> {
        let at_once = if self.takes_batches { MAX_BATCH } else { 1 };
        let mut embeddings = Vec::with_capacity(crops.len());
        for batch in crops.chunks(at_once) {
            batch.iter().try_for_each(|crop| check_crop(crop))?;
            let input = tensor(batch.concat())?;
            let outputs = run(&mut self.session, &input, &mut self.inside)?;
            let (numbers, dim) = rows(&outputs, batch.len())?;
            for row in numbers.chunks_exact(dim) {
                embeddings.push(Embedding::new(row, self.id)?);
            }
        }
        Ok(embeddings)
    }

    /// Time spent inside ONNX Runtime since the model was opened.
    pub(super) fn inside(&self) -> Duration {
        self.inside
    }
}

fn check_crop(crop: &[u8]) -> Result<(), RuntimeError> {
    if crop.len() == CROP_BYTES {
        return Ok(());
    }
    let wanted = format!("{CROP_BYTES} (RGB8, {CROP}x{CROP})");
    Err(RuntimeError::Shape { what: "number of bytes in a crop", got: crop.len().to_string(), wanted })
}

/// Whether the model leaves the number of crops open; an error when it takes something else than crops.
fn takes_batches(session: &Session) -> Result<bool, RuntimeError> {
    let wanted = || format!("u8 [N, {CROP}, {CROP}, 3]");
    let [input] = session.inputs() else {
        let got = format!("{} inputs", session.inputs().len());
        return Err(RuntimeError::Shape { what: "encoder input", got, wanted: wanted() });
    };
    let size = i64::from(CROP);
    if let ValueType::Tensor { ty: TensorElementType::Uint8, shape, .. } = input.dtype()
        && let &[n @ (1 | -1), height, width, 3] = shape.as_ref()
        && (height, width) == (size, size)
    {
        return Ok(n == -1);
    }
    Err(RuntimeError::Shape { what: "encoder input", got: describe(input.dtype()), wanted: wanted() })
}

/// `[n, 224, 224, 3]` of n crops.
fn tensor(crops: Vec<u8>) -> Result<Tensor<u8>, RuntimeError> {
    let size = CROP as usize;
    let shape = [crops.len() / CROP_BYTES, size, size, 3];
    Tensor::from_array((shape, crops)).map_err(RuntimeError::onnx("make an input tensor"))
}

fn run<'s>(
    session: &'s mut Session,
    crops: &Tensor<u8>,
    inside: &mut Duration,
) -> Result<SessionOutputs<'s>, RuntimeError> {
    timed(inside, || session.run(ort::inputs![crops])).map_err(RuntimeError::onnx("run the encoder"))
}

/// The only output's numbers, `[n, D]`, and D.
fn rows<'o>(outputs: &'o SessionOutputs<'_>, n: usize) -> Result<(&'o [f32], usize), RuntimeError> {
    let wanted = || format!("one f32 [{n}, D] with D from 1 to {MAX_DIM}");
    if outputs.len() != 1 {
        let got = format!("{} outputs", outputs.len());
        return Err(RuntimeError::Shape { what: "encoder output", got, wanted: wanted() });
    }
    if let Ok((shape, numbers)) = outputs[0].try_extract_tensor::<f32>()
        && let &[rows, dim] = shape.as_ref()
        && usize::try_from(rows) == Ok(n)
        && let Some(dim) = usize::try_from(dim).ok().filter(|dim| (1..=MAX_DIM).contains(dim))
    {
        return Ok((numbers, dim));
    }
    Err(RuntimeError::Shape { what: "encoder output", got: describe(outputs[0].dtype()), wanted: wanted() })
}
