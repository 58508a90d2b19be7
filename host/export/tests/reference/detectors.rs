//! Published detectors at other input sizes, with their outputs in any order, compared with an independent
//! implementation.

use lintel_core::detect::Faces;
use lintel_core::frame::Frame;
use lintel_core::geometry::Rect;
use lintel_core::time::Uptime;
use lintel_export::detector_input;
use lintel_inference::Detector;
use lintel_onnx::proto::{DimensionValue, TypeValue, ValueInfoProto};
use lintel_onnx::with_u8_input;
use lintel_onnx::{Dim, ElementType, GraphBuilder, i64_values, read, value_info, write};
use serde_json::Value;

use crate::export::shared;

/// The files, and their names in the independent implementation.
const MODELS: [(&str, &str); 2] = [("scrfd_500m_kps.onnx", "500m"), ("scrfd_2.5g_kps.onnx", "2.5g")];

/// The published file, or `None` and a line that says so.
fn published(test: &str, name: &str) -> Option<Vec<u8>> {
    let onnx = std::fs::read(shared(&["models", name])).ok();
    if onnx.is_none() {
        eprintln!("SKIPPED {test}: ../shared/models/{name} is absent");
    }
    onnx
}

fn faces(onnx: &[u8], photo: &str) -> Faces {
    let photo = image::open(shared(&["photos", photo])).unwrap().into_rgb8();
    let frame = Frame::rgb8(&photo, photo.width(), photo.height(), Uptime::ZERO).unwrap();
    Detector::open(onnx, &lintel_work::places::runtime()).unwrap().detect(&frame).unwrap()
}

/// The reference boxes on a photo at score ≥ `score`, and their shortest side when the photo is scaled to `size`.
fn judged(photo: &str, model: &str, score: f64, size: [u32; 2]) -> Vec<(Rect, f32)> {
    let all: Value = serde_json::from_slice(&std::fs::read(shared(&["photos", "detections.json"])).unwrap()).unwrap();
    let entry = &all["photos"][photo];
    let (width, height) = (entry["size"][0].as_f64().unwrap(), entry["size"][1].as_f64().unwrap());
    let scale = (f64::from(size[0]) / width).min(f64::from(size[1]) / height) as f32;
    let found = entry[model].as_array().unwrap().iter().filter(|face| face["score"].as_f64().unwrap() >= score);
    found
        .map(|face| {
            let side = |i: usize| face["box"][i].as_f64().unwrap() as f32;
            let rect = Rect::new(side(0), side(1), side(2), side(3));
            (rect, (rect.width().min(rect.height())) * scale)
        })
        .collect()
}

#[test]
fn scaled_faces_are_still_found() {
    let test = "scaled_faces_are_still_found";
    for (model, judge) in MODELS {
        let Some(onnx) = published(test, model) else { continue };
        for size in [[320, 320], [480, 480], [640, 480], [480, 640], [640, 640], [960, 544]] {
            let resized = with_u8_input(&onnx, Some((size[0], size[1]))).unwrap();
            assert_eq!(detector_input(&resized).unwrap(), size);
            // A resized detector can be resized again, to the same bytes or back.
            assert_eq!(with_u8_input(&resized, None).unwrap(), resized);
            for photo in ["two_people.jpg", "crowd.jpg"] {
                let got = faces(&resized, photo);
                let wanted = judged(photo, judge, 0.6, size);
                // A smaller input misses faces below some 20 pixels of the input.
                let large: Vec<_> = wanted.iter().filter(|(_, side)| *side >= 20.0).collect();
                let found = large.iter().filter(|(rect, _)| got.iter().any(|face| face.bbox.iou(rect) > 0.6)).count();
                eprintln!("{model} {size:?} {photo}: {found} of {} large faces, {} in all", large.len(), got.len());
                assert!(found * 20 >= large.len() * 19, "{model} {size:?} {photo}: {found} of {}", large.len());
            }
        }
    }
}

#[test]
fn a_resized_detector_can_be_resized_again() {
    let Some(onnx) = published("a_resized_detector_can_be_resized_again", MODELS[0].0) else { return };
    let small = with_u8_input(&onnx, Some((320, 256))).unwrap();
    let again = with_u8_input(&small, Some((640, 640))).unwrap();
    let (direct, again) =
        (faces(&with_u8_input(&onnx, None).unwrap(), "two_people.jpg"), faces(&again, "two_people.jpg"));
    assert_eq!((direct.len(), again.len()), (2, 2));
    assert!(direct.iter().zip(&again).all(|(a, b)| (a.score - b.score).abs() < 1e-5));
}

/// Outputs with every declared shape, or none, in any order and under any name: the faces are the same.
#[test]
fn outputs_are_told_by_their_shapes() {
    let test = "outputs_are_told_by_their_shapes";
    let Some(onnx) = published(test, MODELS[0].0) else { return };
    let expected = faces(&onnx, "two_people.jpg");
    let mut shuffled = read(&onnx).unwrap();
    let graph = shuffled.graph.as_mut().unwrap();
    graph.output.reverse();
    graph.output.swap(1, 7);
    for (i, output) in graph.output.iter_mut().enumerate() {
        // A misleading name, and a free first dimension.
        let name = format!("score_{i}");
        for node in &mut graph.node {
            node.output.iter_mut().filter(|o| **o == output.name).for_each(|o| o.clone_from(&name));
        }
        output.name = name;
        free_batch(output);
    }
    let got = faces(&write(&shuffled), "two_people.jpg");
    assert_eq!(got.len(), expected.len());
    assert!(got.iter().zip(&expected).all(|(a, b)| a.score == b.score && a.bbox == b.bbox));
}

fn free_batch(info: &mut ValueInfoProto) {
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) else { return };
    if let Some(dim) = tensor.shape.as_mut().and_then(|shape| shape.dim.first_mut()) {
        dim.value = Some(DimensionValue::Param("batch".to_owned()));
    }
}

/// A detector as a simplifier writes it: reshaped to counts of anchors, upsampled to sizes, all of them constants.
fn folded(width: usize, height: usize) -> Vec<u8> {
    let mut g = GraphBuilder::new("folded");
    let dims = [Dim::Fixed(1), Dim::Fixed(3), Dim::Fixed(height), Dim::Fixed(width)];
    let x = g.input("image", ElementType::F32, &dims);
    let mut maps = Vec::new();
    for stride in [8, 16, 32] {
        let window = lintel_onnx::Window { kernel: [stride; 2], stride: [stride; 2], pad: [0; 4] };
        maps.push(g.average_pool(&format!("map{stride}"), &x, window));
    }
    // The coarsest map, upsampled to the middle one by its size.
    let sizes = [1, 3, height / 16, width / 16].map(|s| s as i64);
    let sizes = g.constant_ints("sizes", &sizes);
    let none = lintel_onnx::Value::named("");
    let nearest = vec![lintel_onnx::text("mode", "nearest")];
    let up = g.node("Resize", "up", &[&maps[2], &none, &none, &sizes], nearest);
    maps[1] = g.add("sum", &maps[1], &up);
    for (map, stride) in maps.iter().zip([8, 16, 32]) {
        let anchors = (height / stride) * (width / stride) * 2;
        for parts in [1, 4, 10] {
            // Two anchors with that many numbers each, from three channels.
            let repeated = vec![map; (parts * 2_usize).div_ceil(3)];
            let wide = g.concat(&format!("wide{stride}.{parts}"), &repeated, 1);
            let cut = g.slice(&format!("cut{stride}.{parts}"), &wide, 1, 0, parts as i64 * 2);
            let name = format!("out{stride}.{parts}");
            let out = g.reshape(&name, &cut, &[1, anchors as i64, parts as i64]);
            g.output(&out, ElementType::F32, &[Dim::Fixed(1), Dim::Fixed(anchors), Dim::Fixed(parts)]);
        }
    }
    write(&g.finish())
}

#[test]
fn constants_that_follow_from_the_size_are_rewritten() {
    let open = |onnx: &[u8]| Detector::open(onnx, &lintel_work::places::runtime()).map(|detector| detector.input());
    let fixed = folded(640, 640);
    assert_eq!(open(&fixed).unwrap(), (640, 640));
    for size in [(320, 320), (640, 480), (96, 256)] {
        let resized = with_u8_input(&fixed, Some(size)).unwrap();
        assert_eq!(open(&resized).unwrap(), size);
        assert_eq!(open(&with_u8_input(&resized, Some((640, 640))).unwrap()).unwrap(), (640, 640));
    }
    // A constant of unknown meaning: the file is written, and refused when it is run.
    let mut odd = read(&fixed).unwrap();
    let graph = odd.graph.as_mut().unwrap();
    let shape = graph.initializer.iter_mut().find(|t| t.name == "out8.1.shape").unwrap();
    assert_eq!(i64_values(shape).unwrap(), [1, 12800, 1]);
    shape.raw_data = Some([1, 6400, 2].iter().flat_map(|n: &i64| n.to_le_bytes()).collect());
    graph.output[0] = value_info("out8.1", ElementType::F32, &[Dim::Fixed(1), Dim::Fixed(6400), Dim::Fixed(2)]);
    let error = open(&with_u8_input(&write(&odd), Some((320, 320))).unwrap()).unwrap_err().to_string();
    assert!(error.contains("detector"), "{error}");
}
