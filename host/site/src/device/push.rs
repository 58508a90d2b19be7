//! A parcel → a device that runs it, in spite of a failing network.

use std::thread;
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_formats::bundle::{Manifest, Role};
use lintel_link::receipt;
use lintel_wire::link::{Answer, MAX_PIECE, Receipt, Request, Statement, Status, Wanted};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::progress::Progress;
use serde::Serialize;

use super::client::{Client, DeviceError};
use super::parcel::Parcel;
use crate::devices::KnownDevice;
use crate::publish::Metadata;
use crate::{Site, SiteError};

/// Waits between two tries, in seconds; the last one is repeated.
const BACKOFF: [u64; 5] = [1, 2, 4, 8, 15];
/// Bytes of one step of a transfer.
const STEP: u64 = 1 << 10;

/// A receipt that a device signed, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptReport {
    /// The device's name in the site.
    pub device: String,
    /// The fingerprint of its certificate.
    pub fingerprint: String,
    /// Revision of the table that runs.
    pub revision: u64,
    /// SHA-256 of the table that runs.
    pub table: String,
    /// SHA-256 of the image encoder that the device runs, in hexadecimal.
    pub encoder: String,
    /// People of whom nothing is left on the device.
    pub removed: Vec<u32>,
    /// The end of the device's audit log: sequence number and hash.
    pub journal: (u64, String),
    /// Time of signing by the device's clock, in seconds since 1970.
    pub at: u64,
    /// The signed statement, in hex, so that anybody can check it again.
    pub statement: String,
    /// Its Ed25519 signature, in hex.
    pub signature: String,
}

/// Pushes a parcel that removes the people with the ids `removed`. Resumes after a cut; gives up after `retries` tries
/// in a row without progress. `progress` hears of the transfer, in KiB, and of the device's proof.
///
/// # Errors
/// [`Failure`]; the device runs the old bundle or, if only the answer was lost, the new one.
pub fn push(
    site: &Site,
    device: &KnownDevice,
    parcel: &Parcel,
    removed: &[u32],
    retries: u32,
    progress: Progress<'_>,
) -> Result<ReceiptReport, Failure> {
    let mut metadata = None;
    let mut failures = 0;
    let mut furthest = 0;
    loop {
        let mut reached = 0;
        match attempt(site, device, parcel, &mut metadata, &mut reached, progress) {
            Ok(receipt) => return remembered(site, device, &receipt, parcel, removed),
            Err(Attempt::Device(e)) if e.may_pass() && failures < retries => {
                failures = if reached > furthest { 0 } else { failures + 1 };
                furthest = furthest.max(reached);
                let wait = BACKOFF[(failures as usize).min(BACKOFF.len() - 1)];
                progress.note(format!("{}: {e}; trying again in {wait} s", device.name));
                pause(wait)?;
            }
            Err(Attempt::Device(e)) => return Err(e.into()),
            Err(Attempt::Other(failure)) => return Err(failure),
        }
    }
}

enum Attempt {
    Device(DeviceError),
    Other(Failure),
}

impl From<DeviceError> for Attempt {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<SiteError> for Attempt {
    fn from(error: SiteError) -> Self {
        Self::Other(error.into())
    }
}

fn attempt(
    site: &Site,
    device: &KnownDevice,
    parcel: &Parcel,
    metadata: &mut Option<Metadata>,
    reached: &mut u64,
    progress: Progress<'_>,
) -> Result<Receipt, Attempt> {
    let mut client = Client::to(site, device)?;
    let status = client.status()?;
    // Signed once for all tries: the files that the device keeps belong to these signatures.
    let signed = match metadata.take() {
        Some(signed) => signed,
        None => sign(site, device, parcel, &status)?,
    };
    let signed = metadata.insert(signed);
    for (name, bytes) in site.roots_after(status.root)?.iter().chain(signed.iter()) {
        let request = Request::Metadata { name: name.clone(), bytes: bytes.clone() };
        let Answer::Kept = client.ask(&request)? else { return Err(DeviceError::OtherAnswer.into()) };
    }
    let Answer::Wanted(wanted) = client.ask(&Request::Offer)? else { return Err(DeviceError::OtherAnswer.into()) };
    let all: u64 = wanted.iter().map(|file| file.bytes).sum();
    let mut sent: u64 = wanted.iter().map(|file| file.have).sum();
    let work = progress.begin(format!("sending to {}, KiB", device.name), all.div_ceil(STEP));
    work.set(sent / STEP);
    for file in &wanted {
        send(&mut client, file, parcel, &mut |more| {
            sent += more;
            *reached = sent;
            work.set(sent / STEP);
        })?;
    }
    drop(work);
    let _proving = progress.begin(format!("{} checks and tries what was sent", device.name), 1);
    match client.ask_patiently(&Request::Install, || {})? {
        Answer::Installed(receipt) => Ok(receipt),
        _ => Err(DeviceError::OtherAnswer.into()),
    }
}

fn sign(site: &Site, device: &KnownDevice, parcel: &Parcel, status: &Status) -> Result<Metadata, SiteError> {
    let versions = status.versions.map(|seen| seen.saturating_add(1));
    site.publish(&parcel.entries, (&parcel.manifest, &parcel.table), &[device.fingerprint()], versions)
}

fn send(client: &mut Client, file: &Wanted, parcel: &Parcel, progress: &mut dyn FnMut(u64)) -> Result<(), DeviceError> {
    let content = parcel
        .content(&file.file)
        .ok_or_else(|| DeviceError::Untrue(format!("the device asks for {}, which is not in the push", file.name)))?;
    let mut at = usize::try_from(file.have).unwrap_or(usize::MAX).min(content.len());
    while at < content.len() {
        if interrupt::requested() {
            return Err(DeviceError::Interrupted);
        }
        let bytes = &content[at..content.len().min(at + MAX_PIECE)];
        let piece = Request::Piece { file: file.file, offset: at as u64, bytes: bytes.to_vec() };
        let Answer::Received { have } = client.ask(&piece)? else { return Err(DeviceError::OtherAnswer) };
        if have != (at + bytes.len()) as u64 {
            return Err(DeviceError::OtherAnswer);
        }
        progress(bytes.len() as u64);
        at += bytes.len();
    }
    Ok(())
}

/// Checks a receipt against the parcel, and stores what later pushes need.
fn remembered(
    site: &Site,
    device: &KnownDevice,
    receipt: &Receipt,
    parcel: &Parcel,
    wanted: &[u32],
) -> Result<ReceiptReport, Failure> {
    let table = parcel.manifest.file(Role::Table).map_or([0; 32], |file| file.sha256);
    let report = opened(site, device, receipt, |statement| {
        statement.table == table && statement.revision == parcel.manifest.revision
    })?;
    let removed: Vec<PersonId> = report.removed.iter().map(|id| PersonId(*id)).collect();
    for (_, bytes) in &parcel.files {
        site.keep(bytes)?;
    }
    if !removed.is_empty() {
        site.forget_people(&removed)?;
    }
    let unsigned: Vec<String> =
        wanted.iter().filter(|id| !report.removed.contains(id)).map(ToString::to_string).collect();
    if !unsigned.is_empty() {
        return Err(Failure::work(format!(
            "{} runs the table, but did not sign that nothing is left of {} (an answer may have been lost): push again",
            device.name,
            unsigned.join(", ")
        )));
    }
    Ok(report)
}

/// Checks that a device signed a receipt with the expected content, and stores it.
///
/// # Errors
/// [`Failure`].
pub fn opened(
    site: &Site,
    device: &KnownDevice,
    receipt: &Receipt,
    right: impl FnOnce(&Statement) -> bool,
) -> Result<ReceiptReport, Failure> {
    let statement = receipt::open(receipt, &device.certificate()).map_err(Failure::work)?;
    if !right(&statement) {
        return Err(Failure::work("the device signed that it runs another table than was pushed"));
    }
    let report = ReceiptReport {
        device: device.name.clone(),
        fingerprint: device.fingerprint().to_string(),
        revision: statement.revision,
        table: hex::encode(statement.table),
        encoder: hex::encode(statement.encoder.0),
        removed: statement.removed.iter().map(|id| id.0).collect(),
        journal: (statement.journal, hex::encode(statement.journal_head)),
        at: statement.at,
        statement: hex::encode(&receipt.statement),
        signature: hex::encode(&receipt.signature),
    };
    site.keep_receipt(&device.name, report.revision, &report)?;
    // Only reading the audit log stores its end, because only reading checks the chain up to there.
    site.remember(&KnownDevice { table: report.table.clone(), ..site.device(&device.name)? })?;
    Ok(report)
}

/// The manifest of the bundle that a device says it runs.
///
/// # Errors
/// [`Failure`] if it is malformed.
pub fn running(status: &Status) -> Result<Manifest, Failure> {
    Manifest::from_bytes(&status.manifest).map_err(|e| Failure::work(format!("the device's manifest: {e}")))
}

fn pause(seconds: u64) -> Result<(), Failure> {
    for _ in 0..seconds * 10 {
        if interrupt::requested() {
            return Err(DeviceError::Interrupted.into());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
