//! A point of a person and the light on it → its colour.

use glam::{Vec2, Vec3A as Vec3};

use crate::clothes::Outfit;
use crate::hair;
use crate::light::Light;
use crate::mesh::{Mesh, Part, Vertex};
use crate::raster::{self, NONE, Shadow};
use crate::rng::{lerp, noise, smooth};
use crate::skin::{self, Moment, Paint};

/// Everything that the colour of a person's pixels depends on.
pub struct Shader<'a> {
    pub moment: Moment<'a>,
    pub outfit: &'a Outfit,
    pub light: &'a Light,
    pub shadow: &'a Shadow,
    /// Colour of the glasses.
    pub rim: Vec3,
}

impl Shader<'_> {
    /// Colour (times opacity), opacity, and whether most of it is the face.
    #[must_use]
    pub fn pixel(&self, mesh: &Mesh, seen: [u32; 4], at: Vec2) -> (Vec3, f32, bool) {
        let part = |t: u32| (t != NONE).then(|| mesh.triangles[t as usize].1);
        if let Some(kind) = part(seen[0])
            && seen[1..].iter().all(|t| *t == seen[0] || part(*t) == Some(kind))
        {
            let colour = self.shade(kind, &raster::interpolate(mesh, seen[0], at));
            return (colour, 1.0, owns(kind));
        }
        let mut colour = Vec3::ZERO;
        let mut cover = 0.0;
        let mut face = 0;
        for i in 0..4 {
            let Some(kind) = part(seen[i]) else { continue };
            if seen[..i].iter().any(|t| part(*t) == Some(kind)) {
                continue;
            }
            let count = seen[i..].iter().filter(|t| part(**t) == Some(kind)).count();
            let share = count as f32 * 0.25;
            let spot = at + Vec2::new((i & 1) as f32 - 0.5, (i >> 1) as f32 - 0.5) * 0.5;
            colour += self.shade(kind, &raster::interpolate(mesh, seen[i], spot)) * share;
            cover += share;
            if owns(kind) {
                face += count;
            }
        }
        (colour, cover, face >= 2)
    }

    fn shade(&self, part: Part, v: &Vertex) -> Vec3 {
        let m = &self.moment;
        let p = m.person;
        let paint = match part {
            Part::Skin => skin::paint(m, v.rest, v.shape),
            Part::Ear => {
                let fold = 0.75 + 0.25 * smooth(-0.4, 0.6, noise(v.rest * 0.9, 5));
                let red = Vec3::new(1.0, 0.84, 0.82);
                Paint { albedo: p.skin.albedo * red * fold, open: 0.8, gloss: 0.2, glint: 0.0, soft: 1.0 }
            }
            Part::Body => self.outfit.paint(m, v.rest),
            Part::Hair => {
                let albedo = hair::strands(&p.hair, v.rest, v.shape, p.seed as u32);
                let low = smooth(-9.0, 2.0, v.shape.y);
                Paint { albedo, open: lerp(0.5, 1.0, low), gloss: 0.0, glint: 0.0, soft: 0.25 }
            }
            Part::Rim => Paint { albedo: self.rim, open: 1.0, gloss: 1.0, glint: 0.0, soft: 0.0 },
        };
        self.lit(part, v, &paint)
    }

    fn lit(&self, part: Part, v: &Vertex, paint: &Paint) -> Vec3 {
        let light = self.light;
        let (n, key_from) = (v.normal, Vec3::from(light.key_from));
        let eye = (-v.at).normalize_or(Vec3::Z);
        let facing = n.dot(key_from);
        let shadow = if facing > -0.32 * paint.soft { self.shadow.light(v.at) } else { 0.0 };
        let wrap = |w: f32, from: f32| ((from + w) / (1.0 + w)).max(0.0);
        // Light that has been under the skin comes out redder, beyond the edge of the shadow.
        let s = paint.soft;
        let diffuse = Vec3::new(wrap(0.32 * s, facing), wrap(0.14 * s, facing), wrap(0.1 * s, facing));
        let bleed = Vec3::new(lerp(shadow, shadow.sqrt(), 0.6 * s), shadow, shadow);
        let key = Vec3::from(light.key) * diffuse * bleed;
        let fill = Vec3::from(light.fill) * wrap(0.3, n.dot(Vec3::from(light.fill_from)));
        let sky = Vec3::from(light.floor).lerp(Vec3::from(light.ceiling), 0.5 + 0.5 * n.y)
            * paint.open
            * (0.75 + 0.25 * n.z.max(0.0));
        let mut out = paint.albedo * (key + fill * paint.open + sky);
        let half = (key_from + eye).normalize_or_zero();
        if part == Part::Hair {
            let along = (v.shape.cross(Vec3::X).normalize_or(Vec3::Y) + Vec3::Y).normalize_or(Vec3::Y);
            let t = (self.moment.light + Vec3::Z).normalize_or(Vec3::Z).dot(along);
            let band = (1.0 - t * t).max(0.0).sqrt().powi(18) * self.moment.person.hair.shine;
            let tint = self.moment.person.hair.colour * 1.2 + 0.04;
            out += Vec3::from(light.key) * tint * (band * shadow * facing.max(0.0)) * 0.9;
        } else if paint.gloss > 0.0 {
            let h = n.dot(half).max(0.0);
            let spec = 0.1 * h.powi(12) + 0.12 * h.powi(48);
            out += Vec3::from(light.key) * (paint.gloss * spec * shadow);
            out += Vec3::from(light.fill) * (paint.gloss * 0.05 * n.dot(eye).max(0.0).powi(20));
        }
        let away = 1.0 - n.dot(eye);
        if light.rim[1] > 0.0 && away > 0.3 {
            let above = smooth(-0.3, 0.6, n.y + 0.3 * n.x.abs());
            out += Vec3::from(light.rim) * (paint.albedo + 0.03) * (0.5 * above * away.min(1.0).powi(4));
        }
        out + (Vec3::from(light.key) + Vec3::from(light.ceiling)) * (paint.glint * 0.7)
    }
}

/// Hair and glasses belong to a face: they do not hide it.
fn owns(part: Part) -> bool {
    matches!(part, Part::Skin | Part::Rim | Part::Hair)
}
