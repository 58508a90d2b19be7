//! A model and pictures → the model in 8-bit integers, or a line that says why not.

use std::path::{Path, PathBuf};

use lintel_inference::saturation::saturates;
use lintel_inference::{Array, Options};
use lintel_onnx::{ElementType, MAX_FILE_BYTES, OnnxError, dims_of, read};
use lintel_photos::calibration_set::{MOST, pictures};
use lintel_quantize::{Precision, QuantizeError, Quantized, Report, Settings, quantize};
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use lintel_work::outdir::write_file;
use lintel_work::progress::{Progress, Work};

use super::{existing_folder, runtime};

/// What to quantise.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model in float.
    pub model: PathBuf,
    /// A folder of aligned faces or of photos.
    pub calibration: PathBuf,
    /// The file to write.
    pub out: PathBuf,
    /// Target, method, precision and least cosine.
    pub settings: Settings,
}

/// A model in integers.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its file.
    pub out: PathBuf,
    /// How faithful it is.
    pub report: Report,
}

/// Quantises it.
///
/// # Errors
/// [`Failure`]; a file that was there before is then untouched.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    existing_folder(&request.calibration)?;
    if request.out.is_dir() {
        return Err(Failure::input(format!("--out {} is a folder; give a file's name", request.out.display())));
    }
    let onnx = model(&request.model)?;
    let size = looks_at(&onnx).map_err(|error| Failure::input(format!("{}: {error}", request.model.display())))?;
    runtime::find(options)?;
    let samples = pictures(&request.calibration, size, MOST)?;
    let quantized = quantized(&onnx, &samples, &request.settings, options, progress)?;
    write_file(&request.out, &quantized.onnx)?;
    Ok(Outcome { out: request.out.clone(), report: quantized.report })
}

/// Refuses settings for a model that is to run on this machine and could not: said before the work, not after it.
///
/// # Errors
/// [`Failure::Input`].
pub fn check_runs_here(settings: &Settings) -> Result<(), Failure> {
    if settings.precision == Precision::Full && saturates() {
        return Err(Failure::input(
            "this processor (x86 without VNNI) can't run weights of all 8 bits, and training and export run what \
             they quantise; leave --weights full out, or work on a machine with VNNI or an Arm",
        ));
    }
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

/// Quantises, telling each part of the work; Ctrl-C stops it.
///
/// # Errors
/// [`Failure::Work`] when the least cosine is missed.
pub fn quantized(
    onnx: &[u8],
    samples: &[Array],
    settings: &Settings,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Quantized, Failure> {
    let mut running: Option<(&'static str, Work<'_>)> = None;
    let result = quantize(onnx, samples, settings, options, &mut |step| {
        if running.as_ref().is_none_or(|(doing, _)| *doing != step.doing) {
            running = None;
            running = Some((step.doing, progress.begin(step.doing, step.total as u64)));
        }
        if let Some((_, work)) = &running {
            work.step();
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
