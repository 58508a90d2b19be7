//! Any bytes → `Manifest::from_bytes`: no panic, and what is read is written back as it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_formats::bundle::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::from_bytes(bytes) else { return };
    let again = manifest.to_bytes().expect("what was read can be written");
    assert_eq!(Manifest::from_bytes(&again).as_ref(), Ok(&manifest));
});
