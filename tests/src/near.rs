//! Faces that fill the frame, and how well a detector sees them.

use lintel_core::detect::Face;
use lintel_core::geometry::Rect;
use lintel_faces::{Picture, Pose, photo_scene, render};

/// Seeds of people whom nothing was trained on.
const PEOPLE: u64 = (1 << 63) + 91_000;

/// One face whose bounding box has about `share` of the frame's height.
#[must_use]
pub fn portrait(i: u64, share: f32) -> Picture {
    let spread = |i: u64| ((i as f64 * 0.618_033_988_75).fract() * 2.0 - 1.0) as f32;
    let mut scene = photo_scene(PEOPLE + i, i, [640, 480]);
    scene.occluders.clear();
    let face = &mut scene.faces[0];
    face.pose = Pose { yaw: spread(i) * 20.0, ..face.pose };
    face.centre_px = [320.0 + spread(i * 3 + 1) * 40.0, 240.0 + spread(i * 5 + 2) * 20.0];
    face.distance_cm = 45.0;
    // The box is about a third higher than the face is wide.
    face.face_width_px = share * 480.0 / 1.33;
    render(&scene)
}

/// How far the landmarks of the face that was found are off, as a share of the inter-ocular distance; `None`: it was not
/// found.
#[must_use]
pub fn judge(picture: &Picture, faces: &[Face]) -> Option<f32> {
    let truth = &picture.truth[0];
    let [x1, y1, x2, y2] = truth.bbox;
    let place = Rect { x1, y1, x2, y2 };
    let best = faces.iter().max_by(|a, b| place.iou(&a.bbox).total_cmp(&place.iou(&b.bbox)))?;
    if place.iou(&best.bbox) < 0.4 {
        return None;
    }
    let [left, right, ..] = truth.landmarks;
    let inter_ocular = (left[0] - right[0]).hypot(left[1] - right[1]);
    let errors = truth.landmarks.iter().zip(&best.landmarks).map(|(t, f)| (t[0] - f.x).hypot(t[1] - f.y));
    Some(errors.sum::<f32>() / 5.0 / inter_ocular)
}
