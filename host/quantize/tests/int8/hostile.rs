//! Bytes that are almost a model: an error without a panic, before ONNX Runtime reads them.

use std::collections::BTreeSet;

use lintel_inference::{Array, Values};
use lintel_onnx::{read, write};
use lintel_quantize::feed::feed_bytes;
use lintel_quantize::network::Network;
use lintel_quantize::plan::{layers, plan};
use lintel_quantize::prepare::upgrade;
use lintel_quantize::{QuantizeError, Settings, Target, quantize};
use proptest::prelude::*;

use crate::small::model;

fn small() -> Vec<u8> {
    write(&model(|g, x| {
        let w = g.constant("last.w", (&[2, 8, 1, 1], &[0.5; 16]));
        g.conv("last", &x, &w, None, lintel_onnx::Window::square(1, 1, 0), 1)
    }))
}

/// Every part of the crate that reads a graph.
fn look(bytes: &[u8]) -> Result<(), QuantizeError> {
    let mut model = read(bytes)?;
    Network::of(&model)?;
    upgrade(&mut model)?;
    let given: BTreeSet<String> = feed_bytes(&mut model)?.into_iter().map(|(value, _)| value).collect();
    let network = Network::of(&model)?;
    let layers = layers(&network);
    let all = layers.iter().map(|layer| layer.node).collect();
    for target in [Target::Cpu, Target::TensorRt] {
        let plan = plan(&network, &layers, &all, true, target, &given);
        assert!(plan.nodes.len() <= network.nodes().len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn flipped_bytes_are_no_panic(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = small();
        for (place, value) in places {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = look(&bytes);
    }

    #[test]
    fn cut_models_are_no_panic(length in any::<prop::sample::Index>()) {
        let bytes = small();
        let _ = look(&bytes[..length.index(bytes.len())]);
    }
}

#[test]
fn what_is_wrong_is_said() {
    type Change = fn(&mut lintel_onnx::proto::GraphProto);
    let check = |change: Change, expected: &str| {
        let mut model = read(&small()).unwrap();
        change(model.graph.as_mut().unwrap());
        let picture = Array { shape: vec![1, 16, 16, 3], values: Values::U8(vec![7; 768]) };
        let pictures = [picture.clone(), picture];
        let result =
            quantize(&write(&model), &pictures, &Settings::default(), &lintel_work::places::runtime(), &mut |_| Ok(()));
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    };
    check(|g| g.node[3].input[0] = "nobody".into(), "reads nobody in Conv first before a node gives it");
    check(|g| g.node.swap(0, 1), "before a node gives it");
    check(|g| g.node[2].output[0] = "float".into(), "gives the value float twice");
    check(|g| g.node.truncate(3), "has an output last that no node gives");
    check(|g| g.initializer[0].data_location = Some(1), "in another file");
    check(|g| g.node[4].op_type = "QuantizeLinear".into(), "is quantised already");
    check(|g| g.node[4].attribute.push(branch()), "has a branch or a loop");
    check(|g| g.node[4].op_type = "Nonsense".into(), "onnx runtime could not");
    check(|g| g.initializer[1].raw_data = Some(vec![0; 8]), "onnx runtime could not");
}

fn branch() -> lintel_onnx::proto::AttributeProto {
    lintel_onnx::proto::AttributeProto {
        g: Some(lintel_onnx::proto::GraphProto::default()),
        ..lintel_onnx::int("b", 0)
    }
}

#[test]
fn pictures_are_needed() {
    let none = quantize(&small(), &[], &Settings::default(), &lintel_work::places::runtime(), &mut |_| Ok(()));
    assert!(none.unwrap_err().to_string().contains("0 calibration pictures"));
}
