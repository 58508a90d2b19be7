//! A person and a number → a photo for enrolment; a seed → a frame with any number of faces.

use crate::background::Background;
use crate::camera::Camera;
use crate::light::Light;
use crate::person::Person;
use crate::picture::Picture;
use crate::pose::Pose;
use crate::render::render;
use crate::rng::{Rng, mix};
use crate::scene::{Expression, Gaze, Occluder, Placement, Scene};

/// A usable photo of `person`: one face, |yaw| ≤ 25°, at least 90 px wide where `size` (width, height in px) allows,
/// sharp. `photo` numbers the person's photos.
#[must_use]
pub fn photo(person: u64, photo: u64, size: [u32; 2]) -> Picture {
    render(&photo_scene(person, photo, size))
}

/// The scene that [`photo()`] renders, for callers who change it first.
#[must_use]
pub fn photo_scene(person: u64, photo: u64, size: [u32; 2]) -> Scene {
    let seed = mix(mix(person, 0x9407), photo);
    let rng = &mut Rng::new(seed, 1);
    let short = size[0].min(size[1]) as f32;
    // Detectors find faces that fill more than half of the frame badly.
    let least = (short * 0.26).max(90.0_f32.min(short * 0.45));
    let width_px = rng.range(least, (short * 0.44).max(least));
    let pose = Pose {
        yaw: (rng.bell() * 11.0).clamp(-25.0, 25.0),
        pitch: (rng.bell() * 6.0).clamp(-15.0, 15.0),
        roll: (rng.bell() * 5.0).clamp(-14.0, 14.0),
    };
    let centre_px =
        [size[0] as f32 * 0.5 + rng.range(-0.07, 0.07) * short, size[1] as f32 * 0.5 + rng.range(-0.05, 0.07) * short];
    let mut face = placement(rng, Person::from_seed(person), pose, centre_px, width_px);
    face.distance_cm = rng.range(50.0, 160.0);
    if face.expression.blink > 0.5 && rng.chance(0.75) {
        // Most people do not keep a photo with closed eyes.
        face.expression.blink = 0.1;
    }
    Scene {
        width: size[0],
        height: size[1],
        faces: vec![face],
        occluders: Vec::new(),
        light: Light::indoor(rng.bits(), 0.45),
        background: Background::any(rng.bits()),
        camera: sharp(Camera::everyday(rng.bits(), 0.25)),
    }
}

fn sharp(camera: Camera) -> Camera {
    Camera { motion_blur: (0.0, 0.0), defocus: camera.defocus.min(0.4), ..camera }
}

/// A placed person, with everything that varies from picture to picture drawn at random.
pub(crate) fn placement(
    rng: &mut Rng,
    person: Person,
    pose: Pose,
    centre_px: [f32; 2],
    face_width_px: f32,
) -> Placement {
    let mouth_open = match rng.weighted(&[6.0, 2.0, 1.0]) {
        0 => 0.0,
        1 => rng.range(0.05, 0.25),
        _ => rng.range(0.2, 0.8),
    };
    Placement {
        person,
        pose,
        expression: Expression {
            mouth_open,
            smile: if rng.chance(0.5) { rng.range(0.1, 1.0) } else { rng.range(-0.3, 0.15) },
            brow_raise: rng.bell() * 0.3,
            blink: if rng.chance(0.04) { 1.0 } else { rng.range(0.0, 0.25) },
        },
        gaze: Gaze {
            x: (rng.bell() * 0.25 - pose.yaw / 60.0).clamp(-1.0, 1.0),
            y: (rng.bell() * 0.15 - pose.pitch / 60.0).clamp(-1.0, 1.0),
        },
        centre_px,
        face_width_px,
        distance_cm: rng.range(60.0, 300.0),
        wears_glasses: rng.chance(0.9),
        hat: rng.chance(0.02),
        outfit: rng.bits(),
    }
}

/// A frame with 0..=`max_faces` faces of any pose, each at least `min_face_px` wide, for training and testing a
/// detector. Some are partly outside or hidden; [`crate::Truth::visible`] says how far.
#[must_use]
pub fn crowd(seed: u64, size: [u32; 2], max_faces: usize, min_face_px: f32) -> Picture {
    render(&crowd_scene(seed, size, max_faces, min_face_px))
}

/// The scene that [`crowd`] renders, for callers who change it first.
#[must_use]
pub fn crowd_scene(seed: u64, size: [u32; 2], max_faces: usize, min_face_px: f32) -> Scene {
    let rng = &mut Rng::new(seed, 0xc40d);
    let (w, h) = (size[0] as f32, size[1] as f32);
    let n = if rng.chance(0.1) {
        0
    } else if rng.chance(0.35) {
        max_faces.min(1)
    } else {
        rng.below(max_faces) + max_faces.min(1)
    };
    let largest = w.min(h) * if n < 2 { 0.6 } else { 0.9 / (n as f32).sqrt() };
    let mut faces: Vec<Placement> = Vec::new();
    for _ in 0..n {
        // Small faces are the common ones: sizes are uniform in the logarithm.
        let px = min_face_px * (largest / min_face_px).max(1.0).powf(rng.unit());
        let pose = Pose {
            yaw: (rng.bell() * 20.0).clamp(-45.0, 45.0),
            pitch: (rng.bell() * 9.0).clamp(-25.0, 25.0),
            roll: (rng.bell() * 8.0).clamp(-20.0, 20.0),
        };
        let overhang = if rng.chance(0.12) { -0.3 * px } else { 0.75 * px };
        // A few tries to find a free place; people seldom stand in front of one another.
        let crowding = rng.chance(0.15);
        let free = |at: [f32; 2]| {
            faces.iter().all(|f| {
                let (dx, dy) = (f.centre_px[0] - at[0], f.centre_px[1] - at[1]);
                let apart = 0.75 * (f.face_width_px + px);
                dx.abs() > apart || dy.abs() > 1.4 * apart
            })
        };
        let mut spot = || {
            let x = rng.range(overhang.min(w * 0.5), (w - overhang).max(w * 0.5));
            [x, rng.range(overhang.min(h * 0.5), (h - overhang).max(h * 0.5))]
        };
        let Some(at) = (0..8).map(|_| spot()).find(|at| crowding || free(*at)) else { continue };
        let person = Person::from_seed(rng.bits());
        faces.push(placement(rng, person, pose, at, px));
    }
    let mut occluders = Vec::new();
    for f in &faces {
        if rng.chance(0.06) {
            let r = f.face_width_px * rng.range(0.15, 0.4);
            let x = f.centre_px[0] + rng.range(-0.7, 0.7) * f.face_width_px;
            let y = f.centre_px[1] + rng.range(-0.4, 0.9) * f.face_width_px;
            let tall = r * rng.range(0.6, 2.5);
            occluders.push(Occluder {
                box_px: [x - r, y - tall, x + r, y + tall],
                turn: rng.range(-40.0, 40.0),
                colour: [rng.below(256) as u8, rng.below(256) as u8, rng.below(256) as u8],
            });
        }
    }
    let mut background = Background::any(rng.bits());
    background.clutter += rng.below(10);
    Scene {
        width: size[0],
        height: size[1],
        faces,
        occluders,
        light: Light::indoor(rng.bits(), 0.9),
        background,
        camera: Camera::everyday(rng.bits(), 1.0),
    }
}
