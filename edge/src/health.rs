//! Pictures, results and faults as they pass → is the camera well, and how is the pipeline doing.
//!
//! Nothing in here allocates per frame.

use std::fmt;
use std::time::Duration;

use lintel_core::door::CameraFault;
use lintel_core::time::Uptime;
use sd_notify::NotifyState;
use serde::Serialize;

use crate::io::camera::{Picture, Trouble};

/// A flaw came or went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlawChange {
    /// It is there now.
    Raised(CameraFault),
    /// It is gone.
    Cleared(CameraFault),
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
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CameraWatchSettings {
    /// A flaw that lasts so long is a fault.
    pub fault_after: Duration,
    /// Mean luma (0 to 255) below which a picture is dark.
    pub dark_below: f32,
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
            return std::mem::take(&mut self.raised).then_some(false);
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
    pub fn observe(&mut self, picture: &Picture) -> Observation {
        let print = fingerprint(picture);
        let repeat = self.last == Some(print);
        self.last = Some(print);
        let CameraWatchSettings { fault_after, dark_below } = self.settings;
        let dark = mean_luma(picture) < dark_below;
        let look = |flaw: &mut Lasting, holds, fault| change(fault, flaw.observe(holds, picture.captured, fault_after));
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
    pub fn hear(&mut self, trouble: &Trouble) -> Option<FlawChange> {
        let (flaw, long) = match trouble.fault {
            CameraFault::Gone => (&mut self.gone, Duration::ZERO),
            CameraFault::Frozen => (&mut self.frozen, Duration::ZERO),
            CameraFault::Dark => (&mut self.dark, self.settings.fault_after),
            CameraFault::Corrupt => (&mut self.corrupt, self.settings.fault_after),
        };
        change(trouble.fault, flaw.observe(true, trouble.at, long))
    }
}

fn change(fault: CameraFault, raised: Option<bool>) -> Option<FlawChange> {
    Some(if raised? { FlawChange::Raised(fault) } else { FlawChange::Cleared(fault) })
}

/// A number that two pictures share only if they are the same. (A live sensor's noise never repeats.)
fn fingerprint(picture: &Picture) -> u64 {
    // One multiplication for eight bytes; the shift carries the high bits back to the low ones.
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    };
    // Four hashes side by side: none waits for the other's multiplication.
    let (blocks, rest) = picture.pixels.as_chunks::<32>();
    let mut lanes = [1, 2, 3, 4].map(|lane| u64::from(picture.width) << 3 | lane);
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
fn mean_luma(picture: &Picture) -> f32 {
    const STRIDE: usize = 64;
    let (pixels, _) = picture.pixels.as_chunks::<3>();
    let sampled = pixels.iter().step_by(STRIDE);
    let count = sampled.len().max(1);
    let sum: u64 = sampled.map(|[r, g, b]| 299 * u64::from(*r) + 587 * u64::from(*g) + 114 * u64::from(*b)).sum();
    (sum as f64 / (1000.0 * count as f64)) as f32
}

/// Tells systemd that the daemon is ready and alive. Outside of systemd it tells nobody.
///
/// systemd kills a daemon that is silent for longer than the unit's `WatchdogSec`, and starts it again; taking the
/// relay's line locks the strike then.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    told: Option<Uptime>,
}

impl Watchdog {
    /// As systemd asked for it in the environment.
    #[must_use]
    pub fn from_environment() -> Self {
        // Half of what is allowed, as sd_watchdog_enabled(3) advises.
        Self { every: sd_notify::watchdog_enabled().map(|allowed| allowed / 2), told: None }
    }

    /// Everything is loaded.
    pub fn ready(&self) {
        Self::tell(NotifyState::Ready);
    }

    /// Every stage is alive. Cheap; to be called as often as one likes.
    pub fn alive(&mut self, now: Uptime) {
        let Some(every) = self.every else { return };
        if self.told.is_none_or(|told| now.since(told) >= every) {
            self.told = Some(now);
            Self::tell(NotifyState::Watchdog);
        }
    }

    fn tell(state: NotifyState<'_>) {
        if let Err(e) = sd_notify::notify(&[state]) {
            tracing::warn!("systemd cannot be told: {e}");
        }
    }
}

/// Ages from capture to use, in buckets that grow by a fifth: quantiles within 10 % from 1 ms to 100 s.
#[derive(Clone, Debug)]
pub struct Ages {
    buckets: [u32; Self::BUCKETS],
    count: u64,
    worst: Duration,
}

impl Default for Ages {
    fn default() -> Self {
        Self { buckets: [0; Self::BUCKETS], count: 0, worst: Duration::ZERO }
    }
}

impl Ages {
    const BUCKETS: usize = 64;

    /// Counts one age.
    pub fn add(&mut self, age: Duration) {
        let millis = age.as_secs_f64() * 1000.0;
        let bucket = if millis <= 1.0 { 0 } else { (millis.ln() / 1.2_f64.ln()) as usize + 1 };
        let bucket = bucket.min(Self::BUCKETS - 1);
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
        self.count += 1;
        self.worst = self.worst.max(age);
    }

    /// The age that a share of `q` (0 to 1) of all ages is below; zero when there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let wanted = (q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && seen > 0 {
                // The geometric middle of the bucket, which no age in it is further from than 10 %.
                let millis = if bucket == 0 { 1.0 } else { 1.2_f64.powf(bucket as f64 - 0.5) };
                return Duration::from_secs_f64(millis / 1000.0).min(self.worst);
            }
        }
        Duration::ZERO
    }

    /// The greatest age.
    #[must_use]
    pub fn worst(&self) -> Duration {
        self.worst
    }
}

/// What a run was like. Printed at its end, and as JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Pictures that the camera gave.
    pub captured: u64,
    /// Pictures that repeated the one before and were not looked at.
    pub repeated: u64,
    /// Frames of a live camera that could not be decoded.
    pub damaged: u64,
    /// Pictures that a newer one replaced before vision had time.
    pub overwritten: u64,
    /// Pictures that vision looked at.
    pub looked_at: u64,
    /// Results that came too late to count.
    pub stale: u64,
    /// Results with at least one face.
    pub with_faces: u64,
    /// Verdicts for an enrolled person.
    pub known: u64,
    /// Verdicts that it is nobody enrolled.
    pub strangers: u64,
    /// Times that the strike was released.
    pub releases: u64,
    /// Changes of the display.
    pub screens: u64,
    /// Times that the display failed.
    pub display_errors: u64,
    /// Events that were lost because the disk was too slow.
    pub events_lost: u64,
    /// Faults, in order of their first appearance; each once.
    pub faults: Vec<String>,
    /// Pictures a second, from the first capture time to the last.
    pub fps: f64,
    /// Median of the time from capture to use, in milliseconds.
    pub age_p50_ms: f64,
    /// 95 % of pictures are used within so many milliseconds.
    pub age_p95_ms: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { captured, repeated, overwritten, looked_at, stale, with_faces, known, strangers, .. } = self;
        writeln!(f, "frames    {captured} captured at {:.1} a second, {looked_at} looked at", self.fps)?;
        writeln!(f, "          {repeated} repeated, {overwritten} overtaken by newer ones, {stale} too old to count")?;
        writeln!(f, "ages      p50 {:.1} ms, p95 {:.1} ms from capture to use", self.age_p50_ms, self.age_p95_ms)?;
        writeln!(f, "verdicts  {known} recognised, {strangers} not, from {with_faces} frames with faces")?;
        writeln!(f, "door      released {} times, display changed {} times", self.releases, self.screens)?;
        if self.display_errors > 0 {
            writeln!(f, "display   failed {} times; the door went on without it", self.display_errors)?;
        }
        if self.events_lost > 0 {
            writeln!(f, "events    {} lost: the disk was too slow", self.events_lost)?;
        }
        if self.damaged > 0 {
            writeln!(f, "camera    sent {} damaged frames", self.damaged)?;
        }
        let faults = if self.faults.is_empty() { "none".to_owned() } else { self.faults.join(", ") };
        write!(f, "faults    {faults}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(ms: u64, value: u8) -> Picture {
        Picture { pixels: vec![value; 16 * 8 * 3], width: 16, height: 8, captured: Uptime::from_millis(ms) }
    }

    /// Feeds pictures (time in ms, brightness) and collects what changed, and which repeated.
    fn watch(pictures: &[(u64, u8)]) -> (Vec<(u64, FlawChange)>, Vec<u64>) {
        let settings = CameraWatchSettings { fault_after: Duration::from_secs(2), dark_below: 6.0 };
        let mut watch = CameraWatch::new(settings);
        let (mut changes, mut repeats) = (Vec::new(), Vec::new());
        for (ms, value) in pictures {
            let seen = watch.observe(&picture(*ms, *value));
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
                    Ok(value) => changes.extend(watch.observe(&picture(*ms, value)).changes.into_iter().flatten()),
                    Err(fault) => {
                        let trouble = Trouble { fault, at: Uptime::from_millis(*ms), why: String::new() };
                        changes.extend(watch.hear(&trouble));
                    }
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
            let mut other = base.clone();
            change(&mut other);
            assert_eq!(fingerprint(&base) == fingerprint(&other), same);
        };
        check(&|_| {}, true);
        check(&|p| p.captured = Uptime::from_millis(9), true);
        for at in [0, 1, 7, 8, 200, 383] {
            check(&|p| p.pixels[at] ^= 1, false);
        }
        check(&|p| (p.width, p.height) = (8, 16), false);
    }

    #[test]
    fn quantiles_are_within_a_tenth() {
        let mut ages = Ages::default();
        assert_eq!(ages.quantile(0.5), Duration::ZERO);
        for millis in 1..=1000 {
            ages.add(Duration::from_millis(millis));
        }
        for (q, expected) in [(0.05, 50.0), (0.5, 500.0), (0.95, 950.0), (1.0, 1000.0)] {
            let got = ages.quantile(q).as_secs_f64() * 1000.0;
            assert!((got / expected - 1.0).abs() < 0.101, "{q}: {got}, expected {expected}");
        }
        ages.add(Duration::MAX);
        assert_eq!(ages.worst(), Duration::MAX);
    }
}
