//! The reference crops that a push ships = what the renderer makes of the same people, to the byte.
//!
//! `LINTEL_WRITE=1 cargo test --release --workspace --test models reference_crops` writes the file anew.

use std::path::Path;

use lintel_core::align::{CROP, CROP_BYTES, crop_transform, warp};
use lintel_core::frame::Frame;
use lintel_core::geometry::Point;
use lintel_core::time::Uptime;
use lintel_faces::photo;
use lintel_pages::picture::png_bytes;
use lintel_rendered::cohort;
use lintel_site::device::crops::{CROPS, reference_crops};

/// Which cohort they are from: nobody whom the thresholds were set by.
const WORLD: u64 = 7;
/// Size of a rendered photo, px.
const PHOTO: [u32; 2] = [320, 320];

/// The crop of somebody who does not exist, by the renderer's own landmarks: no detector is needed.
fn crop(index: u32) -> Vec<u8> {
    let picture = photo(cohort(WORLD, index), 0, PHOTO);
    let frame = Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO).unwrap();
    let landmarks = picture.truth[0].landmarks.map(|[x, y]| Point { x, y });
    let mut crop = vec![0; CROP_BYTES];
    warp(&frame, &crop_transform(&landmarks).unwrap(), &mut crop);
    crop
}

#[test]
fn the_shipped_crops_are_what_is_rendered() {
    let rendered: Vec<Vec<u8>> = (0..CROPS as u32).map(crop).collect();
    if std::env::var_os("LINTEL_WRITE").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/site/src/device/reference-crops.png");
        std::fs::write(file, png_bytes(&rendered.concat(), CROP, CROP * CROPS as u32)).unwrap();
        return;
    }
    assert!(reference_crops().unwrap() == rendered, "run this test with LINTEL_WRITE=1 if the renderer was changed");
}
