//! Any bytes → kept strangers, with the hash as it is and with a right one: no panic, and never more of them than the
//! bytes hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_rendered::strangers::kept::{MAGIC, VERSION, read};
use lintel_core::embed::EncoderId;
use lintel_formats::envelope;

const ENCODER: EncoderId = EncoderId([0; 32]);

fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes, ENCODER);
    let body = [&ENCODER.0[..], bytes].concat();
    let Some(cohort) = read(&envelope::seal(MAGIC, VERSION, &body), ENCODER) else { return };
    assert!(cohort.met.len() <= bytes.len());
});
