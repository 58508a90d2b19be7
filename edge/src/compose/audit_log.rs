//! `[journal]` and `[lockout]` → the audit log, and the refusals that it remembers.

use lintel_core::lockout::Lockout;
use lintel_core::time::Uptime;

use super::error::RunError;
use super::options::RunOptions;
use crate::audit_log::AuditLog;
use crate::io::clock::Clocks;

/// The audit log of a run in real time; where the disk refuses it now, entries wait.
pub(super) fn open(options: &RunOptions, clocks: &Clocks) -> AuditLog {
    AuditLog::patient(&options.state, options.config.journal.keep, clocks)
}

/// Refusals that were counted before the power went still count.
pub(super) fn lockout(options: &RunOptions, audit_log: &AuditLog, now: Uptime) -> Result<Lockout, RunError> {
    let settings = options.config.lockout_settings();
    let before = audit_log.refusals(settings.forget_after).unwrap_or_else(|e| {
        tracing::error!("{e}");
        0
    });
    Lockout::new(settings, before, now).map_err(|e| RunError::Keeper(e.into()))
}
