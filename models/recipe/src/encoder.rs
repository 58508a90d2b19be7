//! Cached crops → trained image-encoder weights.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Result, ensure};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use lintel_clip::weights::NamedTensors;
use rayon::prelude::*;

use crate::augment::{Variation, plain, varied};
use crate::crops::{Crops, Glasses, HELD_OUT_PEOPLE, MORE_PEOPLE, TRAIN_PEOPLE, render_all};
use crate::layers::values;
use crate::log::Log;
use crate::margin::{Margin, Targets, unit};
use crate::resnet::{ImageConfig, ImageEncoder};
use crate::rng::Rng;
use crate::schedule::{Checkpoint, Schedule, bar};
use crate::verification::{JUDGED_BY, open_set, verify};

/// The shape of the shipped encoder; R = 32·side. At R = 64 a face is 56 pixels wide and a step costs a quarter of one
/// at R = 128, so that the hours of a recipe suffice for many more people and epochs.
pub const SHAPE: ImageConfig = ImageConfig { width: 16, layers: [2, 2, 2, 2], side: 2, dim: 256 };
/// Crops of each person held out.
pub const HELD_OUT_EACH: usize = 10;
const SEED: u64 = 72;
const BATCH: usize = 64;
const SCALE: f32 = 30.0;
const MARGIN: f32 = 0.35;
/// Share of the steps over which the margin grows to its full size: with the full margin from the start, a fresh net
/// does not learn.
const RAMP: f32 = 0.25;
const NAME: &str = "encoder";
const MORE: &str = "more";
const SAVE_EVERY: usize = 250;
/// Crops that are embedded at once outside training.
const LOOKED_AT: usize = 256;

/// Amounts of training.
#[derive(Clone, Debug, clap::Args)]
pub struct EncoderArgs {
    /// People to render for training.
    #[arg(long, default_value_t = 3200)]
    pub people: usize,
    /// Crops of each.
    #[arg(long, default_value_t = 10)]
    pub each: usize,
    /// People held out.
    #[arg(long, default_value_t = 200)]
    pub held_out: usize,
    /// Optimiser steps.
    #[arg(long, default_value_t = 4250)]
    pub encoder_steps: usize,
}

/// Amounts of training with more people.
#[derive(Clone, Debug, clap::Args)]
pub struct MoreArgs {
    /// People to render.
    #[arg(long, default_value_t = 14_000)]
    pub more_people: usize,
    /// How many people are skipped before them
    #[arg(long, default_value_t = 0)]
    pub more_after: u64,
    /// Crops of each.
    #[arg(long, default_value_t = 8)]
    pub more_each: usize,
    /// Optimiser steps.
    #[arg(long, default_value_t = 1000)]
    pub more_steps: usize,
    /// Crops in one step.
    #[arg(long, default_value_t = 256)]
    pub more_batch: usize,
    /// The highest learning rate
    #[arg(long, default_value_t = 1e-3)]
    pub more_rate: f64,
    /// The most classes of one step
    #[arg(long, default_value_t = 16_384)]
    pub more_classes: usize,
    /// How many crops of each person the directions start from; all of them if there are fewer
    #[arg(long, default_value_t = 8)]
    pub more_towards: usize,
    /// Whose glasses people wear in every other crop
    #[arg(long, value_enum, default_value_t = Glasses::Own)]
    pub more_glasses: Glasses,
    /// Strength of the crops' variation
    #[arg(long, value_enum, default_value_t = Variation::Everyday)]
    pub more_variation: Variation,
}

/// The file with the crops of more people.
pub fn more_file(work: &Path, args: &MoreArgs) -> PathBuf {
    let glasses = match args.more_glasses {
        Glasses::Own => "",
        Glasses::Anybodys => "-anybodys",
    };
    let after = if args.more_after > 0 { format!("-after-{}", args.more_after) } else { String::new() };
    work.join(format!("more{glasses}{after}.rgb"))
}

/// Renders the crops of more people.
pub fn render_more(work: &Path, args: &MoreArgs) -> Result<()> {
    let first = MORE_PEOPLE + args.more_after;
    render_all(&more_file(work, args), first, args.more_people, args.more_each, args.more_glasses)
}

/// The files of the first two sets of crops.
pub fn crop_files(work: &Path) -> [PathBuf; 2] {
    [work.join("people.rgb"), work.join("held-out.rgb")]
}

/// Renders both sets of crops.
pub fn render_crops(work: &Path, args: &EncoderArgs) -> Result<()> {
    render_held_out(work, args.held_out)?;
    render_all(&crop_files(work)[0], TRAIN_PEOPLE, args.people, args.each, Glasses::Own)
}

/// Renders the crops of the people that the encoder is tested on.
pub fn render_held_out(work: &Path, people: usize) -> Result<()> {
    ensure!(people >= JUDGED_BY, "--held-out is {people}, wanted at least {JUDGED_BY}");
    render_all(&crop_files(work)[1], HELD_OUT_PEOPLE, people, HELD_OUT_EACH, Glasses::Own)
}

struct Batch {
    pixels: Vec<f32>,
    targets: Targets,
}

/// The settings of one of the two runs.
#[derive(Clone, Copy)]
struct Plan {
    /// The name of its checkpoint and of its lines in the log.
    name: &'static str,
    steps: usize,
    /// Crops in one step.
    batch: usize,
    /// The most classes of a step.
    classes: usize,
    /// The highest learning rate.
    peak: f64,
    /// Share of the steps over which the margin grows to its full size.
    ramp: f32,
    /// Strength of the crops' variation.
    variation: Variation,
}

/// Trains in `work` from the start, or continues where an earlier run stopped.
pub fn train(work: &Path, args: &EncoderArgs, device: &Device, log: &Log) -> Result<()> {
    render_crops(work, args)?;
    let [people, held_out] = crop_files(work);
    let crops = Arc::new(Crops::open(&people, args.each)?);
    let held_out = Crops::open(&held_out, HELD_OUT_EACH)?;
    let device = device.clone().autodiff();
    device.seed(SEED);
    let net = ImageEncoder::new(&SHAPE, &device);
    let head = Margin::new(crops.people(), SHAPE.dim, &device);
    let plan = Plan {
        name: NAME,
        steps: args.encoder_steps,
        batch: BATCH,
        classes: args.people,
        peak: 2e-3,
        ramp: RAMP,
        variation: Variation::Everyday,
    };
    run(&plan, work, (net, head), (&crops, &held_out), &device, log)
}

/// Continues training with more people: from the weights of `from`, a pack's folder, or from the result of [`train`]. A
/// person's direction starts as the mean embedding of a few crops.
pub fn train_on_more(work: &Path, args: &MoreArgs, from: Option<&Path>, plain: &Device, log: &Log) -> Result<()> {
    ensure!(args.more_towards > 0, "--more-towards is 0, wanted at least 1");
    render_more(work, args)?;
    let crops = Arc::new(Crops::open(&more_file(work, args), args.more_each)?);
    let held_out = Crops::open(&crop_files(work)[1], HELD_OUT_EACH)?;
    let device = plain.clone().autodiff();
    device.seed(SEED + 2);
    let named = match from {
        Some(pack) => NamedTensors::read(&fs::read(pack.join("clip.safetensors"))?)?,
        None => Checkpoint::new(work, NAME).weights("net", ImageEncoder::new(&SHAPE, &Device::flex()))?.named(),
    };
    let head = if Checkpoint::new(work, MORE).step() == 0 {
        let before = ImageEncoder::from_named(&named, plain)?;
        log.line(&format!("{MORE} step 0 {}", judge(&before, &held_out, held_out.people(), plain)?))?;
        let few = args.more_towards.min(crops.each());
        let picked: Vec<usize> = (0..crops.len()).filter(|index| index % crops.each() < few).collect();
        let rows = features(&before, &crops, &picked, plain)?;
        let rows = Tensor::<1>::from_floats(&rows[..], &device).reshape([crops.people(), few, SHAPE.dim]);
        let means = unit(rows.mean_dim(1).reshape([crops.people(), SHAPE.dim])).into_data();
        Margin::towards(Tensor::from_data(means, &device))
    } else {
        // Its rows are read from the checkpoint.
        Margin::new(crops.people(), SHAPE.dim, &device)
    };
    let net = ImageEncoder::from_named(&named, &device)?;
    let plan = Plan {
        name: MORE,
        steps: args.more_steps,
        batch: args.more_batch,
        classes: args.more_classes,
        peak: args.more_rate,
        ramp: 0.0,
        variation: args.more_variation,
    };
    run(&plan, work, (net, head), (&crops, &held_out), &device, log)
}

fn run(
    plan: &Plan,
    work: &Path,
    (mut net, mut head): (ImageEncoder, Margin),
    (crops, held_out): (&Arc<Crops>, &Crops),
    device: &Device,
    log: &Log,
) -> Result<()> {
    let optimizer = || AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.03).init();
    let (mut net_optimizer, mut head_optimizer) = (optimizer(), optimizer());
    let &Plan { name, steps, batch, peak, ramp, .. } = plan;
    ensure!(crops.len() >= batch, "a step takes {batch} crops, and there are {}", crops.len());
    let checkpoint = Checkpoint::new(work, name);
    let start = checkpoint.step().min(steps);
    if start > 0 {
        (net, net_optimizer) = checkpoint.load("net", net, net_optimizer)?;
        (head, head_optimizer) = checkpoint.load("head", head, head_optimizer)?;
    }
    let schedule = Schedule { peak, warmup: (steps / 20).max(1), steps };
    let input = 32 * SHAPE.side;
    let batches = prefetch(Arc::clone(crops), *plan, input, start..steps);
    let progress = bar(steps, start, name);
    let (mut mean_loss, mut mean_right) = (0.0f32, 0.0f32);
    for step in start..steps {
        let Batch { pixels, targets } = batches.recv()??;
        let images = Tensor::<1>::from_floats(&pixels[..], device);
        let features = net.forward(images.reshape([batch, 3, input, input]));
        let grown = if ramp > 0.0 { (step as f32 / (ramp * steps as f32)).min(1.0) } else { 1.0 };
        let (loss, cosines) = head.loss(features, &targets, SCALE, MARGIN * grown);
        let value = values(loss.clone().detach()).values[0];
        ensure!(value.is_finite(), "the encoder's loss is not finite at step {step}");
        let right = targets.right(cosines);
        let mix = if step == start { 1.0 } else { 0.02 };
        mean_loss += (value - mean_loss) * mix;
        mean_right += (right - mean_right) * mix;
        let mut gradients = loss.backward();
        let for_net = GradientsParams::from_module(&mut gradients, &net);
        let for_head = GradientsParams::from_module(&mut gradients, &head);
        let rate = schedule.rate(step);
        net = net_optimizer.step(rate, net, for_net);
        head = head_optimizer.step(rate, head, for_head);
        progress.inc(1);
        progress.set_message(format!("loss {mean_loss:.3} right {mean_right:.3}"));
        let end = step + 1 == steps;
        if (step + 1) % SAVE_EVERY == 0 || end {
            checkpoint.save("net", &net, &net_optimizer)?;
            checkpoint.save("head", &head, &head_optimizer)?;
            checkpoint.commit(step + 1)?;
            let count = if end { held_out.people() } else { held_out.people().min(60) };
            log.line(&format!(
                "{name} step {} loss {mean_loss:.4} right {mean_right:.4} {}",
                step + 1,
                judge(&net.valid(), held_out, count, &device.clone().inner())?
            ))?;
        }
    }
    progress.finish();
    Ok(())
}

/// The trained network on a plain device.
pub fn trained(work: &Path, device: &Device) -> Result<ImageEncoder> {
    Checkpoint::new(work, MORE).weights("net", ImageEncoder::new(&SHAPE, device))
}

/// Unit features of the crops `picked`, with the product's preprocessing.
pub fn features(net: &ImageEncoder, crops: &Crops, picked: &[usize], device: &Device) -> Result<Vec<f32>> {
    let input = 32 * SHAPE.side;
    let size = 3 * input * input;
    let mut all = Vec::new();
    for picked in picked.chunks(LOOKED_AT) {
        let mut pixels = vec![0.0; picked.len() * size];
        let outs = pixels.par_chunks_exact_mut(size).zip(picked);
        outs.try_for_each(|(out, &index)| crops.get(index).map(|crop| plain(&crop, input, out)))?;
        let images = Tensor::<1>::from_floats(&pixels[..], device).reshape([picked.len(), 3, input, input]);
        all.extend(values(unit(net.forward(images))).values);
    }
    Ok(all)
}

/// One line about the accuracy on held-out people.
pub fn judge(net: &ImageEncoder, held_out: &Crops, people: usize, device: &Device) -> Result<String> {
    let picked: Vec<usize> = (0..people * held_out.each()).collect();
    let rows = features(net, held_out, &picked, device)?;
    let found = verify(&rows, SHAPE.dim, held_out.each());
    let door = open_set(&rows, SHAPE.dim, held_out.each(), found.threshold.max(0.0) * 1.1, 50);
    Ok(format!(
        "held out: TPR {:.4} at FPR 1e-3 (threshold {:.3}), same {:.3}, different {:.3}; 10 enrolled + 4 strangers: \
         named {:.4}, accepted {:.4}, by vote {:.4} and {:.4}",
        found.tpr_at_1e3,
        found.threshold,
        found.same,
        found.different,
        door.named,
        door.accepted,
        door.named_by_vote,
        door.accepted_by_vote
    ))
}

/// Varies and packs the crops of each step on a thread of its own; a step's batch depends on its number only.
fn prefetch(crops: Arc<Crops>, plan: Plan, input: usize, steps: Range<usize>) -> Receiver<Result<Batch>> {
    let (send, receive) = sync_channel(4);
    thread::spawn(move || {
        let per_epoch = crops.len() / plan.batch;
        let mut order: Vec<usize> = Vec::new();
        let mut epoch = usize::MAX;
        for step in steps {
            if step / per_epoch != epoch {
                epoch = step / per_epoch;
                order = (0..crops.len()).collect();
                Rng::new(SEED << 32 | epoch as u64).shuffle(&mut order);
            }
            let at = step % per_epoch * plan.batch;
            let packed = pack(&crops, &order[at..at + plan.batch], &plan, input, step);
            let failed = packed.is_err();
            if send.send(packed).is_err() || failed {
                return;
            }
        }
    });
    receive
}

fn pack(crops: &Crops, picked: &[usize], plan: &Plan, input: usize, step: usize) -> Result<Batch> {
    let size = 3 * input * input;
    let mut pixels = vec![0.0; picked.len() * size];
    pixels.par_chunks_exact_mut(size).zip(picked).enumerate().try_for_each(|(i, (out, &index))| {
        let mut rng = Rng::new((SEED + 1) << 48 | (step as u64) << 16 | i as u64);
        crops.get(index).map(|crop| varied(&crop, input, plan.variation, &mut rng, out))
    })?;
    let labels: Vec<u32> = picked.iter().map(|index| (index / crops.each()) as u32).collect();
    let mut rng = Rng::new((SEED + 2) << 48 | step as u64);
    Ok(Batch { pixels, targets: Targets::new(&labels, crops.people(), plan.classes, &mut rng) })
}
