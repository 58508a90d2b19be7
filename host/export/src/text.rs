//! CLIP's text weights → the text encoder as an ONNX model: token ids `[N, L]` i64 → unit `[N, D]` f32.
//!
//! The architecture is that of [`text_encoder`](lintel_clip::text_encoder), written a second time as a graph, so that
//! any engine runs what was trained. N and L are free, L up to the weights' context. A row's feature is taken at its
//! first token of the greatest id, the end of text; what follows has no effect.

use lintel_clip::text_encoder::{HEAD_WIDTH, MASKED, NORM_EPSILON, QUICK_GELU, TextConfig};
use lintel_clip::weights::{NamedTensor, NamedTensors, WeightsError};
use lintel_onnx::{Dim, ElementType, GraphBuilder, Value, write};

/// Name of the model's input.
pub const INPUT: &str = "tokens";
/// Name of the model's output.
pub const OUTPUT: &str = "embedding";

/// The text encoder.
///
/// # Errors
/// [`WeightsError`] when a tensor is missing, or has a shape that contradicts the others.
pub fn text_encoder_onnx(tensors: &NamedTensors) -> Result<Vec<u8>, WeightsError> {
    let config = TextConfig::from_tensors(tensors)?;
    let TextConfig { vocabulary, context, width, layers, dim } = config;
    let mut tower = Tower { tensors, graph: GraphBuilder::new("clip-text"), width };
    let tokens = tower.graph.input(INPUT, ElementType::I64, &[Dim::Named("batch"), Dim::Named("length")]);
    let length = tower.graph.dimension("length", &tokens, 1);

    let table = tower.constant("token_embedding.weight", &[vocabulary, width])?;
    let embedded = tower.graph.gather("embedded", &table, &tokens, 0);
    let positions = tower.constant("positional_embedding", &[context, width])?;
    let positions = tower.graph.slice_to("positions", &positions, &[0], &length);
    let mut x = tower.graph.add("placed", &embedded, &positions);

    let mask = tower.graph.constant("mask.all", causal_mask(context).parts());
    let both = tower.graph.concat("mask.sides", &[&length, &length], 0);
    let mask = tower.graph.slice_to("mask", &mask, &[0, 1], &both);
    for layer in 0..layers {
        x = tower.block(&format!("transformer.resblocks.{layer}"), &x, &mask)?;
    }

    let end = tower.graph.arg_max("end", &tokens, 1);
    let last = tower.graph.gather_nd("last", &x, &end, 1);
    let last = tower.norm("ln_final", &last)?;
    let projection = tower.constant("text_projection", &[width, dim])?;
    let features = tower.graph.matmul("features", &last, &projection);
    let unit = tower.graph.normalize(OUTPUT, &features, -1);
    tower.graph.output(&unit, ElementType::F32, &[Dim::Named("batch"), Dim::Fixed(dim)]);
    Ok(write(&tower.graph.finish()))
}

/// `[context, context]`: 0 where a token (row) may attend, a large negative number at later tokens.
fn causal_mask(context: usize) -> NamedTensor {
    let values = (0..context * context).map(|i| if i % context > i / context { MASKED } else { 0.0 });
    NamedTensor::new(vec![context, context], values.collect())
}

struct Tower<'a> {
    tensors: &'a NamedTensors,
    graph: GraphBuilder,
    width: usize,
}

impl Tower<'_> {
    /// x + attention(norm(x)), then x + mlp(norm(x)); `[N, L, W]` → `[N, L, W]`.
    fn block(&mut self, p: &str, x: &Value, mask: &Value) -> Result<Value, WeightsError> {
        let width = self.width;
        let normed = self.norm(&format!("{p}.ln_1"), x)?;
        let mixed = self.attention(&format!("{p}.attn"), &normed, mask)?;
        let x = self.graph.add(&format!("{p}.attended"), x, &mixed);

        let normed = self.norm(&format!("{p}.ln_2"), &x)?;
        let hidden = self.linear(&format!("{p}.mlp.c_fc"), ".", &normed, [4 * width, width], |_| 1.0)?;
        let slope = self.graph.constant_scalar(&format!("{p}.mlp.slope"), QUICK_GELU);
        let steep = self.graph.mul(&format!("{p}.mlp.steep"), &hidden, &slope);
        let gate = self.graph.sigmoid(&format!("{p}.mlp.gate"), &steep);
        let hidden = self.graph.mul(&format!("{p}.mlp.gelu"), &hidden, &gate);
        let out = self.linear(&format!("{p}.mlp.c_proj"), ".", &hidden, [width, 4 * width], |_| 1.0)?;
        Ok(self.graph.add(p, &x, &out))
    }

    fn attention(&mut self, p: &str, x: &Value, mask: &Value) -> Result<Value, WeightsError> {
        let width = self.width;
        #[expect(clippy::cast_precision_loss, reason = "the head width is 64")]
        let scale = 1.0 / (HEAD_WIDTH as f32).sqrt();
        // The attention's 1/√64 goes into the query's rows.
        let scales = |output: usize| if output < width { scale } else { 1.0 };
        let qkv = self.linear(&format!("{p}.in_proj"), "_", x, [3 * width, width], scales)?;
        let (heads, head, whole) = (as_i64(width / HEAD_WIDTH), as_i64(HEAD_WIDTH), as_i64(width));
        let g = &mut self.graph;
        let mut part = |name: &str, index: i64, order: &[i64]| {
            let part = g.slice(&format!("{p}.{name}"), &qkv, 2, index * whole, (index + 1) * whole);
            let split = g.reshape(&format!("{p}.{name}.split"), &part, &[0, 0, heads, head]);
            g.transpose(&format!("{p}.{name}.heads"), &split, order)
        };
        let query = part("q", 0, &[0, 2, 1, 3]);
        let key = part("k", 1, &[0, 2, 3, 1]);
        let value = part("v", 2, &[0, 2, 1, 3]);
        let scores = g.matmul(&format!("{p}.scores"), &query, &key);
        let scores = g.add(&format!("{p}.masked"), &scores, mask);
        let attention = g.softmax(&format!("{p}.attention"), &scores, -1);
        let mixed = g.matmul(&format!("{p}.mixed"), &attention, &value);
        let mixed = g.transpose(&format!("{p}.mixed.tokens"), &mixed, &[0, 2, 1, 3]);
        let mixed = g.reshape(&format!("{p}.mixed.flat"), &mixed, &[0, 0, whole]);
        self.linear(&format!("{p}.out_proj"), ".", &mixed, [width, width], |_| 1.0)
    }

    /// x · Wᵀ + b, row `o` of W and b times `scale(o)`. `dot` is the separator between the layer's name and "weight":
    /// an underscore in PyTorch's attention.
    fn linear(
        &mut self,
        name: &str,
        dot: &str,
        x: &Value,
        [outputs, inputs]: [usize; 2],
        scale: impl Fn(usize) -> f32,
    ) -> Result<Value, WeightsError> {
        let mut weight = self.tensors.get_shaped(&format!("{name}{dot}weight"), &[outputs, inputs])?.clone();
        let mut bias = self.tensors.get_shaped(&format!("{name}{dot}bias"), &[outputs])?.clone();
        for (output, (row, bias)) in weight.values.chunks_exact_mut(inputs).zip(&mut bias.values).enumerate() {
            row.iter_mut().chain([bias]).for_each(|value| *value *= scale(output));
        }
        let weight = self.graph.constant(&format!("{name}.weight"), weight.transposed().parts());
        let bias = self.graph.constant(&format!("{name}.bias"), bias.parts());
        let product = self.graph.matmul(&format!("{name}.product"), x, &weight);
        Ok(self.graph.add(name, &product, &bias))
    }

    fn norm(&mut self, name: &str, x: &Value) -> Result<Value, WeightsError> {
        let weight = self.constant(&format!("{name}.weight"), &[self.width])?;
        let bias = self.constant(&format!("{name}.bias"), &[self.width])?;
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let epsilon = NORM_EPSILON as f32;
        Ok(self.graph.layer_norm(name, x, &weight, &bias, epsilon))
    }

    fn constant(&mut self, name: &str, shape: &[usize]) -> Result<Value, WeightsError> {
        let tensor = self.tensors.get_shaped(name, shape)?;
        Ok(self.graph.constant(name, tensor.parts()))
    }
}

fn as_i64(size: usize) -> i64 {
    i64::try_from(size).expect("no dimension has 2^63 elements")
}
