//! Any bytes → `NamedTensors::read`, as a whole file, and as the pickle of a sound archive: no panic, no memory beyond
//! the bounds, and what is read is finite and of the shape that it says.
#![no_main]

use std::io::{Cursor, Write as _};

use libfuzzer_sys::fuzz_target;
use lintel_clip::weights::NamedTensors;
use zip::write::SimpleFileOptions;

/// The values of every storage that a pickle may look at.
const STORAGE: [u8; 64] = [0; 64];

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&archive(bytes));
});

fn check(bytes: &[u8]) {
    let Ok(tensors) = NamedTensors::read(bytes) else { return };
    let mut values = 0;
    for (_, tensor) in tensors.iter() {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len());
        assert!(tensor.values.iter().all(|value| value.is_finite()));
        values += tensor.values.len();
    }
    assert!(values * 4 <= (bytes.len() * 4).max(64 << 20));
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", &STORAGE), ("a/data/1", &STORAGE)] {
        zip.start_file(name, stored).expect("an own name");
        zip.write_all(content).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}
