//! Calibration pictures through the float model → a histogram of every value.

use std::collections::{BTreeMap, BTreeSet};

use lintel_inference::{Array, Model, Options};
use lintel_onnx::proto::{ModelProto, ValueInfoProto};
use lintel_onnx::write;

use super::network::{Network, form};
use super::plan::Layer;
use super::range::Histogram;
use super::{Progress, QuantizeError, Step};

/// The most numbers that are kept of one run: 128 MB. A model with more intermediate values is run several times for
/// each picture.
const MOST_AT_ONCE: usize = 32 << 20;
/// The size that is assumed for a value whose size the file does not give.
const UNKNOWN_SIZE: usize = 4 << 20;

/// What is kept of one value.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The histogram of all its numbers.
    pub histogram: Histogram,
    sums: Vec<f64>,
    peaks: Vec<f32>,
    count: u64,
}

impl Observed {
    /// The mean of each channel; empty if channels were not counted.
    pub fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count.max(1) as f64).collect()
    }

    /// The greatest magnitude of each channel; empty if channels were not counted.
    pub fn peaks(&self) -> &[f32] {
        &self.peaks
    }

    /// `axis`: the axis of the channels; `None` if their means are not needed.
    fn add(&mut self, shape: &[i64], values: &[f32], axis: Option<usize>) {
        self.histogram.add(values);
        let Some((axis, channels)) = axis.and_then(|axis| Some((axis, usize::try_from(*shape.get(axis)?).ok()?)))
        else {
            return;
        };
        let inner: usize = shape[axis + 1..].iter().filter_map(|&d| usize::try_from(d).ok()).product();
        if channels == 0 || inner == 0 || !values.len().is_multiple_of(channels * inner) {
            return;
        }
        self.sums.resize(channels, 0.0);
        self.peaks.resize(channels, 0.0);
        for (place, run) in values.chunks_exact(inner).enumerate() {
            let channel = place % channels;
            self.sums[channel] += run.iter().map(|&v| f64::from(v)).sum::<f64>();
            self.peaks[channel] = run.iter().fold(self.peaks[channel], |peak, v| peak.max(v.abs()));
        }
        self.count += (values.len() / channels) as u64;
    }
}

/// The channel axis of each layer's input, and of each convolution's output.
fn channel_axes(network: &Network<'_>, layers: &[Layer]) -> BTreeMap<String, usize> {
    let mut axes = BTreeMap::new();
    for layer in layers {
        let x = &network.nodes()[layer.node].input[0];
        let last = network.shape(x).map(|(_, dims)| dims.len().saturating_sub(1));
        let axis = match layer.kind {
            super::plan::Kind::Conv { .. } => Some(1),
            _ => last,
        };
        if let Some(axis) = axis {
            axes.insert(x.clone(), axis);
        }
        if let (super::plan::Kind::Conv { .. }, Some(output)) =
            (layer.kind, network.activated(&network.nodes()[layer.node]))
        {
            axes.insert(output.to_owned(), 1);
        }
    }
    axes
}

/// The model with `values` as additional outputs.
pub fn with_outputs(model: &ModelProto, values: &[String]) -> Vec<u8> {
    let mut shown = model.clone();
    if let Some(graph) = &mut shown.graph {
        for value in values {
            if graph.output.iter().all(|output| output.name != *value) {
                // ONNX Runtime infers types by itself.
                graph.output.push(ValueInfoProto { name: value.clone(), ..ValueInfoProto::default() });
            }
        }
    }
    write(&shown)
}

/// Runs the model on every sample and records `values`.
///
/// # Errors
/// [`QuantizeError`] when ONNX Runtime fails, or a value is NaN or infinite.
pub fn observe(
    model: &ModelProto,
    network: &Network<'_>,
    layers: &[Layer],
    values: &BTreeSet<&str>,
    samples: &[&Array],
    runtime: &Options,
    progress: &mut Progress<'_>,
) -> Result<BTreeMap<String, Observed>, QuantizeError> {
    let axes = channel_axes(network, layers);
    let mut observed: BTreeMap<String, Observed> = BTreeMap::new();
    let groups = groups(network, values);
    let total = groups.len() * samples.len();
    let all: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
    let mut session = Model::open(&with_outputs(model, &all), runtime)?;
    let mut done = 0;
    for group in &groups {
        for sample in samples {
            session.run(sample, group, |place, shape, numbers| {
                let name = &group[place];
                observed.entry(name.clone()).or_default().add(shape, numbers, axes.get(name).copied());
            })?;
            done += 1;
            progress(Step { doing: "calibrating", done, total })?;
        }
    }
    for name in &all {
        match observed.get(name) {
            None => return Err(form(format!("has a value {name} that is not f32"))),
            Some(seen) if seen.histogram.bad() > 0 => {
                return Err(form(format!("gives {} times NaN or infinity at {name}", seen.histogram.bad())));
            }
            Some(_) => {}
        }
    }
    Ok(observed)
}

/// `values` in groups that fit into memory together.
fn groups(network: &Network<'_>, values: &BTreeSet<&str>) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for &value in values {
        let size = network.elements(value).unwrap_or(UNKNOWN_SIZE);
        if size > room || groups.is_empty() {
            groups.push(Vec::new());
            room = MOST_AT_ONCE;
        }
        room = room.saturating_sub(size);
        if let Some(group) = groups.last_mut() {
            group.push(value.to_owned());
        }
    }
    groups
}
