//! Any bytes → a peer's certificate, signature and receipt, and an identity's file: no panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_formats::envelope::seal;
use lintel_link::Identity;
use lintel_link::identity::signed_by;
use lintel_link::receipt;
use lintel_wire::link::Receipt;

fuzz_target!(|bytes: &[u8]| {
    let _ = Identity::from_bytes(bytes);
    let _ = Identity::from_bytes(&seal(*b"LNTLIDNT", 1, bytes));
    let (certificate, rest) = bytes.split_at(bytes.len() / 2);
    // A peer may have a weak key of its own making: that it signs anything is its own affair.
    let _ = signed_by(certificate, b"words", rest);
    let receipt = Receipt { statement: rest.to_vec(), signature: vec![0; 64] };
    let _ = receipt::open(&receipt, certificate);
});
