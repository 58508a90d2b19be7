//! A device on a full, a read-only and a slow disk (real file systems): the door keeps working.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_site::devices::KnownDevice;
use lintel_tests::recordings::recording;
use lintel_tests::rigs::link::{TestDevice, TestWorkstation};
use lintel_tests::rigs::programs::{daemon, program};
use lintel_wire::event::{self, EventKind};
use lintel_wire::link::{Refusal, Request};
use lintel_wire::value::{Fault, Strike};
use tempfile::TempDir;

use crate::contents::{bundle, without};
use crate::world;

/// More space than any test needs.
const BIG: &str = "size=100000k";
/// The mount option that makes ext4 refuse writes, as the kernel does when a card fails.
const FAILED: &str = "abort";

/// A file system for one test.
struct Disk {
    place: PathBuf,
    image: Option<PathBuf>,
    _folder: TempDir,
}

fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Disk {
    /// A file system in memory, whose size can change. Prints SKIPPED and returns `None` if mounting is not allowed.
    fn in_memory() -> Option<Self> {
        let disk = Self::folder(None);
        let mounted = works(Command::new("mount").args(["-t", "tmpfs", "-o", BIG, "tmpfs"]).arg(&disk.place));
        disk.if_mounted(mounted)
    }

    /// An ext4 file system in a file, like that on a device's card.
    fn on_a_card() -> Option<Self> {
        let disk = Self::folder(Some("card"));
        let image = disk.image.as_ref().expect("it has one");
        fs::write(image, [])
            .and_then(|()| fs::File::options().write(true).open(image)?.set_len(128 << 20))
            .expect("room");
        let made = works(Command::new("mkfs.ext4").arg("-q").arg(image)) && disk.insert();
        disk.if_mounted(made)
    }

    fn folder(image: Option<&str>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let place = folder.path().join("disk");
        fs::create_dir(&place).expect("a folder");
        Self { place, image: image.map(|name| folder.path().join(name)), _folder: folder }
    }

    fn if_mounted(self, mounted: bool) -> Option<Self> {
        if !mounted {
            eprintln!("SKIPPED a test of disks: this machine mounts no file systems (it takes root and loop devices)");
        }
        mounted.then_some(self)
    }

    fn insert(&self) -> bool {
        let image = self.image.as_ref().expect("a card");
        works(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&self.place))
    }

    /// Unmounts the card, checks it, and mounts it again.
    fn repair(&self) {
        let image = self.image.as_ref().expect("a card");
        assert!(works(Command::new("umount").arg(&self.place)), "nobody has files open");
        // Exit code 1: errors were corrected.
        let _ = works(Command::new("e2fsck").arg("-fy").arg(image));
        assert!(self.insert());
    }

    fn state(&self) -> PathBuf {
        self.place.join("state")
    }

    fn remount(&self, options: &str) {
        assert!(works(Command::new("mount").arg("-o").arg(format!("remount,{options}")).arg(&self.place)), "{options}");
    }

    fn kilobytes(&self) -> u64 {
        fn all(folder: &Path) -> u64 {
            let entries = fs::read_dir(folder).expect("a folder").flatten();
            entries
                .map(|entry| match entry.metadata() {
                    Ok(meta) if meta.is_dir() => all(&entry.path()),
                    Ok(meta) => meta.len().div_ceil(4096) * 4,
                    Err(_) => 0,
                })
                .sum()
        }
        all(&self.place)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}

#[test]
fn a_push_to_a_full_disk_is_refused_and_goes_on_when_there_is_room() {
    let Some(disk) = Disk::in_memory() else { return };
    let rig = TestDevice::on(&disk.state(), &world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    let before = workstation.client(&device).expect("connected").status().expect("a status");
    // Space for a part of a bundle.
    disk.remount(&format!("size={}k", disk.kilobytes() + 1000));
    let error = workstation.push(&device, &without(PersonId(0))).expect_err("no room").to_string();
    assert!(error.contains(&Refusal::Storage.to_string()) && error.contains("No space left"), "{error}");
    let after = workstation.client(&device).expect("connected").status().expect("a status");
    assert_eq!((after.manifest, after.people, after.versions), (before.manifest, before.people, before.versions));
    disk.remount(BIG);
    let receipt = workstation.push(&device, &without(PersonId(0))).expect("there is room");
    assert_eq!(receipt.removed, [0]);
    // Entries that the disk refused are written as soon as there is space.
    rig.audit_log.keep([]).expect("the disk takes it");
    assert!(rig.refusals().expect("an audit log").contains(&Refusal::Storage));
    rig.audit_log.verify().expect("whole");
}

#[test]
fn a_read_only_disk_keeps_what_runs() {
    let Some(disk) = Disk::on_a_card() else { return };
    let rig = TestDevice::on(&disk.state(), &world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    disk.remount(FAILED);
    let error = workstation.push(&device, &without(PersonId(0))).expect_err("read-only").to_string();
    assert!(error.contains(&Refusal::Storage.to_string()) && error.contains("Read-only"), "{error}");
    let mut client = workstation.client(&device).expect("connected");
    let error =
        client.ask(&Request::Forget { workstation: workstation.site.identity.fingerprint().0 }).expect_err("read-only");
    assert!(error.to_string().contains(&Refusal::Storage.to_string()), "{error}");
    let status = workstation.client(&device).expect("connected").status().expect("a status");
    assert_eq!(status.people, lintel_tests::world::ENROLLED);
    rig.stopped();
    disk.repair();
    let rig = TestDevice::on(&disk.state(), &world().bundle()).expect("up again");
    let device = KnownDevice { address: rig.address().to_string(), ..device };
    workstation.push(&device, &without(PersonId(0))).expect("it can be written again");
    rig.audit_log.verify().expect("whole");
}

/// If the disk refuses the second half of a removal, there is no receipt, the fault is shown, and the device finishes
/// it.
#[test]
fn a_removal_that_the_disk_interrupts_is_told_and_finished() {
    let Some(disk) = Disk::in_memory() else { return };
    let rig = TestDevice::on(&disk.state(), &world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    workstation.push(&device, &bundle()).expect("pushed");
    workstation.push(&device, &without(PersonId(1))).expect("pushed");
    // A folder in the place of the older slot's new manifest: only that write fails.
    let slots = lintel_edge::slots::Slots::new(&rig.state(), lintel_edge::io::disk::RealDisk);
    let older = slots.dir(slots.current().expect("readable").expect("installed"));
    fs::create_dir(older.join("manifest.lintel.next")).expect("a folder");
    // The push writes to the other slot, so the slot with the folder in the way is then the older one.
    let error = workstation.push(&device, &without(PersonId(2))).expect_err("no receipt").to_string();
    assert!(error.contains("still in the older bundle"), "{error}");
    let status = workstation.client(&device).expect("connected").status().expect("a status");
    assert!(status.faults.iter().any(|words| words.contains("older bundle")), "{:?}", status.faults);
    fs::remove_dir(older.join("manifest.lintel.next")).expect("out of the way");
    let finished = (0..300).any(|_| {
        thread::sleep(Duration::from_millis(100));
        workstation.client(&device).is_ok_and(|mut client| client.status().is_ok_and(|status| status.faults.is_empty()))
    });
    assert!(finished, "the device goes on by itself");
    let people = fs::read(older.join("table.lintel"))
        .ok()
        .map(|bytes| lintel_formats::table::from_bytes(&bytes).expect("a table").person(PersonId(2)).is_some());
    assert_ne!(people, Some(true), "nobody can be got back");
}

/// A daemon with a camera, whose state is on the given disk.
struct Door {
    daemon: Child,
    events: PathBuf,
    _folder: TempDir,
}

impl Door {
    fn start(edge: &Path, state: &Path, before: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (events, config) = (folder.path().join("events"), folder.path().join("door.toml"));
        fs::write(&config, "[network]\nlisten = \"127.0.0.1:0\"\nannounce = false\n").expect("written");
        let played = recording(&super::namespaces::visit(), &world().kept()).expect("rendered");
        let daemon = daemon(edge, before)
            .args(["--bundle".as_ref(), world().bundle().as_os_str(), "--state".as_ref(), state.as_os_str()])
            .args([
                "--events".as_ref(),
                events.as_os_str(),
                "--config".as_ref(),
                config.as_os_str(),
                "--replay".as_ref(),
            ])
            .args(vec![played; 60])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        Self { daemon, events, _folder: folder }
    }

    /// Stops the daemon with SIGTERM.
    fn stop(&mut self) {
        let id = self.daemon.id().to_string();
        assert!(works(Command::new("kill").args(["-TERM", &id])));
        let gone = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(100));
            self.daemon.try_wait().is_ok_and(|status| status.is_some())
        });
        assert!(gone, "the daemon stops");
    }

    fn events(&self) -> Vec<EventKind> {
        let bytes = fs::read(&self.events).unwrap_or_default();
        event::events(&bytes).map_while(Result::ok).map(|event| event.kind).collect()
    }

    fn count(&self, wanted: &EventKind) -> usize {
        self.events().iter().filter(|kind| *kind == wanted).count()
    }

    /// Waits until an event has happened more often than `than`.
    fn more(&self, wanted: &EventKind, than: usize, what: &str) {
        let happened = (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            self.count(wanted) > than
        });
        assert!(happened, "{what}: {:?}", self.events().iter().rev().take(20).collect::<Vec<_>>());
    }

    fn opens(&self, what: &str) {
        self.more(&RELEASED, self.count(&RELEASED), what);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

const RELEASED: EventKind = EventKind::Relay(Strike::Released);
const FAULT: EventKind = EventKind::Fault(Fault::Storage);
const CLEARED: EventKind = EventKind::FaultCleared(Fault::Storage);

#[test]
fn a_door_goes_on_while_its_disk_is_full() {
    let (Some(edge), Some(disk)) = (program("lintel-edge"), Disk::in_memory()) else { return };
    let mut door = Door::start(&edge, &disk.state(), &[]);
    door.opens("it opens");
    disk.remount(&format!("size={}k", disk.kilobytes()));
    let _ = fs::write(disk.place.join("filler"), vec![0; 4 << 20]);
    door.more(&FAULT, 0, "a full disk is a fault");
    door.opens("with a full disk");
    assert_eq!((door.count(&FAULT), door.count(&CLEARED)), (1, 0), "told once, for as long as it lasts");
    disk.remount(BIG);
    door.more(&CLEARED, 0, "and is over when there is room");
    door.stop();
    let rows = lintel_edge::audit_log::rows(&disk.state()).expect("an audit log");
    let (noted, seen) = (rows.iter().filter(|row| row.what == "relay").count(), door.count(&RELEASED) * 2);
    assert!(noted + 1 >= seen, "what could not be written waited, and was: {noted} of {seen} edges");
}

#[test]
fn a_door_goes_on_while_its_disk_is_read_only() {
    let (Some(edge), Some(disk)) = (program("lintel-edge"), Disk::on_a_card()) else { return };
    let mut door = Door::start(&edge, &disk.state(), &[]);
    door.opens("it opens");
    disk.remount(FAILED);
    door.more(&FAULT, 0, "a read-only disk is a fault");
    door.opens("with a read-only disk");
    door.stop();
    // A start on such a disk: nothing can be logged, and enrolled people get in.
    let mut door = Door::start(&edge, &disk.state(), &[]);
    door.more(&FAULT, 0, "a read-only disk is a fault at the start");
    door.opens("it starts with a read-only disk");
    door.stop();
    disk.repair();
    let mut door = Door::start(&edge, &disk.state(), &[]);
    door.opens("with a disk that was repaired");
    assert_eq!(door.count(&FAULT), 0);
    door.stop();
    let rows = lintel_edge::audit_log::rows(&disk.state()).expect("an audit log");
    assert!(rows.iter().any(|row| row.what == "relay"));
}

/// `strace` delays every sync by half a second: entries wait, frames do not.
#[test]
fn a_door_goes_on_while_its_disk_is_slow() {
    let Some(edge) = program("lintel-edge") else { return };
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED a_door_goes_on_while_its_disk_is_slow: there is no strace here");
        return;
    }
    let folder = TempDir::new().expect("a folder");
    // With -D the child process is the daemon, not strace, so that stopping it stops the daemon.
    let slow = ["strace", "-D", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"];
    let held = ["-e", "inject=fsync,fdatasync:delay_enter=500000"];
    let door = Door::start(&edge, &folder.path().join("state"), &[&slow[..], &held[..]].concat());
    for _ in 0..2 {
        door.opens("it opens");
    }
    let ages: Vec<u64> = door
        .events()
        .iter()
        .filter_map(|kind| match kind {
            EventKind::Decision(decision) => Some(decision.decided.since(decision.captured).as_millis() as u64),
            _ => None,
        })
        .collect();
    assert!(!ages.is_empty() && ages.iter().all(|age| *age < 1000), "no decision waits for the disk: {ages:?} ms");
}
