//! A seed → the clothes of one picture, and the skin above their collar.

use glam::Vec3A as Vec3;

use crate::hair;
use crate::rng::{Rng, linear, noise, noise2, smooth};
use crate::skin::{Moment, Paint};

/// Clothes of one picture.
pub struct Outfit {
    colour: Vec3,
    second: Vec3,
    pattern: usize,
    scale: f32,
    vee: f32,
    collar_y: f32,
    /// Distance of the cloth from the body, cm.
    pub puff: f32,
    pub seed: u32,
}

impl Outfit {
    #[must_use]
    pub fn new(seed: u64, masculine: f32) -> Self {
        let rng = &mut Rng::new(seed, 0xc107);
        let mut cloth = || {
            if rng.chance(0.5) {
                Vec3::splat(rng.range(0.01, 0.7)) * Vec3::new(1.0, rng.range(0.9, 1.0), rng.range(0.85, 1.15))
            } else {
                linear([rng.below(230) as u8, rng.below(230) as u8, rng.below(230) as u8]) * 0.8
            }
        };
        let (colour, second) = (cloth(), cloth());
        Self {
            colour,
            second,
            pattern: rng.weighted(&[5.0, 1.0, 1.0, 0.8]),
            scale: rng.range(1.0, 5.0),
            vee: if rng.chance(0.4) { rng.range(1.0, 7.0 - 3.0 * masculine) } else { 0.3 },
            collar_y: rng.range(-16.2, -12.5),
            puff: rng.range(0.2, 1.0),
            seed: seed as u32,
        }
    }

    /// Cloth, or skin above the collar.
    #[must_use]
    pub fn paint(&self, m: &Moment, rest: Vec3) -> Paint {
        let hat = rest.y > hair::HAT_LIFT * 0.5;
        let front = smooth(-2.0, 4.0, rest.z);
        let line = self.collar_y - self.vee * front * (1.0 - rest.x.abs() / (self.vee * 0.9 + 1.0)).max(0.0);
        let cover = if hat { 1.0 } else { smooth(line + 0.15 + m.soft, line - 0.15 - m.soft, rest.y) };
        let mut skin = m.person.skin.albedo;
        if cover < 1.0 {
            skin *= 1.0 + m.person.skin.mottle * noise(rest * 0.7, self.seed);
        }
        let shaded = smooth(-18.0, -9.0, rest.y) * 0.55;
        let weave = if cover > 0.0 { 1.0 + 0.14 * noise(rest * 0.4, self.seed) } else { 1.0 };
        let mix = match self.pattern {
            1 => smooth(-0.1, 0.1, (rest.y * self.scale).sin()),
            2 => {
                0.5 * smooth(-0.1, 0.1, (rest.y * self.scale).sin())
                    + 0.5 * smooth(-0.1, 0.1, (rest.x * self.scale).sin())
            }
            3 => smooth(0.1, 0.3, noise2(rest.x * 0.6, rest.y * 0.6, self.seed)),
            _ => 0.0,
        };
        let cloth = self.colour.lerp(self.second, mix) * weave;
        let edge = smooth(0.9, 0.2, (rest.y - line + 0.4).abs()) * cover;
        let cloth = cloth * (1.0 - 0.25 * edge * f32::from(u8::from(!hat)));
        Paint {
            albedo: skin.lerp(cloth, cover),
            open: if hat { 1.0 } else { 1.0 - shaded },
            gloss: m.person.skin.gloss * 0.6 * (1.0 - cover),
            glint: 0.0,
            soft: 1.0 - cover,
        }
    }
}
