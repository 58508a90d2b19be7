//! Any bytes → the held-out faces of a trained table, with the hash as it is and with a right one: no panic, and what
//! is read is written back and read again as the same people.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_training::held_out::{HeldOutFaces, MAGIC, VERSION};
use lintel_core::embed::EncoderId;
use lintel_formats::envelope;

fuzz_target!(|bytes: &[u8]| {
    let _ = HeldOutFaces::from_bytes(bytes);
    let Ok(faces) = HeldOutFaces::from_bytes(&envelope::seal(MAGIC, VERSION, bytes)) else { return };
    let again = HeldOutFaces::from_bytes(&faces.to_bytes(EncoderId([0; 32]))).expect("own bytes");
    assert_eq!(again.len(), faces.len());
});
