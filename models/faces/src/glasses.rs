//! A person's glasses → rims, bridge and arms as thin tubes, and the places of the lenses (head space, cm).

use glam::Vec3A as Vec3;

use crate::head;
use crate::mesh::{Mesh, Part};
use crate::person::{Glasses, Person};

/// The place of the glasses: the outline of one lens, `turn` in radians, as seen at the image's right for `side` = 1.
fn outline(p: &Person, g: &Glasses, side: f32, turn: f32) -> Vec3 {
    let (s, c) = turn.sin_cos();
    let e = 2.0 / g.square;
    let (u, v) = (c.signum() * c.abs().powf(e), s.signum() * s.abs().powf(e));
    let outwards = g.droop * (-v).max(0.0) * 0.5;
    let x = p.shape.eye_x + 0.12 + outwards + u * g.half_width * (1.0 - 0.1 * g.droop * (v + 1.0));
    let y = -0.35 + v * g.half_height;
    on_plane(p, side * x, y)
}

fn on_plane(p: &Person, x: f32, y: f32) -> Vec3 {
    let bridge = head::front(p, 0.0, 0.2).z.max(head::front(p, p.shape.eye_x, p.brows.y - 0.4).z - 0.2);
    Vec3::new(x, y, bridge + 0.45 - 0.045 * x * x + 0.06 * y)
}

/// Adds frame and arms.
pub fn build(mesh: &mut Mesh, p: &Person, g: &Glasses) {
    const N: usize = 26;
    let thin = g.rim * 0.7;
    for side in [-1.0, 1.0] {
        let ring: Vec<Vec3> =
            (0..N).map(|i| outline(p, g, side, i as f32 / N as f32 * std::f32::consts::TAU)).collect();
        if g.half_rim {
            let upper: Vec<Vec3> =
                (0..=12).map(|i| outline(p, g, side, -0.25 + (std::f32::consts::PI + 0.5) * i as f32 / 12.0)).collect();
            mesh.tube(Part::Rim, &upper, g.rim, false);
        } else {
            mesh.tube(Part::Rim, &ring, g.rim, true);
        }
        let hinge = outline(p, g, side, 0.45);
        let w = side * (p.shape.width + 0.25);
        let bend = Vec3::new(w, hinge.y, hinge.z - 2.2);
        let ear = Vec3::new(w, 0.2, -0.8);
        mesh.tube(Part::Rim, &[hinge, bend, ear], thin.max(0.1), false);
    }
    let half = p.shape.eye_x + 0.12 - g.half_width;
    let y = if g.droop > 0.0 { 0.8 } else { 0.15 };
    let bridge: Vec<Vec3> = (0..=6)
        .map(|i| {
            let t = i as f32 / 3.0 - 1.0;
            let mut v = on_plane(p, t * (half + 0.1), y + 0.3 * (1.0 - t * t));
            v.z += 0.15 * (1.0 - t * t);
            v
        })
        .collect();
    mesh.tube(Part::Rim, &bridge, thin, false);
}

/// One lens as a fan: middle and outline.
#[must_use]
pub fn lens(p: &Person, g: &Glasses, side: f32) -> Vec<Vec3> {
    (0..20).map(|i| outline(p, g, side, i as f32 / 20.0 * std::f32::consts::TAU)).collect()
}
