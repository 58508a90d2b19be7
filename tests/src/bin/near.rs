//! How near somebody may stand: faces that fill more and more of the frame, at one scale, at half of it, and at both.
//!
//! SCRFD's anchors end at 512 pixels and its training pictures rarely hold a face of more than half their height, so that
//! a face right before a door's camera is missed, or its landmarks are off. Prints one line for each share of the frame's
//! height that the face fills: faces found with a score of 0.5, and landmarks' distance from the truth (median).

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use lintel_faces::{Picture, Pose, photo_scene, render};
use lintel_shared::detect::Face;
use lintel_shared::frame::Frame;
use lintel_shared::geometry::Rect;
use lintel_shared::runtime::{Detector, Options};
use lintel_shared::time::Uptime;

/// Seeds of people whom nothing was trained on.
const PEOPLE: u64 = (1 << 63) + 91_000;

/// How near somebody may stand.
#[derive(Parser)]
struct Args {
    /// SCRFD models
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Faces for each size
    #[arg(long, default_value_t = 40)]
    faces: u64,
}

/// One face whose bounding box has `share` of the frame's height.
fn portrait(i: u64, share: f32) -> Picture {
    let spread = |i: u64| ((i as f64 * 0.618_033_988_75).fract() * 2.0 - 1.0) as f32;
    let mut scene = photo_scene(PEOPLE + i, i, [640, 480]);
    scene.occluders.clear();
    let face = &mut scene.faces[0];
    face.pose = Pose { yaw: spread(i) * 20.0, ..face.pose };
    face.centre_px = [320.0 + spread(i * 3 + 1) * 40.0, 240.0 + spread(i * 5 + 2) * 20.0];
    face.distance_cm = 45.0;
    // The box is about a third higher than the face is wide.
    face.face_width_px = share * 480.0 / 1.33;
    render(&scene)
}

/// The picture in the upper left of a black one, `factor` times as large.
fn padded(picture: &Picture, factor: u32) -> Picture {
    let (width, height) = (picture.width * factor, picture.height * factor);
    let mut rgb = vec![0; (width * height * 3) as usize];
    let lines = rgb.chunks_exact_mut(width as usize * 3);
    for (line, row) in lines.zip(picture.rgb.chunks_exact(picture.width as usize * 3)) {
        line[..row.len()].copy_from_slice(row);
    }
    Picture { width, height, rgb, truth: picture.truth.clone() }
}

/// The face that was found, and how far its landmarks are off, as a share of the inter-ocular distance.
fn judge(picture: &Picture, faces: &[Face]) -> Option<f32> {
    let truth = &picture.truth[0];
    let [x1, y1, x2, y2] = truth.bbox;
    let place = Rect { x1, y1, x2, y2 };
    let best = faces.iter().max_by(|a, b| place.iou(&a.bbox).total_cmp(&place.iou(&b.bbox)))?;
    if place.iou(&best.bbox) < 0.4 {
        return None;
    }
    let [left, right, ..] = truth.landmarks;
    let inter_ocular = (left[0] - right[0]).hypot(left[1] - right[1]);
    let errors = truth.landmarks.iter().zip(&best.landmarks).map(|(t, f)| (t[0] - f.x).hypot(t[1] - f.y));
    Some(errors.sum::<f32>() / 5.0 / inter_ocular)
}

fn main() -> Result<()> {
    let args = Args::parse();
    for path in &args.models {
        let onnx = std::fs::read(path).with_context(|| path.display().to_string())?;
        let mut detector = Detector::open(&onnx, &Options::default())?;
        println!("{}", path.file_name().unwrap_or_default().to_string_lossy());
        println!("share of height   whole: found, off   half: found, off   third: found, off");
        for tenth in 2..=12 {
            let share = tenth as f32 / 10.0;
            let mut line = format!("{share:>15.1}");
            for factor in [1, 2, 3] {
                let mut off = Vec::new();
                for i in 0..args.faces {
                    let picture = portrait(i, share);
                    let seen = padded(&picture, factor);
                    let frame = Frame::rgb8(&seen.rgb, seen.width, seen.height, Uptime::ZERO)?;
                    off.extend(judge(&picture, &detector.detect(&frame)?));
                }
                off.sort_by(f32::total_cmp);
                let median = off.get(off.len() / 2).map_or("   -".to_owned(), |off| format!("{off:.3}"));
                line += &format!("   {:>5.1} %, {median}", 100.0 * off.len() as f32 / args.faces as f32);
            }
            println!("{line}");
        }
    }
    Ok(())
}
