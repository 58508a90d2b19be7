//! Each layer alone in integers → its loss; and the fewest layers in float that meet a threshold.

use std::collections::BTreeSet;

use lintel_inference::{Array, Model, Options};
use lintel_onnx::proto::GraphProto;
use lintel_onnx::write;
use serde::{Deserialize, Serialize};

use super::calibrate::with_outputs;
use super::fidelity::{OutputFidelity, Outputs, compare, outputs_of, sqnr_db, worst};
use super::plan::Layer;
use super::{Builder, Progress, QuantizeError, Step};

/// Samples on which each layer is tried alone.
const PROBES: usize = 2;
/// Layers that are tried in integers once more after the threshold is met without them.
const MOST_RETRIES: usize = 12;

/// What one layer loses in integers, and whether it stays in float.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Node name of the layer in the graph.
    pub layer: String,
    /// ONNX operator of the layer, such as `Conv`.
    pub operator: String,
    /// Signal to noise of its own output when it alone is quantised, dB.
    pub sqnr_db: f64,
    /// The worst cosine of the model's outputs when it alone is quantised.
    pub cosine_alone: f64,
    /// Whether it is in integers in the model that was written.
    pub quantized: bool,
}

/// Tries every layer alone.
///
/// # Errors
/// [`QuantizeError`] when ONNX Runtime fails.
pub fn alone(
    builder: &Builder<'_>,
    samples: &[&Array],
    wanted: &[Outputs],
    runtime: &Options,
    progress: &mut Progress<'_>,
) -> Result<Vec<LayerReport>, QuantizeError> {
    let probes = &samples[..samples.len().min(PROBES)];
    let network = builder.network;
    let own: Vec<String> = builder
        .layers
        .iter()
        .map(|layer| {
            let node = &network.nodes()[layer.node];
            network.activated(node).unwrap_or(&node.output[0]).to_owned()
        })
        .collect();
    let mut original = Model::open(&with_outputs(builder.model, &own), runtime)?;
    let mut reports = Vec::new();
    for (layer, own) in builder.layers.iter().zip(&own) {
        let chosen = BTreeSet::from([layer.node]);
        let quantised = builder.build(&chosen, false)?;
        // The dequantised value. Its float form stays inside the kernel: as an output it would undo the fusion.
        let back = format!("{own}.dequantized");
        let has = |graph: &GraphProto| graph.node.iter().any(|node| node.output.contains(&back));
        let shown = if quantised.graph.as_ref().is_some_and(has) { back } else { own.clone() };
        let mut model = builder.open(&with_outputs(&quantised, std::slice::from_ref(&shown)), runtime)?;
        let mut names = builder.outputs.to_vec();
        names.push(shown);
        let got = outputs_of(&mut model, &names, probes)?;
        let inside = outputs_of(&mut original, std::slice::from_ref(own), probes)?;
        let [inside, got_inside] = [&inside, &got].map(|all| {
            all.iter().flat_map(|outputs| outputs.last().into_iter().flatten().copied()).collect::<Vec<f32>>()
        });
        let fidelity = compare(builder.outputs, &wanted[..probes.len()], &got);
        reports.push(report(builder, layer, sqnr_db(&inside, &got_inside), worst(&fidelity)));
        progress(Step { doing: "trying each layer alone", done: reports.len(), total: builder.layers.len() })?;
    }
    Ok(reports)
}

fn report(builder: &Builder<'_>, layer: &Layer, sqnr_db: f64, cosine_alone: f64) -> LayerReport {
    let operator = builder.network.nodes()[layer.node].op_type.clone();
    LayerReport { layer: layer.name.clone(), operator, sqnr_db, cosine_alone, quantized: true }
}

/// A model that meets the threshold.
#[derive(Debug)]
pub struct Found {
    /// Its file.
    pub onnx: Vec<u8>,
    /// The fidelity of its outputs.
    pub fidelity: Vec<OutputFidelity>,
    /// Layers (indices of nodes) that stay in float.
    pub float: BTreeSet<usize>,
}

/// Keeps layers in float, those with the greatest loss first, until the threshold is met; then tries to put some of
/// them back into integers.
///
/// # Errors
/// [`QuantizeError::Misses`] when no choice meets the threshold.
pub fn fewest_in_float(
    builder: &Builder<'_>,
    reports: &[LayerReport],
    samples: &[&Array],
    wanted: &[Outputs],
    threshold: f64,
    runtime: &Options,
    progress: &mut Progress<'_>,
) -> Result<Found, QuantizeError> {
    let mut order: Vec<usize> = (0..reports.len()).collect();
    order.sort_by(|&a, &b| reports[a].cosine_alone.total_cmp(&reports[b].cosine_alone));
    let nodes: Vec<usize> = order.iter().map(|&place| builder.layers[place].node).collect();
    let all: BTreeSet<usize> = nodes.iter().copied().collect();
    let mut tried = 0;
    let mut attempt = |float: BTreeSet<usize>| {
        tried += 1;
        progress(Step { doing: "measuring the whole", done: tried, total: 0 })?;
        let chosen: BTreeSet<usize> = all.difference(&float).copied().collect();
        let onnx = write(&builder.build(&chosen, true)?);
        let mut model = builder.open(&onnx, runtime)?;
        let fidelity = compare(builder.outputs, wanted, &outputs_of(&mut model, builder.outputs, samples)?);
        Ok::<Found, QuantizeError>(Found { onnx, fidelity, float })
    };
    let first = |count: usize| nodes[..count].iter().copied().collect::<BTreeSet<usize>>();

    let mut best = attempt(BTreeSet::new())?;
    let at_first = worst(&best.fidelity);
    if at_first >= threshold {
        return Ok(best);
    }
    let (mut missed, mut count) = (0, 1);
    loop {
        if count >= nodes.len() {
            // With all layers in float it would be the original: nothing would be quantised.
            return Err(QuantizeError::Misses { got: at_first, threshold, layers: nodes.len() });
        }
        best = attempt(first(count))?;
        if worst(&best.fidelity) >= threshold {
            break;
        }
        missed = count;
        count *= 2;
    }
    while count - missed > 1 {
        let middle = usize::midpoint(missed, count);
        let found = attempt(first(middle))?;
        if worst(&found.fidelity) >= threshold {
            (best, count) = (found, middle);
        } else {
            missed = middle;
        }
    }
    // The last layer was needed, given the others; some of those before it may not be.
    for &node in nodes[..count.saturating_sub(1)].iter().rev().take(MOST_RETRIES) {
        let mut float = best.float.clone();
        float.remove(&node);
        let found = attempt(float)?;
        if worst(&found.fidelity) >= threshold {
            best = found;
        }
    }
    Ok(best)
}
