//! For a test that kills it: appends entries to the audit log in a folder, and prints the number of each once it is
//! durable.

use std::io::Write as _;
use std::path::PathBuf;

use lintel_edge::audit_log::AuditLog;
use lintel_edge::io::clock::{Clocks, WallClock};
use lintel_tests::rigs::link::clock;
use lintel_wire::audit::Entry;

fn main() -> anyhow::Result<()> {
    let state = PathBuf::from(std::env::args().nth(1).unwrap_or_default());
    let audit_log = AuditLog::open(&state, 100_000, &Clocks { monotonic: clock(), wall: WallClock::new(|| 1) })?;
    loop {
        let point = audit_log.append(Entry::Stopped)?;
        println!("{}", point.sequence);
        std::io::stdout().flush()?;
    }
}
