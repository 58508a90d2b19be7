//! A picture → the bytes of a screen: how a screen's pixels lie in memory, and whether Lintel can draw on it.

use std::io;
use std::path::PathBuf;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;

use super::draw::Canvas;

/// Greatest side of a screen, in pixels; a larger one is a driver that says nonsense.
const MAX_SIDE: u32 = 16_384;

/// Where a colour is in a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    /// Place of its lowest bit.
    pub offset: u32,
    /// How many bits the colour has, 1 to 8.
    pub bits: u32,
}

/// What a screen is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// Visible pixels in a row.
    pub width: u32,
    /// Visible rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Bits of a pixel: 16, 24 or 32.
    pub depth: u32,
    /// Where red, green and blue are.
    pub channels: [Channel; 3],
}

/// Why Lintel cannot draw on a screen.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The path names no device.
    #[error("is no device")]
    NoDevice,
    /// The device is no framebuffer.
    #[error("is no framebuffer: {0}")]
    NoFramebuffer(#[source] io::Error),
    /// The kernel's file with the length of a row cannot be read.
    #[error("{}: {source}", path.display())]
    StrideFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The kernel's file with the length of a row holds no number.
    #[error("{}: is no number", .0.display())]
    StrideText(PathBuf),
    /// A pixel has another number of bits.
    #[error("{0} bits a pixel, wanted 16, 24 or 32")]
    Depth(u32),
    /// It is empty or too large.
    #[error("{width}x{height} pixels, wanted 1 to {MAX_SIDE} per side")]
    Side {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Rows are too short for their pixels, or too long.
    #[error("rows of {stride} bytes for {width} pixels of {depth} bits")]
    Stride {
        /// Bytes from one row to the next.
        stride: u32,
        /// Pixels in a row.
        width: u32,
        /// Bits of a pixel.
        depth: u32,
    },
    /// A colour has no bits, too many, or bits outside of the pixel.
    #[error("colours at {channels:?} of {depth} bits")]
    Channels {
        /// Red, green and blue.
        channels: [Channel; 3],
        /// Bits of a pixel.
        depth: u32,
    },
}

impl Form {
    /// Whether Lintel can draw on it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), FormError> {
        let Self { width, height, stride, depth, channels } = *self;
        if !matches!(depth, 16 | 24 | 32) {
            return Err(FormError::Depth(depth));
        }
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FormError::Side { width, height });
        }
        if stride < width * depth / 8 || stride > MAX_SIDE * 8 {
            return Err(FormError::Stride { stride, width, depth });
        }
        let inside =
            |c: &Channel| (1..=8).contains(&c.bits) && c.offset.checked_add(c.bits).is_some_and(|end| end <= depth);
        if channels.iter().all(inside) { Ok(()) } else { Err(FormError::Channels { channels, depth }) }
    }

    fn pixel(&self, colour: Rgb565) -> u32 {
        // Five and six bits become eight so that full stays full, and eight what the screen has.
        let wide = |value: u8, bits: u32| u32::from((value << (8 - bits)) | (value >> (2 * bits - 8)));
        let channels = [wide(colour.r(), 5), wide(colour.g(), 6), wide(colour.b(), 5)];
        let placed = channels.iter().zip(self.channels).map(|(value, c)| value >> (8 - c.bits) << c.offset);
        placed.fold(0, |pixel, part| pixel | part)
    }

    /// The bytes of the whole screen: the picture scaled up by the greatest whole number that fits, in the middle of
    /// its own background.
    #[must_use]
    pub fn render(&self, picture: &Canvas<Rgb565>) -> Vec<u8> {
        let Size { width, height } = picture.size();
        let scale = (self.width / width).min(self.height / height).max(1);
        let (left, top) =
            (self.width.saturating_sub(width * scale) / 2, self.height.saturating_sub(height * scale) / 2);
        let pixels = picture.pixels();
        let ground = pixels.last().copied().unwrap_or(Rgb565::BLACK);
        let bytes = self.depth as usize / 8;
        let mut screen = vec![0; self.stride as usize * self.height as usize];
        for (y, row) in (0..self.height).zip(screen.chunks_exact_mut(self.stride as usize)) {
            for (x, out) in (0..self.width).zip(row.chunks_exact_mut(bytes)) {
                let at = |of: u32, from: u32, side: u32| of.checked_sub(from).map(|d| d / scale).filter(|d| *d < side);
                let source = at(x, left, width).zip(at(y, top, height));
                let colour = source.map_or(ground, |(x, y)| pixels[(y * width + x) as usize]);
                out.copy_from_slice(&self.pixel(colour).to_le_bytes()[..bytes]);
            }
        }
        screen
    }
}
