//! Devices at doors: found, paired, asked what they run, people taken out of them.

use std::path::PathBuf;
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_formats::bundle::{Manifest, Role};
use lintel_inference::Options;
use lintel_link::Fingerprint;
use lintel_link::pairing::Code;
use lintel_site::Site;
use lintel_site::device::audit_log::{Age, AuditLog, export};
use lintel_site::device::find::Found;
use lintel_site::device::parcel::Content;
use lintel_site::device::push::ReceiptReport;
use lintel_site::device::{Client, DeviceError, find, pair, push};
use lintel_site::devices::{KnownDevice, is_name};
use lintel_wire::audit::row::Row;
use lintel_wire::link::{Answer, Named, Request as Question, Status, Workstation};
use lintel_work::failure::Failure;
use lintel_work::progress::Progress;

use super::push::{Plan, RETRIES, planned, site_of};

/// The folder of a site; `None`: the usual one.
pub type SiteFolder = Option<PathBuf>;

/// Listens for devices in this network, for `seconds`.
///
/// # Errors
/// [`Failure::Work`] where the network has no multicast.
pub fn find_devices(seconds: u32) -> Result<Vec<Found>, Failure> {
    find::find(Duration::from_secs(seconds.into()))
}

/// Which device to pair.
#[derive(Debug, Clone)]
pub struct PairRequest {
    /// Host name or address, with `:PORT` where it is not 7443.
    pub address: String,
    /// What to call the device here; `None`: its address.
    pub name: Option<String>,
    /// What the device is to call this workstation; `None`: this machine's name.
    pub workstation: Option<String>,
}

/// Makes a device and this workstation know each other. `ask_code` gets the device's fingerprint, and gives the code on
/// its display.
///
/// # Errors
/// [`Failure`]; nothing is remembered then.
pub fn pair_device(
    site: &SiteFolder,
    request: &PairRequest,
    ask_code: impl FnOnce(Fingerprint) -> Result<Code, Failure>,
) -> Result<KnownDevice, Failure> {
    let site = site_of(site.as_ref())?;
    let address = &request.address;
    let host: String = address.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let name = request.name.clone().unwrap_or_else(|| host.trim_matches(['-', '.']).to_owned());
    if !is_name(&name) {
        return Err(Failure::input(format!("{name:?} is no name for a device: letters, digits, - _ .")));
    }
    if site.devices()?.iter().any(|known| known.name == name) {
        return Err(Failure::input(format!(
            "a device is called {name} already; give another --name, or `lintel device forget {name}` first"
        )));
    }
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    pair::pair(&site, address, &name, request.workstation.as_deref().unwrap_or(own.trim()), ask_code)
}

/// The devices that are known here.
///
/// # Errors
/// [`Failure`] where there is no site.
pub fn known(site: &SiteFolder) -> Result<Vec<KnownDevice>, Failure> {
    Ok(site_of(site.as_ref())?.devices()?)
}

/// What one device says of itself.
#[derive(Debug, Clone)]
pub struct DeviceStatus {
    /// The device's name here, and what was seen of its audit log.
    pub device: KnownDevice,
    /// What it says, with the manifest that it runs; or why it does not answer.
    pub answer: Result<(Status, Manifest), Failure>,
}

/// Asks devices what they run; with no `names`, all of them.
///
/// # Errors
/// [`Failure`] for a device that is not known here, or that runs what this program cannot read. One that does not
/// answer is part of the result.
pub fn status(site: &SiteFolder, names: &[String], progress: Progress<'_>) -> Result<Vec<DeviceStatus>, Failure> {
    let site = site_of(site.as_ref())?;
    let devices = match names {
        [] => site.devices()?,
        names => names.iter().map(|name| site.device(name)).collect::<Result<_, _>>()?,
    };
    let work = progress.begin("asking devices", devices.len() as u64);
    let ask = |device: KnownDevice| {
        let answer = match Client::to(&site, &device).and_then(|mut client| client.status()) {
            Ok(status) => {
                let manifest = push::running(&status)?;
                Ok((status, manifest))
            }
            Err(DeviceError::Interrupted) => return Err(DeviceError::Interrupted.into()),
            Err(error) => Err(error.into()),
        };
        work.step_with(&device.name);
        Ok(DeviceStatus { device, answer })
    };
    devices.into_iter().map(ask).collect()
}

/// The people whom a device knows.
///
/// # Errors
/// [`Failure`].
pub fn people(site: &SiteFolder, device: &str) -> Result<Vec<Named>, Failure> {
    let site = site_of(site.as_ref())?;
    Ok(Client::to(&site, &site.device(device)?)?.people()?)
}

/// A device's audit log, checked against what was seen of it before; `on_row` gets each row as it comes.
///
/// # Errors
/// [`Failure`]: the device, or a chain that is broken.
pub fn log(
    site: &SiteFolder,
    device: &str,
    since: Option<Age>,
    on_row: &mut dyn FnMut(&Row),
) -> Result<AuditLog, Failure> {
    let site = site_of(site.as_ref())?;
    export(&site, &site.device(device)?, since, on_row)
}

/// A device that would go back to the bundle before. Nothing has been changed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackPlan {
    /// The site's folder.
    pub site: SiteFolder,
    /// The device's name.
    pub device: String,
    /// Revision that runs.
    pub from: u64,
    /// Revision that would run.
    pub to: u64,
}

/// Asks a device what it could go back to.
///
/// # Errors
/// [`Failure::Input`] where it has nothing to go back to.
pub fn plan_rollback(folder: &SiteFolder, device: &str) -> Result<RollbackPlan, Failure> {
    let site = site_of(folder.as_ref())?;
    let status = Client::to(&site, &site.device(device)?)?.status()?;
    let to = status.previous.ok_or_else(|| Failure::input(format!("{device} has nothing to go back to")))?;
    let from = push::running(&status)?.revision;
    Ok(RollbackPlan { site: folder.clone(), device: device.to_owned(), from, to })
}

/// Goes back. The device is called again: a person may take long to agree to the plan.
///
/// # Errors
/// [`Failure`]; also where the device signs that it runs another revision than the plan says.
pub fn roll_back(plan: &RollbackPlan) -> Result<ReceiptReport, Failure> {
    let site = site_of(plan.site.as_ref())?;
    let device = site.device(&plan.device)?;
    let Answer::Installed(receipt) = Client::to(&site, &device)?.ask(&Question::Rollback)? else {
        return Err(DeviceError::OtherAnswer.into());
    };
    push::opened(&site, &device, &receipt, |statement| statement.revision == plan.to)
}

/// What each device would run without these people; `people` are names or ids.
///
/// # Errors
/// [`Failure::Input`] for a name that was typed wrongly; a door that does not answer stops only itself.
pub fn plan_revocation(
    site: &SiteFolder,
    devices: &[String],
    people: &[String],
    options: &Options,
    progress: Progress<'_>,
) -> Result<Plan, Failure> {
    let site = site_of(site.as_ref())?;
    let mut jobs = Vec::new();
    for name in devices {
        let device = site.device(name)?;
        let content = table_without(&site, &device, people);
        if let Err(failure @ Failure::Input(_)) = content {
            return Err(failure);
        }
        jobs.push((device, content));
    }
    planned(site, jobs, RETRIES, options, progress)
}

/// The table that a device runs, without these people.
fn table_without(site: &Site, device: &KnownDevice, people: &[String]) -> Result<Content, Failure> {
    let name = &device.name;
    let mut client = Client::to(site, device)?;
    let running = push::running(&client.status()?)?;
    let enrolled = client.people()?;
    let mut table = running
        .file(Role::Table)
        .and_then(|file| site.kept(&file.sha256))
        .and_then(|bytes| lintel_formats::table::from_bytes(&bytes).ok())
        .ok_or_else(|| {
            Failure::input(format!(
                "the table that {name} runs was not pushed from this site; take the person out of the photos, train \
                 again and push"
            ))
        })?;
    for wanted in people {
        let is_meant = |id: u32, name: &str| name == wanted || wanted.parse() == Ok(id);
        let found: Vec<PersonId> = enrolled
            .iter()
            .filter(|person| is_meant(person.id.0, &person.name))
            .map(|person| person.id.into())
            .collect();
        match found[..] {
            [id] => table = table.without(id).map_err(Failure::input)?,
            [] => {
                return Err(Failure::input(format!("{name} knows nobody called {wanted:?} (`lintel device people`)")));
            }
            _ => return Err(Failure::input(format!("several people are called {wanted:?}; give the number"))),
        }
    }
    Ok(Content::Table { table, encoder: None })
}

/// The workstations that a device knows.
///
/// # Errors
/// [`Failure`].
pub fn workstations(site: &SiteFolder, device: &str) -> Result<Vec<Workstation>, Failure> {
    let site = site_of(site.as_ref())?;
    Ok(Client::to(&site, &site.device(device)?)?.workstations()?)
}

/// Makes a device forget a workstation.
///
/// # Errors
/// [`Failure`].
pub fn forget_workstation(site: &SiteFolder, device: &str, workstation: Fingerprint) -> Result<(), Failure> {
    let site = site_of(site.as_ref())?;
    let mut client = Client::to(&site, &site.device(device)?)?;
    let Answer::Done = client.ask(&Question::Forget { workstation: workstation.0 })? else {
        return Err(DeviceError::OtherAnswer.into());
    };
    Ok(())
}

/// Forgets a device here; it still knows this workstation.
///
/// # Errors
/// [`Failure::Input`] for a device that is not known.
pub fn forget(site: &SiteFolder, device: &str) -> Result<(), Failure> {
    let site = site_of(site.as_ref())?;
    site.device(device)?;
    Ok(site.forget(device)?)
}
