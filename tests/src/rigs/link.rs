//! A device on a real socket, a workstation with a site, and a wall clock that the test sets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use lintel_core::time::Uptime;
use lintel_edge::audit_log::AuditLog;
use lintel_edge::compose::bundle::install;
use lintel_edge::events::fault_board::FaultBoard;
use lintel_edge::events::stream::Stream;
use lintel_edge::io::clock::{Clock, Clocks, Stop, WallClock};
use lintel_edge::link::control::{Order, Reply};
use lintel_edge::link::{Device, Link, Parts, Running};
use lintel_edge::pipeline::exchange::Exchange;
use lintel_site::Site;
use lintel_site::device::parcel::{Content, Parcel};
use lintel_site::device::push::{self, ReceiptReport};
use lintel_site::device::{Client, DeviceError, pair};
use lintel_site::devices::KnownDevice;
use lintel_wire::audit::{Entry, Record};
use lintel_wire::link::{Answer, Refusal, Request, Status};
use lintel_work::failure::Failure;
use lintel_work::progress::Progress;
use tempfile::TempDir;

/// A monotonic clock that starts at 0.
#[must_use]
pub fn clock() -> Clock {
    #[allow(clippy::disallowed_methods, reason = "a test on real sockets takes real time")]
    let start = Instant::now();
    Clock::new(move || Uptime::ZERO + start.elapsed())
}

/// How long a device's table is valid, in seconds.
pub const TABLE_LASTS: u64 = 2 * 3600;

/// A device without a camera: it switches to a pushed bundle at once.
pub struct TestDevice {
    state: PathBuf,
    /// The folder of `state`; `None` if the test owns it.
    folder: Option<TempDir>,
    /// The device behind the socket.
    pub device: Arc<Device>,
    /// Where the device hands bundles to the pipeline.
    pub exchange: Exchange,
    link: Link,
    /// What happens, on its way to the audit log.
    stream: Stream,
    /// The device's audit log.
    pub audit_log: AuditLog,
    /// What the device's wall clock says, in seconds since 1970.
    pub wall: Arc<AtomicU64>,
    stop: StopWhenDropped,
}

impl TestDevice {
    /// A device that runs the bundle in the folder `bundle`; its wall clock is right.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(bundle: &Path) -> Result<Self> {
        Self::at(bundle, lintel_site::now())
    }

    /// Like [`Self::new`]; the wall clock says `time`, in seconds since 1970.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn at(bundle: &Path, time: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("state");
        install(bundle, &state)?;
        Self::start(state, Some(folder), time)
    }

    /// Like [`Self::new`], with the state folder `state`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn on(state: &Path, bundle: &Path) -> Result<Self> {
        install(bundle, state)?;
        Self::start(state.to_owned(), None, lintel_site::now())
    }

    /// Stops the device and starts it again on its state folder, as after a power cut.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restarted(self) -> Result<Self> {
        let time = self.wall.load(Ordering::SeqCst);
        let (state, folder) = self.stopped();
        Self::start(state, folder, time)
    }

    /// Stops the device and closes its files. Returns its state folder, and the temporary folder around it.
    pub fn stopped(self) -> (PathBuf, Option<TempDir>) {
        let Self { state, folder, device, link, stream, audit_log, stop, .. } = self;
        drop((stop, link, stream, audit_log));
        // The audit log's file stays locked until every thread has closed it.
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
        let audit_log = AuditLog::open(&state, 10_000, &clocks)?;
        let stream = Stream::start(vec![("audit log", Box::new(audit_log.subscriber()))])?;
        let exchange = Exchange::default();
        let loaded = current(&state)?;
        let parts = Parts {
            state: state.clone(),
            name: "rig".to_owned(),
            inference: lintel_work::places::runtime(),
            running: Running { manifest: loaded.manifest, table: loaded.table, provider: "cpu".to_owned() },
            exchange: exchange.clone(),
            publisher: stream.publisher(),
            audit_log: audit_log.clone(),
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
        Ok(Self { state, folder, device, exchange, link, stream, audit_log, wall, stop: StopWhenDropped(stop) })
    }

    /// The address on which the device listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.link.address()
    }

    /// The device's state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// The refusals in the audit log, oldest first.
    ///
    /// # Errors
    /// If the audit log cannot be read.
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

    /// The device's audit log.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let page = self.audit_log.entries(0, 100_000)?;
        Ok(page
            .entries
            .iter()
            .map(|bytes| Record::from_bytes(bytes).map(|record| record.entry))
            .collect::<Result<_, _>>()?)
    }

    /// Puts the device into pairing mode and returns the code.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn code(&self) -> Result<String> {
        match self.device.obey(Order::Pair) {
            Reply::Pairing { code, .. } => Ok(code),
            other => Err(anyhow!("{other:?}")),
        }
    }
}

/// Stops the device's threads when it is dropped.
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
    /// The site's folder, keys and known devices.
    pub site: Site,
}

impl TestWorkstation {
    /// A workstation with a new site and new keys.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let site = Site::create(&folder.path().join("site"))?;
        site.make_keys(2, 2)?;
        Ok(Self { folder, site })
    }

    /// A workstation with the keys and roots of `other`, as a thief or a backup has them, and an identity of its own.
    ///
    /// # Errors
    /// If it cannot be made.
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

    /// Pairs with a device that is in pairing mode, with the given code.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn pair(&self, rig: &TestDevice, code: &str) -> Result<KnownDevice, Failure> {
        let code = code.parse().map_err(Failure::input)?;
        pair::pair(&self.site, &rig.address().to_string(), "rig", "workstation", |_| Ok(code))
    }

    /// Puts the device into pairing mode and pairs with it.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn paired(&self, rig: &TestDevice) -> Result<KnownDevice> {
        let code = rig.code()?;
        Ok(self.pair(rig, &code)?)
    }

    /// Connects to a paired device.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn client(&self, device: &KnownDevice) -> Result<Client, DeviceError> {
        Client::to(&self.site, device)
    }

    /// Makes what a push sends to a device with this status.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn parcel(&self, content: &Content, status: &Status) -> Result<Parcel> {
        Ok(Parcel::make(content, &push::running(status)?, &self.site, &lintel_work::places::runtime())?)
    }

    /// Pushes `content` without a retry.
    ///
    /// # Errors
    /// If the device does not switch to it.
    pub fn push(&self, device: &KnownDevice, content: &Content) -> Result<ReceiptReport> {
        let status = self.client(device)?.status()?;
        let parcel = self.parcel(content, &status)?;
        Ok(push::push(&self.site, device, &parcel, &[], 0, Progress::ignored())?)
    }
}

/// Sends metadata and asks the device to check it.
///
/// # Errors
/// If the device refuses it.
pub fn offer(client: &mut Client, metadata: &[(String, Vec<u8>)]) -> Result<Answer, DeviceError> {
    for (name, bytes) in metadata {
        client.ask(&Request::Metadata { name: name.clone(), bytes: bytes.clone() })?;
    }
    client.ask(&Request::Offer)
}
