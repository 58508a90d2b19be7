//! `lintel keys`, `lintel device` and `lintel push` as programs: their output, their files, and what they
//! refuse.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lintel_core::table::PersonId;
use lintel_tests::rigs::link::{TestDevice, TestWorkstation};
use lintel_tests::rigs::programs::program;
use lintel_wire::audit::Entry;
use serde_json::Value;
use tempfile::TempDir;

use crate::contents::without;
use crate::world;

struct Terminal {
    lintel: PathBuf,
    site: PathBuf,
}

/// The exit code and output of a command.
struct Said {
    code: Option<i32>,
    json: Value,
    error: String,
}

impl Terminal {
    fn of(site: &Path) -> Option<Self> {
        Some(Self { lintel: program("lintel")?, site: site.to_owned() })
    }

    fn run(&self, words: &[&str]) -> Said {
        let mut command = Command::new(&self.lintel);
        let output = command.args(words).args(["--json", "--site"]).arg(&self.site).stdin(Stdio::null()).output();
        let output = output.expect("run");
        Said {
            code: output.status.code(),
            json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            error: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }
    }

    fn works(&self, words: &[&str]) -> Value {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{words:?}: {}", said.error);
        said.json
    }

    /// Asserts the exit code, and that the last line of the error, or the JSON, has `part`.
    fn fails(&self, words: &[&str], code: i32, part: &str) {
        let said = self.run(words);
        assert_eq!(said.code, Some(code), "{words:?}: {}", said.error);
        let last = said.error.lines().last().unwrap_or_default();
        let told = last.contains(part) || said.json.to_string().contains(part);
        assert!(told, "{words:?}: {:?} and {} have no {part:?}", said.error, said.json);
    }
}

#[test]
fn keys_are_made_shown_and_rotated() {
    let folder = TempDir::new().expect("a folder");
    let Some(terminal) = Terminal::of(&folder.path().join("site")) else { return };
    terminal.fails(&["keys", "show"], 2, "lintel keys new");
    terminal.fails(
        &["keys", "new", "--root-keys", "2", "--threshold", "3"],
        2,
        "--threshold 3 is more than --root-keys 2",
    );
    let made = terminal.works(&["keys", "new", "--root-keys", "3", "--threshold", "2"]);
    let files: Vec<PathBuf> = serde_json::from_value(made["root_keys"].clone()).expect("paths");
    assert!(files.len() == 3 && files.iter().all(|file| file.is_file()));
    terminal.fails(&["keys", "new"], 2, "already");
    // The root's keys are moved to another folder; two of them are used from there.
    let safe = folder.path().join("safe");
    std::fs::create_dir(&safe).expect("a folder");
    let kept: Vec<PathBuf> = files
        .iter()
        .map(|file| {
            let kept = safe.join(file.file_name().expect("a name"));
            std::fs::rename(file, &kept).expect("moved");
            kept
        })
        .collect();
    let shown = terminal.works(&["keys", "show"]);
    assert_eq!((shown["root"].as_u64(), shown["here"].as_array().map(Vec::len)), (Some(1), Some(3)));
    terminal.fails(&["keys", "rotate", "targets"], 2, "--root-key FILE");
    let one = kept[0].to_str().expect("text");
    terminal.fails(&["keys", "rotate", "targets", "--root-key", one], 2, "1 of the root's keys are here, 2 must sign");
    terminal.fails(&["keys", "rotate", "targets", "--root-key", "/nowhere.key"], 2, "/nowhere.key");
    let two = kept[1].to_str().expect("text");
    let rotated = terminal.works(&["keys", "rotate", "targets", "--root-key", one, "--root-key", two]);
    assert_eq!(rotated["root"], 2);
    let after = terminal.works(&["keys", "show"]);
    let keys = |shown: &Value, role: &str| {
        let roles = shown["roles"].as_array().cloned().unwrap_or_default();
        roles.iter().find(|it| it["role"] == role).map(|it| it["keys"].clone()).expect("the role")
    };
    assert_ne!(keys(&shown, "targets"), keys(&after, "targets"));
    assert_eq!(keys(&shown, "snapshot"), keys(&after, "snapshot"));
    let before = after["workstation"].clone();
    assert_ne!(terminal.works(&["keys", "identity"])["workstation"], before);
}

#[test]
fn a_device_is_looked_at_taken_back_and_forgotten() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let (workstation, other) = (TestWorkstation::new().expect("a workstation"), TempDir::new().expect("a folder"));
    let Some(terminal) = Terminal::of(workstation.site.dir()) else { return };
    let address = rig.address().to_string();
    terminal.fails(&["device", "pair", &address, "--name", "hall"], 2, "--code");
    terminal.fails(&["device", "pair", &address, "--name", "hall", "--code", "12345"], 2, "code");
    terminal.fails(&["device", "pair", &address, "--name", "a/b", "--code", "123456"], 2, "no name for a device");
    terminal.fails(&["device", "pair", &address, "--name", "hall", "--code", "123456"], 1, "lintel-edge pair");
    terminal.fails(&["device", "pair", "127.0.0.1:1", "--name", "hall", "--code", "123456"], 1, "127.0.0.1:1");
    terminal.fails(&["device", "status", "hall"], 2, "hall");
    let code = rig.code().expect("a code");
    let wrong = if code.starts_with('0') { "111111" } else { "000000" };
    terminal.fails(&["device", "pair", &address, "--name", "hall", "--code", wrong], 1, "nothing was paired");
    let paired = terminal.works(&["device", "pair", &address, "--name", "hall", "--code", &code]);
    assert_eq!(paired["fingerprint"].as_str().map(str::len), Some(64));
    assert_eq!(terminal.works(&["device", "list"]).as_array().map(Vec::len), Some(1));

    let device = workstation.site.device("hall").expect("known");
    terminal.fails(&["device", "rollback", "hall", "--yes"], 2, "nothing to go back to");
    workstation.push(&device, &without(PersonId(4))).expect("pushed");
    terminal.fails(&["device", "rollback", "hall"], 2, "--yes");
    let back = terminal.works(&["device", "rollback", "hall", "--yes"]);
    assert!(back.to_string().contains("\"revision\":"), "{back}");
    assert!(rig.entries().expect("an audit log").iter().any(|entry| matches!(entry, Entry::RolledBack { .. })));
    terminal.fails(&["device", "revoke", "hall", "--person", "Nobody Here", "--yes"], 2, "Nobody Here");
    terminal.fails(&["device", "log", "hall", "--since", "soon"], 2, "12h");
    let log = terminal.works(&["device", "log", "hall"]);
    assert!(log["entries"].as_array().is_some_and(|entries| entries.len() >= 3));
    terminal.fails(&["push", "hall", "/nowhere", "--yes"], 2, "/nowhere");
    terminal.fails(&["push", "yard", world().bundle().to_str().expect("text"), "--yes"], 2, "yard");

    // A second workstation, which the first one then removes.
    let second = Terminal { lintel: terminal.lintel.clone(), site: other.path().join("site") };
    copy(workstation.site.dir(), &second.site);
    second.works(&["keys", "identity"]);
    second.fails(&["device", "status", "hall"], 1, "not paired");
    second.works(&["device", "forget", "hall"]);
    let code = rig.code().expect("a code");
    second.works(&["device", "pair", &address, "--name", "hall", "--workstation", "stolen", "--code", &code]);
    let known = terminal.works(&["device", "workstations", "hall"]);
    let stolen = known.as_array().expect("a list").iter().find(|it| it["name"] == "stolen").expect("it").clone();
    let fingerprint = stolen["fingerprint"].as_str().expect("text");
    terminal.fails(&["device", "workstations", "hall", "--forget", "12"], 2, "fingerprint");
    terminal.works(&["device", "workstations", "hall", "--forget", fingerprint]);
    second.fails(&["device", "status", "hall"], 1, "taken off");
    terminal.works(&["device", "forget", "hall"]);
    terminal.fails(&["device", "forget", "hall"], 2, "lintel device pair");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}
