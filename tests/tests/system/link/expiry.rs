//! The age of a device's table: a network that is down for a year, and a limit on how long a table is valid.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use lintel_tests::rigs::link::{TABLE_LASTS, TestDevice, TestWorkstation};

use crate::contents::bundle;
use crate::world;

fn soon(what: impl Fn() -> bool) -> bool {
    (0..60).any(|_| {
        thread::sleep(Duration::from_millis(100));
        what()
    })
}

/// Whether the door is told that nobody vouches for its table.
fn expired(rig: &TestDevice) -> bool {
    let mut heard = u64::MAX;
    rig.exchange.news(&mut heard).expect("no version is so great").expired
}

#[test]
fn a_table_that_nobody_vouches_for_expires_and_a_push_renews_it() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let (begin, later) =
        (rig.wall.load(Ordering::SeqCst), |seconds: u64| rig.wall.fetch_add(seconds, Ordering::SeqCst));
    // A device that nobody is paired with keeps its table.
    later(10 * TABLE_LASTS);
    thread::sleep(Duration::from_secs(1));
    assert!(!expired(&rig));
    rig.wall.store(begin, Ordering::SeqCst);

    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    workstation.push(&device, &bundle()).expect("pushed");
    later(TABLE_LASTS - 10);
    thread::sleep(Duration::from_secs(1));
    assert!(!expired(&rig));
    later(20);
    assert!(soon(|| expired(&rig)));
    let address = rig.address().to_string();
    // The table is still expired after a restart, but not when the clock says 1970.
    let rig = rig.restarted().expect("up again");
    assert_ne!(address, rig.address().to_string());
    assert!(soon(|| expired(&rig)));
    let device = lintel_site::devices::KnownDevice { address: rig.address().to_string(), ..device };
    workstation.push(&device, &bundle()).expect("pushed");
    assert!(!expired(&rig), "at once");
    rig.wall.store(100, Ordering::SeqCst);
    thread::sleep(Duration::from_secs(1));
    assert!(!expired(&rig));
    // A push of the same bundle renews it.
    rig.wall.store(begin + 3 * TABLE_LASTS, Ordering::SeqCst);
    assert!(soon(|| expired(&rig)));
    workstation.push(&device, &bundle()).expect("pushed");
    assert!(!expired(&rig));
}
