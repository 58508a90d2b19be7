//! `lintel device` in words.

use lintel_link::Fingerprint;
use lintel_site::device::audit_log::AuditLog;
use lintel_site::device::changes::words;
use lintel_site::device::find::Found;
use lintel_site::device::push::ReceiptReport;
use lintel_site::devices::KnownDevice;
use lintel_wire::audit::row::{COLUMNS, Row};
use lintel_wire::link::{Named, Workstation};
use lintel_work::failure::Failure;
use serde_json::{Value, json};

use super::{Console, Told};
use crate::use_cases::device::{DeviceStatus, RollbackPlan};

/// Devices that announce themselves.
pub struct Announced<'a>(pub &'a [Found]);

impl Told for Announced<'_> {
    fn lines(&self) -> Vec<String> {
        let line = |found: &Found| format!("{:<24} {:<24} {}", found.name, found.address, found.fingerprint);
        self.0.iter().map(line).collect()
    }

    fn json(&self) -> Value {
        json!(self.0)
    }

    fn note(&self) -> Option<String> {
        let what = "no device announces itself here; pair by address: `lintel device pair ADDRESS`";
        self.0.is_empty().then(|| what.into())
    }
}

/// A device that was paired.
pub struct Paired<'a>(pub &'a KnownDevice);

impl Told for Paired<'_> {
    fn lines(&self) -> Vec<String> {
        vec![format!("{} is paired: {}", self.0.name, self.0.fingerprint())]
    }

    fn json(&self) -> Value {
        let fingerprint = self.0.fingerprint().to_string();
        json!({ "device": self.0.name, "address": self.0.address, "fingerprint": fingerprint })
    }
}

/// The devices that are known here.
pub struct Known<'a>(pub &'a [KnownDevice]);

impl Told for Known<'_> {
    fn lines(&self) -> Vec<String> {
        let line = |known: &KnownDevice| format!("{:<24} {:<24} {}", known.name, known.address, known.fingerprint());
        self.0.iter().map(line).collect()
    }

    fn json(&self) -> Value {
        json!(self.0)
    }

    fn note(&self) -> Option<String> {
        self.0.is_empty().then(|| "no device is paired; `lintel device pair ADDRESS`".into())
    }
}

/// What devices say of themselves.
pub struct Statuses<'a>(pub &'a [DeviceStatus]);

impl Told for Statuses<'_> {
    fn lines(&self) -> Vec<String> {
        self.0.iter().map(status_line).collect()
    }

    fn json(&self) -> Value {
        let row = |DeviceStatus { device, answer }: &DeviceStatus| match answer {
            Ok((status, manifest)) => json!({
                "device": device.name, "name": status.name, "software": status.software, "pack": manifest.pack,
                "revision": manifest.revision, "people": status.people, "rule": words(status.rule.into()),
                "encoder": manifest.encoder.to_string(), "provider": status.provider,
                "previous": status.previous, "root": status.root, "versions": status.versions,
                "uptime_s": status.uptime, "journal": status.journal, "faults": status.faults,
            }),
            Err(failure) => json!({ "device": device.name, "error": failure.to_string() }),
        };
        self.0.iter().map(row).collect()
    }

    fn note(&self) -> Option<String> {
        let shorter = |DeviceStatus { device, answer }: &DeviceStatus| {
            let (status, _) = answer.as_ref().ok()?;
            (status.journal < device.journal).then(|| {
                format!(
                    "{}: its audit log ends at entry {}, and was seen up to {}: something was taken out",
                    device.name, status.journal, device.journal
                )
            })
        };
        let notes: Vec<String> = self.0.iter().filter_map(shorter).collect();
        (!notes.is_empty()).then(|| notes.join("\n"))
    }

    fn missed(&self) -> Option<Failure> {
        let failed = self.0.iter().filter(|status| status.answer.is_err()).count();
        (failed > 0).then(|| Failure::work(format!("{failed} of {} devices did not answer", self.0.len())))
    }
}

fn status_line(DeviceStatus { device, answer }: &DeviceStatus) -> String {
    match answer {
        Ok((status, manifest)) => {
            let faults = if status.faults.is_empty() { "no faults".to_owned() } else { status.faults.join(", ") };
            format!(
                "{}: pack {}, revision {}, {} people, {}, on {}; up {} h; {faults}",
                device.name,
                manifest.pack,
                manifest.revision,
                status.people,
                words(status.rule.into()),
                status.provider,
                status.uptime / 3600,
            )
        }
        Err(failure) => format!("{}: {failure}", device.name),
    }
}

/// The people whom a device knows.
pub struct People<'a>(pub &'a [Named]);

impl Told for People<'_> {
    fn lines(&self) -> Vec<String> {
        self.0.iter().map(|person| format!("{:>6}  {}", person.id.0, person.name)).collect()
    }

    fn json(&self) -> Value {
        self.0.iter().map(|person| json!({ "id": person.id.0, "name": person.name })).collect()
    }
}

/// Prints the rows of an audit log as they come: as lines, or comma-separated under a heading.
pub struct LogRows<'a> {
    console: &'a Console,
    csv: bool,
    headed: bool,
}

impl<'a> LogRows<'a> {
    /// For this console.
    #[must_use]
    pub fn new(console: &'a Console, csv: bool) -> Self {
        Self { console, csv, headed: false }
    }

    /// The next row.
    pub fn row(&mut self, row: &Row) {
        self.head();
        self.console.line(&if self.csv { row.csv() } else { row.line() });
    }

    /// The heading, if it was not printed yet: a log without rows has one too.
    pub fn head(&mut self) {
        if self.csv && !std::mem::replace(&mut self.headed, true) {
            self.console.line(&COLUMNS.join(","));
        }
    }
}

/// An audit log whose rows were printed as they came.
pub struct Exported<'a>(pub &'a AuditLog);

impl Told for Exported<'_> {
    fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    fn json(&self) -> Value {
        let AuditLog { rows, head, head_hash, .. } = self.0;
        json!({ "entries": rows, "head": head, "head_hash": hex::encode(head_hash) })
    }

    fn note(&self) -> Option<String> {
        let what = "what was seen of the audit log before has been dropped by now: the log is bounded";
        self.0.seen_before_dropped.then(|| what.into())
    }
}

/// What a person is shown before being asked whether to go back.
#[must_use]
pub fn rollback_line(plan: &RollbackPlan) -> String {
    format!("{}: revision {} -> {}", plan.device, plan.from, plan.to)
}

/// A device that went back.
pub struct RolledBack<'a>(pub &'a ReceiptReport);

impl Told for RolledBack<'_> {
    fn lines(&self) -> Vec<String> {
        vec![format!("{} runs revision {}", self.0.device, self.0.revision)]
    }

    fn json(&self) -> Value {
        json!(self.0)
    }
}

/// The workstations that a device knows.
pub struct Workstations<'a>(pub &'a [Workstation]);

impl Told for Workstations<'_> {
    fn lines(&self) -> Vec<String> {
        self.0.iter().map(|known| format!("{} {}", Fingerprint(known.fingerprint), known.name)).collect()
    }

    fn json(&self) -> Value {
        let row = |known: &Workstation| {
            let fingerprint = Fingerprint(known.fingerprint).to_string();
            json!({ "fingerprint": fingerprint, "name": known.name, "valid_until": known.valid_until })
        };
        self.0.iter().map(row).collect()
    }
}

/// A workstation that a device no longer knows.
pub struct ForgottenWorkstation<'a> {
    /// The device's name.
    pub device: &'a str,
    /// Fingerprint of its certificate.
    pub workstation: Fingerprint,
}

impl Told for ForgottenWorkstation<'_> {
    fn lines(&self) -> Vec<String> {
        vec![format!("{} no longer knows {}", self.device, self.workstation)]
    }

    fn json(&self) -> Value {
        json!({ "forgotten": self.workstation.to_string() })
    }
}

/// A device that is no longer known here.
pub struct ForgottenDevice<'a>(pub &'a str);

impl Told for ForgottenDevice<'_> {
    fn lines(&self) -> Vec<String> {
        vec![format!("{} is forgotten here; it still knows this workstation (`lintel-edge unpair`)", self.0)]
    }

    fn json(&self) -> Value {
        json!({ "forgotten": self.0 })
    }
}
