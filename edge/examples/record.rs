//! Recordings → what a bundle's models see in them, for `lintel-edge run --recorded-sightings`:
//!
//! ```sh
//! cargo run --release -p lintel-edge --example record -- BUNDLE SIGHTINGS visit.mjpeg …
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use lintel_core::quality::QualityLimits;
use lintel_edge::pipeline::recorded::record;
use lintel_inference::{FaceAnalyzer, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [bundle, sightings, recordings @ ..] = arguments.as_slice() else {
        return Err("wanted BUNDLE SIGHTINGS RECORDING.mjpeg …".into());
    };
    let mut vision = FaceAnalyzer::open(Path::new(bundle), &Options::default(), QualityLimits::default())?;
    let mut out = BufWriter::new(File::create(sightings)?);
    record(&mut vision, recordings, &mut out)?;
    Ok(out.flush()?)
}
