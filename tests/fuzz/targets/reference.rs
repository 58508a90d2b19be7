//! Any bytes → the reference decisions of a pushed bundle: no panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_formats::envelope::seal;
use lintel_formats::reference::Reference;

fuzz_target!(|bytes: &[u8]| {
    let _ = Reference::from_bytes(bytes);
    // Behind the hash, which a fuzzer does not find.
    if let Ok(reference) = Reference::from_bytes(&seal(*b"LNTLREFD", 1, bytes)) {
        assert!(reference.to_bytes().is_ok());
    }
});
