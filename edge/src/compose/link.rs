//! `[network]` → the link to workstations, or the door without one.

use std::fs;
use std::sync::Arc;

use lintel_core::table::Table;
use lintel_formats::bundle::Manifest;
use lintel_wire::event::Text;

use super::analyzer::inference;
use super::options::RunOptions;
use crate::audit_log::AuditLog;
use crate::audit_log::chronicle::{Chronicle, Silent};
use crate::events::faults::FaultBoard;
use crate::io::clock::{Clock, Stop, WallClock};
use crate::link::{Device, Link, Parts, Running};
use crate::pipeline::exchange::Exchange;

/// The network, if the settings want one. What is wrong with it is said, and the door goes on without.
pub(super) fn open(
    options: &RunOptions,
    (manifest, table): (Manifest, Table),
    provider: Text,
    (exchange, faults): (&Exchange, FaultBoard),
    (journal, clock, wall): (Option<AuditLog>, &Clock, &WallClock),
    stop: &Stop,
) -> Option<Link> {
    let network = &options.config.network;
    if network.listen.is_empty() {
        return None;
    }
    let parts = Parts {
        state: options.state.clone(),
        name: if network.name.is_empty() { host_name() } else { network.name.clone() },
        inference: inference(options),
        running: Running { manifest, table, provider: provider.as_str().to_owned() },
        exchange: exchange.clone(),
        chronicle: journal.map_or_else(|| Arc::new(Silent) as Arc<dyn Chronicle>, |journal| Arc::new(journal)),
        faults,
        clock: clock.clone(),
        wall: wall.clone(),
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
