//! Any bytes → a stream of messages: no panic, no event twice, and what is read is written back as it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_wire::event;

fuzz_target!(|bytes: &[u8]| {
    let mut errors = 0;
    for event in event::events(bytes) {
        assert_eq!(errors, 0, "nothing comes after an error");
        match event {
            Ok(event) => {
                let message = event::to_vec(&event).expect("what was read can be written");
                assert_eq!(event::decode(&message), Ok(Some((event, message.len()))));
            }
            Err(_) => errors += 1,
        }
    }
});
