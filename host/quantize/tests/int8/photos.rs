//! The public SCRFD detectors on photographs: the integer models find the same faces as the float models.

use std::path::PathBuf;

use lintel_core::detect::{Face, Faces, Letterbox, Limits};
use lintel_core::frame::Frame;
use lintel_core::time::Uptime;
use lintel_inference::{Array, Detector, Values};
use lintel_onnx::with_u8_input;
use lintel_photos::calibration_set::frames;
use lintel_photos::photos::{decode, read};
use lintel_quantize::Settings;

use crate::integers;

const PHOTOS: [&str; 2] = ["crowd.jpg", "two_people.jpg"];
const SURE: f32 = 0.5;
/// A score of the float model below which a detection does not count as a face.
const NONE: f32 = 0.35;

fn shared(parts: &[&str]) -> PathBuf {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared"].iter().collect();
    parts.iter().fold(root, |path, part| path.join(part))
}

fn partner<'f>(face: &Face, faces: &'f Faces) -> Option<&'f Face> {
    faces
        .iter()
        .filter(|other| face.bbox.iou(&other.bbox) > 0.5)
        .max_by(|a, b| face.bbox.iou(&a.bbox).total_cmp(&face.bbox.iou(&b.bbox)))
}

fn check(test: &str, name: &str) {
    let Ok(published) = std::fs::read(shared(&["models", name])) else {
        eprintln!("SKIPPED {test}: ../shared/models/{name} is absent");
        return;
    };
    let folder = shared(&["photos"]);
    if !folder.is_dir() {
        eprintln!("SKIPPED {test}: ../shared/photos is absent");
        return;
    }
    let float = with_u8_input(&published, None).unwrap();
    // The photographs are for the comparison; their mirror images and rendered crowds are for calibration.
    let mut taught: Vec<_> = (0..6).map(rendered).collect();
    for photo in PHOTOS {
        let mut photo = decode(&read(&folder.join(photo)).unwrap()).unwrap();
        image::imageops::flip_horizontal_in_place(&mut photo);
        taught.insert(0, letterboxed(photo.as_raw(), photo.width(), photo.height()));
    }
    let integers = integers(&float, &taught, &Settings::default());
    let mut detectors = [&float, &integers.onnx].map(|onnx| open(onnx));
    let (mut sure, mut kept, mut offsets) = (0, 0, Vec::new());
    for photo in PHOTOS {
        let photo = decode(&read(&folder.join(photo)).unwrap()).unwrap();
        let frame = Frame::rgb8(photo.as_raw(), photo.width(), photo.height(), Uptime::ZERO).unwrap();
        let [float, integers] = detectors.each_mut().map(|detector| detector.detect(&frame).unwrap());
        for face in float.iter().filter(|face| face.score >= SURE) {
            sure += 1;
            let Some(other) = partner(face, &integers).filter(|other| other.score >= SURE) else { continue };
            kept += 1;
            let width = face.bbox.x2 - face.bbox.x1;
            for (a, b) in face.landmarks.iter().zip(&other.landmarks) {
                offsets.push((a.x - b.x).hypot(a.y - b.y) / width);
            }
        }
        for face in integers.iter().filter(|face| face.score >= SURE) {
            let known = partner(face, &float).is_some_and(|other| other.score >= NONE);
            assert!(known, "{name} finds a face with score {} where there is none", face.score);
        }
    }
    offsets.sort_by(f32::total_cmp);
    let median = offsets[offsets.len() / 2];
    eprintln!("{name}: {kept} of {sure} faces kept, landmarks off by {:.2} % of the box (median)", median * 100.0);
    assert!(sure > 10 && kept * 100 >= sure * 98 && median <= 0.02);
}

/// A detector that also reports faces below the usual score.
fn open(onnx: &[u8]) -> Detector {
    let limits = Limits { min_score: 0.3, ..Limits::default() };
    Detector::open_with(onnx, &lintel_work::places::runtime(), (640, 640), limits).unwrap()
}

fn rendered(crowd: u64) -> Array {
    let picture = lintel_faces::crowd(crowd, [640, 640], 12, 20.0);
    letterboxed(&picture.rgb, 640, 640)
}

fn letterboxed(rgb: &[u8], width: u32, height: u32) -> Array {
    let frame = Frame::rgb8(rgb, width, height, Uptime::ZERO).unwrap();
    let mut pixels = vec![0; 640 * 640 * 3];
    Letterbox::new(frame.size(), (640, 640)).fill(&frame, &mut pixels);
    Array { shape: vec![1, 640, 640, 3], values: Values::U8(pixels) }
}

#[test]
fn scrfd_2_5g_finds_the_same_faces() {
    check("scrfd_2_5g_finds_the_same_faces", "scrfd_2.5g_kps.onnx");
}

#[test]
fn scrfd_500m_finds_the_same_faces() {
    check("scrfd_500m_finds_the_same_faces", "scrfd_500m_kps.onnx");
}

#[test]
fn photographs_make_a_calibration_set() {
    let folder = shared(&["photos"]);
    if !folder.is_dir() {
        eprintln!("SKIPPED photographs_make_a_calibration_set: ../shared/photos is absent");
        return;
    }
    let frames = frames(&folder, [320, 256], 64).unwrap();
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|frame| frame.shape == [1, 256, 320, 3]));
}
