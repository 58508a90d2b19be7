//! A seed → random numbers and smooth noise, the same on every run.

use glam::Vec3A as Vec3;

/// splitmix64 (Steele, Lea, Flood 2014): small, and any seed will do.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed` for one `purpose`; other purposes of the same seed get other streams.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed, purpose))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        finish(self.0)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform in [lo, hi).
    pub fn range(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * self.unit()
    }

    /// Bell-shaped, mean 0, standard deviation 1, within ±3.47.
    pub fn bell(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 1.732
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Uniform in 0..n; 0 for n = 0.
    pub fn below(&mut self, n: usize) -> usize {
        (((self.bits() >> 32) * n as u64) >> 32) as usize
    }

    /// One of `items`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// An index into `weights`, drawn in proportion to them.
    pub fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f32>();
        for (i, w) in weights.iter().enumerate() {
            left -= w;
            if left < 0.0 {
                return i;
            }
        }
        weights.len().saturating_sub(1)
    }
}

/// Two seeds → one.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    finish(a ^ finish(b.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn lattice(x: i32, y: i32, z: i32, seed: u32) -> f32 {
    let mut h = seed
        ^ (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ (z as u32).wrapping_mul(0xcb1a_b31f);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 * (2.0 / 16_777_216.0) - 1.0
}

/// `f32::floor` is a library call on baseline x86-64, and this is the innermost loop.
fn floor(x: f32) -> (i32, f32) {
    let i = x as i32;
    let i = if i as f32 > x { i - 1 } else { i };
    (i, i as f32)
}

/// Value noise in [-1, 1], feature size one unit.
#[must_use]
pub fn noise(p: Vec3, seed: u32) -> f32 {
    let ((x, fx), (y, fy), (z, fz)) = (floor(p.x), floor(p.y), floor(p.z));
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v, w) = (ease(p.x - fx), ease(p.y - fy), ease(p.z - fz));
    let edge = |y, z| {
        let a = lattice(x, y, z, seed);
        a + (lattice(x + 1, y, z, seed) - a) * u
    };
    let face = |z| {
        let a = edge(y, z);
        a + (edge(y + 1, z) - a) * v
    };
    let a = face(z);
    a + (face(z + 1) - a) * w
}

/// Value noise in [-1, 1] over two coordinates.
#[must_use]
pub fn noise2(x: f32, y: f32, seed: u32) -> f32 {
    let ((ix, fx), (iy, fy)) = (floor(x), floor(y));
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - fx), ease(y - fy));
    let row = |iy| {
        let a = lattice(ix, iy, 0, seed);
        a + (lattice(ix + 1, iy, 0, seed) - a) * u
    };
    let a = row(iy);
    a + (row(iy + 1) - a) * v
}

/// 0 below `a`, 1 above `b`, smooth between; `a` may be the larger one.
#[must_use]
pub fn smooth(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A bump of height 1 at u² = 0 that is 0, with slope 0, at u² = 1.
#[must_use]
pub fn bump(u2: f32) -> f32 {
    let t = (1.0 - u2).max(0.0);
    t * t
}

/// a at 0, b at 1.
#[must_use]
pub fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Catmull-Rom through `points`, sorted by rising first coordinate, flat outside.
#[must_use]
pub fn spline(points: &[(f32, f32)], x: f32) -> f32 {
    let n = points.len();
    let (first, last) = (points[0], points[n - 1]);
    if x <= first.0 {
        return first.1;
    }
    if x >= last.0 {
        return last.1;
    }
    let i = points.iter().rposition(|p| p.0 <= x).unwrap_or(0).min(n - 2);
    let (p1, p2) = (points[i], points[i + 1]);
    let slope = |k: usize| {
        let (a, b) = (points[k.saturating_sub(1)], points[(k + 1).min(n - 1)]);
        (b.1 - a.1) / (b.0 - a.0)
    };
    let h = p2.0 - p1.0;
    let t = (x - p1.0) / h;
    let (m1, m2) = (slope(i) * h, slope(i + 1) * h);
    let (t2, t3) = (t * t, t * t * t);
    (2.0 * t3 - 3.0 * t2 + 1.0) * p1.1 + (t3 - 2.0 * t2 + t) * m1 + (3.0 * t2 - 2.0 * t3) * p2.1 + (t3 - t2) * m2
}

/// sRGB bytes → linear light, [0, 1].
#[must_use]
pub fn linear(rgb: [u8; 3]) -> Vec3 {
    let f = |c: u8| (f32::from(c) / 255.0).powf(2.2);
    Vec3::new(f(rgb[0]), f(rgb[1]), f(rgb[2]))
}
