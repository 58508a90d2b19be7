//! A workstation's requests → pairing, pushes, answers; the door goes on meanwhile.
//!
//! ```text
//! server (accept, limits) ─▶ session (one caller) ─▶ pairing, trust ─▶ install (slots, proof) ─▶ pipeline's exchange
//!                                                       known (one file)
//! ```
//!
//! Everything here runs on threads of its own. The pipeline is touched in one place only: the exchange, between frames.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lintel_core::table::Table;
use lintel_core::time::Uptime;
use lintel_formats::bundle::Manifest;
use lintel_inference::Options;
use lintel_link::{ChannelError, Fingerprint, Identity, IdentityError};
use lintel_wire::link::Refusal;

use crate::audit_log::AuditLog;
use crate::events::fault_board::FaultBoard;
use crate::events::stream::Publisher;
use crate::events::{LinkEvent, Occurrence};
use crate::io::clock::{Clock, Clocks, Stop, WallClock};
use crate::pipeline::exchange::Exchange;

pub mod announce;
pub mod control;
pub mod install;
pub mod known;
pub mod pairing;
pub mod server;
mod session;
pub mod trust;
mod upkeep;

use known::{Known, KnownError, Standing};
use pairing::PairingMode;
use upkeep::Upkeep;

/// What runs at the door now.
#[derive(Clone, Debug)]
pub struct Running {
    /// The bundle's manifest.
    pub manifest: Manifest,
    /// The identity table that decides.
    pub table: Table,
    /// What runs the models.
    pub provider: String,
}

/// What the link is made of.
pub struct Parts {
    /// The state folder.
    pub state: PathBuf,
    /// The device's name, for people.
    pub name: String,
    /// How models are opened.
    pub inference: Options,
    /// What runs at the start.
    pub running: Running,
    /// Where other bundles are handed to the pipeline.
    pub exchange: Exchange,
    /// Where what happens on the network is published.
    pub publisher: Publisher,
    /// What workstations read.
    pub audit_log: AuditLog,
    /// The faults of the moment.
    pub faults: FaultBoard,
    /// The machine's clocks.
    pub clocks: Clocks,
    /// How long a table counts without a push; `None`: for ever.
    pub table_lasts: Option<Duration>,
}

/// Why there is no link. The door goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// What must be remembered cannot be read or written.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// The device's key cannot be made or read.
    #[error("{}: {source}", path.display())]
    Identity {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        source: IdentityError,
    },
    /// A file or a socket.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(#[source] ChannelError),
}

/// The device as its link sees it, shared by all its threads.
pub struct Device {
    state: PathBuf,
    name: String,
    inference: Options,
    identity: Identity,
    known: Mutex<Known>,
    pairing: Mutex<PairingMode>,
    running: Mutex<Running>,
    pushing: Mutex<()>,
    allowance: Mutex<Allowance>,
    exchange: Exchange,
    publisher: Publisher,
    audit_log: AuditLog,
    faults: FaultBoard,
    clock: Clock,
    wall: WallClock,
    table_lasts: Option<Duration>,
    upkeep: Mutex<Upkeep>,
}

impl Device {
    /// Reads what is remembered in the state folder, and makes a key where there is none.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn open(parts: Parts) -> Result<Self, LinkError> {
        let Parts { state, name, inference, running, exchange, publisher, audit_log, faults, clocks, table_lasts } =
            parts;
        let Clocks { monotonic: clock, wall } = clocks;
        let identity = control::identity(&state)?;
        let known = Known::load(&state, &crate::io::disk::RealDisk)?;
        let device = Self {
            state,
            name,
            inference,
            identity,
            known: Mutex::new(known),
            pairing: Mutex::default(),
            running: Mutex::new(running),
            pushing: Mutex::new(()),
            allowance: Mutex::default(),
            exchange,
            publisher,
            audit_log,
            faults,
            upkeep: Mutex::new(Upkeep::since(clock.now())),
            clock,
            wall,
            table_lasts,
        };
        if let Err(e) = device.scrub() {
            tracing::error!("link: {e}; removed people may still be in the older bundle");
        }
        Ok(device)
    }

    /// By what a workstation knows this device.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// A lower bound of the time, in seconds since 1970.
    fn now(&self) -> u64 {
        let clock = self.wall.now();
        lock(&self.known).at_least(clock)
    }

    /// Whether `patience` has passed since this was called.
    fn overdue_after(&self, patience: Duration) -> impl Fn() -> bool + use<> {
        let clock = self.clock.clone();
        let until = clock.now() + patience;
        move || clock.now() > until
    }

    /// Whether a caller may ask for more than to be paired.
    fn knows(&self, caller: Fingerprint) -> bool {
        let now = self.now();
        lock(&self.known).standing(caller, now) == Standing::Known
    }

    fn is_pairing(&self) -> bool {
        lock(&self.pairing).code(self.clock.now()).is_some()
    }

    /// Notes that a caller whom nobody here knows was refused. There may be any number of them, and the journal is
    /// bounded: without a limit they could push everything else out of it.
    fn note_stranger(&self, caller: Option<Fingerprint>, why: Refusal) {
        if lock(&self.allowance).take(self.clock.now()) {
            self.note(LinkEvent::Refused { caller, why });
        } else {
            tracing::debug!("link: refused ({why}), and not noted: too many");
        }
    }

    /// Publishes what happened; the audit log has it when this returns, or its disk refuses and the door says so.
    fn note(&self, event: LinkEvent) {
        tracing::info!("link: {event:?}");
        let occurrence = Occurrence::Link { at: self.clock.now(), event };
        if let Err(e) = self.publisher.publish_durably(&occurrence) {
            tracing::error!("link: {e}");
        }
    }
}

/// How many entries of the journal strangers may still make.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: Uptime,
}

impl Allowance {
    /// At once.
    const MOST: u32 = 32;
    /// After so long there is one more.
    const ANOTHER: Duration = Duration::from_secs(10);

    fn take(&mut self, now: Uptime) -> bool {
        while self.left < Self::MOST && now.since(self.since) >= Self::ANOTHER {
            self.left += 1;
            self.since = self.since + Self::ANOTHER;
        }
        if self.left == Self::MOST {
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left -= u32::from(allowed);
        allowed
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: Self::MOST, since: Uptime::ZERO }
    }
}

/// A lock that a panic elsewhere doesn't take away.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The link's threads; they end when the `stop` is asked for.
pub struct Link {
    server: server::Server,
    _announcement: Option<announce::Announcement>,
}

impl Link {
    /// Listens at `listen`, and at the state folder's control socket.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn start(device: Arc<Device>, listen: &str, announce: bool, stop: &Stop) -> Result<Self, LinkError> {
        let server = server::Server::start(Arc::clone(&device), listen, stop)?;
        if let Err(e) = control::serve(Arc::clone(&device), stop) {
            // As on a disk that can't be written: paired workstations are served all the same.
            tracing::error!("{e}; `lintel-edge pair` doesn't reach this daemon");
        }
        upkeep::serve(Arc::clone(&device), stop)?;
        let announcement = if announce { announce::announce(&device, server.address()) } else { None };
        Ok(Self { server, _announcement: announcement })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_no_journal() {
        let at = |seconds| Uptime::ZERO + Duration::from_secs(seconds);
        let mut allowance = Allowance::default();
        let taken = (0..1000).filter(|_| allowance.take(at(1000))).count();
        assert_eq!(taken, Allowance::MOST as usize);
        assert!(!allowance.take(at(1009)));
        assert!(allowance.take(at(1010)) && !allowance.take(at(1010)));
        let taken = (0..1000).filter(|_| allowance.take(at(100_000))).count();
        assert_eq!(taken, Allowance::MOST as usize);
    }
}
