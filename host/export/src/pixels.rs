//! A crop's bytes → the input of the image encoder's first convolution, in one or several views.

use lintel_clip::weights::NamedTensor;
use lintel_onnx::{ElementType, GraphBuilder, Value, Window};

/// Mean of CLIP's training pixels, R, G, B, for pixels in 0..=1.
pub const PIXEL_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Standard deviation of CLIP's training pixels.
pub const PIXEL_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// The views of each crop that the encoder embeds; the embedding is the direction of their sum. Each view costs the
/// encoder's time once more, and averaging cancels chance errors of single views.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// Every view once more, mirrored: evens out light from one side and a turned face.
    pub mirror: bool,
    /// A view with the face a little smaller and one with it a little larger, in place of the crop itself: evens out
    /// landmarks that are slightly off.
    pub multi_scale: bool,
}

/// The scales of a multi-scale encoder's views.
const SCALES: [f64; 2] = [0.96, 1.04];

/// `[N, side, side, 3]` u8 → `[views · N, 3, resolution, resolution]` f32 around 0, in units of 1/255, view by view;
/// and the number of views. The division by the standard deviation is part of the first convolution: it commutes with
/// averages and with padding by zeros.
pub(super) fn pixels(
    g: &mut GraphBuilder,
    crops: &Value,
    side: usize,
    resolution: usize,
    views: Views,
) -> (Value, usize) {
    let planes = g.transpose("pixels.planes", crops, &[0, 3, 1, 2]);
    let planes = g.cast("pixels.float", &planes, ElementType::F32);
    let mean = NamedTensor::new(vec![1, 3, 1, 1], PIXEL_MEAN.map(|m| (255.0 * m) as f32).to_vec());
    let mean = g.constant("pixels.mean", mean.parts());
    let planes = g.sub("pixels.centred", &planes, &mean);
    let block = side.div_ceil(resolution);
    let (mut seen, mut count) = (planes, 1);
    if views.multi_scale {
        (seen, count) = (at_scales(g, &seen, side, block), SCALES.len());
    } else if block > 1 {
        seen = g.average_pool("pixels.pooled", &seen, Window::square(block, block, 0));
    }
    let size = side / block;
    if size < resolution {
        let before = (resolution - size) / 2;
        let after = resolution - size - before;
        seen = g.pad("pixels.padded", &seen, [before, before, after, after]);
    }
    if views.mirror {
        (seen, count) = (with_mirrored(g, &seen, resolution), 2 * count);
    }
    (seen, count)
}

/// Averages the picture over blocks at each of the [`SCALES`]. Blocks are not whole pixels, so each average is a
/// product with a matrix on either side.
fn at_scales(g: &mut GraphBuilder, planes: &Value, side: usize, block: usize) -> Value {
    let views = SCALES.map(|scale| {
        let name = |part: &str| format!("pixels.{scale}.{part}");
        let rows = averages(side, block, scale);
        let columns = g.constant(&name("columns"), rows.transposed().parts());
        let rows = g.constant(&name("rows"), rows.parts());
        let narrow = g.matmul(&name("narrow"), planes, &columns);
        g.matmul(&name("view"), &rows, &narrow)
    });
    g.concat("pixels.scales", &views.each_ref(), 0)
}

/// `[side / block, side]`: the share of each pixel of a line in each pixel of the line's view. Beyond the line's end,
/// its last pixel is repeated.
fn averages(side: usize, block: usize, scale: f64) -> NamedTensor {
    let (size, block) = (side / block, block as f64 / scale);
    let mut values = Vec::with_capacity(size * side);
    for seen in 0..size {
        let begins = side as f64 / 2.0 + (seen as f64 - size as f64 / 2.0) * block;
        values.extend((0..side).map(|pixel| {
            let from = if pixel == 0 { f64::NEG_INFINITY } else { pixel as f64 };
            let to = if pixel + 1 == side { f64::INFINITY } else { pixel as f64 + 1.0 };
            let both = (begins + block).min(to) - begins.max(from);
            (both.max(0.0) / block) as f32
        }));
    }
    NamedTensor::new(vec![size, side], values)
}

/// All pictures, and then all of them mirrored.
fn with_mirrored(g: &mut GraphBuilder, pictures: &Value, resolution: usize) -> Value {
    let columns: Vec<i64> = (0..resolution as i64).rev().collect();
    let columns = g.constant_ints("pixels.columns", &columns);
    let mirrored = g.gather("pixels.mirrored", pictures, &columns, 3);
    g.concat("pixels.both", &[pictures, &mirrored], 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By (crop, block, scale, pixel of the view): the first pixel of the crop in it, and the shares of the pixels.
    #[test]
    fn a_view_averages_what_lies_under_its_pixels() {
        let check = |side: usize, block: usize, scale: f64, seen: usize, first: usize, shares: &[f32]| {
            let averages = averages(side, block, scale);
            assert_eq!(averages.shape, [side / block, side]);
            let mut expected = vec![0.0; side];
            expected[first..first + shares.len()].copy_from_slice(shares);
            for (got, expected) in averages.values[seen * side..(seen + 1) * side].iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-6, "{side} {block} {scale} {seen}");
            }
        };
        // Unscaled: whole blocks.
        check(8, 2, 1.0, 0, 0, &[0.5, 0.5]);
        check(8, 2, 1.0, 3, 6, &[0.5, 0.5]);
        check(4, 1, 1.0, 2, 2, &[1.0]);
        // Twice as large: the middle of the crop, each of its pixels twice.
        check(8, 2, 2.0, 0, 2, &[1.0]);
        check(4, 1, 2.0, 1, 1, &[1.0]);
        check(4, 1, 2.0, 3, 2, &[1.0]);
        // Half as large: the whole crop, and its edge repeated around it.
        check(8, 2, 0.5, 0, 0, &[1.0]);
        check(8, 2, 0.5, 1, 0, &[0.25; 4]);
        check(8, 2, 0.5, 3, 7, &[1.0]);
        // Parts of pixels: with a fifth of the view outside the crop, and with nothing outside.
        check(4, 2, 0.8, 0, 0, &[0.6, 0.4]);
        check(4, 2, 1.25, 0, 0, &[0.375, 0.625]);
    }
}
