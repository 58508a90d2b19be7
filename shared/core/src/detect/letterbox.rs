//! Frame → network input of fixed size: scaled to fit, anchored at the top left, the rest black.

use alloc::vec::Vec;

use crate::frame::{Frame, MAX_SIDE};
use crate::geometry::Point;

/// The two weights of an output pixel add up to this, so that a weighted sum of bytes fits 16 bits.
const UNIT: u16 = 256;

/// How a frame of one size goes into a network input of another. It holds the filter's taps, so that filling costs
/// no allocation: make it once per camera mode.
///
/// The filter is bilinear interpolation between two rows and two columns, also when a frame is shrunk: SCRFD was
/// trained on pictures made that way. Averaging over all pixels that an output pixel covers was tried, and moved the
/// published models' scores by up to 0.02.
#[derive(Clone, Debug)]
pub struct Letterbox {
    frame: (u32, u32),
    input: (u32, u32),
    columns: Axis,
    rows: Axis,
    /// A mix of two rows of the frame, in 1/256 of a grey level.
    weighted: Vec<u16>,
}

impl Letterbox {
    /// Sizes are width and height in pixels; what is outside 1..=[`MAX_SIDE`] is brought into that range.
    pub fn new(frame: (u32, u32), input: (u32, u32)) -> Self {
        Self::shrunk(frame, input, 1)
    }

    /// Likewise, with the frame `factor` times smaller than it could be in the input.
    pub fn shrunk(frame: (u32, u32), input: (u32, u32), factor: u32) -> Self {
        let bound = |(width, height): (u32, u32)| (width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
        let (frame, input) = (bound(frame), bound(input));
        // The side that is relatively longer fills the input; u32 holds the products of two 13-bit sides.
        let shorter = |side: u32, scaled: u32, by: u32| ((side * scaled + by / 2) / by).max(1);
        let scaled = if frame.0 * input.1 >= frame.1 * input.0 {
            (input.0, shorter(frame.1, input.0, frame.0))
        } else {
            (shorter(frame.0, input.1, frame.1), input.1)
        };
        let scaled = ((scaled.0 / factor.max(1)).max(1), (scaled.1 / factor.max(1)).max(1));
        Self {
            frame,
            input,
            columns: Axis::new(frame.0, scaled.0),
            rows: Axis::new(frame.1, scaled.1),
            weighted: alloc::vec![0; frame.0 as usize * 3],
        }
    }

    /// Width and height of the frames that it takes.
    pub fn frame(&self) -> (u32, u32) {
        self.frame
    }

    /// Width and height of the inputs that it fills.
    pub fn input(&self) -> (u32, u32) {
        self.input
    }

    /// Whether a frame is an input as it is.
    pub fn is_identity(&self) -> bool {
        let scaled = (self.columns.taps.len(), self.rows.taps.len());
        self.frame == self.input && scaled == (self.input.0 as usize, self.input.1 as usize)
    }

    /// Writes `frame` into `pixels`: RGB8, `[input height, input width, 3]`.
    ///
    /// # Panics
    /// If the frame's size or the buffer's length is not what this letterbox was made for.
    pub fn fill(&mut self, frame: &Frame<'_>, pixels: &mut [u8]) {
        assert_eq!(frame.size(), self.frame, "a letterbox takes frames of one size");
        let stride = self.input.0 as usize * 3;
        assert_eq!(pixels.len(), stride * self.input.1 as usize, "a letterbox fills inputs of one size");
        if self.is_identity() {
            pixels.copy_from_slice(frame.pixels());
            return;
        }
        let filled = self.columns.taps.len() * 3;
        let mut lines = pixels.chunks_exact_mut(stride);
        for (tap, line) in self.rows.taps.iter().zip(&mut lines) {
            Axis::mix_rows(tap, frame, &mut self.weighted);
            let (picture, border) = line.split_at_mut(filled);
            self.columns.mix_columns(&self.weighted, picture);
            border.fill(0);
        }
        lines.for_each(|line| line.fill(0));
    }

    /// A place in the input → the same place in the frame.
    pub fn to_frame(&self, input: Point) -> Point {
        Point::new(self.columns.to_frame(input.x), self.rows.to_frame(input.y))
    }

    /// A place in the frame → the same place in the input.
    pub fn to_input(&self, frame: Point) -> Point {
        Point::new(self.columns.to_input(frame.x), self.rows.to_input(frame.y))
    }
}

/// How the pixels of one direction are resampled.
#[derive(Clone, Debug)]
struct Axis {
    /// Frame pixels per input pixel.
    scale: f32,
    taps: Vec<Tap>,
}

/// Which two frame pixels make one output pixel, and how much of the second is in it, of [`UNIT`].
#[derive(Clone, Copy, Debug)]
struct Tap {
    first: usize,
    second: usize,
    weight: u16,
}

impl Axis {
    fn new(frame: u32, scaled: u32) -> Self {
        let scale = f64::from(frame) / f64::from(scaled);
        let tap = |i: u32| {
            let centre = ((f64::from(i) + 0.5) * scale - 0.5).clamp(0.0, f64::from(frame - 1));
            let first = libm::floor(centre);
            let weight = libm::round((centre - first) * f64::from(UNIT)) as u16;
            let second = libm::ceil(centre) as usize;
            Tap { first: first as usize, second, weight }
        };
        Self { scale: scale as f32, taps: (0..scaled).map(tap).collect() }
    }

    /// Mixes the tap's rows of `frame` into `weighted`, in 1/256 of a grey level. Nothing wraps: the weights add up
    /// to 256.
    fn mix_rows(tap: &Tap, frame: &Frame<'_>, weighted: &mut [u16]) {
        let (first, second) = (frame.row(tap.first), frame.row(tap.second));
        for ((mixed, &a), &b) in weighted.iter_mut().zip(first).zip(second) {
            let a = u16::from(a).wrapping_mul(UNIT.wrapping_sub(tap.weight));
            *mixed = a.wrapping_add(u16::from(b).wrapping_mul(tap.weight));
        }
    }

    /// Mixes the columns of `weighted` into the RGB8 pixels of one row.
    fn mix_columns(&self, weighted: &[u16], pixels: &mut [u8]) {
        let half = 1 << 15;
        for (tap, pixel) in self.taps.iter().zip(pixels.chunks_exact_mut(3)) {
            let (first, second) = (&weighted[tap.first * 3..][..3], &weighted[tap.second * 3..][..3]);
            for ((byte, &a), &b) in pixel.iter_mut().zip(first).zip(second) {
                let a = u32::from(a).wrapping_mul(u32::from(UNIT.wrapping_sub(tap.weight)));
                let sum = a.wrapping_add(u32::from(b).wrapping_mul(u32::from(tap.weight)));
                *byte = (sum.wrapping_add(half) >> 16) as u8;
            }
        }
    }

    fn to_frame(&self, input: f32) -> f32 {
        (input + 0.5) * self.scale - 0.5
    }

    fn to_input(&self, frame: f32) -> f32 {
        (frame + 0.5) / self.scale - 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Uptime;
    use alloc::vec;
    use proptest::prelude::*;

    fn filled(pixels: &[u8], frame: (u32, u32), input: (u32, u32)) -> Vec<u8> {
        let mut out = vec![0xaa; input.0 as usize * input.1 as usize * 3];
        let frame = Frame::rgb8(pixels, frame.0, frame.1, Uptime::ZERO).expect("a valid frame");
        Letterbox::new(frame.size(), input).fill(&frame, &mut out);
        out
    }

    #[test]
    fn a_shrunk_frame_lies_in_the_upper_left() {
        let pixels: Vec<u8> = (0..4 * 2).flat_map(|i| [i * 10; 3]).collect();
        let frame = Frame::rgb8(&pixels, 4, 2, Uptime::ZERO).expect("a valid frame");
        let mut letterbox = Letterbox::shrunk((4, 2), (4, 2), 2);
        let mut out = vec![0xaa; 4 * 2 * 3];
        letterbox.fill(&frame, &mut out);
        // The mean of two columns and two rows: (0 + 10 + 40 + 50) / 4.
        let greys: Vec<u8> = out.chunks_exact(3).map(|pixel| pixel[0]).collect();
        assert_eq!(greys, [25, 45, 0, 0, 0, 0, 0, 0]);
        let place = letterbox.to_frame(Point::new(0.5, 0.0));
        assert_eq!((place.x, place.y), (1.5, 0.5));
    }

    #[test]
    fn grey_levels_of_one_row() {
        let check = |from: &[u8], input: (u32, u32), expected: &[u8]| {
            let pixels: Vec<u8> = from.iter().flat_map(|&grey| [grey; 3]).collect();
            let got: Vec<u8> = filled(&pixels, (from.len() as u32, 1), input).chunks(3).map(|p| p[1]).collect();
            assert_eq!(got, expected, "{from:?} in {input:?}");
        };
        check(&[10, 20, 30], (3, 1), &[10, 20, 30]);
        check(&[0, 100], (4, 2), &[0, 25, 75, 100, 0, 25, 75, 100]);
        check(&[0, 100], (4, 3), &[0, 25, 75, 100, 0, 25, 75, 100, 0, 0, 0, 0]);
        check(&[0, 0, 80, 80], (2, 1), &[0, 80]);
        check(&[0, 40, 80, 80], (2, 1), &[20, 80]);
        check(&[200; 7], (3, 2), &[200, 200, 200, 0, 0, 0]);
        check(&[9], (2, 2), &[9, 9, 9, 9]);
    }

    proptest! {
        #[test]
        fn places_go_to_the_input_and_back(
            frame in (1u32..4000, 1u32..4000), input in (1u32..64, 1u32..64), x in 0f32..1.0, y in 0f32..1.0,
        ) {
            let letterbox = Letterbox::new(frame, (input.0 * 32, input.1 * 32));
            let there = Point::new(x * frame.0 as f32, y * frame.1 as f32);
            let back = letterbox.to_frame(letterbox.to_input(there));
            prop_assert!(there.distance(back) < 1e-2, "{there:?} {back:?}");
        }

        #[test]
        fn the_frame_fits_and_fills_one_side(frame in (1u32..4000, 1u32..4000), input in (1u32..64, 1u32..64)) {
            let input = (input.0 * 32, input.1 * 32);
            let letterbox = Letterbox::new(frame, input);
            let scaled = (letterbox.columns.taps.len() as u32, letterbox.rows.taps.len() as u32);
            prop_assert!(scaled.0 <= input.0 && scaled.1 <= input.1);
            prop_assert!(scaled.0 == input.0 || scaled.1 == input.1);
            for (axis, side) in [(&letterbox.columns, frame.0), (&letterbox.rows, frame.1)] {
                for tap in &axis.taps {
                    prop_assert!(tap.weight <= UNIT && tap.second.abs_diff(tap.first) <= 1);
                    prop_assert!(tap.first <= tap.second && tap.second < side as usize);
                }
            }
        }
    }
}
