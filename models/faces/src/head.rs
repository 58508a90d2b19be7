//! A person's shape and expression → the surface of the head, ears, neck and shoulders (head space, cm).

use glam::Vec3A as Vec3;

use crate::mesh::{Mesh, Part};
use crate::person::{Person, Shape};
use crate::rng::{bump, lerp, smooth, spline};
use crate::scene::Expression;

/// The widths and depths of the horizontal section at one height.
#[derive(Clone, Copy)]
pub struct Section {
    pub width: f32,
    pub front: f32,
    pub back: f32,
}

/// Height at which the cap of the skull begins.
pub const CAP_Y: f32 = 4.0;

/// The skull's section at height `y`, without the caps at its ends.
#[must_use]
pub fn section(s: &Shape, y: f32) -> Section {
    let w = s.width;
    let chin = s.chin_y;
    let jaw = s.jaw * w;
    Section {
        width: spline(
            &[
                (chin + 0.5, s.chin_width + 0.9),
                (chin + 2.0, lerp(s.chin_width + 1.6, jaw, 0.55)),
                (s.jaw_y, jaw),
                (-4.6, lerp(jaw, w, 0.62)),
                (-1.6, w),
                (2.0, w * lerp(1.0, s.temple, 0.75)),
                (5.0, w * s.temple),
            ],
            y,
        ),
        front: spline(
            &[
                (chin, 7.7 + s.chin_out * 0.5),
                (chin + 1.2, 8.3 + s.chin_out * 0.4),
                (-7.0, 8.7),
                (-3.0, 8.9),
                (0.0, 9.0),
                (2.0, 9.2),
                (5.0, s.forehead_z + 0.3),
                (7.0, s.forehead_z),
            ],
            y,
        ),
        back: spline(&[(-11.0, 2.5), (-8.0, 4.5), (-4.0, 7.5), (1.0, 9.8), (5.0, 10.0)], y),
    }
}

/// One row of the head's grid: height, how far the section has closed, and how far the row sinks under the jaw.
struct Row {
    y: f32,
    scale: f32,
}

fn rows(s: &Shape, fine: bool) -> Vec<Row> {
    let step = if fine { 0.42 } else { 0.85 };
    let cap = if fine { 8 } else { 5 };
    let mut rows: Vec<Row> = (0..cap)
        .map(|i| {
            let a = (1.0 - i as f32 / cap as f32) * std::f32::consts::FRAC_PI_2;
            Row { y: CAP_Y + (s.crown_y - CAP_Y) * a.sin(), scale: a.cos().max(0.003).powf(0.85) }
        })
        .collect();
    let low = s.chin_y + 0.9;
    let n = ((CAP_Y - low) / step).ceil() as usize;
    rows.extend((0..n).map(|i| Row { y: lerp(CAP_Y, low, i as f32 / n as f32), scale: 1.0 }));
    let under = if fine { 7 } else { 4 };
    rows.extend((0..=under).map(|i| {
        let a = i as f32 / under as f32 * std::f32::consts::FRAC_PI_2;
        Row { y: low - 0.9 * a.sin(), scale: a.cos().max(0.003).powf(0.8) }
    }));
    rows
}

/// Unit section: for each column (x in [-1, 1], z front fraction or negative back fraction).
fn columns(boxy: f32, fine: bool) -> Vec<(f32, f32)> {
    let (front, back) = if fine { (21, 9) } else { (11, 6) };
    let mut half: Vec<(f32, f32)> = (0..=front)
        .map(|i| {
            let s = i as f32 / front as f32;
            let x = (s.powf(1.12) * std::f32::consts::FRAC_PI_2).sin();
            (x, (1.0 - x.powf(boxy)).max(0.0).powf(1.0 / boxy))
        })
        .collect();
    half.extend((1..=back).map(|i| {
        let a = i as f32 / back as f32 * std::f32::consts::FRAC_PI_2;
        (a.cos().max(0.0), -a.sin())
    }));
    let mut all: Vec<(f32, f32)> = half[1..half.len() - 1].iter().rev().map(|&(x, z)| (-x, z)).collect();
    // From the back over the left, the front, the right: columns run to the image's right.
    all.insert(0, *half.last().unwrap_or(&(0.0, -1.0)));
    all.extend(half[..half.len() - 1].iter());
    all
}

fn hill(x: f32, y: f32, cx: f32, cy: f32, rx: f32, ry: f32) -> f32 {
    let (u, v) = ((x - cx) / rx, (y - cy) / ry);
    bump(u * u + v * v)
}

/// How far the features protrude from the skull at (x, y) of the front, cm along z.
#[must_use]
pub fn relief(p: &Person, x: f32, y: f32) -> f32 {
    let s = &p.shape;
    let ax = x.abs();
    if y > 5.0 {
        return 0.0;
    }
    let chin = s.chin_y;
    let mut z = 0.0;
    // Brow ridge, sockets, eyeballs, cheekbones, cheeks.
    z += s.brow_ridge * hill(ax, y, s.eye_x - 0.4, p.brows.y - 0.3, 3.2, 1.5);
    z -= s.eye_depth * hill(ax, y, s.eye_x - 0.2, 0.1, 2.5, 1.9);
    z -= 0.5 * s.eye_depth * hill(ax, y, s.eye_x - 1.6, 0.2, 1.3, 1.5);
    z += 0.55 * hill(ax, y, s.eye_x, -0.05, 1.6, 1.25);
    z -= 0.35 * p.eyes.bags * hill(ax, y, s.eye_x - 0.3, -1.35, 1.7, 0.6);
    z += s.cheekbone * hill(ax, y, 4.5, -2.3, 2.6, 2.3);
    z += (0.25 + 0.5 * s.cheek_fat) * hill(ax, y, 4.0, -5.0, 2.8, 3.0);
    // Muzzle, lips, chin.
    z += s.muzzle * hill(ax, y, 0.0, s.mouth_y + 0.2, 3.8, 3.4);
    let (mw, my) = (s.mouth_width, s.mouth_y);
    z += (0.2 + 0.4 * s.lip_upper) * hill(ax, y, 0.4, my + 0.35, mw, 0.8);
    z += (0.2 + 0.45 * s.lip_lower) * hill(ax, y, 0.0, my - 0.55, mw * 0.85, 0.85);
    z -= 0.35 * hill(ax, y, 0.0, my, mw * 1.1, 0.4);
    z -= 0.35 * hill(ax, y, 0.0, my - 0.9 - s.lip_lower * 0.6, mw, 0.6);
    z -= 0.15 * hill(ax, y, mw + 0.2, my, 0.8, 0.8);
    z -= 0.18 * hill(ax, y, 0.0, my + 1.2, 0.5, 0.9);
    z += (0.25 + 0.6 * s.chin_out) * hill(ax, y, 0.0, chin + 1.5, 2.4, 1.7);
    z -= s.chin_cleft * hill(ax, y, 0.0, chin + 1.2, 0.45, 1.1);
    z + nose(s, ax, y)
}

fn nose(s: &Shape, ax: f32, y: f32) -> f32 {
    let tip = s.nose_y;
    let base = tip - 0.95 - 0.25 * s.nose_up;
    if y > 2.0 || y < base - 0.5 || ax > s.nose_width + 1.2 {
        return 0.0;
    }
    let t = ((1.0 - y) / (1.0 - tip)).clamp(-0.5, 1.0);
    let ridge = if t < 0.0 {
        s.nose_root * (1.0 + t * 2.0).max(0.0)
    } else {
        lerp(s.nose_root, s.nose_out - 0.3, t.powf(1.15)) + s.nose_hump * bump((t - 0.45) * (t - 0.45) / 0.12)
    };
    let below = smooth(base - 0.35, tip - 0.1 - 0.25 * s.nose_up, y);
    let half = lerp(s.bridge_width + 0.35, s.bridge_width + 0.95, t.max(0.0)) + 0.9 * (1.0 - below);
    let u = ax / half;
    let profile = bump(u * u);
    let mut z = ridge * below * profile;
    z += (0.3 + s.nose_ball * 0.5) * hill(ax, y, 0.0, tip, 1.0 + s.nose_ball * 0.4, 0.95);
    z += (0.5 + 0.28 * s.nose_out) * hill(ax, y, s.nose_width - 0.5, tip - 0.3, 0.85, 0.85);
    z
}

/// The skull's front at (x, y), features included, before the expression.
#[must_use]
pub fn front(p: &Person, x: f32, y: f32) -> Vec3 {
    let s = &p.shape;
    let sec = section(s, y);
    let u = (x.abs() / sec.width).min(1.0);
    let n = s.boxy;
    let z = sec.front * (1.0 - u.powf(n)).max(0.0).powf(1.0 / n);
    Vec3::new(x, y, z + relief(p, x, y))
}

/// The place of a point of the resting face under the expression.
#[must_use]
pub fn express(p: &Person, e: &Expression, mut v: Vec3) -> Vec3 {
    let s = &p.shape;
    if v.z < 0.0 || v.y > 4.0 {
        return v;
    }
    let ahead = smooth(0.0, 5.0, v.z);
    let (mw, my) = (s.mouth_width, s.mouth_y);
    let ax = v.x.abs();
    v.z += 0.45 * e.smile.max(0.0) * hill(ax, v.y, 3.6, my + 3.2, 2.6, 2.2);
    let near = hill(ax, v.y, mw, my, 2.2, 2.0) * e.smile;
    v.x += v.x.signum() * 0.35 * near;
    v.y += 0.5 * near;
    v.z -= 0.3 * near.max(0.0);
    v.y -= JAW_DROP * e.mouth_open * smooth(my + 0.1, my - 1.6, v.y) * ahead;
    v.y += 0.35 * e.brow_raise * hill(ax, v.y, 2.8, 2.2, 3.5, 1.6);
    v
}

/// How far a wide-open mouth lowers the chin, cm.
pub const JAW_DROP: f32 = 1.9;

/// Adds head and ears. `fine` is for faces more than some 60 px wide.
pub fn build(mesh: &mut Mesh, p: &Person, e: &Expression, fine: bool) {
    let s = &p.shape;
    let rows = rows(s, fine);
    let columns = columns(s.boxy, fine);
    let mut row_section = (usize::MAX, section(s, 0.0));
    mesh.grid(Part::Skin, rows.len(), columns.len(), true, |r, c| {
        let row = &rows[r];
        if row_section.0 != r {
            row_section = (r, section(s, row.y));
        }
        let sec = &row_section.1;
        let (cx, cz) = columns[c];
        let x = cx * sec.width * row.scale;
        let depth = if cz >= 0.0 { sec.front } else { sec.back };
        // Sections close towards a point under the palate, not towards the axis.
        let centre = if row.y < 0.0 { 3.0 * (1.0 - row.scale) } else { 0.0 };
        let mut v = Vec3::new(x, row.y, cz * depth * row.scale + centre);
        if cz > 0.0 {
            v.z += relief(p, x, row.y) * smooth(0.0, 0.35, cz) * row.scale;
        }
        // The jaw rises from the chin to the ears.
        let aside = 1.0 - (v.z / sec.front).clamp(-0.2, 1.0);
        v.y += 3.4 * aside * aside * smooth(-4.5, s.chin_y, row.y);
        (v, express(p, e, v))
    });
    for side in [-1.0, 1.0] {
        ear(mesh, s, side, fine);
    }
}

fn ear(mesh: &mut Mesh, s: &Shape, side: f32, fine: bool) {
    let (rows, columns) = if fine { (11, 12) } else { (7, 8) };
    let size = s.ear_size;
    let middle = Vec3::new(side * (s.width * 0.97), -1.6, -0.6);
    let out = 0.5 + s.ear_out;
    mesh.grid(Part::Ear, rows, columns, true, |r, c| {
        let a = r as f32 / (rows - 1) as f32 * std::f32::consts::PI;
        let b = c as f32 / columns as f32 * std::f32::consts::TAU;
        let taper = 0.75 + 0.25 * a.cos();
        // sin π is a little below 0.
        let ring = a.sin().max(0.0).powf(0.8);
        // In the ear's own plane: up, back; and outwards.
        let (up, back, thick) = (3.0 * size * a.cos(), 1.75 * size * ring * taper * b.cos(), 0.42 * ring * b.sin());
        let hinge = (back / (1.75 * size)).clamp(-1.0, 1.0);
        let away = side * (0.5 * out * (hinge + 1.0) + thick);
        let v = middle + Vec3::new(away, up, -back * 0.9);
        let v = if side < 0.0 { v } else { middle + Vec3::new(away, up, -back * 0.9) };
        (v, v)
    });
}

/// Adds neck and shoulders, down to the hip.
pub fn body(mesh: &mut Mesh, p: &Person, cloth: f32, fine: bool) {
    let n = p.shape.neck;
    let broad = lerp(16.5, 20.5, p.masculine);
    let slope = lerp(-19.0, -17.5, p.masculine);
    let heights: &[f32] = &[
        -5.0, -8.0, -10.0, -11.5, -12.7, -13.7, -14.6, -15.4, -16.2, -17.0, -18.0, -19.5, -21.5, -24.0, -28.0, -33.0,
        -45.0, -70.0, -110.0,
    ];
    let columns = if fine { 40 } else { 24 };
    let width = [
        (-110.0, broad * 0.8),
        (-60.0, broad * 0.86),
        (-33.0, broad * 0.98),
        (-24.0, broad),
        (slope - 1.5, broad * 0.93),
        (slope + 0.4, broad * 0.72),
        (-15.5, n + 4.5),
        (-14.0, n + 1.4),
        (-12.0, n + 0.2),
        (-8.0, n),
    ];
    let depth = [(-38.0, 11.0), (-22.0, 10.0), (-17.0, 8.0), (-14.0, n + 0.6), (-8.0, n)];
    mesh.grid(Part::Body, heights.len(), columns, true, |r, c| {
        let y = heights[r];
        let a = (c as f32 / columns as f32 - 0.5) * std::f32::consts::TAU;
        let puff = cloth * smooth(-14.0, -15.5, y);
        let (w, d) = (spline(&width, y) + puff, spline(&depth, y) + puff);
        let v = Vec3::new(w * a.sin(), y, d * a.cos() - 2.0 - 0.1 * (y + 14.0).max(0.0));
        (v, v)
    });
}
