//! A person's hair → shells over the skull (head space, cm) and the colour of their strands.

use glam::Vec3A as Vec3;

use crate::head::{self, CAP_Y};
use crate::mesh::{Mesh, Part};
use crate::person::{Hair, Person, Style};
use crate::rng::{bump, lerp, noise, noise2, smooth, spline};

/// The distance from the hair's edge, in the direction `azimuth` (radians from the nose, signed) at height `y`: cm,
/// negative on bare skin.
#[must_use]
pub fn inside(h: &Hair, azimuth: f32, y: f32) -> f32 {
    if h.style == Style::Bald {
        return -9.0;
    }
    let a = azimuth.abs();
    let front = h.hairline_y - h.peak * bump(a * a / 0.05) + h.recede * bump((a - 0.5) * (a - 0.5) / 0.12);
    let burn = if h.style == Style::Bun { 0.5 } else { -1.8 };
    let line = spline(
        &[
            (0.0, front),
            (0.55, front - 0.2),
            (0.95, front - 2.2),
            (1.2, burn + 1.6),
            (1.32, burn),
            (1.5, 0.4),
            (1.75, -1.0),
            (2.2, -5.0),
            (3.2, -6.0),
        ],
        a,
    );
    let mut depth = y - line;
    if hangs(h.style) {
        let side = ((a - h.edge) * 7.0).min(y - h.bottom_y);
        depth = depth.max(side.min(7.0));
    }
    if h.fringe_y < 20.0 && a < 1.1 {
        let jag = 0.5 * noise2(azimuth * 9.0, 3.0, h.fringe_y.to_bits());
        depth = depth.max((y - h.fringe_y + jag).min((1.15 - a) * 6.0));
    }
    depth
}

fn hangs(style: Style) -> bool {
    matches!(style, Style::Bob | Style::Long | Style::Wavy | Style::LongCurly)
}

/// Height of the hair over the skull, cm.
fn thickness(p: &Person, azimuth: f32, y: f32, at: Vec3, fall: u32) -> f32 {
    let h = &p.hair;
    let depth = inside(h, azimuth, y);
    // So deep under the skin that no eye socket uncovers it.
    let sunk = lerp(0.9, 3.5, smooth(-0.2, -1.6, depth));
    if depth < -1.0 {
        return -sunk;
    }
    let up = smooth(1.0, 9.0, y);
    let mut t = lerp(h.side, h.top, up);
    let ahead = bump((azimuth / 1.1) * (azimuth / 1.1)) * smooth(3.0, 8.0, y);
    match h.style {
        Style::Quiff => t += 1.4 * ahead,
        Style::Slick | Style::Bun => t += 0.1 * ahead,
        _ => {}
    }
    if h.part != 0.0 && !matches!(h.style, Style::Curly | Style::Buzz | Style::Slick) {
        let x = at.x - h.part * 2.6;
        t -= 0.55 * t.min(1.2) * bump(x * x / 0.9) * up;
        if h.style == Style::SidePart {
            t += 0.35 * smooth(0.0, 3.0, -x * h.part) * ahead;
        }
    }
    let straight = noise2(azimuth * 5.0, y * 0.12, fall) * 0.16 * (0.4 + t.min(2.0));
    let q = at * 0.55;
    let curly = (noise(q, fall) + 0.6 * noise(q * 2.3, fall)) * (0.3 + 0.16 * t);
    t += lerp(straight, curly, h.curl);
    let rise = smooth(-0.1, if h.curl > 0.5 { 2.2 } else { 1.3 }, depth);
    let floor = if h.style == Style::Buzz { 0.05 } else { 0.25 };
    (t.max(floor) * rise) - sunk * smooth(0.2, -0.7, depth)
}

/// Adds the hair. `outfit` varies its waves a little.
pub fn build(mesh: &mut Mesh, p: &Person, outfit: u64, hat: bool, fine: bool) {
    let h = &p.hair;
    let s = &p.shape;
    let fall = (p.seed ^ (outfit & 3)) as u32;
    if hat {
        beanie(mesh, p, fine);
    }
    if h.style == Style::Bald {
        return;
    }
    let columns = if fine { 60 } else { 32 };
    let cap = if fine { 10 } else { 6 };
    let step = if fine { 0.55 } else { 1.0 };
    let bottom = if hangs(h.style) { h.bottom_y } else { -9.0 };
    let n = ((CAP_Y - bottom) / step).ceil() as usize;
    let rows = cap + n + 2;
    let squash = if hat { 0.25 } else { 1.0 };
    let (first_vertex, first_triangle) = (mesh.vertices.len(), mesh.triangles.len());
    let mut hidden = Vec::with_capacity(rows * columns);
    mesh.grid(Part::Hair, rows, columns, true, |r, c| {
        let a = (c as f32 / columns as f32 - 0.5) * std::f32::consts::TAU;
        let (y, scale) = if r < cap {
            let e = (1.0 - r as f32 / cap as f32) * std::f32::consts::FRAC_PI_2;
            (CAP_Y + (s.crown_y - CAP_Y) * e.sin(), e.cos().max(0.002).powf(0.85))
        } else {
            let k = (r - cap).min(n);
            (lerp(CAP_Y, bottom, k as f32 / n as f32), if r == rows - 1 { 0.02 } else { 1.0 })
        };
        let long = hangs(h.style);
        let sec = head::section(s, if long { y.max(-1.0) } else { y });
        let hang = smooth(0.0, -8.0, y);
        let back = lerp(sec.back, if long { 7.0 } else { 5.5 }, hang);
        let (sin, cos) = a.sin_cos();
        let depth = if cos > 0.0 { sec.front } else { back };
        // The same section as the skull's, by angle.
        let e = if cos > 0.0 { s.boxy } else { 2.0 };
        let r0 = ((sin / sec.width).abs().powf(e) + (cos / depth).abs().powf(e)).powf(-1.0 / e);
        // In front there is the face, and below it the neck: the hair stays hidden behind them.
        let ahead = if long { smooth(h.edge + 0.12, h.edge - 0.25, a.abs()) * smooth(-2.0, -5.0, y) } else { 0.0 };
        // A nape is narrower than the jaw.
        let nape = if long { 1.0 } else { lerp(1.0, 0.8, smooth(-1.0, -5.0, y)) };
        let scale_in = scale * lerp(1.0, 0.15, ahead) * nape;
        let skull = Vec3::new(sin * r0 * scale_in, y, cos * r0 * scale_in);
        let mut t = thickness(p, a, y, skull, fall) * if y > 1.0 { squash } else { 1.0 };
        if hangs(h.style) && y < -2.0 {
            let wave = (y * 0.75 + p.seed as f32 % 7.0).sin() * 0.8 * h.curl;
            t += (wave + 0.10 * (-2.0 - y) * (0.3 + 0.3 * h.curl)) * smooth(h.edge, h.edge + 0.3, a.abs());
            let tips = smooth(bottom - 0.5, bottom + 3.0, y);
            t = lerp(t - 0.9, t, tips);
            t *= 1.0 - ahead;
        }
        let normal = Vec3::new(sin / sec.width, if y > CAP_Y { (y - CAP_Y) / 55.0 } else { 0.0 }, cos / depth);
        let v = skull + normal.normalize_or(Vec3::Y) * t;
        hidden.push(t < -0.8 || ahead > 0.95);
        (skull, v)
    });
    // Half of the shell lies under the face and is not drawn.
    let mut at = 0;
    mesh.triangles.retain(|(ids, _)| {
        at += 1;
        at <= first_triangle || !ids.iter().all(|i| hidden[*i as usize - first_vertex])
    });
    if h.style == Style::Bun {
        let top = Vec3::new(0.0, s.crown_y + 0.6, -3.5);
        ball(mesh, top, 2.9, fall);
    }
}

fn ball(mesh: &mut Mesh, middle: Vec3, radius: f32, seed: u32) {
    mesh.grid(Part::Hair, 8, 14, true, |r, c| {
        let e = (0.5 - r as f32 / 7.0) * std::f32::consts::PI;
        let a = (c as f32 / 14.0 - 0.5) * std::f32::consts::TAU;
        let d = Vec3::new(a.sin() * e.cos(), e.sin(), a.cos() * e.cos());
        let v = middle + d * radius * (1.0 + 0.12 * noise(d * 2.0, seed));
        (v, v)
    });
}

/// Added to the resting height of a hat, which marks it as a hat and not body.
pub const HAT_LIFT: f32 = 200.0;

/// A knitted hat.
fn beanie(mesh: &mut Mesh, p: &Person, fine: bool) {
    let s = &p.shape;
    let (rows, columns) = if fine { (16, 40) } else { (9, 24) };
    let low = p.brows.y + 2.2;
    mesh.grid(Part::Body, rows, columns, true, |r, c| {
        let a = (c as f32 / columns as f32 - 0.5) * std::f32::consts::TAU;
        let e = (1.0 - r as f32 / (rows - 1) as f32) * std::f32::consts::FRAC_PI_2;
        let top = s.crown_y + 2.0;
        let y = low + (top - low) * e.sin() - 1.2 * (1.0 - a.cos());
        let sec = head::section(s, low);
        let (sin, cos) = a.sin_cos();
        let depth = if cos > 0.0 { sec.front + 1.1 } else { sec.back + 1.4 };
        let w = sec.width + 1.3;
        let r0 = ((sin / w).powi(2) + (cos / depth).powi(2)).sqrt().recip();
        let scale = e.cos().max(0.002).powf(0.7);
        let v = Vec3::new(sin * r0 * scale, y, cos * r0 * scale);
        (v + Vec3::Y * HAT_LIFT, v)
    });
}

/// Colour of a hair strand at a point of the skull, and its shine.
#[must_use]
pub fn strands(h: &Hair, rest: Vec3, shape: Vec3, seed: u32) -> Vec3 {
    let streak = if h.curl > 0.6 {
        0.7 * noise(shape * 1.7, seed) + 0.5 * noise(shape * 4.1, seed)
    } else {
        let a = rest.x.atan2(rest.z) * 20.0;
        let bend = h.curl * 2.0 * (shape.y * 0.8).sin();
        0.7 * noise2(a + bend, shape.y * 0.25, seed) + 0.5 * noise2(a * 2.7 + bend, shape.y * 0.4, seed)
    };
    h.colour * (0.85 + 0.45 * streak).max(0.15) + Vec3::splat(0.004)
}
