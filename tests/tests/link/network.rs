//! What a network does to a device: silence, trickles, thousands of callers.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use lintel_tests::rigs::link::{Bench, Desk};

use crate::world;

/// A thousand connections that say nothing, and some that drip: whoever is known is served meanwhile.
#[test]
fn a_thousand_silent_callers_keep_nobody_out() {
    let bench = Bench::new(&world().bundle()).expect("a device");
    let desk = Desk::new().expect("a workstation");
    let device = desk.paired(&bench).expect("paired");
    let address = bench.address();
    let mut silent = Vec::new();
    let mut served = 0;
    for caller in 0..1000 {
        let Ok(mut socket) = TcpStream::connect(address) else { continue };
        if caller % 10 == 0 {
            // The beginning of a handshake, a byte at a time.
            let _ = socket.write_all(&[0x16]);
        }
        silent.push(socket);
        if caller % 100 == 99 {
            // A caller that gives way to others tries again, as `lintel push` does.
            served += u32::from((0..20).any(|_| {
                let served = desk.client(&device).is_ok_and(|mut client| client.status().is_ok());
                if !served {
                    thread::sleep(Duration::from_millis(50));
                }
                served
            }));
        }
    }
    assert_eq!(served, 10);
    assert!(silent.len() > 900, "{} connections", silent.len());
}
