//! Any bytes → frames of a recording: no panic, no byte left out, and no picture larger than a frame may be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_core::frame::MAX_SIDE;
use lintel_formats::recording::{decode, split};

/// Pictures larger than this are skipped: they would only test how fast memory is cleared.
const MAX_PIXELS: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Some(parts) = split(bytes) else { return };
    let mut end = 0;
    let mut pixels = Vec::new();
    for part in parts {
        assert_eq!(part.range.start, end);
        assert!(part.range.end > end);
        end = part.range.end;
        let jpeg = &bytes[part.range];
        if announced_pixels(jpeg) > MAX_PIXELS {
            continue;
        }
        if let Ok((width, height)) = decode(jpeg, &mut pixels) {
            assert!((1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height));
            assert_eq!(pixels.len(), width as usize * height as usize * 3);
        }
    }
    assert_eq!(end, bytes.len());
});

/// The most pixels that any start-of-frame marker in these bytes announces.
fn announced_pixels(jpeg: &[u8]) -> usize {
    let side = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
    let frames = jpeg.windows(9).filter(|w| w[0] == 0xff && (0xc0..=0xcf).contains(&w[1]));
    frames.map(|w| side(w[5], w[6]) * side(w[7], w[8])).max().unwrap_or(0)
}
