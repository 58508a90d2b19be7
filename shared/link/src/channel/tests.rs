//! Two ends over a real socket.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;

use super::*;
use lintel_wire::link::{Answer, Request};

fn never() -> bool {
    false
}

/// The tenth look finds it overdue.
fn soon() -> impl Fn() -> bool {
    let looks = std::cell::Cell::new(0);
    move || {
        looks.set(looks.get() + 1);
        looks.get() > 10
    }
}

fn meet(
    device: &Identity,
    workstation: &Identity,
    pin: Option<Fingerprint>,
) -> (Result<Channel, ChannelError>, Result<Channel, ChannelError>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let config = device_config(device).expect("a config");
    let server = thread::spawn(move || Channel::accept(listener.accept().expect("a caller").0, config, &never));
    let config = workstation_config(workstation, pin).expect("a config");
    let client = Channel::connect(TcpStream::connect(address).expect("a connection"), config, &never);
    (server.join().expect("no panic"), client)
}

#[test]
fn both_ends_know_each_other_and_understand() {
    let (device, workstation) = (Identity::generate().expect("a key"), Identity::generate().expect("a key"));
    let (server, client) = meet(&device, &workstation, Some(device.fingerprint()));
    let (mut server, mut client) = (server.expect("a channel"), client.expect("a channel"));
    assert_eq!((server.peer(), client.peer()), (workstation.fingerprint(), device.fingerprint()));
    let piece = Request::Piece { file: [3; 32], offset: 9, bytes: vec![7; link::MAX_PIECE] };
    let sent = piece.clone();
    let sender = thread::spawn(move || {
        client.send(&sent, &never).expect("sent");
        client
    });
    assert_eq!(server.receive::<Request>(&never).expect("a message"), piece);
    let mut client = sender.join().expect("no panic");
    server.send(&Answer::Done, &never).expect("sent");
    assert_eq!(client.receive::<Answer>(&never).expect("a message"), Answer::Done);
    client.close();
    assert!(matches!(server.receive::<Request>(&never), Err(ChannelError::Closed)));
}

#[test]
fn another_device_is_not_spoken_to() {
    let (device, workstation) = (Identity::generate().expect("a key"), Identity::generate().expect("a key"));
    let (server, client) = meet(&device, &workstation, Some(workstation.fingerprint()));
    assert!(matches!(client.err(), Some(ChannelError::OtherDevice)));
    assert!(server.is_err());
}

#[test]
fn plain_text_and_silence_are_no_connection() {
    let device = Identity::generate().expect("a key");
    let check = |bytes: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut caller = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        caller.write_all(bytes).expect("written");
        let config = device_config(&device).expect("a config");
        Channel::accept(listener.accept().expect("a caller").0, config, &soon()).err().expect("no channel")
    };
    assert!(matches!(check(b"GET / HTTP/1.1\r\n\r\n"), ChannelError::Tls(_)));
    assert!(matches!(check(b""), ChannelError::Overdue));
    assert!(matches!(check(&[0x16, 0x03, 0x01]), ChannelError::Overdue));
}
