//! Frame → sighting: every face that is large enough to matter, its quality, and who it may be.

use std::path::Path;
use std::time::Duration;

use super::detector::Detector;
use super::encoder::Encoder;
use super::error::RuntimeError;
use super::load::{BundleError, LoadedBundle};
use super::session::Options;
use super::timing::{Timings, timed};
use crate::align::{CROP_BYTES, crop_transform, warp};
use crate::bundle::Manifest;
use crate::detect::{Face, Faces};
use crate::embed::Embedding;
use crate::frame::Frame;
use crate::quality::{self, QualityFlaw, QualityLimits};
use crate::table::Table;
use crate::verdict::{MAX_SEEN, Seen, Sighting};

/// The whole way of a frame up to an opinion: detect → quality gate → align → embed → score.
///
/// Buffers are made once; a frame allocates nothing outside ONNX Runtime and its binding.
#[derive(Debug)]
pub struct Vision {
    detector: Detector,
    encoder: Encoder,
    table: Table,
    limits: QualityLimits,
    crop: Vec<u8>,
    total: Duration,
    frames: u64,
}

impl Vision {
    /// Opens the bundle in `folder`; see [`LoadedBundle::load`] and [`Self::new`].
    pub fn open(folder: &Path, options: &Options, limits: QualityLimits) -> Result<Self, BundleError> {
        Self::new(LoadedBundle::load(folder)?, options, limits)
    }

    /// Opens the bundle's models, and checks that they have the promised shapes.
    pub fn new(bundle: LoadedBundle, options: &Options, limits: QualityLimits) -> Result<Self, BundleError> {
        let LoadedBundle { manifest, detector, encoder, table } = bundle;
        let detector = Detector::open(&detector, options)?;
        let encoder = Encoder::open(&encoder, options)?;
        check_shapes(&manifest, &detector, &encoder)?;
        Ok(Self::from_parts(detector, encoder, table, limits)?)
    }

    /// From models that are open already. The table must be for this encoder.
    pub fn from_parts(
        detector: Detector,
        encoder: Encoder,
        table: Table,
        limits: QualityLimits,
    ) -> Result<Self, RuntimeError> {
        // Any embedding will do: a table that does not fit is found here, and not at the first face.
        table.score(&Embedding::new(&vec![1.0; encoder.dim()], encoder.id())?)?;
        let crop = vec![0; CROP_BYTES];
        Ok(Self { detector, encoder, table, limits, crop, total: Duration::ZERO, frames: 0 })
    }

    /// The class table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The detector.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The quality gate.
    pub fn limits(&self) -> &QualityLimits {
        &self.limits
    }

    /// The largest faces of the frame, up to [`MAX_SEEN`], the largest first: whoever stands closest to the door.
    pub fn look(&mut self, frame: &Frame<'_>) -> Result<Sighting, RuntimeError> {
        let mut total = self.total;
        let sighting = timed(&mut total, || self.sight(frame));
        self.total = total;
        self.frames += 1;
        sighting
    }

    /// A crop of RGB8, [`CROP_BYTES`], → its embedding.
    pub fn embed(&mut self, crop: &[u8]) -> Result<Embedding, RuntimeError> {
        self.encoder.embed(crop)
    }

    /// Where the time went, over all frames so far.
    pub fn timings(&self) -> Timings {
        let onnx_runtime = self.detector.inside() + self.encoder.inside();
        Timings { total: self.total, onnx_runtime, frames: self.frames }
    }

    fn sight(&mut self, frame: &Frame<'_>) -> Result<Sighting, RuntimeError> {
        let mut faces = self.detector.detect(frame)?;
        let mut sighting = Sighting { captured: frame.captured(), ..Sighting::default() };
        for face in largest(&mut faces) {
            let seen = self.judge(frame, face)?;
            // `largest` gives no more than fit.
            let _ = sighting.seen.push(seen);
        }
        Ok(sighting)
    }

    fn judge(&mut self, frame: &Frame<'_>, face: &Face) -> Result<Seen, RuntimeError> {
        let mut seen = Seen { face: *face, quality: quality::measure_landmarks(face), opinion: None, flaw: None };
        if let Err(flaw) = self.limits.check_landmarks(&seen.quality) {
            return Ok(Seen { flaw: Some(flaw), ..seen });
        }
        let Ok(transform) = crop_transform(&face.landmarks) else {
            // No crop can be cut out: these are not the landmarks of a face that looks this way.
            let flaw = QualityFlaw::TurnedAway { got: 1.0, wanted: self.limits.max_turn };
            return Ok(Seen { flaw: Some(flaw), ..seen });
        };
        warp(frame, &transform, &mut self.crop);
        seen.quality.sharpness = quality::sharpness(&self.crop);
        if let Err(flaw) = self.limits.check(&seen.quality) {
            return Ok(Seen { flaw: Some(flaw), ..seen });
        }
        let embedding = self.encoder.embed(&self.crop)?;
        seen.opinion = Some(self.table.opinion(&self.table.score(&embedding)?));
        Ok(seen)
    }
}

/// Up to [`MAX_SEEN`] faces, the largest first; of equal ones, the better first.
fn largest(faces: &mut Faces) -> &[Face] {
    faces.sort_unstable_by(|a, b| {
        let by_area = b.bbox.area().total_cmp(&a.bbox.area());
        by_area.then(b.score.total_cmp(&a.score))
    });
    &faces[..faces.len().min(MAX_SEEN)]
}

fn check_shapes(manifest: &Manifest, detector: &Detector, encoder: &Encoder) -> Result<(), BundleError> {
    let (width, height) = detector.input();
    let shapes = [
        ("detector input", [width, height], manifest.detector_input),
        ("encoder's output", [1, encoder.dim() as u32], [1, manifest.dim]),
    ];
    for (what, got, wanted) in shapes {
        if got != wanted {
            return Err(BundleError::Differs { what, got: format!("{got:?}"), wanted: format!("{wanted:?}") });
        }
    }
    Ok(())
}
