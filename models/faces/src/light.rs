//! A seed → indoor light.

use glam::Vec3A as Vec3;

use crate::rng::Rng;

/// Light on the people of a scene. Directions are camera space (x right, y up, z towards the camera) and point to the
/// light; colours are linear, about 1 for a well lit face in sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// Direction to the key light; unit length.
    pub key_from: [f32; 3],
    /// The strongest lamp or window.
    pub key: [f32; 3],
    /// Direction to the second light.
    pub fill_from: [f32; 3],
    /// The second light.
    pub fill: [f32; 3],
    /// Light from behind, along the outlines.
    pub rim: [f32; 3],
    /// Ambient light from above.
    pub ceiling: [f32; 3],
    /// Ambient light from below.
    pub floor: [f32; 3],
}

impl Light {
    /// Ceiling lamps, windows, screens; `hardness` in [0, 1] bounds how one-sided they are.
    #[must_use]
    pub fn indoor(seed: u64, hardness: f32) -> Self {
        let rng = &mut Rng::new(seed, 0x11687);
        let warm = |t: f32| Vec3::new(1.0 + 0.16 * t, 1.0, 1.0 - 0.2 * t);
        let azimuth = rng.bell() * (0.45 + 0.75 * hardness);
        let height = rng.range(0.1, 1.1);
        let key_from = Vec3::new(azimuth.sin(), height, azimuth.cos().max(-0.3)).normalize();
        let share = rng.range(0.25, 0.5 + 0.35 * hardness);
        let room = warm(rng.range(-1.0, 1.0));
        let key = warm(rng.range(-1.0, 1.0)) * share * 1.5;
        let ambient = room * (1.0 - share) * rng.range(0.95, 1.3);
        let fill_from = Vec3::new(-azimuth.sin() + rng.range(-0.5, 0.5), rng.range(-0.2, 0.6), 0.7).normalize();
        let fill = room * rng.range(0.05, 0.3);
        let rim = if rng.chance(0.4) { warm(rng.range(-1.5, 1.0)) * rng.range(0.1, 0.5) } else { Vec3::ZERO };
        Self {
            key_from: key_from.into(),
            key: key.into(),
            fill_from: fill_from.into(),
            fill: fill.into(),
            rim: rim.into(),
            ceiling: ambient.into(),
            floor: (ambient * rng.range(0.35, 0.75)).into(),
        }
    }
}
