//! Integer models: they meet the threshold and run in integer kernels, or they are not written.
#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../../../../tests/src/fixtures/formula.rs"]
mod formula;
mod hostile;
mod photos;
#[path = "../../../export/tests/reference/shapes.rs"]
mod shapes;
mod small;

use lintel_export::{Views, encoder_onnx};
use lintel_inference::saturation::saturates;
use lintel_inference::{Array, Encoder, Model, Values};
use lintel_onnx::with_u8_input;
use lintel_packs::Pack;
use lintel_quantize::fidelity::{compare, outputs_of, worst};
use lintel_quantize::{Method, Precision, QuantizeError, Quantized, Settings, Target, quantize};

/// Pictures by formula: waves and noise.
fn pictures(count: usize, side: usize) -> Vec<Array> {
    let picture = |i: usize| Array {
        shape: vec![1, side, side, 3],
        values: Values::U8(formula::picture(&format!("int8-{i}"), side as u64)),
    };
    (0..count).map(picture).collect()
}

fn integers(onnx: &[u8], pictures: &[Array], settings: &Settings) -> Quantized {
    quantize(onnx, pictures, settings, &lintel_work::places::runtime(), &mut |_| Ok(())).unwrap()
}

/// A CLIP RN50 with one bottleneck a stage instead of 3, 4, 6, 3, with RN50's widths and attention pool.
fn shallow_rn50() -> Vec<u8> {
    encoder_onnx(&formula::tensors(&shapes::visual(224)), 224, Views::default()).unwrap()
}

#[test]
fn a_shallow_rn50_keeps_its_word_in_every_way() {
    let onnx = shallow_rn50();
    let pictures = pictures(8, 224);
    let check = |settings: Settings| {
        let quantized = integers(&onnx, &pictures, &settings);
        let report = &quantized.report;
        eprintln!("{settings:?}: worst cosine {:.5}, {:?}", worst(&report.outputs), report.kernels);
        assert!(worst(&report.outputs) >= settings.min_cosine, "{:?}", report.outputs);
        // 3 + 4 · 4 convolutions, 4 projections.
        assert_eq!(report.layers.len(), 23);
        let wanted = report.layers.iter().filter(|layer| layer.quantized).count();
        if settings.target == Target::Cpu {
            assert!(report.fed_bytes);
            assert_eq!((report.kernels.integer, wanted), (wanted, 23), "{:?}", report.kernels);
            // The last addition goes into the attention pool, which begins with a mean in float.
            for (operator, count) in [("QLinearConv", 19), ("QLinearAdd", 3), ("QLinearAveragePool", 7)] {
                assert_eq!(report.kernels.operators.get(operator), Some(&count), "{:?}", report.kernels);
            }
            assert!(!report.kernels.operators.contains_key("Cast"), "pixels go in as bytes: {:?}", report.kernels);
        }
        assert_eq!(quantized.onnx, integers(&onnx, &pictures, &settings).onnx, "the same pictures give the same bytes");
        // The file that was written, opened again, on new pictures.
        let mut models =
            [&onnx, &quantized.onnx].map(|onnx| Model::open(onnx, &lintel_work::places::runtime()).unwrap());
        let fresh = self::pictures(12, 224);
        let fresh: Vec<&Array> = fresh[8..].iter().collect();
        let names = models[0].outputs();
        let [wanted, got] = models.each_mut().map(|model| outputs_of(model, &names, &fresh).unwrap());
        assert!(worst(&compare(&names, &wanted, &got)) > settings.min_cosine - 0.005);
    };
    for method in [Method::Mse, Method::Minmax, Method::Percentile, Method::Entropy] {
        check(Settings { method, ..Settings::default() });
    }
    check(Settings { target: Target::TensorRt, min_cosine: 0.9, ..Settings::default() });
}

#[test]
fn weights_of_8_bits_run_only_where_they_cannot_saturate() {
    let onnx = shallow_rn50();
    let full = Settings { precision: Precision::Full, ..Settings::default() };
    let quantized = integers(&onnx, &pictures(8, 224), &full);
    assert!(worst(&quantized.report.outputs) >= 0.999, "fidelity of the written model: {:?}", quantized.report.outputs);
    let opened = Encoder::open(&quantized.onnx, &lintel_work::places::runtime());
    if saturates() {
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("--weights exact"), "{error}");
    } else {
        opened.unwrap();
    }
    let exact = Settings { precision: Precision::Exact, ..Settings::default() };
    Encoder::open(&integers(&onnx, &pictures(8, 224), &exact).onnx, &lintel_work::places::runtime()).unwrap();
}

#[test]
fn the_mini_encoder_stays_itself() {
    let pack = Pack::open(None).unwrap();
    let onnx = pack.encoder_onnx().unwrap();
    let quantized = integers(&onnx, &pictures(8, 224), &Settings::default());
    assert!(quantized.report.kernels.integer > 0 && quantized.onnx.len() * 2 < onnx.len());
    assert!(worst(&quantized.report.outputs) >= 0.99);
}

#[test]
fn a_pyramid_can_leave_any_of_its_layers_in_float() {
    let detector = with_u8_input(&Pack::open(None).unwrap().detector, Some((320, 320))).unwrap();
    let pictures = pictures(6, 320);
    for min_cosine in [0.9, 0.99, 0.999, 0.9999, 0.99999] {
        let settings = Settings { min_cosine, ..Settings::default() };
        match quantize(&detector, &pictures, &settings, &lintel_work::places::runtime(), &mut |_| Ok(())) {
            Ok(quantized) => assert!(worst(&quantized.report.outputs) >= min_cosine),
            Err(QuantizeError::Misses { .. }) => {}
            Err(error) => panic!("{min_cosine}: {error}"),
        }
    }
}

#[test]
fn a_model_that_misses_is_an_error() {
    let settings = Settings { min_cosine: 1.0, ..Settings::default() };
    let result =
        quantize(&shallow_rn50(), &pictures(4, 224), &settings, &lintel_work::places::runtime(), &mut |_| Ok(()));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("wanted 1") && error.contains("nothing was written"), "{error}");
}
