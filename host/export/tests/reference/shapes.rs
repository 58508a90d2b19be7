//! Sizes → the names and shapes of a CLIP's tensors, as OpenAI names them.

use crate::formula::Described;

/// A small visual tower: width 8, one bottleneck a stage, embeddings of 32.
pub fn visual(resolution: usize) -> Vec<Described> {
    let mut shapes = Vec::new();
    let mut add = |name: String, shape: &[usize]| shapes.push(Described { name, shape: shape.to_vec() });
    let (width, dim) = (8, 32);
    conv(&mut add, "visual.conv1", "visual.bn1", [width / 2, 3, 3]);
    conv(&mut add, "visual.conv2", "visual.bn2", [width / 2, width / 2, 3]);
    conv(&mut add, "visual.conv3", "visual.bn3", [width, width / 2, 3]);
    let mut channels = width;
    for stage in 0..4 {
        let planes = width << stage;
        let p = format!("visual.layer{}.0", stage + 1);
        conv(&mut add, &format!("{p}.conv1"), &format!("{p}.bn1"), [planes, channels, 1]);
        conv(&mut add, &format!("{p}.conv2"), &format!("{p}.bn2"), [planes, planes, 3]);
        conv(&mut add, &format!("{p}.conv3"), &format!("{p}.bn3"), [4 * planes, planes, 1]);
        conv(&mut add, &format!("{p}.downsample.0"), &format!("{p}.downsample.1"), [4 * planes, channels, 1]);
        channels = 4 * planes;
    }
    let side = resolution / 32;
    add("visual.attnpool.positional_embedding".to_owned(), &[side * side + 1, channels]);
    for part in ["q_proj", "k_proj", "v_proj"] {
        add(format!("visual.attnpool.{part}.weight"), &[channels, channels]);
        add(format!("visual.attnpool.{part}.bias"), &[channels]);
    }
    add("visual.attnpool.c_proj.weight".to_owned(), &[dim, channels]);
    add("visual.attnpool.c_proj.bias".to_owned(), &[dim]);
    shapes
}

fn conv(add: &mut impl FnMut(String, &[usize]), conv: &str, norm: &str, [outputs, inputs, kernel]: [usize; 3]) {
    add(format!("{conv}.weight"), &[outputs, inputs, kernel, kernel]);
    for part in ["weight", "bias", "running_mean", "running_var"] {
        add(format!("{norm}.{part}"), &[outputs]);
    }
}
