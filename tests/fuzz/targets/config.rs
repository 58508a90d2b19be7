//! Any text → `Config::from_toml`: no panic, and an error is one line.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lintel_edge::config::Config;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(e) = Config::from_toml(text, Path::new("door.toml")) {
        assert!(!e.to_string().contains('\n'), "{e}");
    }
});
