//! A finished picture, and its ground truth.

use crate::pose::Pose;

/// Ground truth of one face of a picture, in the order of [`Scene::faces`](crate::Scene::faces).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// The person's seed.
    pub person: u64,
    /// x1, y1, x2, y2 px: forehead to chin, cheek to cheek, as WIDER FACE draws it; may extend beyond the picture.
    pub bbox: [f32; 4],
    /// px: the eye at the image's left, the other eye, nose tip, left mouth corner, right mouth corner.
    pub landmarks: [[f32; 2]; 5],
    /// The pose as placed.
    pub pose: Pose,
    /// Share of the face that is in the picture and not hidden, [0, 1].
    pub visible: f32,
    /// Whether the face has glasses on.
    pub wears_glasses: bool,
}

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// px.
    pub width: u32,
    /// px.
    pub height: u32,
    /// [height, width, 3], sRGB.
    pub rgb: Vec<u8>,
    /// One for each face that was placed, visible or not.
    pub truth: Vec<Truth>,
}
