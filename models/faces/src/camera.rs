//! Linear light → sRGB bytes, with a camera's blur, noise and compression.

use std::sync::LazyLock;

use glam::Vec3A as Vec3;

use crate::canvas::Canvas;
use crate::picture::Picture;
use crate::rng::Rng;

/// The camera's properties. `Camera::default()` is a perfect one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Standard deviation of the sensor's noise in sRGB steps of a mid grey; 0..=20.
    pub noise: f32,
    /// Motion blur: px, and radians from the image's x axis.
    pub motion_blur: (f32, f32),
    /// Radius of the defocus blur, px.
    pub defocus: f32,
    /// JPEG quality, 1..=100; None leaves the picture uncompressed.
    pub jpeg_quality: Option<u8>,
    /// Exposure, stops.
    pub exposure: f32,
    /// Gains of red, green, blue.
    pub white_balance: [f32; 3],
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            noise: 0.0,
            motion_blur: (0.0, 0.0),
            defocus: 0.0,
            jpeg_quality: None,
            exposure: 0.0,
            white_balance: [1.0; 3],
            seed: 0,
        }
    }
}

impl Camera {
    /// Typical faults of a webcam or telephone; `faults` in [0, 1] bounds their size.
    #[must_use]
    pub fn everyday(seed: u64, faults: f32) -> Self {
        let rng = &mut Rng::new(seed, 0xca3e);
        let blue = rng.bell() * 0.06;
        Self {
            noise: rng.unit() * rng.range(1.0, 2.0 + 8.0 * faults),
            motion_blur: if rng.chance(0.4 * faults) {
                (rng.range(1.0, 1.0 + 6.0 * faults), rng.range(0.0, std::f32::consts::PI))
            } else {
                (0.0, 0.0)
            },
            defocus: if rng.chance(0.2 + 0.5 * faults) { rng.range(0.2, 0.5 + 1.4 * faults) } else { 0.0 },
            jpeg_quality: rng.chance(0.7).then(|| rng.range(88.0 - 40.0 * faults, 96.0) as u8),
            exposure: rng.bell() * (0.15 + 0.35 * faults),
            white_balance: [1.0 - blue, 1.0, 1.0 + blue + rng.bell() * 0.03],
            seed,
        }
    }

    /// The picture that this camera takes, without ground truth.
    #[must_use]
    pub(crate) fn develop(&self, mut light: Canvas) -> Picture {
        light.blur(self.defocus);
        light.drag(self.motion_blur.0, self.motion_blur.1);
        let gain = Vec3::from(self.white_balance) * self.exposure.exp2();
        let (width, height) = (light.width, light.height);
        let mut rgb = vec![0u8; width * height * 3];
        let rng = &mut Rng::new(self.seed, 0x5e5);
        for (row, out) in light.px.chunks_exact(width).zip(rgb.chunks_exact_mut(width * 3)) {
            let start = rng.below(BELL.len() - 1);
            let mut at = start;
            for (px, out) in row.iter().zip(out.chunks_exact_mut(3)) {
                let lit = *px * gain;
                let luma = BELL[at & MASK] * 0.7;
                for (k, (o, v)) in out.iter_mut().zip(lit.to_array()).enumerate() {
                    let index = (v * CURVE_STEPS).clamp(0.0, CURVE_TOP) as usize;
                    let n = (luma + BELL[(at + 31 * k + 7) & MASK] * 0.7) * self.noise;
                    *o = (CURVE[index] + n + 0.5) as u8;
                }
                at = at.wrapping_add(97);
            }
        }
        let mut picture = Picture { width: width as u32, height: height as u32, rgb, truth: Vec::new() };
        if let Some(quality) = self.jpeg_quality {
            picture.rgb = round_trip(&picture, quality);
        }
        picture
    }
}

const CURVE_STEPS: f32 = 2048.0;
const CURVE_TOP: f32 = 8191.0;
const MASK: usize = 16383;

/// Linear light [0, 4) → sRGB with a soft shoulder, as a table.
static CURVE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    (0..8192)
        .map(|i| {
            let x = (i as f32 + 0.5) / CURVE_STEPS;
            let soft = if x < 0.6 { x } else { 0.6 + 0.4 * (1.0 - (-(x - 0.6) / 0.4).exp()) };
            let s = if soft <= 0.003_130_8 { 12.92 * soft } else { 1.055 * soft.powf(1.0 / 2.4) - 0.055 };
            s * 255.0
        })
        .collect()
});

static BELL: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let rng = &mut Rng::new(0, 0xbe11);
    (0..=MASK).map(|_| rng.bell()).collect()
});

/// Baseline JPEG, 4:2:0 below quality 90.
///
/// # Panics
/// If the picture is wider or higher than 65 535 px.
#[must_use]
pub fn jpeg(picture: &Picture, quality: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, quality.clamp(1, 100));
    let size = |n: u32| u16::try_from(n).expect("a JPEG is at most 65 535 px wide and high");
    encoder
        .encode(&picture.rgb, size(picture.width), size(picture.height), jpeg_encoder::ColorType::Rgb)
        .expect("writing to memory cannot fail");
    out
}

fn round_trip(picture: &Picture, quality: u8) -> Vec<u8> {
    zune_jpeg::JpegDecoder::new(std::io::Cursor::new(jpeg(picture, quality))).decode().expect("our own JPEG decodes")
}
