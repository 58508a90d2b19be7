//! A full disk, and a place that cannot be written: exit code 1, one line, nothing changed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{World, copy, fixture, refused};

/// A file system of a given size, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Only root may mount one, and not on every machine.
    fn mount(test: &str, kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            // Written past the test harness, which would capture it.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: a small tmpfs cannot be mounted here");
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let cases: [(&[&str], &str, &str); 5] = [
        (&["render", "--people", "2", "--photos", "4", "--seconds", "1"], "out", "render.json"),
        (&["ingest", "rendered/photos"], "out", "people.json"),
        (&["train", "faces", "--epochs", "1", "--rule", "paper"], "out", "train.json"),
        (&["export", "trained"], "out", "manifest.lintel"),
        (&["evaluate", "bundle", "rendered/recordings"], "out", "report.json"),
    ];
    for (args, name, marker) in cases {
        let Some(disk) = SmallDisk::mount("a_full_disk_leaves_what_was_there", 64) else { return };
        let out = disk.path().join(name);
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join(marker), "what was there").unwrap();
        // Fills the disk except for a block or two.
        let free = if args[0] == "evaluate" { 0 } else { 8 << 10 };
        let mut filler = vec![0_u8; (64 << 10) - 8192 - free];
        while std::fs::write(disk.path().join("filler"), &filler).is_err() {
            filler.truncate(filler.len().saturating_sub(4096));
        }
        if args[0] == "evaluate" {
            let _ = std::fs::write(disk.path().join("more"), vec![0; 8192]);
        }

        let world = World::new();
        for folder in ["rendered", "faces", "trained", "bundle"] {
            copy(&fixture().path(folder), &world.path(folder));
        }
        let out_text = out.display().to_string();
        let output = world.lintel(&[args, &["--out", &out_text, "--json"]].concat());
        refused(&output, 1, "the disk is full");
        assert_eq!(std::fs::read(out.join(marker)).unwrap(), b"what was there", "{args:?}");
        let left: Vec<PathBuf> = std::fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!left.iter().any(|path| path.to_string_lossy().ends_with(".partial")), "{args:?}: {left:?}");
    }
}

#[test]
fn a_place_that_cannot_be_written() {
    let world = World::new();
    let output = world.lintel(&["render", "--people", "1", "--out", "/proc/lintel-out", "--json"]);
    refused(&output, 1, "cannot write /proc/lintel-out.partial");
    let output = world.lintel(&["report", "faces", "--out", "/proc/report.html"]);
    refused(&output, 2, "faces: no such file or folder");
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_old_one() {
    let world = World::new();
    world.copy("faces");
    let Some(disk) = SmallDisk::mount("a_report_that_cannot_be_written_leaves_the_old_one", 16) else { return };
    let page = disk.path().join("report.html");
    std::fs::write(&page, "the old one").unwrap();
    let output = world.lintel(&["report", "faces", "--out", &page.display().to_string()]);
    refused(&output, 1, "the disk is full");
    assert_eq!(std::fs::read(&page).unwrap(), b"the old one");
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 1, "no half page is left");
}
