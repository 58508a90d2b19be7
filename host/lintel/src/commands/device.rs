//! `lintel device`: find, pair, look, take people out.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_inference::Options;
use lintel_link::Fingerprint;
use lintel_link::pairing::Code;
use lintel_site::Site;
use lintel_site::device::changes::words;
use lintel_site::device::journal::{Age, export};
use lintel_site::device::parcel::Content;
use lintel_site::device::{Client, DeviceError, find, pair, push};
use lintel_site::devices::{KnownDevice, is_name};
use lintel_wire::audit::row::COLUMNS;
use lintel_wire::link::{Answer, Request};
use lintel_work::failure::Failure;
use serde_json::json;

use crate::cli::{DeviceAction, DeviceArgs};
use crate::commands::push::{confirm, deliver, site_of};
use crate::commands::speaker::Console;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &DeviceArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    if let DeviceAction::Find { seconds } = args.action {
        return find_devices(seconds, console);
    }
    let site = site_of(&args.site)?;
    match &args.action {
        DeviceAction::Find { .. } => Ok(()),
        DeviceAction::Pair { address, code, name, workstation } => {
            pair_device(&site, address, (code.as_deref(), name.as_deref(), workstation.as_deref()), console)
        }
        DeviceAction::List => list(&site, console),
        DeviceAction::Status { devices } => status(&site, devices, console),
        DeviceAction::People { device } => people(&site, device, console),
        DeviceAction::Log { device, since, csv } => {
            let since = since.as_deref().map(str::parse::<Age>).transpose().map_err(Failure::input)?;
            log(&site, device, since, *csv, console)
        }
        DeviceAction::Rollback { device, yes } => rollback(&site, device, *yes, console),
        DeviceAction::Revoke { devices, person, yes } => revoke(&site, (devices, person), *yes, runtime, console),
        DeviceAction::Workstations { device, forget } => workstations(&site, device, forget.as_deref(), console),
        DeviceAction::Forget { device } => {
            site.device(device)?;
            site.forget(device)?;
            console.say(format!("{device} is forgotten here; it still knows this workstation (`lintel-edge unpair`)"));
            console.result(&json!({ "forgotten": device }));
            Ok(())
        }
    }
}

fn find_devices(seconds: u32, console: &Console) -> Result<(), Failure> {
    let found = find::find(Duration::from_secs(seconds.into()))?;
    for device in &found {
        console.say(format!("{:<24} {:<24} {}", device.name, device.address, &device.fingerprint));
    }
    if found.is_empty() {
        console.note("no device announces itself here; pair by address: `lintel device pair ADDRESS`");
    }
    console.result(&found);
    Ok(())
}

fn pair_device(
    site: &Site,
    address: &str,
    (code, name, workstation): (Option<&str>, Option<&str>, Option<&str>),
    console: &Console,
) -> Result<(), Failure> {
    let host: String = address.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let name = name.map_or_else(|| host.trim_matches(['-', '.']).to_owned(), str::to_owned);
    if !is_name(&name) {
        return Err(Failure::input(format!("{name:?} is no name for a device: letters, digits, - _ .")));
    }
    if site.devices()?.iter().any(|known| known.name == name) {
        return Err(Failure::input(format!(
            "a device is called {name} already; give another --name, or `lintel device forget {name}` first"
        )));
    }
    let code = code.map(str::parse::<Code>).transpose().map_err(Failure::input)?;
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let workstation = workstation.unwrap_or(own.trim());
    let known = pair::pair(site, address, &name, workstation, |device| match code {
        Some(code) => Ok(code),
        None => ask_code(device, console),
    })?;
    console.say(format!("{name} is paired: {}", known.fingerprint()));
    console
        .result(&json!({ "device": name, "address": known.address, "fingerprint": known.fingerprint().to_string() }));
    Ok(())
}

fn ask_code(device: Fingerprint, console: &Console) -> Result<Code, Failure> {
    if !std::io::stdin().is_terminal() || !console.talks() {
        return Err(Failure::input("nobody can be asked for the code here; give it with --code"));
    }
    eprintln!("the device's fingerprint is {device}");
    eprint!("code on the device's display (`lintel-edge pair` there): ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Failure::work)?;
    line.trim().parse().map_err(Failure::input)
}

fn list(site: &Site, console: &Console) -> Result<(), Failure> {
    let devices = site.devices()?;
    for device in &devices {
        console.say(format!("{:<24} {:<24} {}", device.name, device.address, device.fingerprint()));
    }
    if devices.is_empty() {
        console.note("no device is paired; `lintel device pair ADDRESS`");
    }
    console.result(&devices);
    Ok(())
}

fn status(site: &Site, names: &[String], console: &Console) -> Result<(), Failure> {
    let devices = match names {
        [] => site.devices()?,
        names => names.iter().map(|name| site.device(name)).collect::<Result<_, _>>()?,
    };
    let mut reports = Vec::new();
    let mut failed = 0;
    for device in devices {
        let asked = Client::to(site, &device).and_then(|mut client| client.status());
        match asked {
            Ok(status) => {
                let manifest = push::running(&status)?;
                let faults = if status.faults.is_empty() { "no faults".to_owned() } else { status.faults.join(", ") };
                console.say(format!(
                    "{}: pack {}, revision {}, {} people, {}, on {}; up {} h; {faults}",
                    device.name,
                    manifest.pack,
                    manifest.revision,
                    status.people,
                    words(status.rule.into()),
                    status.provider,
                    status.uptime / 3600,
                ));
                if status.journal < device.journal {
                    console.note(format!(
                        "{}: its journal ends at {}, and was seen up to {}: something was taken out",
                        device.name, status.journal, device.journal
                    ));
                }
                reports.push(json!({
                    "device": device.name, "name": status.name, "software": status.software, "pack": manifest.pack,
                    "revision": manifest.revision, "people": status.people, "rule": words(status.rule.into()),
                    "encoder": manifest.encoder.to_string(), "provider": status.provider,
                    "previous": status.previous, "root": status.root, "versions": status.versions,
                    "uptime_s": status.uptime, "journal": status.journal, "faults": status.faults,
                }));
            }
            Err(DeviceError::Interrupted) => return Err(DeviceError::Interrupted.into()),
            Err(e) => {
                failed += 1;
                console.say(format!("{}: {e}", device.name));
                reports.push(json!({ "device": device.name, "error": e.to_string() }));
            }
        }
    }
    console.result(&reports);
    if failed > 0 {
        Err(Failure::work(format!("{failed} of {} devices did not answer", reports.len())))
    } else {
        Ok(())
    }
}

fn log(site: &Site, name: &str, since: Option<Age>, csv: bool, console: &Console) -> Result<(), Failure> {
    let mut headed = !csv;
    let mut head = || {
        if !std::mem::replace(&mut headed, true) {
            console.say(COLUMNS.join(","));
        }
    };
    let journal = export(site, &site.device(name)?, since, &mut |row| {
        head();
        console.say(if csv { row.csv() } else { row.line() });
    })?;
    head();
    if journal.seen_before_dropped {
        console.note("what was seen of the journal before has been dropped by now: the journal is bounded");
    }
    console
        .result(&json!({ "entries": journal.rows, "head": journal.head, "head_hash": hex::encode(journal.head_hash) }));
    Ok(())
}

fn people(site: &Site, name: &str, console: &Console) -> Result<(), Failure> {
    let people = Client::to(site, &site.device(name)?)?.people()?;
    for person in &people {
        console.say(format!("{:>6}  {}", person.id.0, person.name));
    }
    let rows: Vec<_> = people.iter().map(|person| json!({ "id": person.id.0, "name": person.name })).collect();
    console.result(&rows);
    Ok(())
}

fn rollback(site: &Site, name: &str, yes: bool, console: &Console) -> Result<(), Failure> {
    let device = site.device(name)?;
    let mut client = Client::to(site, &device)?;
    let status = client.status()?;
    let Some(previous) = status.previous else {
        return Err(Failure::input(format!("{name} has nothing to go back to")));
    };
    console.say(format!("{name}: revision {} -> {previous}", push::running(&status)?.revision));
    confirm("go back?", yes, console)?;
    let Answer::Installed(receipt) = client.ask(&Request::Rollback)? else {
        return Err(DeviceError::OtherAnswer.into());
    };
    let report = push::opened(site, &device, &receipt, |statement| statement.revision == previous)?;
    console.say(format!("{name} runs revision {}", report.revision));
    console.result(&report);
    Ok(())
}

fn revoke(
    site: &Site,
    (names, people): (&[String], &[String]),
    yes: bool,
    runtime: &Options,
    console: &Console,
) -> Result<(), Failure> {
    let mut jobs = Vec::new();
    for name in names {
        let device = site.device(name)?;
        let content = table_without(site, &device, people);
        // What was typed wrongly stops everything; a door that does not answer stops only itself.
        if let Err(failure @ Failure::Input(_)) = content {
            return Err(failure);
        }
        jobs.push((device, content));
    }
    deliver(site, jobs, (yes, 5), runtime, console)
}

/// The table that a device runs, without these people.
fn table_without(site: &Site, device: &KnownDevice, people: &[String]) -> Result<Content, Failure> {
    let name = &device.name;
    let mut client = Client::to(site, device)?;
    let running = push::running(&client.status()?)?;
    let enrolled = client.people()?;
    let mut table = running
        .file(lintel_formats::bundle::Role::Table)
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

fn workstations(site: &Site, name: &str, forget: Option<&str>, console: &Console) -> Result<(), Failure> {
    let mut client = Client::to(site, &site.device(name)?)?;
    if let Some(fingerprint) = forget {
        let fingerprint: Fingerprint = fingerprint.parse().map_err(Failure::input)?;
        let Answer::Done = client.ask(&Request::Forget { workstation: fingerprint.0 })? else {
            return Err(DeviceError::OtherAnswer.into());
        };
        console.say(format!("{name} no longer knows {fingerprint}"));
        console.result(&json!({ "forgotten": fingerprint.to_string() }));
        return Ok(());
    }
    let known = client.workstations()?;
    for workstation in &known {
        console.say(format!("{} {}", Fingerprint(workstation.fingerprint), workstation.name));
    }
    let rows: Vec<_> = known
        .iter()
        .map(|w| {
            let fingerprint = Fingerprint(w.fingerprint).to_string();
            json!({ "fingerprint": fingerprint, "name": w.name, "valid_until": w.valid_until })
        })
        .collect();
    console.result(&rows);
    Ok(())
}
