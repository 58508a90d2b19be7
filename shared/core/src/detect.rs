//! SCRFD: frame → letterboxed network input; network outputs → faces with five landmarks, in frame pixels.
//!
//! SCRFD (Guo et al. 2021, arXiv 2105.04714) looks at the input on three grids of 8, 16 and 32 pixels; each cell
//! carries two anchors, and each anchor says how likely a face is there and how far its edges and landmarks lie.

mod letterbox;

use core::cmp::{Ordering, Reverse};

use heapless::binary_heap::{BinaryHeap, Min};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::{Point, Rect};

pub use letterbox::Letterbox;

/// Most faces that one frame can yield; the best ones are kept.
pub const MAX_FACES: usize = 256;

/// Distances between grid cells of the three levels, in input pixels.
pub const STRIDES: [u32; 3] = [8, 16, 32];

/// Anchors in each grid cell.
pub const ANCHORS: usize = 2;

/// Most anchors that go into the suppression of doubles; the best ones are kept.
const MAX_CANDIDATES: usize = 2048;

/// A coordinate beyond this cannot come from a working network.
const MAX_COORDINATE: f32 = 1e6;

/// The faces of one frame, the best first.
pub type Faces = heapless::Vec<Face, MAX_FACES>;

/// A face, in frame pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// What encloses the face; may reach beyond the frame.
    pub bbox: Rect,
    /// How sure the detector is, 0..=1.
    pub score: f32,
    /// Eye, eye, nose tip, mouth corner, mouth corner; of each pair the one further left in the picture first.
    pub landmarks: [Point; 5],
}

impl Face {
    /// Best first; ties are broken by the geometry, so that the order never depends on where a face came from.
    fn best_first(&self, other: &Self) -> Ordering {
        let key = |face: &Self| {
            let Rect { x1, y1, x2, y2 } = face.bbox;
            let [a, b, c, d, e] = face.landmarks;
            [x1, y1, x2, y2, a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y, e.x, e.y]
        };
        let by_geometry = || {
            let pairs = key(self).into_iter().zip(key(other));
            pairs.fold(Ordering::Equal, |order, (a, b)| order.then(a.total_cmp(&b)))
        };
        other.score.total_cmp(&self.score).then_with(by_geometry)
    }
}

/// The outputs of one level, `n = (height / stride) · (width / stride) · ANCHORS` rows, row-major over the cells.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    /// Distance between cells in input pixels.
    pub stride: u32,
    /// `[n, 1]`, 0..=1.
    pub scores: &'a [f32],
    /// `[n, 4]`: distances from the cell to left, top, right and bottom, in strides.
    pub boxes: &'a [f32],
    /// `[n, 10]`: offsets from the cell to five landmarks, x and y in turn, in strides.
    pub landmarks: &'a [f32],
}

/// What counts as a face.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Faces with a lower score are dropped, 0..=1.
    pub min_score: f32,
    /// Of two faces that overlap more than this, the better one stays; intersection over union, 0..=1.
    pub max_iou: f32,
}

impl Default for Limits {
    /// What SCRFD's authors use.
    fn default() -> Self {
        Self { min_score: 0.5, max_iou: 0.4 }
    }
}

/// Why network outputs are not faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DetectError {
    /// The input's sides must be multiples of the coarsest stride.
    #[error("detector input is {width}x{height}, wanted multiples of 32 from 32 to 8192")]
    Input {
        /// Width of the input in pixels.
        width: u32,
        /// Height of the input in pixels.
        height: u32,
    },
    /// The levels are not the three that SCRFD has, finest first.
    #[error("detector level has stride {got}, wanted {wanted}")]
    Stride {
        /// Stride that was given.
        got: u32,
        /// Stride that belongs there.
        wanted: u32,
    },
    /// An output has another length than its level's grid asks for.
    #[error("stride {stride} has {got} {output}, wanted {wanted}")]
    Length {
        /// Stride of the output's level, in pixels.
        stride: u32,
        /// Name of the output: scores, boxes or landmarks.
        output: &'static str,
        /// Numbers that were given.
        got: usize,
        /// Numbers that the grid asks for.
        wanted: usize,
    },
    /// A number that matters is NaN, infinite, or beyond any picture.
    #[error("stride {stride} row {row}: {output} are not finite numbers")]
    NotFinite {
        /// Stride of the output's level, in pixels.
        stride: u32,
        /// Index of the anchor's row in the output.
        row: usize,
        /// Name of the output: scores, boxes or landmarks.
        output: &'static str,
    },
}

/// Rows that the grid of `stride` has for an input of `width` × `height` pixels.
pub fn rows(input: (u32, u32), stride: u32) -> usize {
    (input.0 / stride) as usize * (input.1 / stride) as usize * ANCHORS
}

/// An input size that all strides divide, 32 to 8192 pixels per side.
pub fn check_input(input: (u32, u32)) -> Result<(), DetectError> {
    let fits = |side: u32| side.is_multiple_of(STRIDES[2]) && (STRIDES[2]..=crate::frame::MAX_SIDE).contains(&side);
    let (width, height) = input;
    if fits(width) && fits(height) { Ok(()) } else { Err(DetectError::Input { width, height }) }
}

/// Network outputs → faces in frame pixels, the best first.
///
/// `levels`: strides 8, 16, 32 in this order; `input`: the network input's width and height. A score that is not a
/// number is an error, and so is the geometry of a face that would have counted; a box that is inside out is no face.
pub fn decode(
    levels: &[Level<'_>; 3],
    input: (u32, u32),
    letterbox: &Letterbox,
    limits: &Limits,
) -> Result<Faces, DetectError> {
    check_input(input)?;
    let mut best = BinaryHeap::<Candidate, Min, MAX_CANDIDATES>::new();
    for (index, (level, wanted)) in levels.iter().zip(STRIDES).enumerate() {
        check_level(level, wanted, input)?;
        for (row, &score) in level.scores.iter().enumerate() {
            if score < limits.min_score {
                continue;
            }
            if !score.is_finite() {
                return Err(DetectError::NotFinite { stride: level.stride, row, output: "scores" });
            }
            let candidate = Candidate { score, place: Reverse((index, row)) };
            match best.push(candidate) {
                Ok(()) => {}
                Err(candidate) if best.peek().is_some_and(|worst| candidate > *worst) => {
                    best.pop();
                    // There is room: one has just left.
                    let _ = best.push(candidate);
                }
                Err(_) => {}
            }
        }
    }
    let mut best = best.into_vec();
    best.sort_unstable_by(|a, b| b.cmp(a));

    let mut faces = Faces::new();
    for Candidate { score, place: Reverse((level, row)) } in best {
        let Some(face) = levels[level].face(row, score, input, letterbox)? else { continue };
        if keep(&mut faces, face, limits.max_iou).is_err() {
            break;
        }
    }
    Ok(faces)
}

/// A face of at least this share of the frame's height is near: half the scale sees it better. See the measurements.
pub const NEAR: f32 = 0.6;
/// What half the scale says of smaller faces than this is not asked for.
const NEARLY_NEAR: f32 = 0.5;

/// The face's height as a share of the frame's.
fn nearness(face: &Face, (_, height): (u32, u32)) -> f32 {
    (face.bbox.y2 - face.bbox.y1) / height.max(1) as f32
}

/// Whether a face fills so much of the frame that it is to be looked at from further away.
pub fn is_near(face: &Face, frame: (u32, u32)) -> bool {
    nearness(face, frame) >= NEAR
}

/// Puts the near ones of `seen`, which half the scale gave, into `faces`, in the place of any that they overlap.
pub fn take_near(faces: &mut Faces, seen: &Faces, frame: (u32, u32), max_iou: f32) {
    for near in seen.iter().filter(|face| nearness(face, frame) >= NEARLY_NEAR) {
        // A part of a near face may have been taken for a smaller one.
        let covers = |face: &Face| {
            let (x, y) = ((face.bbox.x1 + face.bbox.x2) / 2.0, (face.bbox.y1 + face.bbox.y2) / 2.0);
            let inside = (near.bbox.x1..=near.bbox.x2).contains(&x) && (near.bbox.y1..=near.bbox.y2).contains(&y);
            inside || near.bbox.iou(&face.bbox) > max_iou
        };
        faces.retain(|face| !covers(face));
        // Room was made, or there are more faces than a door can have before it.
        let _ = faces.push(*near);
    }
    faces.sort_unstable_by(Face::best_first);
}

/// Of faces that overlap by more than `max_iou`, only the best stays. The outcome is the same for every order of
/// `faces`, which is left sorted, the best first.
pub fn suppress(faces: &mut [Face], max_iou: f32) -> Faces {
    faces.sort_unstable_by(Face::best_first);
    let mut kept = Faces::new();
    for &face in faces.iter() {
        if keep(&mut kept, face, max_iou).is_err() {
            break;
        }
    }
    kept
}

/// Adds `face` unless a better one covers it; `Err` when there is no more room.
fn keep(kept: &mut Faces, face: Face, max_iou: f32) -> Result<(), Face> {
    if kept.iter().any(|better| better.bbox.iou(&face.bbox) > max_iou) { Ok(()) } else { kept.push(face) }
}

/// An anchor that is sure enough; the greatest is the best, and earlier anchors win ties.
#[derive(Clone, Copy, PartialEq)]
struct Candidate {
    score: f32,
    place: Reverse<(usize, usize)>,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(self.place.cmp(&other.place))
    }
}

fn check_level(level: &Level<'_>, stride: u32, input: (u32, u32)) -> Result<(), DetectError> {
    if level.stride != stride {
        return Err(DetectError::Stride { got: level.stride, wanted: stride });
    }
    let n = rows(input, stride);
    let outputs = [("scores", level.scores, 1), ("boxes", level.boxes, 4), ("landmarks", level.landmarks, 10)];
    for (output, numbers, per_row) in outputs {
        let (got, wanted) = (numbers.len(), n * per_row);
        if got != wanted {
            return Err(DetectError::Length { stride, output, got, wanted });
        }
    }
    Ok(())
}

impl Level<'_> {
    /// The face of one row, or `None` where its box is inside out.
    fn face(
        &self,
        row: usize,
        score: f32,
        input: (u32, u32),
        letterbox: &Letterbox,
    ) -> Result<Option<Face>, DetectError> {
        let stride = self.stride;
        let step = stride as f32;
        let columns = (input.0 / stride) as usize;
        let cell = row / ANCHORS;
        let centre = Point::new((cell % columns) as f32 * step, (cell / columns) as f32 * step);
        let at = |dx: f32, dy: f32| Point::new(centre.x + dx * step, centre.y + dy * step);
        let possible = |p: Point| p.x.abs() <= MAX_COORDINATE && p.y.abs() <= MAX_COORDINATE;
        let not_finite = |output| DetectError::NotFinite { stride, row, output };

        let distances = &self.boxes[row * 4..][..4];
        let (from, to) = (at(-distances[0], -distances[1]), at(distances[2], distances[3]));
        if !possible(from) || !possible(to) {
            return Err(not_finite("boxes"));
        }
        let mut landmarks = [Point::default(); 5];
        for (landmark, offset) in landmarks.iter_mut().zip(self.landmarks[row * 10..][..10].chunks_exact(2)) {
            let place = at(offset[0], offset[1]);
            if !possible(place) {
                return Err(not_finite("landmarks"));
            }
            *landmark = letterbox.to_frame(place);
        }
        if from.x >= to.x || from.y >= to.y {
            return Ok(None);
        }
        let (from, to) = (letterbox.to_frame(from), letterbox.to_frame(to));
        Ok(Some(Face { bbox: Rect::new(from.x, from.y, to.x, to.y), score, landmarks }))
    }
}

#[cfg(test)]
mod tests;
