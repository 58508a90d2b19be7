//! A published face encoder → the form that bundles hold: crops `[N, 224, 224, 3]` u8 RGB → unit `[N, D]` f32.
//!
//! The preprocessing of the published encoder (size, order of the channels, mean, standard deviation, layout) becomes
//! the first nodes of its graph, and the normalisation to unit length the last, so that a door runs it like any other.
//! Lintel's crop has the face where ArcFace's has it, at twice the size; encoders for 112 pixels get averages of 2×2.

use lintel_core::align::CROP;

use super::detector::only_input;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::{Dim, ElementType, OnnxError, dims_of, int, ints, read, text, value_info, write};

/// Name of the grafted input.
pub const INPUT: &str = "lintel.crops";
/// Name of the grafted output.
pub const OUTPUT: &str = "lintel.embedding";
/// Accepted sides of an encoder's input, px.
const SIDES: std::ops::RangeInclusive<usize> = 32..=512;

/// The preprocessing of pixels in 0..=255: (x − mean) / std, channel by channel in the encoder's own order.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// Whether blue is the first channel.
    pub bgr: bool,
    /// In the encoder's order of channels.
    pub mean: [f32; 3],
    /// In the encoder's order of channels.
    pub std: [f32; 3],
}

impl Preprocessing {
    /// InsightFace's ArcFace models: to −1..=1.
    pub const ARCFACE: Self = Self { bgr: false, mean: [127.5; 3], std: [127.5; 3] };
    /// torchvision's backbones.
    pub const IMAGENET: Self = Self { bgr: false, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };
    /// The VGG-Face descriptor: its training set's mean colour, blue first (Parkhi et al. 2015).
    pub const VGG_FACE: Self = Self { bgr: true, mean: [93.594, 104.762, 129.186], std: [1.0; 3] };
    /// To 0..=1.
    pub const UNIT: Self = Self { bgr: false, mean: [0.0; 3], std: [255.0; 3] };
    /// No preprocessing: RGB bytes from 0 to 255 as they are.
    pub const RAW: Self = Self { bgr: false, mean: [0.0; 3], std: [1.0; 3] };
    /// Published preprocessings, each with the name that the command line takes.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("arcface", Self::ARCFACE),
        ("imagenet", Self::IMAGENET),
        ("vgg-face", Self::VGG_FACE),
        ("unit", Self::UNIT),
        ("raw", Self::RAW),
    ];
}

impl std::str::FromStr for Preprocessing {
    type Err = String;

    /// A name, or `rgb/MEAN/STD` or `bgr/MEAN/STD`, where a mean or a standard deviation is one number or three with
    /// commas.
    fn from_str(words: &str) -> Result<Self, String> {
        if let Some((_, named)) = Self::NAMED.iter().find(|(name, _)| *name == words) {
            return Ok(*named);
        }
        let three = |part: &str| -> Option<[f32; 3]> {
            let numbers: Vec<f32> = part.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
            let numbers = if numbers.len() == 1 { vec![numbers[0]; 3] } else { numbers };
            <[f32; 3]>::try_from(numbers).ok().filter(|three| three.iter().all(|value| value.is_finite()))
        };
        let parts: Vec<&str> = words.split('/').collect();
        let parsed = match parts.as_slice() {
            [order @ ("rgb" | "bgr"), mean, std] => three(mean).zip(three(std)).map(|(mean, std)| (*order, mean, std)),
            _ => None,
        };
        let parsed = parsed.filter(|(_, _, std)| std.iter().all(|value| *value > 0.0));
        let (order, mean, std) = parsed.ok_or_else(|| {
            let names: Vec<&str> = Self::NAMED.iter().map(|(name, _)| *name).collect();
            format!("wanted one of {}, or ORDER/MEAN/STD as in bgr/127.5/128 (pixels are 0 to 255)", names.join(", "))
        })?;
        Ok(Self { bgr: order == "bgr", mean, std })
    }
}

/// How the encoder's input lies in memory.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Layout {
    /// `[N, 3, H, W]`
    Planes,
    /// `[N, H, W, 3]`
    Pixels,
}

/// Puts the preprocessing in front of an encoder and the normalisation behind it.
///
/// # Errors
/// [`OnnxError`] when the bytes are no model, or the model does not take one picture of a fixed size and give one list
/// of numbers.
pub fn graft(encoder: &[u8], preprocessing: &Preprocessing) -> Result<Vec<u8>, OnnxError> {
    let mut model = read(encoder)?;
    let graph = model.graph.as_mut().ok_or(OnnxError::NoGraph)?;
    let index = only_input(graph)?;
    let (element, dims) = dims_of(&graph.input[index])?;
    let (batch, side, layout) = picture(element, &dims)?;
    let ours = |name: &str| name.starts_with("lintel.");
    if graph.node.iter().flat_map(|node| &node.output).chain(graph.initializer.iter().map(|t| &t.name)).any(|n| ours(n))
    {
        return Err(form("already has values that are called lintel.…: it was grafted before".to_owned()));
    }
    prefix(graph, index, batch.clone(), side, layout, preprocessing);
    suffix(graph, batch)?;
    Ok(write(&model))
}

fn picture(element: ElementType, dims: &[Option<usize>]) -> Result<(Dim, usize, Layout), OnnxError> {
    let refuse = |what: &str| {
        Err(form(format!("input is {element:?} {dims:?}, wanted F32 [N, 3, S, S] or [N, S, S, 3] {what}")))
    };
    if element != ElementType::F32 {
        return refuse("");
    }
    let (batch, side, layout) = match *dims {
        [batch, Some(3), Some(height), Some(width)] if height == width => (batch, height, Layout::Planes),
        [batch, Some(height), Some(width), Some(3)] if height == width => (batch, height, Layout::Pixels),
        [_, Some(3), None, _] | [_, None, _, Some(3)] => return refuse("with S fixed in the file"),
        _ => return refuse(""),
    };
    if !SIDES.contains(&side) {
        return refuse("with S from 32 to 512");
    }
    match batch {
        None => Ok((Dim::Named("batch"), side, layout)),
        Some(1) => Ok((Dim::Fixed(1), side, layout)),
        Some(_) => refuse("with N free or 1"),
    }
}

/// u8 crops → the encoder's original input.
fn prefix(graph: &mut GraphProto, index: usize, batch: Dim, side: usize, layout: Layout, wanted: &Preprocessing) {
    let crop = CROP as usize;
    let crops = value_info(INPUT, ElementType::U8, &[batch, Dim::Fixed(crop), Dim::Fixed(crop), Dim::Fixed(3)]);
    let old = std::mem::replace(&mut graph.input[index], crops).name;
    let mut nodes = vec![
        node("Transpose", &[INPUT], "lintel.planes", vec![ints("perm", &[0, 3, 1, 2])]),
        node("Cast", &["lintel.planes"], "lintel.float", vec![int("to", i64::from(i32::from(ElementType::F32)))]),
    ];
    let mut last = "lintel.float";
    let mut size = crop;
    let block = crop / side;
    if block > 1 && crop.is_multiple_of(block) {
        let [kernel, strides] = ["kernel_shape", "strides"].map(|name| ints(name, &[block as i64; 2]));
        nodes.push(node("AveragePool", &[last], "lintel.pooled", vec![kernel, strides]));
        (last, size) = ("lintel.pooled", crop / block);
    }
    if size != side {
        // Slightly more than the ratio, so that rounding down gives this side in spite of f32's rounding.
        #[expect(clippy::cast_precision_loss, reason = "sides are small")]
        let ratio = (side as f32 + 0.01) / size as f32;
        graph.initializer.push(floats("lintel.ratio", &[4], &[1.0, 1.0, ratio, ratio]));
        let attributes = vec![text("coordinate_transformation_mode", "half_pixel"), text("mode", "linear")];
        nodes.push(node("Resize", &[last, "", "lintel.ratio"], "lintel.resized", attributes));
        last = "lintel.resized";
    }
    if wanted.bgr {
        graph.initializer.push(TensorProto {
            dims: vec![3],
            data_type: ElementType::I64.into(),
            name: "lintel.order".to_owned(),
            raw_data: Some([2_i64, 1, 0].iter().flat_map(|v| v.to_le_bytes()).collect()),
            ..TensorProto::default()
        });
        nodes.push(node("Gather", &[last, "lintel.order"], "lintel.bgr", vec![int("axis", 1)]));
        last = "lintel.bgr";
    }
    graph.initializer.push(floats("lintel.mean", &[1, 3, 1, 1], &wanted.mean));
    graph.initializer.push(floats("lintel.std", &[1, 3, 1, 1], &wanted.std));
    nodes.push(node("Sub", &[last, "lintel.mean"], "lintel.centred", vec![]));
    match layout {
        Layout::Planes => nodes.push(node("Div", &["lintel.centred", "lintel.std"], &old, vec![])),
        Layout::Pixels => {
            nodes.push(node("Div", &["lintel.centred", "lintel.std"], "lintel.scaled", vec![]));
            nodes.push(node("Transpose", &["lintel.scaled"], &old, vec![ints("perm", &[0, 2, 3, 1])]));
        }
    }
    graph.node.splice(0..0, nodes);
}

/// The encoder's only output → unit rows.
fn suffix(graph: &mut GraphProto, batch: Dim) -> Result<(), OnnxError> {
    let [output] = graph.output.as_slice() else {
        return Err(form(format!("has {} outputs, wanted 1: the embedding", graph.output.len())));
    };
    let (element, dims) = dims_of(output)?;
    if element != ElementType::F32 {
        return Err(form(format!("gives {element:?}, wanted F32")));
    }
    let known: Option<usize> = dims.iter().skip(1).copied().product();
    let Some(dim) = known.filter(|dim| *dim > 1 && dims.len() >= 2) else {
        return Err(form(format!("gives {dims:?}, wanted [N, D] with D fixed in the file")));
    };
    let old = output.name.clone();
    graph.initializer.push(TensorProto {
        dims: vec![2],
        data_type: ElementType::I64.into(),
        name: "lintel.rows".to_owned(),
        raw_data: Some([-1, dim as i64].iter().flat_map(|v: &i64| v.to_le_bytes()).collect()),
        ..TensorProto::default()
    });
    graph.node.push(node("Reshape", &[&old, "lintel.rows"], "lintel.features", vec![]));
    graph.node.push(node("LpNormalization", &["lintel.features"], OUTPUT, vec![int("axis", -1), int("p", 2)]));
    graph.output[0] = value_info(OUTPUT, ElementType::F32, &[batch, Dim::Fixed(dim)]);
    Ok(())
}

fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<crate::proto::AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&i| i.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: format!("{output}.node"),
        op_type: op.to_owned(),
        attribute,
        ..NodeProto::default()
    }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: ElementType::F32.into(),
        name: name.to_owned(),
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        ..TensorProto::default()
    }
}

fn form(what: String) -> OnnxError {
    OnnxError::Form { what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphBuilder;
    use lintel_core::align::CROP_BYTES;
    use lintel_inference::Encoder;

    /// An "encoder" that averages each channel over its input, so that its output shows the preprocessed pixels.
    fn means(dims: [usize; 3], layout: Layout, batch: Dim) -> Vec<u8> {
        let mut graph = GraphBuilder::new("means");
        let dims = [batch.clone(), Dim::Fixed(dims[0]), Dim::Fixed(dims[1]), Dim::Fixed(dims[2])];
        let x = graph.input("x", ElementType::F32, &dims);
        let axes: &[i64] = if layout == Layout::Planes { &[2, 3] } else { &[1, 2] };
        let y = graph.reduce_mean("y", &x, axes, false);
        graph.output(&y, ElementType::F32, &[batch, Dim::Fixed(3)]);
        write(&graph.finish())
    }

    fn crop(rgb: [u8; 3]) -> Vec<u8> {
        rgb.iter().copied().cycle().take(CROP_BYTES).collect()
    }

    #[test]
    fn pixels_come_as_the_encoder_wants_them() {
        let check = |dims: [usize; 3], layout, preprocessing: Preprocessing, expected: [f32; 3]| {
            for batch in [Dim::Named("n"), Dim::Fixed(1)] {
                let onnx = graft(&means(dims, layout, batch), &preprocessing).expect("grafted");
                let mut encoder = Encoder::open(&onnx, &lintel_work::places::runtime()).expect("an encoder");
                let got = encoder.embed(&crop([200, 100, 50])).expect("embedded");
                let length = expected.iter().map(|v| v * v).sum::<f32>().sqrt();
                for (got, expected) in got.vector().iter().zip(expected) {
                    assert!((got - expected / length).abs() < 1e-4, "{dims:?} {preprocessing:?}: {got} {expected}");
                }
            }
        };
        let rgb = [200.0, 100.0, 50.0];
        for side in [32, 96, 112, 160, 224, 256] {
            check([3, side, side], Layout::Planes, Preprocessing::RAW, rgb);
        }
        check([112, 112, 3], Layout::Pixels, Preprocessing::RAW, rgb);
        check([3, 112, 112], Layout::Planes, Preprocessing::ARCFACE, rgb.map(|v| (v - 127.5) / 127.5));
        check(
            [3, 224, 224],
            Layout::Planes,
            Preprocessing::VGG_FACE,
            [50.0 - 93.594, 100.0 - 104.762, 200.0 - 129.186],
        );
        let own: Preprocessing = "bgr/10,20,30/2".parse().expect("a preprocessing");
        check([112, 112, 3], Layout::Pixels, own, [20.0, 40.0, 85.0]);
    }

    #[test]
    fn other_graphs_are_refused_in_one_line() {
        let check = |onnx: &[u8], expected: &str| {
            let error = graft(onnx, &Preprocessing::RAW).expect_err(expected).to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        };
        let good = means([3, 112, 112], Layout::Planes, Dim::Fixed(1));
        check(b"not a model", "");
        check(&means([1, 112, 112], Layout::Planes, Dim::Fixed(1)), "wanted F32 [N, 3, S, S]");
        check(&means([3, 112, 96], Layout::Planes, Dim::Fixed(1)), "wanted F32 [N, 3, S, S]");
        check(&means([3, 1024, 1024], Layout::Planes, Dim::Fixed(1)), "S from 32 to 512");
        check(&means([3, 112, 112], Layout::Planes, Dim::Fixed(8)), "N free or 1");
        check(&graft(&good, &Preprocessing::RAW).expect("grafted"), "input is U8");
        for cut in (0..good.len()).step_by(7) {
            let _ = graft(&good[..cut], &Preprocessing::RAW);
        }
    }

    #[test]
    fn preprocessing_is_a_name_or_numbers() {
        let check = |words: &str, expected: Option<Preprocessing>| {
            assert_eq!(words.parse::<Preprocessing>().ok(), expected, "{words}");
        };
        check("arcface", Some(Preprocessing::ARCFACE));
        check("rgb/127.5/128", Some(Preprocessing { bgr: false, mean: [127.5; 3], std: [128.0; 3] }));
        for wrong in ["", "gbr/1/1", "rgb/1", "rgb/1/0", "rgb/1,2/1", "rgb/NaN/1", "rgb/1/-1"] {
            check(wrong, None);
        }
    }
}
