//! Image features, names → class embeddings: fine-tuning of CLIP's text encoder.
//!
//! The image encoder is frozen, so the caller computes its features once. The text encoder is trained: each person's
//! prompt becomes a class embedding, and softmax cross-entropy, or another loss, moves the prompt towards the features
//! of the person's photos; so does a similarity term that is not in the paper. The result is one unit row for each
//! person, which is all that a table needs.
//!
//! The same features, names, weights and [`Settings`] give the same result bit for bit on one machine's processor,
//! whether the run was interrupted and resumed or not. On a GPU they give it to within rounding: the fastest of several
//! kernels is chosen at run time, and sums are in no fixed order.

pub mod baselines;
pub mod calibration;
mod checkpoint;
mod classes;
mod compute;
mod data;
mod gradients;
pub mod held_out;
pub mod intra_class;
mod learner;
mod loss;
mod schedule;
pub mod trained;

use std::ops::ControlFlow;
use std::path::Path;

use lintel_clip::text_encoder::{MatmulPrecision, PromptsError};
use lintel_clip::tokenizer::{Tokenizer, TokenizerError};
use lintel_clip::weights::{NamedTensors, WeightsError};
use serde::{Deserialize, Serialize};

pub use checkpoint::CheckpointError;
pub use compute::{Compute, ComputeError, NoDevice, Processor};
pub use data::{Features, FeaturesError, Split, split};
use learner::Learner;

/// The prompt of the paper; `{name}` is the person's name.
pub const TEMPLATE: &str = "This is the image of a person named {name}";
/// The default weight of the similarity term. Its size matters little, because cross-entropy fades during training.
const LIKENESS: f32 = 1.0;
/// The default number of prompts whose graph is in memory at once; larger chunks are hardly faster.
pub const CHUNK: usize = 128;
/// The text that a template must contain.
pub const PLACEHOLDER: &str = "{name}";

/// Settings of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The prompt, with [`PLACEHOLDER`] for the person's name.
    pub template: String,
    /// Passes over the training photos, at least 1.
    pub epochs: u32,
    /// Learning rate at the start; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay; norms, biases and the logit scale have none.
    pub weight_decay: f32,
    /// Photos in a step, at least 1.
    pub batch: usize,
    /// Decides only the split, the order of the photos and the classes of a step.
    pub seed: u64,
    /// Share of each person's photos that is held out, in 0..1.
    pub held_out: f64,
    /// The loss that separates people.
    #[serde(default)]
    pub loss: Loss,
    /// Weight of the similarity term beside the loss, 0 to 1000; 0 is the paper's loss. The term is what makes a
    /// threshold on similarity useful: see the module `loss`.
    pub similarity: f32,
    /// Whether the factor between cosine and logit is trained.
    pub logit_scale: LogitScale,
    /// Prompts whose graph is in memory at once, at least 1. It bounds memory and changes results by rounding only;
    /// more people than this cost a second forward pass.
    #[serde(default = "default_chunk")]
    pub chunk: usize,
    /// People whose prompts a step computes: those of its photos, and others by chance up to this number; 0: all. It
    /// bounds the time of a step, and biases the loss: see the module `classes`.
    #[serde(default)]
    pub classes_per_step: usize,
    /// The device. It changes results by rounding only.
    #[serde(default)]
    pub compute: Compute,
    /// Precision of the factors in the linear layers' products. Weights, sums and AdamW's state are f32.
    #[serde(default)]
    pub precision: MatmulPrecision,
}

/// The value for files from before the setting existed.
fn default_chunk() -> usize {
    CHUNK
}

/// The loss. Margins are more than 0, at most 1.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Loss {
    /// Softmax cross-entropy over the classes: the paper's.
    #[default]
    Softmax,
    /// Softmax cross-entropy with the angle to the right class enlarged by a margin in radians (Deng et al. 2019).
    ArcFace {
        /// In radians.
        margin: f32,
    },
    /// Softmax cross-entropy with the cosine of the right class reduced by a margin (Wang et al. 2018).
    CosFace {
        /// Of the cosine.
        margin: f32,
    },
    /// The squared distance to the right class must be smaller by a margin than that to the nearest other class
    /// (Schroff et al. 2015). The logit scale is not used and does not change.
    Triplet {
        /// Of squared distances between unit vectors.
        margin: f32,
    },
}

impl Loss {
    /// As published, with an additive angular margin of 0.5.
    pub const ARCFACE: Self = Self::ArcFace { margin: 0.5 };
    /// As published, with a margin of 0.35.
    pub const COSFACE: Self = Self::CosFace { margin: 0.35 };
    /// As published, with a margin of 0.2.
    pub const TRIPLET: Self = Self::Triplet { margin: 0.2 };

    /// Margin of the loss, in radians, cosine or squared distance; `None` for softmax.
    #[must_use]
    pub const fn margin(self) -> Option<f32> {
        match self {
            Self::Softmax => None,
            Self::ArcFace { margin } | Self::CosFace { margin } | Self::Triplet { margin } => Some(margin),
        }
    }

    /// The same loss with another margin, where it has one.
    #[must_use]
    pub const fn with_margin(self, margin: f32) -> Self {
        match self {
            Self::Softmax => Self::Softmax,
            Self::ArcFace { .. } => Self::ArcFace { margin },
            Self::CosFace { .. } => Self::CosFace { margin },
            Self::Triplet { .. } => Self::Triplet { margin },
        }
    }
}

/// Whether the factor between cosine and logit is trained.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogitScale {
    /// Trained with the rest, clipped at 100 after each step.
    Trained,
    /// Fixed at the value of the weights.
    Frozen,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            template: TEMPLATE.to_owned(),
            epochs: 30,
            learning_rate: 5e-4,
            weight_decay: 0.01,
            batch: 16,
            seed: 1,
            held_out: 0.2,
            loss: Loss::default(),
            similarity: LIKENESS,
            logit_scale: LogitScale::Trained,
            chunk: CHUNK,
            classes_per_step: 0,
            compute: Compute::Cpu,
            precision: MatmulPrecision::F32,
        }
    }
}

/// The inputs of a run.
#[derive(Copy, Clone)]
pub struct Task<'a> {
    /// CLIP's weights; those of the text tower are read.
    pub clip: &'a NamedTensors,
    /// The text tower's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The names of the people who are trained, in the order of the classes.
    pub names: &'a [String],
    /// The image features of the photos.
    pub features: &'a Features,
    /// How to train.
    pub settings: &'a Settings,
    /// People who are in the table already and do not change.
    pub fixed: Option<Fixed<'a>>,
}

/// People whose rows do not change; the others are trained against them. Then only the new people's prompts are
/// trained, and a step costs as much as those cost, whatever the number of the others.
#[derive(Copy, Clone)]
pub struct Fixed<'a> {
    /// `[K, dim]` unit rows, row-major, K at least 1.
    pub rows: &'a [f32],
    /// The factor between cosine and logit, which does not change either.
    pub logit_scale: f32,
}

/// Progress of a run, passed to the caller after each step.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Step {
    /// Steps that are done, from 1.
    pub done: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// The epoch of this step, from 1.
    pub epoch: u32,
    /// The loss of this step's photos before the step.
    pub loss: f32,
    /// The learning rate of this step.
    pub learning_rate: f64,
}

/// One point of the loss curve.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochFigures {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Mean loss over the epoch's steps, each measured before its step.
    pub loss: f32,
    /// Mean loss over the held-out photos after the epoch.
    pub held_out_loss: f32,
    /// Share of the held-out photos whose best class is right, after the epoch.
    pub held_out_accuracy: f32,
}

/// The result of training.
#[derive(Clone, PartialEq)]
pub struct Trained {
    /// `[N, dim]` unit rows, one per name, row-major.
    pub classes: Vec<f32>,
    /// Components of a row.
    pub dim: usize,
    /// The factor between cosine and logit, at most 100.
    pub logit_scale: f32,
    /// Loss and accuracy by epoch.
    pub curve: Vec<EpochFigures>,
    /// Which photos were trained on.
    pub split: Split,
}

/// Shows no rows: they identify people.
impl std::fmt::Debug for Trained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.curve.last();
        f.debug_struct("Trained").field("dim", &self.dim).field("last epoch", &last).finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs are done.
    Finished(Trained),
    /// The caller asked to stop; the checkpoint, if there is a path for one, is written.
    Stopped {
        /// Steps that are done.
        done: u64,
    },
}

/// Why training cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// One class cannot be trained without others.
    #[error("there are {got} people, wanted at least 2")]
    TooFewPeople {
        /// People found.
        got: usize,
    },
    /// A person has too few photos: one to train on and one to hold out are needed.
    #[error("person {person} has {got} photos, wanted at least 2: one to train on, one to check with")]
    TooFewPhotos {
        /// Index of the person.
        person: usize,
        /// Photos found.
        got: usize,
    },
    /// A setting is out of range.
    #[error("{setting} is {got}, wanted {wanted}")]
    Setting {
        /// Name of the field in [`Settings`].
        setting: &'static str,
        /// The setting's text.
        got: String,
        /// The range.
        wanted: &'static str,
    },
    /// Two people's prompts are equal after tokenisation.
    #[error(
        "people {first} and {second} have the same prompt after tokenisation; make their names differ within the \
         first {context} tokens"
    )]
    SamePrompt {
        /// Index of one.
        first: usize,
        /// Index of the other.
        second: usize,
        /// The tokenizer's context length.
        context: usize,
    },
    /// Features and encoder have different sizes.
    #[error("image features have {got} components, the text encoder gives {wanted}")]
    Dim {
        /// Components of the features.
        got: usize,
        /// Components of the text embeddings.
        wanted: usize,
    },
    /// The loss is not finite.
    #[error("the loss is {loss} in step {step}; try a smaller learning rate")]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// The loss of that step, NaN or infinite.
        loss: f32,
    },
    /// Training cannot run on the device asked for.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The features were refused.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// The text tower's weights were refused.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A prompt cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A prompt does not fit the encoder.
    #[error(transparent)]
    Prompts(#[from] PromptsError),
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Trains, from the checkpoint if there is one of the same task.
///
/// With a path, the state is written there (a new file, then renamed) after each epoch and when `on_step` breaks. The
/// caller removes it when the result is safe. `on_step` is called after each step.
///
/// # Errors
/// [`TrainError`]. A checkpoint of another task is an error, never overwritten.
pub fn train(
    task: &Task,
    checkpoint: Option<&Path>,
    on_step: &mut dyn FnMut(&Step) -> ControlFlow<()>,
) -> Result<Outcome, TrainError> {
    let mut learner = Learner::new(task)?;
    if let Some(path) = checkpoint
        && let Some(state) = checkpoint::read(path, learner.fingerprint())?
    {
        learner.restore(state)?;
    }
    let save = |learner: &Learner| match checkpoint {
        Some(path) => checkpoint::write(path, learner.fingerprint(), &learner.state()?),
        None => Ok(()),
    };
    while !learner.is_finished() {
        let step = learner.step()?;
        if learner.is_between_epochs() {
            learner.close_epoch();
            save(&learner)?;
            if on_step(&step).is_break() && !learner.is_finished() {
                return Ok(Outcome::Stopped { done: step.done });
            }
        } else if on_step(&step).is_break() {
            save(&learner)?;
            return Ok(Outcome::Stopped { done: step.done });
        }
    }
    Ok(Outcome::Finished(learner.into_trained()))
}

#[cfg(test)]
mod parity;
/// The text encoder's rows `[N, D]` for these names before any training: zero-shot.
///
/// # Errors
/// [`TrainError`].
pub fn zero_shot(
    clip: &NamedTensors,
    tokenizer: &Tokenizer,
    names: &[String],
    settings: &Settings,
) -> Result<Vec<f32>, TrainError> {
    learner::untrained(clip, tokenizer, names, settings)
}

#[cfg(test)]
mod tests;
