//! Refusals in a row → a while in which nobody is let in.
//!
//! After a few refusals every further try waits, and each wait is longer than the one before: a picture of somebody
//! enrolled can't be improved try by try. The defaults are NIST's for a biometric without detection of presentation
//! attacks (SP 800-63B, revision 3, §5.2.3: after 5 failures in a row at least 30 seconds, growing exponentially).
//! NIST's ceiling of 100 failures, after which another way in is needed, is not built: at a door a stranger who walks
//! by a hundred times would shut everybody out. The longest wait takes its place.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Uptime;

/// How tries are slowed down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LockoutSettings {
    /// Refusals in a row that are free, 1 to 100; 0: nobody is ever locked out.
    pub tries: u32,
    /// The first wait, 1 s to 1 h.
    pub delay: Duration,
    /// Each wait is so many times the one before, 1 to 10.
    pub growth: u32,
    /// The longest wait, the first to 24 h.
    pub max_delay: Duration,
    /// Refusals are forgotten after so long without another, 1 s to 24 h.
    pub forget_after: Duration,
}

impl LockoutSettings {
    /// NIST's for a biometric without detection of presentation attacks (SP 800-63B, revision 3, §5.2.3).
    pub const NIST: Self = Self {
        tries: 5,
        delay: Duration::from_secs(30),
        growth: 2,
        max_delay: Duration::from_secs(900),
        forget_after: Duration::from_secs(900),
    };
}

impl Default for LockoutSettings {
    fn default() -> Self {
        Self::NIST
    }
}

/// Nobody is ever slowed down.
pub const UNLIMITED: LockoutSettings = LockoutSettings { tries: 0, ..LockoutSettings::NIST };

/// A setting out of its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("lockout setting {what} is out of range, wanted {wanted}")]
pub struct LockoutSettingsError {
    /// Name of the setting that is out of range.
    pub what: &'static str,
    /// The allowed range, in words.
    pub wanted: &'static str,
}

impl LockoutSettings {
    /// Whether all settings are within their ranges.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), LockoutSettingsError> {
        let second = Duration::from_secs(1);
        let day = Duration::from_secs(86_400);
        let ranges = [
            ("tries", self.tries <= 100, "0 to 100"),
            ("delay", (second..=Duration::from_secs(3600)).contains(&self.delay), "1 s to 1 h"),
            ("growth", (1..=10).contains(&self.growth), "1 to 10"),
            ("max_delay", (self.delay..=day).contains(&self.max_delay), "the delay to 24 h"),
            ("forget_after", (second..=day).contains(&self.forget_after), "1 s to 24 h"),
        ];
        match ranges.into_iter().find(|(_, fine, _)| !fine) {
            Some((what, _, wanted)) => Err(LockoutSettingsError { what, wanted }),
            None => Ok(()),
        }
    }

    /// The wait after so many refusals in a row.
    #[must_use]
    pub fn wait(&self, refusals: u32) -> Option<Duration> {
        if self.tries == 0 || refusals < self.tries {
            return None;
        }
        let factor = self.growth.checked_pow(refusals - self.tries);
        let wait = factor.and_then(|factor| self.delay.checked_mul(factor));
        Some(wait.unwrap_or(self.max_delay).min(self.max_delay))
    }
}

/// What a refusal leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Nobody is let in before this.
    pub until: Uptime,
    /// For so long.
    pub lasts: Duration,
    /// Refusals in a row.
    pub refusals: u32,
}

/// Counts refusals.
#[derive(Clone, Debug)]
pub struct Lockout {
    settings: LockoutSettings,
    refusals: u32,
    last: Uptime,
    until: Option<Uptime>,
}

impl Lockout {
    /// After a start at `now`, with the refusals in a row that were counted before it. The clock may be wrong and the
    /// time without power unknown, so that a wait begins again, whole.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(settings: LockoutSettings, refusals: u32, now: Uptime) -> Result<Self, LockoutSettingsError> {
        settings.check()?;
        Ok(Self { settings, refusals, last: now, until: settings.wait(refusals).map(|wait| now + wait) })
    }

    /// Somebody was refused at `now`. During a wait nobody is looked at, so that this is then nothing.
    pub fn on_refusal(&mut self, now: Uptime) -> Option<Wait> {
        if self.settings.tries == 0 || self.locked_until(now).is_some() {
            return None;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.last = now;
        let lasts = self.settings.wait(self.refusals)?;
        self.until = Some(now + lasts);
        Some(Wait { until: now + lasts, lasts, refusals: self.refusals })
    }

    /// Somebody was recognised: the refusals before are forgotten.
    pub fn on_recognised(&mut self) {
        self.refusals = 0;
        self.until = None;
    }

    /// The end of the wait that goes on at `now`.
    pub fn locked_until(&mut self, now: Uptime) -> Option<Uptime> {
        if self.until.is_some_and(|until| now >= until) {
            // Quiet is counted from the end of the wait: during it nobody can be refused.
            self.last = self.until.take().unwrap_or(self.last);
        }
        if self.until.is_none() && now.since(self.last) >= self.settings.forget_after {
            self.refusals = 0;
        }
        self.until
    }

    /// Refusals in a row.
    #[must_use]
    pub fn refusals(&self) -> u32 {
        self.refusals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Uptime {
        Uptime::ZERO + Duration::from_secs(seconds)
    }

    fn lockout() -> Lockout {
        Lockout::new(LockoutSettings::default(), 0, at(0)).expect("settings within their ranges")
    }

    #[test]
    fn waits_grow_and_end() {
        let mut lockout = lockout();
        let mut now = 0;
        for _ in 0..4 {
            assert_eq!(lockout.on_refusal(at(now)), None);
            now += 1;
        }
        for lasts in [30, 60, 120, 240, 480, 900, 900] {
            let wait = lockout.on_refusal(at(now)).expect("a wait");
            assert_eq!(wait.lasts, Duration::from_secs(lasts));
            // A refusal during the wait counts for nothing.
            assert_eq!(lockout.on_refusal(at(now + lasts - 1)), None);
            assert_eq!(lockout.locked_until(at(now + lasts - 1)), Some(at(now + lasts)));
            assert_eq!(lockout.locked_until(at(now + lasts)), None);
            now += lasts;
        }
        assert_eq!(lockout.refusals(), 11);
        lockout.on_recognised();
        assert_eq!(lockout.on_refusal(at(now)), None);
    }

    #[test]
    fn refusals_are_forgotten_after_quiet() {
        let mut lockout = lockout();
        for now in 0..4 {
            assert_eq!(lockout.on_refusal(at(now)), None);
        }
        assert_eq!(lockout.locked_until(at(3 + 900)), None);
        assert_eq!((lockout.refusals(), lockout.on_refusal(at(904))), (0, None));
    }

    #[test]
    fn a_restart_shortens_nothing() {
        let settings = LockoutSettings::default();
        let mut again = Lockout::new(settings, 6, at(0)).expect("settings");
        assert_eq!(again.locked_until(at(59)), Some(at(60)));
        let mut few = Lockout::new(settings, 4, at(0)).expect("settings");
        assert_eq!(few.locked_until(at(0)), None);
        assert!(few.on_refusal(at(1)).is_some());
    }

    #[test]
    fn settings_have_ranges() {
        let fine = LockoutSettings::default();
        let check = |settings: LockoutSettings, what: &str| {
            assert_eq!(settings.check().expect_err(what).what, what);
        };
        check(LockoutSettings { tries: 101, ..fine }, "tries");
        check(LockoutSettings { delay: Duration::ZERO, ..fine }, "delay");
        check(LockoutSettings { growth: 0, ..fine }, "growth");
        check(LockoutSettings { max_delay: Duration::from_secs(29), ..fine }, "max_delay");
        check(LockoutSettings { forget_after: Duration::ZERO, ..fine }, "forget_after");
        assert_eq!(LockoutSettings { tries: 0, ..fine }.wait(1000), None);
    }

    proptest! {
        /// Whatever comes when, and however often the power goes: between two refusals that count beyond the free ones
        /// there is at least the first wait.
        #[test]
        fn no_try_without_its_wait(steps in prop::collection::vec((0_u64..100, 0_u8..10), 1..200)) {
            let settings = LockoutSettings::default();
            let mut lockout = Lockout::new(settings, 0, at(0)).expect("settings");
            let mut now = at(0);
            let mut free = at(0);
            for (seconds, what) in steps {
                now = now + Duration::from_secs(seconds);
                match what {
                    0 => lockout.on_recognised(),
                    1 => {
                        lockout = Lockout::new(settings, lockout.refusals(), now).expect("settings");
                        if let Some(wait) = settings.wait(lockout.refusals()) {
                            free = now + wait;
                        }
                    }
                    _ => {
                        let before = lockout.refusals();
                        let wait = lockout.on_refusal(now);
                        if lockout.refusals() > before && before >= settings.tries {
                            prop_assert!(now >= free, "a refusal counted within a wait");
                        }
                        if let Some(wait) = wait {
                            prop_assert!(wait.lasts >= settings.delay && wait.lasts <= settings.max_delay);
                            free = wait.until;
                        }
                    }
                }
                prop_assert!(lockout.locked_until(now).is_none_or(|until| until > now));
            }
        }
    }
}
