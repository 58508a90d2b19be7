//! A seed → an indoor view without people, in linear light.

use glam::Vec3A as Vec3;

use crate::canvas::Canvas;
use crate::rng::{Rng, linear, noise2};

/// A background. The same seed paints the same room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    /// The seed of the room.
    pub seed: u64,
    /// Number of things in the room, including some that look a little like faces; 0..=30.
    pub clutter: usize,
    /// The ratio by which the room is painted coarser than the picture, which blurs it; 1..=6.
    pub blur: f32,
}

impl Background {
    /// A random room.
    #[must_use]
    pub fn any(seed: u64) -> Self {
        let rng = &mut Rng::new(seed, 0xbac0);
        Self { seed, clutter: rng.below(14), blur: rng.pick(&[1.0, 1.5, 2.0, 3.0]) }
    }

    pub(crate) fn paint(&self, width: usize, height: usize) -> Canvas {
        let coarse = |n: usize| ((n as f32 / self.blur.max(1.0)).ceil() as usize).max(4);
        let mut canvas = Canvas::new(coarse(width), coarse(height));
        let rng = &mut Rng::new(self.seed, 0xbac1);
        room(&mut canvas, rng);
        for _ in 0..self.clutter {
            thing(&mut canvas, rng);
        }
        canvas.stretched(width, height)
    }
}

fn dull(rng: &mut Rng) -> Vec3 {
    let grey = rng.range(0.05, 0.75);
    let tint = Vec3::new(rng.range(-1.0, 1.0), rng.range(-0.7, 0.7), rng.range(-1.0, 1.0));
    (Vec3::splat(grey) * (Vec3::ONE + tint * 0.22)).max(Vec3::splat(0.01))
}

fn vivid(rng: &mut Rng) -> Vec3 {
    linear([rng.below(256) as u8, rng.below(256) as u8, rng.below(256) as u8]) * rng.range(0.3, 1.0)
}

fn skin_like(rng: &mut Rng) -> Vec3 {
    linear(rng.pick(&[[240, 200, 178], [224, 178, 150], [205, 154, 120], [140, 94, 66], [90, 60, 44]]))
}

fn room(c: &mut Canvas, rng: &mut Rng) {
    let (w, h) = (c.width as f32, c.height as f32);
    let wall = dull(rng);
    let (gx, gy) = (rng.range(-0.5, 0.5), rng.range(-0.6, 0.3));
    let glow = [rng.range(-0.2, 1.2) * w, rng.range(-0.3, 0.6) * h];
    let (strength, size) = (rng.range(0.0, 0.9), rng.range(0.3, 0.9) * w);
    for y in 0..c.height {
        for x in 0..c.width {
            let (fx, fy) = (x as f32, y as f32);
            let (dx, dy) = ((fx - glow[0]) / size, (fy - glow[1]) / size);
            let lit = 0.8 + gx * (fx / w - 0.5) + gy * (fy / h - 0.5) + strength / (1.0 + 2.0 * (dx * dx + dy * dy));
            c.px[y * c.width + x] = wall * lit.max(0.1);
        }
    }
    match rng.below(5) {
        0 => corridor(c, rng, wall),
        1 => shelves(c, rng),
        2 => bricks(c, rng, wall),
        _ => {}
    }
    if rng.chance(0.5) {
        let y = rng.range(0.6, 0.95) * h;
        let floor = dull(rng) * 0.7;
        c.paint([0.0, y, w, h], |_, fy| (fy - y).clamp(0.0, 1.0), |_, fy| floor * (1.2 - 0.5 * fy / h));
        c.rect([0.0, y - h * 0.02, w, y], wall * 0.55);
    }
    let seed = rng.bits() as u32;
    let depth = rng.range(0.0, 0.12);
    let scale = rng.range(0.01, 0.2) * w;
    c.grain([0.0, 0.0, w, h], [scale, scale], depth, seed);
    for _ in 0..rng.below(3) {
        frame(c, rng);
    }
}

fn corridor(c: &mut Canvas, rng: &mut Rng, wall: Vec3) {
    let (w, h) = (c.width as f32, c.height as f32);
    let (vx, vy) = (rng.range(0.3, 0.7) * w, rng.range(0.3, 0.55) * h);
    let (floor, ceiling) = (dull(rng) * 0.6, Vec3::splat(rng.range(0.4, 0.9)));
    let depth = rng.range(0.1, 0.3);
    let doors = rng.range(2.0, 6.0);
    c.paint(
        [0.0, 0.0, w, h],
        |_, _| 1.0,
        |x, y| {
            let (dx, dy) = ((x - vx) / w, (y - vy) / h);
            let away = dx.abs().max(dy.abs()).max(depth * 0.5);
            let z = 1.0 / away;
            let shade = (away * 2.4).clamp(0.25, 1.0);
            let lamp = ((z * doors).sin() > 0.3) as u8 as f32;
            if dx.abs() > dy.abs() {
                let door = ((z * 1.7).sin() > 0.55 && dy.abs() < 0.8 * dx.abs()) as u8 as f32;
                wall * shade * (1.0 - 0.5 * door)
            } else if dy > 0.0 {
                floor * shade
            } else {
                ceiling * shade * (0.8 + 0.6 * lamp * f32::from((dx.abs() < 0.25 * dy.abs()) as u8))
            }
        },
    );
}

fn shelves(c: &mut Canvas, rng: &mut Rng) {
    let (w, h) = (c.width as f32, c.height as f32);
    let wood = dull(rng) * 0.5;
    let pitch = rng.range(0.14, 0.3) * h;
    let mut y = rng.range(-0.5, 0.3) * pitch;
    while y < h {
        let mut x = 0.0;
        while x < w {
            let wide = rng.range(0.012, 0.05) * w;
            let high = pitch * rng.range(0.5, 0.9);
            if rng.chance(0.85) {
                let colour = if rng.chance(0.5) { vivid(rng) } else { dull(rng) };
                c.rect([x, y + pitch - high, x + wide * 0.92, y + pitch], colour * 0.7);
            }
            x += wide;
        }
        c.rect([0.0, y + pitch, w, y + pitch * 1.07], wood);
        y += pitch * 1.07;
    }
}

fn bricks(c: &mut Canvas, rng: &mut Rng, wall: Vec3) {
    let (w, h) = (c.width as f32, c.height as f32);
    let (bw, bh) = (rng.range(0.05, 0.16) * w, rng.range(0.03, 0.1) * h);
    let mortar = wall * rng.range(0.5, 1.4);
    let seed = rng.bits() as u32;
    c.paint(
        [0.0, 0.0, w, h],
        |x, y| {
            let row = (y / bh).floor();
            let u = x / bw + 0.5 * (row as i32 & 1) as f32;
            let near = (u - u.floor()).min((y / bh - row) * bh / bw);
            if near < 0.07 { 0.7 } else { 0.25 * noise2(u.floor() * 7.3, row * 3.1, seed).abs() }
        },
        |_, _| mortar,
    );
}

/// A door, a window or a picture on the wall.
fn frame(c: &mut Canvas, rng: &mut Rng) {
    let (w, h) = (c.width as f32, c.height as f32);
    let x = rng.range(-0.2, 0.9) * w;
    let wide = rng.range(0.15, 0.45) * w;
    let (trim, edge) = (dull(rng), 0.03 * w);
    match rng.below(3) {
        0 => {
            let y = rng.range(-0.1, 0.3) * h;
            let leaf = dull(rng);
            c.rect([x - edge, y - edge, x + wide + edge, h], trim);
            c.rect([x, y, x + wide, h], leaf);
            let inset = wide * 0.15;
            c.rect([x + inset, y + inset, x + wide - inset, y + h * 0.3], leaf * 0.82);
            c.rect([x + inset, y + h * 0.36, x + wide - inset, y + h * 0.8], leaf * 0.85);
            c.ellipse([x + wide * 0.9, y + h * 0.4], [edge * 0.6, edge * 0.6], 1.0, |_, _| Vec3::splat(0.5));
        }
        1 => {
            let y = rng.range(-0.1, 0.4) * h;
            let high = rng.range(0.25, 0.6) * h;
            let sky = Vec3::new(0.75, 0.9, 1.1) * rng.range(0.3, 1.6);
            c.rect([x - edge, y - edge, x + wide + edge, y + high + edge], trim);
            c.paint([x, y, x + wide, y + high], |_, _| 1.0, |_, fy| sky * (1.1 - 0.5 * (fy - y) / high));
            let bars = 1 + rng.below(3);
            for i in 1..=bars {
                let bx = x + wide * i as f32 / (bars + 1) as f32;
                c.rect([bx - edge * 0.25, y, bx + edge * 0.25, y + high], trim);
            }
        }
        _ => {
            let y = rng.range(0.0, 0.5) * h;
            let high = rng.range(0.12, 0.4) * h;
            let paper = if rng.chance(0.5) { vivid(rng) } else { dull(rng) * 1.2 };
            c.rect([x - edge * 0.4, y - edge * 0.4, x + wide + edge * 0.4, y + high + edge * 0.4], trim * 0.6);
            c.rect([x, y, x + wide, y + high], paper);
            for _ in 0..rng.below(7) {
                let at = [x + wide * rng.range(0.1, 0.9), y + high * rng.range(0.1, 0.9)];
                let size = [wide * rng.range(0.02, 0.1), high * rng.range(0.02, 0.1)];
                let ink = vivid(rng);
                if rng.chance(0.5) {
                    c.rect([at[0] - size[0], at[1] - size[1], at[0] + size[0], at[1] + size[1]], ink);
                } else {
                    c.ellipse(at, size, 1.0, |_, _| ink);
                }
            }
        }
    }
}

/// One random thing; some have a face's colour or outline, but none has a face's features.
fn thing(c: &mut Canvas, rng: &mut Rng) {
    let (w, h) = (c.width as f32, c.height as f32);
    let at = [rng.range(0.0, 1.0) * w, rng.range(0.0, 1.0) * h];
    let r = rng.range(0.02, 0.13) * w;
    match rng.below(9) {
        0 => {
            // A lamp with its glow.
            let light = Vec3::new(1.0, rng.range(0.75, 1.0), rng.range(0.5, 1.0));
            let glow = light * 0.9;
            c.paint(
                [at[0] - 3.0 * r, at[1] - 3.0 * r, at[0] + 3.0 * r, at[1] + 3.0 * r],
                |x, y| 0.6 * (1.0 - ((x - at[0]).powi(2) + (y - at[1]).powi(2)).sqrt() / (3.0 * r)).max(0.0).powi(2),
                |_, _| glow,
            );
            c.ellipse(at, [r, r * rng.range(0.6, 1.2)], 1.5, |_, _| light * 2.0);
        }
        1 => clock(c, rng, at, r),
        2 => plant(c, rng, at, r),
        3 | 4 => {
            // A shaded ball or egg in the colour of skin.
            let colour = if rng.chance(0.7) { skin_like(rng) } else { dull(rng) };
            let (rx, ry) = (r * rng.range(0.7, 1.2), r * rng.range(0.9, 1.5));
            let from = rng.range(-0.6, 0.6);
            c.ellipse(at, [rx, ry], 1.5, |x, y| {
                let (u, v) = ((x - at[0]) / rx, (y - at[1]) / ry);
                colour * (0.75 - 0.35 * (u * from + v * 0.6)).max(0.1)
            });
        }
        5 => {
            let colour = vivid(rng);
            let turn = rng.range(-0.5, 0.5);
            c.slab(at, [r * rng.range(0.3, 1.5), r * rng.range(0.3, 1.5)], turn, |_, _| colour);
        }
        6 => {
            // A patch of cloth or carpet: stripes or checks.
            let (a, b) = (vivid(rng), dull(rng));
            let k = rng.range(2.0, 9.0);
            let both = rng.chance(0.5);
            let size = [r * rng.range(0.8, 2.5), r * rng.range(0.8, 2.5)];
            c.slab(at, size, rng.range(-0.6, 0.6), move |x, y| {
                let s = (x / k).sin() > 0.0;
                let t = both && (y / k).sin() > 0.0;
                if s ^ t { a } else { b }
            });
        }
        7 => {
            // A coat hook, a jar, two round things side by side: similar to eyes, but no face.
            let colour = dull(rng) * 0.4;
            let apart = r * rng.range(0.5, 1.4);
            for side in [-1.0, 1.0] {
                let (x, size) = (at[0] + side * apart, r * 0.25);
                c.ellipse([x, at[1]], [size, size], 1.0, |_, _| colour);
            }
            if rng.chance(0.5) {
                c.slab([at[0], at[1] + apart * 1.5], [apart, r * 0.12], 0.0, |_, _| colour);
            }
        }
        _ => {
            let seed = rng.bits() as u32;
            let wide = 2.5 * r;
            let scale = rng.range(1.0, 8.0);
            c.grain([at[0] - wide, at[1] - wide, at[0] + wide, at[1] + wide], [scale, scale], 0.4, seed);
        }
    }
}

fn clock(c: &mut Canvas, rng: &mut Rng, at: [f32; 2], r: f32) {
    let (rim, face) = (dull(rng) * 0.4, Vec3::splat(rng.range(0.5, 0.95)));
    c.ellipse(at, [r, r], 1.0, |_, _| rim);
    c.ellipse(at, [r * 0.88, r * 0.88], 1.0, |_, _| face);
    for (length, wide) in [(0.45, 0.05), (0.7, 0.03)] {
        let turn = rng.range(0.0, std::f32::consts::TAU);
        let (s, k) = turn.sin_cos();
        let middle = [at[0] + k * r * length * 0.5, at[1] + s * r * length * 0.5];
        c.slab(middle, [r * length * 0.5, r * wide], turn, |_, _| Vec3::splat(0.02));
    }
}

fn plant(c: &mut Canvas, rng: &mut Rng, at: [f32; 2], r: f32) {
    let pot = vivid(rng) * 0.6;
    c.rect([at[0] - r * 0.6, at[1] + r, at[0] + r * 0.6, at[1] + r * 2.0], pot);
    for _ in 0..8 + rng.below(8) {
        let green = Vec3::new(rng.range(0.02, 0.12), rng.range(0.08, 0.3), rng.range(0.02, 0.08));
        let leaf = [at[0] + r * rng.range(-1.2, 1.2), at[1] + r * rng.range(-1.3, 1.1)];
        c.slab(leaf, [r * rng.range(0.3, 0.7), r * rng.range(0.06, 0.2)], rng.range(-1.6, 1.6), |_, _| green);
    }
}
