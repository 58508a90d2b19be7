//! Any bytes → a kept crowd, with the hash as it is and with a right one: no panic, and never more people than the
//! bytes hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_evaluation::evaluate::crowd::{MAGIC, VERSION, read};
use lintel_core::embed::EncoderId;
use lintel_formats::envelope;

const ENCODER: EncoderId = EncoderId([0; 32]);

fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes, ENCODER);
    let body = [&ENCODER.0[..], bytes].concat();
    let Some(crowd) = read(&envelope::seal(MAGIC, VERSION, &body), ENCODER) else { return };
    assert!(crowd.people.len() <= bytes.len() && crowd.people.iter().all(|one| !one.setting.is_empty()));
});
