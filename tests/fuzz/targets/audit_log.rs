//! Any bytes → `Record::from_bytes`: no panic, and what is read is written back and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_wire::audit::Record;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::from_bytes(bytes) {
        let again = record.to_bytes().expect("it was within its limits");
        assert_eq!(Record::from_bytes(&again), Ok(record));
    }
    let sealed = [&1_u16.to_le_bytes()[..], bytes].concat();
    let _ = Record::from_bytes(&sealed);
});
