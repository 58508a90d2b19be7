//! Triangles → for each quarter pixel the visible triangle and the point on it.

use glam::{Vec2, Vec3A as Vec3};

use crate::mesh::{Mesh, Vertex};

/// No triangle is visible.
pub const NONE: u32 = u32::MAX;

/// The window of the picture that a person may cover, at 2 × 2 samples a pixel.
#[derive(Debug)]
pub struct Window {
    /// Pixels of the picture.
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
    /// [2 height, 2 width] triangle of each sample.
    pub seen: Vec<u32>,
    depth: Vec<f32>,
}

impl Window {
    /// The part of a `width` × `height` picture that `mesh` covers; None where it covers nothing.
    #[must_use]
    pub fn around(mesh: &Mesh, width: usize, height: usize) -> Option<Self> {
        let mut low = Vec2::splat(f32::INFINITY);
        let mut high = Vec2::splat(f32::NEG_INFINITY);
        for v in &mesh.vertices {
            low = low.min(v.screen);
            high = high.max(v.screen);
        }
        let clip = |v: f32, n: usize| v.clamp(0.0, n as f32) as usize;
        let (left, top) = (clip(low.x.floor(), width), clip(low.y.floor(), height));
        let (right, bottom) = (clip(high.x.ceil(), width), clip(high.y.ceil(), height));
        if right <= left || bottom <= top {
            return None;
        }
        let (width, height) = (right - left, bottom - top);
        let n = width * height * 4;
        let (mut seen, mut depth) = SPARE.take();
        seen.clear();
        seen.resize(n, NONE);
        depth.clear();
        depth.resize(n, f32::INFINITY);
        Some(Self { left, top, width, height, seen, depth })
    }

    /// Draws the triangles that face the camera.
    pub fn draw(&mut self, mesh: &Mesh) {
        let (columns, rows) = (self.width * 2, self.height * 2);
        let origin = Vec2::new(self.left as f32, self.top as f32);
        for id in 0..mesh.triangles.len() {
            let [a, b, c] = mesh.corners(id);
            let place = |v: &Vertex| (v.screen - origin) * 2.0;
            let (pa, pb, pc) = (place(a), place(b), place(c));
            let area = (pb - pa).perp_dot(pc - pa);
            // The image's y runs down, so that counter-clockwise from outside is negative here.
            if area >= -1e-6 {
                continue;
            }
            let low = pa.min(pb).min(pc) - 0.5;
            let high = pa.max(pb).max(pc) - 0.5;
            let x0 = low.x.ceil().max(0.0) as usize;
            let y0 = low.y.ceil().max(0.0) as usize;
            let x1 = (high.x.floor() + 1.0).clamp(0.0, columns as f32) as usize;
            let y1 = (high.y.floor() + 1.0).clamp(0.0, rows as f32) as usize;
            if x0 >= x1 || y0 >= y1 {
                continue;
            }
            let scale = 1.0 / area;
            let edge = |p: Vec2, q: Vec2| {
                let d = (q - p) * scale;
                let start = Vec2::new(x0 as f32 + 0.5, y0 as f32 + 0.5) - p;
                (d.perp_dot(start), -d.y, d.x)
            };
            let (wa, wax, way) = edge(pb, pc);
            let (wb, wbx, wby) = edge(pc, pa);
            let (da, db, dc) = (a.depth, b.depth, c.depth);
            let zx = wax * (da - dc) + wbx * (db - dc);
            let wide = x1 - x0 > 6;
            for y in y0..y1 {
                let dy = (y - y0) as f32;
                let (u, v) = (wa + way * dy, wb + wby * dy);
                let (skip, end) =
                    if wide { span([(u, wax), (v, wbx), (1.0 - u - v, -wax - wbx)], x1 - x0) } else { (0, x1 - x0) };
                let ahead = skip as f32;
                let (mut u, mut v) = (u + wax * ahead, v + wbx * ahead);
                let mut z = dc + u * (da - dc) + v * (db - dc);
                let at = y * columns + x0;
                let depth = &mut self.depth[at + skip..at + end];
                let seen = &mut self.seen[at + skip..at + end];
                for (d, s) in depth.iter_mut().zip(seen) {
                    if u >= 0.0 && v >= 0.0 && u + v <= 1.0 && z < *d {
                        *d = z;
                        *s = id as u32;
                    }
                    u += wax;
                    v += wbx;
                    z += zx;
                }
            }
        }
    }

    /// Depth of the nearest surface at pixel (x, y) of the window, cm.
    #[must_use]
    pub fn depth(&self, x: usize, y: usize) -> f32 {
        self.depth[(y * 2) * self.width * 2 + x * 2]
    }

    /// The four samples of pixel (x, y) of the window.
    #[must_use]
    pub fn samples(&self, x: usize, y: usize) -> [u32; 4] {
        let at = y * 4 * self.width + x * 2;
        let below = at + self.width * 2;
        [self.seen[at], self.seen[at + 1], self.seen[below], self.seen[below + 1]]
    }
}

/// The range start..end of a row of `n` samples in which three edges (value at the start, step) may all be positive,
/// wider than necessary by one sample on both sides.
fn span(edges: [(f32, f32); 3], n: usize) -> (usize, usize) {
    let (mut low, mut high) = (0.0_f32, n as f32);
    for (value, step) in edges {
        let at = -value / step;
        if step > 0.0 {
            low = low.max(at - 1.0);
        } else if step < 0.0 {
            high = high.min(at + 2.0);
        }
    }
    let start = (low.max(0.0) as usize).min(n);
    (start, (high.max(0.0) as usize).clamp(start, n))
}

impl Drop for Window {
    fn drop(&mut self) {
        SPARE.set((std::mem::take(&mut self.seen), std::mem::take(&mut self.depth)));
    }
}

thread_local! {
    /// The last window's memory, kept because fresh pages for each face would cost more than drawing it.
    static SPARE: std::cell::Cell<(Vec<u32>, Vec<f32>)> = const { std::cell::Cell::new((Vec::new(), Vec::new())) };
}

/// The point of a triangle under pixel position `p` of the picture.
#[must_use]
pub fn interpolate(mesh: &Mesh, triangle: u32, p: Vec2) -> Vertex {
    let [a, b, c] = mesh.corners(triangle as usize);
    let area = (b.screen - a.screen).perp_dot(c.screen - a.screen);
    let wa = (c.screen - b.screen).perp_dot(p - b.screen) / area;
    let wb = (a.screen - c.screen).perp_dot(p - c.screen) / area;
    // A silhouette's triangle may be seen by a sample beside the pixel's middle: the point stays on it.
    let (wa, wb) = (wa.clamp(0.0, 1.0), wb.clamp(0.0, 1.0));
    let wc = (1.0 - wa - wb).max(0.0);
    let (wa, wb, wc) = (wa / a.depth, wb / b.depth, wc / c.depth);
    let sum = 1.0 / (wa + wb + wc);
    let (wa, wb, wc) = (wa * sum, wb * sum, wc * sum);
    let blend = |f: fn(&Vertex) -> Vec3| f(a) * wa + f(b) * wb + f(c) * wc;
    Vertex {
        at: blend(|v| v.at),
        normal: blend(|v| v.normal).normalize_or_zero(),
        rest: blend(|v| v.rest),
        shape: blend(|v| v.shape),
        screen: p,
        depth: 1.0 / sum,
    }
}

/// The surfaces that the key light reaches: depths seen from the light.
#[derive(Debug)]
pub struct Shadow {
    right: Vec3,
    up: Vec3,
    towards: Vec3,
    origin: Vec2,
    scale: f32,
    near: Vec<f32>,
}

const SIDE: usize = 112;

impl Shadow {
    /// `keep` selects the vertices (camera space) that cast a shadow.
    #[must_use]
    pub fn cast(mesh: &Mesh, light: Vec3, keep: impl Fn(&Vertex) -> bool) -> Self {
        let towards = light.normalize();
        let right = Vec3::Y.cross(towards).normalize_or(Vec3::X);
        let up = towards.cross(right);
        let mut low = Vec2::splat(f32::INFINITY);
        let mut high = Vec2::splat(f32::NEG_INFINITY);
        let flat: Vec<(Vec2, f32, bool)> = mesh
            .vertices
            .iter()
            .map(|v| {
                let p = Vec2::new(v.at.dot(right), v.at.dot(up));
                let keep = keep(v);
                if keep {
                    low = low.min(p);
                    high = high.max(p);
                }
                (p, v.at.dot(towards), keep)
            })
            .collect();
        let scale = (SIDE - 2) as f32 / (high - low).max_element().max(1.0);
        let mut near = vec![f32::NEG_INFINITY; SIDE * SIDE];
        for (ids, _) in &mesh.triangles {
            let (a, b, c) = (&flat[ids[0] as usize], &flat[ids[1] as usize], &flat[ids[2] as usize]);
            if !(a.2 && b.2 && c.2) {
                continue;
            }
            let (pa, pb, pc) = ((a.0 - low) * scale + 1.0, (b.0 - low) * scale + 1.0, (c.0 - low) * scale + 1.0);
            let area = (pb - pa).perp_dot(pc - pa);
            if area <= 1e-6 {
                continue;
            }
            let from = (pa.min(pb).min(pc) - 0.5).ceil();
            let to = (pa.max(pb).max(pc) - 0.5).floor();
            let z_max = SIDE - 1;
            for y in from.y.max(0.0) as usize..=(to.y.max(0.0) as usize).min(z_max) {
                for x in from.x.max(0.0) as usize..=(to.x.max(0.0) as usize).min(z_max) {
                    let p = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
                    let u = (pc - pb).perp_dot(p - pb) / area;
                    let v = (pa - pc).perp_dot(p - pc) / area;
                    if u >= 0.0 && v >= 0.0 && u + v <= 1.0 {
                        let z = a.1 * u + b.1 * v + c.1 * (1.0 - u - v);
                        let cell = &mut near[y * SIDE + x];
                        *cell = cell.max(z);
                    }
                }
            }
        }
        Self { right, up, towards, origin: low, scale, near }
    }

    /// The share of the light that reaches `at` (camera space), [0, 1], with a soft edge.
    #[must_use]
    pub fn light(&self, at: Vec3) -> f32 {
        let p = (Vec2::new(at.dot(self.right), at.dot(self.up)) - self.origin) * self.scale + 0.5;
        let z = at.dot(self.towards) + 0.7;
        let (fx, fy) = (p.x.floor(), p.y.floor());
        let (u, v) = (p.x - fx, p.y - fy);
        let (x, y) = (fx as isize, fy as isize);
        let tap = |x: isize, y: isize| {
            if x < 0 || y < 0 || x >= SIDE as isize || y >= SIDE as isize {
                return 1.0;
            }
            ((z - self.near[y as usize * SIDE + x as usize]) * 1.4 + 1.0).clamp(0.0, 1.0)
        };
        let row = |y| tap(x, y) * (1.0 - u) + tap(x + 1, y) * u;
        row(y) * (1.0 - v) + row(y + 1) * v
    }
}
