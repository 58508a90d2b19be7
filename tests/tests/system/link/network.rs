//! A device under callers that are silent, slow, many, or of another version.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use lintel_tests::rigs::link::{TestDevice, TestWorkstation};

use crate::contents::bundle;
use crate::world;

/// A thousand silent connections, some of which sent one byte: a paired workstation is still served.
#[test]
fn a_thousand_silent_callers_keep_nobody_out() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    let address = rig.address();
    let mut silent = Vec::new();
    let mut served = 0;
    for caller in 0..1000 {
        let Ok(mut socket) = TcpStream::connect(address) else { continue };
        if caller % 10 == 0 {
            // The first byte of a handshake.
            let _ = socket.write_all(&[0x16]);
        }
        silent.push(socket);
        if caller % 100 == 99 {
            // A caller that is turned away tries again, as `lintel push` does.
            served += u32::from((0..20).any(|_| {
                let served = workstation.client(&device).is_ok_and(|mut client| client.status().is_ok());
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

/// A proxy that delays every byte by `delay` in each direction, at any rate.
fn long_line(device: SocketAddr, delay: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let carry = move |mut from: TcpStream, mut to: TcpStream| {
        let (late, due) = channel::<(Instant, Vec<u8>)>();
        thread::spawn(move || {
            for (at, bytes) in due {
                thread::sleep(at.saturating_duration_since(now()));
                if to.write_all(&bytes).is_err() {
                    return;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let mut buffer = [0; 16 << 10];
        while let Ok(got @ 1..) = from.read(&mut buffer) {
            if late.send((now() + delay, buffer[..got].to_vec())).is_err() {
                return;
            }
        }
    };
    thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            let Ok(device) = TcpStream::connect(device) else { return };
            let (back, there) = (caller.try_clone().expect("a socket"), device.try_clone().expect("a socket"));
            thread::spawn(move || carry(caller, device));
            thread::spawn(move || carry(there, back));
        }
    });
    address
}

#[allow(clippy::disallowed_methods, reason = "a test on real sockets takes real time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_push_over_a_line_of_half_a_second_each_way_arrives() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    let address = long_line(rig.address(), Duration::from_millis(500));
    let far = lintel_site::devices::KnownDevice { address, ..device };
    let receipt = workstation.push(&far, &bundle()).expect("pushed");
    assert_eq!(receipt.revision, 1);
}

/// An older and a newer workstation: both use the newest version that both know, or the refusal names both ranges.
#[test]
fn versions_are_agreed_on() {
    use lintel_link::channel::{Channel, workstation_config};
    use lintel_wire::link::{Answer, Refusal, Request, SPOKEN};
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let _ = workstation.paired(&rig).expect("paired");
    let greet = |oldest: u16, newest: u16| {
        let config = workstation_config(&workstation.site.identity, None).expect("a config");
        let socket = TcpStream::connect(rig.address()).expect("connected");
        let mut channel = Channel::connect(socket, config, &|| false).expect("a channel");
        channel.send(&Request::Hello { oldest, newest, software: "other".into() }, &|| false).expect("sent");
        let answer = channel.receive::<Answer>(&|| false).expect("an answer");
        if let Answer::Hello { version, .. } = answer {
            channel.speak(version);
            channel.send(&Request::Status, &|| false).expect("sent");
            assert!(matches!(channel.receive::<Answer>(&|| false), Ok(Answer::Status(_))), "in that version");
        }
        answer
    };
    let newest = *SPOKEN.end();
    for theirs in [(newest, newest), (0, newest), (1, u16::MAX), (0, newest + 1)] {
        let Answer::Hello { version, .. } = greet(theirs.0, theirs.1) else { panic!("{theirs:?}") };
        assert_eq!(version, newest, "{theirs:?}");
    }
    for theirs in [(0, 0), (newest + 1, u16::MAX), (5, 4)] {
        let Answer::Refused { why: Refusal::Version, text } = greet(theirs.0, theirs.1) else { panic!("{theirs:?}") };
        assert!(text.contains(&format!("the workstation {} to {}", theirs.0, theirs.1)), "{text}");
    }
}
