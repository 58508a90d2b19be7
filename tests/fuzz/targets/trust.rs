//! Any bytes → the metadata of a push (The Update Framework; files end at a zero byte), after a root that the device
//! trusts: no panic.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use lintel_edge::link::trust::Trust;
use lintel_link::Fingerprint;

/// A root whose keys nobody has any more.
const ROOT: &[u8] = include_bytes!("../seeds/trust-root.json");

fuzz_target!(|bytes: &[u8]| {
    let _ = Trust::new(bytes);
    let trust = Trust::new(ROOT).expect("a root");
    let names = ["timestamp.json", "1.snapshot.json", "1.targets.json", "2.root.json"];
    let files = bytes.split(|byte| *byte == 0).zip(names);
    let sent: BTreeMap<String, Vec<u8>> = files.map(|(bytes, name)| (name.to_owned(), bytes.to_vec())).collect();
    // Only the seed itself is signed, and that for another device.
    assert!(trust.verify(&sent, Fingerprint([0; 32]), 0).is_err());
});
