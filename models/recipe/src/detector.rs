//! Cached frames → trained detector weights.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::assign::anchors;
use crate::detector_loss::{Parts, Target, loss};
use crate::frames::{Frames, render};
use crate::log::Log;
use crate::rng::Rng;
use crate::rooms::{operating_point, search};
use crate::schedule::{Checkpoint, Schedule, bar};
use crate::scrfd::{DetectorConfig, Scrfd};

/// The shape of the shipped detector.
pub const SHAPE: DetectorConfig = DetectorConfig { stages: [8, 16, 24, 48, 64], blocks: [0, 1, 1], neck: 24 };
/// View side, batch, and the share of steps that use it: small views are cheap, large ones contain large faces.
const VIEWS: [(usize, usize, f32); 2] = [(192, 24, 0.65), (352, 8, 0.35)];
const SEED: u64 = 71;
const SAVE_EVERY: usize = 250;
/// The checkpoints of the two phases.
const FRAMES: &str = "detector";
const ROOMS: &str = "detector-rooms";
/// The rooms of the second phase, and the operating point of its network.
const ROOMS_FILE: &str = "rooms.json";
const POINT_FILE: &str = "operating-point.json";

/// Amounts of training.
#[derive(Clone, Debug, clap::Args)]
pub struct DetectorArgs {
    /// Frames to render.
    #[arg(long, default_value_t = 4000)]
    pub frames: usize,
    /// Optimiser steps.
    #[arg(long, default_value_t = 16_000)]
    pub detector_steps: usize,
    /// Empty rooms to search for false faces after these steps.
    #[arg(long, default_value_t = 16_000)]
    pub rooms: usize,
    /// Optimiser steps with those rooms.
    #[arg(long, default_value_t = 6000)]
    pub room_steps: usize,
    /// Empty rooms that set the operating point.
    #[arg(long, default_value_t = 12_000)]
    pub calibration_rooms: usize,
}

impl DetectorArgs {
    /// The options as on a command line.
    pub fn arguments(&self) -> impl Iterator<Item = String> + use<> {
        let Self { frames, detector_steps, rooms, room_steps, calibration_rooms } = *self;
        let settings = [
            ("frames", frames),
            ("detector-steps", detector_steps),
            ("rooms", rooms),
            ("room-steps", room_steps),
            ("calibration-rooms", calibration_rooms),
        ];
        settings.into_iter().map(|(name, value)| format!("--{name}={value}"))
    }
}

struct Batch {
    side: usize,
    pixels: Vec<f32>,
    targets: Vec<Vec<Target>>,
}

/// Trains in `work`, and continues where an earlier run stopped: first on random frames, then also on the false faces
/// of empty rooms. At the end it sets the operating point.
pub fn train(work: &Path, args: &DetectorArgs, device: &Device, log: &Log) -> Result<()> {
    let lock = File::create(work.join("detector.lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another run trains the detector in {}", work.display()),
        Err(TryLockError::Error(error)) => return Err(error).context("locking the detector's files"),
    }
    let folder = work.join("frames");
    render(&folder, args.frames)?;
    let device = device.clone().autodiff();
    device.seed(SEED);
    let (first, second) = (Checkpoint::new(work, FRAMES), Checkpoint::new(work, ROOMS));
    let schedule = Schedule { peak: 1.5e-3, warmup: 200, steps: args.detector_steps };
    let (rooms_file, point_file) = (work.join(ROOMS_FILE), work.join(POINT_FILE));
    if first.step() < schedule.steps {
        // Later files belong to the earlier network.
        second.forget()?;
        remove(&rooms_file)?;
        phase(&first, Scrfd::new(&SHAPE, &device), &schedule, Frames::load(&folder)?, &device, log)?;
    }
    let schedule = Schedule { peak: 1e-3, warmup: 100, steps: args.room_steps };
    if second.step() < schedule.steps {
        remove(&point_file)?;
        let net = first.weights("net", Scrfd::new(&SHAPE, &Device::flex()))?;
        let rooms = search(&net, &rooms_file, args.rooms)?;
        log.line(&format!("faces found in {} of {} empty rooms", rooms.len(), args.rooms))?;
        let mut frames = Frames::load(&folder)?;
        frames.add_rooms(rooms);
        let net = first.weights("net", Scrfd::new(&SHAPE, &device))?;
        phase(&second, net, &schedule, frames, &device, log)?;
    }
    let net = second.weights("net", Scrfd::new(&SHAPE, &Device::flex()))?;
    let point = operating_point(&net, &point_file, args.calibration_rooms)?;
    log.line(&format!("operating point {point:.4}"))
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Trains `net`, or the checkpoint of an earlier run, through `schedule`.
fn phase(
    checkpoint: &Checkpoint,
    mut net: Scrfd,
    schedule: &Schedule,
    frames: Frames,
    device: &Device,
    log: &Log,
) -> Result<()> {
    let mut optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.02).init();
    let start = checkpoint.step();
    if start > 0 {
        (net, optimizer) = checkpoint.load("net", net, optimizer)?;
    }
    let batches = prefetch(frames, start, schedule.steps);
    let progress = bar(schedule.steps, start, "detector");
    let mut mean = Parts::default();
    for step in start..schedule.steps {
        let batch = batches.recv()?;
        let side = batch.side;
        let images = Tensor::<1>::from_floats(&batch.pixels[..], device);
        let levels = net.forward(images.reshape([batch.targets.len(), 3, side, side]));
        let (value, parts) = loss(levels, &anchors(side, side), &batch.targets);
        ensure!(
            (parts.score + parts.boxes + parts.landmarks).is_finite(),
            "the detector's loss is not finite at step {step}"
        );
        let gradients = GradientsParams::from_grads(value.backward(), &net);
        net = optimizer.step(schedule.rate(step), net, gradients);
        mean.blend(&parts);
        progress.inc(1);
        progress.set_message(mean.text());
        if (step + 1) % SAVE_EVERY == 0 || step + 1 == schedule.steps {
            checkpoint.save("net", &net, &optimizer)?;
            checkpoint.commit(step + 1)?;
            log.line(&format!("{} step {} {}", checkpoint.name(), step + 1, mean.text()))?;
        }
    }
    progress.finish();
    Ok(())
}

/// The trained network on the plain device, and its operating point.
pub fn trained(work: &Path) -> Result<(Scrfd, f32)> {
    let net = Checkpoint::new(work, ROOMS).weights("net", Scrfd::new(&SHAPE, &Device::flex()))?;
    let point =
        fs::read(work.join(POINT_FILE)).context("the detector's training is not finished: no operating point")?;
    let (_, point) = serde_json::from_slice::<(usize, f32)>(&point).context("reading the operating point")?;
    Ok((net, point))
}

impl Parts {
    /// A running mean over some fifty steps.
    fn blend(&mut self, new: &Parts) {
        let mix = |old: &mut f32, new: f32| *old = if *old == 0.0 { new } else { 0.98 * *old + 0.02 * new };
        mix(&mut self.score, new.score);
        mix(&mut self.boxes, new.boxes);
        mix(&mut self.landmarks, new.landmarks);
        mix(&mut self.overlap, new.overlap);
    }

    fn text(&self) -> String {
        let Self { score, boxes, landmarks, overlap } = self;
        format!("score {score:.4} box {boxes:.4} landmarks {landmarks:.4} overlap {overlap:.4}")
    }
}

/// Cuts the views of each step on a thread of its own; a step's views depend on its number only.
fn prefetch(frames: Frames, from: usize, to: usize) -> Receiver<Batch> {
    let (send, receive) = sync_channel(3);
    thread::spawn(move || {
        for step in from..to {
            let mut rng = Rng::new(SEED << 32 | step as u64);
            let (side, count, _) = if rng.chance(VIEWS[0].2) { VIEWS[0] } else { VIEWS[1] };
            let mut pixels = vec![0.0; count * 3 * side * side];
            let targets =
                pixels.chunks_exact_mut(3 * side * side).map(|out| frames.view(side, &mut rng, out)).collect();
            let batch = Batch { side, pixels, targets };
            if send.send(batch).is_err() {
                return;
            }
        }
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DetectorArgs,
    }

    #[test]
    fn settings_survive_a_command_line() {
        let args = DetectorArgs { frames: 1, detector_steps: 2, rooms: 3, room_steps: 4, calibration_rooms: 5 };
        let line = std::iter::once("lintel-recipe".to_owned()).chain(args.arguments());
        assert_eq!(format!("{:?}", Line::parse_from(line).args), format!("{args:?}"));
    }
}
