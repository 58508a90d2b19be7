//! Any bytes → a face encoder to graft, with the pixels' way in front of it: no panic; the result can be read, and is
//! not grafted twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_onnx::{Preprocessing, graft};
use lintel_onnx::read;

fuzz_target!(|bytes: &[u8]| {
    for (_, preprocessing) in Preprocessing::NAMED {
        let Ok(grafted) = graft(bytes, &preprocessing) else { continue };
        assert!(read(&grafted).is_ok());
        assert!(graft(&grafted, &preprocessing).is_err());
    }
});
