//! What a picture shows: people, light, background, camera; and what is true of it.

use crate::background::Background;
use crate::camera::Camera;
use crate::light::Light;
use crate::person::Person;

/// Degrees, relative to the line of sight; applied as roll · yaw · pitch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose {
    /// Positive: the nose points to the image's right. Within ±45.
    pub yaw: f32,
    /// Positive: the face looks up. Within ±25.
    pub pitch: f32,
    /// Positive: the head leans clockwise in the image. Within ±20.
    pub roll: f32,
}

/// What the face does, on top of its shape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expression {
    /// 0 closed, 1 wide open.
    pub mouth_open: f32,
    /// -0.5 sad, 0 neutral, 1 a broad smile.
    pub smile: f32,
    /// -1 frowning, 1 raised.
    pub brow_raise: f32,
    /// 0 open eyes, 1 closed.
    pub blink: f32,
}

/// Where the eyes look, relative to the head: x to the image's right, y up, each in [-1, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gaze {
    /// To the image's right.
    pub x: f32,
    /// Up.
    pub y: f32,
}

/// One person in a scene.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Who.
    pub person: Person,
    /// Of the head.
    pub pose: Pose,
    /// Of the moment.
    pub expression: Expression,
    /// Where the eyes look.
    pub gaze: Gaze,
    /// The middle of the face: halfway from hairline to chin.
    pub centre_px: [f32; 2],
    /// Cheekbone to cheekbone of the frontal face.
    pub face_width_px: f32,
    /// From the camera to the face, which sets the perspective; 35..=400.
    pub distance_cm: f32,
    /// Ignored for people without glasses.
    pub wears_glasses: bool,
    /// A knitted hat.
    pub hat: bool,
    /// Clothes and the small ways in which hair falls differently.
    pub outfit: u64,
}

/// A thing between camera and people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occluder {
    /// x1, y1, x2, y2.
    pub box_px: [f32; 4],
    /// Degrees.
    pub turn: f32,
    /// sRGB.
    pub colour: [u8; 3],
}

/// All that a picture is made from.
#[derive(Clone, Debug)]
pub struct Scene {
    /// px, 1..=65 535.
    pub width: u32,
    /// px, 1..=65 535.
    pub height: u32,
    /// Larger faces hide smaller ones.
    pub faces: Vec<Placement>,
    /// Before all of them.
    pub occluders: Vec<Occluder>,
    /// On the people.
    pub light: Light,
    /// Behind the people.
    pub background: Background,
    /// What takes the picture.
    pub camera: Camera,
}

/// What is true of one face of a picture, in the order of [`Scene::faces`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// The person's seed.
    pub person: u64,
    /// x1, y1, x2, y2 px: forehead to chin, cheek to cheek, as WIDER FACE draws it; may reach out of the picture.
    pub bbox: [f32; 4],
    /// px: the eye at the image's left, the other eye, nose tip, left mouth corner, right mouth corner.
    pub landmarks: [[f32; 2]; 5],
    /// As it was placed.
    pub pose: Pose,
    /// How much of the face is in the picture and not hidden, [0, 1].
    pub visible: f32,
    /// Whether glasses are on this face.
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
