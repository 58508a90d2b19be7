//! A trained folder and its pack → a bundle.

use std::path::PathBuf;

use lintel_core::quality::QualityLimits;
use lintel_evaluation::integers_report::{RUNS, page};
use lintel_export::{BundleParts, detector_input, write_bundle};
use lintel_formats::bundle::Manifest;
use lintel_inference::{Detector, FaceAnalyzer, Options};
use lintel_onnx::with_u8_input;
use lintel_packs::Pack;
use lintel_photos::calibration_set::{MOST, frames};
use lintel_quantize::{Report, Settings as Int8Settings};
use lintel_training::trained::TrainedFolder;
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested, write_file};
use lintel_work::progress::Progress;
use sha2::{Digest, Sha256};

use super::packs::{self, PackChoice};
use super::quantize::{check_runs_here, quantized};
use super::{Output, existing_folder, runtime};

/// What to make a bundle of.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A trained folder.
    pub trained: PathBuf,
    /// The folder to make.
    pub output: Output,
    /// The pack that the training used.
    pub pack: PackChoice,
    /// Width and height of what the detector looks at, px; `None`: the pack's.
    pub detector_size: Option<[u32; 2]>,
    /// Quantises the detector too.
    pub int8: Option<DetectorInt8>,
}

/// How the detector becomes integers.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorInt8 {
    /// Photos like those that the camera takes.
    pub calibration: PathBuf,
    /// Target, method, precision and least cosine.
    pub settings: Int8Settings,
    /// Where to write a page about fidelity, time and size.
    pub report: Option<PathBuf>,
}

impl Request {
    /// With the program's own pack and the float detector.
    #[must_use]
    pub fn new(trained: impl Into<PathBuf>, output: Output) -> Self {
        Self { trained: trained.into(), output, pack: PackChoice::default(), detector_size: None, int8: None }
    }
}

/// A bundle.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its folder.
    pub out: PathBuf,
    /// Pack, revision, encoder and the hash of each file.
    pub manifest: Manifest,
    /// People in its table.
    pub people: usize,
    /// How faithful the detector in integers is.
    pub detector_int8: Option<Report>,
    /// The page about the integers.
    pub page: Option<PathBuf>,
}

impl Outcome {
    /// Size of all its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.bytes).sum()
    }
}

/// Makes the bundle and opens it as a door does.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    existing_folder(&request.trained)?;
    refuse_nested(&request.output.folder, &request.trained)?;
    let trained = TrainedFolder::open(&request.trained)?;
    let pack = packs::open(&request.pack)?;
    if trained.report.detector_sha256 != hex::encode(Sha256::digest(&pack.detector)) {
        return Err(Failure::input(format!(
            "{} was trained with pack {}, and pack {} has another detector; give the same --pack",
            request.trained.display(),
            trained.report.pack,
            pack.about.name
        )));
    }
    if request.int8.is_some() && trained.report.int8.is_none() {
        return Err(Failure::input(format!(
            "the table in {} was trained on the encoder in float; train again with --int8, so that it knows what the \
             integers give",
            request.trained.display()
        )));
    }
    if let Some(int8) = &request.int8 {
        existing_folder(&int8.calibration)?;
    }
    let float = detector(request, &pack)?;
    let out = OutDir::take(&request.output.folder, Kind::Bundle, request.output.force, &[])?;
    runtime::find(options)?;
    if let Some([width, height]) = request.detector_size {
        // Only a run tells whether a graph works at another size than it was written for.
        Detector::open(&float, options).map_err(|error| {
            Failure::input(format!(
                "the detector of pack {} cannot be made {width}x{height}: {error}; leave --detector-size out",
                pack.about.name
            ))
        })?;
    }
    let quantised = match &request.int8 {
        Some(int8) => {
            check_runs_here(&int8.settings)?;
            let photos = frames(&int8.calibration, detector_input(&float).map_err(Failure::input)?, MOST)?;
            Some(quantized(&float, &photos, &int8.settings, options, progress)?)
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
    FaceAnalyzer::open(out.path(), options, QualityLimits::default()).map_err(Failure::work)?;
    interrupt::check()?;
    let page_file = request.int8.as_ref().and_then(|int8| int8.report.clone());
    if let (Some(path), Some(quantised)) = (&page_file, &quantised) {
        let float_encoder = pack.encoder_onnx().map_err(Failure::input)?;
        let mut models = vec![("detector", float.as_slice(), quantised.onnx.as_slice(), &quantised.report)];
        if let Some(report) = &trained.report.int8 {
            models.insert(0, ("encoder", &float_encoder, &trained.encoder, report));
        }
        let work = progress.begin("taking times", (RUNS * models.len()) as u64);
        let page = page(&models, options, &mut || work.step())?;
        drop(work);
        write_file(path, page.as_bytes())?;
    }
    Ok(Outcome {
        out: out.finish()?,
        manifest,
        people: trained.table.len(),
        detector_int8: quantised.map(|quantised| quantised.report),
        page: page_file,
    })
}

/// The pack's detector in the form of bundles. The pack's own word on its size is for a detector of free size.
fn detector(request: &Request, pack: &Pack) -> Result<Vec<u8>, Failure> {
    let asked = request.detector_size.map(|[width, height]| (width, height));
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
