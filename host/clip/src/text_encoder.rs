//! Token ids of prompts → text embeddings `[N, D]`: CLIP's causal transformer, as a module that can be trained.
//!
//! The architecture is that of Radford et al. 2021, §2.4: pre-norm residual blocks, QuickGELU, a causal mask, and the
//! feature at the end-of-text token, projected without bias. Its size is read from the shapes of the weights.
//!
//! Only what the features depend on is computed: see the module `packing`.

mod block;
mod init;
mod packing;
pub mod plain;
mod precision;
mod prompts;

use burn::module::{Module, Param, ParamId};
use burn::nn::LayerNorm;
use burn::tensor::{Device, Int, Tensor, TensorData};

use self::block::{Block, View, layer_norm};
use self::packing::Packing;
use crate::weights::{NamedTensor, NamedTensors, WeightsError};

pub use block::{MASKED, NORM_EPSILON, QUICK_GELU};
pub use init::random_tensors;
pub use precision::{MatmulPrecision, NoPrecision};
pub use prompts::{Prompts, PromptsError};

/// Width of one attention head, in both of CLIP's towers.
pub const HEAD_WIDTH: usize = 64;
/// CLIP clips the logit scale at 100, to keep training stable (Radford et al. 2021, §2.5).
pub const MAX_LOGIT_SCALE: f32 = 100.0;

/// The sizes of a text encoder.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TextConfig {
    /// Number of token ids, the two marks of start and end included.
    pub vocabulary: usize,
    /// Most tokens of a prompt, both marks included.
    pub context: usize,
    /// Channels of the transformer, a multiple of [`HEAD_WIDTH`].
    pub width: usize,
    /// Residual blocks.
    pub layers: usize,
    /// Size of the embedding, D.
    pub dim: usize,
}

impl TextConfig {
    /// Reads the sizes from the shapes of OpenAI-named tensors.
    ///
    /// # Errors
    /// [`WeightsError`] when a tensor is missing or the shapes are not those of CLIP's text transformer.
    pub fn from_tensors(tensors: &NamedTensors) -> Result<Self, WeightsError> {
        let [vocabulary, width] = tensors.dims("token_embedding.weight")?;
        let [context, _] = tensors.dims("positional_embedding")?;
        let [_, dim] = tensors.dims("text_projection")?;
        let layers = tensors.count("transformer.resblocks.", ".attn.in_proj_weight");
        if width % HEAD_WIDTH != 0 {
            return Err(WeightsError::Shape {
                name: "token_embedding.weight".to_owned(),
                got: vec![vocabulary, width],
                wanted: format!("a width that is a multiple of {HEAD_WIDTH}"),
            });
        }
        if layers == 0 {
            return Err(WeightsError::Missing { name: "transformer.resblocks.0.attn.in_proj_weight".to_owned() });
        }
        Ok(Self { vocabulary, context, width, layers, dim })
    }

    /// Number of attention heads.
    #[must_use]
    pub const fn heads(&self) -> usize {
        self.width / HEAD_WIDTH
    }
}

/// CLIP's text encoder and its logit scale.
#[derive(Module, Debug)]
pub struct TextEncoder {
    /// `[vocabulary, width]`
    token_embedding: Param<Tensor<2>>,
    /// `[context, width]`
    positional_embedding: Param<Tensor<2>>,
    blocks: Vec<Block>,
    ln_final: LayerNorm,
    /// `[width, dim]`
    text_projection: Param<Tensor<2>>,
    /// `[1]`: the natural logarithm of the factor between cosine and logit.
    logit_scale: Param<Tensor<1>>,
    #[module(skip)]
    precision: MatmulPrecision,
}

impl TextEncoder {
    /// A text encoder with the weights of `tensors`. Other names are ignored, so that a whole CLIP can be passed.
    ///
    /// # Errors
    /// [`WeightsError`] when a tensor is missing or has another shape than the rest implies.
    pub fn from_tensors(tensors: &NamedTensors, device: &Device) -> Result<Self, WeightsError> {
        let TextConfig { vocabulary, context, width, layers, dim } = TextConfig::from_tensors(tensors)?;
        let loader = Loader { tensors, device };
        let scale = tensors.get_shaped("logit_scale", &[])?;
        Ok(Self {
            token_embedding: loader.param("token_embedding.weight", [vocabulary, width])?,
            positional_embedding: loader.param("positional_embedding", [context, width])?,
            blocks: (0..layers).map(|i| Block::load(&loader, i, width)).collect::<Result<_, _>>()?,
            ln_final: layer_norm(&loader, "ln_final", width)?,
            text_projection: loader.param("text_projection", [width, dim])?,
            logit_scale: param_of("logit_scale", scale.values.clone(), [1], device),
            precision: MatmulPrecision::F32,
        })
    }

    /// A text encoder with random weights, the same for the same `seed`.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "random_tensors makes every tensor that is loaded")]
    pub fn random(config: &TextConfig, seed: u64, device: &Device) -> Self {
        Self::from_tensors(&random_tensors(config, seed), device).expect("random tensors have the shapes of the config")
    }

    /// The weights, under OpenAI's names.
    #[must_use]
    pub fn to_tensors(&self) -> NamedTensors {
        let mut tensors = NamedTensors::new();
        tensors.insert("token_embedding.weight", named(&self.token_embedding.val()));
        tensors.insert("positional_embedding", named(&self.positional_embedding.val()));
        tensors.insert("text_projection", named(&self.text_projection.val()));
        tensors.insert("logit_scale", NamedTensor::scalar(self.log_logit_scale()));
        for (i, block) in self.blocks.iter().enumerate() {
            block.save(&mut tensors, i);
        }
        block::save_norm(&mut tensors, "ln_final", &self.ln_final);
        tensors
    }

    /// The sizes.
    #[must_use]
    pub fn config(&self) -> TextConfig {
        let [vocabulary, width] = self.token_embedding.val().dims();
        let [context, _] = self.positional_embedding.val().dims();
        let [_, dim] = self.text_projection.val().dims();
        TextConfig { vocabulary, context, width, layers: self.blocks.len(), dim }
    }

    /// The logarithm of the logit scale as a value to train, `[1]`.
    #[must_use]
    pub fn logit_scale_param(&self) -> &Param<Tensor<1>> {
        &self.logit_scale
    }

    /// The factor between cosine and logit, clipped at [`MAX_LOGIT_SCALE`], as part of the graph: `[1]`.
    #[must_use]
    pub fn logit_scale(&self) -> Tensor<1> {
        self.logit_scale.val().exp().clamp_max(MAX_LOGIT_SCALE)
    }

    /// The logarithm of the factor between cosine and logit, as it is stored.
    #[must_use]
    pub fn log_logit_scale(&self) -> f32 {
        self.logit_scale.val().into_scalar::<f32>()
    }

    /// This encoder with the logit scale clipped at [`MAX_LOGIT_SCALE`], as CLIP does after each step.
    #[must_use]
    pub fn with_clipped_logit_scale(self) -> Self {
        let clipped = self.log_logit_scale().min(MAX_LOGIT_SCALE.ln());
        let trained = self.logit_scale.is_require_grad();
        self.with_logit_scale(clipped, trained)
    }

    /// This encoder with a logit scale that training does not change.
    #[must_use]
    pub fn with_frozen_logit_scale(self) -> Self {
        let scale = self.log_logit_scale();
        self.with_logit_scale(scale, false)
    }

    /// This encoder with another precision of the products in its linear layers; the weights do not change.
    #[must_use]
    pub fn with_matmul_precision(mut self, precision: MatmulPrecision) -> Self {
        self.precision = precision;
        self
    }

    /// A new leaf of the graph. An operation on the old parameter would give a value that an optimiser does not visit.
    fn with_logit_scale(mut self, log: f32, trained: bool) -> Self {
        let device = self.logit_scale.val().device();
        self.logit_scale = param_of("logit_scale", vec![log], [1], &device).set_require_grad(trained);
        self
    }

    /// Prompts → features `[N, D]` before normalisation.
    ///
    /// # Panics
    /// If the prompts were checked against another encoder's config and don't fit this one's.
    #[must_use]
    pub fn features(&self, prompts: &Prompts) -> Tensor<2> {
        let packing = Packing::new(prompts.rows());
        let device = self.token_embedding.val().device();
        let indices = |values: &[i32]| Tensor::<1, Int>::from_data(values, &device);

        let tokens = self.token_embedding.val().select(0, indices(&packing.ids));
        let mut x = tokens + self.positional_embedding.val().select(0, indices(&packing.positions));
        let view = View::new(&packing, self.precision, &device);
        let (last, blocks) = self.blocks.split_last().expect("an encoder has blocks");
        for block in blocks {
            x = block.forward(x, &view);
        }
        let ends = last.forward_rows(x, &view, &indices(&packing.ends));
        self.precision.product(self.ln_final.forward(ends), self.text_projection.val())
    }

    /// Prompts → unit embeddings `[N, D]`.
    #[must_use]
    pub fn forward(&self, prompts: &Prompts) -> Tensor<2> {
        normalized(self.features(prompts))
    }
}

/// Rows divided by their Euclidean length: `[N, D]` → `[N, D]`.
#[must_use]
pub fn normalized(rows: Tensor<2>) -> Tensor<2> {
    let norm = rows.clone().square().sum_dim(1).sqrt();
    rows.div(norm)
}

/// Takes parameters out of named tensors.
struct Loader<'a> {
    tensors: &'a NamedTensors,
    device: &'a Device,
}

impl Loader<'_> {
    fn param<const RANK: usize>(&self, name: &str, shape: [usize; RANK]) -> Result<Param<Tensor<RANK>>, WeightsError> {
        let tensor = self.tensors.get_shaped(name, &shape)?;
        Ok(param_of(name, tensor.values.clone(), shape, self.device))
    }

    /// A matrix that the file stores as `[outputs, inputs]` and that a linear layer takes as `[inputs, outputs]`.
    fn transposed(&self, name: &str, [outputs, inputs]: [usize; 2]) -> Result<Param<Tensor<2>>, WeightsError> {
        let tensor = self.tensors.get_shaped(name, &[outputs, inputs])?.transposed();
        Ok(param_of(name, tensor.values, [inputs, outputs], self.device))
    }
}

/// A trainable parameter whose id follows from its name, so that an optimiser's state finds it in another process.
fn param_of<const RANK: usize>(
    name: &str,
    values: Vec<f32>,
    shape: [usize; RANK],
    device: &Device,
) -> Param<Tensor<RANK>> {
    let tensor = Tensor::<RANK>::from_data(TensorData::new(values, shape), device);
    Param::initialized(param_id(name), tensor).set_require_grad(true)
}

/// The identity of the parameter `name`: its 64-bit FNV-1a hash.
#[must_use]
pub fn param_id(name: &str) -> ParamId {
    let hash =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ParamId::from(hash)
}

/// A tensor's values on the host.
fn named<const RANK: usize>(tensor: &Tensor<RANK>) -> NamedTensor {
    let data = tensor.to_data();
    let values = data.try_to_vec::<f32>().expect("parameters are f32");
    NamedTensor::new(tensor.dims().to_vec(), values)
}

#[cfg(test)]
mod tests;
