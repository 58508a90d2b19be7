//! The reference crops, whose decisions a device must reproduce: faces of rendered people, part of the program.
//!
//! `tests/tests/models/reference_crops.rs` renders them again and compares every byte.

use lintel_core::align::{CROP, CROP_BYTES};
use lintel_work::failure::Failure;

/// Number of reference crops; each is 224×224 RGB8.
pub const CROPS: usize = 6;
/// The crops as one picture, one below the other: RGB8, 224 × 1344 px, PNG.
const SHEET: &[u8] = include_bytes!("reference-crops.png");

/// The crops, each `[224, 224, 3]` u8 RGB.
///
/// # Errors
/// [`Failure::Work`], only if the program's file was replaced.
pub fn reference_crops() -> Result<Vec<Vec<u8>>, Failure> {
    let sheet = image::load_from_memory(SHEET).map_err(Failure::work)?.into_rgb8();
    if sheet.dimensions() != (CROP, CROP * CROPS as u32) {
        return Err(Failure::work(format!(
            "the reference crops are {:?} px, wanted {:?}",
            sheet.dimensions(),
            (CROP, CROP * CROPS as u32)
        )));
    }
    Ok(sheet.as_raw().chunks_exact(CROP_BYTES).map(<[u8]>::to_vec).collect())
}
