//! A plan and scales → the graph with QuantizeLinear and DequantizeLinear where the plan has them.

use std::collections::{BTreeMap, BTreeSet};

use lintel_inference::saturation;
use lintel_onnx::proto::{GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};
use lintel_onnx::{ElementType, f32_values, int};

use super::network::{Network, form};
use super::plan::{Kind, Layer, Plan};
use super::range::{Grid, Scale};
use super::weights::{Layout, QuantizedWeight, quantize, quantize_bias};
use super::{Precision, QuantizeError, Target};

/// The most steps of a bias: 2³⁰, so that adding the products cannot overflow 32 bits.
const MOST_BIAS_STEPS: f64 = 1_073_741_824.0;

/// The result of calibration.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The scale of each value that has one of its own.
    pub scales: BTreeMap<String, Scale>,
    /// The mean of each channel of a layer's input, by the input's name.
    pub means: BTreeMap<String, Vec<f64>>,
}

/// How the graph is written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The target runtime.
    pub target: Target,
    /// The width of the weights.
    pub precision: Precision,
}

/// Writes the quantised model. Values in `given` already come out of a DequantizeLinear.
///
/// # Errors
/// [`QuantizeError`] when a weight contradicts its shape, or a name is taken.
pub fn rewrite(
    model: &ModelProto,
    network: &Network<'_>,
    layers: &[Layer],
    plan: &Plan,
    seen: &Seen,
    given: &BTreeSet<String>,
    form: Form,
) -> Result<ModelProto, QuantizeError> {
    let mut writer = Writer { network, plan, seen, given, form, nodes: Vec::new(), constants: BTreeMap::new() };
    for input in &network.graph().input {
        writer.frame(&input.name)?;
    }
    for (at, node) in network.nodes().iter().enumerate() {
        let mut node = node.clone();
        let layer = layers.iter().find(|layer| layer.node == at).filter(|_| plan.nodes.contains(&at));
        if let Some(layer) = layer {
            writer.layer(layer, &mut node)?;
        }
        for input in &mut node.input {
            *input = writer.read_as(at, input);
        }
        let outputs = node.output.clone();
        for output in &mut node.output {
            *output = writer.made_as(output);
        }
        writer.nodes.push(node);
        for output in &outputs {
            writer.frame(output)?;
        }
    }
    let Writer { nodes, constants, .. } = writer;
    let mut written = assemble(model, network.graph(), nodes, constants)?;
    if form.precision == Precision::Full {
        let (key, value) = (saturation::WEIGHTS.to_owned(), saturation::FULL.to_owned());
        written.metadata_props.push(StringStringEntryProto { key, value });
    }
    Ok(written)
}

fn assemble(
    model: &ModelProto,
    old: &GraphProto,
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
) -> Result<ModelProto, QuantizeError> {
    let read: BTreeSet<&str> = nodes.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let mut made: BTreeSet<&str> = old.input.iter().map(|input| input.name.as_str()).collect();
    for name in nodes.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty()) {
        if !made.insert(name) {
            return Err(self::form(format!("already has a value called {name}")));
        }
    }
    if let Some(name) = constants.keys().find(|name| made.contains(name.as_str())) {
        return Err(self::form(format!("already has a value called {name}")));
    }
    let kept = |name: &str| read.contains(name) || old.output.iter().any(|output| output.name == name);
    let mut initializer: Vec<TensorProto> = Vec::new();
    for constant in &old.initializer {
        if constants.contains_key(&constant.name) {
            return Err(self::form(format!("already has a value called {}", constant.name)));
        }
        if kept(&constant.name) {
            initializer.push(constant.clone());
        }
    }
    initializer.extend(constants.into_values());
    // ONNX Runtime gives the folded graph's constants in any order; equal models must give equal bytes.
    initializer.sort_by(|a, b| a.name.cmp(&b.name));
    let graph = GraphProto {
        node: nodes,
        name: old.name.clone(),
        initializer,
        doc_string: old.doc_string.clone(),
        input: old.input.clone(),
        output: old.output.clone(),
        ..GraphProto::default()
    };
    Ok(ModelProto {
        ir_version: model.ir_version,
        producer_name: "lintel".to_owned(),
        graph: Some(graph),
        opset_import: model.opset_import.clone(),
        ..ModelProto::default()
    })
}

struct Writer<'a, 'g> {
    network: &'a Network<'g>,
    plan: &'a Plan,
    seen: &'a Seen,
    given: &'a BTreeSet<String>,
    form: Form,
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
}

impl Writer<'_, '_> {
    fn scale(&self, value: &str) -> Result<Option<Scale>, QuantizeError> {
        let Some(root) = self.plan.values.get(value) else { return Ok(None) };
        let scale = self.seen.scales.get(root).copied();
        scale.map(Some).ok_or_else(|| form(format!("has no calibrated range for {root}")))
    }

    /// Whether an integer kernel ends in `value`, which is the output of its node or of the activation fused with it.
    fn made_in_integers(&self, value: &str) -> bool {
        let Some(at) = self.network.producer(value) else { return self.given.contains(value) };
        let node = &self.network.nodes()[at];
        let own = self.plan.nodes.contains(&at);
        let fused = || {
            let before = node.input.first().and_then(|input| self.network.producer(input));
            before.is_some_and(|before| {
                self.plan.nodes.contains(&before)
                    && self.network.activated(&self.network.nodes()[before]) == Some(value)
            })
        };
        own || fused()
    }

    /// The name under which node `at` reads `value`.
    fn read_as(&self, at: usize, value: &str) -> String {
        let framed = self.plan.values.contains_key(value) && !self.given.contains(value);
        if !framed {
            return value.to_owned();
        }
        if self.plan.nodes.contains(&at) || self.made_in_integers(value) {
            self.dequantized(value)
        } else {
            self.made_as(value)
        }
    }

    /// The name under which `value` is given. An output of the graph keeps its name for the dequantised value.
    fn made_as(&self, value: &str) -> String {
        let framed = self.plan.values.contains_key(value) && !self.given.contains(value);
        if framed && self.network.is_output(value) && self.made_in_integers(value) {
            format!("{value}.float")
        } else {
            value.to_owned()
        }
    }

    fn dequantized(&self, value: &str) -> String {
        if self.network.is_output(value) && self.made_in_integers(value) {
            value.to_owned()
        } else {
            format!("{value}.dequantized")
        }
    }

    /// QuantizeLinear and DequantizeLinear after `value`, if the plan frames it.
    fn frame(&mut self, value: &str) -> Result<(), QuantizeError> {
        if value.is_empty() || self.given.contains(value) {
            return Ok(());
        }
        let Some(scale) = self.scale(value)? else { return Ok(()) };
        let root = self.plan.values[value].clone();
        let (scale_name, zero_name) = (format!("{root}.scale"), format!("{root}.zero"));
        self.constants.entry(scale_name.clone()).or_insert_with(|| floats(&scale_name, &[], &[scale.scale]));
        self.constants.entry(zero_name.clone()).or_insert_with(|| zero_point(&zero_name, scale));
        let quantized = format!("{value}.quantized");
        let made = self.made_as(value);
        let back = self.dequantized(value);
        self.nodes.push(node("QuantizeLinear", &[&made, &scale_name, &zero_name], &quantized));
        self.nodes.push(node("DequantizeLinear", &[&quantized, &scale_name, &zero_name], &back));
        Ok(())
    }

    /// Replaces a layer's weights and bias by integers.
    fn layer(&mut self, layer: &Layer, node: &mut NodeProto) -> Result<(), QuantizeError> {
        if layer.kind == Kind::Product {
            return Ok(());
        }
        let [x, weight] = [node.input[0].clone(), node.input[1].clone()];
        let tensor = self.network.constant(&weight).ok_or_else(|| form(format!("has no constant {weight}")))?;
        let values = f32_values(tensor)?;
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(form(format!("has {} in {weight} at {at}, wanted finite numbers", values[at])));
        }
        let layout = Layout::of(layer.kind, &tensor.dims)
            .ok_or_else(|| form(format!("has weights {weight} of shape {:?} in {}", tensor.dims, layer.name)))?;
        let x_scale = f64::from(self.scale(&x)?.ok_or_else(|| form(format!("has no range for {x}")))?.scale);
        let bias = self.bias(node, layout)?;

        // Weights that two layers share are written for each: their inputs' scales differ, and so do the least scales.
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let least: Vec<f32> = bias.iter().map(|b| (b.abs() / x_scale / MOST_BIAS_STEPS) as f32).collect();
        let quantised = quantize(&values, layout, self.form.precision, &least);
        let corrected = self.corrected(layer, &x, bias, layout, &quantised);
        let name = format!("{}.weight", node.output[0]);
        let scale = format!("{name}.scale");
        let zero = format!("{name}.zero");
        let QuantizedWeight { values, scales, .. } = quantised;
        let count = [i64::try_from(scales.len()).unwrap_or(i64::MAX)];
        let bytes = values.iter().map(|v| v.cast_unsigned()).collect();
        self.constant(raw(&format!("{name}.quantized"), ElementType::I8, &tensor.dims, bytes));
        self.constant(floats(&scale, &count, &scales));
        self.constant(raw(&zero, ElementType::I8, &count, vec![0; scales.len()]));
        let mut dequantize = self::node(
            "DequantizeLinear",
            &[&format!("{name}.quantized"), &scale, &zero],
            &format!("{name}.dequantized"),
        );
        dequantize.attribute.push(int("axis", layer.axis()));
        node.input[1].clone_from(&dequantize.output[0]);
        self.nodes.push(dequantize);
        self.write_bias(layer, node, &corrected, &scales, x_scale);
        Ok(())
    }

    /// The layer's bias, zeros when it has none.
    fn bias(&self, node: &NodeProto, layout: Layout) -> Result<Vec<f64>, QuantizeError> {
        let Some(name) = node.input.get(2).filter(|name| !name.is_empty()) else {
            return Ok(vec![0.0; layout.outputs]);
        };
        let tensor = self.network.constant(name).ok_or_else(|| form(format!("has no constant {name}")))?;
        let values = f32_values(tensor)?;
        let values: Vec<f64> = match values.len() {
            1 => vec![f64::from(values[0]); layout.outputs],
            n if n == layout.outputs => values.into_iter().map(f64::from).collect(),
            n => return Err(form(format!("has a bias {name} of {n} values, wanted {}", layout.outputs))),
        };
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(form(format!("has {value} in {name}, wanted finite numbers"))),
            None => Ok(values),
        }
    }

    /// The bias minus the mean effect of the weights' rounding: each weight's error times the mean of its factor.
    fn corrected(&self, layer: &Layer, x: &str, bias: Vec<f64>, layout: Layout, weights: &QuantizedWeight) -> Vec<f64> {
        let groups = if let Kind::Conv { groups } = layer.kind { groups } else { 1 };
        let Some(means) = self.seen.means.get(x).filter(|means| means.len() == layout.inputs * groups) else {
            return bias;
        };
        let per_group = layout.outputs / groups;
        bias.into_iter()
            .zip(&weights.errors)
            .enumerate()
            .map(|(output, (bias, errors))| {
                let first = output / per_group * layout.inputs;
                let shift: f64 = errors.iter().zip(&means[first..]).map(|(&e, mean)| f64::from(e) * mean).sum();
                bias - shift
            })
            .collect()
    }

    fn write_bias(&mut self, layer: &Layer, node: &mut NodeProto, bias: &[f64], scales: &[f32], x_scale: f64) {
        if layer.kind == Kind::MatMul {
            // ONNX's MatMul has no bias; the addition after it is another node and is not changed.
            return;
        }
        let name = format!("{}.bias", node.output[0]);
        node.input.resize(3, String::new());
        let count = [i64::try_from(bias.len()).unwrap_or(i64::MAX)];
        // TensorRT adds the bias in float, and refuses integers here.
        if self.form.target == Target::TensorRt {
            #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
            let values: Vec<f32> = bias.iter().map(|&b| b as f32).collect();
            let corrected = format!("{name}.corrected");
            self.constant(floats(&corrected, &count, &values));
            node.input[2] = corrected;
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let steps: Vec<f32> = scales.iter().map(|&s| (f64::from(s) * x_scale) as f32).collect();
        let integers = bias.iter().zip(&steps).flat_map(|(&b, &step)| quantize_bias(b, f64::from(step)).to_le_bytes());
        let [quantized, scale] = ["quantized", "scale"].map(|part| format!("{name}.{part}"));
        self.constant(raw(&quantized, ElementType::I32, &count, integers.collect()));
        self.constant(floats(&scale, &count, &steps));
        let mut dequantize = self::node("DequantizeLinear", &[&quantized, &scale], &format!("{name}.dequantized"));
        dequantize.attribute.push(int("axis", 0));
        node.input[2].clone_from(&dequantize.output[0]);
        self.nodes.push(dequantize);
    }

    fn constant(&mut self, tensor: TensorProto) {
        self.constants.insert(tensor.name.clone(), tensor);
    }
}

pub(super) fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        // A node of the model may have the same name as its output.
        name: format!("{output}.{op}"),
        op_type: op.to_owned(),
        ..NodeProto::default()
    }
}

pub(super) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    raw(name, ElementType::F32, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

pub(super) fn raw(name: &str, element: ElementType, dims: &[i64], raw: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: element.into(),
        name: name.to_owned(),
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}

fn zero_point(name: &str, scale: Scale) -> TensorProto {
    let element = match scale.grid {
        Grid::U8 => ElementType::U8,
        Grid::S8 => ElementType::I8,
    };
    raw(name, element, &[], vec![scale.zero.to_le_bytes()[0]])
}
