//! Rendered people, photographed or at the door → their embeddings by the door's models.

use std::sync::atomic::{AtomicUsize, Ordering};

use lintel_core::aggregate;
use lintel_core::align::{CROP_BYTES, crop_transform, warp};
use lintel_core::detect::Face;
use lintel_core::embed::{Embedding, EncoderId};
use lintel_core::frame::Frame;
use lintel_core::quality::{QualityLimits, measure};
use lintel_core::time::Uptime;
use lintel_faces::{Approach, Picture, photo};
use lintel_inference::{Detector, Encoder, Options, RuntimeError};
use rayon::prelude::*;

/// Size of a rendered photo, px: a face in it is as large as at the door.
const PHOTO: [u32; 2] = [320, 320];
/// Size of a rendered frame, px: as near as the door's camera sees people, with less of the room around them.
const FRAME: [u32; 2] = [400, 400];
/// Frames a second.
const FPS: f32 = 10.0;
/// How long a visit lasts, seconds.
const SECONDS: f32 = 5.0;
/// The frames of a visit that are analysed: the person has arrived by then, and the frames lie as far apart as the
/// looks that a door puts together.
const LOOKED_AT: [usize; 3] = [20, 24, 28];
/// People who are best met at a time: enough to keep every processor busy.
pub const CHUNK: usize = 64;

/// Somebody who came to the door.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The renderer's number of the person.
    pub person: u64,
    /// What the door makes of the looks together.
    pub embedding: Embedding,
    /// The aligned face of the first look, RGB8, 224×224.
    pub crop: Vec<u8>,
}

/// Somebody's photos and visit, as far as they pass the gate.
#[derive(Clone, Debug)]
pub struct Acquaintance {
    /// Photos that passed the quality gate: the renderer's photo number and the embedding.
    pub photos: Vec<(u64, Embedding)>,
    /// The visit.
    pub visitor: Option<Visitor>,
}

/// Detector and encoder as at the door, a pair for each processor, since rendering takes longer than they do.
pub struct ModelPairs {
    pairs: Vec<Pair>,
    encoder: EncoderId,
    dim: usize,
}

struct Pair {
    detector: Detector,
    encoder: Encoder,
    limits: QualityLimits,
}

impl ModelPairs {
    /// Opens the models, as often as there are threads to work with.
    ///
    /// # Errors
    /// What the models say.
    pub fn open(detector: &[u8], encoder: &[u8], runtime: &Options) -> Result<Self, RuntimeError> {
        let alone = Options { threads: 1, ..runtime.clone() };
        let pair = |_| {
            let (detector, encoder) = (Detector::open(detector, &alone)?, Encoder::open(encoder, &alone)?);
            Ok(Pair { detector, encoder, limits: QualityLimits::default() })
        };
        let pairs: Vec<Pair> =
            (0..rayon::current_num_threads().max(1)).map(pair).collect::<Result<_, RuntimeError>>()?;
        let (encoder, dim) = (pairs[0].encoder.id(), pairs[0].encoder.dim());
        Ok(Self { pairs, encoder, dim })
    }

    /// SHA-256 of the image encoder that makes the embeddings.
    #[must_use]
    pub fn encoder(&self) -> EncoderId {
        self.encoder
    }

    /// Components of its embeddings.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// People come to the door, each alone → those of whom some look passes the gate, in order.
    ///
    /// # Errors
    /// What the models say.
    pub fn visits(&mut self, people: &[u64]) -> Result<Vec<Visitor>, RuntimeError> {
        Ok(self.each(people, Pair::visit)?.into_iter().flatten().collect())
    }

    /// The first `photos` photos of each, and a visit.
    ///
    /// # Errors
    /// What the models say.
    pub fn acquaintances(&mut self, people: &[u64], photos: u64) -> Result<Vec<Acquaintance>, RuntimeError> {
        self.each(people, |pair, person| {
            Ok(Acquaintance { photos: pair.photos(person, photos)?, visitor: pair.visit(person)? })
        })
    }

    /// Every pair takes the next person until there is none; the results are in the people's order.
    fn each<R: Send>(
        &mut self,
        people: &[u64],
        look: impl Fn(&mut Pair, u64) -> Result<R, RuntimeError> + Sync,
    ) -> Result<Vec<R>, RuntimeError> {
        let next = AtomicUsize::new(0);
        let work = |pair: &mut Pair| {
            let mut done = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(&person) = people.get(place) else { return Ok(done) };
                done.push((place, look(pair, person)?));
            }
        };
        let parts: Vec<Vec<(usize, R)>> = self.pairs.par_iter_mut().map(work).collect::<Result<_, RuntimeError>>()?;
        let mut all: Vec<(usize, R)> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(place, _)| *place);
        Ok(all.into_iter().map(|(_, result)| result).collect())
    }
}

impl Pair {
    fn photos(&mut self, person: u64, count: u64) -> Result<Vec<(u64, Embedding)>, RuntimeError> {
        let mut found = Vec::new();
        for number in 0..count {
            found.extend(self.look(&photo(person, number, PHOTO))?.map(|(embedding, _)| (number, embedding)));
        }
        Ok(found)
    }

    fn visit(&mut self, person: u64) -> Result<Option<Visitor>, RuntimeError> {
        let visit = Approach::new(&[person], person, FRAME, FPS, SECONDS);
        let mut looks = Vec::with_capacity(LOOKED_AT.len());
        for frame in LOOKED_AT {
            looks.extend(self.look(&visit.frame(frame))?);
        }
        let together = aggregate::mean(looks.iter().map(|(embedding, _)| embedding));
        let first = looks.into_iter().next().map(|(_, crop)| crop);
        Ok(together.zip(first).map(|(embedding, crop)| Visitor { person, embedding, crop }))
    }

    /// The largest face and its crop, if it passes the gate.
    fn look(&mut self, picture: &Picture) -> Result<Option<(Embedding, Vec<u8>)>, RuntimeError> {
        // The renderer fills the size that it was asked for; a frame that does not is passed over as faceless.
        let Ok(frame) = Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO) else { return Ok(None) };
        let faces = self.detector.detect(&frame)?;
        let Some(crop) = usable(&frame, &faces, &self.limits) else { return Ok(None) };
        Ok(Some((self.encoder.embed(&crop)?, crop)))
    }
}

/// The crop of the largest face, if it passes the gate.
fn usable(frame: &Frame<'_>, faces: &[Face], limits: &QualityLimits) -> Option<Vec<u8>> {
    let face = faces.iter().max_by(|a, b| a.bbox.area().total_cmp(&b.bbox.area()))?;
    let transform = crop_transform(&face.landmarks).ok()?;
    let mut crop = vec![0; CROP_BYTES];
    warp(frame, &transform, &mut crop);
    limits.check(&measure(face, &crop)).ok()?;
    Some(crop)
}
