//! Any bytes → `table::from_bytes`, with the hash as it is and with a right one: no panic, and what is read is written
//! back as it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lintel_core::embed::Embedding;
use lintel_formats::envelope;
use lintel_formats::table::{self, MAGIC, VERSION};

fuzz_target!(|bytes: &[u8]| {
    let _ = table::from_bytes(bytes);
    let Ok(read) = table::from_bytes(&envelope::seal(MAGIC, VERSION, bytes)) else { return };
    assert_eq!(table::from_bytes(&table::to_bytes(&read)).as_ref(), Ok(&read));
    let mut raw = vec![0.5; read.dim()];
    raw[0] = 1.0;
    let face = Embedding::new(&raw, read.encoder()).expect("has a direction");
    let scores = read.score(&face).expect("same encoder and width");
    assert!((0.0..=1.0).contains(&scores.confidence) && (0.0..=2.0).contains(&scores.margin), "{scores:?}");
    let _ = read.opinion(&scores);
    if let Some(person) = read.people().first() {
        assert_eq!(read.without(person.id).expect("is there").len() + 1, read.len());
    }
});
