//! One placed person → their pixels on the canvas, and the ground truth of their face.

use glam::{Mat3A as Mat3, Vec2, Vec3A as Vec3};

use crate::canvas::Canvas;
use crate::clothes::Outfit;
use crate::light::Light;
use crate::mesh::{Mesh, Vertex};
use crate::picture::Truth;
use crate::pose::Pose;
use crate::raster::{NONE, Shadow, Window};
use crate::rng::{noise, noise2, smooth};
use crate::scene::Placement;
use crate::shade::Shader;
use crate::skin::{self, Moment};
use crate::{glasses, hair, head};

/// Which face each pixel belongs to, for the visible share.
pub struct Owners {
    /// [height, width]: index of the face + 1, 0 for none.
    pub of: Vec<u16>,
}

struct View {
    turn: Mat3,
    shift: Vec3,
    focal: f32,
    centre: Vec2,
}

impl View {
    fn of(place: &Placement) -> Self {
        let turn = rotation(place.pose);
        let distance = place.distance_cm.clamp(35.0, 400.0);
        let s = &place.person.shape;
        let middle = Vec3::new(0.0, 0.5 * (s.chin_y + 6.0), 5.0);
        Self {
            turn,
            shift: Vec3::new(0.0, 0.0, -distance) - turn * middle,
            focal: place.face_width_px * distance / (2.0 * s.width),
            centre: Vec2::from(place.centre_px),
        }
    }

    fn project(&self, at: Vec3) -> (Vec2, f32) {
        let depth = (-at.z).max(1.0);
        (self.centre + Vec2::new(at.x, -at.y) * (self.focal / depth), depth)
    }

    fn point(&self, head: Vec3) -> Vec2 {
        self.project(self.turn * head + self.shift).0
    }
}

fn rotation(pose: Pose) -> Mat3 {
    Mat3::from_rotation_z(-pose.roll.to_radians())
        * Mat3::from_rotation_y(pose.yaw.to_radians())
        * Mat3::from_rotation_x(-pose.pitch.to_radians())
}

/// Draws `place` over `canvas` as face `index` and returns its ground truth; [`settle`] fills in `visible`.
pub fn draw(canvas: &mut Canvas, owners: &mut Owners, index: usize, place: &Placement, light: &Light) -> Truth {
    let p = &place.person;
    let view = View::of(place);
    let fine = place.face_width_px > 50.0;
    let outfit = Outfit::new(place.outfit, p.masculine);
    let worn = p.glasses.as_ref().filter(|_| place.wears_glasses);
    let mut mesh = Mesh::default();
    head::build(&mut mesh, p, &place.expression, fine);
    bearded(&mut mesh, place);
    let head_end = mesh.vertices.len();
    hair::build(&mut mesh, p, place.outfit, place.hat, fine);
    if let Some(g) = worn {
        glasses::build(&mut mesh, p, g);
    }
    let body_start = mesh.vertices.len();
    head::body(&mut mesh, p, outfit.puff, fine);
    pose(&mut mesh, body_start, &view, place.pose);

    let truth = truth(place, &view, &mesh.vertices[..head_end], worn.is_some());
    let Some(mut window) = Window::around(&mesh, canvas.width, canvas.height) else {
        return truth;
    };
    window.draw(&mesh);
    let key = Vec3::from(light.key_from);
    let shadow = Shadow::cast(&mesh, key, |v| v.rest.y > -22.0);
    let shader = Shader {
        moment: Moment {
            person: p,
            expression: &place.expression,
            gaze: place.gaze,
            soft: p.shape.width / place.face_width_px.max(1.0),
            light: view.turn.transpose() * key,
        },
        outfit: &outfit,
        light,
        shadow: &shadow,
        rim: worn.map_or(Vec3::ZERO, |g| g.colour),
    };
    for y in 0..window.height {
        for x in 0..window.width {
            let seen = window.samples(x, y);
            if seen == [NONE; 4] {
                continue;
            }
            let at = (y + window.top) * canvas.width + x + window.left;
            let middle = Vec2::new((x + window.left) as f32 + 0.5, (y + window.top) as f32 + 0.5);
            let (colour, cover, face) = shader.pixel(&mesh, seen, middle);
            canvas.px[at] = canvas.px[at] * (1.0 - cover) + colour;
            owners.of[at] = if face { index as u16 + 1 } else { 0 };
        }
    }
    if let Some(g) = worn {
        for side in [-1.0, 1.0] {
            lens(canvas, &window, &view, &glasses::lens(p, g, side), g.tint, &shader);
        }
    }
    truth
}

/// Fills in `visible`: the share of each face's box that still shows it, relative to an unhidden face.
pub fn settle(truth: &mut [Truth], owners: &Owners, width: usize, height: usize) {
    for (i, t) in truth.iter_mut().enumerate() {
        let [x1, y1, x2, y2] = t.bbox;
        let area = ((x2 - x1) * (y2 - y1)).max(1.0);
        let clip = |v: f32, n: usize| v.clamp(0.0, n as f32) as usize;
        let mut count = 0usize;
        for y in clip(y1, height)..clip(y2, height) {
            let row = &owners.of[y * width..(y + 1) * width];
            count += row[clip(x1, width)..clip(x2, width)].iter().filter(|o| **o as usize == i + 1).count();
        }
        // A head fills about four fifths of its face's box.
        t.visible = (count as f32 / (0.8 * area)).min(1.0);
    }
}

/// Pushes bearded skin outwards.
fn bearded(mesh: &mut Mesh, place: &Placement) {
    let b = &place.person.beard;
    if b.length <= 0.0 {
        return;
    }
    for v in &mut mesh.vertices {
        let (moustache, chin, cheeks) = skin::beard_area(&place.person, v.rest);
        let full = (0.4 * moustache * b.moustache).max(chin * b.chin).max(0.6 * cheeks * b.cheeks);
        if full > 0.0 {
            let clump = 0.8 + 0.4 * noise(v.rest * 1.3, place.person.seed as u32);
            v.shape += v.normal * b.length * full * clump;
            v.shape.y -= 0.6 * b.length * chin * b.chin;
        }
    }
}

/// Transforms the mesh from head to camera space. The body turns less than the head, and the neck bends between them.
fn pose(mesh: &mut Mesh, body_start: usize, view: &View, pose: Pose) {
    let neck = Vec3::new(0.0, -12.5, -2.0);
    let root = view.turn * neck + view.shift;
    let torso = rotation(Pose { yaw: pose.yaw * 0.35, pitch: 0.0, roll: pose.roll * 0.2 });
    for (i, v) in mesh.vertices.iter_mut().enumerate() {
        let at = view.turn * v.shape + view.shift;
        if i < body_start {
            v.at = at;
            v.normal = view.turn * v.normal;
        } else {
            let t = smooth(-9.0, -16.5, v.shape.y);
            v.at = at.lerp(torso * (v.shape - neck) + root, t);
            v.normal = (view.turn * v.normal).lerp(torso * v.normal, t).normalize_or_zero();
        }
        (v.screen, v.depth) = view.project(v.at);
    }
}

fn truth(place: &Placement, view: &View, head: &[Vertex], wears_glasses: bool) -> Truth {
    let p = &place.person;
    let s = &p.shape;
    let e = &place.expression;
    let on = |x: f32, y: f32| head::express(p, e, head::front(p, x, y));
    // The places that annotators use: lips end a little inside their corners, nose and mouth lie a little above the
    // middle of their shapes. Both published SCRFD models agree on the directions.
    let corner = s.mouth_width - 0.22;
    let eye = s.eye_x - 0.06;
    let marks = [
        on(-eye, 0.17),
        on(eye, 0.17),
        on(0.0, s.nose_y + 0.25),
        on(-corner, s.mouth_y + 0.28),
        on(corner, s.mouth_y + 0.28),
    ];
    let landmarks = marks.map(|m| view.point(m).to_array());
    let mut low = Vec2::splat(f32::INFINITY);
    let mut high = Vec2::splat(f32::NEG_INFINITY);
    let top = p.hair.hairline_y.min(6.6) + 0.2;
    for v in head.iter().filter(|v| v.rest.z > 1.6 && v.rest.y < top && v.rest.y > s.chin_y - 1.0) {
        low = low.min(v.screen);
        high = high.max(v.screen);
    }
    Truth {
        person: p.seed,
        bbox: [low.x, low.y, high.x, high.y],
        landmarks,
        pose: place.pose,
        visible: 0.0,
        wears_glasses,
    }
}

/// Darkens what is behind a lens and adds the glare of a lamp or window.
fn lens(canvas: &mut Canvas, window: &Window, view: &View, outline: &[Vec3], tint: f32, shader: &Shader) {
    let points: Vec<(Vec2, f32)> = outline.iter().map(|v| view.project(view.turn * *v + view.shift)).collect();
    let middle = points.iter().map(|p| p.0).sum::<Vec2>() / points.len() as f32;
    let depth = points.iter().map(|p| p.1).sum::<f32>() / points.len() as f32;
    let (low, high) = points.iter().fold((middle, middle), |(l, h), p| (l.min(p.0), h.max(p.0)));
    let key = Vec3::from(shader.light.key) + Vec3::from(shader.light.ceiling);
    let seed = shader.outfit.seed;
    let strength = 0.22 * noise2(3.0, 1.0, seed).max(0.0);
    let slope = noise2(1.0, 2.0, seed);
    let size = (high - low).max(Vec2::ONE);
    canvas_window(canvas, window, low, high, |px, at, local| {
        let inside =
            points.iter().zip(points.iter().cycle().skip(1)).all(|(a, b)| (b.0 - a.0).perp_dot(at - a.0) <= 0.0);
        if !inside || window.depth(local.0, local.1) < depth - 0.6 {
            return;
        }
        let q = (at - middle) / size;
        let band = smooth(0.16, 0.06, (q.x + slope * q.y + 0.25 * slope).abs());
        *px = *px * (0.95 - tint) + key * (0.015 + strength * band);
    });
}

fn canvas_window(
    canvas: &mut Canvas,
    window: &Window,
    low: Vec2,
    high: Vec2,
    mut f: impl FnMut(&mut Vec3, Vec2, (usize, usize)),
) {
    let clip = |v: f32, from: usize, n: usize| v.clamp(from as f32, (from + n) as f32) as usize;
    for y in clip(low.y, window.top, window.height)..clip(high.y + 1.0, window.top, window.height) {
        for x in clip(low.x, window.left, window.width)..clip(high.x + 1.0, window.left, window.width) {
            let at = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
            f(&mut canvas.px[y * canvas.width + x], at, (x - window.left, y - window.top));
        }
    }
}
