//! Results as they pass → how the pipeline is doing; and the watchdog that systemd runs.
//!
//! Nothing in here allocates per frame.

use std::fmt;
use std::time::Duration;

use lintel_core::time::Uptime;
use sd_notify::NotifyState;
use serde::Serialize;

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
