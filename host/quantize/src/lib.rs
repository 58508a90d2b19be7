//! An ONNX model and pictures → the same model in 8-bit integers, if it meets its fidelity threshold.
//!
//! Static quantisation in QDQ form (Jacob et al. 2018; ONNX Runtime's and TensorRT's explicit quantisation): weights
//! symmetric with a scale for each output channel, activations with one scale each, biases in 32 bits. The crate does
//! not know the model's purpose.
//!
//! 1. [`prepare`]: folds constants, and raises the operator set to one with the needed operators.
//! 2. [`feed`]: lets the first convolution read pixels as bytes.
//! 3. [`equalize`]: gives channels that share a scale similar ranges.
//! 4. [`calibrate`], [`range`]: each value's distribution on real pictures → its scale.
//! 5. [`plan`], [`weights`], [`rewrite`]: which nodes, which integers, which graph.
//! 6. [`sensitivity`], [`fidelity`]: each layer's loss, and the fewest layers in float that meet the threshold. A model
//!    that misses it is an error and is not written.
//! 7. [`kernels`]: counts the kernels that ONNX Runtime uses.

pub mod calibrate;
pub mod equalize;
pub mod feed;
pub mod fidelity;
pub mod kernels;
pub mod network;
pub mod plan;
pub mod prepare;
pub mod range;
mod rewrite;
pub mod sensitivity;
pub mod weights;

use std::collections::BTreeSet;
use std::path::PathBuf;

use lintel_inference::saturation::saturates;
use lintel_inference::{Array, Model, Options, RuntimeError};
use lintel_onnx::OnnxError;
use lintel_onnx::proto::ModelProto;
use serde::{Deserialize, Serialize};

use fidelity::{OutputFidelity, outputs_of};
use kernels::Kernels;
use network::Network;
use plan::{Layer, layers, plan};

pub use range::Method;
use range::{Grid, Scale};
use rewrite::{Form, Seen, rewrite};
use sensitivity::LayerReport;

/// The default fidelity threshold.
pub const MIN_COSINE: f64 = 0.99;
/// The fewest samples that a model is calibrated with.
pub const FEWEST_SAMPLES: usize = 2;
/// One sample in this many is held out of the calibration, to measure fidelity.
const HELD_OUT: usize = 4;

/// The runtime that is to run the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// ONNX Runtime on a processor: activations u8 around any zero point, biases in integers, bytes fed as they are
    #[default]
    Cpu,
    /// TensorRT's explicit quantisation: activations i8 around 0, biases in float
    TensorRt,
}

/// The part of 8 bits that weights use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// No two products overflow the 16-bit sums of processors without VNNI: every processor computes the same
    Exact,
    /// All 8 bits, for processors with VNNI and for Arm; a door on another x86 refuses the model
    Full,
}

impl Precision {
    /// The default for the processor that this program runs on.
    #[must_use]
    pub fn here() -> Self {
        if saturates() { Self::Exact } else { Self::Full }
    }
}

/// How a model is quantised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The target runtime.
    pub target: Target,
    /// How scales are found.
    pub method: Method,
    /// How weights are rounded.
    pub precision: Precision,
    /// The least cosine of every output with the original's, over held-out samples.
    pub min_cosine: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target: Target::default(),
            method: Method::default(),
            precision: Precision::here(),
            min_cosine: MIN_COSINE,
        }
    }
}

/// Why a model was not quantised.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The model is not a sound ONNX model, or has a form that is not supported.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// ONNX Runtime cannot open or run it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The model has no layer that multiplies by constants.
    #[error("model has no convolution or matrix product with constant weights; there is nothing to quantise")]
    NoLayers,
    /// Fewer calibration samples than the quantiser needs.
    #[error("{got} calibration pictures are not enough, wanted {FEWEST_SAMPLES} or more")]
    TooFewSamples {
        /// Calibration samples that were given.
        got: usize,
    },
    /// No choice of layers meets the threshold.
    #[error(
        "the model in integers has cosine {got:.4} with the original, wanted {threshold}; it misses with any \
         choice of its {layers} layers in float, too; nothing was written"
    )]
    Misses {
        /// The worst cosine with all layers in integers.
        got: f64,
        /// The least cosine that was asked for, 0 to 1.
        threshold: f64,
        /// Layers of the model.
        layers: usize,
    },
    /// A scratch file cannot be written or read.
    #[error("{}: {source}", path.display())]
    Scratch {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The caller stopped the work.
    #[error("stopped")]
    Stopped,
}

/// How far the work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The current part of the work.
    pub doing: &'static str,
    /// Steps done.
    pub done: usize,
    /// Steps in all; 0 when that is not known.
    pub total: usize,
}

/// Called for every step; an error stops the work.
pub type Progress<'a> = dyn FnMut(Step) -> Result<(), QuantizeError> + 'a;

/// The report of a quantisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How the model was quantised.
    pub settings: Settings,
    /// Number of samples that scales were found on.
    pub calibrated_on: usize,
    /// Number of samples that fidelity was measured on, disjoint from those above.
    pub judged_on: usize,
    /// Sizes of the files before and after, in bytes.
    pub bytes: [usize; 2],
    /// Whether the first convolution reads the pixels' bytes.
    pub fed_bytes: bool,
    /// Every output's fidelity.
    pub outputs: Vec<OutputFidelity>,
    /// Every layer's loss.
    pub layers: Vec<LayerReport>,
    /// The kernels that ONNX Runtime uses on this machine.
    pub kernels: Kernels,
}

/// A model that met the threshold.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The file.
    pub onnx: Vec<u8>,
    /// Fidelity, losses and kernels of the model.
    pub report: Report,
}

/// A folder of files for ONNX Runtime, deleted when dropped.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// An empty folder in the system's temporary folder.
    ///
    /// # Errors
    /// [`QuantizeError::Scratch`].
    pub fn new() -> Result<Self, QuantizeError> {
        let made = tempfile::Builder::new().prefix("lintel-").tempdir();
        made.map(Self).map_err(|source| QuantizeError::Scratch { path: std::env::temp_dir(), source })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The inputs from which a quantised graph is built.
pub struct Builder<'a> {
    model: &'a ModelProto,
    network: &'a Network<'a>,
    layers: &'a [Layer],
    outputs: &'a [String],
    seen: &'a Seen,
    given: &'a BTreeSet<String>,
    form: Form,
}

impl Builder<'_> {
    /// The graph with the layers at `chosen` in integers, and with `between` also the nodes between them.
    fn build(&self, chosen: &BTreeSet<usize>, between: bool) -> Result<ModelProto, QuantizeError> {
        let plan = plan(self.network, self.layers, chosen, between, self.form.target, self.given);
        rewrite(self.model, self.network, self.layers, &plan, self.seen, self.given, self.form)
    }

    /// Opens the graph that was built, to measure it as it will run: a processor whose sums saturate runs a model for
    /// other processors as it is written.
    fn open(&self, onnx: &[u8], runtime: &Options) -> Result<Model, RuntimeError> {
        match self.form.precision {
            Precision::Full if saturates() => Model::open_as_written(onnx, runtime),
            Precision::Full | Precision::Exact => Model::open(onnx, runtime),
        }
    }
}

/// Quantises a model with one input. `samples` are fed to it unchanged; every fourth is held out to measure fidelity.
///
/// # Errors
/// [`QuantizeError`]; [`QuantizeError::Misses`] when no choice of layers meets the threshold.
pub fn quantize(
    onnx: &[u8],
    samples: &[Array],
    settings: &Settings,
    runtime: &Options,
    progress: &mut Progress<'_>,
) -> Result<Quantized, QuantizeError> {
    if samples.len() < FEWEST_SAMPLES {
        return Err(QuantizeError::TooFewSamples { got: samples.len() });
    }
    let scratch = Scratch::new()?;
    let mut model = prepare::prepare(onnx, runtime, &scratch)?;
    // TensorRT takes no unsigned integers, so the arithmetic on pixels stays.
    let pixels = if settings.target == Target::Cpu { feed::feed_bytes(&mut model)? } else { None };
    let held_out = |place: usize| place % HELD_OUT == HELD_OUT - 1 || place + 1 == samples.len();
    let [judges, teachers] = [true, false].map(|held| {
        let all = samples.iter().enumerate();
        all.filter(|(place, _)| held_out(*place) == held).map(|(_, sample)| sample).collect::<Vec<&Array>>()
    });
    equalize(&mut model, &teachers, runtime, progress)?;
    let network = Network::of(&model)?;
    let layers = layers(&network);
    if layers.is_empty() {
        return Err(QuantizeError::NoLayers);
    }
    let outputs: Vec<String> = network.graph().output.iter().map(|output| output.name.clone()).collect();
    let given: BTreeSet<String> = pixels.iter().map(|(value, _)| value.clone()).collect();
    let mut seen = seen(&model, &network, &layers, &given, &teachers, settings, runtime, progress)?;
    if let Some((value, zero)) = pixels {
        seen.scales.insert(value, Scale { scale: 1.0, zero, grid: Grid::U8 });
    }
    // Compared with the file as it was given, so that an error of the preparation would show too.
    let wanted = outputs_of(&mut Model::open(onnx, runtime)?, &outputs, &judges)?;
    let form = Form { target: settings.target, precision: settings.precision };
    let builder = Builder {
        model: &model,
        network: &network,
        layers: &layers,
        outputs: &outputs,
        seen: &seen,
        given: &given,
        form,
    };
    let mut reports = sensitivity::alone(&builder, &judges, &wanted, runtime, progress)?;
    let threshold = settings.min_cosine;
    let found = sensitivity::fewest_in_float(&builder, &reports, &judges, &wanted, threshold, runtime, progress)?;
    for (report, layer) in reports.iter_mut().zip(&layers) {
        report.quantized = !found.float.contains(&layer.node);
    }
    let kernels = Kernels::of(&prepare::as_run(&found.onnx, runtime, &scratch)?);
    let report = Report {
        settings: *settings,
        calibrated_on: teachers.len(),
        judged_on: judges.len(),
        bytes: [onnx.len(), found.onnx.len()],
        fed_bytes: !given.is_empty(),
        outputs: found.fidelity,
        layers: reports,
        kernels,
    };
    Ok(Quantized { onnx: found.onnx, report })
}

/// Gives the channels between convolutions similar ranges.
fn equalize(
    model: &mut ModelProto,
    samples: &[&Array],
    runtime: &Options,
    progress: &mut Progress<'_>,
) -> Result<(), QuantizeError> {
    let observed = {
        let network = Network::of(model)?;
        let layers = layers(&network);
        let values = equalize::scalable(&network, &layers);
        let values: BTreeSet<&str> = values.iter().map(String::as_str).collect();
        if values.is_empty() {
            return Ok(());
        }
        calibrate::observe(model, &network, &layers, &values, samples, runtime, progress)?
    };
    equalize::equalize(model, &observed)
}

/// Scales and means of all values that any choice of layers may need.
#[expect(clippy::too_many_arguments, reason = "one caller, and each is a different thing")]
fn seen(
    model: &ModelProto,
    network: &Network<'_>,
    layers: &[Layer],
    given: &BTreeSet<String>,
    samples: &[&Array],
    settings: &Settings,
    runtime: &Options,
    progress: &mut Progress<'_>,
) -> Result<Seen, QuantizeError> {
    let all: BTreeSet<usize> = layers.iter().map(|layer| layer.node).collect();
    let whole = plan(network, layers, &all, true, settings.target, given);
    // With fewer layers in integers, fewer values have a neighbour whose scale they could share.
    let mut values = whole.roots();
    for &at in &whole.nodes {
        let node = &network.nodes()[at];
        values.extend(plan::numbers(network, node));
        values.extend(network.activated(node));
    }
    let observed = calibrate::observe(model, network, layers, &values, samples, runtime, progress)?;
    let grid = match settings.target {
        Target::Cpu => Grid::U8,
        Target::TensorRt => Grid::S8,
    };
    let mut seen = Seen::default();
    for (name, observed) in observed {
        let means = observed.means();
        if !means.is_empty() {
            seen.means.insert(name.clone(), means);
        }
        seen.scales.insert(name, observed.histogram.scale(settings.method, grid));
    }
    Ok(seen)
}
