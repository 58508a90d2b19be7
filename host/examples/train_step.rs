//! One step of training at CLIP RN50's size, random weights: the yardstick `tests/yardstick/train_step.py` runs this.
//!
//! `train_step PEOPLE STEPS` prints seconds of each step after the first, and the process's peak memory, as one line of JSON.
//! `train_step rows PEOPLE` prints the same prompts as token ids. `RAYON_NUM_THREADS=1` keeps it on one thread.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement: it reads the clock, and a failure ends it"
)]

use std::ops::ControlFlow;
use std::time::Instant;

use lintel::rendered::name;
use lintel::text_encoder::{TextConfig, random_tensors};
use lintel::tokenizer::Tokenizer;
use lintel::train::{Features, Settings, TEMPLATE, Task, train};
use serde_json::json;

const RN50: TextConfig = TextConfig { vocabulary: 49408, context: 77, width: 512, layers: 12, dim: 1024 };

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["rows", people] => println!("{}", json!(rows(people.parse().unwrap()))),
        [people, steps, rest @ ..] => measure(people.parse().unwrap(), steps.parse().unwrap(), rest),
        _ => eprintln!("train_step PEOPLE STEPS [CHUNK] | train_step rows PEOPLE"),
    }
}

fn names(people: u32) -> Vec<String> {
    (0..people).map(|index| name(1, index)).collect()
}

fn rows(people: u32) -> Vec<Vec<u32>> {
    let tokenizer = Tokenizer::openai();
    names(people).iter().map(|name| tokenizer.encode(&TEMPLATE.replace("{name}", name)).unwrap()).collect()
}

fn measure(people: u32, steps: u32, rest: &[&str]) {
    let mut settings = Settings { held_out: 0.0, ..Settings::default() };
    if let [chunk] = rest {
        settings.chunk = chunk.parse().unwrap();
    }
    // One photo of each person is held out; what is left lasts for an epoch that is longer than the measurement.
    let photos = 1 + ((steps + 2) * u32::try_from(settings.batch).unwrap()).div_ceil(people);
    let features = features(people, photos.max(2));
    let (clip, tokenizer, names) = (random_tensors(&RN50, 1), Tokenizer::openai(), names(people));
    let task = Task {
        clip: &clip,
        tokenizer: &tokenizer,
        names: &names,
        features: &features,
        settings: &settings,
        fixed: None,
    };
    let (mut last, mut seconds) = (Instant::now(), Vec::new());
    train(&task, None, &mut |step| {
        seconds.push(last.elapsed().as_secs_f64());
        last = Instant::now();
        if step.done > u64::from(steps) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    println!("{}", json!({ "seconds": seconds[1..], "peak_mb": peak_mb() }));
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

/// The most memory that this process has had, in MB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024 / 1_000_000
}
