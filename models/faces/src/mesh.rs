//! Rows and columns of points → triangles with smooth normals.

use glam::{Vec2, Vec3A as Vec3};

/// The material of a triangle, which decides how its pixels are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Skin,
    Ear,
    Body,
    Hair,
    Rim,
}

/// A point of a surface. All in cm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vertex {
    /// Camera space: x to the right, y up, z towards the camera, which is at the origin.
    pub at: Vec3,
    pub normal: Vec3,
    /// Head space, before the expression; skin marks move with it.
    pub rest: Vec3,
    /// Head space, with the expression.
    pub shape: Vec3,
    /// Pixels in the picture, and depth in cm.
    pub screen: Vec2,
    pub depth: f32,
}

/// Triangles of one person.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    pub vertices: Vec<Vertex>,
    pub triangles: Vec<([u32; 3], Part)>,
}

impl Mesh {
    /// The three corners of a triangle.
    #[must_use]
    pub fn corners(&self, triangle: usize) -> [&Vertex; 3] {
        let [a, b, c] = self.triangles[triangle].0;
        [&self.vertices[a as usize], &self.vertices[b as usize], &self.vertices[c as usize]]
    }

    /// Adds a grid of `rows` × `columns` points; `at` gives (rest, shape) of each. Rows run downwards, columns run
    /// towards the image's right when seen from outside. `closed` joins the last column to the first.
    pub fn grid(
        &mut self,
        part: Part,
        rows: usize,
        columns: usize,
        closed: bool,
        mut at: impl FnMut(usize, usize) -> (Vec3, Vec3),
    ) {
        let start = self.vertices.len();
        for r in 0..rows {
            for c in 0..columns {
                let (rest, shape) = at(r, c);
                self.vertices.push(Vertex { rest, shape, ..Vertex::default() });
            }
        }
        let id = |r: usize, c: usize| (start + r * columns + c % columns) as u32;
        let last = if closed { columns } else { columns - 1 };
        for r in 0..rows - 1 {
            for c in 0..last {
                let quad = [id(r, c), id(r + 1, c), id(r + 1, c + 1), id(r, c + 1)];
                self.triangles.push(([quad[0], quad[1], quad[2]], part));
                self.triangles.push(([quad[0], quad[2], quad[3]], part));
            }
        }
        let mut normals = vec![Vec3::ZERO; rows * columns];
        for (ids, _) in &self.triangles[self.triangles.len() - (rows - 1) * last * 2..] {
            let [a, b, c] = ids.map(|i| self.vertices[i as usize].shape);
            let n = (b - a).cross(c - a);
            for i in ids {
                normals[*i as usize - start] += n;
            }
        }
        for (v, n) in self.vertices[start..].iter_mut().zip(normals) {
            v.normal = n.normalize_or_zero();
        }
    }

    /// Adds a tube of radius `radius` along `path`.
    pub fn tube(&mut self, part: Part, path: &[Vec3], radius: f32, closed: bool) {
        const SIDES: usize = 5;
        let n = path.len();
        let start = self.vertices.len() as u32;
        for i in 0..n {
            let (a, b) = if closed {
                (path[(i + n - 1) % n], path[(i + 1) % n])
            } else {
                (path[i.saturating_sub(1)], path[(i + 1).min(n - 1)])
            };
            let along = (b - a).normalize_or_zero();
            let hint = if along.z.abs() > 0.8 { Vec3::Y } else { Vec3::Z };
            let side = along.cross(hint).normalize_or_zero();
            let up = side.cross(along);
            for k in 0..SIDES {
                let turn = k as f32 / SIDES as f32 * std::f32::consts::TAU;
                let normal = side * turn.cos() + up * turn.sin();
                let p = path[i] + normal * radius;
                self.vertices.push(Vertex { rest: p, shape: p, normal, ..Vertex::default() });
            }
        }
        let rings = if closed { n } else { n - 1 };
        let id = |i: usize, k: usize| start + ((i % n) * SIDES + k % SIDES) as u32;
        for i in 0..rings {
            for k in 0..SIDES {
                let quad = [id(i, k), id(i, k + 1), id(i + 1, k + 1), id(i + 1, k)];
                self.triangles.push(([quad[0], quad[1], quad[2]], part));
                self.triangles.push(([quad[0], quad[2], quad[3]], part));
            }
        }
    }
}
