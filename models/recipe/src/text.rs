//! Image features and captions → vocabulary and trained text encoder: CLIP's symmetric contrastive loss.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use lintel_clip::text_encoder::{Prompts, TextConfig, TextEncoder};
use lintel_clip::tokenizer::Tokenizer;
use lintel_faces::{Person, Traits};

use crate::crops::{Crops, MORE_PEOPLE, TRAIN_PEOPLE, wearing};
use crate::encoder::{self, MoreArgs, more_file};
use crate::layers::values;
use crate::log::Log;
use crate::names::name;
use crate::rng::Rng;
use crate::schedule::{Checkpoint, Schedule, bar};
use crate::vocabulary;

const VOCABULARY: usize = 2048;
const CONTEXT: usize = 77;
const WIDTH: usize = 128;
const LAYERS: usize = 4;
const BATCH: usize = 64;
const SEED: u64 = 73;
const SAVE_EVERY: usize = 100;
/// Texts from which the merges are made.
const CORPUS: usize = 20_000;

/// Amounts of training.
#[derive(Clone, Debug, clap::Args)]
pub struct TextArgs {
    /// Optimiser steps.
    #[arg(long, default_value_t = 400)]
    pub text_steps: usize,
    /// People whose crops have captions: the first of the image encoder's further people.
    #[arg(long, default_value_t = 4000)]
    pub text_people: usize,
}

/// The file of the merges.
pub fn vocabulary_file(work: &Path) -> std::path::PathBuf {
    work.join("bpe.txt")
}

/// Makes the vocabulary, trains in `work`, and returns the text encoder.
pub fn train(work: &Path, args: &TextArgs, more: &MoreArgs, plain: &Device, log: &Log) -> Result<TextEncoder> {
    let each = more.more_each;
    let merges = merges();
    fs::write(vocabulary_file(work), &merges.0)?;
    let config = config(merges.1);
    let tokenizer = Tokenizer::new(merges.0.as_bytes(), config.vocabulary, CONTEXT)?;
    let device = plain.clone().autodiff();
    let checkpoint = Checkpoint::new(work, "text");
    let mut net = TextEncoder::random(&config, SEED, &device);
    let mut optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.1).init();
    let start = checkpoint.step().min(args.text_steps);
    if start > 0 {
        (net, optimizer) = checkpoint.load("net", net, optimizer)?;
    }
    if start < args.text_steps {
        let crops = Crops::open(&more_file(work, more), each)?;
        let people = args.text_people.min(crops.people());
        ensure!(people > 0, "--text-people is 0, wanted at least 1");
        let picked: Vec<usize> = (0..people * each).collect();
        let images = encoder::features(&encoder::trained(work, plain)?, &crops, &picked, plain)?;
        let schedule = Schedule { peak: 1e-3, warmup: 50, steps: args.text_steps };
        let progress = bar(args.text_steps, start, "text");
        let mut mean = 0.0f32;
        for step in start..args.text_steps {
            let (rows, captions) = batch(step, people, more, &images);
            let tokens: Vec<Vec<u32>> =
                captions.iter().map(|caption| tokenizer.encode(caption)).collect::<Result<_, _>>()?;
            let prompts = Prompts::new(&tokens, &config)?;
            let pictures = Tensor::<1>::from_floats(&rows[..], &device).reshape([BATCH, encoder::SHAPE.dim]);
            let logits = pictures.matmul(net.forward(&prompts).transpose()) * net.logit_scale().reshape([1, 1]);
            let loss = contrast(logits, &device);
            let value = values(loss.clone().detach()).values[0];
            ensure!(value.is_finite(), "the text encoder's loss is not finite at step {step}");
            mean += (value - mean) * if step == start { 1.0 } else { 0.05 };
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimizer.step(schedule.rate(step), net, gradients);
            progress.inc(1);
            progress.set_message(format!("loss {mean:.3}"));
            if (step + 1) % SAVE_EVERY == 0 || step + 1 == args.text_steps {
                checkpoint.save("net", &net, &optimizer)?;
                checkpoint.commit(step + 1)?;
                log.line(&format!(
                    "text step {} loss {mean:.4} logit scale {:.2}",
                    step + 1,
                    net.log_logit_scale().exp()
                ))?;
            }
        }
        progress.finish();
    }
    trained(work)
}

/// The trained text encoder.
pub fn trained(work: &Path) -> Result<TextEncoder> {
    let merges = fs::read_to_string(vocabulary_file(work)).context("reading the vocabulary")?;
    let config = config(merges.lines().count() - 1 + vocabulary::FIXED_TOKENS);
    let net = TextEncoder::random(&config, SEED, &Device::flex().autodiff());
    Checkpoint::new(work, "text").weights("net", net)
}

fn config(vocabulary: usize) -> TextConfig {
    TextConfig { vocabulary, context: CONTEXT, width: WIDTH, layers: LAYERS, dim: encoder::SHAPE.dim }
}

fn merges() -> (String, usize) {
    let mut rng = Rng::new(SEED);
    let texts: Vec<String> = (0..CORPUS as u64)
        .map(|i| {
            if i % 4 == 0 {
                let person = TRAIN_PEOPLE + i / 4 % 500;
                describe(&Person::from_seed(person).traits(), &mut rng)
            } else {
                introduce(&name(&mut rng), &mut rng)
            }
        })
        .collect();
    vocabulary::train(texts.iter().map(String::as_str), VOCABULARY)
}

/// Features and captions of `BATCH` different people of the first `people`, whose crops are in `more`; a quarter of the
/// captions has a name only.
///
/// A person's name is drawn from the person's seed, so that it is the same in every batch.
fn batch(step: usize, people: usize, more: &MoreArgs, images: &[f32]) -> (Vec<f32>, Vec<String>) {
    let each = more.more_each;
    let dim = encoder::SHAPE.dim;
    let mut rng = Rng::new(SEED << 32 | step as u64);
    let mut people: Vec<usize> = (0..people).collect();
    rng.shuffle(&mut people);
    let mut rows = Vec::with_capacity(BATCH * dim);
    let mut captions = Vec::with_capacity(BATCH);
    for &person in people.iter().cycle().take(BATCH) {
        let number = rng.below(each);
        let row = person * each + number;
        rows.extend_from_slice(&images[row * dim..(row + 1) * dim]);
        let seed = MORE_PEOPLE + more.more_after + person as u64;
        captions.push(if rng.chance(0.25) {
            introduce(&name(&mut Rng::new(seed)), &mut rng)
        } else {
            describe(&wearing(seed, number as u64, more.more_glasses).traits(), &mut rng)
        });
    }
    (rows, captions)
}

fn introduce(name: &str, rng: &mut Rng) -> String {
    let templates = [
        "This is the image of a person named ",
        "This is the image of a person named ",
        "a photo of ",
        "a photo of a person called ",
    ];
    format!("{}{name}", rng.pick(&templates))
}

/// "a photo of a young woman with fair skin, long brown hair and glasses": two to all of the traits, in that order.
fn describe(traits: &Traits, rng: &mut Rng) -> String {
    let mut parts = Vec::new();
    let mut say = |p: f32, text: String| {
        if rng.chance(p) {
            parts.push(text);
        }
    };
    say(0.6, format!("{} skin", traits.skin));
    if traits.hair_style == "bald" {
        say(0.95, "a bald head".to_owned());
    } else {
        say(0.95, format!("{} {} hair", traits.hair_style, traits.hair_colour));
    }
    say(0.4, format!("{} eyes", traits.eyes));
    if let Some(beard) = traits.beard {
        say(0.9, format!("a {beard}"));
    }
    if let Some(glasses) = traits.glasses {
        say(0.9, format!("{glasses} glasses"));
    }
    let who = if rng.chance(0.6) {
        format!("{} {}", traits.age, traits.presentation)
    } else {
        traits.presentation.to_owned()
    };
    let article = if who.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let opening = rng.pick(&["a photo of", "a portrait of", "a picture of", "the face of"]);
    let last = parts.pop();
    let rest = parts.join(", ");
    match (rest.is_empty(), last) {
        (_, None) => format!("{opening} {article} {who}"),
        (true, Some(last)) => format!("{opening} {article} {who} with {last}"),
        (false, Some(last)) => format!("{opening} {article} {who} with {rest} and {last}"),
    }
}

/// Mean of the cross-entropies over rows and columns; the diagonal is right.
fn contrast(logits: Tensor<2>, device: &Device) -> Tensor<1> {
    let n = logits.dims()[0];
    let diagonal = Tensor::<2>::eye(n, device);
    let one = |logits: Tensor<2>| (log_softmax(logits, 1) * diagonal.clone()).sum() / -(n as f32);
    (one(logits.clone()) + one(logits.transpose())) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_log_of_the_batch_for_equal_logits_and_vanishes_for_a_strong_diagonal() {
        let device = Device::flex();
        for (logits, wanted) in
            [(Tensor::<2>::zeros([4, 4], &device), 4.0f32.ln()), (Tensor::<2>::eye(4, &device) * 50.0, 0.0)]
        {
            let got = values(contrast(logits, &device)).values[0];
            assert!((got - wanted).abs() < 1e-5, "{got}");
        }
    }

    #[test]
    fn captions_name_what_is_to_be_seen() {
        let traits = Person::from_seed(7).traits();
        let mut rng = Rng::new(1);
        let caption = describe(&traits, &mut rng);
        assert!(caption.contains(traits.presentation), "{caption}");
    }
}
