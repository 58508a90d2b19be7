//! Photos of people who do not exist → what the door's models make of them.

use lintel_faces::photo;
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
/// Photos that are rendered at a time, at most: they are in memory together.
pub const CHUNK: usize = 64;

/// A photo of somebody: the renderer's number of the person, and which photo.
pub type Shot = (u64, u64);

/// A face that passed the gate.
#[derive(Clone, Debug)]
pub struct RenderedFace {
    /// Of which photo.
    pub shot: Shot,
    /// What the encoder made of it.
    pub embedding: Embedding,
    /// The aligned face, RGB8, 224×224.
    pub crop: Vec<u8>,
}

/// The models that look at the photos, as at the door.
pub struct Eyes<'a> {
    /// Finds the faces.
    pub detector: &'a mut Detector,
    /// Embeds them.
    pub encoder: &'a mut Encoder,
    /// The gate.
    pub limits: &'a QualityLimits,
}

impl Eyes<'_> {
    /// The faces of at most [`CHUNK`] photos that pass the gate, in the photos' order.
    ///
    /// # Errors
    /// What the models say.
    pub fn look(&mut self, shots: &[Shot]) -> Result<Vec<RenderedFace>, RuntimeError> {
        debug_assert!(shots.len() <= CHUNK);
        let pictures: Vec<_> = shots.par_iter().map(|&(person, number)| photo(person, number, PHOTO)).collect();
        let mut found = Vec::with_capacity(shots.len());
        for (picture, &shot) in pictures.iter().zip(shots) {
            // The renderer fills the size that it was asked for; a frame that does not is passed over as faceless.
            let Ok(frame) = Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO) else { continue };
            let faces = self.detector.detect(&frame)?;
            if let Some(crop) = usable(&frame, &faces, self.limits) {
                found.push(RenderedFace { shot, embedding: self.encoder.embed(&crop)?, crop });
            }
        }
        Ok(found)
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
