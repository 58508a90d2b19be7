//! Pairing mode: a code on the display, for a while, for few tries.

use std::time::Duration;

use lintel_core::time::Uptime;
use lintel_link::pairing::{Agreed, Code, Half, Pair, PairingError, TRIES};
use lintel_wire::link::Refusal;

use super::trust::Refused;

/// How long pairing mode lasts.
pub const LASTS: Duration = Duration::from_secs(600);

/// Whether this device may be paired now.
#[derive(Debug, Default)]
pub struct PairingMode(Option<Open>);

#[derive(Debug)]
struct Open {
    code: Code,
    until: Uptime,
    tries: u32,
}

impl PairingMode {
    /// Begins, with a new code.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn begin(&mut self, now: Uptime) -> Result<Code, PairingError> {
        let code = Code::generate()?;
        self.0 = Some(Open { code: code.clone(), until: now + LASTS, tries: 0 });
        Ok(code)
    }

    /// Leaves pairing mode: the code is no longer valid.
    pub fn end(&mut self) {
        self.0 = None;
    }

    /// The code, while it counts.
    #[must_use]
    pub fn code(&mut self, now: Uptime) -> Option<Code> {
        if self.0.as_ref().is_some_and(|open| now >= open.until) {
            self.0 = None;
        }
        self.0.as_ref().map(|open| open.code.clone())
    }

    /// Answers a workstation's message. This is a try, whatever follows.
    ///
    /// # Errors
    /// [`Refused`]: not in this mode, or too many tries.
    pub fn answer(&mut self, pair: Pair, message: &[u8], now: Uptime) -> Result<(Agreed, Vec<u8>), Refused> {
        let code = self.code(now).ok_or_else(|| {
            Refused::new(Refusal::NotPairing, "the device is not in pairing mode: run `lintel-edge pair` on it")
        })?;
        let (half, answer) = Half::device(&code, pair);
        if let Some(open) = &mut self.0 {
            open.tries += 1;
            if open.tries >= TRIES {
                // The last try may still succeed, but there is no next one.
                self.0 = None;
            }
        }
        let agreed = half.finish(message).map_err(|e| Refused::new(Refusal::WrongCode, e.to_string()))?;
        Ok((agreed, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_link::Fingerprint;

    const PAIR: Pair = Pair { workstation: Fingerprint([1; 32]), device: Fingerprint([2; 32]) };

    fn at(seconds: u64) -> Uptime {
        Uptime::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_code_runs_out() {
        let mut mode = PairingMode::default();
        assert!(mode.code(at(0)).is_none());
        let code = mode.begin(at(100)).unwrap();
        assert_eq!(mode.code(at(699)), Some(code));
        assert_eq!(mode.code(at(700)), None);
        assert_eq!(mode.answer(PAIR, &[], at(700)).err().unwrap().why, Refusal::NotPairing);
    }

    #[test]
    fn three_tries_and_no_more() {
        let mut mode = PairingMode::default();
        let code = mode.begin(at(0)).unwrap();
        let wrong: Code = if code.shown() == "000 000" { "111111" } else { "000000" }.parse().unwrap();
        for last in [false, false, true] {
            let used = if last { &code } else { &wrong };
            let (half, message) = Half::workstation(used, PAIR);
            let (agreed, answer) = mode.answer(PAIR, &message, at(1)).unwrap();
            let word = half.finish(&answer).unwrap().workstation_says();
            assert_eq!(agreed.check_workstation(&word).is_ok(), last);
        }
        let (_, message) = Half::workstation(&code, PAIR);
        assert_eq!(mode.answer(PAIR, &message, at(1)).err().unwrap().why, Refusal::NotPairing);
    }
}
