//! A bundle or a table → devices that run it: first a plan that shows what changes, then the push to all at once.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use lintel_inference::Options;
use lintel_site::Site;
use lintel_site::device::Client;
use lintel_site::device::changes::Changes;
use lintel_site::device::parcel::{Content, Parcel};
use lintel_site::device::push::{self, ReceiptReport, Watcher};
use lintel_site::devices::KnownDevice;
use lintel_work::failure::Failure;
use lintel_work::progress::{Progress, Work};

use super::runtime;

/// Attempts without any progress before a push gives up, unless it is said otherwise.
pub const RETRIES: u32 = 5;

/// What to push, and where.
#[derive(Debug, Clone)]
pub struct Request {
    /// The site's folder; `None`: the usual one.
    pub site: Option<PathBuf>,
    /// Names of devices.
    pub devices: Vec<String>,
    /// A bundle, a trained folder or a table.
    pub what: PathBuf,
    /// Attempts without any progress before giving up.
    pub retries: u32,
}

/// What each device is to get, and what changes there. Nothing has been sent yet.
pub struct Plan {
    site: Site,
    retries: u32,
    ready: Vec<Ready>,
    unready: Vec<Delivery>,
}

struct Ready {
    device: KnownDevice,
    parcel: Parcel,
    changes: Changes,
}

impl Plan {
    /// Each device that can be pushed to, with what changes there.
    pub fn ready(&self) -> impl Iterator<Item = (&str, &Changes)> {
        self.ready.iter().map(|ready| (ready.device.name.as_str(), &ready.changes))
    }

    /// Each device that cannot be pushed to, and why.
    #[must_use]
    pub fn unready(&self) -> &[Delivery] {
        &self.unready
    }
}

/// What became of the push to one device.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The device's name.
    pub device: String,
    /// What changes there; `None` where the device was not reached.
    pub changes: Option<Changes>,
    /// What the device signed.
    pub receipt: Result<ReceiptReport, Failure>,
}

/// What became of all of them.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Devices that could not be pushed to come first.
    pub deliveries: Vec<Delivery>,
    /// Whether any device could be pushed to.
    pub begun: bool,
}

/// Asks each device what it runs, and makes what it is to get.
///
/// # Errors
/// [`Failure::Input`] for a device that is not known here and for content that is none; a device that does not answer
/// is part of the plan.
pub fn plan(request: &Request, options: &Options) -> Result<Plan, Failure> {
    let site = site_of(request.site.as_ref())?;
    let content = Content::open(&request.what)?;
    let mut jobs: Vec<(KnownDevice, Result<Content, Failure>)> = Vec::new();
    for name in &request.devices {
        let device = site.device(name)?;
        if jobs.iter().any(|(known, _)| known.name == device.name) {
            return Err(Failure::input(format!("{} is named twice", device.name)));
        }
        jobs.push((device, Ok(content.clone())));
    }
    planned(site, jobs, request.retries, options)
}

/// The site in this folder, or the usual one.
///
/// # Errors
/// [`Failure::Input`] where there is none.
pub(super) fn site_of(dir: Option<&PathBuf>) -> Result<Site, Failure> {
    let dir = match dir {
        Some(dir) => dir.clone(),
        None => Site::usual()?,
    };
    Ok(Site::open(&dir)?)
}

/// A plan for devices with a content each. A door that is off keeps nobody from being taken out at the others.
pub(super) fn planned(
    site: Site,
    jobs: Vec<(KnownDevice, Result<Content, Failure>)>,
    retries: u32,
    options: &Options,
) -> Result<Plan, Failure> {
    runtime::find(options)?;
    let (mut ready, mut unready) = (Vec::new(), Vec::new());
    for (device, content) in jobs {
        match content.and_then(|content| prepare(&site, &device, &content, options)) {
            Ok((parcel, changes)) => ready.push(Ready { device, parcel, changes }),
            Err(interrupted @ Failure::Interrupted(_)) => return Err(interrupted),
            Err(failure) => unready.push(Delivery { device: device.name, changes: None, receipt: Err(failure) }),
        }
    }
    Ok(Plan { site, retries, ready, unready })
}

/// Sends to all devices at once; one that fails does not stop the others.
#[must_use]
pub fn carry_out(plan: Plan, progress: Progress<'_>) -> Outcome {
    let Plan { site, retries, ready, unready } = plan;
    let deliver = |ready: &Ready| {
        let Ready { device, parcel, changes } = ready;
        let removed: Vec<u32> = changes.removed.iter().map(|whom| whom.id).collect();
        let sending = Sending { progress, device: &device.name, work: Mutex::default() };
        let receipt = push::push(&site, device, (parcel, &removed), retries, &sending);
        Delivery { device: device.name.clone(), changes: Some(changes.clone()), receipt }
    };
    let delivered: Vec<Delivery> = thread::scope(|scope| {
        let workers: Vec<_> = ready.iter().map(|ready| (ready, scope.spawn(move || deliver(ready)))).collect();
        let joined = workers.into_iter().map(|(ready, worker)| {
            worker.join().unwrap_or_else(|_| Delivery {
                device: ready.device.name.clone(),
                changes: Some(ready.changes.clone()),
                receipt: Err(Failure::work("a thread died")),
            })
        });
        joined.collect()
    });
    Outcome { begun: !ready.is_empty(), deliveries: unready.into_iter().chain(delivered).collect() }
}

/// What one device is to get, and what changes there.
fn prepare(
    site: &Site,
    device: &KnownDevice,
    content: &Content,
    options: &Options,
) -> Result<(Parcel, Changes), Failure> {
    let mut client = Client::to(site, device)?;
    let (status, people) = (client.status()?, client.people()?);
    let running = push::running(&status)?;
    let parcel = Parcel::make(content, &running, site, options)?;
    let changes = Changes::between((&status, &people), Some(&running), (&parcel.manifest, &parcel.table));
    Ok((parcel, changes))
}

/// A push as a piece of work, in KiB.
struct Sending<'a> {
    progress: Progress<'a>,
    device: &'a str,
    /// Begins when it is known how much there is to send.
    work: Mutex<Option<(Work<'a>, u64)>>,
}

/// Bytes of one step.
const STEP: u64 = 1 << 10;

impl Watcher for Sending<'_> {
    fn sent(&self, bytes: u64, of: u64) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let (work, done) = work.get_or_insert_with(|| {
            (self.progress.begin(format!("sending to {}, KiB", self.device), of.div_ceil(STEP)), 0)
        });
        *done = bytes / STEP;
        work.set(*done);
    }

    fn says(&self, words: &str) {
        match &*self.work.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((work, done)) => work.set_with(*done, words),
            None => self.progress.note(format!("{}: {words}", self.device)),
        }
    }
}
