//! `lintel-edge pair` and its like ⇄ the running daemon, over a socket that only the daemon's user can open.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lintel_link::Identity;
use lintel_link::identity::MAX_FILE_BYTES;
use lintel_wire::audit::row::Row;
use serde::{Deserialize, Serialize};

use super::known::Known;
use super::{Device, LinkError, lock, pairing};
use crate::audit_log::{self, Page, RowsError, StoreError};
use crate::events::LinkEvent;
use crate::io::clock::Stop;
use crate::io::disk::{Disk as _, RealDisk, replace};

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 4096;
/// Longest line that a daemon answers with, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// Entries of the journal in one answer.
const LOG_PAGE: usize = 500;
/// How long either end waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked of the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Go into pairing mode.
    Pair,
    /// Forget all workstations and whom to trust.
    Unpair,
    /// A page of the journal.
    Log {
        /// Only entries after this sequence number.
        after: u64,
    },
}

/// What the daemon says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Pairing mode.
    Pairing {
        /// The code, as the display shows it.
        code: String,
        /// How long it counts.
        seconds: u64,
        /// The fingerprint of the device's certificate.
        fingerprint: String,
    },
    /// All is forgotten.
    Unpaired {
        /// Workstations that were known.
        workstations: usize,
    },
    /// Some of the journal: entries in hex, oldest first.
    Log {
        /// One entry in hex each.
        entries: Vec<String>,
        /// Sequence number of the first.
        first: u64,
    },
    /// It did not work.
    Failed {
        /// The error's text.
        why: String,
    },
}

fn socket(state: &Path) -> PathBuf {
    state.join("link").join("control")
}

/// The device's key; a new one where there is none.
pub(super) fn identity(state: &Path) -> Result<Identity, LinkError> {
    let path = state.join("link").join("identity.lintel");
    let system = |source| LinkError::System { what: path.display().to_string(), source };
    match fs::metadata(&path) {
        Ok(meta) if meta.len() <= MAX_FILE_BYTES as u64 => {
            let bytes = fs::read(&path).map_err(system)?;
            Identity::from_bytes(&bytes).map_err(|source| LinkError::Identity { path: path.clone(), source })
        }
        Ok(_) => Err(system(std::io::Error::from(ErrorKind::FileTooLarge))),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let made = Identity::generate().map_err(|source| LinkError::Identity { path: path.clone(), source })?;
            let folder = state.join("link");
            RealDisk.create_dir_all(&folder).map_err(system)?;
            // Before the key is in it, so that nobody else ever could read it.
            fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(system)?;
            replace(&RealDisk, &path, &made.to_bytes()).map_err(system)?;
            RealDisk.sync_dir(state).map_err(system)?;
            Ok(made)
        }
        Err(e) => Err(system(e)),
    }
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there to be asked.
    #[error("no daemon with a network runs on {}: start `lintel-edge run`, with network.listen set", .0.display())]
    NoDaemon(PathBuf),
    /// The socket cannot be opened, e.g. by this user.
    #[error("{}: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The daemon does not answer.
    #[error("the daemon does not answer: {0}")]
    Silent(#[source] io::Error),
    /// The daemon answers what this program does not understand.
    #[error("the daemon's answer cannot be read: {0}")]
    Unreadable(Box<dyn std::error::Error + Send + Sync>),
    /// The daemon answers what was not asked.
    #[error("the daemon answered something else")]
    Other,
}

/// Why the audit log cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is none, or it cannot be read.
    #[error(transparent)]
    File(#[from] RowsError),
    /// The daemon that has it open does not give it.
    #[error(transparent)]
    Daemon(#[from] AskError),
}

/// The whole audit log of a state folder, oldest first: from its file, or from the daemon that has it open.
///
/// # Errors
/// [`LogError`].
pub fn audit_log(state: &Path) -> Result<Vec<Row>, LogError> {
    match audit_log::rows(state) {
        Err(RowsError::Store(StoreError::InUse)) => Ok(rows_of_daemon(state)?),
        read => Ok(read?),
    }
}

fn rows_of_daemon(state: &Path) -> Result<Vec<Row>, AskError> {
    let mut rows = Vec::new();
    let mut after = 0;
    loop {
        let Reply::Log { entries, first } = ask(state, Order::Log { after })? else { return Err(AskError::Other) };
        if entries.is_empty() {
            return Ok(rows);
        }
        let entries = entries.iter().map(hex::decode).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|e| AskError::Unreadable(e.into()))?;
        after = first + entries.len() as u64 - 1;
        let page = Page { entries, first, ..Page::default() };
        rows.extend(page.rows().map_err(|e| AskError::Unreadable(e.into()))?);
    }
}

/// Asks the daemon that runs on this state folder.
///
/// # Errors
/// [`AskError`].
pub fn ask(state: &Path, order: Order) -> Result<Reply, AskError> {
    let path = socket(state);
    let mut stream = UnixStream::connect(&path).map_err(|e| match e.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => AskError::NoDaemon(state.to_owned()),
        _ => AskError::Socket { path: path.clone(), source: e },
    })?;
    let talk = |stream: &mut UnixStream| -> io::Result<String> {
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{}", serde_json::to_string(&order)?)?;
        let mut line = String::new();
        BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut line)?;
        Ok(line)
    };
    let line = talk(&mut stream).map_err(AskError::Silent)?;
    serde_json::from_str(&line).map_err(|e| AskError::Unreadable(e.into()))
}

/// Serves orders until the stop is asked for.
pub(super) fn serve(device: Arc<Device>, stop: &Stop) -> Result<(), LinkError> {
    let path = socket(&device.state);
    let failed = |source| LinkError::System { what: path.display().to_string(), source };
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let stop = stop.clone();
    let listen = move || {
        while !stop.asked() {
            match listener.accept() {
                Ok((stream, _)) => {
                    if let Err(e) = answer(stream, &device) {
                        tracing::debug!("link: control: {e}");
                    }
                }
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    };
    thread::Builder::new().name("link-control".to_owned()).spawn(listen).map_err(failed)?;
    Ok(())
}

fn answer(mut stream: UnixStream, device: &Device) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(MAX_LINE)).read_line(&mut line)?;
    let reply = match serde_json::from_str(&line) {
        Ok(order) => device.obey(order),
        Err(e) => Reply::Failed { why: format!("the order cannot be read: {e}") },
    };
    writeln!(stream, "{}", serde_json::to_string(&reply)?)
}

impl Device {
    /// Up to `most` entries of the audit log after a sequence number; none where its disk refuses.
    pub(super) fn log_page(&self, after: u64, most: usize) -> Page {
        self.audit_log.entries(after, most).unwrap_or_else(|e| {
            tracing::error!("{e}");
            Page::default()
        })
    }

    /// Does what somebody who stands at the device asks for.
    #[must_use]
    pub fn obey(&self, order: Order) -> Reply {
        match order {
            Order::Pair => match lock(&self.pairing).begin(self.clock.now()) {
                Ok(code) => {
                    self.exchange.show_code(Some((code.shown(), self.clock.now() + pairing::LASTS)));
                    Reply::Pairing {
                        code: code.shown(),
                        seconds: pairing::LASTS.as_secs(),
                        fingerprint: self.fingerprint().to_string(),
                    }
                }
                Err(e) => Reply::Failed { why: e.to_string() },
            },
            Order::Log { after } => {
                let page = self.log_page(after, LOG_PAGE);
                Reply::Log { entries: page.entries.iter().map(hex::encode).collect(), first: page.first }
            }
            Order::Unpair => {
                let mut known = lock(&self.known);
                let workstations = known.workstations.len();
                if let Err(e) = Known::default().save(&self.state, &RealDisk) {
                    return Reply::Failed { why: e.to_string() };
                }
                *known = Known::default();
                drop(known);
                lock(&self.pairing).end();
                self.exchange.show_code(None);
                self.note(LinkEvent::Unpaired);
                Reply::Unpaired { workstations }
            }
        }
    }
}
