//! OpenAI-named tensors → the trainer's image encoder, under the names that it writes.

use anyhow::{Result, anyhow};
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear};
use burn::prelude::*;
use burn::tensor::TensorData;
use lintel_clip::visual::VisualConfig;
use lintel_clip::weights::NamedTensors;

use super::{ImageConfig, ImageEncoder};

struct Loader<'a> {
    named: &'a NamedTensors,
    device: &'a Device,
}

impl Loader<'_> {
    fn tensor<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        let tensor = self.named.get(name)?;
        let shape: [usize; D] =
            tensor.shape.as_slice().try_into().map_err(|_| anyhow!("{name} has shape {:?}", tensor.shape))?;
        Ok(Tensor::from_data(TensorData::new(tensor.values.clone(), shape), self.device))
    }

    fn block(&self, conv: &mut Conv2d, norm: &mut BatchNorm, conv_name: &str, norm_name: &str) -> Result<()> {
        conv.weight = Param::from_tensor(self.tensor(&format!("{conv_name}.weight"))?);
        norm.gamma = Param::from_tensor(self.tensor(&format!("{norm_name}.weight"))?);
        norm.beta = Param::from_tensor(self.tensor(&format!("{norm_name}.bias"))?);
        for (state, part) in [(&norm.running_mean, "running_mean"), (&norm.running_var, "running_var")] {
            state.update(self.tensor::<1>(&format!("{norm_name}.{part}"))?.inner());
            state.value_sync();
        }
        Ok(())
    }

    fn linear(&self, linear: &mut Linear, name: &str) -> Result<()> {
        // Transposed on the host, so that the weight is a leaf of the graph.
        let weight = self.tensor::<2>(&format!("visual.attnpool.{name}.weight"))?.transpose().into_data();
        linear.weight = Param::from_tensor(Tensor::from_data(weight, self.device));
        linear.bias = Some(Param::from_tensor(self.tensor(&format!("visual.attnpool.{name}.bias"))?));
        Ok(())
    }
}

impl ImageEncoder {
    /// The encoder with weights that [`ImageEncoder::named`] gave, or with published ones of that architecture.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn from_named(named: &NamedTensors, device: &Device) -> Result<Self> {
        let VisualConfig { width, layers, resolution, dim } = VisualConfig::from_tensors(named)?;
        let config = ImageConfig { width, layers, side: resolution / 32, dim };
        let mut encoder = Self::new(&config, device);
        let loader = Loader { named, device };
        for (i, (conv, norm)) in encoder.stem.iter_mut().zip(&mut encoder.stem_norms).enumerate() {
            loader.block(conv, norm, &format!("visual.conv{}", i + 1), &format!("visual.bn{}", i + 1))?;
        }
        for (i, stage) in encoder.stages.iter_mut().enumerate() {
            for (j, block) in stage.iter_mut().enumerate() {
                let p = format!("visual.layer{}.{j}", i + 1);
                for (k, (conv, norm)) in block.convs.iter_mut().zip(&mut block.norms).enumerate() {
                    loader.block(conv, norm, &format!("{p}.conv{}", k + 1), &format!("{p}.bn{}", k + 1))?;
                }
                if let (Some(conv), Some(norm)) = (&mut block.shortcut, &mut block.shortcut_norm) {
                    loader.block(conv, norm, &format!("{p}.downsample.0"), &format!("{p}.downsample.1"))?;
                }
            }
        }
        let pool = &mut encoder.pool;
        pool.position = Param::from_tensor(loader.tensor("visual.attnpool.positional_embedding")?);
        loader.linear(&mut pool.query, "q_proj")?;
        loader.linear(&mut pool.key, "k_proj")?;
        loader.linear(&mut pool.value, "v_proj")?;
        loader.linear(&mut pool.output, "c_proj")?;
        Ok(encoder)
    }
}
