//! Compares a float model, Python's integer model and Lintel's integer model; the commands are in docs/measurements.md.
//!
//! `yardstick models FACES PHOTOS DIR` writes CLIP RN50's image encoder with weights by formula, the two public SCRFD
//! detectors, and the pictures with which both quantisers calibrate. `yardstick compare DIR NAME [ROUNDS]` quantises
//! the model NAME with Lintel and runs the three in turn, on one thread, on pictures that neither quantiser used.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement: it reads the clock, and a failure ends it"
)]

#[path = "../../../tests/src/fixtures/formula.rs"]
#[allow(dead_code, reason = "its pictures are for tests")]
mod formula;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lintel_export::{Views, encoder_onnx};
use lintel_inference::{Array, Model, Options, Values};
use lintel_onnx::with_u8_input;
use lintel_photos::calibration_set::{crops, frames};
use lintel_quantize::fidelity::{compare, outputs_of, worst};
use lintel_quantize::{Settings, quantize};

/// Calibration pictures of both quantisers, and pictures for the comparison.
const TEACHERS: usize = 24;
const JUDGES: usize = 8;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["models", faces, photos, dir] => models(Path::new(faces), Path::new(photos), Path::new(dir)),
        ["quantize", dir, name, rest @ ..] => own(Path::new(dir), name, rest),
        ["compare", dir, name, rounds] => turns(Path::new(dir), name, rounds.parse().unwrap()),
        _ => eprintln!(
            "yardstick models FACES PHOTOS DIR | quantize DIR NAME [SETTING=VALUE…] | compare DIR NAME ROUNDS"
        ),
    }
}

fn shared(parts: &[&str]) -> PathBuf {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared"].iter().collect();
    parts.iter().fold(root, |path, part| path.join(part))
}

fn models(faces: &Path, photos: &Path, dir: &Path) {
    let described = fs::read(shared(&["reference", "tensors.json"])).unwrap();
    let described: Vec<formula::Described> = serde_json::from_slice(&described).unwrap();
    let visual: Vec<_> = described.into_iter().filter(|tensor| tensor.name.starts_with("visual.")).collect();
    fs::write(dir.join("rn50.onnx"), encoder_onnx(&formula::tensors(&visual), 224, Views::default()).unwrap()).unwrap();
    write_pictures(dir, "rn50", &crops(faces, TEACHERS + JUDGES).unwrap());
    for name in ["scrfd_500m_kps", "scrfd_2.5g_kps"] {
        let published = fs::read(shared(&["models", &format!("{name}.onnx")])).unwrap();
        fs::write(dir.join(format!("{name}.onnx")), with_u8_input(&published, None).unwrap()).unwrap();
        // Faces of all sizes: one person in front of a camera gives the detector's finest level nothing to find.
        let mut pictures = frames(photos, [640; 2], (TEACHERS + JUDGES) / 2).unwrap();
        pictures.extend((0..).take(TEACHERS + JUDGES - pictures.len()).map(crowd));
        write_pictures(dir, name, &pictures);
    }
}

fn crowd(seed: u64) -> Array {
    let picture = lintel_faces::crowd(seed, [640; 2], 12, 16.0);
    Array { shape: vec![1, 640, 640, 3], values: Values::U8(picture.rgb) }
}

/// Every fourth picture is for the comparison.
fn write_pictures(dir: &Path, name: &str, all: &[Array]) {
    for (kind, judge) in [("teach", false), ("judge", true)] {
        let chosen = all.iter().enumerate().filter(|(place, _)| (place % 4 == 3) == judge);
        let bytes: Vec<u8> = chosen.flat_map(|(_, array)| bytes(array)).copied().collect();
        fs::write(dir.join(format!("{name}.{kind}.u8")), bytes).unwrap();
    }
}

fn bytes(array: &Array) -> &[u8] {
    match &array.values {
        Values::U8(bytes) => bytes,
        Values::F32(_) => panic!("pictures are bytes"),
    }
}

fn pictures(dir: &Path, name: &str, kind: &str, input: &[i64]) -> Vec<Array> {
    let shape: Vec<usize> = std::iter::once(1).chain(input[1..].iter().map(|&d| d as usize)).collect();
    let all = fs::read(dir.join(format!("{name}.{kind}.u8"))).unwrap();
    let one = shape.iter().product();
    all.chunks_exact(one).map(|c| Array { shape: shape.clone(), values: Values::U8(c.to_vec()) }).collect()
}

fn one_thread() -> Options {
    Options { threads: 1, ..lintel_work::places::runtime() }
}

fn own(dir: &Path, name: &str, rest: &[&str]) {
    let float = fs::read(dir.join(format!("{name}.onnx"))).unwrap();
    let input = Model::open(&float, &one_thread()).unwrap().input().to_vec();
    let mut settings = Settings::default();
    for setting in rest {
        match setting.split_once('=').unwrap() {
            ("method", value) => settings.method = serde_json::from_value(value.into()).unwrap(),
            ("target", value) => settings.target = serde_json::from_value(value.into()).unwrap(),
            ("weights", value) => settings.precision = serde_json::from_value(value.into()).unwrap(),
            ("min-cosine", value) => settings.min_cosine = value.parse().unwrap(),
            _ => panic!("{setting}?"),
        }
    }
    let samples = pictures(dir, name, "teach", &input);
    let mut said = "";
    let quantized = quantize(&float, &samples, &settings, &lintel_work::places::runtime(), &mut |step| {
        if step.doing != said {
            said = step.doing;
            eprintln!("{said}");
        }
        Ok(())
    })
    .unwrap();
    fs::write(dir.join(format!("{name}.lintel.onnx")), &quantized.onnx).unwrap();
    let report: &lintel_quantize::Report = &quantized.report;
    for layer in &report.layers {
        let kept = if layer.quantized { "" } else { "  float" };
        println!("{:<44} {:>6.1} dB  {:.6}{kept}", layer.layer, layer.sqnr_db, layer.cosine_alone);
    }
    println!("{:?}", report.kernels);
    println!("{:#?}", report.outputs);
}

fn turns(dir: &Path, name: &str, rounds: usize) {
    let kinds = ["", ".python", ".lintel"];
    let mut models: Vec<(&str, Model, usize)> = Vec::new();
    for kind in kinds {
        let Ok(onnx) = fs::read(dir.join(format!("{name}{kind}.onnx"))) else { continue };
        models.push((kind, Model::open(&onnx, &one_thread()).unwrap(), onnx.len()));
    }
    let judges = pictures(dir, name, "judge", models[0].1.input());
    let judges: Vec<&Array> = judges.iter().collect();
    let names = models[0].1.outputs();
    let wanted = outputs_of(&mut models[0].1, &names, &judges).unwrap();
    let mut times = vec![Vec::new(); models.len()];
    for round in 0..rounds {
        for (place, (_, model, _)) in models.iter_mut().enumerate() {
            let start = Instant::now();
            model.run(judges[round % judges.len()], &names, |_, _, _| {}).unwrap();
            times[place].push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let float = median(&mut times[0]);
    for (place, (kind, model, size)) in models.iter_mut().enumerate() {
        let got = outputs_of(model, &names, &judges).unwrap();
        let all = compare(&names, &wanted, &got);
        let time = median(&mut times[place]);
        let mean = all.iter().map(|o| o.mean_cosine).sum::<f64>() / all.len() as f64;
        let onnx = fs::read(dir.join(format!("{name}{kind}.onnx"))).unwrap();
        let mut written = Model::open_as_written(&onnx, &one_thread()).unwrap();
        let written = compare(&names, &wanted, &outputs_of(&mut written, &names, &judges).unwrap());
        println!(
            "{name}{kind:<8} {time:7.1} ms  {:4.2}x  {:6.1} MB  cosine mean {mean:.6}, worst {:.6}; without \
            saturation {:.6}",
            float / time,
            *size as f64 / 1e6,
            worst(&all),
            worst(&written)
        );
    }
}
