//! Exported models through ONNX Runtime: bytes, batches, resolutions, detectors, whole bundles.

use std::path::PathBuf;

use lintel_core::embed::EncoderId;
use lintel_core::frame::Frame;
use lintel_core::table::{Person, PersonId, Rule, Table, TableParts};
use lintel_core::time::Uptime;
use lintel_export::{BundleParts, Views, detector_input, encoder_onnx, write_bundle};
use lintel_inference::{Detector, Encoder};
use lintel_onnx::with_u8_input;
use lintel_onnx::{Dim, ElementType, GraphBuilder, read, write};

use crate::{formula, shapes};

#[test]
fn the_same_weights_give_the_same_bytes() {
    let tensors = formula::tensors(&shapes::visual(128));
    assert_eq!(
        encoder_onnx(&tensors, 224, Views::default()).unwrap(),
        encoder_onnx(&tensors, 224, Views::default()).unwrap()
    );
}

#[test]
fn a_batch_is_its_crops() {
    let tensors = formula::tensors(&shapes::visual(128));
    let mut encoder =
        Encoder::open(&encoder_onnx(&tensors, 224, Views::default()).unwrap(), &lintel_work::places::runtime())
            .unwrap();
    let crops = [0, 1, 2].map(|i| formula::picture(&format!("crop {i}"), 224));
    let batch = encoder.embed_batch(&crops.each_ref().map(Vec::as_slice)).unwrap();
    for (crop, together) in crops.iter().zip(&batch) {
        let alone = encoder.embed(crop).unwrap();
        assert!(alone.similarity(together).unwrap().get() > 0.999_999);
        assert_eq!(alone.dim(), 32);
    }
    assert!(batch[0].similarity(&batch[1]).unwrap().get() < 0.999);
}

#[test]
fn a_mirrored_encoder_sees_both_sides_as_one() {
    let tensors = formula::tensors(&shapes::visual(64));
    let plain = encoder_onnx(&tensors, 224, Views::default()).unwrap();
    let mirrored = encoder_onnx(&tensors, 224, Views { mirror: true, ..Views::default() }).unwrap();
    let crop = formula::picture("mirrored", 224);
    let other: Vec<u8> = crop.chunks(224 * 3).flat_map(|row| row.chunks(3).rev().flatten().copied()).collect();
    let (a, b) = (embed(&plain, &crop, 224), embed(&plain, &other, 224));
    assert!(cosine(&a, &b) < 0.999, "the test needs a picture that differs from its mirror image");
    let sum: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    let length = cosine(&sum, &sum).sqrt();
    for crop in [&crop, &other] {
        let both = embed(&mirrored, crop, 224);
        assert!(cosine(&both, &sum) / length > 0.999_99);
        assert!((cosine(&both, &both) - 1.0).abs() < 1e-4);
    }
    // Several at once: each with its own mirror image.
    let mut encoder = Encoder::open(&mirrored, &lintel_work::places::runtime()).unwrap();
    let third = formula::picture("another", 224);
    let batch = encoder.embed_batch(&[&crop, &third, &other]).unwrap();
    let alone = encoder.embed(&third).unwrap();
    assert!(batch[0].similarity(&batch[2]).unwrap().get() > 0.999_99);
    assert!(batch[1].similarity(&alone).unwrap().get() > 0.999_99);
    assert!(batch[0].similarity(&batch[1]).unwrap().get() < 0.999);
}

/// Both views are computed here as a camera would see the crop from further away and from nearer, with many points for
/// each pixel. Beyond the crop its edge is repeated, and around the view is the mean colour.
#[test]
fn a_multi_scale_encoder_sees_a_smaller_and_a_larger_face() {
    const R: usize = 64;
    let tensors = formula::tensors(&shapes::visual(R));
    let multi_scale = Views { multi_scale: true, ..Views::default() };
    let seen = encoder_onnx(&tensors, 224, multi_scale).unwrap();
    let direct = encoder_onnx(&tensors, R, Views::default()).unwrap();
    // Squares of eight pixels, which stay visible when four pixels are averaged.
    let crops = ["scaled", "another"].map(|name| {
        let squares = formula::picture(name, 28);
        let at = |i: usize| squares[(i / 3 / 224 / 8 * 28 + i / 3 % 224 / 8) * 3 + i % 3];
        (0..224 * 224 * 3).map(at).collect::<Vec<u8>>()
    });
    for crop in &crops {
        let [smaller, plain, larger] = [0.96, 1.0, 1.04].map(|scale| embed(&direct, &scaled(crop, R, scale), R));
        let sum: Vec<f32> = smaller.iter().zip(&larger).map(|(a, b)| a + b).collect();
        let got = embed(&seen, crop, 224);
        assert!((cosine(&got, &got) - 1.0).abs() < 1e-4);
        // Much nearer to the two views than the views are to each other and to the crop.
        let off = 1.0 - cosine(&got, &sum) / cosine(&sum, &sum).sqrt();
        let apart = 1.0 - [&smaller, &larger].map(|look| cosine(look, &plain)).into_iter().fold(0.0, f32::max);
        assert!(apart > 1e-4, "{apart}: the test needs a picture that differs between scales");
        assert!(off < 0.05 * apart, "{off} of {apart}");
    }
    // Several at once, mirrored too: each with its own views.
    let both = encoder_onnx(&tensors, 224, Views { mirror: true, ..multi_scale }).unwrap();
    for onnx in [&seen, &both] {
        let mut encoder = Encoder::open(onnx, &lintel_work::places::runtime()).unwrap();
        let batch = encoder.embed_batch(&crops.each_ref().map(Vec::as_slice)).unwrap();
        for (crop, together) in crops.iter().zip(&batch) {
            assert!(encoder.embed(crop).unwrap().similarity(together).unwrap().get() > 0.999_99);
        }
        assert!(batch[0].similarity(&batch[1]).unwrap().get() < 0.999);
    }
}

/// A crop of 224 pixels at `scale`, on `side` pixels of which each covers four times a crop's pixel.
fn scaled(crop: &[u8], side: usize, scale: f64) -> Vec<u8> {
    const POINTS: usize = 20;
    let mut picture = Vec::with_capacity(side * side * 3);
    let place = |pixel: usize, point: usize| {
        let from_centre = pixel as f64 + (point as f64 + 0.5) / POINTS as f64 - side as f64 / 2.0;
        (from_centre.abs() < 28.0).then(|| (112.0 + from_centre * 4.0 / scale).clamp(0.0, 223.0) as usize)
    };
    for (y, x, c) in (0..side * side * 3).map(|i| (i / 3 / side, i / 3 % side, i % 3)) {
        let colour = |point: usize| {
            let inside = place(y, point / POINTS).zip(place(x, point % POINTS));
            inside.map_or([122.77, 116.75, 104.09][c], |(y, x)| f64::from(crop[(y * 224 + x) * 3 + c]))
        };
        let sum: f64 = (0..POINTS * POINTS).map(colour).sum();
        picture.push((sum / (POINTS * POINTS) as f64).round() as u8);
    }
    picture
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A crop is averaged over blocks and centred on the mean colour. The test computes the same: the weights' own
/// resolution without any preprocessing must give nearly the same result (the mean colour is not a whole number).
#[test]
fn a_large_crop_is_averaged_and_centred() {
    let check = |resolution: usize, block: usize, pad: usize| {
        let tensors = formula::tensors(&shapes::visual(resolution));
        let crop = formula::picture("centred", 224);
        let mut by_hand = [122_u8, 117, 104].repeat(resolution * resolution);
        for y in 0..224 / block {
            for x in 0..224 / block {
                for c in 0..3 {
                    let taps =
                        (0..block * block).map(|i| ((y * block + i / block) * 224 + x * block + i % block) * 3 + c);
                    let sum: u32 = taps.map(|at| u32::from(crop[at])).sum();
                    let mean = (f64::from(sum) / (block * block) as f64).round() as u8;
                    by_hand[((y + pad) * resolution + x + pad) * 3 + c] = mean;
                }
            }
        }
        let whole = embed(&encoder_onnx(&tensors, 224, Views::default()).unwrap(), &crop, 224);
        let direct = embed(&encoder_onnx(&tensors, resolution, Views::default()).unwrap(), &by_hand, resolution);
        let cosine: f32 = whole.iter().zip(&direct).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.9998, "{resolution}: {cosine}");
    };
    check(128, 2, 8);
    check(64, 4, 4);
    check(96, 3, 11);
}

fn embed(onnx: &[u8], crop: &[u8], side: usize) -> Vec<f32> {
    let mut session =
        lintel_inference::session::open("open the encoder", onnx, &lintel_work::places::runtime()).unwrap().session;
    let crop = ort::value::Tensor::from_array(([1, side, side, 3], crop.to_vec())).unwrap();
    session.run(ort::inputs![crop]).unwrap()[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

#[test]
fn weights_that_contradict_each_other_are_refused() {
    let check = |change: &dyn Fn(&mut Vec<formula::Described>), expected: &str| {
        let mut described = shapes::visual(64);
        change(&mut described);
        let error = encoder_onnx(&formula::tensors(&described), 224, Views::default()).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    let reshape = |name: &'static str, shape: &'static [usize]| {
        move |all: &mut Vec<formula::Described>| {
            all.iter_mut().find(|d| d.name == name).unwrap().shape = shape.to_vec();
        }
    };
    check(
        &reshape("visual.conv2.weight", &[4, 5, 3, 3]),
        "tensor visual.conv2.weight is [4, 5, 3, 3], wanted [4, 4, 3, 3]",
    );
    check(&reshape("visual.bn1.bias", &[5]), "tensor visual.bn1.bias is [5], wanted [4]");
    check(
        &reshape("visual.attnpool.positional_embedding", &[6, 256]),
        "tensor visual.attnpool.positional_embedding is [6, 256], wanted a square number of places + 1, a multiple of \
        64 channels",
    );
    check(
        &|all| all.retain(|d| d.name != "visual.layer3.0.downsample.0.weight"),
        "tensor visual.layer3.0.downsample.0.weight is missing",
    );
    check(
        &|all| all.retain(|d| !d.name.starts_with("visual.layer4")),
        "tensor visual.layer4.0.conv1.weight is missing",
    );
}

pub fn shared(parts: &[&str]) -> PathBuf {
    let root = [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared"];
    root.iter().chain(parts).collect()
}

#[test]
fn published_detectors_survive_and_find_the_same_faces() {
    let test = "published_detectors_survive_and_find_the_same_faces";
    let photo = image::open(shared(&["photos", "two_people.jpg"])).map(|p| p.into_rgb8());
    for name in ["scrfd_500m_kps.onnx", "scrfd_2.5g_kps.onnx"] {
        let (Ok(published), Ok(photo)) = (std::fs::read(shared(&["models", name])), &photo) else {
            eprintln!("SKIPPED {test}: ../shared/models/{name} or ../shared/photos is absent");
            continue;
        };
        assert!(write(&read(&published).unwrap()) == published, "{name}: bytes were lost");

        let shipped = with_u8_input(&published, None).unwrap();
        assert_eq!(detector_input(&shipped).unwrap(), [640, 640]);
        assert_eq!(with_u8_input(&shipped, None).unwrap(), shipped);
        let frame = Frame::rgb8(photo, photo.width(), photo.height(), Uptime::ZERO).unwrap();
        let [before, after] = [&published, &shipped]
            .map(|onnx| Detector::open(onnx, &lintel_work::places::runtime()).unwrap().detect(&frame).unwrap());
        assert_eq!(before.len(), 2, "{name}");
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            assert!((before.score - after.score).abs() < 1e-4, "{name}");
            assert!(before.bbox.iou(&after.bbox) > 0.999, "{name}");
        }
    }
}

/// A model with one input of the given form and no nodes.
fn detector(element: ElementType, dims: &[Dim]) -> Vec<u8> {
    let mut g = GraphBuilder::new("detector");
    let x = g.input("image", element, dims);
    let y = g.relu("scores", &x);
    g.output(&y, element, dims);
    write(&g.finish())
}

#[test]
fn a_free_size_is_fixed() {
    use Dim::{Fixed, Named};
    let free = detector(ElementType::F32, &[Fixed(1), Fixed(3), Named("height"), Named("width")]);
    let check = |size: Option<(u32, u32)>, expected: Result<[u32; 2], &str>| {
        let got = with_u8_input(&free, size).map(|d| detector_input(&d).unwrap()).map_err(|e| e.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    };
    check(Some((640, 480)), Ok([640, 480]));
    check(Some((320, 320)), Ok([320, 320]));
    check(None, Err("model input has a free width and none was asked for"));
    check(Some((640, 470)), Err("model input has a height of 470, wanted a multiple of 32 up to 8192"));
    check(Some((0, 480)), Err("model input has a width of 0, wanted a multiple of 32 up to 8192"));
}

#[test]
fn other_models_are_not_detectors() {
    use Dim::Fixed;
    let check = |element: ElementType, dims: &[usize], expected: &str| {
        let dims: Vec<Dim> = dims.iter().map(|&d| Fixed(d)).collect();
        let error = with_u8_input(&detector(element, &dims), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(ElementType::F32, &[1, 4, 64, 64], "wanted F32 [1, 3, H, W]");
    check(ElementType::F32, &[2, 3, 64, 64], "wanted F32 [1, 3, H, W]");
    check(ElementType::F32, &[1, 3, 64], "wanted F32 [1, 3, H, W]");
    check(ElementType::I64, &[1, 3, 64, 64], "input is I64");
    assert!(with_u8_input(b"", None).unwrap_err().to_string().contains("no graph"));
}

fn table(encoder: EncoderId) -> Table {
    let person = |id: u32| Person { id: PersonId(id), name: format!("person {id}") };
    Table::new(TableParts {
        encoder,
        revision: 3,
        template: "{name}".to_owned(),
        logit_scale: 100.0,
        intra_class_similarity: vec![1.0; 2],
        people: vec![person(0), person(1)],
        classes: (0..64).map(|i| if i == 0 || i == 33 { 1.0 } else { 0.0 }).collect(),
        dim: 32,
        rule: Rule::PAPER,
        calibration: None,
    })
    .unwrap()
}

#[test]
fn a_bundle_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = encoder_onnx(&formula::tensors(&shapes::visual(64)), 224, Views::default()).unwrap();
    let free = [Dim::Fixed(1), Dim::Fixed(3), Dim::Fixed(64), Dim::Fixed(96)];
    let detector = with_u8_input(&detector(ElementType::F32, &free), None).unwrap();
    let parts = |table| BundleParts { pack: "test", detector: &detector, encoder: &encoder, table, created: 0 };
    let own = table(EncoderId::of(&encoder));
    let manifest = write_bundle(folder.path(), &parts(&own)).unwrap();
    assert_eq!((manifest.detector_input, manifest.dim, manifest.revision), ([96, 64], 32, 3));
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["detector.onnx", "encoder.onnx", "manifest.lintel", "table.lintel"]);

    let empty = tempfile::tempdir().unwrap();
    let other = table(EncoderId([0; 32]));
    let error = write_bundle(empty.path(), &parts(&other)).unwrap_err().to_string();
    assert!(error.starts_with("the table is for encoder 00"), "{error}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
