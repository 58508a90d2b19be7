//! `[network]` → the link to workstations, or the door without one.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::analyzer::inference;
use super::options::RunOptions;
use crate::audit_log::AuditLog;
use crate::config::Config;
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

/// The network that the settings ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkPlan {
    /// Address and port.
    pub listen: String,
    /// The device's name, for people.
    pub name: String,
    /// Whether multicast DNS announces it.
    pub announce: bool,
    /// How long a table counts without a push; `None`: for ever.
    pub table_lasts: Option<Duration>,
}

/// What `[network]` asks for; `None`: no network at all.
#[must_use]
pub fn plan(config: &Config) -> Option<NetworkPlan> {
    let network = &config.network;
    (!network.listen.is_empty()).then(|| NetworkPlan {
        listen: network.listen.clone(),
        name: if network.name.is_empty() { host_name() } else { network.name.clone() },
        announce: network.announce,
        table_lasts: config.table_lasts(),
    })
}

/// The network of a plan. Where it cannot be had, that is logged, and the door goes on without it.
pub(super) fn open(
    plan: NetworkPlan,
    options: &RunOptions,
    running: Running,
    exchange: &Exchange,
    log: Log,
    clocks: &Clocks,
    stop: &Stop,
) -> Option<Link> {
    let NetworkPlan { listen, name, announce, table_lasts } = plan;
    let Log { publisher, audit_log, faults } = log;
    let parts = Parts {
        state: options.state.clone(),
        name,
        inference: inference(options),
        running,
        exchange: exchange.clone(),
        publisher,
        audit_log,
        faults,
        clocks: clocks.clone(),
        table_lasts,
    };
    let started = Device::open(parts).and_then(|device| Link::start(Arc::new(device), &listen, announce, stop));
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
