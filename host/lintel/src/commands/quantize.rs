//! `lintel quantize`: a model and pictures → the model in 8-bit integers, or a line that says why not.

use std::path::Path;

use lintel_inference::{Array, Options};
use lintel_onnx::{ElementType, MAX_FILE_BYTES, OnnxError, dims_of, read};
use lintel_photos::calibration_set::{MOST, pictures};
use lintel_quantize::{QuantizeError, Quantized, Report, Settings, fidelity, quantize};
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use lintel_work::outdir::write_file;
use serde_json::json;

use crate::cli::QuantizeArgs;
use crate::commands::speaker::{Console, Progress};
use crate::commands::{existing_folder, runtime::find};

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; a file that was there before is then untouched.
pub fn run(args: &QuantizeArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    existing_folder(&args.calibration)?;
    if args.out.is_dir() {
        return Err(Failure::input(format!("--out {} is a folder; give a file's name", args.out.display())));
    }
    let onnx = model(&args.model)?;
    let size = looks_at(&onnx).map_err(|error| Failure::input(format!("{}: {error}", args.model.display())))?;
    find(runtime)?;
    let samples = pictures(&args.calibration, size, MOST)?;
    let quantized = quantized(&onnx, &samples, &args.int8.settings(), runtime, console)?;
    write_file(&args.out, &quantized.onnx)?;
    say(&quantized.report, console);
    console.say(format!("wrote {}", args.out.display()));
    console.result(&json!({ "out": args.out, "report": quantized.report }));
    Ok(())
}

fn model(path: &Path) -> Result<Vec<u8>, Failure> {
    let length = std::fs::metadata(path).map_err(|error| Failure::reading(path, &error))?.len();
    if length > MAX_FILE_BYTES as u64 {
        return Err(Failure::input(format!(
            "{} has {length} bytes, at most {MAX_FILE_BYTES} are read",
            path.display()
        )));
    }
    std::fs::read(path).map_err(|error| Failure::reading(path, &error))
}

/// Width and height of the pictures that a model takes.
///
/// # Errors
/// [`OnnxError`] when it is no model, or takes something else than u8 `[N, H, W, 3]`.
pub fn looks_at(onnx: &[u8]) -> Result<[u32; 2], OnnxError> {
    let graph = read(onnx)?.graph.ok_or(OnnxError::NoGraph)?;
    let fed: Vec<_> =
        graph.input.iter().filter(|i| graph.initializer.iter().all(|t| t.name != i.name)).map(dims_of).collect();
    if let [Ok((ElementType::U8, dims))] = fed.as_slice()
        && let &[None | Some(1), Some(height), Some(width), Some(3)] = dims.as_slice()
        && let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height))
        && width.max(height) <= lintel_core::frame::MAX_SIDE
    {
        return Ok([width, height]);
    }
    let got: Vec<String> = fed
        .iter()
        .map(|input| match input {
            Ok((element, dims)) => {
                let sizes: Vec<String> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
                format!("{element:?} [{}]", sizes.join(", "))
            }
            Err(error) => error.to_string(),
        })
        .collect();
    let what = format!(
        "takes {}, wanted U8 [N, H, W, 3]: how pixels become numbers has to be in the graph, as `lintel export` puts \
        it",
        got.join(" and ")
    );
    Err(OnnxError::Form { what })
}

/// Quantises with a threshold for every part of the work; Ctrl-C stops it.
///
/// # Errors
/// [`Failure::Work`] when the threshold of fidelity is missed.
pub fn quantized(
    onnx: &[u8],
    samples: &[Array],
    settings: &Settings,
    runtime: &Options,
    console: &Console,
) -> Result<Quantized, Failure> {
    let mut shown: Option<(&'static str, Progress)> = None;
    let result = quantize(onnx, samples, settings, runtime, &mut |step| {
        if shown.as_ref().is_none_or(|(doing, _)| *doing != step.doing) {
            shown = Some((step.doing, console.progress(step.doing, step.total as u64)));
        }
        if let Some((_, threshold)) = &shown {
            threshold.step();
        }
        if interrupt::requested() { Err(QuantizeError::Stopped) } else { Ok(()) }
    });
    result.map_err(|error| match error {
        QuantizeError::Stopped => Failure::Interrupted("interrupted; nothing was changed".into()),
        QuantizeError::Scratch { path, source } => {
            Failure::work(format!("cannot write {}: {}", path.display(), reason(&source)))
        }
        error @ (QuantizeError::Runtime(_) | QuantizeError::Misses { .. }) => Failure::work(error),
        error => Failure::input(error),
    })
}

/// The table of layers, and what it comes to.
pub fn say(report: &Report, console: &Console) {
    let width = report.layers.iter().map(|layer| layer.layer.len()).max().unwrap_or(0).clamp(5, 48);
    console.say(format!("{:<width$}  {:<6}  {:>7}  {:>12}", "layer", "op", "SQNR", "cosine alone"));
    for layer in &report.layers {
        let kept = if layer.quantized { "" } else { "  stays in float" };
        console.say(format!(
            "{:<width$}  {:<6}  {:>4.1} dB  {:>12.6}{kept}",
            layer.layer, layer.operator, layer.sqnr_db, layer.cosine_alone
        ));
    }
    for output in &report.outputs {
        console.say(format!(
            "output {}: cosine mean {:.5}, least {:.5}, SQNR {:.1} dB",
            output.output, output.mean_cosine, output.least_cosine, output.sqnr_db
        ));
    }
    let float = report.layers.iter().filter(|layer| !layer.quantized).count();
    let [before, after] = report.bytes.map(|bytes| bytes as f64 / 1e6);
    console.say(format!(
        "{} of {} layers in integers, worst cosine {:.5} on {} held-out pictures; {before:.1} MB → {after:.1} MB; \
         ONNX Runtime multiplies integers in {} nodes, floats in {}",
        report.layers.len() - float,
        report.layers.len(),
        fidelity::worst(&report.outputs),
        report.judged_on,
        report.kernels.integer,
        report.kernels.float
    ));
}
