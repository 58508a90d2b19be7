//! Five landmarks (frame pixels) → upright crop (RGB8, 224×224).
//!
//! The crop shows every face with its eyes, nose and mouth in the same places, which is what both CLIP's encoder is
//! fed with at the door and what the table was trained on.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::frame::Frame;
use crate::geometry::Point;

/// Width and height of a crop in pixels: what CLIP RN50 looks at.
pub const CROP: u32 = 224;

/// Bytes of a crop, RGB8.
pub const CROP_BYTES: usize = CROP as usize * CROP as usize * 3;

/// Where eyes, nose tip and mouth corners lie in a crop: ArcFace's places for a crop of 112 (Deng et al. 2019,
/// arXiv 1801.07698), times two.
pub const TEMPLATE: [Point; 5] = [
    Point::new(2.0 * 38.2946, 2.0 * 51.6963),
    Point::new(2.0 * 73.5318, 2.0 * 51.5014),
    Point::new(2.0 * 56.0252, 2.0 * 71.7366),
    Point::new(2.0 * 41.5493, 2.0 * 92.3655),
    Point::new(2.0 * 70.7299, 2.0 * 92.2041),
];

/// Landmarks that lie closer together than this (root mean square distance from their middle, in pixels) fix no
/// direction.
const MIN_SPREAD: f32 = 1.0;

/// A crop is never more than this many times smaller than what it shows, nor larger: frames end at 8192 pixels.
const MAX_SCALE: f32 = 64.0;

/// Most samples per direction that are averaged into one crop pixel.
const MAX_TAPS: usize = 8;

/// Rotation, uniform scale and shift; no reflection. Frame → crop: `x' = a·x − b·y + tx`, `y' = b·x + a·y + ty`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimilarityTransform {
    /// Scale · cos(angle).
    pub a: f32,
    /// Scale · sin(angle).
    pub b: f32,
    /// Shift to the right, in crop pixels.
    pub tx: f32,
    /// Shift downwards, in crop pixels.
    pub ty: f32,
}

/// Why landmarks give no crop.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum AlignError {
    /// A landmark is NaN or infinite.
    #[error("landmark {index} is not a finite number")]
    NotFinite {
        /// Which of the five, from 0.
        index: usize,
    },
    /// The landmarks fall together, or lie so that no rotation fits them better than another.
    #[error("landmarks fix no direction: they spread over {spread} pixels and fit at scale {scale}")]
    Singular {
        /// Root mean square distance from their middle, in frame pixels.
        spread: f32,
        /// Crop pixels per frame pixel of the best fit.
        scale: f32,
    },
}

impl SimilarityTransform {
    /// Crop pixels per frame pixel.
    pub fn scale(&self) -> f32 {
        libm::hypotf(self.a, self.b)
    }

    /// Frame → crop.
    pub fn apply(&self, p: Point) -> Point {
        Point::new(self.a * p.x - self.b * p.y + self.tx, self.b * p.x + self.a * p.y + self.ty)
    }

    /// Crop → frame; `None` where the transform shrinks everything to a point or is not finite.
    pub fn inverse(&self) -> Option<Self> {
        let squared = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / squared, -self.b / squared);
        let (tx, ty) = (-(a * self.tx - b * self.ty), -(b * self.tx + a * self.ty));
        [a, b, tx, ty].iter().all(|v| v.is_finite()).then_some(Self { a, b, tx, ty })
    }
}

/// The similarity transform that brings the landmarks closest to [`TEMPLATE`] (least squares; Umeyama 1991).
///
/// In the plane there is a closed form: with points as complex numbers around their means, rotation and scale are
/// Σ conj(landmark)·template / Σ |landmark|².
pub fn crop_transform(landmarks: &[Point; 5]) -> Result<SimilarityTransform, AlignError> {
    if let Some(index) = landmarks.iter().position(|p| !p.is_finite()) {
        return Err(AlignError::NotFinite { index });
    }
    let mean = |points: &[Point; 5]| {
        let sum = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + f64::from(p.x), sum.1 + f64::from(p.y)));
        (sum.0 / 5.0, sum.1 / 5.0)
    };
    let (from, to) = (mean(landmarks), mean(&TEMPLATE));
    let (mut re, mut im, mut squares) = (0.0, 0.0, 0.0);
    for (p, q) in landmarks.iter().zip(&TEMPLATE) {
        let (px, py) = (f64::from(p.x) - from.0, f64::from(p.y) - from.1);
        let (qx, qy) = (f64::from(q.x) - to.0, f64::from(q.y) - to.1);
        re += px * qx + py * qy;
        im += px * qy - py * qx;
        squares += px * px + py * py;
    }
    let (a, b) = (re / squares, im / squares);
    let spread = libm::sqrt(squares / 5.0) as f32;
    let scale = libm::hypot(a, b) as f32;
    // Written so that a scale of NaN, which coinciding landmarks give, is refused as well.
    let fits = spread >= MIN_SPREAD && (1.0 / MAX_SCALE..=MAX_SCALE).contains(&scale);
    if !fits {
        return Err(AlignError::Singular { spread, scale });
    }
    let tx = to.0 - (a * from.0 - b * from.1);
    let ty = to.1 - (b * from.0 + a * from.1);
    Ok(SimilarityTransform { a: a as f32, b: b as f32, tx: tx as f32, ty: ty as f32 })
}

/// Cuts `crop` (RGB8, [`CROP`]²) out of the frame. Bilinear, which looks at two frame pixels in each direction; where a
/// crop pixel covers more than one and a half, it averages k×k samples over them. What lies outside the frame is black.
///
/// All sampling is in fixed point: the same frame and transform give the same bytes on every machine.
///
/// # Panics
/// If `crop` is not [`CROP_BYTES`] long.
pub fn warp(frame: &Frame<'_>, transform: &SimilarityTransform, crop: &mut [u8]) {
    assert_eq!(crop.len(), CROP_BYTES, "a crop has one size");
    let Some(inverse) = transform.inverse() else {
        crop.fill(0);
        return;
    };
    let taps = (libm::roundf(inverse.scale()) as usize).clamp(1, MAX_TAPS);
    if taps == 1 {
        sample::single(frame, &inverse, crop);
    } else {
        sample::averaged(frame, &inverse, taps, crop);
    }
}

mod sample;

#[cfg(test)]
mod tests;
