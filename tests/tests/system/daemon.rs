//! The daemon's program on recordings: to the end, up to a damaged frame, and under signals.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use lintel_inference::{LoadedBundle, library};
use lintel_tests::recordings::recording;
use lintel_tests::story::{Visit, Who};
use lintel_wire::event::{self, EventKind};
use lintel_wire::value::Strike;

use crate::world;

/// The path of the daemon. Prints SKIPPED and returns `None` if it was not built.
fn program(test: &str) -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let program = exe.parent()?.parent()?.join("lintel-edge");
    if program.is_file() {
        return Some(program);
    }
    eprintln!("SKIPPED {test}: {} is absent; build it with `cargo build --release`", program.display());
    None
}

fn visit(damaged_frame: Option<usize>) -> PathBuf {
    let visit = Visit { damaged_frame, ..Visit::of(vec![Who::Enrolled(1)], 6.0) };
    recording(&visit, &world().kept()).expect("the recording is rendered")
}

fn start(program: &Path, recording: &Path, state: &Path, more: &[&str]) -> Child {
    start_with(program, recording, state, more, &[])
}

fn start_with(program: &Path, recording: &Path, state: &Path, more: &[&str], environment: &[(&str, &OsStr)]) -> Child {
    let runtime =
        library::find(&lintel_work::places::runtime().library).expect("ONNX Runtime is there or can be fetched");
    Command::new(program)
        .envs(environment.iter().copied())
        .args(["run", "--bundle"])
        .arg(world().bundle())
        .arg("--replay")
        .arg(recording)
        .arg("--state")
        .arg(state)
        .arg("--events")
        .arg(state.with_extension("events"))
        .arg("--onnxruntime")
        .arg(runtime)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the daemon starts")
}

fn finish(child: Child) -> (i32, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the daemon ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// The relay's edges in the event file, and whether its last event is `Stopped`.
fn edges(state: &Path) -> (Vec<Strike>, bool) {
    let bytes = std::fs::read(state.with_extension("events")).expect("the event file");
    let events: Vec<_> = event::events(&bytes).collect::<Result<_, _>>().expect("whole messages");
    let strikes = events
        .iter()
        .filter_map(|event| if let EventKind::Relay(strike) = event.kind { Some(strike) } else { None })
        .collect();
    (strikes, events.last().is_some_and(|event| event.kind == EventKind::Stopped))
}

#[test]
fn a_fast_run_ends_well_and_a_slow_one_says_the_same() {
    let Some(program) = program("a_fast_run_ends_well_and_a_slow_one_says_the_same") else { return };
    for more in [&["--fast"][..], &[]] {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let (code, stdout, stderr) = finish(start(&program, &visit(None), &state, more));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        assert_eq!(edges(&state), (vec![Strike::Released, Strike::Locked], true), "{more:?}: {stdout}");
        assert!(stdout.contains("strike     released") && stdout.contains("faults    none"), "{stdout}");
        assert!(state.join("display/display.png").is_file());
    }
}

#[test]
fn json_is_json_to_the_end() {
    let Some(program) = program("json_is_json_to_the_end") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (code, stdout, _) = finish(start(&program, &visit(None), &folder.path().join("state"), &["--fast", "--json"]));
    assert_eq!(code, 0);
    let lines: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let report = &lines.last().expect("lines")["report"];
    assert_eq!((&report["captured"], &report["known"]), (&60.into(), &1.into()));
}

#[test]
fn a_damaged_frame_is_one_clear_line_and_exit_code_2() {
    let Some(program) = program("a_damaged_frame_is_one_clear_line_and_exit_code_2") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let damaged = visit(Some(40));
    let (code, _, stderr) = finish(start(&program, &damaged, &state, &["--fast"]));
    assert_eq!(code, 2, "{stderr}");
    let said = stderr.lines().last().expect("a line");
    assert!(said.starts_with("lintel-edge: ") && said.contains("frame 40"), "{stderr}");
    assert!(said.contains(damaged.file_name().and_then(|n| n.to_str()).expect("a name")), "{stderr}");
    let (strikes, stopped) = edges(&state);
    assert_eq!((strikes.last(), stopped), (Some(&Strike::Locked), true), "the door was locked, and the file is whole");
}

/// A signal at any time: no edge but relocking, a whole event file, and a bundle that is either installed or not.
#[test]
fn a_signal_at_any_point_makes_no_edge_but_relocking() {
    let Some(program) = program("a_signal_at_any_point_makes_no_edge_but_relocking") else { return };
    for (signal, after_ms) in [("INT", 30), ("TERM", 100), ("INT", 300), ("TERM", 1000), ("INT", 2500), ("TERM", 4000)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let mut child = start(&program, &visit(None), &state, &[]);
        thread::sleep(Duration::from_millis(after_ms));
        let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        let mut stdout = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut stdout).expect("text");
        let status = child.wait().expect("the daemon ends");
        if !state.with_extension("events").is_file() {
            continue; // So early that nothing had begun.
        }
        let (strikes, stopped) = edges(&state);
        if status.code() == Some(130) {
            assert!(stopped, "{signal} after {after_ms} ms: {stdout}");
        }
        let wanted: [&[Strike]; 2] = [&[], &[Strike::Released, Strike::Locked]];
        assert!(wanted.contains(&strikes.as_slice()), "{signal} after {after_ms} ms: {strikes:?}");
        // The next run works, whatever was interrupted.
        let (code, _, stderr) = finish(start(&program, &visit(None), &state, &["--fast"]));
        assert_eq!((code, stderr.as_str()), (0, ""), "after {signal} at {after_ms} ms");
        let slots = lintel_edge::slots::Slots::new(&state, lintel_edge::io::disk::RealDisk);
        let slot = slots.current().expect("readable").expect("installed");
        LoadedBundle::load(&slots.dir(slot)).expect("whole");
    }
}

/// systemd gets READY when the door is ready, and then WATCHDOG at intervals while every stage is alive.
#[test]
fn systemd_is_told_that_the_daemon_is_ready_and_alive() {
    let Some(program) = program("systemd_is_told_that_the_daemon_is_ready_and_alive") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a bound");
    let state = folder.path().join("state");
    let environment = [("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", OsStr::new("400000"))];
    let mut daemon = start_with(&program, &visit(None), &state, &[], &environment);
    let mut said = Vec::new();
    for _ in 0..4 {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).expect("the daemon says something in time");
        said.push(String::from_utf8_lossy(&message[..length]).trim().to_owned());
    }
    assert_eq!(said, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    daemon.kill().expect("it runs");
    daemon.wait().expect("it ends");
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let Some(program) = program("a_second_daemon_on_the_same_state_is_refused") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let mut first = start(&program, &visit(None), &state, &[]);
    while !state.with_extension("events").is_file() {
        thread::sleep(Duration::from_millis(10));
    }
    let (code, _, stderr) = finish(start(&program, &visit(None), &state, &["--fast"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("another lintel-edge uses this state folder"), "{stderr}");
    first.kill().expect("it runs");
    first.wait().expect("it ends");
}
