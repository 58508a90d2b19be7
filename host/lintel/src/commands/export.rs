//! `lintel export`: a trained folder and its pack → a bundle.

use lintel_core::quality::QualityLimits;
use lintel_evaluation::integers_report::{RUNS, page};
use lintel_export::{BundleParts, detector_input, write_bundle};
use lintel_inference::{Detector, FaceAnalyzer, Options};
use lintel_onnx::with_u8_input;
use lintel_packs::Pack;
use lintel_photos::calibration_set::{MOST, frames};
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested, write_file};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cli::ExportArgs;
use crate::commands::quantize::{quantized, say as say_integers};
use crate::commands::speaker::Console;
use crate::commands::{existing_folder, packs, runtime::find};

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &ExportArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    existing_folder(&args.trained)?;
    refuse_nested(&args.output.out, &args.trained)?;
    let trained = TrainedFolder::open(&args.trained)?;
    let pack = packs::open(&args.pack, console)?;
    if trained.report.detector_sha256 != hex::encode(Sha256::digest(&pack.detector)) {
        return Err(Failure::input(format!(
            "{} was trained with pack {}, and pack {} has another detector; give the same --pack",
            args.trained.display(),
            trained.report.pack,
            pack.about.name
        )));
    }
    if args.int8 && trained.report.int8.is_none() {
        return Err(Failure::input(format!(
            "the table in {} was trained on the encoder in float; train again with --int8, so that it knows what the \
             integers give",
            args.trained.display()
        )));
    }
    if let Some(photos) = &args.calibration {
        existing_folder(photos)?;
    }
    let float = detector(args, &pack)?;
    let out = OutDir::take(&args.output.out, Kind::Bundle, args.output.force, &[])?;
    find(runtime)?;
    if let Some([width, height]) = args.detector_size {
        // Only a run tells whether a graph works at another size than it was written for.
        Detector::open(&float, runtime).map_err(|error| {
            Failure::input(format!(
                "the detector of pack {} cannot be made {width}x{height}: {error}; leave --detector-size out",
                pack.about.name
            ))
        })?;
    }
    let quantised = match &args.calibration {
        Some(photos) => {
            let settings = args.integers.settings_to_run()?;
            let photos = frames(photos, detector_input(&float).map_err(Failure::input)?, MOST)?;
            let quantised = quantized(&float, &photos, &settings, runtime, console)?;
            say_integers(&quantised.report, console);
            Some(quantised)
        }
        None => None,
    };
    let detector = quantised.as_ref().map_or(float.as_slice(), |quantised| &quantised.onnx);
    let parts = BundleParts {
        pack: &pack.about.name,
        detector,
        encoder: &trained.encoder,
        table: &trained.table,
        created: seconds_since_1970(),
    };
    let manifest = write_bundle(out.path(), &parts).map_err(|error| match error {
        lintel_export::BundleError::Write { path, source } => {
            Failure::work(format!("cannot write {}: {}", path.display(), reason(&source)))
        }
        other => Failure::input(other),
    })?;
    // Opened as a door opens it: what does not load here would not load there.
    FaceAnalyzer::open(out.path(), runtime, QualityLimits::default()).map_err(Failure::work)?;
    interrupt::check()?;
    if let (Some(path), Some(quantised)) = (&args.report, &quantised) {
        let float_encoder = pack.encoder_onnx().map_err(Failure::input)?;
        let mut models = vec![("detector", float.as_slice(), quantised.onnx.as_slice(), &quantised.report)];
        if let Some(report) = &trained.report.int8 {
            models.insert(0, ("encoder", &float_encoder, &trained.encoder, report));
        }
        let progress = console.progress("taking times", (RUNS * models.len()) as u64);
        let page = page(&models, runtime, &mut || progress.step())?;
        drop(progress);
        write_file(path, page.as_bytes())?;
        console.say(format!("wrote {}", path.display()));
    }
    let done = out.finish()?;

    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    console.say(format!(
        "wrote {}: {} people, encoder {}, {:.1} MB",
        done.display(),
        trained.table.len(),
        manifest.encoder,
        bytes as f64 / 1e6
    ));
    console.result(&json!({
        "out": done,
        "pack": manifest.pack,
        "revision": manifest.revision,
        "people": trained.table.len(),
        "encoder": manifest.encoder.to_string(),
        "bytes": bytes,
        "detector_int8": quantised.map(|quantised| quantised.report),
        "report": args.report,
    }));
    Ok(())
}

/// The pack's detector in the form of bundles. The pack's own word on its size is for a detector of free size.
fn detector(args: &ExportArgs, pack: &Pack) -> Result<Vec<u8>, Failure> {
    let asked = args.detector_size.map(|[width, height]| (width, height));
    let own = || with_u8_input(&pack.detector, None);
    match (asked, pack.about.detector_input) {
        (None, Some([width, height])) => own().or_else(|_| with_u8_input(&pack.detector, Some((width, height)))),
        (None, None) => own(),
        (asked, _) => with_u8_input(&pack.detector, asked),
    }
    .map_err(Failure::input)
}

#[allow(clippy::disallowed_methods, reason = "a bundle says when it was made; nothing is decided by it")]
fn seconds_since_1970() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs())
}
