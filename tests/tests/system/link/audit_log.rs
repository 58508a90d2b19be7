//! The audit log of a process that is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use lintel_edge::audit_log::AuditLog;
use lintel_edge::io::clock::{Clocks, WallClock};
use lintel_tests::rigs::link::clock;

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut least = 0;
    for round in 0..8_u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_audit_log_writer"))
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let out = child.stdout.take().expect("piped");
        let reader = thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.filter_map(|line| line.parse::<u64>().ok()).last()
        });
        thread::sleep(Duration::from_millis(150 + round * 37));
        child.kill().expect("killed");
        child.wait().expect("gone");
        let acknowledged = reader.join().expect("no panic").expect("something was acknowledged");
        assert!(acknowledged > least, "{acknowledged}");
        let audit_log =
            AuditLog::open(folder.path(), 100_000, &Clocks { monotonic: clock(), wall: WallClock::new(|| 1) })
                .expect("opens");
        let found = audit_log.newest().sequence;
        assert!(found >= acknowledged, "{found} of {acknowledged}");
        audit_log.verify().expect("the chain holds");
        assert!(!folder.path().join("journal.damaged-1").exists());
        least = found;
    }
}
