//! A cached crop (RGB8, 112×112) → the encoder's input (CLIP-normalised, R×R), with the variation of cameras and
//! detectors.

use lintel_core::align::TEMPLATE;

use crate::rng::Rng;

/// Side of a cached crop: half the 224 of the product's crop.
pub const CACHED: usize = 112;
/// Bytes of a cached crop.
pub const CACHED_BYTES: usize = CACHED * CACHED * 3;
/// CLIP's normalisation (Radford et al. 2021, published code).
pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// CLIP's normalisation.
pub const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// The strength of the variation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Variation {
    /// The usual variation of cameras and detectors
    Everyday,
    /// Much of what is rare: far out of focus, hard light or light from one side, reflections over the eyes, crops
    /// whose landmarks are far off
    Hard,
}

impl Variation {
    /// The most passes of blur.
    fn passes(self) -> usize {
        match self {
            Self::Everyday => 2,
            Self::Hard => 8,
        }
    }

    /// The factor on the detector's usual error: three times as large in one crop of five.
    fn astray(self, rng: &mut Rng) -> f32 {
        if self == Self::Hard && rng.chance(0.2) { 3.0 } else { 1.0 }
    }

    /// The factor on the light's usual changes.
    fn light(self) -> f32 {
        match self {
            Self::Everyday => 1.0,
            Self::Hard => 1.6,
        }
    }
}

/// The crop's side inside an encoder of input side `input`: the exporter shrinks 224 by k = ⌈224 / R⌉ and pads to R.
pub fn inner_side(input: usize) -> usize {
    224 / 224usize.div_ceil(input)
}

/// The encoder's input for a crop at deployment: averaged to the inner side, normalised, padded with zeros. `out` is
/// [3, input, input].
pub fn plain(crop: &[u8], input: usize, out: &mut [f32]) {
    let planes: Vec<f32> = crop.iter().map(|&v| f32::from(v) / 255.0).collect();
    shrink_into(&planes, input, out);
}

/// The same after a random change of place, light, sharpness, noise and a hidden patch; hard variation adds reflections
/// and light from one side.
pub fn varied(crop: &[u8], input: usize, variation: Variation, rng: &mut Rng, out: &mut [f32]) {
    let mut picture = moved(crop, variation.astray(rng), rng);
    if variation == Variation::Hard && rng.chance(0.25) {
        reflect(&mut picture, rng);
    }
    if rng.chance(0.35) {
        soften(&mut picture, variation.passes(), rng);
    }
    if variation == Variation::Hard && rng.chance(0.4) {
        shade(&mut picture, rng);
    }
    relight(&mut picture, variation.light(), rng);
    if rng.chance(0.4) {
        let depth = rng.range(0.0, 0.05);
        picture.iter_mut().for_each(|v| *v += depth * (rng.unit() - 0.5) * 2.0);
    }
    if rng.chance(0.3) {
        hide(&mut picture, rng);
    }
    picture.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    shrink_into(&picture, input, out);
}

/// A detector's error: landmarks are off, so the crop shifts, turns and scales a little, `more` times the usual.
fn moved(crop: &[u8], more: f32, rng: &mut Rng) -> Vec<f32> {
    let mut by = |deviation: f32| rng.normal() * (deviation * more);
    let angle = by(0.03);
    let scale = by(0.03).exp();
    let (dx, dy) = (by(1.5), by(1.5));
    let (sin, cos) = (angle.sin() * scale, angle.cos() * scale);
    let middle = (CACHED as f32 - 1.0) / 2.0;
    let mut out = vec![0.0; CACHED_BYTES];
    for y in 0..CACHED {
        for x in 0..CACHED {
            let (u, v) = (x as f32 - middle, y as f32 - middle);
            let sx = (cos * u - sin * v + middle + dx).clamp(0.0, CACHED as f32 - 1.001);
            let sy = (sin * u + cos * v + middle + dy).clamp(0.0, CACHED as f32 - 1.001);
            let (x0, y0) = (sx as usize, sy as usize);
            let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
            let at = (y0 * CACHED + x0) * 3;
            let to = (y * CACHED + x) * 3;
            for c in 0..3 {
                let p = |offset: usize| f32::from(crop[at + offset + c]);
                let top = p(0) + (p(3) - p(0)) * fx;
                let low = p(CACHED * 3) + (p(CACHED * 3 + 3) - p(CACHED * 3)) * fx;
                out[to + c] = (top + (low - top) * fy) / 255.0;
            }
        }
    }
    out
}

/// Bright spots with soft edges at the lenses: reflections in glasses or in the eyes.
fn reflect(picture: &mut [f32], rng: &mut Rng) {
    for eye in &TEMPLATE[..2] {
        if !rng.chance(0.7) {
            continue;
        }
        // The template is for the product's crop, which is twice as wide.
        let centre = [eye.x, eye.y].map(|at| at * 0.5 + rng.normal() * 4.0);
        let axes = [rng.range(3.0, 11.0), rng.range(2.0, 7.0)];
        let (sin, cos) = rng.range(0.0, std::f32::consts::PI).sin_cos();
        let strength = rng.range(0.2, 0.9);
        for (i, pixel) in picture.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((i % CACHED) as f32 - centre[0], (i / CACHED) as f32 - centre[1]);
            let away = ((cos * x + sin * y) / axes[0]).powi(2) + ((cos * y - sin * x) / axes[1]).powi(2);
            let share = strength * (1.0 - away).max(0.0);
            pixel.iter_mut().for_each(|v| *v += share * (1.0 - *v));
        }
    }
}

/// A small or unfocused face: a box blur, up to `passes` times.
fn soften(picture: &mut [f32], passes: usize, rng: &mut Rng) {
    for _ in 0..1 + rng.below(passes) {
        let amount = rng.range(0.2, 1.0) / 3.0;
        let side = 1.0 - 2.0 * amount;
        for (stride, lines, step) in [(3, CACHED, CACHED * 3), (CACHED * 3, CACHED, 3)] {
            for line in 0..lines {
                for c in 0..3 {
                    let start = line * step + c;
                    let mut before = picture[start];
                    for i in 1..CACHED - 1 {
                        let at = start + i * stride;
                        let here = picture[at];
                        picture[at] = side * here + amount * (before + picture[at + stride]);
                        before = here;
                    }
                }
            }
        }
    }
}

/// Light from one side: brighter towards it and darker away from it, by the same factor from each pixel to the next.
fn shade(picture: &mut [f32], rng: &mut Rng) {
    let (sin, cos) = rng.range(0.0, std::f32::consts::TAU).sin_cos();
    let strength = rng.range(0.2, 1.0);
    let half = CACHED as f32 / 2.0;
    let along =
        |way: f32| -> Vec<f32> { (0..CACHED).map(|i| (strength * way * (i as f32 / half - 1.0)).exp()).collect() };
    let (across, down) = (along(cos), along(sin));
    for (row, down) in picture.chunks_exact_mut(CACHED * 3).zip(down) {
        for (pixel, across) in row.chunks_exact_mut(3).zip(&across) {
            pixel.iter_mut().for_each(|v| *v *= across * down);
        }
    }
}

/// Another exposure, contrast and tint; `more` times the usual change.
fn relight(picture: &mut [f32], more: f32, rng: &mut Rng) {
    let mut by = |deviation: f32| rng.normal() * (deviation * more);
    let gamma = by(0.15).exp();
    let contrast = 1.0 + by(0.15);
    let bright = by(0.06);
    let tint = [0, 1, 2].map(|_| 1.0 + by(0.04));
    let curve: Vec<f32> = (0..=256).map(|i| ((i as f32 / 256.0).powf(gamma) - 0.5) * contrast + 0.5 + bright).collect();
    for pixel in picture.chunks_exact_mut(3) {
        for (v, tint) in pixel.iter_mut().zip(tint) {
            *v = curve[(v.clamp(0.0, 1.0) * 256.0) as usize] * tint;
        }
    }
}

fn hide(picture: &mut [f32], rng: &mut Rng) {
    let (w, h) = (8 + rng.below(32), 8 + rng.below(32));
    let (x, y) = (rng.below(CACHED - w), rng.below(CACHED - h));
    let colour = [rng.unit(), rng.unit(), rng.unit()];
    for row in y..y + h {
        for pixel in picture[(row * CACHED + x) * 3..(row * CACHED + x + w) * 3].chunks_exact_mut(3) {
            pixel.copy_from_slice(&colour);
        }
    }
}

/// Averages to the inner side, normalises, writes planes with a zero border.
fn shrink_into(picture: &[f32], input: usize, out: &mut [f32]) {
    let inner = inner_side(input);
    let k = CACHED / inner;
    let pad = (input - inner) / 2;
    out.fill(0.0);
    let taps = (k * k) as f32;
    for y in 0..inner {
        for x in 0..inner {
            for c in 0..3 {
                let mut sum = 0.0;
                for j in 0..k {
                    for i in 0..k {
                        sum += picture[((y * k + j) * CACHED + x * k + i) * 3 + c];
                    }
                }
                out[(c * input + y + pad) * input + x + pad] = (sum / taps - MEAN[c]) / STD[c];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lintel_core::geometry::Point;

    use super::*;

    #[test]
    fn the_inner_side_is_the_exporters() {
        for (input, inner) in [(128, 112), (64, 56), (224, 224)] {
            assert_eq!(inner_side(input), inner);
        }
    }

    #[test]
    fn a_flat_crop_stays_flat_inside_a_zero_border() {
        let crop = vec![255u8; CACHED_BYTES];
        for input in [64, 128] {
            let mut out = vec![9.0; 3 * input * input];
            plain(&crop, input, &mut out);
            let middle = out[(input / 2) * input + input / 2];
            assert!((middle - (1.0 - MEAN[0]) / STD[0]).abs() < 1e-5);
            assert_eq!(out[0], 0.0);
        }
    }

    #[test]
    fn reflections_lie_over_the_eyes_and_are_light() {
        let mut lit = vec![0.0f32; CACHED_BYTES];
        for seed in 0..20 {
            let mut picture = vec![0.3; CACHED_BYTES];
            reflect(&mut picture, &mut Rng::new(seed));
            assert!(picture.iter().all(|&v| (0.3..=1.0).contains(&v)));
            lit.iter_mut().zip(&picture).for_each(|(sum, v)| *sum += v - 0.3);
        }
        let brightest = (0..CACHED * CACHED).max_by(|&a, &b| lit[3 * a].total_cmp(&lit[3 * b])).unwrap_or_default();
        let (x, y) = ((brightest % CACHED) as f32, (brightest / CACHED) as f32);
        let near = |eye: &Point| (x - 0.5 * eye.x).hypot(y - 0.5 * eye.y) < 8.0;
        assert!(TEMPLATE[..2].iter().any(near), "brightest at {x}, {y}");
        assert!(lit[(CACHED - 1) * CACHED * 3..].iter().all(|&v| v == 0.0));
    }

    #[test]
    fn light_from_one_side_leaves_the_middle_as_it_is() {
        for seed in 0..20 {
            let mut picture = vec![0.3; CACHED_BYTES];
            shade(&mut picture, &mut Rng::new(seed));
            let at = |x: usize, y: usize| picture[(y * CACHED + x) * 3];
            assert!((at(CACHED / 2, CACHED / 2) - 0.3).abs() < 1e-6);
            let corners = [at(0, 0), at(0, CACHED - 1), at(CACHED - 1, 0), at(CACHED - 1, CACHED - 1)];
            let (least, most) = corners.iter().fold((1.0f32, 0.0f32), |(a, b), &v| (a.min(v), b.max(v)));
            assert!(least < 0.27 && most > 0.33, "{corners:?}");
        }
    }

    #[test]
    fn variation_is_repeatable_and_bounded() {
        let crop: Vec<u8> = (0..CACHED_BYTES).map(|i| (i * 31 % 251) as u8).collect();
        for variation in [Variation::Everyday, Variation::Hard] {
            let make = |seed| {
                let mut out = vec![0.0; 3 * 64 * 64];
                varied(&crop, 64, variation, &mut Rng::new(seed), &mut out);
                out
            };
            assert_eq!(make(1), make(1));
            assert_ne!(make(1), make(2));
            assert!((3..40).all(|seed| make(seed).iter().all(|v| v.abs() < 3.0)));
        }
    }
}
