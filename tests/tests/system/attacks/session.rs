//! The bytes of a recorded session, sent again: refused in the handshake.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use lintel_wire::link::Refusal;

use super::scene;

/// Replays, byte for byte, what a workstation sent.
#[test]
fn a_replayed_session() {
    let scene = scene();
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = proxy.local_addr().expect("an address").to_string();
    let target = scene.rig.address();
    let recorder = thread::spawn(move || {
        let (mut caller, _) = proxy.accept().expect("a caller");
        let mut device = TcpStream::connect(target).expect("the device");
        let mut back = (device.try_clone().expect("a socket"), caller.try_clone().expect("a socket"));
        let answers = thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
        let mut recorded = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(got @ 1..) = caller.read(&mut buffer) {
            recorded.extend_from_slice(&buffer[..got]);
            if device.write_all(&buffer[..got]).is_err() {
                break;
            }
        }
        let _ = device.shutdown(std::net::Shutdown::Both);
        let _ = answers.join();
        recorded
    });
    let through = lintel_site::devices::KnownDevice { address, ..scene.device.clone() };
    let mut client = scene.workstation.client(&through).expect("connected");
    client.status().expect("a status");
    drop(client);
    let recorded = recorder.join().expect("no panic");
    assert!(recorded.len() > 500, "{} bytes", recorded.len());
    let mut again = TcpStream::connect(target).expect("the device");
    again.write_all(&recorded).expect("sent");
    let mut answer = Vec::new();
    let _ = again.read_to_end(&mut answer);
    let noted = || scene.rig.refusals().expect("an audit log").last() == Some(&Refusal::Handshake);
    let soon = (0..100).any(|_| {
        thread::sleep(std::time::Duration::from_millis(50));
        noted()
    });
    assert!(soon, "it is in the audit log: {:?}", scene.rig.refusals());
    scene.unchanged(Refusal::Handshake);
}
