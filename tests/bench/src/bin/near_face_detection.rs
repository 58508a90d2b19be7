//! How near a person may stand: faces that fill more and more of the frame, detected at one scale and at two.
//!
//! SCRFD's anchors end at 512 pixels and its training pictures rarely hold a face of more than half their height, so
//! that a face right before a door's camera is missed, or its landmarks are off. Prints one line for each share of the
//! frame's height that the face fills: faces found with a score of 0.5, and landmarks' distance from the truth
//! (median), as a share of the inter-ocular distance.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use lintel_core::detect::is_near;
use lintel_core::frame::Frame;
use lintel_core::time::Uptime;
use lintel_inference::Detector;
use lintel_tests::fixtures::near_faces::{judge, portrait};

/// How near a person may stand.
#[derive(Parser)]
struct Args {
    /// SCRFD models
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Faces for each size
    #[arg(long, default_value_t = 40)]
    faces: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    for path in &args.models {
        let onnx = std::fs::read(path).with_context(|| path.display().to_string())?;
        let mut detector = Detector::open(&onnx, &lintel_work::places::runtime())?;
        println!("{}", path.file_name().unwrap_or_default().to_string_lossy());
        println!("share of height   once: found, off   twice where due: found, off");
        for tenth in 2..=12 {
            let share = tenth as f32 / 10.0;
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            for i in 0..args.faces {
                let picture = portrait(i, share);
                let frame = Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO)?;
                let mut faces = detector.detect(&frame)?;
                once.extend(judge(&picture, &faces));
                if faces.is_empty() || faces.iter().any(|face| is_near(face, frame.size())) {
                    detector.detect_near(&frame, &mut faces)?;
                }
                twice.extend(judge(&picture, &faces));
            }
            let words = |off: &mut Vec<f32>| {
                off.sort_by(f32::total_cmp);
                let median = off.get(off.len() / 2).map_or("   -".to_owned(), |off| format!("{off:.3}"));
                format!("{:>5.1} %, {median}", 100.0 * off.len() as f32 / args.faces as f32)
            };
            println!("{share:>15.1}   {}      {}", words(&mut once), words(&mut twice));
        }
    }
    Ok(())
}
