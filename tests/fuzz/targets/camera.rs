//! Any layout and bytes of a camera's driver → a picture: no panic, and no more memory than the picture takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_edge::io::camera::v4l2::pixels::{Layout, Packing, Range};

fuzz_target!(|data: &[u8]| {
    let Some((&[form, width, height, stride, more], bytes)) = data.split_first_chunk::<5>() else { return };
    let packing = Packing::ALL[usize::from(form) % Packing::ALL.len()];
    let range = if form & 0x80 == 0 { Range::Limited } else { Range::Full };
    let (width, height) = (u32::from(width) * 2, u32::from(height) * 2);
    let stride = u32::from(stride) * 4 + if more & 1 == 0 { 0 } else { u32::MAX / 2 };
    let layout = Layout { packing, width, height, stride, range };
    let mut rgb = Vec::new();
    if layout.to_rgb(bytes, &mut Vec::new(), &mut rgb).is_ok() {
        assert_eq!(rgb.len(), width as usize * height as usize * 3);
    }
});
