//! A picture in linear light, and the brushes that paint backgrounds.

use glam::Vec3A as Vec3;

use crate::rng::noise2;

/// [height, width] linear RGB.
#[derive(Clone, Debug)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pub px: Vec<Vec3>,
}

impl Canvas {
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, px: vec![Vec3::ZERO; width * height] }
    }

    /// Blends `colour(x, y)` over the pixels of a box; `cover(x, y)` in [0, 1] is its opacity.
    pub fn paint(
        &mut self,
        [x1, y1, x2, y2]: [f32; 4],
        cover: impl Fn(f32, f32) -> f32,
        colour: impl Fn(f32, f32) -> Vec3,
    ) {
        let clip = |v: f32, n: usize| v.clamp(0.0, n as f32) as usize;
        let (left, right) = (clip(x1.floor(), self.width), clip(x2.ceil(), self.width));
        for y in clip(y1.floor(), self.height)..clip(y2.ceil(), self.height) {
            let fy = y as f32 + 0.5;
            let row = &mut self.px[y * self.width..(y + 1) * self.width];
            for (x, px) in row.iter_mut().enumerate().take(right).skip(left) {
                let fx = x as f32 + 0.5;
                let a = cover(fx, fy);
                if a > 0.0 {
                    *px = px.lerp(colour(fx, fy), a.min(1.0));
                }
            }
        }
    }

    /// An upright box with soft-edged borders.
    pub fn rect(&mut self, [x1, y1, x2, y2]: [f32; 4], colour: Vec3) {
        let bounds = [x1 - 0.5, y1 - 0.5, x2 + 0.5, y2 + 0.5];
        let side = |a: f32, b: f32, v: f32| (v - a + 0.5).min(b - v + 0.5).clamp(0.0, 1.0);
        self.paint(bounds, |x, y| side(x1, x2, x) * side(y1, y2, y), |_, _| colour);
    }

    /// A turned box: centre, half sizes, angle in radians.
    pub fn slab(&mut self, [cx, cy]: [f32; 2], [hw, hh]: [f32; 2], turn: f32, colour: impl Fn(f32, f32) -> Vec3) {
        let (s, c) = turn.sin_cos();
        let r = (hw * hw + hh * hh).sqrt() + 1.0;
        self.paint(
            [cx - r, cy - r, cx + r, cy + r],
            |x, y| {
                let (dx, dy) = (x - cx, y - cy);
                let (u, v) = ((dx * c + dy * s).abs(), (dy * c - dx * s).abs());
                (hw - u + 0.5).min(hh - v + 0.5).clamp(0.0, 1.0)
            },
            colour,
        );
    }

    /// An ellipse whose edge is `soft` px wide.
    pub fn ellipse(&mut self, [cx, cy]: [f32; 2], [rx, ry]: [f32; 2], soft: f32, colour: impl Fn(f32, f32) -> Vec3) {
        let r = rx.min(ry).max(0.5);
        let grow = soft + 1.0;
        self.paint(
            [cx - rx - grow, cy - ry - grow, cx + rx + grow, cy + ry + grow],
            |x, y| {
                let (u, v) = ((x - cx) / rx, (y - cy) / ry);
                ((1.0 - (u * u + v * v).sqrt()) * r / soft.max(1.0) + 0.5).clamp(0.0, 1.0)
            },
            colour,
        );
    }

    /// Multiplies a box by 1 ± `depth` of noise with features of `scale` px.
    pub fn grain(&mut self, bounds: [f32; 4], scale: [f32; 2], depth: f32, seed: u32) {
        let [x1, y1, x2, y2] = bounds;
        let clip = |v: f32, n: usize| v.clamp(0.0, n as f32) as usize;
        let (left, right) = (clip(x1, self.width), clip(x2, self.width));
        for y in clip(y1, self.height)..clip(y2, self.height) {
            for x in left..right {
                let n = noise2(x as f32 / scale[0], y as f32 / scale[1], seed);
                self.px[y * self.width + x] *= 1.0 + depth * n;
            }
        }
    }

    /// Stretches to another size, bilinear; enlarging blurs a distant background.
    #[must_use]
    pub fn stretched(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let mut out = Self::new(width, height);
        let (sx, sy) = (self.width as f32 / width as f32, self.height as f32 / height as f32);
        let step = |i: usize, s: f32, n: usize| {
            let f = ((i as f32 + 0.5) * s - 0.5).clamp(0.0, (n - 1) as f32);
            let a = f as usize;
            (a, (a + 1).min(n - 1), f - a as f32)
        };
        for y in 0..height {
            let (y0, y1, v) = step(y, sy, self.height);
            let (top, bottom) = (&self.px[y0 * self.width..], &self.px[y1 * self.width..]);
            for x in 0..width {
                let (x0, x1, u) = step(x, sx, self.width);
                let a = top[x0].lerp(top[x1], u);
                let b = bottom[x0].lerp(bottom[x1], u);
                out.px[y * width + x] = a.lerp(b, v);
            }
        }
        out
    }

    /// Box blur of radius `r` px, twice: close to a lens's disc.
    pub fn blur(&mut self, r: f32) {
        if r < 0.3 {
            return;
        }
        for _ in 0..2 {
            self.smear(r, 1, self.width, self.width, self.height);
            self.smear(r, self.width, 1, self.height, self.width);
        }
    }

    /// One running-sum pass with a fractional radius: `n` pixels `step` apart, in `lines` lines `stride` apart.
    fn smear(&mut self, r: f32, step: usize, stride: usize, n: usize, lines: usize) {
        let whole = r as usize;
        let part = r - whole as f32;
        let scale = 1.0 / (2.0 * r + 1.0);
        let mut line = vec![Vec3::ZERO; n];
        for l in 0..lines {
            let start = l * stride;
            for (i, v) in line.iter_mut().enumerate() {
                *v = self.px[start + i * step];
            }
            let get = |i: isize| line[i.clamp(0, n as isize - 1) as usize];
            let w = whole as isize;
            let mut sum: Vec3 = (-w..=w).map(get).sum();
            for i in 0..n {
                let k = i as isize;
                self.px[start + i * step] = (sum + (get(k - w - 1) + get(k + w + 1)) * part) * scale;
                sum += get(k + w + 1) - get(k - w);
            }
        }
    }

    /// Blur along a line of `length` px at `angle` radians.
    pub fn drag(&mut self, length: f32, angle: f32) {
        let taps = (length.ceil() as isize).clamp(0, 24);
        if taps < 1 {
            return;
        }
        let source = self.px.clone();
        let (s, c) = angle.sin_cos();
        let (w, h) = (self.width as isize, self.height as isize);
        let offsets: Vec<(isize, isize)> = (0..=taps)
            .map(|t| {
                let d = (t as f32 / taps as f32 - 0.5) * length;
                ((d * c).round() as isize, (d * s).round() as isize)
            })
            .collect();
        let scale = 1.0 / offsets.len() as f32;
        for y in 0..h {
            for x in 0..w {
                let sum: Vec3 = offsets
                    .iter()
                    .map(|(dx, dy)| source[((y + dy).clamp(0, h - 1) * w + (x + dx).clamp(0, w - 1)) as usize])
                    .sum();
                self.px[(y * w + x) as usize] = sum * scale;
            }
        }
    }
}
