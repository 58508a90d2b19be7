//! Recordings → what a bundle's models see in them, for `lintel-edge run --recorded-sightings`:
//!
//! ```sh
//! cargo run --release -p lintel-edge --example record -- BUNDLE SIGHTINGS visit.mjpeg …
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use etcetera::base_strategy::Xdg;
use lintel_core::quality::QualityLimits;
use lintel_edge::pipeline::recorded::record;
use lintel_inference::{FaceAnalyzer, Library, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [bundle, sightings, recordings @ ..] = arguments.as_slice() else {
        return Err("wanted BUNDLE SIGHTINGS RECORDING.mjpeg …".into());
    };
    let cache = Xdg::new().ok().map(|user| user.cache_dir().join("lintel"));
    let options = Options { library: Library { cache, ..Library::default() }, ..Options::default() };
    let mut vision = FaceAnalyzer::open(Path::new(bundle), &options, QualityLimits::default())?;
    let mut out = BufWriter::new(File::create(sightings)?);
    record(&mut vision, recordings, &mut out)?;
    Ok(out.flush()?)
}
