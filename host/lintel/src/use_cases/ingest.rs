//! A folder of photos → crops, `people.json`, contact sheets.

use std::path::PathBuf;

use lintel_core::detect::is_near;
use lintel_core::quality::QualityLimits;
use lintel_inference::{Detector, Options, RuntimeError};
use lintel_photos::contact_sheet;
use lintel_photos::ingest::{People, ingest};
use lintel_photos::photos::walk;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use lintel_work::progress::Progress;
use sha2::{Digest, Sha256};

use super::packs::{self, PackChoice};
use super::{Output, existing_folder, runtime};

/// Which photos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// One folder of photos per person.
    pub photos: PathBuf,
    /// The folder to make.
    pub output: Output,
    /// Whose detector looks for faces.
    pub pack: PackChoice,
    /// These people join a table that exists: one person is enough.
    pub joining: bool,
}

impl Request {
    /// With the program's own pack, for a table of these people alone.
    #[must_use]
    pub fn new(photos: impl Into<PathBuf>, output: Output) -> Self {
        Self { photos: photos.into(), output, pack: PackChoice::default(), joining: false }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The folder.
    pub out: PathBuf,
    /// The first contact sheet.
    pub sheet: PathBuf,
    /// Crops and rejected photos by person.
    pub people: People,
}

/// Finds, judges and aligns the face in every photo.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    existing_folder(&request.photos)?;
    refuse_nested(&request.output.folder, &request.photos)?;
    let folders = walk(&request.photos, if request.joining { 1 } else { 2 })?;
    let pack = packs::open(&request.pack)?;
    let out = OutDir::take(&request.output.folder, Kind::Ingest, request.output.force, &[])?;
    runtime::find(options)?;
    let mut detector = Detector::open(&pack.detector, options).map_err(Failure::work)?;

    let photos: usize = folders.iter().map(|folder| folder.photos.len()).sum();
    let work = progress.begin("looking for faces", photos as u64);
    let (people, thumbnails) = ingest(
        &folders,
        &QualityLimits::default(),
        hex::encode(Sha256::digest(&pack.detector)),
        |frame| {
            let mut faces = detector.detect(frame)?;
            // A picture of a face and nothing else.
            if faces.is_empty() || faces.iter().any(|face| is_near(face, frame.size())) {
                detector.detect_near(frame, &mut faces)?;
            }
            Ok::<_, RuntimeError>(faces)
        },
        || {
            work.step();
            interrupt::check()
        },
        &out,
    )?;
    drop(work);
    let pages = contact_sheet::pages(&people, &thumbnails, out.path())?;
    for (name, page) in &pages {
        out.write(name, page)?;
    }
    interrupt::check()?;
    let out = out.finish()?;
    Ok(Outcome { sheet: out.join("sheet.png"), out, people })
}
