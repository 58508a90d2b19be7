//! A wanted position → a simulated relay with a coil, a contact that takes time and bounces, and a life that ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lintel_core::door::Strike;
use lintel_core::time::Uptime;

use super::{Relay, RelayError};

/// Edges that the log holds; a relay that switches more often goes on, and the log says so.
pub const MAX_EDGES: usize = 100_000;

/// The physics of a simulated relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimSettings {
    /// From the coil's edge to the first touch of the contact.
    pub switch_time: Duration,
    /// How long the contact bounces after the first touch.
    pub bounce_time: Duration,
    /// Touches and partings while it bounces.
    pub bounces: u32,
    /// After so many coil edges the contact has welded: it stays where it is, whatever the coil does.
    pub welds_after: Option<u32>,
    /// Where the contact is when power comes.
    pub at_start: Strike,
}

impl Default for SimSettings {
    /// A small signal relay that never fails: 8 ms to switch, 3 ms of bounce, locked at power-on.
    fn default() -> Self {
        Self {
            switch_time: Duration::from_millis(8),
            bounce_time: Duration::from_millis(3),
            bounces: 4,
            welds_after: None,
            at_start: Strike::Locked,
        }
    }
}

/// One switch of the coil.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// When the coil switched.
    pub at: Uptime,
    /// To which position.
    pub to: Strike,
    /// Whether the contact follows; a welded one does not.
    pub contact_follows: bool,
}

/// The edges of a relay that somebody else holds. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct EdgeLog(Arc<Mutex<Edges>>);

#[derive(Debug, Default)]
struct Edges {
    kept: Vec<Edge>,
    lost: u64,
}

impl EdgeLog {
    /// The edges so far, oldest first.
    #[must_use]
    pub fn edges(&self) -> Vec<Edge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }

    /// Edges beyond [`MAX_EDGES`].
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lost
    }

    fn add(&self, edge: Edge) {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if edges.kept.len() < MAX_EDGES {
            edges.kept.push(edge);
        } else {
            edges.lost += 1;
        }
    }
}

/// A relay that exists in memory only.
#[derive(Debug)]
pub struct SimRelay {
    settings: SimSettings,
    coil: Strike,
    switched: Option<Uptime>,
    /// Where the contact was before the coil's last edge.
    before: Strike,
    /// Where the contact comes to rest.
    rest: Strike,
    switches: u32,
    log: EdgeLog,
}

impl SimRelay {
    /// Power on. Nothing moves.
    #[must_use]
    pub fn new(settings: SimSettings) -> Self {
        let at = settings.at_start;
        Self { settings, coil: at, switched: None, before: at, rest: at, switches: 0, log: EdgeLog::default() }
    }

    /// The log of the coil's edges; it outlives the relay.
    #[must_use]
    pub fn log(&self) -> EdgeLog {
        self.log.clone()
    }

    fn welded(&self) -> bool {
        self.settings.welds_after.is_some_and(|n| self.switches >= n)
    }

    /// Where the contact is at `now`, in the middle of its bounce if need be.
    fn contact(&self, now: Uptime) -> Strike {
        let Some(switched) = self.switched else { return self.rest };
        let elapsed = now.since(switched);
        if elapsed < self.settings.switch_time {
            return self.before;
        }
        let bouncing = elapsed - self.settings.switch_time;
        if bouncing >= self.settings.bounce_time || self.settings.bounces == 0 {
            return self.rest;
        }
        // Touch, part, touch …: even phases touch.
        let phase = bouncing.as_nanos() * u128::from(self.settings.bounces) / self.settings.bounce_time.as_nanos();
        if phase.is_multiple_of(2) { self.rest } else { self.before }
    }
}

impl Relay for SimRelay {
    fn describe(&self) -> String {
        let SimSettings { switch_time, bounce_time, welds_after, .. } = self.settings;
        let life = match welds_after {
            Some(n) => format!("welds after {n} switches"),
            None => "never welds".to_owned(),
        };
        format!("simulated relay: switches in {switch_time:?}, bounces for {bounce_time:?}, {life}")
    }

    fn set(&mut self, strike: Strike, now: Uptime) -> Result<(), RelayError> {
        if strike == self.coil {
            return Ok(());
        }
        let was = self.contact(now);
        self.coil = strike;
        let follows = !self.welded();
        self.switches = self.switches.saturating_add(1);
        self.log.add(Edge { at: now, to: strike, contact_follows: follows });
        self.before = was;
        self.rest = if follows { strike } else { self.rest };
        self.switched = Some(now);
        if !follows {
            self.before = self.rest;
        }
        Ok(())
    }

    fn read(&mut self, now: Uptime) -> Result<Option<Strike>, RelayError> {
        Ok(Some(self.contact(now)))
    }

    fn settle(&self) -> Duration {
        self.settings.switch_time + self.settings.bounce_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Strike::{Locked, Released};

    fn at(millis: u64) -> Uptime {
        Uptime::from_millis(millis)
    }

    #[test]
    fn the_contact_takes_time_and_bounces() {
        let check = |read_at: u64, expected: Strike| {
            let mut relay = SimRelay::new(SimSettings {
                switch_time: Duration::from_millis(8),
                bounce_time: Duration::from_millis(4),
                bounces: 4,
                ..SimSettings::default()
            });
            relay.set(Released, at(100)).unwrap();
            assert_eq!(relay.read(at(read_at)).unwrap(), Some(expected), "at {read_at} ms");
        };
        check(100, Locked);
        check(107, Locked);
        check(108, Released);
        check(109, Locked);
        check(110, Released);
        check(111, Locked);
        check(112, Released);
        check(5000, Released);
    }

    #[test]
    fn edges_are_logged_and_repeats_are_none() {
        let mut relay = SimRelay::new(SimSettings::default());
        let log = relay.log();
        for (strike, now) in [(Locked, 1), (Released, 2), (Released, 3), (Locked, 4), (Locked, 5)] {
            relay.set(strike, at(now)).unwrap();
        }
        drop(relay);
        let expected = [(2, Released), (4, Locked)].map(|(ms, to)| Edge { at: at(ms), to, contact_follows: true });
        assert_eq!(log.edges(), expected);
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn a_welded_contact_stays() {
        let check = |welds_after: u32, expected: [Strike; 3]| {
            let mut relay = SimRelay::new(SimSettings { welds_after: Some(welds_after), ..SimSettings::default() });
            let mut got = Vec::new();
            for (strike, now) in [(Released, 0), (Locked, 1000), (Released, 2000)] {
                relay.set(strike, at(now)).unwrap();
                got.push(relay.read(at(now + 500)).unwrap().unwrap());
            }
            assert_eq!(got, expected, "welds after {welds_after}");
        };
        check(0, [Locked, Locked, Locked]);
        check(1, [Released, Released, Released]);
        check(2, [Released, Locked, Locked]);
        check(3, [Released, Locked, Released]);
    }
}
