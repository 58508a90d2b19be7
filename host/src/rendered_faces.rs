//! People who do not exist, photographed or at the door → what the door's models make of them.

use lintel_faces::{Approach, Picture, photo};
use lintel_shared::aggregate;
use lintel_shared::align::{CROP_BYTES, crop_transform, warp};
use lintel_shared::detect::Face;
use lintel_shared::embed::Embedding;
use lintel_shared::frame::Frame;
use lintel_shared::quality::{QualityLimits, measure};
use lintel_shared::runtime::{Detector, Encoder, RuntimeError};
use lintel_shared::time::Uptime;
use rayon::prelude::*;

/// Size of a rendered photo, px: a face in it is as large as at the door.
const PHOTO: [u32; 2] = [320, 320];
/// Size of a rendered frame, px: as near as the door's camera sees people, with less of the room around them.
const FRAME: [u32; 2] = [480, 480];
/// Frames a second.
const FPS: f32 = 10.0;
/// How long a visit lasts, seconds.
const SECONDS: f32 = 5.0;
/// The frames of a visit that are looked at: whoever walks up stands there by then, and they lie as far apart as the looks
/// that a door puts together.
const LOOKED_AT: [usize; 3] = [20, 24, 28];
/// People who are met at a time, at most: their pictures are in memory together.
pub const CHUNK: usize = 32;

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

/// The models that look, as at the door.
pub struct Eyes<'a> {
    /// Finds the faces.
    pub detector: &'a mut Detector,
    /// Embeds them.
    pub encoder: &'a mut Encoder,
    /// The gate.
    pub limits: &'a QualityLimits,
}

impl Eyes<'_> {
    /// The first `count` photos of somebody → those whose face passes the gate, in order, by number.
    ///
    /// # Errors
    /// What the models say.
    pub fn photos(&mut self, person: u64, count: u64) -> Result<Vec<(u64, Embedding)>, RuntimeError> {
        let pictures: Vec<_> = (0..count).into_par_iter().map(|number| photo(person, number, PHOTO)).collect();
        let mut found = Vec::with_capacity(pictures.len());
        for (picture, number) in pictures.iter().zip(0..) {
            found.extend(self.look(picture)?.map(|(embedding, _)| (number, embedding)));
        }
        Ok(found)
    }

    /// At most [`CHUNK`] people come to the door, each alone → those of whom some look passes the gate, in order.
    ///
    /// # Errors
    /// What the models say.
    pub fn visits(&mut self, people: &[u64]) -> Result<Vec<Visitor>, RuntimeError> {
        debug_assert!(people.len() <= CHUNK);
        let frames = |&person: &u64| {
            let visit = Approach::new(&[person], person, FRAME, FPS, SECONDS);
            LOOKED_AT.map(|frame| visit.frame(frame))
        };
        let pictures: Vec<_> = people.par_iter().map(frames).collect();
        let mut visitors = Vec::with_capacity(people.len());
        for (&person, frames) in people.iter().zip(&pictures) {
            let mut looks = Vec::with_capacity(frames.len());
            for frame in frames {
                looks.extend(self.look(frame)?);
            }
            let together = aggregate::mean(looks.iter().map(|(embedding, _)| embedding));
            let first = looks.into_iter().next().map(|(_, crop)| crop);
            visitors.extend(together.zip(first).map(|(embedding, crop)| Visitor { person, embedding, crop }));
        }
        Ok(visitors)
    }

    /// The largest face and its crop, if it passes the gate.
    fn look(&mut self, picture: &Picture) -> Result<Option<(Embedding, Vec<u8>)>, RuntimeError> {
        // The renderer fills the size that it was asked for; a frame that does not is passed over as faceless.
        let Ok(frame) = Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO) else { return Ok(None) };
        let faces = self.detector.detect(&frame)?;
        let Some(crop) = usable(&frame, &faces, self.limits) else { return Ok(None) };
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
