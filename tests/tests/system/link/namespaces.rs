//! Two doors in their own network namespaces, with the programs that ship: a slow line, a cut line, a door that is
//! gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use lintel_core::table::PersonId;
use lintel_site::device::pair;
use lintel_tests::recordings::recording;
use lintel_tests::rigs::link::{TestWorkstation, offer};
use lintel_tests::rigs::programs::{daemon, program};
use lintel_tests::story::{Visit, Who};
use lintel_wire::event::{self, EventKind};
use lintel_wire::value::Strike;
use tempfile::TempDir;

use crate::contents::without;
use crate::world;

const PORT: u16 = 7443;

fn ip(arguments: &str) -> bool {
    let done = Command::new("ip").args(arguments.split_whitespace()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// A door behind its own network line.
struct Door {
    name: String,
    /// The near end of the line.
    line: String,
    address: String,
    state: PathBuf,
    daemon: Option<Child>,
}

impl Door {
    /// `None` if network namespaces cannot be made here.
    fn new(index: u8, folder: &Path) -> Option<Self> {
        let id = std::process::id() % 10_000;
        let (name, line, end) = (format!("lintel{id}d{index}"), format!("lt{id}h{index}"), format!("lt{id}n{index}"));
        let network = format!("10.{}.{}", 100 + id % 100, 2 * index);
        let door = Self { address: format!("{network}.2"), state: folder.join(&name), name, line, daemon: None };
        let (name, line) = (&door.name, &door.line);
        let up = ip(&format!("netns add {name}"))
            && ip(&format!("link add {line} type veth peer name {end} netns {name}"))
            && ip(&format!("addr add {network}.1/24 dev {line}"))
            && ip(&format!("-n {name} addr add {network}.2/24 dev {end}"))
            && ip(&format!("link set {line} up"))
            && ip(&format!("-n {name} link set {end} up"))
            && ip(&format!("-n {name} link set lo up"));
        up.then_some(door)
    }

    fn start(&mut self, edge: &Path, recordings: &[PathBuf]) {
        fs::create_dir_all(&self.state).expect("a folder");
        let config = self.state.join("door.toml");
        let text = format!("[network]\nlisten = \"0.0.0.0:{PORT}\"\nname = \"{}\"\nannounce = false\n", self.name);
        fs::write(&config, text).expect("written");
        let daemon = daemon(edge, &["ip", "netns", "exec", &self.name])
            .arg("--bundle")
            .arg(world().bundle())
            .arg("--state")
            .arg(self.state.join("state"))
            .arg("--events")
            .arg(self.state.join("events"))
            .arg("--config")
            .arg(config)
            .arg("--replay")
            .args(recordings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        self.daemon = Some(daemon);
    }

    fn pairing_code(&self, edge: &Path) -> String {
        for _ in 0..100 {
            let asked = Command::new(edge).args(["pair", "--json", "--state"]).arg(self.state.join("state")).output();
            let text = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(code) = value.pointer("/pairing/code").and_then(|code| code.as_str()) {
                return code.to_owned();
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{} gives no code", self.name);
    }

    fn events(&self) -> Vec<EventKind> {
        let bytes = fs::read(self.state.join("events")).unwrap_or_default();
        event::events(&bytes).map_while(Result::ok).map(|event| event.kind).collect()
    }

    fn releases(&self) -> usize {
        self.events().iter().filter(|kind| matches!(kind, EventKind::Relay(Strike::Released))).count()
    }

    /// Prints the times from the first sharp frame to the verdict. They are judged by the program
    /// `decision_time_under_load`.
    fn say_times(&self, what: &str) {
        let mut times: Vec<u128> = self
            .events()
            .iter()
            .filter_map(|kind| match kind {
                EventKind::Decision(decision) => Some(decision.decided.since(decision.first_sharp).as_millis()),
                _ => None,
            })
            .collect();
        times.sort_unstable();
        eprintln!("{what}: sharp frame to verdict, ms: {times:?}");
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        // The line is deleted with the namespace.
        ip(&format!("netns del {}", self.name));
    }
}

struct Workstation {
    lintel: PathBuf,
    site: PathBuf,
}

impl Workstation {
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.lintel)
            .args(arguments)
            .arg("--site")
            .arg(&self.site)
            .stdin(Stdio::null())
            .output()
            .expect("run")
    }

    fn works(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

pub fn visit() -> Visit {
    Visit::of(vec![Who::Enrolled(1)], 6.0)
}

#[test]
fn two_doors_behind_bad_lines() {
    let (Some(edge), Some(lintel)) = (program("lintel-edge"), program("lintel")) else { return };
    let folder = TempDir::new().expect("a folder");
    let (Some(mut hall), Some(mut yard)) = (Door::new(0, folder.path()), Door::new(1, folder.path())) else {
        eprintln!(
            "SKIPPED two_doors_behind_bad_lines: this machine gives no network namespaces (it takes root and `ip`)"
        );
        return;
    };
    let played = recording(&visit(), &world().kept()).expect("rendered");
    // The same person again and again, for longer than the test takes.
    let visits = vec![played; 30];
    for door in [&mut hall, &mut yard] {
        door.start(&edge, &visits);
    }
    let workstation = Workstation { lintel, site: folder.path().join("site") };
    workstation.works(&["keys", "new"]);
    for (door, name) in [(&hall, "hall"), (&yard, "yard")] {
        let code = door.pairing_code(&edge);
        workstation.works(&["device", "pair", &door.address, "--name", name, "--code", &code]);
    }
    let bundle = world().bundle();
    let trained = bundle.parent().expect("a folder").join("trained");
    let (bundle, trained) = (bundle.to_str().expect("text"), trained.to_str().expect("text"));
    workstation.works(&["push", "hall", "yard", bundle, "--yes"]);
    workstation.works(&["device", "revoke", "yard", "--person", "5", "--yes"]);
    let people = workstation.works(&["device", "people", "yard"]);
    assert_eq!(people.lines().count(), 5, "{people}");

    // A line of 2 Mbit/s with a short queue that drops packets; it is cut during a push.
    let slow = format!("qdisc add dev {} root tbf rate 2mbit burst 16kbit latency 20ms", hall.line);
    let slowed = Command::new("tc").args(slow.split_whitespace()).status().is_ok_and(|status| status.success());
    if !slowed {
        eprintln!("SKIPPED the slow line: this machine has no `tc` with tbf");
    }
    let line = hall.line.clone();
    let cutting = thread::spawn(move || {
        thread::sleep(Duration::from_millis(600));
        assert!(ip(&format!("link set {line} down")));
        thread::sleep(Duration::from_secs(3));
        assert!(ip(&format!("link set {line} up")));
    });
    let opened = (hall.releases(), yard.releases());
    workstation.works(&["push", "hall", "yard", trained, "--yes", "--retries", "20"]);
    cutting.join().expect("no panic");

    // One door cannot be reached: the other answers, and the exit code and the output say which did not.
    assert!(ip(&format!("link set {} down", yard.line)));
    let output = workstation.run(&["device", "status", "hall", "yard"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().any(|line| line.starts_with("hall: pack mini")), "{text}");
    assert!(ip(&format!("link set {} up", yard.line)));
    workstation.works(&["device", "status", "yard"]);
    for name in ["hall", "yard"] {
        let log = workstation.works(&["device", "log", name, "--csv"]);
        assert!(log.contains(",recognised,") && log.contains(",installed,"), "{log}");
    }
    // The doors kept working all the time.
    for _ in 0..100 {
        if hall.releases() > opened.0 && yard.releases() > opened.1 {
            hall.say_times("slow line that loses and is cut");
            yard.say_times("cut at the end");
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("a door stopped opening: {opened:?}, then {:?}", (hall.releases(), yard.releases()));
}

/// A workstation that vanishes during a push without closing its connections: its end of the line gets another address,
/// so that no packet arrives in either direction.
#[test]
fn a_workstation_that_vanishes_keeps_nobody_from_pushing() {
    let Some(edge) = program("lintel-edge") else { return };
    let folder = TempDir::new().expect("a folder");
    let Some(mut door) = Door::new(4, folder.path()) else {
        eprintln!("SKIPPED a_workstation_that_vanishes_keeps_nobody_from_pushing: no network namespaces here");
        return;
    };
    let played = recording(&visit(), &world().kept()).expect("rendered");
    door.start(&edge, &vec![played; 30]);
    let workstation = TestWorkstation::new().expect("a workstation");
    let code = door.pairing_code(&edge).parse().expect("a code");
    let address = format!("{}:{PORT}", door.address);
    let device = pair::pair(&workstation.site, &address, "gone", "workstation", |_| Ok(code)).expect("paired");

    let mut lost = Vec::new();
    for _ in 0..5 {
        lost.push(workstation.client(&device).expect("connected"));
    }
    let content = without(PersonId(0));
    let status = lost[0].status().expect("a status");
    let parcel = workstation.parcel(&content, &status).expect("a parcel");
    let (devices, bound) = ([device.fingerprint()], (&parcel.manifest, &parcel.table));
    let signed = workstation.site.publish(&parcel.entries, bound, &devices, [1, 1, 1]).expect("signed");
    offer(&mut lost[0], &signed).expect("sound: from here on nobody else pushes");
    let network = door.address.rsplit_once('.').expect("an address").0.to_owned();
    assert!(ip(&format!("link set {} down", door.line)));
    assert!(ip(&format!("addr del {network}.1/24 dev {}", door.line)));
    assert!(ip(&format!("addr add {network}.3/24 dev {}", door.line)));
    drop(lost);
    assert!(ip(&format!("link set {} up", door.line)));

    let opened = door.releases();
    let pushed = (0..60).any(|_| {
        let done = workstation.push(&device, &content);
        if done.is_err() {
            thread::sleep(Duration::from_secs(1));
        }
        done.is_ok()
    });
    assert!(pushed, "the place of the one that is gone is free again");
    let opens = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(100));
        door.releases() > opened
    });
    assert!(opens, "the door went on");
    door.say_times("half-open connections");
}
