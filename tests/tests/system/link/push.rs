//! Pushes that succeed: interrupted ones, removals that leave no trace, and rollbacks.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lintel_core::table::{PersonId, Table};
use lintel_formats::bundle::Role;
use lintel_inference::LoadedBundle;
use lintel_site::device::parcel::Content;
use lintel_site::device::push;
use lintel_site::devices::KnownDevice;
use lintel_tests::rigs::link::{TestDevice, TestWorkstation};
use lintel_tests::world;
use lintel_wire::audit::Entry;
use lintel_wire::link::{Answer, Refusal, Request};
use lintel_work::progress::Progress;

use crate::contents::{bundle, parts, without};
use crate::world;

/// Every file under a folder.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all.extend(files(&path)),
            Ok(kind) if kind.is_file() => all.push((path.clone(), fs::read(&path).unwrap_or_default())),
            _ => {}
        }
    }
    all
}

#[test]
fn a_removed_person_leaves_no_trace_and_does_not_come_back() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    let (table, _) = parts(bundle());
    let gone = table.people()[2].clone();
    let row = &table.classes()[2 * table.dim()..3 * table.dim()];
    let row: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
    // Twice, so that both slots have the person.
    let mut parts = table.clone().into_parts();
    parts.revision = 5;
    let again = Content::Table { table: Table::new(parts).expect("a table"), encoder: self::parts(bundle()).1.into() };
    workstation.push(&device, &again).expect("pushed");
    let holds = |bytes: &[u8]| {
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        has(gone.name.as_bytes()) || has(&row[..64])
    };
    assert_eq!(files(&rig.state()).iter().filter(|(_, bytes)| holds(bytes)).count(), 2, "both slots");

    let receipt = workstation.push(&device, &without(gone.id)).expect("pushed");
    assert_eq!(receipt.removed, [gone.id.0]);
    let traces = || -> Vec<_> {
        files(&rig.state()).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
    };
    assert_eq!(traces(), Vec::<std::path::PathBuf>::new());
    let kept = files(workstation.site.dir());
    assert!(kept.iter().all(|(_, bytes)| !holds(bytes)), "nothing is left at the workstation's site either");

    // A rollback brings everybody back except the removed person.
    let mut client = workstation.client(&device).expect("connected");
    let Answer::Installed(_) = client.ask(&Request::Rollback).expect("gone back") else { panic!("no receipt") };
    let people = client.people().expect("people");
    assert_eq!(people.len(), table.len() - 1);
    assert!(people.iter().all(|person| person.id != gone.id.into()));
    assert_eq!(traces(), Vec::<std::path::PathBuf>::new());
    let entries = rig.entries().expect("an audit log");
    assert!(entries.iter().any(|entry| matches!(entry, Entry::Installed { removed: 1, .. })), "{entries:?}");
    assert!(entries.iter().any(|entry| matches!(entry, Entry::RolledBack { .. })));
}

#[test]
fn a_removal_that_a_power_cut_interrupted_is_finished_at_the_start() {
    use lintel_edge::io::disk::RealDisk;
    use lintel_edge::slots::Slots;
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    workstation.push(&device, &without(PersonId(0))).expect("pushed");
    let slots = Slots::new(&rig.state(), RealDisk);
    let other = slots.dir(slots.current().expect("readable").expect("installed").other());
    // The table was replaced and its manifest was not: the slot is deleted.
    fs::write(other.join("table.lintel"), lintel_formats::table::to_bytes(&parts(bundle()).0)).expect("written");
    slots.scrub(|id| id != PersonId(0)).expect("scrubbed");
    assert!(!other.exists());
    assert_eq!(slots.previous_revision(), None);
    let error =
        workstation.client(&device).expect("connected").ask(&Request::Rollback).expect_err("nothing to go back to");
    assert!(error.to_string().contains(&Refusal::NoPrevious.to_string()), "{error}");
}

#[test]
fn what_was_pushed_runs_after_a_restart_and_the_device_still_knows_whom() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    let receipt = workstation.push(&device, &without(PersonId(1))).expect("pushed");
    let head = rig.audit_log.newest();
    let rig = rig.restarted().expect("up again");
    assert!(rig.audit_log.newest().sequence >= head.sequence);
    let device = KnownDevice { address: rig.address().to_string(), ..device };
    let status = workstation.client(&device).expect("connected").status().expect("a status");
    assert_eq!(push::running(&status).expect("a manifest").revision, receipt.revision);
    assert_eq!((status.versions, status.people), ([1, 1, 1], world::ENROLLED - 1));
    workstation.push(&device, &bundle()).expect("and takes the next push");
}

/// A proxy to the device that cuts each connection after `after` bytes.
fn cutting_proxy(target: std::net::SocketAddr, after: u64) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let cuts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&cuts);
    thread::spawn(move || {
        for caller in listener.incoming().flatten() {
            let Ok(mut device) = TcpStream::connect(target) else { continue };
            let (mut caller, cuts) = (caller, Arc::clone(&counted));
            let (mut from, mut to) = (device.try_clone().expect("a socket"), caller.try_clone().expect("a socket"));
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || {
                let mut left = after;
                let mut buffer = [0; 16_384];
                while let Ok(got @ 1..) = caller.read(&mut buffer) {
                    if got as u64 > left {
                        cuts.fetch_add(1, Ordering::SeqCst);
                        let _ = caller.shutdown(std::net::Shutdown::Both);
                        let _ = device.shutdown(std::net::Shutdown::Both);
                        return;
                    }
                    left -= got as u64;
                    if device.write_all(&buffer[..got]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, cuts)
}

#[test]
fn a_push_goes_on_after_every_cut() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    // Another detector, so that there is a model to send: one byte of its name is changed.
    let Content::Bundle(LoadedBundle { manifest, mut files, table }) = bundle() else { panic!("a bundle") };
    let mut detector = files[Role::Detector].to_vec();
    let producer = b"lintel";
    let at = detector.windows(producer.len()).position(|window| window == producer).expect("the producer's name");
    detector[at] = b'L';
    let manifest = manifest.with(Role::Detector, &detector);
    let size = detector.len() as u64;
    files.put(Role::Detector, detector);
    let mut parts = table.into_parts();
    parts.revision = 9;
    let table = Table::new(parts).expect("a table");
    let content = Content::Bundle(LoadedBundle { manifest, files, table });
    let status = workstation.client(&device).expect("connected").status().expect("a status");
    let parcel = workstation.parcel(&content, &status).expect("a parcel");
    // Fewer bytes than the file, more than one piece: several cuts, with progress in each try.
    let (address, cuts) = cutting_proxy(rig.address(), 500_000.max(size / 3));
    let through = KnownDevice { address, ..device };
    let receipt = push::push(&workstation.site, &through, &parcel, &[], 3, Progress::ignored()).expect("pushed");
    assert_eq!(receipt.revision, 9);
    assert!(cuts.load(Ordering::SeqCst) >= 1, "the way was cut");
}

#[test]
fn one_push_at_a_time() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    let status = workstation.client(&device).expect("connected").status().expect("a status");
    let parcel = workstation.parcel(&without(PersonId(0)), &status).expect("a parcel");
    let devices = [device.fingerprint()];
    let signed = workstation
        .site
        .publish(&parcel.entries, (&parcel.manifest, &parcel.table), &devices, [1, 1, 1])
        .expect("signed");
    let mut first = workstation.client(&device).expect("connected");
    lintel_tests::rigs::link::offer(&mut first, &signed).expect("sound");
    let error = workstation.push(&device, &without(PersonId(0))).expect_err("busy").to_string();
    assert!(error.contains("another push"), "{error}");
    drop(first);
    let soon = (0..50).any(|_| {
        thread::sleep(std::time::Duration::from_millis(100));
        workstation.push(&device, &without(PersonId(0))).is_ok()
    });
    assert!(soon, "the place is free again");
}

#[test]
fn a_bundle_that_was_left_on_the_command_line_does_not_undo_a_push() {
    use lintel_edge::compose::RunOptions;
    use lintel_edge::compose::bundle;
    use lintel_edge::config::Config;
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    workstation.push(&device, &without(PersonId(3))).expect("pushed");
    let options = RunOptions {
        config: Config::default(),
        bundle: Some(world().bundle()),
        state: rig.state(),
        events: None,
        fast: false,
        cache: lintel_work::places::cache(),
        fetch: true,
        recorded: None,
    };
    let runs = bundle::open(&options).expect("a bundle");
    assert_eq!((runs.manifest.revision, runs.table.person(PersonId(3))), (2, None));
}
