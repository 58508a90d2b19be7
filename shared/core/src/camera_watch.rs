//! Frames as they come, and what the camera says → is the camera well, and may a frame be looked at.
//!
//! A picture that repeats the one before is no evidence of anything, and must not be looked at. Nothing here allocates.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::controller::Input;
use crate::door::{CameraFault, Fault};
use crate::frame::Frame;
use crate::time::Uptime;

/// A flaw came or went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlawChange {
    /// It is there now.
    Raised(CameraFault),
    /// It is gone.
    Cleared(CameraFault),
}

impl FlawChange {
    /// As the controller takes it.
    #[must_use]
    pub fn input(self) -> Input<'static> {
        match self {
            Self::Raised(flaw) => Input::Fault(Fault::Camera(flaw)),
            Self::Cleared(flaw) => Input::FaultCleared(Fault::Camera(flaw)),
        }
    }
}

/// What one picture says about the camera.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Observation {
    /// The picture is the one before over again: it is no evidence of anything, and must not be looked at.
    pub repeat: bool,
    /// Flaws that came or went with this picture: frozen, dark, gone, corrupt.
    pub changes: [Option<FlawChange>; 4],
}

/// When a flaw is a fault.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct CameraWatchSettings {
    /// A flaw that lasts so long is a fault.
    pub fault_after: Duration,
    /// Mean luma (0 to 255) below which a picture is dark.
    pub dark_below: f32,
}

impl Default for CameraWatchSettings {
    /// A flaw that lasts 1.5 s; mean luma below 6.
    fn default() -> Self {
        Self { fault_after: Duration::from_millis(1500), dark_below: 6.0 }
    }
}

/// Watches one camera.
#[derive(Debug)]
pub struct CameraWatch {
    settings: CameraWatchSettings,
    last: Option<u64>,
    frozen: Lasting,
    dark: Lasting,
    gone: Lasting,
    corrupt: Lasting,
}

/// A condition that must last before it counts.
#[derive(Clone, Copy, Debug, Default)]
struct Lasting {
    since: Option<Uptime>,
    raised: bool,
}

impl Lasting {
    /// `Some(true)`: raised now; `Some(false)`: cleared now.
    fn observe(&mut self, holds: bool, now: Uptime, long: Duration) -> Option<bool> {
        if !holds {
            self.since = None;
            return core::mem::take(&mut self.raised).then_some(false);
        }
        let since = *self.since.get_or_insert(now);
        let lasted = now.since(since) >= long && !self.raised;
        self.raised |= lasted;
        lasted.then_some(true)
    }
}

impl CameraWatch {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(settings: CameraWatchSettings) -> Self {
        let [frozen, dark, gone, corrupt] = [Lasting::default(); 4];
        Self { settings, last: None, frozen, dark, gone, corrupt }
    }

    /// Looks at the next picture.
    pub fn observe(&mut self, frame: &Frame<'_>) -> Observation {
        let print = fingerprint(frame);
        let repeat = self.last == Some(print);
        self.last = Some(print);
        let CameraWatchSettings { fault_after, dark_below } = self.settings;
        let dark = mean_luma(frame) < dark_below;
        let look = |flaw: &mut Lasting, holds, fault| change(fault, flaw.observe(holds, frame.captured(), fault_after));
        let changes = [
            look(&mut self.frozen, repeat, CameraFault::Frozen),
            look(&mut self.dark, dark, CameraFault::Dark),
            look(&mut self.gone, false, CameraFault::Gone),
            look(&mut self.corrupt, false, CameraFault::Corrupt),
        ];
        Observation { repeat, changes }
    }

    /// Hears that there is no picture where one should be. A camera that is gone or has been silent for too long is a
    /// fault at once; so is one frame's damage only when it lasts, since cables do that now and then.
    pub fn hear(&mut self, fault: CameraFault, at: Uptime) -> Option<FlawChange> {
        let (flaw, long) = match fault {
            CameraFault::Gone => (&mut self.gone, Duration::ZERO),
            CameraFault::Frozen => (&mut self.frozen, Duration::ZERO),
            CameraFault::Dark => (&mut self.dark, self.settings.fault_after),
            CameraFault::Corrupt => (&mut self.corrupt, self.settings.fault_after),
        };
        change(fault, flaw.observe(true, at, long))
    }
}

fn change(fault: CameraFault, raised: Option<bool>) -> Option<FlawChange> {
    Some(if raised? { FlawChange::Raised(fault) } else { FlawChange::Cleared(fault) })
}

/// A number that two pictures share only if they are the same. (A live sensor's noise never repeats.)
fn fingerprint(frame: &Frame<'_>) -> u64 {
    // One multiplication for eight bytes; the shift carries the high bits back to the low ones.
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    };
    // Four hashes side by side: none waits for the other's multiplication.
    let (blocks, rest) = frame.pixels().as_chunks::<32>();
    let mut lanes = [1, 2, 3, 4].map(|lane| u64::from(frame.width()) << 3 | lane);
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (hash, word) in lanes.iter_mut().zip(words) {
            *hash = mix(*hash, u64::from_le_bytes(*word));
        }
    }
    let hash = lanes.into_iter().fold(0, mix);
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// Mean of Rec. 601 luma over every 64th pixel, 0 to 255.
fn mean_luma(frame: &Frame<'_>) -> f32 {
    const STRIDE: usize = 64;
    let (pixels, _) = frame.pixels().as_chunks::<3>();
    let sampled = pixels.iter().step_by(STRIDE);
    let count = sampled.len().max(1);
    let sum: u64 = sampled.map(|[r, g, b]| 299 * u64::from(*r) + 587 * u64::from(*g) + 114 * u64::from(*b)).sum();
    (sum as f64 / (1000.0 * count as f64)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    /// A picture of 16×8 pixels, all of this brightness, taken then.
    struct Picture {
        pixels: Vec<u8>,
        size: (u32, u32),
        captured: Uptime,
    }

    impl Picture {
        fn frame(&self) -> Frame<'_> {
            let (width, height) = self.size;
            Frame::rgb8(&self.pixels, width, height, self.captured).expect("a whole picture")
        }
    }

    fn picture(ms: u64, value: u8) -> Picture {
        Picture { pixels: vec![value; 16 * 8 * 3], size: (16, 8), captured: Uptime::from_millis(ms) }
    }

    /// Feeds pictures (time in ms, brightness) and collects what changed, and which repeated.
    fn watch(pictures: &[(u64, u8)]) -> (Vec<(u64, FlawChange)>, Vec<u64>) {
        let settings = CameraWatchSettings { fault_after: Duration::from_secs(2), dark_below: 6.0 };
        let mut watch = CameraWatch::new(settings);
        let (mut changes, mut repeats) = (Vec::new(), Vec::new());
        for (ms, value) in pictures {
            let seen = watch.observe(&picture(*ms, *value).frame());
            changes.extend(seen.changes.into_iter().flatten().map(|change| (*ms, change)));
            if seen.repeat {
                repeats.push(*ms);
            }
        }
        (changes, repeats)
    }

    #[test]
    fn flaws_come_and_go() {
        use CameraFault::{Dark, Frozen};
        use FlawChange::{Cleared, Raised};
        let check = |pictures: &[(u64, u8)], changes: &[(u64, FlawChange)], repeats: &[u64]| {
            assert_eq!(watch(pictures), (changes.to_vec(), repeats.to_vec()), "{pictures:?}");
        };
        check(&[], &[], &[]);
        check(&[(0, 90), (100, 91), (9000, 90)], &[], &[]);
        // The same picture again is a repeat at once, and a fault after two seconds of it.
        check(&[(0, 90), (100, 90), (200, 91)], &[], &[100]);
        check(
            &[(0, 90), (100, 90), (2000, 90), (2100, 90), (2200, 90), (2300, 91)],
            &[(2100, Raised(Frozen)), (2300, Cleared(Frozen))],
            &[100, 2000, 2100, 2200],
        );
        // Darkness with the noise of a sensor.
        check(
            &[(0, 90), (100, 1), (1000, 2), (2100, 1), (2200, 0), (2300, 80)],
            &[(2100, Raised(Dark)), (2300, Cleared(Dark))],
            &[],
        );
        check(&[(0, 1), (1000, 2), (1500, 80), (2500, 1), (3500, 2)], &[], &[]);
    }

    #[test]
    fn troubles_come_and_go() {
        use CameraFault::{Corrupt, Frozen, Gone};
        use FlawChange::{Cleared, Raised};
        // At so many ms: a trouble, or a picture of that brightness.
        let check = |seen: &[(u64, Result<u8, CameraFault>)], expected: &[(u64, FlawChange)]| {
            let settings = CameraWatchSettings { fault_after: Duration::from_millis(1500), dark_below: 6.0 };
            let mut watch = CameraWatch::new(settings);
            let mut changes = Vec::new();
            for (ms, seen) in seen {
                match *seen {
                    Ok(value) => {
                        changes.extend(watch.observe(&picture(*ms, value).frame()).changes.into_iter().flatten())
                    }
                    Err(fault) => changes.extend(watch.hear(fault, Uptime::from_millis(*ms))),
                }
                let expected = expected.iter().filter(|(at, _)| at <= ms).map(|(_, change)| *change);
                assert_eq!(changes, expected.collect::<Vec<_>>(), "{seen:?} after {ms} ms");
            }
        };
        check(
            &[(0, Ok(90)), (10, Err(Gone)), (20, Err(Gone)), (30, Ok(91))],
            &[(10, Raised(Gone)), (30, Cleared(Gone))],
        );
        check(&[(0, Ok(90)), (10, Err(Frozen)), (30, Ok(91))], &[(10, Raised(Frozen)), (30, Cleared(Frozen))]);
        // After the silence the same picture again: still frozen.
        check(
            &[(0, Ok(90)), (10, Err(Frozen)), (30, Ok(90)), (60, Ok(9))],
            &[(10, Raised(Frozen)), (60, Cleared(Frozen))],
        );
        check(&[(0, Err(Corrupt)), (1400, Err(Corrupt)), (1450, Ok(90)), (2950, Err(Corrupt))], &[]);
        check(
            &[(0, Err(Corrupt)), (1500, Err(Corrupt)), (1600, Err(Gone)), (1700, Ok(90))],
            &[(1500, Raised(Corrupt)), (1600, Raised(Gone)), (1700, Cleared(Gone)), (1700, Cleared(Corrupt))],
        );
    }

    #[test]
    fn one_pixel_or_the_shape_makes_another_picture() {
        let base = picture(0, 90);
        let check = |change: &dyn Fn(&mut Picture), same: bool| {
            let mut other = picture(0, 90);
            change(&mut other);
            assert_eq!(fingerprint(&base.frame()) == fingerprint(&other.frame()), same);
        };
        check(&|_| {}, true);
        check(&|p| p.captured = Uptime::from_millis(9), true);
        for at in [0, 1, 7, 8, 200, 383] {
            check(&|p| p.pixels[at] ^= 1, false);
        }
        check(&|p| p.size = (8, 16), false);
    }
}
