//! A JPEG file → RGB8 pixels, or a reason.

use thiserror::Error;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use lintel_core::frame::MAX_SIDE;

/// Why bytes are not a picture.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JpegError {
    /// The segments do not lead from the start of the picture to its end.
    #[error("these {bytes} bytes are no whole JPEG picture")]
    Structure {
        /// Length of what was given.
        bytes: usize,
    },
    /// The picture is empty or too large.
    #[error("picture is {width}x{height}, wanted 1 to {MAX_SIDE} pixels per side")]
    Side {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The decoder says no.
    #[error("picture cannot be decoded: {0}")]
    Decode(String),
}

/// Decodes `jpeg` into `pixels` (RGB8, resized to fit), and says width and height. Memory is taken only after the
/// size is known to be at most [`MAX_SIDE`] per side. Grey pictures become RGB. Damage is an error, not a grey patch.
pub fn decode(jpeg: &[u8], pixels: &mut Vec<u8>) -> Result<(u32, u32), JpegError> {
    let options = DecoderOptions::new_safe()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let failed = |error: &dyn std::fmt::Debug| {
        let words = format!("{error:?}").split_whitespace().collect::<Vec<_>>().join(" ");
        JpegError::Decode(words.chars().take(200).collect())
    };
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().map_err(|error| failed(&error))?;
    let (width, height) = decoder.info().map_or((0, 0), |info| (usize::from(info.width), usize::from(info.height)));
    let side = |side: usize| u32::try_from(side).ok().filter(|side| (1..=MAX_SIDE).contains(side));
    let size = side(width).zip(side(height)).ok_or(JpegError::Side { width, height })?;
    pixels.resize(width * height * 3, 0);
    decoder.decode_into(pixels).map_err(|error| failed(&error))?;
    Ok(size)
}
