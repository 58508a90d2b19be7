//! What a device does for its bundle by itself: it finishes removals, and lets a table expire that nobody vouches for.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_core::time::Uptime;

use super::{Device, LinkError, lock};
use crate::io::clock::Stop;
use crate::io::disk::RealDisk;
use crate::slots::{SlotError, Slots};

/// How often it is looked at.
const TICK: Duration = Duration::from_millis(500);
/// A removal that the disk refused is tried again after so long.
const RETRY: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// When the bundle was pushed, the device paired, or the daemon started.
    vouched: Uptime,
    /// Somebody who was removed may still be in the older bundle; when to try again.
    unfinished: Option<Uptime>,
}

impl Upkeep {
    pub(super) fn since(now: Uptime) -> Self {
        Self { vouched: now, unfinished: None }
    }
}

/// Begins, until the stop is asked for.
pub(super) fn serve(device: Arc<Device>, stop: &Stop) -> Result<(), LinkError> {
    let stop = stop.clone();
    let work = move || {
        while !stop.asked() {
            device.exchange.set_expired(device.is_expired());
            device.finish_removal();
            thread::sleep(TICK);
        }
    };
    let failed = |source| LinkError::System { what: "a thread".to_owned(), source };
    thread::Builder::new().name("link-upkeep".to_owned()).spawn(work).map_err(failed)?;
    Ok(())
}

impl Device {
    /// Somebody who may has just said that the table is as it should be.
    pub(super) fn vouched(&self) {
        lock(&self.upkeep).vouched = self.clock.now();
        self.exchange.set_expired(false);
    }

    /// Whether the table counts no longer.
    pub(super) fn is_expired(&self) -> bool {
        let Some(lasts) = self.table_lasts else { return false };
        // A device that belongs to nobody yet runs what its installer gave it.
        let Some(seen) = lock(&self.known).trust.as_ref().map(|trust| trust.seen_at) else { return false };
        // Before the first push no time is known to have passed.
        let by_clock = if seen == 0 { 0 } else { self.wall.now().saturating_sub(seen) };
        let by_clock = Duration::from_secs(by_clock);
        let since_start = self.clock.now().since(lock(&self.upkeep).vouched);
        by_clock.max(since_start) > lasts
    }

    /// Takes everybody who is in the table no longer out of the slot to go back to; gives who that was.
    pub(super) fn scrub(&self) -> Result<Vec<PersonId>, SlotError> {
        let now: BTreeSet<PersonId> = lock(&self.running).table.people().iter().map(|person| person.id).collect();
        let done = Slots::new(&self.state, RealDisk).scrub(|id| now.contains(&id));
        lock(&self.upkeep).unfinished = done.as_ref().err().map(|_| self.clock.now() + RETRY);
        done
    }

    /// Tries again what the disk refused.
    fn finish_removal(&self) {
        if lock(&self.upkeep).unfinished.is_none_or(|at| self.clock.now() < at) {
            return;
        }
        let _alone = match self.pushing.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(left)) => PoisonError::into_inner(left),
            // A push ends with the same.
            Err(TryLockError::WouldBlock) => return,
        };
        match self.scrub() {
            Ok(gone) => tracing::info!("link: {} removed people are out of the older bundle at last", gone.len()),
            Err(e) => tracing::error!("link: {e}; removed people may still be in the older bundle"),
        }
    }

    /// The faults of the moment, in words.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = self.faults.words();
        if lock(&self.upkeep).unfinished.is_some() {
            words.push("people who were removed may still be in the older bundle: its disk refuses".to_owned());
        }
        words
    }
}
