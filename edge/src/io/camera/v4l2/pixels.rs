//! What a V4L2 camera delivers (MJPEG, YUYV, NV12, GREY) → packed RGB8.
//!
//! Every byte comes from a device, so lengths are checked before anything is read.

use lintel_core::frame::MAX_SIDE;
use lintel_formats::recording::{self, JpegError};

/// How pixels are packed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Packing {
    /// Y, U, Y, V for two pixels beside each other.
    Yuyv,
    /// A plane of Y, then one of U, V for every two by two pixels.
    Nv12,
    /// A JPEG picture for each frame.
    Mjpeg,
    /// Y only.
    Grey,
}

impl Packing {
    /// All that Lintel takes; of modes that are otherwise equal, the first in this order wins: no damage by
    /// compression before cheap on the bus, colour before grey.
    pub const ALL: [Self; 4] = [Self::Yuyv, Self::Nv12, Self::Mjpeg, Self::Grey];

    /// The kernel's four-character code.
    #[must_use]
    pub const fn fourcc(self) -> [u8; 4] {
        *match self {
            Self::Yuyv => b"YUYV",
            Self::Nv12 => b"NV12",
            Self::Mjpeg => b"MJPG",
            Self::Grey => b"GREY",
        }
    }

    /// The packing of a four-character code. `JPEG` is what some drivers call Motion-JPEG.
    #[must_use]
    pub fn from_fourcc(code: [u8; 4]) -> Option<Self> {
        if code == *b"JPEG" {
            return Some(Self::Mjpeg);
        }
        Self::ALL.into_iter().find(|packing| packing.fourcc() == code)
    }
}

/// What black and white are in Y.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    /// 16 to 235, as video has it.
    Limited,
    /// 0 to 255, as JPEG has it.
    Full,
}

/// The form of the frames that a driver promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// How pixels are packed.
    pub packing: Packing,
    /// Pixels in a row; even for YUYV and NV12.
    pub width: u32,
    /// Rows; even for NV12.
    pub height: u32,
    /// Bytes from one row to the next; at least what the pixels take. Nothing for MJPEG.
    pub stride: u32,
    /// What black and white are. Nothing for MJPEG.
    pub range: Range,
}

/// Sizes and stride of a layout do not belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// Frames are empty or too large.
    #[error("frames of {width}x{height}, wanted 1 to {MAX_SIDE} pixels per side")]
    Side {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// This packing keeps colours for pairs of pixels.
    #[error("{packing:?} frames of {width}x{height}, wanted even sides")]
    Odd {
        /// How the frame's pixels are packed.
        packing: Packing,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Rows are shorter than their pixels.
    #[error("rows of {got} bytes, wanted at least {least}")]
    Stride {
        /// Bytes from one row to the next.
        got: u32,
        /// Bytes that the pixels of a row take.
        least: u32,
    },
}

/// Why a frame is no picture. The next one may be whole.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameDamage {
    /// The driver says so itself.
    #[error("the driver says that the frame is damaged")]
    Flagged,
    /// The layout makes no sense.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Bytes are missing.
    #[error("{got} bytes, wanted at least {least}")]
    Short {
        /// Bytes of the frame.
        got: usize,
        /// Bytes that the layout takes.
        least: usize,
    },
    /// A JPEG does not begin and end in the frame.
    #[error("{0} bytes are no whole JPEG")]
    NoJpeg(usize),
    /// The JPEG cannot be decoded.
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    /// The JPEG has another size than the camera's mode.
    #[error("a picture of {}x{}, wanted {}x{}", got.0, got.1, wanted.0, wanted.1)]
    Size {
        /// Width and height of the JPEG.
        got: (u32, u32),
        /// Width and height of the mode.
        wanted: (u32, u32),
    },
}

impl Layout {
    /// Whether sizes and stride belong together.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), LayoutError> {
        let Self { packing, width, height, stride, .. } = *self;
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(LayoutError::Side { width, height });
        }
        let (least, even_rows) = match packing {
            Packing::Mjpeg => return Ok(()),
            Packing::Yuyv => (width * 2, false),
            Packing::Nv12 => (width, true),
            Packing::Grey => (width, false),
        };
        if packing != Packing::Grey && !width.is_multiple_of(2) || even_rows && !height.is_multiple_of(2) {
            return Err(LayoutError::Odd { packing, width, height });
        }
        if stride < least {
            return Err(LayoutError::Stride { got: stride, least });
        }
        Ok(())
    }

    /// Bytes that a whole frame has at least; the last row may end at its last pixel.
    fn least_bytes(&self) -> usize {
        let (stride, width, height) = (self.stride as usize, self.width as usize, self.height as usize);
        let rows = |rows: usize, last: usize| (rows - 1) * stride + last;
        match self.packing {
            Packing::Yuyv => rows(height, width * 2),
            Packing::Nv12 => rows(height + height / 2, width),
            Packing::Grey => rows(height, width),
            Packing::Mjpeg => 0,
        }
    }

    /// One frame as packed RGB8, in `rgb`, which is resized to fit. `mended` is room for a JPEG that lacks something.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub fn to_rgb(&self, bytes: &[u8], mended: &mut Vec<u8>, rgb: &mut Vec<u8>) -> Result<(), FrameDamage> {
        self.check()?;
        if self.packing == Packing::Mjpeg {
            // The decoder paints what is missing at the end grey.
            let jpeg = recording::picture(bytes).ok_or(FrameDamage::NoJpeg(bytes.len()))?;
            let jpeg = with_tables(jpeg, mended);
            let (got, wanted) = (recording::decode(jpeg, rgb)?, (self.width, self.height));
            if got != wanted {
                return Err(FrameDamage::Size { got, wanted });
            }
            return Ok(());
        }
        let least = self.least_bytes();
        if bytes.len() < least {
            return Err(FrameDamage::Short { got: bytes.len(), least });
        }
        let (stride, width, height) = (self.stride as usize, self.width as usize, self.height as usize);
        rgb.resize(width * height * 3, 0);
        let matrix = Matrix::of(self.range);
        for (y, out) in rgb.chunks_exact_mut(width * 3).enumerate() {
            let row = &bytes[y * stride..];
            match self.packing {
                Packing::Yuyv => {
                    for (pair, out) in row[..width * 2].as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<6>().0) {
                        let [y0, u, y1, v] = *pair;
                        let chroma = matrix.chroma(u, v);
                        *out = two(matrix.pixel(y0, chroma), matrix.pixel(y1, chroma));
                    }
                }
                Packing::Nv12 => {
                    let chroma_row = &bytes[(height + y / 2) * stride..][..width];
                    let pairs = row[..width].as_chunks::<2>().0.iter().zip(chroma_row.as_chunks::<2>().0);
                    for (([y0, y1], [u, v]), out) in pairs.zip(out.as_chunks_mut::<6>().0) {
                        let chroma = matrix.chroma(*u, *v);
                        *out = two(matrix.pixel(*y0, chroma), matrix.pixel(*y1, chroma));
                    }
                }
                Packing::Grey => {
                    for (y, out) in row[..width].iter().zip(out.as_chunks_mut::<3>().0) {
                        *out = matrix.pixel(*y, [0; 3]);
                    }
                }
                Packing::Mjpeg => {}
            }
        }
        Ok(())
    }
}

/// The JPEG, marked as a frame of Motion-JPEG if it has no Huffman tables: the decoder takes the standard's own then
/// (ITU-T T.81, K.3), which cameras that leave them out mean.
fn with_tables<'a>(jpeg: &'a [u8], mended: &'a mut Vec<u8>) -> &'a [u8] {
    /// An APP0 segment of 16 bytes, as AVI files have it.
    const MOTION: &[u8] = b"\xff\xe0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";
    if has_tables(jpeg) {
        return jpeg;
    }
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    mended.clear();
    mended.extend_from_slice(start);
    mended.extend_from_slice(MOTION);
    mended.extend_from_slice(rest);
    mended
}

/// Whether there is a Huffman table before the first scan.
fn has_tables(jpeg: &[u8]) -> bool {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, ..] = *rest {
        match marker {
            0xc4 => return true,
            0xda => return false,
            _ => {}
        }
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

fn two([r, g, b]: [u8; 3], [r1, g1, b1]: [u8; 3]) -> [u8; 6] {
    [r, g, b, r1, g1, b1]
}

/// Y'CbCr to R'G'B' by ITU-R BT.601, in 65536ths.
#[derive(Clone, Copy)]
struct Matrix {
    black: i32,
    luma: i32,
    /// What V gives to red, U and V to green, U to blue.
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

impl Matrix {
    const fn of(range: Range) -> Self {
        match range {
            // 255/219 and 255/224 of the full range's.
            Range::Limited => {
                Self { black: 16, luma: 76_309, red_v: 104_597, green_u: 25_675, green_v: 53_279, blue_u: 132_201 }
            }
            Range::Full => {
                Self { black: 0, luma: 65_536, red_v: 91_881, green_u: 22_554, green_v: 46_802, blue_u: 116_130 }
            }
        }
    }

    /// What a pair of colour differences adds to red, green and blue.
    fn chroma(self, u: u8, v: u8) -> [i32; 3] {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        [self.red_v * v, -self.green_u * u - self.green_v * v, self.blue_u * u]
    }

    fn pixel(self, y: u8, chroma: [i32; 3]) -> [u8; 3] {
        let luma = (i32::from(y) - self.black) * self.luma + (1 << 15);
        chroma.map(|chroma| u8::try_from(((luma + chroma) >> 16).clamp(0, 255)).unwrap_or(u8::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(packing: Packing, width: u32, height: u32, stride: u32, range: Range) -> Layout {
        Layout { packing, width, height, stride, range }
    }

    #[test]
    fn every_packing_gives_the_colours_of_the_standard() {
        let check = |packing, range, bytes: &[u8], expected: &[[u8; 3]]| {
            let width = u32::try_from(expected.len()).unwrap() / if packing == Packing::Nv12 { 2 } else { 1 };
            let height = if packing == Packing::Nv12 { 2 } else { 1 };
            let stride = if packing == Packing::Yuyv { width * 2 } else { width };
            let mut rgb = vec![9; 100];
            layout(packing, width, height, stride, range).to_rgb(bytes, &mut Vec::new(), &mut rgb).unwrap();
            assert_eq!(rgb, expected.concat(), "{packing:?} {range:?} {bytes:?}");
        };
        use Packing::{Grey, Nv12, Yuyv};
        use Range::{Full, Limited};
        // BT.601's own corners: black, white, and the three primaries in limited range.
        check(Yuyv, Limited, &[16, 128, 235, 128], &[[0, 0, 0], [255, 255, 255]]);
        check(Yuyv, Limited, &[81, 90, 81, 240], &[[254, 0, 0], [254, 0, 0]]);
        check(Yuyv, Limited, &[145, 54, 145, 34], &[[0, 255, 1], [0, 255, 1]]);
        check(Yuyv, Limited, &[41, 240, 41, 110], &[[0, 0, 255], [0, 0, 255]]);
        check(Yuyv, Full, &[0, 128, 255, 128], &[[0, 0, 0], [255, 255, 255]]);
        check(Yuyv, Full, &[76, 85, 76, 255], &[[254, 0, 0], [254, 0, 0]]);
        check(Nv12, Limited, &[16, 235, 126, 126, 128, 128], &[[0; 3], [255; 3], [128; 3], [128; 3]]);
        check(Nv12, Limited, &[81, 81, 81, 81, 90, 240], &[[254, 0, 0]; 4]);
        check(Grey, Full, &[0, 77, 255], &[[0; 3], [77; 3], [255; 3]]);
        check(Grey, Limited, &[0, 16, 235, 255], &[[0; 3], [0; 3], [255; 3], [255; 3]]);
    }

    #[test]
    fn rows_may_be_longer_than_their_pixels_and_the_last_one_short() {
        let mut rgb = Vec::new();
        let padded = layout(Packing::Grey, 2, 2, 4, Range::Full);
        padded.to_rgb(&[1, 2, 99, 99, 3, 4], &mut Vec::new(), &mut rgb).unwrap();
        assert_eq!(rgb, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
        let nv12 = layout(Packing::Nv12, 2, 2, 3, Range::Full);
        nv12.to_rgb(&[1, 2, 9, 3, 4, 9, 128, 128], &mut Vec::new(), &mut rgb).unwrap();
        assert_eq!(rgb, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let check = |layout: Layout, bytes: &[u8], part: &str| {
            let error = layout.to_rgb(bytes, &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(part), "{layout:?}: {error}");
        };
        use Packing::{Grey, Mjpeg, Nv12, Yuyv};
        check(layout(Yuyv, 4, 2, 8, Range::Limited), &[0; 15], "15 bytes, wanted at least 16");
        check(layout(Nv12, 4, 2, 4, Range::Limited), &[0; 11], "11 bytes, wanted at least 12");
        check(layout(Grey, 4, 2, 4, Range::Limited), &[], "0 bytes, wanted at least 8");
        check(layout(Yuyv, 4, 2, 7, Range::Limited), &[0; 99], "rows of 7 bytes, wanted at least 8");
        check(layout(Yuyv, 3, 2, 8, Range::Limited), &[0; 99], "even sides");
        check(layout(Nv12, 4, 3, 8, Range::Limited), &[0; 99], "even sides");
        check(layout(Grey, 0, 2, 8, Range::Limited), &[0; 99], "frames of 0x2");
        check(layout(Grey, 9000, 2, u32::MAX, Range::Limited), &[0; 99], "frames of 9000x2");
        check(layout(Mjpeg, 4, 4, 0, Range::Full), &[0; 99], "99 bytes are no whole JPEG");
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height) * 3).map(|i| (i * 7 % 251) as u8).collect();
        jpeg_encoder::Encoder::new(&mut bytes, 80)
            .encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        bytes
    }

    #[test]
    fn jpegs_are_whole_and_of_the_right_size_or_refused() {
        let layout = layout(Packing::Mjpeg, 64, 48, 0, Range::Full);
        let whole = jpeg(64, 48);
        let (mut mended, mut rgb) = (Vec::new(), Vec::new());
        layout.to_rgb(&whole, &mut mended, &mut rgb).unwrap();
        assert_eq!(rgb.len(), 64 * 48 * 3);
        // Cameras pad their buffers.
        layout.to_rgb(&[&whole[..], &[0; 512]].concat(), &mut mended, &mut rgb).unwrap();
        let error = layout.to_rgb(&jpeg(48, 64), &mut mended, &mut rgb).unwrap_err();
        assert_eq!(error.to_string(), "a picture of 48x64, wanted 64x48");
        for kept in [0, 2, 100, whole.len() / 2, whole.len() - 40, whole.len() - 1] {
            assert!(layout.to_rgb(&whole[..kept], &mut mended, &mut rgb).is_err(), "the first {kept} bytes");
        }
    }

    /// Many UVC cameras leave the Huffman tables out; the standard's own (ITU-T T.81, K.3) are meant then.
    #[test]
    fn a_jpeg_without_huffman_tables_is_decoded_with_the_standard_ones() {
        let whole = jpeg(64, 48);
        let mut bare = whole[..2].to_vec();
        let mut at = 2;
        while whole[at + 1] != 0xda {
            let length = 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
            if whole[at + 1] != 0xc4 {
                bare.extend(&whole[at..at + length]);
            }
            at += length;
        }
        bare.extend(&whole[at..]);
        assert!(bare.len() < whole.len());
        let layout = layout(Packing::Mjpeg, 64, 48, 0, Range::Full);
        let (mut with, mut without) = (Vec::new(), Vec::new());
        layout.to_rgb(&whole, &mut Vec::new(), &mut with).unwrap();
        layout.to_rgb(&bare, &mut Vec::new(), &mut without).unwrap();
        assert_eq!(with, without);
    }
}
