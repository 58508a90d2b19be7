//! A graph whose channels have very different ranges → an equal graph whose channels have similar ranges.
//!
//! A value has one scale for all its channels, so that a channel with a tenth of the widest one's range keeps 25 of 255
//! steps. Between two convolutions that only a Relu or a pool separates, a channel can be made smaller in the first and
//! larger in the second by the same factor without a change of the result (Nagel et al. 2019, §4.1). The first one's
//! weights have a scale for each output channel, so they lose nothing. The second one's weights lose precision unless
//! they are depthwise; the factor is therefore split between the two (Xiao et al. 2022, §4).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lintel_onnx::f32_values;
use lintel_onnx::proto::ModelProto;

use super::QuantizeError;
use super::calibrate::Observed;
use super::network::{Network, form};
use super::plan::{Kind, Layer};
use super::rewrite::floats;

/// A channel is made at most this many times larger, so that a silent channel does not take all steps.
const MOST: f64 = 256.0;

/// A value between convolutions, whose channels can be scaled.
#[derive(Debug)]
struct Between {
    /// The convolution that gives it.
    from: usize,
    /// Its name, after the activation.
    value: String,
    /// The convolutions that read it.
    to: Vec<usize>,
}

/// The values whose channels can be scaled; [`equalize`] needs observations of them.
pub fn scalable(network: &Network<'_>, layers: &[Layer]) -> Vec<String> {
    all(network, layers).into_iter().map(|between| between.value).collect()
}

fn all(network: &Network<'_>, layers: &[Layer]) -> Vec<Between> {
    let convolutions: BTreeMap<usize, &Layer> =
        layers.iter().filter(|l| matches!(l.kind, Kind::Conv { .. })).map(|l| (l.node, l)).collect();
    let mut found = Vec::new();
    for &from in convolutions.keys() {
        let node = &network.nodes()[from];
        let Some(value) = network.activated(node) else { continue };
        // A Clip's bounds would have to be scaled too, differently for each channel.
        let clipped = network.producer(value).is_some_and(|at| network.nodes()[at].op_type == "Clip");
        let mut to = Vec::new();
        if !clipped && readers(network, value, &convolutions, &mut to) {
            found.push(Between { from, value: value.to_owned(), to });
        }
    }
    found
}

/// Whether everything that reads `value` is a convolution, or a pool before one.
fn readers(network: &Network<'_>, value: &str, layers: &BTreeMap<usize, &Layer>, found: &mut Vec<usize>) -> bool {
    let consumers = network.consumers(value);
    !consumers.is_empty()
        && !network.is_output(value)
        && consumers.iter().all(|at| {
            let node = &network.nodes()[*at];
            if layers.contains_key(at) {
                found.push(*at);
                return node.input[0] == value;
            }
            matches!(node.op_type.as_str(), "AveragePool" | "MaxPool" | "GlobalAveragePool")
                && node.output.len() == 1
                && readers(network, &node.output[0], layers, found)
        })
}

/// Scales these values' channels according to `observed`.
///
/// # Errors
/// [`QuantizeError`] when a weight contradicts its shape.
pub fn equalize(model: &mut ModelProto, observed: &BTreeMap<String, Observed>) -> Result<(), QuantizeError> {
    let mut tensors: BTreeMap<usize, Weights> = BTreeMap::new();
    {
        let network = Network::of(model)?;
        let layers = super::plan::layers(&network);
        let kinds: BTreeMap<usize, Kind> = layers.iter().map(|layer| (layer.node, layer.kind)).collect();
        for Between { from, value, to } in all(&network, &layers) {
            for at in to.iter().copied().chain([from]) {
                if let Entry::Vacant(slot) = tensors.entry(at) {
                    slot.insert(Weights::of(&network, at, kinds[&at])?);
                }
            }
            let Some(peaks) = observed.get(&value).map(Observed::peaks) else { continue };
            let fits = |at: &usize| tensors[at].inputs * tensors[at].groups == peaks.len();
            if peaks.len() != tensors[&from].outputs || !to.iter().all(fits) {
                continue;
            }
            let factors = factors(peaks, &to.iter().map(|at| &tensors[at]).collect::<Vec<_>>());
            if let Some(weights) = tensors.get_mut(&from) {
                weights.scale_outputs(&factors);
            }
            for at in to {
                if let Some(weights) = tensors.get_mut(&at) {
                    weights.scale_inputs(&factors);
                }
            }
        }
    }
    let graph = model.graph.as_mut().ok_or(lintel_onnx::OnnxError::NoGraph)?;
    for (at, weights) in tensors {
        let node = &mut graph.node[at];
        let names = [format!("lintel.equal.weight.{at}"), format!("lintel.equal.bias.{at}")];
        let [weight, bias] = names;
        graph.initializer.push(floats(&weight, &weights.dims, &weights.values));
        node.input[1] = weight;
        if let Some(values) = weights.bias {
            graph.initializer.push(floats(&bias, &[weights.dims[0]], &values));
            node.input[2] = bias;
        }
    }
    Ok(())
}

/// The divisor of each channel in the convolution that gives it.
fn factors(peaks: &[f32], readers: &[&Weights]) -> Vec<f64> {
    let depthwise = readers.iter().all(|weights| weights.inputs == 1);
    let widest = peaks.iter().fold(0.0f32, |most, peak| most.max(*peak));
    if widest <= 0.0 {
        return vec![1.0; peaks.len()];
    }
    let reach = |channel: usize| f64::from(peaks[channel] / widest).max(1.0 / MOST);
    (0..peaks.len())
        .map(|channel| {
            if depthwise {
                return reach(channel);
            }
            // The range of the channel's weights within the scales of the layers that read it.
            let weight = readers.iter().map(|weights| weights.reach(channel)).fold(1.0 / MOST, f64::max);
            (reach(channel) / weight).sqrt().clamp(1.0 / MOST, MOST)
        })
        .collect()
}

/// A convolution's constants.
struct Weights {
    dims: Vec<i64>,
    values: Vec<f32>,
    bias: Option<Vec<f32>>,
    outputs: usize,
    /// Number of input channels of one output.
    inputs: usize,
    taps: usize,
    groups: usize,
}

impl Weights {
    fn of(network: &Network<'_>, at: usize, kind: Kind) -> Result<Self, QuantizeError> {
        let node = &network.nodes()[at];
        let wrong = |what: &str| form(format!("has {what} in {}", node.name));
        let constant = |name: &str| network.constant(name).ok_or_else(|| wrong("weights that are not constant"));
        let tensor = constant(&node.input[1])?;
        let Kind::Conv { groups } = kind else { return Err(wrong("no convolution")) };
        let layout = super::weights::Layout::of(kind, &tensor.dims)
            .ok_or_else(|| wrong(&format!("weights of shape {:?}", tensor.dims)))?;
        let values = f32_values(tensor)?;
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => Some(f32_values(constant(name)?)?).filter(|bias| bias.len() == layout.outputs),
            None => None,
        };
        if node.input.get(2).is_some_and(|name| !name.is_empty()) && bias.is_none() {
            return Err(wrong("a bias of another size than its channels"));
        }
        let (outputs, inputs, taps) = (layout.outputs, layout.inputs, layout.taps);
        Ok(Self { dims: tensor.dims.clone(), values, bias, outputs, inputs, taps, groups })
    }

    /// The input channel at `place` in the row of `output`.
    fn channel(&self, output: usize, place: usize) -> usize {
        output / (self.outputs / self.groups) * self.inputs + place
    }

    /// The greatest part of its row's range that a weight of this input channel uses.
    fn reach(&self, channel: usize) -> f64 {
        let mut most = 0.0f64;
        for (output, row) in self.values.chunks_exact(self.inputs * self.taps).enumerate() {
            let first = self.channel(output, 0);
            if (first..first + self.inputs).contains(&channel) {
                let greatest = |weights: &[f32]| weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
                let place = channel - first;
                let whole = greatest(row);
                if whole > 0.0 {
                    let own = greatest(&row[place * self.taps..(place + 1) * self.taps]);
                    most = most.max(f64::from(own / whole));
                }
            }
        }
        most
    }

    fn scale_outputs(&mut self, factors: &[f64]) {
        for (row, factor) in self.values.chunks_exact_mut(self.inputs * self.taps).zip(factors) {
            row.iter_mut().for_each(|w| *w = as_f32(f64::from(*w) / factor));
        }
        for (bias, factor) in self.bias.iter_mut().flatten().zip(factors) {
            *bias = as_f32(f64::from(*bias) / factor);
        }
    }

    fn scale_inputs(&mut self, factors: &[f64]) {
        let per_group = self.outputs / self.groups;
        for (output, row) in self.values.chunks_exact_mut(self.inputs * self.taps).enumerate() {
            let seen = &factors[output / per_group * self.inputs..];
            for (window, factor) in row.chunks_exact_mut(self.taps).zip(seen) {
                window.iter_mut().for_each(|w| *w = as_f32(f64::from(*w) * factor));
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn as_f32(value: f64) -> f32 {
    value as f32
}
