//! The bytes of every message are pinned; hostile ones are refused.

use alloc::vec;

use super::*;
use proptest::prelude::*;

fn hash(byte: u8) -> Hash {
    [byte; 32]
}

/// Runs of 32 equal bytes, shortened, so that goldens can be read.
fn readable(bytes: &[u8]) -> String {
    let mut text = hex::encode(bytes);
    for byte in 1..=9_u8 {
        let run = hex::encode([byte; 32]);
        text = text.replace(&run, &alloc::format!("<{byte}>"));
    }
    text
}

fn requests() -> Vec<(Request, &'static str)> {
    vec![
        (Request::Hello { oldest: 1, newest: 3, software: "lintel 1".into() }, "0e0000000100000103086c696e74656c2031"),
        (Request::Pair { message: vec![7, 8] }, "06000000010001020708"),
        (
            Request::Confirm { confirmation: hash(1), name: "desk".into(), valid_until: 300, root: vec![9] },
            "2c000000010002<1>046465736bac020109",
        ),
        (Request::Status, "03000000010003"),
        (
            Request::Metadata { name: "timestamp.json".into(), bytes: vec![1, 2] },
            "150000000100040e74696d657374616d702e6a736f6e020102",
        ),
        (Request::Offer, "03000000010005"),
        (Request::Piece { file: hash(2), offset: 128, bytes: vec![5] }, "27000000010006<2>80010105"),
        (Request::Install, "03000000010007"),
        (Request::Rollback, "03000000010008"),
        (Request::People { from: 200 }, "05000000010009c801"),
        (Request::Log { after: 1, most: 200 }, "0600000001000a01c801"),
        (Request::Forget { workstation: hash(3) }, "2300000001000b<3>"),
        (Request::Workstations, "0300000001000c"),
        (Request::Root { bytes: vec![1, 2] }, "0600000001000d020102"),
    ]
}

fn status() -> Status {
    Status {
        name: "hall".into(),
        software: "0.1".into(),
        manifest: vec![1, 2, 3],
        people: 2,
        rule: Rule::Paper { confidence: 0.80 },
        calibration: None,
        provider: "CPU".into(),
        previous: Some(6),
        root: 1,
        versions: [4, 3, 2],
        uptime: 60,
        journal: 9,
        journal_head: hash(4),
        faults: vec!["x".into()],
    }
}

fn answers() -> Vec<(Answer, &'static str)> {
    let wanted = Wanted { name: "table.lintel".into(), file: hash(1), bytes: 300, have: 2 };
    let known = Workstation { fingerprint: hash(5), name: "desk".into(), valid_until: 0 };
    vec![
        (Answer::Hello { version: 1, software: "e".into() }, "06000000010000010165"),
        (Answer::Pair { message: vec![7], confirmation: hash(1) }, "250000000100010107<1>"),
        (Answer::Paired, "03000000010002"),
        (
            Answer::Status(status()),
            "460000000100030468616c6c03302e31030102030200cdcc4c3f00034350550106010403023c09<4>010178",
        ),
        (Answer::Kept, "03000000010004"),
        (Answer::Wanted(vec![wanted]), "34000000010005010c7461626c652e6c696e74656c<1>ac0202"),
        (Answer::Received { have: 128 }, "050000000100068001"),
        (Answer::Working, "03000000010007"),
        (Answer::Installed(Receipt { statement: vec![1], signature: vec![2, 3] }), "080000000100080101020203"),
        (
            Answer::People { people: vec![Named { id: PersonId(4), name: "Ada".into() }], all: 1 },
            "0a00000001000901040341646101",
        ),
        (
            Answer::Log { entries: vec![vec![1, 2]], first: 5, before: hash(7), head: 5, head_hash: hash(6) },
            "4900000001000a0102010205<7>05<6>",
        ),
        (Answer::Workstations(vec![known]), "2a00000001000b01<5>046465736b00"),
        (Answer::Done, "0300000001000c"),
        (Answer::Refused { why: Refusal::Rollback, text: "no".into() }, "0700000001000d09026e6f"),
    ]
}

fn pinned<M: Message + PartialEq + core::fmt::Debug>(cases: Vec<(M, &'static str)>) {
    let mut other = vec![];
    for (message, golden) in cases {
        let frame = to_frame(1, &message).expect("a message within its limits");
        if readable(&frame) != golden {
            other.push(alloc::format!("{golden} is now {}", readable(&frame)));
        }
        let length = announced(*frame.first_chunk().expect("a prefix")).expect("a length");
        assert_eq!(length, frame.len() - PREFIX);
        assert_eq!(from_body::<M>(1, &frame[PREFIX..]), Ok(message));
    }
    assert!(other.is_empty(), "bytes have changed:\n{}", other.join("\n"));
}

#[test]
fn bytes_are_frozen() {
    pinned(requests());
    pinned(answers());
}

#[test]
fn refusals_keep_their_numbers() {
    let last = postcard::to_allocvec(&Refusal::NoPrevious).expect("plain data");
    assert_eq!(last, [22]);
    assert_eq!(postcard::from_bytes::<Refusal>(&[23]), Ok(Refusal::Handshake));
    assert_eq!(postcard::from_bytes::<Refusal>(&[9]), Ok(Refusal::Rollback));
}

#[test]
fn the_newest_common_version_is_spoken() {
    let check = |mine: RangeInclusive<u16>, theirs: RangeInclusive<u16>, expected: Option<u16>| {
        assert_eq!(agree(&mine, &theirs), expected);
        assert_eq!(agree(&theirs, &mine), expected);
    };
    check(1..=1, 1..=1, Some(1));
    check(1..=1, 1..=3, Some(1));
    check(2..=5, 1..=3, Some(3));
    check(2..=5, 4..=9, Some(5));
    check(1..=1, 2..=3, None);
    #[expect(clippy::reversed_empty_ranges, reason = "a peer may say anything")]
    check(3..=1, 1..=5, None);
}

#[test]
fn what_exceeds_a_limit_is_refused_both_ways() {
    let check = |request: Request, what: &str| {
        let error = to_frame(1, &request).expect_err(what);
        assert!(matches!(error, MessageError::Limit { what: got, .. } if got == what), "{error:?}");
        let body = [&1_u16.to_le_bytes()[..], &postcard::to_allocvec(&request).expect("plain data")].concat();
        assert_eq!(from_body::<Request>(1, &body), Err(error));
    };
    check(Request::Pair { message: vec![0; 34] }, "bytes of a SPAKE2 message");
    check(Request::Metadata { name: "x".repeat(MAX_TEXT + 1), bytes: vec![] }, "bytes of text");
    check(Request::Metadata { name: "x".into(), bytes: vec![0; MAX_METADATA + 1] }, "bytes of metadata");
    check(Request::Piece { file: hash(0), offset: 0, bytes: vec![0; MAX_PIECE + 1] }, "bytes of a piece");
    check(Request::Log { after: 0, most: 201 }, "entries");
}

#[test]
fn other_versions_and_lengths_are_refused() {
    let frame = to_frame(2, &Request::Status).expect("a message");
    let body = &frame[PREFIX..];
    assert_eq!(from_body::<Request>(1, body), Err(MessageError::Version { got: 2, wanted: 1 }));
    assert_eq!(from_body::<Request>(2, &[body, &[0]].concat()), Err(MessageError::Malformed));
    assert_eq!(from_body::<Request>(2, &body[..1]), Err(MessageError::Length { got: 1 }));
    assert_eq!(announced([0xff; 4]), Err(MessageError::Length { got: u64::from(u32::MAX) }));
    assert_eq!(announced([1, 0, 0, 0]), Err(MessageError::Length { got: 1 }));
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let long = "é".repeat(MAX_TEXT);
    let short = shortened(&long);
    assert!(short.len() <= MAX_TEXT && long.starts_with(&short));
    assert_eq!(shortened("abc"), "abc");
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = from_body::<Request>(1, &body);
        let _ = from_body::<Answer>(1, &body);
        let sealed = [&1_u16.to_le_bytes()[..], &body].concat();
        let _ = from_body::<Request>(1, &sealed);
        let _ = from_body::<Answer>(1, &sealed);
    }
}
