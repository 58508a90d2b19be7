//! Frame → sighting: every face that is large enough to matter, its quality, and who it may be.

pub mod alignment;
pub mod gate;
pub mod identification;
mod second_look;
pub mod stage;

use std::path::Path;
use std::time::Duration;

use super::detector::Detector;
use super::encoder::Encoder;
use super::error::RuntimeError;
use super::load::{BundleError, LoadedBundle};
use super::session::Options;
use super::timing::{Timings, timed};
use alignment::Alignment;
use gate::{LandmarkGate, SharpnessGate};
use identification::Identification;
use lintel_core::align::CROP_BYTES;
use lintel_core::decision::{Seen, Sighting};
use lintel_core::detect::{Face, Faces};
use lintel_core::embed::Embedding;
use lintel_core::frame::Frame;
use lintel_core::geometry::Rect;
use lintel_core::quality::{self, QualityLimits};
use lintel_core::table::Table;
use lintel_core::track::{MAX_SEEN, Tracker};
use lintel_formats::bundle::{Manifest, Role};
use second_look::SecondLook;
use stage::{Stage, Subject, pass};

/// The whole way of a frame up to an opinion: the detector finds faces, the tracker tells which go on, and each face
/// passes the stages in their order.
///
/// Buffers are made once; a frame allocates nothing outside ONNX Runtime and its binding.
#[derive(Debug)]
pub struct FaceAnalyzer {
    detector: Detector,
    second_look: SecondLook,
    landmark_gate: LandmarkGate,
    alignment: Alignment,
    sharpness_gate: SharpnessGate,
    identification: Identification,
    crop: Vec<u8>,
    total: Duration,
    frames: u64,
    twice: u64,
}

impl FaceAnalyzer {
    /// Opens the bundle in `folder`; see [`LoadedBundle::load`] and [`Self::new`].
    pub fn open(folder: &Path, options: &Options, limits: QualityLimits) -> Result<Self, BundleError> {
        Self::new(LoadedBundle::load(folder)?, options, limits)
    }

    /// Opens the bundle's models, and checks that they have the promised shapes.
    pub fn new(bundle: LoadedBundle, options: &Options, limits: QualityLimits) -> Result<Self, BundleError> {
        let LoadedBundle { manifest, files, table } = bundle;
        let detector = Detector::open(&files[Role::Detector], options)?;
        let encoder = Encoder::open(&files[Role::Encoder], options)?;
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
        Ok(Self {
            detector,
            second_look: SecondLook::default(),
            landmark_gate: LandmarkGate(limits),
            alignment: Alignment(limits),
            sharpness_gate: SharpnessGate(limits),
            identification: Identification::new(encoder, table)?,
            crop: vec![0; CROP_BYTES],
            total: Duration::ZERO,
            frames: 0,
            twice: 0,
        })
    }

    /// The identity table.
    pub fn table(&self) -> &Table {
        &self.identification.table
    }

    /// The bundle's face detector, in its session.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The bundle's image encoder, in its session.
    pub fn encoder(&self) -> &Encoder {
        &self.identification.encoder
    }

    /// The quality gate.
    pub fn limits(&self) -> &QualityLimits {
        &self.sharpness_gate.0
    }

    /// The largest faces of the frame, up to [`MAX_SEEN`], the largest first: the largest face is closest to the door.
    /// `tracker` says which faces go on from the frames before; it outlives an analyzer that is replaced.
    pub fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, RuntimeError> {
        let mut total = self.total;
        let sighting = timed(&mut total, || self.sight(frame, tracker));
        self.total = total;
        self.frames += 1;
        sighting
    }

    /// A crop of RGB8, [`CROP_BYTES`], → its embedding.
    pub fn embed(&mut self, crop: &[u8]) -> Result<Embedding, RuntimeError> {
        self.identification.encoder.embed(crop)
    }

    /// Where the time went, over all frames so far.
    pub fn timings(&self) -> Timings {
        let onnx_runtime = self.detector.inside() + self.identification.encoder.inside();
        Timings { total: self.total, onnx_runtime, frames: self.frames, twice: self.twice }
    }

    fn sight(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, RuntimeError> {
        let mut faces = self.detector.detect(frame)?;
        if self.second_look.is_due(&faces, frame.size()) {
            self.detector.detect_near(frame, &mut faces)?;
            self.second_look.found(&faces, frame.size());
            self.twice += 1;
        }
        let mut sighting = Sighting { captured: frame.captured(), ..Sighting::default() };
        let faces = largest(&mut faces);
        let boxes: heapless::Vec<Rect, MAX_SEEN> = faces.iter().map(|face| face.bbox).collect();
        let tracks = tracker.on_faces(frame.captured(), &boxes);

        // The way of a face. A new stage is an entry here.
        let stages: &mut [&mut dyn Stage] =
            &mut [&mut self.landmark_gate, &mut self.alignment, &mut self.sharpness_gate, &mut self.identification];
        stages.iter_mut().for_each(|stage| stage.on_frame(tracker));
        for (face, track) in faces.iter().zip(tracks) {
            // A box without a track is no place in the picture.
            let Some(track) = track else { continue };
            let quality = quality::measure_landmarks(face);
            let seen = Seen { track, face: *face, quality, opinion: None, flaw: None };
            let seen = pass(stages, frame, Subject { seen, crop: &mut self.crop })?;
            // `largest` gives no more than fit.
            let _ = sighting.seen.push(seen);
        }
        Ok(sighting)
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
