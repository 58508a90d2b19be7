//! Any bytes → the quantiser's passes before ONNX Runtime sees the graph: no panic.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use lintel_onnx::read;
use lintel_quantize::Target;
use lintel_quantize::feed::feed_bytes;
use lintel_quantize::network::Network;
use lintel_quantize::plan::{layers, plan};
use lintel_quantize::prepare::upgrade;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut model) = read(bytes) else { return };
    if Network::of(&model).is_err() || upgrade(&mut model).is_err() {
        return;
    }
    let Ok(fed) = feed_bytes(&mut model) else { return };
    let given: BTreeSet<String> = fed.into_iter().map(|(value, _)| value).collect();
    let Ok(network) = Network::of(&model) else { return };
    let layers = layers(&network);
    let all = layers.iter().map(|layer| layer.node).collect();
    for target in [Target::Cpu, Target::TensorRt] {
        let plan = plan(&network, &layers, &all, true, target, &given);
        assert!(plan.nodes.len() <= network.nodes().len());
    }
});
