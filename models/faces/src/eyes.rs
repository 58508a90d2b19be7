//! A point of the face near an eye → eyeball, lids and lashes.

use glam::Vec3A as Vec3;

use crate::person::Person;
use crate::rng::{noise2, smooth};
use crate::scene::{Expression, Gaze};

/// The eye's effect at a point of the face.
pub enum Look {
    /// Not part of the eye: skin, multiplied by this.
    Skin(Vec3),
    /// The eyeball: colour, and reflected light.
    Ball(Vec3, f32, f32),
}

/// `x`, `y`: the face's front in cm, with the expression; `soft`: half a pixel in cm; `light`: the key light's
/// direction in head space.
#[must_use]
pub fn look(p: &Person, e: &Expression, gaze: Gaze, x: f32, y: f32, soft: f32, light: Vec3) -> Look {
    let eye = &p.eyes;
    let side = x.signum();
    let (dx, dy) = (x - side * p.shape.eye_x, y);
    if dx.abs() > eye.half_width + 0.9 || dy.abs() > 2.2 {
        return Look::Skin(Vec3::ONE);
    }
    // The eye's own axes: u grows towards the temple.
    let (s, c) = (eye.tilt * side).sin_cos();
    let (lx, ly) = (dx * c + dy * s, dy * c - dx * s);
    let u = lx * side / eye.half_width;
    let arch = (1.0 - u * u).max(0.0);
    let open = 1.0 - e.blink;
    let squint = 0.18 * e.smile.max(0.0);
    // The upper lid is highest on the nose's side, the lower lowest on the other.
    let lower = -eye.lower * arch * (1.0 + 0.25 * u) * (1.0 - squint);
    let lifted = eye.upper * arch.powf(0.75) * (1.0 - 0.22 * u) * (1.0 - squint) * (1.0 + 0.15 * e.brow_raise.max(0.0));
    let upper = lower + (lifted - lower) * open;
    let inside = ((upper - ly).min(ly - lower)) / soft.max(0.02);
    let line = 0.05 + 0.06 * eye.lashes;
    let lash = smooth(line + soft, line * 0.4, (ly - upper - 0.02).abs()) * smooth(1.12, 0.9, u.abs());
    if inside > 0.0 && u.abs() < 1.0 {
        let (color, mirror) = ball(p, gaze, lx, ly, soft, light);
        // The upper lid's shadow and lashes fall on the ball.
        let shade = 0.45 + 0.55 * smooth(0.0, 0.38, upper - ly);
        let shade = shade * (0.75 + 0.25 * smooth(0.0, 0.2, ly - lower));
        let cover = inside.min(1.0);
        return Look::Ball(color * shade * (1.0 - 0.8 * lash * eye.lashes), mirror * shade, cover);
    }
    let mut skin = Vec3::ONE;
    let dark = Vec3::new(0.12, 0.09, 0.08);
    skin = skin.lerp(dark, lash * (0.45 + 0.5 * eye.lashes));
    let under = smooth(0.07 + soft, 0.0, (ly - lower + 0.03).abs()) * arch;
    skin = skin.lerp(dark * 4.0, 0.35 * under);
    // The fold over the lid, and bags under it.
    if eye.crease > 0.0 {
        let fold = lifted + eye.crease * (1.0 - 0.6 * eye.hood.min(1.0)) + 0.05;
        let f = smooth(0.1 + soft, 0.0, (ly - fold).abs()) * smooth(1.2, 0.7, u.abs());
        skin *= 1.0 - 0.42 * f;
    }
    let socket = smooth(1.5, 0.3, (ly - upper - 0.4).abs()) * smooth(1.5, 0.6, u.abs());
    skin *= Vec3::ONE - Vec3::new(0.8, 1.0, 0.95) * (0.08 + 0.4 * p.skin.eye_shadow) * socket * 0.6;
    let bag = smooth(0.35, 0.0, (ly + eye.lower + 0.55 + 0.15 * u * u).abs()) * smooth(1.15, 0.5, u.abs());
    skin *= 1.0 - (0.1 + 0.25 * eye.bags) * bag;
    // The tear duct.
    let duct = smooth(0.2, 0.05, ((u + 1.03) * (u + 1.03) + ly * ly * 8.0).sqrt());
    Look::Skin(skin * Vec3::ONE.lerp(Vec3::new(0.9, 0.55, 0.5), 0.6 * duct * open))
}

fn ball(p: &Person, gaze: Gaze, x: f32, y: f32, soft: f32, light: Vec3) -> (Vec3, f32) {
    let eye = &p.eyes;
    let (gx, gy) = (x - gaze.x * 0.62, y - 0.06 - gaze.y * 0.4);
    let r = (gx * gx + gy * gy).sqrt();
    let rim = eye.iris_radius;
    let edge = soft.max(0.03);
    let round = 1.0 - 0.22 * (x * x) / (eye.half_width * eye.half_width);
    let white = Vec3::new(0.62, 0.57, 0.53).lerp(p.skin.albedo, 0.12) * round;
    let fibres = 0.85 + 0.3 * noise2(gy.atan2(gx) * 5.0, r * 4.0, p.seed as u32);
    let limbus = 1.0 - 0.65 * smooth(rim - 0.16, rim, r);
    let iris = eye.iris * fibres * limbus * (0.8 + 0.5 * smooth(0.3, -0.5, gy));
    let pupil = smooth(0.24 + edge, 0.24 - edge, r);
    let iris = iris.lerp(Vec3::splat(0.008), pupil);
    let color = white.lerp(iris, smooth(rim + edge, rim - edge, r));
    let (hx, hy) = (gx - light.x.clamp(-0.7, 0.7) * 0.3, gy - light.y.clamp(0.2, 0.8) * 0.32);
    let glint = smooth(0.11 + edge, 0.11 - edge, (hx * hx + hy * hy).sqrt()) * smooth(0.0, 0.06, 0.11 / edge - 0.6);
    (color, 0.6 * glint)
}
