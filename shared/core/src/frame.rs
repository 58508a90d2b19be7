//! Packed RGB8 pixels, a size and a capture time → a borrowed frame whose size has been checked.

use thiserror::Error;

use crate::time::Uptime;

/// Largest width and height that any part of Lintel accepts, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// One picture: RGB8, row-major, no padding between rows.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pixels: &'a [u8],
    width: u32,
    height: u32,
    captured: Uptime,
}

/// Why some bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A side is zero or above [`MAX_SIDE`].
    #[error("frame is {width}x{height}, wanted 1 to {MAX_SIDE} pixels per side")]
    Side {
        /// Width that was asked for, in pixels.
        width: u32,
        /// Height that was asked for, in pixels.
        height: u32,
    },
    /// The buffer is not `width · height · 3` bytes.
    #[error("a {width}x{height} frame has {got} bytes, wanted {wanted}")]
    Length {
        /// Width that was asked for, in pixels.
        width: u32,
        /// Height that was asked for, in pixels.
        height: u32,
        /// Bytes that were given.
        got: usize,
        /// Bytes that such a frame has.
        wanted: usize,
    },
}

impl<'a> Frame<'a> {
    /// `pixels`: RGB8, `width · height · 3` bytes; 1 to [`MAX_SIDE`] pixels per side.
    pub fn rgb8(pixels: &'a [u8], width: u32, height: u32, captured: Uptime) -> Result<Self, FrameError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FrameError::Side { width, height });
        }
        let wanted = width as usize * height as usize * 3;
        if pixels.len() != wanted {
            return Err(FrameError::Length { width, height, got: pixels.len(), wanted });
        }
        Ok(Self { pixels, width, height, captured })
    }

    /// RGB8 bytes, row-major.
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// When the camera took it.
    pub fn captured(&self) -> Uptime {
        self.captured
    }

    /// Row `y`, `width · 3` bytes. `y` must be below the height.
    pub(crate) fn row(&self, y: usize) -> &'a [u8] {
        let stride = self.width as usize * 3;
        &self.pixels[y * stride..(y + 1) * stride]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_lengths_are_checked() {
        let check = |bytes: usize, width, height, expected: Result<(u32, u32), FrameError>| {
            let pixels = alloc::vec![0; bytes];
            let got = Frame::rgb8(&pixels, width, height, Uptime::ZERO).map(|frame| frame.size());
            assert_eq!(got, expected, "{width}x{height} in {bytes} bytes");
        };
        check(3, 1, 1, Ok((1, 1)));
        check(36, 4, 3, Ok((4, 3)));
        check(0, 0, 1, Err(FrameError::Side { width: 0, height: 1 }));
        check(0, 1, 8193, Err(FrameError::Side { width: 1, height: 8193 }));
        check(0, u32::MAX, u32::MAX, Err(FrameError::Side { width: u32::MAX, height: u32::MAX }));
        check(35, 4, 3, Err(FrameError::Length { width: 4, height: 3, got: 35, wanted: 36 }));
        check(37, 4, 3, Err(FrameError::Length { width: 4, height: 3, got: 37, wanted: 36 }));
    }
}
