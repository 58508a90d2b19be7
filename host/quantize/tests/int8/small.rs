//! Graphs of a few nodes, one for each form that the quantiser treats differently.

use lintel_clip::weights::NamedTensor;
use lintel_inference::{Array, Values};
use lintel_onnx::proto::ModelProto;
use lintel_onnx::{Dim, ElementType, GraphBuilder, Value, Window, write};
use lintel_quantize::prepare::upgrade;
use lintel_quantize::{Settings, Target};

use crate::{formula, integers};

const SIDE: usize = 16;

fn weights(name: &str, shape: &[usize]) -> NamedTensor {
    formula::tensor(&format!("{name}.weight"), shape)
}

/// u8 pixels → `body` → an output.
pub fn model(body: impl FnOnce(&mut GraphBuilder, Value) -> Value) -> ModelProto {
    let mut g = GraphBuilder::new("small");
    let dims = [Dim::Fixed(1), Dim::Fixed(SIDE), Dim::Fixed(SIDE), Dim::Fixed(3)];
    let x = g.input("pixels", ElementType::U8, &dims);
    let x = g.transpose("planes", &x, &[0, 3, 1, 2]);
    let x = g.cast("float", &x, ElementType::F32);
    let mean = g.constant("mean", (&[1, 3, 1, 1], &[122.7, 116.7, 104.1]));
    let x = g.sub("centred", &x, &mean);
    let x = conv(&mut g, "first", &x, [8, 3, 3], 1);
    let x = g.relu("first.relu", &x);
    let y = body(&mut g, x);
    g.output(&y, ElementType::F32, &[]);
    let mut model = g.finish();
    // ONNX Runtime infers the output's shape from the body.
    if let Some(graph) = &mut model.graph {
        graph.output[0].r#type = None;
    }
    model
}

fn conv(g: &mut GraphBuilder, name: &str, x: &Value, [o, i, k]: [usize; 3], groups: usize) -> Value {
    let w = g.constant(&format!("{name}.w"), weights(name, &[o, i, k, k]).parts());
    let bias = NamedTensor::new(vec![o], (0..o).map(|c| c as f32 * 3.0 - 4.0).collect());
    let b = g.constant(&format!("{name}.b"), bias.parts());
    g.conv(name, x, &w, Some(&b), Window::square(k, 1, k / 2), groups)
}

fn pictures() -> Vec<Array> {
    let picture = |i: usize| formula::picture(&format!("small-{i}"), SIDE as u64);
    (0..8).map(|i| Array { shape: vec![1, SIDE, SIDE, 3], values: Values::U8(picture(i)) }).collect()
}

/// Counts of each operator that ONNX Runtime must run.
fn check(body: impl FnOnce(&mut GraphBuilder, Value) -> Value, wanted: &[(&str, usize)]) {
    let onnx = write(&model(body));
    let quantized = integers(&onnx, &pictures(), &Settings::default());
    let kernels = &quantized.report.kernels;
    assert!(quantized.report.layers.iter().all(|layer| layer.quantized), "{:?}", quantized.report.layers);
    for (operator, count) in wanted {
        assert_eq!(kernels.operators.get(*operator).copied().unwrap_or(0), *count, "{operator} in {kernels:?}");
    }
    assert_eq!(kernels.float, 0, "{kernels:?}");
    assert_eq!(kernels.integer, quantized.report.layers.len());
}

#[test]
fn depthwise_and_clip() {
    let body = |g: &mut GraphBuilder, x: Value| {
        let x = conv(g, "deep", &x, [8, 1, 3], 8);
        let [low, high] = [0.0, 6.0].map(|v| g.constant_scalar(&format!("bound {v}"), v));
        let x = g.node("Clip", "clip", &[&x, &low, &high], vec![]);
        conv(g, "last", &x, [4, 8, 1], 1)
    };
    check(body, &[("QLinearConv", 3), ("Clip", 0)]);
}

#[test]
fn residuals_pools_and_moves() {
    let body = |g: &mut GraphBuilder, x: Value| {
        let y = conv(g, "branch", &x, [8, 8, 3], 1);
        let sum = g.add("sum", &y, &x);
        let x = g.relu("sum.relu", &sum);
        let x = g.average_pool("pool", &x, Window::square(2, 2, 0));
        let a = conv(g, "a", &x, [8, 8, 1], 1);
        let small = g.max_pool("max", &a, Window::square(2, 2, 0));
        let b = conv(g, "b", &small, [8, 8, 1], 1);
        let up = g.upsample_nearest("up", &b, 2);
        let both = g.concat("both", &[&a, &up], 1);
        conv(g, "last", &both, [4, 16, 1], 1)
    };
    let wanted = [("QLinearConv", 5), ("QLinearAdd", 1), ("QLinearAveragePool", 1), ("QLinearConcat", 1), ("Relu", 0)];
    check(body, &wanted);
}

#[test]
fn products_and_their_biases() {
    let body = |g: &mut GraphBuilder, x: Value| {
        let x = g.reshape("flat", &x, &[1, 8, (SIDE * SIDE) as i64]);
        let w = g.constant("matmul.w", weights("matmul", &[SIDE * SIDE, 12]).parts());
        let x = g.matmul("matmul", &x, &w);
        let b = g.constant("matmul.b", (&[12], &[0.5; 12]));
        let x = g.add("matmul.biased", &x, &b);
        let x = g.reshape("rows", &x, &[1, 96]);
        let w = g.constant("gemm.w", weights("gemm", &[5, 96]).parts());
        let b = g.constant("gemm.b", (&[5], &[1.0; 5]));
        g.gemm("gemm", &x, &w, Some(&b))
    };
    check(body, &[("QLinearConv", 1), ("MatMul", 0), ("Gemm", 0)]);
}

#[test]
fn a_batch_norm_that_was_left_is_folded() {
    let body = |g: &mut GraphBuilder, x: Value| {
        let x = conv(g, "normed", &x, [8, 8, 3], 1);
        let parts = ["norm.scale", "norm.shift", "norm.mean", "norm.variance"]
            .map(|part| g.constant(part, (&[8], &std::array::from_fn::<f32, 8, _>(|i| (i + 1) as f32 / 4.0))));
        let [scale, shift, mean, variance] = &parts;
        g.node("BatchNormalization", "norm", &[&x, scale, shift, mean, variance], vec![])
    };
    check(body, &[("QLinearConv", 2), ("BatchNormalization", 0)]);
}

#[test]
fn tensorrt_gets_signed_activations_and_float_biases() {
    let onnx = write(&model(|g, x| conv(g, "last", &x, [4, 8, 3], 1)));
    let settings = Settings { target: Target::TensorRt, ..Settings::default() };
    let quantized = lintel_onnx::read(&integers(&onnx, &pictures(), &settings).onnx).unwrap();
    let graph = quantized.graph.unwrap();
    for zero in graph.initializer.iter().filter(|t| t.name.ends_with(".zero")) {
        assert_eq!(zero.data_type(), ElementType::I8, "{}", zero.name);
        assert!(zero.raw_data.iter().flatten().all(|&byte| byte == 0), "{}", zero.name);
    }
    assert!(graph.initializer.iter().all(|t| t.data_type() != ElementType::I32));
    assert!(graph.node.iter().any(|node| node.op_type == "QuantizeLinear"));
}

#[test]
fn old_operator_sets_are_brought_up_or_refused() {
    let check = |version: i64, op: &str, expected: Option<&str>| {
        let mut old = model(|g, x| g.node(op, "odd", &[&x], vec![lintel_onnx::ints("axes", &[0])]));
        old.opset_import[0].version = Some(version);
        let result = upgrade(&mut old);
        match expected {
            None => {
                result.unwrap();
                assert_eq!(old.opset_import[0].version, Some(13.max(version)));
                let node = old.graph.unwrap().node.pop().unwrap();
                assert_eq!((node.input.len(), node.attribute.len()), if version < 13 { (2, 0) } else { (1, 1) });
            }
            Some(words) => {
                let error = result.unwrap_err().to_string();
                assert!(error.contains(words), "{error}");
            }
        }
    };
    check(12, "Unsqueeze", None);
    check(11, "Squeeze", None);
    check(17, "Unsqueeze", None);
    check(10, "Unsqueeze", Some("is in operator set 10, wanted 11 or later"));
    check(12, "Hardmax", Some("Hardmax odd of operator set 12"));
}
