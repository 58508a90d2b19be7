//! Any bytes → requests and answers of every version: no panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_wire::link::{Answer, PREFIX, Request, announced, from_body, to_frame};

fuzz_target!(|bytes: &[u8]| {
    if let Some(prefix) = bytes.first_chunk::<PREFIX>() {
        let _ = announced(*prefix);
    }
    // Whatever is taken is what would be sent: nothing has two readings.
    if let Ok(request) = from_body::<Request>(1, bytes) {
        let frame = to_frame(1, &request).expect("it was within its limits");
        assert_eq!(from_body::<Request>(1, &frame[PREFIX..]), Ok(request));
    }
    let sealed = [&1_u16.to_le_bytes()[..], bytes].concat();
    let _ = from_body::<Request>(1, &sealed);
    if let Ok(answer) = from_body::<Answer>(1, &sealed) {
        let _ = to_frame(1, &answer);
    }
});
