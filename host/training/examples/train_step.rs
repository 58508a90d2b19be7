//! Times one step of training at CLIP RN50's size with random weights, for `tests/bench/yardstick/train_step.py`.
//!
//! `train_step PEOPLE[,PEOPLE…] STEPS [--device cpu|vulkan|cuda] [--precision f32|bf16] [--chunk N[,N…]]
//! [--classes-per-step N] [--most-seconds S]` prints one line of JSON for each number of people and each chunk (a
//! larger chunk only if there are more people than the chunk before): the seconds of the first step (in which kernels
//! are compiled and chosen) and of each later one, the losses, the process's peak memory, and the most memory reserved
//! on a GPU. After S seconds no further step begins, once one after the first is done. `train_step rows PEOPLE` prints
//! the same prompts as token ids. `RAYON_NUM_THREADS=1` keeps it on one thread.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement: it reads the clock, and a failure ends it"
)]

use std::ops::ControlFlow;
use std::time::Instant;

use clap::Parser;
use lintel_clip::text_encoder::{MatmulPrecision, TextConfig, random_tensors};
use lintel_clip::tokenizer::Tokenizer;
use lintel_clip::weights::NamedTensors;
use lintel_rendered::name;
use lintel_training::{Compute, Features, Processor, Settings, TEMPLATE, Task, train};
use serde_json::json;

const RN50: TextConfig = TextConfig { vocabulary: 49408, context: 77, width: 512, layers: 12, dim: 1024 };

#[derive(Parser)]
struct Args {
    /// Numbers of people, or `rows`
    #[arg(value_delimiter = ',', num_args = 1, required = true)]
    people: Vec<String>,
    /// Steps after the first; people after `rows`
    steps: u32,
    #[arg(long, default_value_t = Compute::Cpu)]
    device: Compute,
    #[arg(long, default_value_t = MatmulPrecision::F32)]
    precision: MatmulPrecision,
    /// Names whose prompts are computed at once, ascending [default: the device's]
    #[arg(long, value_delimiter = ',')]
    chunk: Vec<usize>,
    #[arg(long, default_value_t = 0)]
    classes_per_step: usize,
    #[arg(long, default_value_t = f64::INFINITY)]
    most_seconds: f64,
}

fn main() {
    let args = Args::parse();
    if args.people == ["rows"] {
        println!("{}", json!(rows(args.steps)));
        return;
    }
    let processor = args.device.open(args.precision).unwrap_or_else(|error| {
        eprintln!("train_step: {error}");
        std::process::exit(2)
    });
    let clip = random_tensors(&RN50, 1);
    let chunks = if args.chunk.is_empty() { vec![args.device.chunk()] } else { args.chunk.clone() };
    for people in &args.people {
        let people: u32 = people.parse().unwrap();
        let mut before = 0;
        for &chunk in &chunks {
            if people as usize > before {
                measure(&args, people, chunk, &clip, &processor);
            }
            before = chunk;
        }
    }
}

fn names(people: u32) -> Vec<String> {
    (0..people).map(|index| name(1, index)).collect()
}

fn rows(people: u32) -> Vec<Vec<u32>> {
    let tokenizer = Tokenizer::openai();
    names(people).iter().map(|name| tokenizer.encode(&TEMPLATE.replace("{name}", name)).unwrap()).collect()
}

fn measure(args: &Args, people: u32, chunk: usize, clip: &NamedTensors, processor: &Processor) {
    let (compute, precision) = (args.device, args.precision);
    let settings = Settings {
        held_out: 0.0,
        compute,
        precision,
        chunk,
        classes_per_step: args.classes_per_step,
        ..Settings::default()
    };
    // One photo of each person is held out; the others make an epoch that is longer than the measurement.
    let photos = 1 + ((args.steps + 2) * u32::try_from(settings.batch).unwrap()).div_ceil(people);
    let features = features(people, photos.max(2));
    let (tokenizer, names) = (Tokenizer::openai(), names(people));
    let task =
        Task { clip, tokenizer: &tokenizer, names: &names, features: &features, settings: &settings, fixed: None };
    let (start, mut last) = (Instant::now(), Instant::now());
    let (mut seconds, mut losses, mut reserved) = (Vec::new(), Vec::new(), None);
    train(&task, None, &mut |step| {
        seconds.push(last.elapsed().as_secs_f64());
        losses.push(step.loss);
        reserved = reserved.max(processor.device.memory_pool_usage().map(|usage| usage.bytes_reserved / 1_000_000));
        last = Instant::now();
        let spent = step.done > 1 && start.elapsed().as_secs_f64() > args.most_seconds;
        if spent || step.done > u64::from(args.steps) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    let line = json!({
        "people": people,
        "device": compute,
        "name": processor.name,
        "software": processor.software,
        "precision": precision,
        "chunk": chunk,
        "classes_per_step": settings.classes_per_step,
        "first_s": seconds[0],
        "seconds": seconds[1..],
        "losses": losses,
        "peak_mb": peak_mb(),
        "device_mb": reserved,
    });
    println!("{line}");
}

/// `photos` random unit rows of each person.
fn features(people: u32, photos: u32) -> Features {
    let mut random = fastrand::Rng::with_seed(2);
    let mut values = Vec::with_capacity((people * photos) as usize * RN50.dim);
    for _ in 0..people * photos {
        let row: Vec<f32> = (0..RN50.dim).map(|_| random.f32() - 0.5).collect();
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        values.extend(row.iter().map(|v| v / length));
    }
    Features::new(RN50.dim, values, (0..people * photos).map(|photo| photo / photos).collect()).unwrap()
}

/// Peak memory of this process, in MB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024 / 1_000_000
}
