//! A face and its crop → is it good enough to be enrolled, or to be judged at the door.
//!
//! The same gate stands at both ends: a table trained on sharp, frontal faces says nothing of others.

use core::f32::consts::{FRAC_PI_2, PI};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::align::{CROP, CROP_BYTES};
use crate::detect::Face;

/// What can be said of a face without recognising it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Distance between the eyes, in frame pixels.
    pub inter_ocular_px: f32,
    /// How far the head is turned to either side: 0 frontal, 0.5 about 45°, 1 profile.
    pub turn: f32,
    /// Angle of the line through the eyes against the horizontal, in degrees, −180..=180, clockwise positive.
    pub tilt: f32,
    /// Fine detail against the contrast of the whole face, 0 (none) upwards; see [`sharpness`].
    pub sharpness: f32,
}

/// The thresholds that a face must pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityLimits {
    /// Smallest distance between the eyes, in frame pixels.
    pub min_inter_ocular_px: f32,
    /// Largest [`Quality::turn`].
    pub max_turn: f32,
    /// Smallest [`Quality::sharpness`].
    pub min_sharpness: f32,
}

impl Default for QualityLimits {
    /// Faces of a real crowd, 30 to 60 pixels between the eyes, measure 0.3 to 1.4, and 0.16 to 0.8 when moved by 9
    /// pixels while the picture is taken; procedural faces measure 1.1 to 4.9.
    fn default() -> Self {
        Self { min_inter_ocular_px: 20.0, max_turn: 0.5, min_sharpness: 0.15 }
    }
}

/// Why a face is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Error)]
pub enum QualityFlaw {
    /// The face has too few pixels.
    #[error("face is too small: the eyes are {got:.0} pixels apart, wanted {wanted:.0}")]
    TooSmall {
        /// Distance between the eyes, in frame pixels.
        got: f32,
        /// Smallest distance that is taken.
        wanted: f32,
    },
    /// The picture is out of focus or moved.
    #[error("face is too blurred: sharpness {got:.3}, wanted {wanted:.3}")]
    TooBlurred {
        /// Sharpness of the face.
        got: f32,
        /// Smallest sharpness that is taken.
        wanted: f32,
    },
    /// The head is turned aside, or the landmarks are not those of a face.
    #[error("face is turned away: turn {got:.2}, wanted at most {wanted:.2}")]
    TurnedAway {
        /// Turn of the head.
        got: f32,
        /// Largest turn that is taken.
        wanted: f32,
    },
}

impl QualityLimits {
    /// The first threshold that the face does not pass; a measure that is NaN passes none.
    pub fn check(&self, quality: &Quality) -> Result<(), QualityFlaw> {
        self.check_landmarks(quality)?;
        let (got, wanted) = (quality.sharpness, self.min_sharpness);
        if got >= wanted { Ok(()) } else { Err(QualityFlaw::TooBlurred { got, wanted }) }
    }

    /// The thresholds that need no crop: size and turn. Cheap, so that hopeless faces are never cut out.
    pub fn check_landmarks(&self, quality: &Quality) -> Result<(), QualityFlaw> {
        let (got, wanted) = (quality.inter_ocular_px, self.min_inter_ocular_px);
        // NaN is no number that is large enough.
        let large_enough = got >= wanted;
        if !large_enough {
            return Err(QualityFlaw::TooSmall { got, wanted });
        }
        let (got, wanted) = (quality.turn, self.max_turn);
        if got <= wanted { Ok(()) } else { Err(QualityFlaw::TurnedAway { got, wanted }) }
    }
}

/// `crop`: the aligned face, RGB8, 224×224.
///
/// # Panics
/// If `crop` is not [`CROP_BYTES`] long.
pub fn measure(face: &Face, crop: &[u8]) -> Quality {
    Quality { sharpness: sharpness(crop), ..measure_landmarks(face) }
}

/// What the landmarks alone tell: everything but the sharpness, which is 0.
///
/// Turning the head by θ moves the nose tip, which stands out of the plane of eyes and mouth by about half the
/// distance between the eyes, sideways by sin θ of that, while the eyes come closer by cos θ: the ratio is a tangent.
pub fn measure_landmarks(face: &Face) -> Quality {
    let [left_eye, right_eye, nose, left_mouth, right_mouth] = face.landmarks;
    let (dx, dy) = (right_eye.x - left_eye.x, right_eye.y - left_eye.y);
    let inter_ocular_px = libm::hypotf(dx, dy);
    let middle = left_eye.midpoint(right_eye).midpoint(left_mouth.midpoint(right_mouth));
    let aside = ((nose.x - middle.x) * dx + (nose.y - middle.y) * dy) / inter_ocular_px;
    let turn = libm::atan2f(aside.abs(), inter_ocular_px / 2.0) / FRAC_PI_2;
    Quality { inter_ocular_px, turn, tilt: libm::atan2f(dy, dx) * 180.0 / PI, sharpness: 0.0 }
}

/// Side of the blocks that are averaged before looking for detail. A crop may be enlarged from a small face; at a
/// quarter of its size, a face with 18 pixels between the eyes has all the detail that a large one has, so that the
/// measure is about blur and not about distance. Averaging also takes away most of the camera's noise.
const BLOCK: usize = 4;
const SIDE: usize = CROP as usize / BLOCK;

/// The part of the crop that every face fills, in blocks: brows to chin, cheek to cheek.
const ROWS: core::ops::Range<usize> = 16..52;
const COLUMNS: core::ops::Range<usize> = 12..44;

/// Grey levels² that are added to the contrast, so that an even, dark picture is not sharp by its noise.
const FLOOR: f32 = 25.0;

/// Mean square of the Laplacian over the variance of the luma, both over the middle of the face at a quarter of the
/// crop's size. Independent of brightness and contrast.
///
/// # Panics
/// If `crop` is not [`CROP_BYTES`] long.
pub fn sharpness(crop: &[u8]) -> f32 {
    assert_eq!(crop.len(), CROP_BYTES, "a crop has one size");
    let mut luma = [[0u32; SIDE]; SIDE];
    for (y, line) in crop.chunks_exact(CROP as usize * 3).enumerate() {
        for (block, sum) in line.chunks_exact(BLOCK * 3).zip(&mut luma[y / BLOCK]) {
            // ITU-R BT.601 in 1/256; at most 16 pixels of 16 bits.
            let grey = |p: &[u8]| u32::from(p[0]) * 77 + u32::from(p[1]) * 150 + u32::from(p[2]) * 29;
            *sum += block.chunks_exact(3).map(grey).sum::<u32>();
        }
    }
    let scale = 1.0 / (256 * BLOCK * BLOCK) as f32;
    let (mut sum, mut squares, mut detail) = (0.0f32, 0.0f32, 0.0f32);
    for y in ROWS {
        for x in COLUMNS {
            let at = |x: usize, y: usize| luma[y][x] as f32 * scale;
            let here = at(x, y);
            let laplacian = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * here;
            sum += here;
            squares += here * here;
            detail += laplacian * laplacian;
        }
    }
    let count = (ROWS.len() * COLUMNS.len()) as f32;
    let variance = (squares / count - (sum / count) * (sum / count)).max(0.0);
    detail / count / (variance + FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::TEMPLATE;
    use crate::geometry::{Point, Rect};
    use alloc::{vec, vec::Vec};

    fn face(landmarks: [Point; 5]) -> Face {
        Face { bbox: Rect::new(0.0, 0.0, 224.0, 224.0), score: 0.9, landmarks }
    }

    /// A head of points in space, in units of half the distance between the eyes, turned by `yaw` and rolled by
    /// `roll` degrees.
    fn head(half_px: f32, yaw: f32, roll: f32) -> Face {
        let points = [(-1.0, -1.0, 0.0), (1.0, -1.0, 0.0), (0.0, 0.1, 0.95), (-0.8, 1.1, 0.2), (0.8, 1.1, 0.2)];
        let (yaw, roll) = (yaw.to_radians(), roll.to_radians());
        face(points.map(|(x, y, z): (f32, f32, f32)| {
            let x = x * yaw.cos() + z * yaw.sin();
            let (x, y) = (x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos());
            Point::new(300.0 + half_px * x, 200.0 + half_px * y)
        }))
    }

    #[test]
    fn turn_and_tilt_follow_the_head() {
        let check = |yaw: f32, roll: f32, turn: f32| {
            let got = measure_landmarks(&head(40.0, yaw, roll));
            assert!((got.turn - turn).abs() < 0.06, "yaw {yaw} roll {roll}: {got:?}");
            assert!((got.tilt - roll).abs() < 0.5, "yaw {yaw} roll {roll}: {got:?}");
            assert!((got.inter_ocular_px - 80.0 * yaw.to_radians().cos()).abs() < 0.5, "{got:?}");
        };
        for roll in [0.0, 25.0, -90.0, 170.0] {
            check(0.0, roll, 0.0);
            check(15.0, roll, 0.16);
            check(-30.0, roll, 0.32);
            check(45.0, roll, 0.46);
            check(-60.0, roll, 0.64);
        }
    }

    /// Stripes of `period` crop pixels and `amplitude` grey levels around 128, blurred `times` by a box of 9.
    fn stripes(period: usize, amplitude: f32, times: usize) -> Vec<u8> {
        let mut line: Vec<f32> =
            (0..224).map(|x| if x % period < period / 2 { amplitude } else { -amplitude }).collect();
        for _ in 0..times {
            line = (0..224)
                .map(|x: usize| (0..9).map(|k| line[(x + k).saturating_sub(4).min(223)]).sum::<f32>() / 9.0)
                .collect();
        }
        let bytes: Vec<u8> = line.iter().flat_map(|v| [(128.0 + v) as u8; 3]).collect();
        bytes.repeat(224)
    }

    #[test]
    fn sharpness_falls_with_blur_and_not_with_contrast() {
        let [sharp, faint] = [60.0, 30.0].map(|amplitude| sharpness(&stripes(112, amplitude, 0)));
        assert!((sharp / faint - 1.0).abs() < 0.1, "{sharp} {faint}");
        let blurred: Vec<f32> = (0..4).map(|times| sharpness(&stripes(112, 60.0, times))).collect();
        assert!(blurred.is_sorted_by(|a, b| *a > 1.2 * b), "{blurred:?}");
        assert_eq!(sharpness(&vec![77; CROP_BYTES]), 0.0);
    }

    #[test]
    fn the_first_bar_that_is_missed_is_named() {
        let good = Quality { inter_ocular_px: 60.0, turn: 0.1, tilt: 3.0, sharpness: 0.5 };
        let limits = QualityLimits { min_inter_ocular_px: 24.0, max_turn: 0.4, min_sharpness: 0.1 };
        let check = |quality: Quality, expected: Result<(), QualityFlaw>| {
            assert_eq!(limits.check(&quality), expected, "{quality:?}");
        };
        check(good, Ok(()));
        check(Quality { inter_ocular_px: 24.0, turn: 0.4, sharpness: 0.1, ..good }, Ok(()));
        let small = QualityFlaw::TooSmall { got: 23.0, wanted: 24.0 };
        check(Quality { inter_ocular_px: 23.0, turn: 1.0, ..good }, Err(small));
        check(Quality { turn: 0.41, ..good }, Err(QualityFlaw::TurnedAway { got: 0.41, wanted: 0.4 }));
        check(Quality { sharpness: 0.09, ..good }, Err(QualityFlaw::TooBlurred { got: 0.09, wanted: 0.1 }));
        for (inter_ocular_px, turn, sharpness) in [(f32::NAN, 0.0, 1.0), (60.0, f32::NAN, 1.0), (60.0, 0.0, f32::NAN)] {
            assert!(limits.check(&Quality { inter_ocular_px, turn, tilt: 0.0, sharpness }).is_err());
        }
    }

    #[test]
    fn landmarks_in_one_place_pass_no_gate() {
        let quality = measure_landmarks(&face([Point::new(5.0, 5.0); 5]));
        assert!(QualityLimits::default().check_landmarks(&quality).is_err(), "{quality:?}");
        assert!(measure_landmarks(&face(TEMPLATE)).turn < 0.1);
    }
}
