//! What a picture is to show: people, light, background, camera.

use crate::background::Background;
use crate::camera::Camera;
use crate::light::Light;
use crate::person::Person;
use crate::pose::Pose;

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
    /// The person to be drawn.
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
