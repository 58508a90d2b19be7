//! `[journal]` and `[lockout]` → the audit log, and the refusals that it remembers.

use lintel_core::lockout::Lockout;
use lintel_core::time::Uptime;

use super::error::RunError;
use super::options::RunOptions;
use crate::audit_log::AuditLog;
use crate::io::clock::{Clock, WallClock};

/// The audit log; a disk that refuses it now is said, and waited for. A run in virtual time is no history.
pub(super) fn open(options: &RunOptions, clock: &Clock, wall: &WallClock) -> Option<AuditLog> {
    (!options.fast).then(|| AuditLog::patient(&options.state, options.config.journal.keep, clock, wall))
}

/// Refusals that were counted before the power went still count.
pub(super) fn lockout(options: &RunOptions, journal: Option<&AuditLog>, now: Uptime) -> Result<Lockout, RunError> {
    let settings = options.config.lockout_settings();
    let before = journal.map_or(Ok(0), |journal| journal.refusals(settings.forget_after)).unwrap_or_else(|e| {
        tracing::error!("{e}");
        0
    });
    Lockout::new(settings, before, now).map_err(|e| RunError::Keeper(e.into()))
}
