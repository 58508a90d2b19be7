//! The modes that a camera offers, the picture that is wanted → the mode to take.

use std::cmp::Reverse;

use super::pixels::Packing;

/// The picture that the installer asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second.
    pub fps: u32,
}

/// Something that a camera can do.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mode {
    /// How pixels are packed.
    pub packing: Packing,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Most pictures a second; `None`: the driver does not say.
    pub fps: Option<f32>,
}

/// A rate this near to the wanted one is it: cameras say 29.97 for 30.
const NEAR: f32 = 0.95;

/// The best mode: fast enough before large enough, large enough before near in size, then by packing
/// ([`Packing::ALL`]). `None`: there are none.
#[must_use]
pub fn choose(modes: &[Mode], wanted: Wanted) -> Option<Mode> {
    modes.iter().copied().max_by_key(|mode| {
        // A driver that says nothing (a loopback, some platform cameras) is taken to be fast enough.
        let fps = mode.fps.unwrap_or(wanted.fps as f32);
        let fast = fps >= wanted.fps as f32 * NEAR;
        let large = mode.width >= wanted.width && mode.height >= wanted.height;
        let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
        let off = area(mode.width, mode.height).abs_diff(area(wanted.width, wanted.height));
        // Another shape of the same area crops another part of the scene: nearest in width then.
        let skew = mode.width.abs_diff(wanted.width);
        let rate = if fast { u32::MAX } else { (fps * 1000.0) as u32 };
        let packing = Packing::ALL.iter().position(|packing| *packing == mode.packing);
        (rate, large, Reverse(off), Reverse(skew), Reverse(packing))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Packing::{Grey, Mjpeg, Nv12, Yuyv};

    fn mode(packing: Packing, width: u32, height: u32, fps: f32) -> Mode {
        Mode { packing, width, height, fps: Some(fps) }
    }

    #[test]
    fn the_best_mode() {
        let wanted = Wanted { width: 640, height: 480, fps: 30 };
        let check = |modes: &[Mode], expected: Option<Mode>| {
            assert_eq!(choose(modes, wanted), expected, "{modes:?}");
            // The order in which a driver tells them is nothing.
            let reversed: Vec<Mode> = modes.iter().rev().copied().collect();
            assert_eq!(choose(&reversed, wanted), expected, "{reversed:?}");
        };
        check(&[], None);
        let exact = mode(Yuyv, 640, 480, 30.0);
        // A common webcam: raw is fast only when small, JPEG always.
        check(
            &[mode(Yuyv, 1280, 720, 10.0), exact, mode(Mjpeg, 640, 480, 30.0), mode(Mjpeg, 1280, 720, 30.0)],
            Some(exact),
        );
        let jpeg = mode(Mjpeg, 640, 480, 30.0);
        check(&[mode(Yuyv, 640, 480, 15.0), jpeg, mode(Yuyv, 320, 240, 30.0)], Some(jpeg));
        // The nearest size that is large enough; colour before grey; the rate that there is.
        let larger = mode(Nv12, 800, 600, 30.0);
        check(&[mode(Yuyv, 1920, 1080, 30.0), larger, mode(Yuyv, 352, 288, 30.0)], Some(larger));
        check(&[mode(Yuyv, 320, 240, 30.0), mode(Yuyv, 160, 120, 30.0)], Some(mode(Yuyv, 320, 240, 30.0)));
        check(&[mode(Grey, 640, 480, 60.0), mode(Nv12, 640, 480, 30.0)], Some(mode(Nv12, 640, 480, 30.0)));
        check(&[mode(Grey, 640, 480, 30.0)], Some(mode(Grey, 640, 480, 30.0)));
        check(&[mode(Mjpeg, 640, 480, 29.97), mode(Mjpeg, 320, 240, 60.0)], Some(mode(Mjpeg, 640, 480, 29.97)));
        check(&[mode(Yuyv, 640, 480, 10.0), mode(Yuyv, 640, 480, 20.0)], Some(mode(Yuyv, 640, 480, 20.0)));
        let silent = Mode { fps: None, ..exact };
        check(&[silent, mode(Mjpeg, 640, 480, 5.0)], Some(silent));
        // The same area in another shape.
        check(&[mode(Yuyv, 480, 640, 30.0), exact], Some(exact));
    }
}
