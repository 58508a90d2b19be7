//! Frame → sighting: every face that is large enough to matter, its quality, and who it may be.

use std::path::Path;
use std::time::Duration;

use super::detector::Detector;
use super::encoder::Encoder;
use super::error::RuntimeError;
use super::load::{BundleError, LoadedBundle};
use super::session::Options;
use super::timing::{Timings, timed};
use lintel_core::aggregate::Aggregator;
use lintel_core::align::{CROP_BYTES, crop_transform, warp};
use lintel_core::decision::{Seen, Sighting};
use lintel_core::detect::{Face, Faces, is_near};
use lintel_core::embed::Embedding;
use lintel_core::frame::Frame;
use lintel_core::geometry::Rect;
use lintel_core::quality::{self, QualityFlaw, QualityLimits};
use lintel_core::table::Table;
use lintel_core::track::{MAX_SEEN, TrackId, Tracker};
use lintel_formats::bundle::{Manifest, Role};

/// The whole way of a frame up to an opinion: detect → quality gate → align → embed → aggregate → score.
///
/// Buffers are made once; a frame allocates nothing outside ONNX Runtime and its binding.
#[derive(Debug)]
pub struct FaceAnalyzer {
    detector: Detector,
    encoder: Encoder,
    table: Table,
    aggregator: Aggregator,
    limits: QualityLimits,
    crop: Vec<u8>,
    total: Duration,
    frames: u64,
    twice: u64,
    nearby: Nearby,
}

/// When a frame is looked at twice. Somebody who is near stays so for some frames; where nobody is seen, somebody may
/// be too near to be seen, which every third frame finds out.
#[derive(Debug, Default)]
struct Nearby {
    faceless: u32,
    lasts: u32,
}

impl Nearby {
    /// Frames for which somebody near is expected to stay so.
    const LASTS: u32 = 10;
    /// Of frames without a face, each so manieth is looked at twice.
    const EVERY: u32 = 3;

    fn is_due(&mut self, faces: &Faces, frame: (u32, u32)) -> bool {
        self.lasts = self.lasts.saturating_sub(1);
        self.faceless = if faces.is_empty() { (self.faceless + 1) % Self::EVERY } else { 0 };
        let near = faces.iter().any(|face| is_near(face, frame));
        near || self.lasts > 0 || (faces.is_empty() && self.faceless == 0)
    }

    fn saw(&mut self, faces: &Faces, frame: (u32, u32)) {
        if faces.iter().any(|face| is_near(face, frame)) {
            self.lasts = Self::LASTS;
        }
    }
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
        // Any embedding will do: a table that does not fit is found here, and not at the first face.
        table.score(&Embedding::new(&vec![1.0; encoder.dim()], encoder.id())?)?;
        let crop = vec![0; CROP_BYTES];
        Ok(Self {
            detector,
            encoder,
            aggregator: Aggregator::new(&table),
            table,
            limits,
            crop,
            total: Duration::ZERO,
            frames: 0,
            twice: 0,
            nearby: Nearby::default(),
        })
    }

    /// The identity table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The bundle's face detector, in its session.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The bundle's image encoder, in its session.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The quality gate.
    pub fn limits(&self) -> &QualityLimits {
        &self.limits
    }

    /// The largest faces of the frame, up to [`MAX_SEEN`], the largest first: whoever stands closest to the door.
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
        self.encoder.embed(crop)
    }

    /// Where the time went, over all frames so far.
    pub fn timings(&self) -> Timings {
        let onnx_runtime = self.detector.inside() + self.encoder.inside();
        Timings { total: self.total, onnx_runtime, frames: self.frames, twice: self.twice }
    }

    fn sight(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, RuntimeError> {
        let mut faces = self.detector.detect(frame)?;
        if self.nearby.is_due(&faces, frame.size()) {
            self.detector.detect_near(frame, &mut faces)?;
            self.nearby.saw(&faces, frame.size());
            self.twice += 1;
        }
        let mut sighting = Sighting { captured: frame.captured(), ..Sighting::default() };
        let faces = largest(&mut faces);
        let boxes: heapless::Vec<Rect, MAX_SEEN> = faces.iter().map(|face| face.bbox).collect();
        let tracks = tracker.on_faces(frame.captured(), &boxes);
        self.aggregator.keep(tracker.tracks());
        for (face, track) in faces.iter().zip(tracks) {
            // A box without a track is no place in the picture.
            let Some(track) = track else { continue };
            let seen = self.judge(frame, track, face)?;
            // `largest` gives no more than fit.
            let _ = sighting.seen.push(seen);
        }
        Ok(sighting)
    }

    fn judge(&mut self, frame: &Frame<'_>, track: TrackId, face: &Face) -> Result<Seen, RuntimeError> {
        let mut seen =
            Seen { track, face: *face, quality: quality::measure_landmarks(face), opinion: None, flaw: None };
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
        let embedding = self.aggregator.add(track, frame.captured(), &self.encoder.embed(&self.crop)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_core::geometry::Point;

    #[test]
    fn frames_are_looked_at_twice_when_somebody_is_or_may_be_near() {
        let frame = (640, 480);
        let with = |height: f32| {
            let bbox = Rect { x1: 100.0, y1: 20.0, x2: 300.0, y2: 20.0 + height };
            Faces::from_slice(&[Face { bbox, score: 0.9, landmarks: [Point::new(0.0, 0.0); 5] }]).expect("room for one")
        };
        let mut nearby = Nearby::default();
        let mut due = |faces: &Faces| nearby.is_due(faces, frame);
        assert!(!due(&with(200.0)) && due(&with(300.0)));
        let empty = Faces::new();
        let looks: Vec<bool> = (0..6).map(|_| due(&empty)).collect();
        assert_eq!(looks, [false, false, true, false, false, true]);
        nearby.saw(&with(400.0), frame);
        let looks = (0..12).filter(|_| nearby.is_due(&empty, frame)).count();
        assert_eq!(looks, 9 + 1, "while somebody was near a moment ago, every frame; then every third");
    }
}
