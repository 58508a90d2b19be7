//! `[network]` → the link to workstations, or the door without one.

use std::fs;
use std::sync::Arc;

use super::analyzer::inference;
use super::options::RunOptions;
use crate::audit_log::AuditLog;
use crate::events::fault_board::FaultBoard;
use crate::events::stream::Publisher;
use crate::io::clock::{Clocks, Stop};
use crate::link::{Device, Link, Parts, Running};
use crate::pipeline::exchange::Exchange;

/// What happened until now and happens from now on, as the link reads and writes it.
pub(super) struct Log {
    pub(super) publisher: Publisher,
    pub(super) audit_log: AuditLog,
    pub(super) faults: FaultBoard,
}

/// The network, if the settings want one. What is wrong with it is said, and the door goes on without.
pub(super) fn open(
    options: &RunOptions,
    running: Running,
    exchange: &Exchange,
    log: Log,
    clocks: &Clocks,
    stop: &Stop,
) -> Option<Link> {
    let network = &options.config.network;
    if network.listen.is_empty() {
        return None;
    }
    let Log { publisher, audit_log, faults } = log;
    let parts = Parts {
        state: options.state.clone(),
        name: if network.name.is_empty() { host_name() } else { network.name.clone() },
        inference: inference(options),
        running,
        exchange: exchange.clone(),
        publisher,
        audit_log,
        faults,
        clocks: clocks.clone(),
        table_lasts: options.config.table_lasts(),
    };
    let started =
        Device::open(parts).and_then(|device| Link::start(Arc::new(device), &network.listen, network.announce, stop));
    match started {
        Ok(link) => {
            tracing::info!("listening at {}", link.address());
            Some(link)
        }
        Err(e) => {
            tracing::error!("no network: {e}; the door goes on without it");
            None
        }
    }
}

/// What the machine calls itself.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "lintel".to_owned() } else { name.to_owned() }
}
