//! How a head is turned.

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
