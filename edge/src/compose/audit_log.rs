//! `[audit_log]` → the audit log, and the refusals that it remembers.

use super::options::RunOptions;
use crate::audit_log::AuditLog;
use crate::config::Config;
use crate::io::clock::Clocks;

/// The audit log of a run in real time; where the disk refuses it now, entries wait.
pub(super) fn open(options: &RunOptions, clocks: &Clocks) -> AuditLog {
    AuditLog::patient(&options.state, entries_kept(&options.config), clocks)
}

/// How many entries the log keeps; the oldest go first.
#[must_use]
pub fn entries_kept(config: &Config) -> u64 {
    config.audit_log.keep
}

/// Refusals in a row that were counted before the power went; they still count.
pub(super) fn refusals(options: &RunOptions, audit_log: &AuditLog) -> u32 {
    let within = options.config.lockout_settings().forget_after;
    audit_log.refusals(within).unwrap_or_else(|e| {
        tracing::error!("{e}");
        0
    })
}
