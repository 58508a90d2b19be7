//! The content of a picture: people, light, background, camera.

use crate::background::Background;
use crate::camera::Camera;
use crate::light::Light;
use crate::person::Person;
use crate::pose::Pose;

/// The expression of a face.
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

/// Direction of the eyes, relative to the head: x to the image's right, y up, each in [-1, 1].
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
    /// The head's pose.
    pub pose: Pose,
    /// How the face moves on top of its shape.
    pub expression: Expression,
    /// Where the eyes look.
    pub gaze: Gaze,
    /// The middle of the face: halfway from hairline to chin.
    pub centre_px: [f32; 2],
    /// Cheekbone to cheekbone of the frontal face.
    pub face_width_px: f32,
    /// From the camera to the face, which sets the perspective; 35..=400.
    pub distance_cm: f32,
    /// Whether glasses are on; ignored for people without glasses.
    pub wears_glasses: bool,
    /// Whether a knitted hat is on.
    pub hat: bool,
    /// Seed of the clothes and of small variations of the hair.
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

/// Everything that a picture is rendered from.
#[derive(Clone, Debug)]
pub struct Scene {
    /// px, 1..=65 535.
    pub width: u32,
    /// px, 1..=65 535.
    pub height: u32,
    /// The people; larger faces hide smaller ones.
    pub faces: Vec<Placement>,
    /// Things in front of the people.
    pub occluders: Vec<Occluder>,
    /// The light on the people.
    pub light: Light,
    /// The room behind the people.
    pub background: Background,
    /// The camera that takes the picture.
    pub camera: Camera,
}
