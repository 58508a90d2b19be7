//! A device on a real socket, a workstation with a site, and a wall clock that says what a test wants.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use lintel::device::parcel::{Content, Parcel};
use lintel::device::push::{self, ReceiptReport, Watcher};
use lintel::device::{Client, DeviceError, pair};
use lintel::failure::Failure;
use lintel::site::Site;
use lintel::site::devices::KnownDevice;
use lintel_core::time::Uptime;
use lintel_edge::audit_log::AuditLog;
use lintel_edge::compose::bundle::install;
use lintel_edge::events::fault_board::FaultBoard;
use lintel_edge::events::stream::Stream;
use lintel_edge::io::clock::{Clock, Clocks, Stop, WallClock};
use lintel_edge::link::control::{Order, Reply};
use lintel_edge::link::{Device, Link, Parts, Running};
use lintel_edge::pipeline::exchange::Exchange;
use lintel_inference::Options;
use lintel_wire::audit::{Entry, Record};
use lintel_wire::link::{Answer, Refusal, Request, Status};
use tempfile::TempDir;

/// A clock that is read by tests.
#[must_use]
pub fn clock() -> Clock {
    #[allow(clippy::disallowed_methods, reason = "a test on real sockets takes real time")]
    let start = Instant::now();
    Clock::new(move || Uptime::ZERO + start.elapsed())
}

/// How long a rig's table counts, in seconds.
pub const TABLE_LASTS: u64 = 2 * 3600;

/// A device without a door: what it is handed, it takes at once.
pub struct TestDevice {
    state: PathBuf,
    /// Its folder, unless that is the test's.
    folder: Option<TempDir>,
    /// What listens.
    pub device: Arc<Device>,
    /// Where it hands bundles over.
    pub exchange: Exchange,
    link: Link,
    /// What happens, on its way to the journal.
    stream: Stream,
    /// Its journal.
    pub journal: AuditLog,
    /// Its wall clock, in seconds since 1970.
    pub wall: Arc<AtomicU64>,
    stop: StopWhenDropped,
}

impl TestDevice {
    /// A device that runs the bundle in `bundle`, with the right time.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(bundle: &Path) -> Result<Self> {
        Self::at(bundle, lintel::site::now())
    }

    /// Likewise, with another time.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn at(bundle: &Path, time: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("state");
        install(bundle, &state)?;
        Self::start(state, Some(folder), time)
    }

    /// Likewise, with a state folder of the test's.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn on(state: &Path, bundle: &Path) -> Result<Self> {
        install(bundle, state)?;
        Self::start(state.to_owned(), None, lintel::site::now())
    }

    /// The same device after its power was cut.
    ///
    /// # Errors
    /// When it doesn't come up.
    pub fn restarted(self) -> Result<Self> {
        let time = self.wall.load(Ordering::SeqCst);
        let (state, folder) = self.stopped();
        Self::start(state, folder, time)
    }

    /// Stops, and lets go of its files; gives where they are.
    pub fn stopped(self) -> (PathBuf, Option<TempDir>) {
        let Self { state, folder, device, link, stream, journal, stop, .. } = self;
        drop((stop, link, stream, journal));
        // The journal's file is another process's until every thread has let go of it.
        let mut device = Some(device);
        for _ in 0..200 {
            match Arc::try_unwrap(device.take().expect("kept below")) {
                Ok(_) => break,
                Err(shared) => device = Some(shared),
            }
            thread::sleep(Duration::from_millis(20));
        }
        (state, folder)
    }

    fn start(state: PathBuf, folder: Option<TempDir>, time: u64) -> Result<Self> {
        let stop = Stop::new();
        let wall = Arc::new(AtomicU64::new(time));
        let shown = Arc::clone(&wall);
        let clocks = Clocks { monotonic: clock(), wall: WallClock::new(move || shown.load(Ordering::SeqCst)) };
        let journal = AuditLog::open(&state, 10_000, &clocks)?;
        let stream = Stream::start(vec![("audit log", Box::new(journal.subscriber()))])?;
        let exchange = Exchange::default();
        let loaded = current(&state)?;
        let parts = Parts {
            state: state.clone(),
            name: "rig".to_owned(),
            inference: Options::default(),
            running: Running { manifest: loaded.manifest, table: loaded.table, provider: "cpu".to_owned() },
            exchange: exchange.clone(),
            publisher: stream.publisher(),
            audit_log: journal.clone(),
            faults: FaultBoard::default(),
            clocks,
            table_lasts: Some(Duration::from_secs(TABLE_LASTS)),
        };
        let device = Arc::new(Device::open(parts)?);
        let link = Link::start(Arc::clone(&device), "127.0.0.1:0", false, &stop)?;
        let (until, taken) = (stop.clone(), exchange.clone());
        thread::spawn(move || {
            while !until.asked() {
                drop(taken.take());
                thread::sleep(Duration::from_millis(5));
            }
        });
        Ok(Self { state, folder, device, exchange, link, stream, journal, wall, stop: StopWhenDropped(stop) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.link.address()
    }

    /// Its state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// What its journal says of refusals, newest last.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn refusals(&self) -> Result<Vec<Refusal>> {
        let entries = self.entries()?;
        Ok(entries
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::CallerRefused { why, .. } => Some(why),
                _ => None,
            })
            .collect())
    }

    /// Its journal.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let page = self.journal.entries(0, 100_000)?;
        Ok(page
            .entries
            .iter()
            .map(|bytes| Record::from_bytes(bytes).map(|record| record.entry))
            .collect::<Result<_, _>>()?)
    }

    /// Goes into pairing mode; gives the code.
    ///
    /// # Errors
    /// When it doesn't.
    pub fn code(&self) -> Result<String> {
        match self.device.obey(Order::Pair) {
            Reply::Pairing { code, .. } => Ok(code),
            other => Err(anyhow!("{other:?}")),
        }
    }
}

/// Threads end with the device that they belong to.
struct StopWhenDropped(Stop);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.ask();
    }
}

fn current(state: &Path) -> Result<lintel_inference::LoadedBundle> {
    use lintel_edge::io::disk::RealDisk;
    use lintel_edge::slots::Slots;
    let slots = Slots::new(state, RealDisk);
    let slot = slots.current()?.ok_or_else(|| anyhow!("nothing is installed"))?;
    Ok(lintel_inference::LoadedBundle::load(&slots.dir(slot))?)
}

/// A workstation with a site of its own.
pub struct TestWorkstation {
    folder: TempDir,
    /// Its site.
    pub site: Site,
}

/// Watches nothing.
pub struct Blind;

impl Watcher for Blind {
    fn sent(&self, _: u64, _: u64) {}
    fn says(&self, _: &str) {}
}

impl TestWorkstation {
    /// A new one, with new keys.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let site = Site::create(&folder.path().join("site"))?;
        site.make_keys(2, 2)?;
        Ok(Self { folder, site })
    }

    /// A new workstation with a copy of this one's site, as a thief or a backup has it, but for its identity.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn with_keys_of(other: &Self) -> Result<Self> {
        let made = Self::new()?;
        for folder in ["keys", "root"] {
            let (from, to) = (other.site.dir().join(folder), made.site.dir().join(folder));
            std::fs::remove_dir_all(&to)?;
            std::fs::create_dir(&to)?;
            for entry in std::fs::read_dir(&from)? {
                let entry = entry?;
                std::fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(made)
    }

    /// The folder of the site.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Pairs with a device that is in pairing mode.
    ///
    /// # Errors
    /// When it refuses.
    pub fn pair(&self, rig: &TestDevice, code: &str) -> Result<KnownDevice, Failure> {
        let code = code.parse().map_err(Failure::input)?;
        pair::pair(&self.site, &rig.address().to_string(), "rig", "workstation", |_| Ok(code))
    }

    /// Pairs, whatever it takes.
    ///
    /// # Errors
    /// When it doesn't.
    pub fn paired(&self, rig: &TestDevice) -> Result<KnownDevice> {
        let code = rig.code()?;
        Ok(self.pair(rig, &code)?)
    }

    /// A connection.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn client(&self, device: &KnownDevice) -> Result<Client, DeviceError> {
        Client::to(&self.site, device)
    }

    /// What a device is to get.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn parcel(&self, content: &Content, status: &Status) -> Result<Parcel> {
        Ok(Parcel::make(content, &push::running(status)?, &self.site, &Options::default())?)
    }

    /// Pushes, in one go.
    ///
    /// # Errors
    /// When the device doesn't run it.
    pub fn push(&self, device: &KnownDevice, content: &Content) -> Result<ReceiptReport> {
        let status = self.client(device)?.status()?;
        let parcel = self.parcel(content, &status)?;
        Ok(push::push(&self.site, device, (&parcel, &[]), 0, &Blind)?)
    }
}

/// Sends metadata, and asks whether it is sound.
///
/// # Errors
/// The device's refusal.
pub fn offer(client: &mut Client, metadata: &[(String, Vec<u8>)]) -> Result<Answer, DeviceError> {
    for (name, bytes) in metadata {
        client.ask(&Request::Metadata { name: name.clone(), bytes: bytes.clone() })?;
    }
    client.ask(&Request::Offer)
}
