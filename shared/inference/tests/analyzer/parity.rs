//! The published SCRFD models on real photos, against detections of an independent implementation.

use std::path::PathBuf;

use lintel_core::align::{CROP_BYTES, TEMPLATE, crop_transform, warp};
use lintel_core::frame::Frame;
use lintel_core::geometry::{Point, Rect};
use lintel_core::quality::{QualityLimits, sharpness};
use lintel_core::time::Uptime;
use lintel_inference::Detector;
use serde_json::Value;

/// A file or folder beside the project, or `None`, said aloud.
fn shared(test: &str, path: &str) -> Option<PathBuf> {
    let found = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    if !found.exists() {
        eprintln!("SKIPPED {test}: ../shared/{path} is absent");
        return None;
    }
    Some(found)
}

struct Expected {
    score: f32,
    bbox: Rect,
    landmarks: [Point; 5],
    /// Landmarks → 112×112 template.
    align: [[f32; 3]; 2],
}

fn expected(faces: &Value) -> Vec<Expected> {
    let number = |value: &Value| value.as_f64().expect("a number") as f32;
    let faces = faces.as_array().expect("a list of faces");
    let face = |face: &Value| Expected {
        score: number(&face["score"]),
        bbox: {
            let side = |i: usize| number(&face["box"][i]);
            Rect::new(side(0), side(1), side(2), side(3))
        },
        landmarks: std::array::from_fn(|i| {
            Point::new(number(&face["landmarks"][i][0]), number(&face["landmarks"][i][1]))
        }),
        align: std::array::from_fn(|row| std::array::from_fn(|column| number(&face["align"][row][column]))),
    };
    faces.iter().map(face).collect()
}

fn detections(test: &str) -> Option<Value> {
    let text = std::fs::read_to_string(shared(test, "photos/detections.json")?).expect("a readable file");
    Some(serde_json::from_str(&text).expect("valid JSON"))
}

#[test]
fn faces_are_those_that_others_find() {
    let test = "faces_are_those_that_others_find";
    let Some(detections) = detections(test) else { return };
    for (model, key) in [("scrfd_500m_kps", "500m"), ("scrfd_2.5g_kps", "2.5g")] {
        let Some(path) = shared(test, &format!("models/{model}.onnx")) else { return };
        let onnx = std::fs::read(path).expect("a readable model");
        let mut detector = Detector::open(&onnx, &crate::options()).expect("an SCRFD model");
        assert_eq!(detector.input(), (640, 640));
        for (photo, of_photo) in detections["photos"].as_object().expect("photos") {
            let path = shared(test, &format!("photos/{photo}")).expect("every photo of detections.json");
            let picture = image::open(path).expect("a readable photo").into_rgb8();
            let (width, height) = picture.dimensions();
            let frame = Frame::rgb8(&picture, width, height, Uptime::ZERO).expect("a valid frame");
            let got = detector.detect(&frame).expect("sound outputs");
            let expected = expected(&of_photo[key]);
            // Distances in pixels of the 640×640 input.
            let scale = 640.0 / width.max(height) as f32;
            let mut worst = (0.0f32, 0.0f32);
            let sure = expected.iter().filter(|face| face.score >= 0.55);
            for wanted in sure.clone() {
                let best = got.iter().max_by(|a, b| a.bbox.iou(&wanted.bbox).total_cmp(&b.bbox.iou(&wanted.bbox)));
                let best = best.expect("some face");
                let corners = |b: &Rect| [Point::new(b.x1, b.y1), Point::new(b.x2, b.y2)];
                let pairs = corners(&best.bbox).into_iter().zip(corners(&wanted.bbox));
                let pairs = pairs.chain(best.landmarks.into_iter().zip(wanted.landmarks));
                let off = pairs.map(|(a, b)| (a.x - b.x).abs().max((a.y - b.y).abs()) * scale).fold(0.0, f32::max);
                let unsure = (best.score - wanted.score).abs();
                assert!(off <= 3.0, "{key} {photo}: {:?} is {off} px off, {best:?}", wanted.bbox);
                assert!(unsure <= 0.015, "{key} {photo}: {:?} scored {}, {best:?}", wanted.bbox, wanted.score);
                worst = (worst.0.max(off), worst.1.max(unsure));
            }
            for face in got.iter().filter(|face| face.score >= 0.55) {
                let known = expected.iter().any(|wanted| wanted.bbox.iou(&face.bbox) > 0.4);
                assert!(known, "{key} {photo}: nobody else finds {face:?}");
            }
            println!(
                "{key} {photo}: {} of {} faces are sure; at most {:.2} px and {:.4} in score apart",
                sure.count(),
                expected.len(),
                worst.0,
                worst.1,
            );
        }
    }
}

#[test]
fn alignment_is_that_of_others() {
    let Some(detections) = detections("alignment_is_that_of_others") else { return };
    for (point, other) in TEMPLATE.iter().zip(detections["template_112"].as_array().expect("a template")) {
        let place = |i: usize| 2.0 * other[i].as_f64().expect("a number") as f32;
        assert!(point.distance(Point::new(place(0), place(1))) < 1e-3);
    }
    let mut count = 0;
    for (photo, of_photo) in detections["photos"].as_object().expect("photos") {
        for key in ["500m", "2.5g"] {
            for face in expected(&of_photo[key]) {
                let t = crop_transform(&face.landmarks).expect("a face");
                let [row_x, row_y] = face.align;
                // The file's landmarks are rounded to 0.01 pixel, its matrices come from unrounded ones; so compare
                // what the matrices do to the face.
                for p in face.landmarks {
                    let got = t.apply(p);
                    let other = [row_x, row_y].map(|[x, y, shift]| 2.0 * (x * p.x + y * p.y + shift));
                    let off = got.distance(Point::new(other[0], other[1]));
                    assert!(off < 0.02 * t.scale().max(1.0), "{photo} {key}: {p:?} is {off} px off");
                }
                count += 1;
            }
        }
    }
    assert!(count > 150, "only {count} faces were compared");
}

/// Horizontal motion blur over `width` (odd) pixels.
fn moved(picture: &image::RgbImage, width: usize) -> image::RgbImage {
    let mut blurred = picture.clone();
    let stride = picture.width() as usize * 3;
    for (row, out) in picture.chunks_exact(stride).zip(blurred.chunks_exact_mut(stride)) {
        for channel in 0..3 {
            let columns = stride / 3;
            let at = |x: usize| u32::from(row[x.saturating_sub(width / 2).min(columns - 1) * 3 + channel]);
            let mut sum: u32 = (0..width).map(at).sum();
            for x in 0..columns {
                out[x * 3 + channel] = (sum / width as u32) as u8;
                sum = sum + at(x + width) - at(x);
            }
        }
    }
    blurred
}

#[test]
fn blur_on_real_faces_is_seen() {
    let test = "blur_on_real_faces_is_seen";
    let Some(detections) = detections(test) else { return };
    let Some(path) = shared(test, "photos/crowd.jpg") else { return };
    let picture = image::open(path).expect("a readable photo").into_rgb8();
    let faces = expected(&detections["photos"]["crowd.jpg"]["2.5g"]);
    let faces: Vec<_> = faces.iter().filter(|f| f.landmarks[0].distance(f.landmarks[1]) >= 30.0).collect();
    assert!(faces.len() >= 10, "only {} faces are large enough", faces.len());
    let mut crop = vec![0; CROP_BYTES];
    let mut measured = |picture: &image::RgbImage| -> Vec<f32> {
        let frame = Frame::rgb8(picture, picture.width(), picture.height(), Uptime::ZERO).expect("a valid frame");
        let each = faces.iter().map(|face| {
            warp(&frame, &crop_transform(&face.landmarks).expect("a face"), &mut crop);
            sharpness(&crop)
        });
        let mut sorted: Vec<f32> = each.collect();
        sorted.sort_by(f32::total_cmp);
        sorted
    };
    let limit = QualityLimits::default().min_sharpness;
    let medians: Vec<f32> = [1, 5, 9, 17, 33]
        .map(|width| {
            let sorted = measured(&moved(&picture, width));
            println!(
                "moved by {width} px: {:.3} to {:.3}, median {:.3}",
                sorted[0],
                sorted[sorted.len() - 1],
                sorted[sorted.len() / 2]
            );
            sorted[sorted.len() / 2]
        })
        .to_vec();
    assert!(medians.is_sorted_by(|a, b| a > b), "{medians:?}");
    assert!(medians[0] > 2.0 * limit, "{medians:?}");
}
