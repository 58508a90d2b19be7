//! A bundle or a table → devices that run it: first a plan that shows what changes, then the push to all at once.

use std::path::PathBuf;
use std::thread;

use lintel_inference::Options;
use lintel_site::Site;
use lintel_site::device::Client;
use lintel_site::device::changes::Changes;
use lintel_site::device::parcel::{Content, Parcel};
use lintel_site::device::push::{self, ReceiptReport};
use lintel_site::devices::KnownDevice;
use lintel_work::failure::Failure;
use lintel_work::progress::Progress;

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
    devices: Vec<Planned>,
}

struct Planned {
    device: KnownDevice,
    made: Result<(Parcel, Changes), Failure>,
}

impl Plan {
    /// Each device, in the order of the request, with what changes there, or why it cannot be pushed to.
    pub fn devices(&self) -> impl Iterator<Item = (&str, Result<&Changes, &Failure>)> {
        self.devices.iter().map(|Planned { device, made }| (&*device.name, made.as_ref().map(|(_, changes)| changes)))
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
pub fn plan(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Plan, Failure> {
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
    planned(site, jobs, request.retries, options, progress)
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
    progress: Progress<'_>,
) -> Result<Plan, Failure> {
    runtime::find(options)?;
    let work = progress.begin("asking devices", jobs.len() as u64);
    let mut devices = Vec::new();
    for (device, content) in jobs {
        let made = content.and_then(|content| prepare(&site, &device, &content, options));
        if let Err(interrupted @ Failure::Interrupted(_)) = made {
            return Err(interrupted);
        }
        work.step_with(&device.name);
        devices.push(Planned { device, made });
    }
    Ok(Plan { site, retries, devices })
}

/// Sends to all devices at once; one that fails does not stop the others.
#[must_use]
pub fn carry_out(plan: Plan, progress: Progress<'_>) -> Outcome {
    let Plan { site, retries, devices } = plan;
    let (mut ready, mut deliveries) = (Vec::new(), Vec::new());
    for Planned { device, made } in devices {
        match made {
            Ok((parcel, changes)) => ready.push((device, parcel, changes)),
            Err(failure) => {
                deliveries.push(Delivery { device: device.name, changes: None, receipt: Err(failure) });
            }
        }
    }
    let begun = !ready.is_empty();
    let push = |(device, parcel, changes): &(KnownDevice, Parcel, Changes)| {
        let removed: Vec<u32> = changes.removed.iter().map(|whom| whom.id).collect();
        push::push(&site, device, parcel, &removed, retries, progress)
    };
    let receipts: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = ready.iter().map(|job| scope.spawn(|| push(job))).collect();
        let died = |_| Err(Failure::work("a thread died"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(died)).collect()
    });
    let delivered = ready.into_iter().zip(receipts);
    deliveries.extend(delivered.map(|((device, _, changes), receipt)| Delivery {
        device: device.name,
        changes: Some(changes),
        receipt,
    }));
    Outcome { deliveries, begun }
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
