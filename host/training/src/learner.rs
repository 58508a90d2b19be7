//! A task and a checkpoint → the state of a run, step by step.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::module::ParamGroup;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use lintel_clip::text_encoder::{MAX_LOGIT_SCALE, Prompts, TextConfig, TextEncoder, param_id};
use lintel_clip::tokenizer::Tokenizer;
use lintel_clip::weights::{NamedTensor, NamedTensors, Precision};
use sha2::{Digest as _, Sha256};

use super::checkpoint::{CheckpointError, State};
use super::classes::sampled;
use super::data::{Split, split};
use super::gradients::{embeddings, gradients};
use super::loss::{Targets, loss};
use super::schedule::{cosine, order};
use super::{EpochFigures, Features, Fixed, LogitScale, PLACEHOLDER, Settings, Step, Task, TrainError, Trained};

/// Held-out photos that are evaluated at once.
const HELD_OUT: usize = 256;
/// AdamW's ε; burn's default of 1e-5 is too large for the small gradients of unit features.
const EPSILON: f32 = 1e-8;
const TOKEN_EMBEDDING: &str = "token_embedding.weight";
const LOGIT_SCALE: &str = "logit_scale";

pub(super) struct Learner<'a> {
    features: &'a Features,
    settings: Cow<'a, Settings>,
    split: Split,
    people: usize,
    /// `[K, dim]` rows of people who do not change, before those of `prompts`.
    fixed: Option<Tensor<2>>,
    prompts: Prompts,
    device: Device,
    encoder: TextEncoder,
    optimizer: ModuleOptimizer,
    fingerprint: [u8; 32],
    /// Steps that are done.
    done: u64,
    epoch_loss: f64,
    /// The order of the current epoch, made when its first step is taken.
    order: Option<(u32, Vec<usize>)>,
    curve: Vec<EpochFigures>,
}

impl<'a> Learner<'a> {
    pub(super) fn new(task: &Task<'a>) -> Result<Self, TrainError> {
        check(task.settings)?;
        let config = TextConfig::from_tensors(task.clip)?;
        if task.features.dim() != config.dim {
            return Err(TrainError::Dim { got: task.features.dim(), wanted: config.dim });
        }
        let people = task.names.len();
        let device = task.settings.compute.open(task.settings.precision)?.device.autodiff();
        let fixed = fixed_rows(task, config.dim, &device)?;
        if people + fixed.as_ref().map_or(0, |rows| rows.dims()[0]) < 2 {
            return Err(TrainError::TooFewPeople { got: people });
        }
        let split = split(task.features, people, task.settings.held_out, task.settings.seed)?;
        let rows = prompt_rows(task.tokenizer, task.names, &task.settings.template)?;
        let (prompts, tokens) = Prompts::new(&rows, &config)?.renumbered();
        let mut text = text_tower(task.clip, &tokens)?;
        let mut settings = Cow::Borrowed(task.settings);
        if let Some(fixed) = &task.fixed {
            text.insert(LOGIT_SCALE, NamedTensor::scalar(fixed.logit_scale.ln()));
            settings.to_mut().logit_scale = LogitScale::Frozen;
        }
        let fingerprint = fingerprint(task, &rows, &text);
        Ok(Self {
            features: task.features,
            split,
            people,
            fixed,
            prompts,
            encoder: load(&text, &settings, &device)?,
            optimizer: optimizer(&text, &settings),
            settings,
            device,
            fingerprint,
            done: 0,
            epoch_loss: 0.0,
            order: None,
            curve: Vec::new(),
        })
    }

    /// A hash of everything that decides the result.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    pub(super) fn state(&self) -> Result<State, CheckpointError> {
        let weights = self.encoder.to_tensors().to_safetensors(Precision::F32).map_err(CheckpointError::content)?;
        let optimizer = self.optimizer.into_bytes().map_err(CheckpointError::content)?;
        Ok(State {
            done: self.done,
            epoch_loss: self.epoch_loss,
            curve: self.curve.clone(),
            weights,
            optimizer: optimizer.to_vec(),
        })
    }

    pub(super) fn restore(&mut self, state: State) -> Result<(), TrainError> {
        if state.done > self.total() {
            let what = format!("{} steps are done, the run has {}", state.done, self.total());
            return Err(CheckpointError::Content { what }.into());
        }
        let weights = NamedTensors::from_safetensors(&state.weights)?;
        self.encoder = load(&weights, &self.settings, &self.device)?;
        let moments = Bytes::from_bytes_vec(state.optimizer);
        self.optimizer = optimizer(&weights, &self.settings).from_bytes(moments).map_err(CheckpointError::content)?;
        (self.done, self.epoch_loss, self.curve) = (state.done, state.epoch_loss, state.curve);
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.done == self.total()
    }

    /// Whether the last step was the last of its epoch.
    pub(super) fn is_between_epochs(&self) -> bool {
        self.done.is_multiple_of(self.steps_per_epoch())
    }

    /// One step of AdamW on the next photos.
    pub(super) fn step(&mut self) -> Result<Step, TrainError> {
        let per_epoch = self.steps_per_epoch();
        let epoch = u32::try_from(self.done / per_epoch).expect("epochs are counted in u32");
        let within = usize::try_from(self.done % per_epoch).expect("steps of an epoch are fewer than photos");
        let order = match self.order.take() {
            Some((of, order)) if of == epoch => order,
            _ => order(&self.split.train, self.settings.seed, epoch),
        };
        let first = within * self.settings.batch;
        let photos = &order[first..order.len().min(first + self.settings.batch)];
        let (features, labels) = self.batch(photos, &self.device);
        self.order = Some((epoch, order));
        let Classes { fixed, prompts, targets } = self.classes(labels);

        let learning_rate = cosine(self.settings.learning_rate, self.done, self.total());
        let settings = &*self.settings;
        let (value, gradients) = gradients(&self.encoder, &prompts, settings.chunk, |trained, scale| {
            loss(settings, features, behind(fixed, trained), scale, &targets)
        });
        if !value.is_finite() {
            return Err(TrainError::Diverged { step: self.done + 1, loss: value });
        }
        let stepped = self.optimizer.step(learning_rate, self.encoder.clone(), gradients);
        self.encoder = stepped.with_clipped_logit_scale();
        self.done += 1;
        self.epoch_loss += f64::from(value);
        Ok(Step { done: self.done, total: self.total(), epoch: epoch + 1, loss: value, learning_rate })
    }

    /// Adds the finished epoch to the loss curve.
    pub(super) fn close_epoch(&mut self) {
        let trained = embeddings(&self.encoder, &self.prompts, self.settings.chunk);
        let classes = behind(self.fixed.clone().map(Tensor::inner), trained);
        let scale = self.encoder.logit_scale().inner();
        let (mut total, mut right) = (0.0, 0);
        for photos in self.split.held_out.chunks(HELD_OUT) {
            let (features, labels) = self.batch(photos, &classes.device());
            let best = features.clone().matmul(classes.clone().transpose()).argmax(1).into_data();
            right += best.iter::<i64>().zip(&labels).filter(|&(b, &l)| b == i64::from(l)).count();
            let mean = loss(&self.settings, features, classes.clone(), scale.clone(), &self.all(labels));
            #[expect(clippy::cast_precision_loss, reason = "a small count")]
            let photos = photos.len() as f64;
            total += f64::from(mean.into_scalar::<f32>()) * photos;
        }
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "means of small counts")]
        self.curve.push(EpochFigures {
            epoch: u32::try_from(self.curve.len() + 1).expect("epochs are counted in u32"),
            loss: (self.epoch_loss / self.steps_per_epoch() as f64) as f32,
            held_out_loss: (total / self.split.held_out.len() as f64) as f32,
            held_out_accuracy: right as f32 / self.split.held_out.len() as f32,
        });
        self.epoch_loss = 0.0;
    }

    pub(super) fn into_trained(self) -> Trained {
        let rows = embeddings(&self.encoder, &self.prompts, self.settings.chunk).into_data();
        Trained {
            classes: rows.try_to_vec::<f32>().expect("embeddings are f32"),
            dim: self.features.dim(),
            logit_scale: self.encoder.log_logit_scale().exp().min(MAX_LOGIT_SCALE),
            curve: self.curve,
            split: self.split,
        }
    }

    /// The classes of a step.
    fn classes(&self, labels: Vec<u32>) -> Classes<'_> {
        let Settings { classes_per_step: most, seed, .. } = *self.settings;
        let fixed = self.fixed_people();
        if most == 0 || most >= fixed + self.people {
            let (fixed, prompts) = (self.fixed.clone(), Cow::Borrowed(&self.prompts));
            return Classes { fixed, prompts, targets: self.all(labels) };
        }
        let classes = sampled(&labels, fixed + self.people, most, seed, self.done);
        let places: BTreeMap<usize, u32> = classes.keys().copied().zip(0..).collect();
        let labels = labels.iter().map(|&label| places[&(label as usize)]).collect();
        let targets = Targets { labels, log_weights: classes.values().copied().collect() };
        let (stay, change): (Vec<usize>, Vec<usize>) = classes.into_keys().partition(|&class| class < fixed);
        let change: Vec<usize> = change.into_iter().map(|class| class - fixed).collect();
        let rows: Vec<i64> = stay.iter().map(|&row| i64::try_from(row).expect("rows are few")).collect();
        let chosen = |all: &Tensor<2>| all.clone().select(0, Tensor::from_data(rows.as_slice(), &self.device));
        let fixed = self.fixed.as_ref().filter(|_| !rows.is_empty()).map(chosen);
        Classes { fixed, prompts: Cow::Owned(self.prompts.select(&change)), targets }
    }

    /// The labels of photos among all people.
    fn all(&self, labels: Vec<u32>) -> Targets {
        Targets { labels, log_weights: vec![0.0; self.fixed_people() + self.people] }
    }

    fn fixed_people(&self) -> usize {
        self.fixed.as_ref().map_or(0, |rows| rows.dims()[0])
    }

    fn steps_per_epoch(&self) -> u64 {
        self.split.train.len().div_ceil(self.settings.batch) as u64
    }

    fn total(&self) -> u64 {
        u64::from(self.settings.epochs) * self.steps_per_epoch()
    }

    /// Features `[B, D]` and classes of some photos.
    fn batch(&self, photos: &[usize], device: &Device) -> (Tensor<2>, Vec<u32>) {
        let values: Vec<f32> = photos.iter().flat_map(|&row| self.features.row(row)).copied().collect();
        let fixed = u32::try_from(self.fixed_people()).expect("people are counted in u32");
        let labels: Vec<u32> = photos.iter().map(|&row| fixed + self.features.people()[row]).collect();
        let data = TensorData::new(values, [photos.len(), self.features.dim()]);
        (Tensor::from_data(data, device), labels)
    }
}

/// The rows that the photos of a step are compared with: fixed rows first, then prompts.
struct Classes<'a> {
    fixed: Option<Tensor<2>>,
    prompts: Cow<'a, Prompts>,
    targets: Targets,
}

/// Fixed rows, then trained ones: `[K + N, D]`.
fn behind(fixed: Option<Tensor<2>>, trained: Tensor<2>) -> Tensor<2> {
    match fixed {
        Some(fixed) => Tensor::cat(vec![fixed, trained], 0),
        None => trained,
    }
}

/// The fixed rows, outside any graph.
fn fixed_rows(task: &Task, dim: usize, device: &Device) -> Result<Option<Tensor<2>>, TrainError> {
    let Some(Fixed { rows, logit_scale }) = task.fixed else { return Ok(None) };
    // Checked as features are, because they are compared with features.
    let people = Features::new(dim, rows.to_vec(), vec![0; rows.len() / dim])?.len();
    if people == 0 || !(logit_scale > 0.0 && logit_scale.is_finite()) {
        let got = format!("{people} rows at a logit scale of {logit_scale}");
        return Err(TrainError::Setting {
            setting: "the table that stays",
            got,
            wanted: "people, and a positive scale",
        });
    }
    Ok(Some(Tensor::from_data(TensorData::new(rows.to_vec(), [people, dim]), device)))
}

/// Unit rows of the prompts before any training, `[N, D]`, row-major.
pub(super) fn untrained(
    clip: &NamedTensors,
    tokenizer: &Tokenizer,
    names: &[String],
    settings: &Settings,
) -> Result<Vec<f32>, TrainError> {
    let config = TextConfig::from_tensors(clip)?;
    let rows = prompt_rows(tokenizer, names, &settings.template)?;
    let (prompts, tokens) = Prompts::new(&rows, &config)?.renumbered();
    let text = text_tower(clip, &tokens)?;
    let encoder = load(&text, settings, &Device::flex().autodiff())?;
    Ok(embeddings(&encoder, &prompts, settings.chunk).into_data().try_to_vec::<f32>().expect("embeddings are f32"))
}

fn check(settings: &Settings) -> Result<(), TrainError> {
    let refuse = |setting, got: String, wanted| Err(TrainError::Setting { setting, got, wanted });
    if !settings.template.contains(PLACEHOLDER) {
        return refuse("the template", format!("{:?}", settings.template), "a text with {name} in it");
    }
    if settings.epochs == 0 {
        return refuse("the number of epochs", settings.epochs.to_string(), "at least 1");
    }
    if settings.batch == 0 {
        return refuse("the batch", settings.batch.to_string(), "at least 1");
    }
    if settings.chunk == 0 {
        return refuse("the chunk", settings.chunk.to_string(), "at least 1");
    }
    if settings.classes_per_step == 1 {
        return refuse(
            "the number of classes in a step",
            settings.classes_per_step.to_string(),
            "0 (all) or at least 2",
        );
    }
    if !(settings.learning_rate > 0.0 && settings.learning_rate <= 1.0) {
        return refuse("the learning rate", settings.learning_rate.to_string(), "more than 0, at most 1");
    }
    if let Some(margin) = settings.loss.margin()
        && !(margin > 0.0 && margin <= 1.0)
    {
        return refuse("the margin", margin.to_string(), "more than 0, at most 1");
    }
    if !(0.0..=1000.0).contains(&settings.similarity) {
        return refuse("the weight of the similarity", settings.similarity.to_string(), "0 to 1000");
    }
    if !(0.0..=1.0).contains(&settings.weight_decay) {
        return refuse("the weight decay", settings.weight_decay.to_string(), "0 to 1");
    }
    Ok(())
}

/// Each person's prompt as token ids, no two alike.
fn prompt_rows(tokenizer: &Tokenizer, names: &[String], template: &str) -> Result<Vec<Vec<u32>>, TrainError> {
    let mut rows: Vec<Vec<u32>> = Vec::with_capacity(names.len());
    let mut seen = BTreeMap::new();
    for (second, name) in names.iter().enumerate() {
        let row = tokenizer.encode(&template.replace(PLACEHOLDER, name))?;
        if let Some(first) = seen.insert(row.clone(), second) {
            return Err(TrainError::SamePrompt { first, second, context: tokenizer.context() });
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The text tower's tensors of a whole CLIP, with the embeddings of these tokens only. The other tokens are in no
/// prompt, so no gradient and no result depends on them; they are two fifths of the weights.
fn text_tower(clip: &NamedTensors, tokens: &[usize]) -> Result<NamedTensors, TrainError> {
    let all = clip.get(TOKEN_EMBEDDING)?;
    let [_, width] = clip.dims(TOKEN_EMBEDDING)?;
    let values = tokens.iter().flat_map(|token| &all.values[token * width..(token + 1) * width]).copied().collect();
    let mut text = clip.filtered(|name| !name.starts_with("visual.") && name != TOKEN_EMBEDDING);
    text.insert(TOKEN_EMBEDDING, NamedTensor::new(vec![tokens.len(), width], values));
    Ok(text)
}

fn load(text: &NamedTensors, settings: &Settings, device: &Device) -> Result<TextEncoder, TrainError> {
    let encoder = TextEncoder::from_tensors(text, device)?.with_matmul_precision(settings.precision);
    Ok(match settings.logit_scale {
        LogitScale::Trained => encoder,
        LogitScale::Frozen => encoder.with_frozen_logit_scale(),
    })
}

/// AdamW with decay of matrices only.
fn optimizer(text: &NamedTensors, settings: &Settings) -> ModuleOptimizer {
    let adamw = |decay| AdamWConfig::new().with_epsilon(EPSILON).with_weight_decay(decay).build();
    let vectors = text.iter().filter(|(_, t)| t.shape.len() < 2).map(|(name, _)| param_id(name)).collect();
    ModuleOptimizer::from(adamw(settings.weight_decay)).with_group(ParamGroup::from_ids(vectors), adamw(0.0), None)
}

fn fingerprint(task: &Task, prompts: &[Vec<u32>], text: &NamedTensors) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(task.settings).expect("settings are plain values"));
    for row in prompts {
        hash.update((row.len() as u64).to_le_bytes());
        row.iter().for_each(|token| hash.update(token.to_le_bytes()));
    }
    hash.update((task.features.dim() as u64).to_le_bytes());
    task.features.people().iter().for_each(|person| hash.update(person.to_le_bytes()));
    task.features.values().iter().for_each(|value| hash.update(value.to_le_bytes()));
    task.fixed.iter().flat_map(|fixed| fixed.rows).for_each(|value| hash.update(value.to_le_bytes()));
    for (name, tensor) in text.iter() {
        hash.update(name.as_bytes());
        tensor.values.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    hash.finalize().into()
}
