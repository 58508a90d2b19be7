//! Crop → frame transform → the crop's bytes, by bilinear sampling in fixed point.

use super::{CROP, SimilarityTransform};
use crate::frame::Frame;

/// Fractional bits of a frame coordinate: 13 bits of pixels and the border fit beside them in an i64 with room.
const FRACTION: u32 = 20;
const ONE: i64 = 1 << FRACTION;

/// Bits of a bilinear weight.
const WEIGHT: u32 = 8;

/// A place in the frame, and the step from one sample to the next, both in 1/2²⁰ pixel.
#[derive(Clone, Copy)]
struct Walk {
    x: i64,
    y: i64,
    dx: i64,
    dy: i64,
}

impl Walk {
    /// Starts at the crop place (`x`, `y`), and goes `step` crop pixels to the right with each sample.
    fn new(inverse: &SimilarityTransform, x: f32, y: f32, step: f32) -> Self {
        let start = inverse.apply(crate::geometry::Point::new(x, y));
        Self { x: fixed(start.x), y: fixed(start.y), dx: fixed(inverse.a * step), dy: fixed(inverse.b * step) }
    }

    fn advance(&mut self, steps: i64) {
        self.x += self.dx * steps;
        self.y += self.dy * steps;
    }

    /// Which of the samples 0..count lie so that all four neighbours are in the frame.
    fn inside(&self, frame: &Frame<'_>, count: i64) -> (i64, i64) {
        let (from, to) = span(self.x, self.dx, i64::from(frame.width()) - 1, count);
        let (from_y, to_y) = span(self.y, self.dy, i64::from(frame.height()) - 1, count);
        let from = from.max(from_y);
        (from, to.min(to_y).max(from))
    }
}

/// Saturates far outside any frame, where everything is black.
fn fixed(pixels: f32) -> i64 {
    const FAR: f32 = 1e6;
    libm::roundf(pixels.clamp(-FAR, FAR) * ONE as f32) as i64
}

/// The samples i of 0..count for which 0 ≤ start + i·step < limit (in whole pixels): from, to (exclusive).
fn span(start: i64, step: i64, limit: i64, count: i64) -> (i64, i64) {
    let limit = limit << FRACTION;
    // The smallest i at which start + i·step reaches `edge`, for a positive step.
    let reach = |start: i64, step: i64, edge: i64| (edge - start + step - 1).div_euclid(step);
    let (from, to) = match step {
        0 if (0..limit).contains(&start) => (0, count),
        0 => (0, 0),
        1.. => (reach(start, step, 0), reach(start, step, limit)),
        // Mirrored, with open and closed ends in exchange.
        ..0 => (reach(-start, -step, 1 - limit), reach(-start, -step, 1)),
    };
    let from = from.clamp(0, count);
    (from, to.clamp(from, count))
}

/// One sample per crop pixel.
pub(super) fn single(frame: &Frame<'_>, inverse: &SimilarityTransform, crop: &mut [u8]) {
    for (y, line) in crop.chunks_exact_mut(CROP as usize * 3).enumerate() {
        let mut walk = Walk::new(inverse, 0.0, y as f32, 1.0);
        let (from, to) = walk.inside(frame, i64::from(CROP));
        let (before, rest) = line.split_at_mut(from as usize * 3);
        let (within, after) = rest.split_at_mut((to - from) as usize * 3);
        for part in [(before, false), (within, true), (after, false)] {
            for pixel in part.0.chunks_exact_mut(3) {
                let sample = if part.1 { inner(frame, &walk) } else { border(frame, &walk) };
                for (byte, value) in pixel.iter_mut().zip(sample) {
                    *byte = ((value + (1 << (2 * WEIGHT - 1))) >> (2 * WEIGHT)) as u8;
                }
                walk.advance(1);
            }
        }
    }
}

/// `taps`² samples per crop pixel, evenly spread over what it covers.
pub(super) fn averaged(frame: &Frame<'_>, inverse: &SimilarityTransform, taps: usize, crop: &mut [u8]) {
    let count = CROP as usize * taps;
    let step = 1.0 / taps as f32;
    // The k-th of `taps` samples lies in the middle of the k-th part of a pixel, which begins half a pixel earlier.
    let offset = |k: usize| (k as f32 + 0.5) * step - 0.5;
    let samples = (taps * taps) as u32;
    let mut sums = [[0u32; 3]; CROP as usize];
    for (y, line) in crop.chunks_exact_mut(CROP as usize * 3).enumerate() {
        sums.fill([0; 3]);
        for k in 0..taps {
            let mut walk = Walk::new(inverse, offset(0), y as f32 + offset(k), step);
            let (from, to) = walk.inside(frame, count as i64);
            let mut i = 0;
            for sum in &mut sums {
                for _ in 0..taps {
                    let sample = if (from..to).contains(&i) { inner(frame, &walk) } else { border(frame, &walk) };
                    for (sum, value) in sum.iter_mut().zip(sample) {
                        // At most 64 samples of 8 + 6 bits.
                        *sum = sum.wrapping_add(value >> (2 * WEIGHT - 6));
                    }
                    walk.advance(1);
                    i += 1;
                }
            }
        }
        for (pixel, sum) in line.chunks_exact_mut(3).zip(&sums) {
            for (byte, sum) in pixel.iter_mut().zip(sum) {
                *byte = ((sum + samples * 32) / (samples * 64)) as u8;
            }
        }
    }
}

/// A sample whose four neighbours are all in the frame, in 1/2¹⁶ of a grey level.
#[inline(always)]
fn inner(frame: &Frame<'_>, walk: &Walk) -> [u32; 3] {
    let (x, y) = ((walk.x >> FRACTION) as usize, (walk.y >> FRACTION) as usize);
    let stride = frame.width() as usize * 3;
    let at = y * stride + x * 3;
    let (top, bottom) = (&frame.pixels()[at..at + 6], &frame.pixels()[at + stride..at + stride + 6]);
    let (fx, fy) = weights(walk);
    core::array::from_fn(|c| blend([top[c], top[c + 3], bottom[c], bottom[c + 3]], fx, fy))
}

/// A sample whose neighbours may lie outside the frame, where all is black.
#[cold]
fn border(frame: &Frame<'_>, walk: &Walk) -> [u32; 3] {
    let (x, y) = (walk.x >> FRACTION, walk.y >> FRACTION);
    let (width, height) = (i64::from(frame.width()), i64::from(frame.height()));
    if !(-1..width).contains(&x) || !(-1..height).contains(&y) {
        return [0; 3];
    }
    let pixel = |x: i64, y: i64| {
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        if inside { &frame.row(y as usize)[x as usize * 3..][..3] } else { &[0; 3] }
    };
    let neighbours = [pixel(x, y), pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
    let (fx, fy) = weights(walk);
    core::array::from_fn(|c| blend(neighbours.map(|pixel| pixel[c]), fx, fy))
}

/// How far the place is from its left and its upper neighbour, 0..=255 of 256.
#[inline(always)]
fn weights(walk: &Walk) -> (u32, u32) {
    let part = |place: i64| ((place & (ONE - 1)) >> (FRACTION - WEIGHT)) as u32;
    (part(walk.x), part(walk.y))
}

/// Top left, top right, bottom left, bottom right → their bilinear mean in 1/2¹⁶. Nothing wraps: 8 bits and twice 8.
#[inline(always)]
fn blend(neighbours: [u8; 4], fx: u32, fy: u32) -> u32 {
    let [a, b, c, d] = neighbours.map(u32::from);
    let top = a.wrapping_mul(256 - fx).wrapping_add(b.wrapping_mul(fx));
    let bottom = c.wrapping_mul(256 - fx).wrapping_add(d.wrapping_mul(fx));
    top.wrapping_mul(256 - fy).wrapping_add(bottom.wrapping_mul(fy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn span_is_what_a_loop_finds(
            start in -4000i64..4000,
            step in -300i64..300,
            limit in 0i64..3,
            count in 0i64..60,
        ) {
            // In pixels of 2^20 parts, coarse steps: scale the small numbers up.
            let (start, step) = (start << 10, step << 10);
            let hits: std::vec::Vec<i64> =
                (0..count).filter(|i| (0..limit << FRACTION).contains(&(start + i * step))).collect();
            let (from, to) = span(start, step, limit, count);
            prop_assert_eq!((from..to).collect::<std::vec::Vec<_>>(), hits);
        }
    }
}
