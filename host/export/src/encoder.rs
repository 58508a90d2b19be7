//! CLIP's visual weights → the image encoder as an ONNX model: crops `[N, side, side, 3]` u8 RGB → unit `[N, D]` f32.
//!
//! The architecture is CLIP's ModifiedResNet (Radford et al. 2021, §2.4): a stem of three convolutions, residual
//! bottlenecks whose stride is an average pool (so that downsampling is anti-aliased), and an attention pool whose only
//! query is the mean token. Every size is read from the weights. Constants are folded: batch norms and the pixels'
//! scale into the convolutions, the attention's 1/√64 into its query.

use lintel_clip::text_encoder::HEAD_WIDTH;
use lintel_clip::visual::VisualConfig;
use lintel_clip::weights::{NamedTensor, NamedTensors, WeightsError};
use lintel_onnx::{Dim, ElementType, GraphBuilder, Value, Window, write};

use super::pixels::{PIXEL_MEAN, PIXEL_STD, Views, pixels};

/// Name of the model's input.
pub const INPUT: &str = "crops";
/// Name of the model's output.
pub const OUTPUT: &str = "embedding";

/// PyTorch's default, which CLIP keeps.
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// The image encoder for square crops of `side` pixels.
///
/// Crops of another size than the weights' own resolution R are averaged over k×k blocks, k = ⌈side / R⌉, and centred
/// on R×R pixels of the mean colour.
///
/// # Errors
/// [`WeightsError`] when a tensor is missing, has a shape that contradicts the others, or a batch norm's variance is
/// negative.
pub fn encoder_onnx(tensors: &NamedTensors, side: usize, views: Views) -> Result<Vec<u8>, WeightsError> {
    let config = VisualConfig::from_tensors(tensors)?;
    let mut tower = Tower { tensors, graph: GraphBuilder::new("clip-visual") };
    let crops = tower.graph.input(
        INPUT,
        ElementType::U8,
        &[Dim::Named("batch"), Dim::Fixed(side), Dim::Fixed(side), Dim::Fixed(3)],
    );
    let (value, looks) = pixels(&mut tower.graph, &crops, side, config.resolution, views);
    let x = tower.stem(&Features { value, channels: PIXEL_MEAN.len() })?;
    let x = tower.stages(x, &config)?;
    let mut features = tower.attention_pool(&x)?;
    if looks > 1 {
        features = tower.together(&features, as_i64(looks), config.dim);
    }
    let unit = tower.graph.normalize(OUTPUT, &features, -1);
    tower.graph.output(&unit, ElementType::F32, &[Dim::Named("batch"), Dim::Fixed(config.dim)]);
    Ok(write(&tower.graph.finish()))
}

/// A value and its number of channels.
struct Features {
    value: Value,
    channels: usize,
}

struct Tower<'a> {
    tensors: &'a NamedTensors,
    graph: GraphBuilder,
}

impl Tower<'_> {
    /// `[views · N, D]` → `[N, D]`: the mean of the directions of all views of a picture.
    fn together(&mut self, features: &Value, looks: i64, dim: usize) -> Value {
        let g = &mut self.graph;
        let directions = g.normalize("looks.unit", features, -1);
        let looks = g.reshape("looks", &directions, &[looks, -1, as_i64(dim)]);
        g.reduce_mean("looks.mean", &looks, &[0], false)
    }

    fn stem(&mut self, pixels: &Features) -> Result<Features, WeightsError> {
        let scale = PIXEL_STD.map(|std| 1.0 / (255.0 * std));
        let x = self.conv_relu("visual.conv1", "visual.bn1", pixels, Window::square(3, 2, 1), Some(&scale))?;
        let x = self.conv_relu("visual.conv2", "visual.bn2", &x, Window::square(3, 1, 1), None)?;
        let x = self.conv_relu("visual.conv3", "visual.bn3", &x, Window::square(3, 1, 1), None)?;
        Ok(self.halved("visual.avgpool", &x))
    }

    fn stages(&mut self, mut x: Features, config: &VisualConfig) -> Result<Features, WeightsError> {
        for (stage, &blocks) in config.layers.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.bottleneck(&format!("visual.layer{}.{block}", stage + 1), &x, stride)?;
            }
        }
        Ok(x)
    }

    fn bottleneck(&mut self, p: &str, x: &Features, stride: usize) -> Result<Features, WeightsError> {
        let name = |part: &str| format!("{p}.{part}");
        let y = self.conv_relu(&name("conv1"), &name("bn1"), x, Window::square(1, 1, 0), None)?;
        let mut y = self.conv_relu(&name("conv2"), &name("bn2"), &y, Window::square(3, 1, 1), None)?;
        if stride > 1 {
            y = self.halved(&name("avgpool"), &y);
        }
        let y = self.conv(&name("conv3"), &name("bn3"), &y, Window::square(1, 1, 0), None)?;

        let has_downsample = self.tensors.find(&name("downsample.0.weight")).is_some();
        let shortcut = if has_downsample {
            let pooled;
            let source = if stride > 1 {
                pooled = self.halved(&name("downsample.-1"), x);
                &pooled
            } else {
                x
            };
            self.conv(&name("downsample.0"), &name("downsample.1"), source, Window::square(1, 1, 0), None)?.value
        } else if stride == 1 && x.channels == y.channels {
            x.value.clone()
        } else {
            return Err(WeightsError::Missing { name: name("downsample.0.weight") });
        };
        let sum = self.graph.add(&name("add"), &y.value, &shortcut);
        Ok(Features { value: self.graph.relu(p, &sum), channels: y.channels })
    }

    /// `[N, C, S, S]` → `[N, D]`: positions and their mean become tokens, and the mean attends to all of them.
    fn attention_pool(&mut self, x: &Features) -> Result<Value, WeightsError> {
        let p = "visual.attnpool";
        let c = x.channels;
        let [tokens, _] = self.tensors.dims(&format!("{p}.positional_embedding"))?;
        let positions = self.tensors.get_shaped(&format!("{p}.positional_embedding"), &[tokens, c])?;
        let heads = as_i64(c / HEAD_WIDTH);
        let width = as_i64(HEAD_WIDTH);
        let g = &mut self.graph;

        let places = g.reshape(&format!("{p}.places"), &x.value, &[0, as_i64(c), -1]);
        let places = g.transpose(&format!("{p}.tokens"), &places, &[0, 2, 1]);
        let mean = g.reduce_mean(&format!("{p}.mean"), &places, &[1], true);
        let all = g.concat(&format!("{p}.all"), &[&mean, &places], 1);
        let positions = g.constant(&format!("{p}.positional_embedding"), positions.parts());
        let all = g.add(&format!("{p}.placed"), &all, &positions);
        let first = g.slice(&format!("{p}.query"), &all, 1, 0, 1);

        #[expect(clippy::cast_precision_loss, reason = "the head width is 64")]
        let scale = 1.0 / (HEAD_WIDTH as f32).sqrt();
        let query = self.projection(&format!("{p}.q_proj"), &first, c, scale)?;
        let key = self.projection(&format!("{p}.k_proj"), &all, c, 1.0)?;
        let value = self.projection(&format!("{p}.v_proj"), &all, c, 1.0)?;

        let g = &mut self.graph;
        let mut split = |name: &str, x: &Value, order: &[i64]| {
            let heads = g.reshape(&format!("{p}.{name}.split"), x, &[0, 0, heads, width]);
            g.transpose(&format!("{p}.{name}.heads"), &heads, order)
        };
        let query = split("q", &query, &[0, 2, 1, 3]);
        let key = split("k", &key, &[0, 2, 3, 1]);
        let value = split("v", &value, &[0, 2, 1, 3]);
        let scores = g.matmul(&format!("{p}.scores"), &query, &key);
        let attention = g.softmax(&format!("{p}.attention"), &scores, -1);
        let mixed = g.matmul(&format!("{p}.mixed"), &attention, &value);
        let mixed = g.transpose(&format!("{p}.mixed.tokens"), &mixed, &[0, 2, 1, 3]);
        let mixed = g.reshape(&format!("{p}.mixed.flat"), &mixed, &[0, as_i64(c)]);

        let [dim, _] = self.tensors.dims(&format!("{p}.c_proj.weight"))?;
        let weight = self.tensors.get_shaped(&format!("{p}.c_proj.weight"), &[dim, c])?;
        let bias = self.tensors.get_shaped(&format!("{p}.c_proj.bias"), &[dim])?;
        let weight = self.graph.constant(&format!("{p}.c_proj.weight"), weight.parts());
        let bias = self.graph.constant(&format!("{p}.c_proj.bias"), bias.parts());
        Ok(self.graph.gemm(&format!("{p}.c_proj"), &mixed, &weight, Some(&bias)))
    }

    /// x `[N, T, C]` → scale · (x · Wᵀ + b), `[N, T, C]`.
    fn projection(&mut self, name: &str, x: &Value, channels: usize, scale: f32) -> Result<Value, WeightsError> {
        let mut weight = self.tensors.get_shaped(&format!("{name}.weight"), &[channels, channels])?.transposed();
        let mut bias = self.tensors.get_shaped(&format!("{name}.bias"), &[channels])?.clone();
        for value in weight.values.iter_mut().chain(&mut bias.values) {
            *value *= scale;
        }
        let weight = self.graph.constant(&format!("{name}.weight"), weight.parts());
        let bias = self.graph.constant(&format!("{name}.bias"), bias.parts());
        let product = self.graph.matmul(&format!("{name}.product"), x, &weight);
        Ok(self.graph.add(name, &product, &bias))
    }

    fn halved(&mut self, name: &str, x: &Features) -> Features {
        Features { value: self.graph.average_pool(name, &x.value, Window::square(2, 2, 0)), channels: x.channels }
    }

    fn conv_relu(
        &mut self,
        conv: &str,
        norm: &str,
        x: &Features,
        window: Window,
        input_scale: Option<&[f64]>,
    ) -> Result<Features, WeightsError> {
        let y = self.conv(conv, norm, x, window, input_scale)?;
        Ok(Features { value: self.graph.relu(&format!("{conv}.relu"), &y.value), channels: y.channels })
    }

    /// A convolution with its batch norm folded in; its input channels are scaled first if `input_scale` says so.
    fn conv(
        &mut self,
        conv: &str,
        norm: &str,
        x: &Features,
        window: Window,
        input_scale: Option<&[f64]>,
    ) -> Result<Features, WeightsError> {
        let name = format!("{conv}.weight");
        let [outputs, ..] = self.tensors.dims::<4>(&name)?;
        let [kh, kw] = window.kernel;
        let weight = self.tensors.get_shaped(&name, &[outputs, x.channels, kh, kw])?;
        let (scales, shifts) = self.affine(norm, outputs)?;

        let taps = kh * kw;
        let mut folded = Vec::with_capacity(weight.values.len());
        for (row, scale) in weight.values.chunks_exact(x.channels * taps).zip(&scales) {
            folded.extend(row.iter().enumerate().map(|(i, &w)| {
                let input = input_scale.map_or(1.0, |s| s[i / taps]);
                as_f32(f64::from(w) * scale * input)
            }));
        }
        let weight = self.graph.constant(&name, (&weight.shape, &folded));
        let bias = NamedTensor::new(vec![outputs], shifts);
        let bias = self.graph.constant(&format!("{conv}.bias"), bias.parts());
        let value = self.graph.conv(conv, &x.value, &weight, Some(&bias), window, 1);
        Ok(Features { value, channels: outputs })
    }

    /// Batch norm with fixed statistics → y = scale · x + shift, per channel.
    fn affine(&self, norm: &str, channels: usize) -> Result<(Vec<f64>, Vec<f32>), WeightsError> {
        let part = |name: &str| self.tensors.get_shaped(&format!("{norm}.{name}"), &[channels]);
        let (gamma, beta) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        if let Some(index) = variance.values.iter().position(|&v| v < 0.0) {
            let value = variance.values[index];
            return Err(WeightsError::Value { name: format!("{norm}.running_var"), index, value });
        }
        let scales: Vec<f64> = gamma
            .values
            .iter()
            .zip(&variance.values)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + BATCH_NORM_EPSILON).sqrt())
            .collect();
        let shifts = beta
            .values
            .iter()
            .zip(&mean.values)
            .zip(&scales)
            .map(|((&b, &m), scale)| as_f32(f64::from(b) - f64::from(m) * scale))
            .collect();
        Ok((scales, shifts))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn as_f32(value: f64) -> f32 {
    value as f32
}

fn as_i64(size: usize) -> i64 {
    i64::try_from(size).expect("no dimension has 2^63 elements")
}
