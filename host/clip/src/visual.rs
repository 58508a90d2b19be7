//! CLIP's visual weights → the sizes of its image encoder.

use crate::text_encoder::HEAD_WIDTH;
use crate::weights::{NamedTensors, WeightsError};

/// The stem halves the picture twice, and three of the four stages halve it once each.
const TOTAL_STRIDE: usize = 32;
const STAGES: usize = 4;

/// The sizes of an image encoder.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct VisualConfig {
    /// Channels after the stem.
    pub width: usize,
    /// Bottlenecks of each stage.
    pub layers: [usize; STAGES],
    /// Side of the picture that the weights were trained on, in pixels.
    pub resolution: usize,
    /// Size of the embedding, D.
    pub dim: usize,
}

impl VisualConfig {
    /// Reads the sizes from the shapes of OpenAI-named tensors.
    ///
    /// # Errors
    /// [`WeightsError`] when a tensor is missing or the shapes are not those of CLIP's ModifiedResNet.
    pub fn from_tensors(tensors: &NamedTensors) -> Result<Self, WeightsError> {
        let [width, _, _, _] = tensors.dims("visual.conv3.weight")?;
        let [tokens, channels] = tensors.dims("visual.attnpool.positional_embedding")?;
        let [dim, _] = tensors.dims("visual.attnpool.c_proj.weight")?;
        let side = (tokens - 1).isqrt();
        if side == 0 || side * side + 1 != tokens || channels % HEAD_WIDTH != 0 {
            return Err(WeightsError::Shape {
                name: "visual.attnpool.positional_embedding".to_owned(),
                got: vec![tokens, channels],
                wanted: format!("a square number of places + 1, a multiple of {HEAD_WIDTH} channels"),
            });
        }
        let stage = |i: usize| tensors.count(&format!("visual.layer{}.", i + 1), ".conv1.weight");
        let layers = std::array::from_fn(stage);
        if let Some(empty) = layers.iter().position(|&n| n == 0) {
            return Err(WeightsError::Missing { name: format!("visual.layer{}.0.conv1.weight", empty + 1) });
        }
        Ok(Self { width, layers, resolution: TOTAL_STRIDE * side, dim })
    }
}
