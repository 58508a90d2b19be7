//! A point of a head → the skin's colour there: lips, brows, beard, marks, age.

use glam::Vec3A as Vec3;

use crate::eyes::{self, Look};
use crate::hair;
use crate::head::JAW_DROP;
use crate::person::{Person, Style};
use crate::rng::{bump, lerp, noise, noise2, smooth};
use crate::scene::{Expression, Gaze};

/// The reflection of light at a point. Colours are linear.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    pub albedo: Vec3,
    /// The share of the ambient light that reaches it, [0, 1].
    pub open: f32,
    pub gloss: f32,
    /// Light that it reflects at any normal.
    pub glint: f32,
    /// How deeply light enters: 1 skin, 0 cloth.
    pub soft: f32,
}

/// Everything that the skin's colour depends on in one picture.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub person: &'a Person,
    pub expression: &'a Expression,
    pub gaze: Gaze,
    /// Half a pixel, cm.
    pub soft: f32,
    /// Direction to the key light in head space.
    pub light: Vec3,
}

/// The head's skin at `rest` (cm, before the expression), which the expression has moved to `shape`.
#[must_use]
pub fn paint(m: &Moment, rest: Vec3, shape: Vec3) -> Paint {
    let p = m.person;
    let s = &p.shape;
    let k = &p.skin;
    let seed = p.seed as u32;
    let (x, y, ax) = (rest.x, rest.y, rest.x.abs());
    let mut c = k.albedo * (1.0 + k.mottle * noise(rest * 0.8, seed) + 0.5 * k.mottle * noise(rest * 2.6, seed));
    let mut out = Paint { albedo: c, open: 1.0, gloss: k.gloss, glint: 0.0, soft: 1.0 };
    if rest.z < 0.5 {
        out.albedo = scalp(p, rest, c);
        return out;
    }
    // Blood: cheeks, nose, chin.
    let blush = bump(((ax - 4.3) / 2.6).powi(2) + ((y + 3.2) / 2.4).powi(2))
        + 0.8 * bump((ax / 1.6).powi(2) + ((y - s.nose_y) / 1.5).powi(2));
    c *= Vec3::ONE - Vec3::new(0.02, 0.26, 0.22) * (0.25 + 0.75 * k.rosy) * blush;
    if k.freckles > 0.0 {
        c *= 1.0 - freckles(k.freckles, x, y, seed) * 0.4;
    }
    for [mx, my, r, dark] in &k.moles {
        let d = ((x - mx).powi(2) + (y - my).powi(2)).sqrt();
        let spot = smooth(r + m.soft, r * 0.5 - m.soft * 0.5, d);
        c = c.lerp(c * Vec3::new(0.3, 0.2, 0.17), dark * spot);
    }
    // Folds: beside the nose, on the forehead, at the eyes.
    let fold_x =
        lerp(s.nose_width + 0.4, s.mouth_width + 0.9, ((s.nose_y - y) / (s.nose_y - s.mouth_y)).clamp(-0.3, 1.3));
    let along = smooth(s.mouth_y - 0.8, s.mouth_y + 0.8, y) * smooth(s.nose_y + 0.9, s.nose_y, y);
    let fold = smooth(0.35 + m.soft, 0.0, (ax - fold_x).abs()) * along;
    c *= 1.0 - fold * (0.1 + 0.28 * k.wrinkles + 0.18 * m.expression.smile.max(0.0));
    let creases = k.wrinkles + 0.35 * m.expression.brow_raise.max(0.0);
    if creases > 0.05 && y > 2.6 && ax < 5.0 {
        let wave = y * 4.6 + 0.5 * noise2(x * 0.6, 1.0, seed);
        c *= 1.0 - 0.16 * creases * smooth(0.7, 1.0, wave.sin()) * smooth(5.0, 3.0, ax) * smooth(6.5, 5.5, y);
    }
    if k.wrinkles > 0.1 && ax > s.eye_x + 1.2 && y.abs() < 1.6 {
        let feet = ((y * 5.0) / (ax - s.eye_x)).sin();
        c *= 1.0 - 0.22 * k.wrinkles * smooth(0.6, 1.0, feet) * smooth(s.eye_x + 3.0, s.eye_x + 1.8, ax);
    }
    c = brows(m, c, x, y);
    c = beard(p, c, rest, m.soft);
    // Nostrils.
    let nose_low = s.nose_y - 0.72 - 0.1 * s.nose_up;
    let hole =
        ((ax - s.nose_width * 0.42) / 0.42).powi(2) + ((y - nose_low) / (0.2 + 0.16 * (s.nose_up + 0.4))).powi(2);
    c *= 1.0 - 0.7 * smooth(1.1 + m.soft * 2.0, 0.25, hole);
    let wing =
        smooth(0.22 + m.soft, 0.0, (ax - s.nose_width - 0.12).abs()) * bump(((y - s.nose_y + 0.35) / 0.9).powi(2));
    c *= 1.0 - 0.35 * wing;
    out.albedo = c;
    lips(m, &mut out, shape);
    if shape.y.abs() < 2.3 {
        match eyes::look(p, m.expression, m.gaze, shape.x, shape.y, m.soft, m.light) {
            Look::Skin(by) => out.albedo *= by,
            Look::Ball(color, glint, cover) => {
                out.albedo = out.albedo.lerp(color, cover);
                out.glint = glint * cover;
                out.gloss = 0.6;
                out.soft = 0.3;
            }
        }
    }
    // Hollows get less light: sockets, beside the nose, under nose and lip and chin.
    let hollow = |cx: f32, cy: f32, rx: f32, ry: f32| bump(((ax - cx) / rx).powi(2) + ((y - cy) / ry).powi(2));
    let dark = 0.18 * s.eye_depth * hollow(s.eye_x - 1.3, 0.4, 1.6, 1.3)
        + 0.25 * hollow(s.nose_width + 0.3, s.nose_y + 0.2, 0.9, 1.4)
        + 0.45 * hollow(0.0, s.nose_y - 1.0, s.nose_width, 0.7)
        + 0.3 * hollow(0.0, s.mouth_y - 1.1 - s.lip_lower * 0.6, 2.0, 0.7)
        + 0.6 * smooth(s.chin_y + 0.5, s.chin_y - 0.4, y);
    out.open = (1.0 - dark).max(0.2);
    if y > 2.0 || rest.z < 4.0 {
        out.albedo = scalp(p, rest, out.albedo);
    }
    out
}

/// Hair roots, and the short hair of a shaved head.
fn scalp(p: &Person, rest: Vec3, c: Vec3) -> Vec3 {
    if p.hair.style == Style::Bald || rest.y < -9.0 {
        return c;
    }
    let depth = hair::inside(&p.hair, rest.x.atan2(rest.z), rest.y);
    let thin = if p.hair.style == Style::Buzz { 0.75 } else { 0.95 };
    c.lerp(p.hair.colour * 0.9, thin * smooth(-0.35, 0.7, depth + 0.25 * noise2(rest.x * 5.0, rest.y * 3.0, 7)))
}

fn freckles(amount: f32, x: f32, y: f32, seed: u32) -> f32 {
    let area = bump((x / 6.0).powi(2) + ((y + 2.0) / 3.6).powi(2));
    if area <= 0.0 {
        return 0.0;
    }
    smooth(0.3, 0.8, noise2(x * 4.1 + y * 2.9, y * 4.1 - x * 2.9, seed) * (0.55 + 0.6 * area.sqrt())) * amount
}

fn brows(m: &Moment, c: Vec3, x: f32, y: f32) -> Vec3 {
    let b = &m.person.brows;
    let ax = x.abs();
    let t = (ax - b.inner) / (b.outer - b.inner);
    if !(-0.15..=1.15).contains(&t) || (y - b.y).abs() > 2.0 {
        return c;
    }
    let frown = -m.expression.brow_raise.min(0.0) * 0.35 * (1.0 - t);
    let line = b.y + b.angle * (t - 0.5) * 2.2 + b.arch * (1.0 - ((t - 0.62) / 0.62).powi(2)) * 0.7 - frown;
    let half = b.thickness * lerp(1.0, 0.4, t.max(0.0)) * smooth(-0.12, 0.1, t) * smooth(1.12, 0.85, t);
    let off = (y - line).abs();
    let body = smooth(half + 0.12 + m.soft, half * 0.35, off);
    if body <= 0.0 || half <= 0.01 {
        return c;
    }
    let hairs = 0.8 + 0.35 * noise2((x + y * 0.6 * x.signum()) * 9.0, y * 4.0, m.person.seed as u32 ^ 0xb0);
    c.lerp(b.colour, (body * hairs * b.density).clamp(0.0, 1.0))
}

/// Where a beard of each kind grows at a point of the resting face: (moustache, chin, cheeks), [0, 1].
#[must_use]
pub fn beard_area(p: &Person, rest: Vec3) -> (f32, f32, f32) {
    let s = &p.shape;
    let (y, ax) = (rest.y, rest.x.abs());
    if y > -1.0 || rest.z < -0.5 {
        return (0.0, 0.0, 0.0);
    }
    let my = s.mouth_y;
    let lip = my + s.lip_upper * 0.9;
    let moustache = smooth(s.nose_y - 0.55, s.nose_y - 1.0, y)
        * smooth(lip - 0.1, lip + 0.2, y + 0.12 * ax)
        * smooth(s.mouth_width + 0.9, s.mouth_width + 0.2, ax)
        + 0.6
            * smooth(0.5, 0.1, (ax - s.mouth_width - 0.45).abs())
            * smooth(lip + 0.2, lip - 0.2, y)
            * smooth(my - 1.6, my - 0.6, y);
    let chin = smooth(my - 0.9 - s.lip_lower * 0.8, my - 1.4 - s.lip_lower * 0.8, y)
        * smooth(s.mouth_width + 1.0, s.mouth_width + 0.1, ax)
        + smooth(0.6, 0.2, ax) * smooth(my - 0.6 - s.lip_lower, my - 0.9 - s.lip_lower, y) * 0.8;
    let line = lerp(my + 0.6, -0.5, smooth(2.8, s.width * 0.95, ax));
    let side = smooth(line + 0.4, line - 0.7, y) * smooth(s.mouth_width + 0.1, s.mouth_width + 0.9, ax);
    let below = smooth(my - 1.2, my - 1.8, y);
    (moustache.min(1.0), chin.min(1.0), (side + below * (1.0 - chin)).min(1.0))
}

fn beard(p: &Person, c: Vec3, rest: Vec3, soft: f32) -> Vec3 {
    let b = &p.beard;
    if b.word.is_none() && b.stubble < 0.05 {
        return c;
    }
    if rest.y > -0.5 {
        return c;
    }
    // Ragged edges: hairs do not end on a line.
    let mid = noise(rest * 2.2, p.seed as u32 ^ 1);
    let (moustache, chin, cheeks) = beard_area(p, rest + Vec3::new(0.1, 0.28, 0.0) * mid);
    let any = moustache.max(chin).max(cheeks);
    if any <= 0.0 {
        return c;
    }
    let fine = if soft < 0.08 { noise(rest * Vec3::new(8.0, 5.0, 8.0), p.seed as u32) } else { 0.0 };
    let stubble = any * b.stubble * (0.55 + 0.25 * fine + 0.1 * mid);
    let full = (moustache * b.moustache).max(chin * b.chin).max(cheeks * b.cheeks);
    let full = (full * (1.0 + 0.25 * fine + 0.25 * mid)).clamp(0.0, 1.0);
    let hair = b.colour * (1.0 + 0.3 * fine + 0.15 * mid) + 0.004;
    c.lerp(b.colour.lerp(c * 0.5, 0.4), stubble.clamp(0.0, 1.0)).lerp(hair, full * 0.95)
}

fn lips(m: &Moment, out: &mut Paint, shape: Vec3) {
    let (p, e) = (m.person, m.expression);
    let s = &p.shape;
    let smile = e.smile;
    let half = s.mouth_width + 0.35 * smile;
    let u = shape.x.abs() / half;
    let low = s.mouth_y - JAW_DROP - 2.5;
    if u > 1.25 || shape.y > s.mouth_y + 2.0 || shape.y < low {
        return;
    }
    let arch = (1.0 - u * u).max(0.0);
    let middle = s.mouth_y + 0.5 * smile * u * u - 0.06 * smile;
    let gap = e.mouth_open;
    let top = middle + 0.22 * gap * arch.sqrt();
    let bottom = middle - JAW_DROP * 0.92 * gap * arch.powf(0.7);
    let bow = 1.0 - s.cupid * bump((u / 0.22).powi(2)) + 0.25 * bump(((u - 0.28) / 0.3).powi(2));
    let stretch = 1.0 - 0.3 * smile.max(0.0);
    let high = top + s.lip_upper * stretch * arch.powf(0.8) * bow;
    let deep = bottom - s.lip_lower * stretch * arch.powf(0.6);
    let y = shape.y;
    let soft = m.soft + 0.06;
    let on = smooth(high + soft, high - soft, y) * smooth(deep - soft, deep + soft, y) * smooth(1.04, 0.95, u);
    let k = &p.skin;
    let upper = smooth(bottom - 0.1, top, y);
    let grain = 1.0 + 0.1 * noise2(shape.x * 5.0, y, p.seed as u32 ^ 0x11b5);
    let colour = k.lips * lerp(1.08, 0.82, upper) * grain;
    out.albedo = out.albedo.lerp(colour, on * 0.9);
    out.gloss = lerp(out.gloss, 0.45, on);
    // Between the lips: a line, or teeth and darkness.
    let line = smooth(0.09 + soft, 0.0, (y - middle).abs().min((y - top).abs())) * smooth(1.1, 0.9, u);
    out.albedo *= 1.0 - 0.72 * line * (1.0 - gap).max(0.4);
    if gap > 0.02 {
        let inside = smooth(top + soft * 0.5, top - soft * 0.7, y)
            * smooth(bottom - soft * 0.5, bottom + soft * 0.7, y)
            * smooth(1.0, 0.93, u);
        let tooth = top - y;
        let white = smooth(0.85, 0.7, tooth) * smooth(0.95, 0.7, u);
        let gaps = 1.0 - 0.25 * smooth(0.88, 1.0, (shape.x * 4.2).cos().abs());
        let teeth = Vec3::new(0.7, 0.66, 0.58) * gaps * (0.55 + 0.45 * smooth(0.0, 0.3, tooth)) * (1.0 - 0.4 * u * u);
        let tongue = Vec3::new(0.2, 0.05, 0.05) * smooth(0.9, 1.6, tooth);
        let dark = Vec3::new(0.03, 0.012, 0.012) + tongue;
        out.albedo = out.albedo.lerp(dark.lerp(teeth, white), inside);
        out.soft = lerp(out.soft, 0.2, inside);
    }
    let corner = bump(((shape.x.abs() - half) / 0.5).powi(2) + ((y - s.mouth_y - 0.45 * smile) / 0.4).powi(2));
    out.albedo *= 1.0 - 0.35 * corner;
}
