//! The bytes of every wire message, pinned: a peer that speaks version 1 must be understood for ever.

use lintel_wire::event::{
    self, Decision, DoorState, Event, EventKind, Look, LookedAt, MAX_MESSAGE, Outcome, PREFIX, Scores, Screen, Started,
    TrackId, Verdict, WireError,
};
use lintel_wire::value::{CameraFault, Contact, EncoderId, Fault, PersonId, Rect, Similarity, Strike, Uptime};
use proptest::prelude::*;

const BOX: Rect = Rect { x1: 1.0, y1: 2.0, x2: 3.0, y2: 4.0 };
const UNFIT: LookedAt = LookedAt { bbox: BOX, score: 0.5, outcome: Outcome::Unfit };

fn at(micros: u64) -> Uptime {
    Uptime::from_micros(micros)
}

fn text<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().expect("a short text")
}

fn similarity() -> Similarity {
    Similarity::new(0.5).expect("a cosine")
}

fn compared(person: Option<PersonId>) -> LookedAt {
    let outcome = Outcome::Compared { person, similarity: similarity(), margin: 0.25, confidence: 0.125 };
    LookedAt { outcome, ..UNFIT }
}

fn decision(verdict: Verdict) -> Decision {
    Decision {
        track: TrackId(7),
        verdict,
        bbox: BOX,
        first_sharp: at(500_000),
        captured: at(900_000),
        decided: at(950_000),
        scores: Scores { best: 3, similarity: similarity(), margin: 0.25, confidence: 0.125 },
    }
}

/// Every event of version 1, at 1 s, and its bytes: length, version, time, event.
#[rustfmt::skip]
fn version_1() -> Vec<(EventKind, &'static [u8])> {
    vec![
        (EventKind::Started(Started {
            software: text("0.1.0"),
            pack: text("mini"),
            revision: 300,
            encoder: EncoderId([0xe1; 32]),
            people: 10,
            provider: text("CPU"),
        }), &[
            0x38, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x00, 0x05, 0x30, 0x2e, 0x31, 0x2e, 0x30,
            0x04, 0x6d, 0x69, 0x6e, 0x69, 0xac, 0x02, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1,
            0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1,
            0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0x0a, 0x03, 0x43, 0x50, 0x55,
        ]),
        (EventKind::Visit { recording: text("ada-1"), label: text("Zoë") }, &[
            0x11, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x01, 0x05, 0x61, 0x64, 0x61, 0x2d, 0x31,
            0x04, 0x5a, 0x6f, 0xc3, 0xab,
        ]),
        (EventKind::Sighting(Look {
            captured: at(900_000),
            faces: [UNFIT, compared(None), compared(Some(PersonId(200)))].into_iter().collect(),
        }), &[
            0x65, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x02, 0xa0, 0xf7, 0x36, 0x03, 0x00, 0x00,
            0x80, 0x3f, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x80, 0x40, 0x00, 0x00,
            0x00, 0x3f, 0x00, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00,
            0x00, 0x80, 0x40, 0x00, 0x00, 0x00, 0x3f, 0x01, 0x00, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x80,
            0x3e, 0x00, 0x00, 0x00, 0x3e, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40,
            0x40, 0x00, 0x00, 0x80, 0x40, 0x00, 0x00, 0x00, 0x3f, 0x01, 0x01, 0xc8, 0x01, 0x00, 0x00, 0x00,
            0x3f, 0x00, 0x00, 0x80, 0x3e, 0x00, 0x00, 0x00, 0x3e,
        ]),
        (EventKind::Sighting(Look { captured: at(0), faces: heapless::Vec::new() }), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x02, 0x00, 0x00,
        ]),
        (EventKind::Decision(decision(Verdict::Known(PersonId(200)))), &[
            0x30, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x03, 0x07, 0x00, 0xc8, 0x01, 0x00, 0x00,
            0x80, 0x3f, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x80, 0x40, 0xa0, 0xc2,
            0x1e, 0xa0, 0xf7, 0x36, 0xf0, 0xfd, 0x39, 0x03, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x80, 0x3e,
            0x00, 0x00, 0x00, 0x3e,
        ]),
        (EventKind::Decision(decision(Verdict::Stranger)), &[
            0x2e, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x03, 0x07, 0x01, 0x00, 0x00, 0x80, 0x3f,
            0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x80, 0x40, 0xa0, 0xc2, 0x1e, 0xa0,
            0xf7, 0x36, 0xf0, 0xfd, 0x39, 0x03, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x80, 0x3e, 0x00, 0x00,
            0x00, 0x3e,
        ]),
        (EventKind::Door(DoorState::Locked), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x04, 0x00,
        ]),
        (EventKind::Door(DoorState::Released { until: at(6_000_000) }), &[
            0x0b, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x04, 0x01, 0x80, 0x9b, 0xee, 0x02,
        ]),
        (EventKind::Door(DoorState::CoolDown { until: at(7_000_000) }), &[
            0x0b, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x04, 0x02, 0xc0, 0x9f, 0xab, 0x03,
        ]),
        (EventKind::Door(DoorState::HeldOpen), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x04, 0x03,
        ]),
        (EventKind::Door(DoorState::ForcedOpen), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x04, 0x04,
        ]),
        (EventKind::Door(DoorState::Fault(Fault::Model)), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x04, 0x05, 0x01,
        ]),
        (EventKind::Relay(Strike::Locked), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x05, 0x00,
        ]),
        (EventKind::Relay(Strike::Released), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x05, 0x01,
        ]),
        (EventKind::Contact(Contact::Open), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x06, 0x00,
        ]),
        (EventKind::Contact(Contact::Closed), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x06, 0x01,
        ]),
        (EventKind::Screen(Screen::Starting), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x00,
        ]),
        (EventKind::Screen(Screen::Ready), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x01,
        ]),
        (EventKind::Screen(Screen::Looking { votes: 3, needed: 4 }), &[
            0x09, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x02, 0x03, 0x04,
        ]),
        (EventKind::Screen(Screen::Welcome { name: text("Zoë") }), &[
            0x0c, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x03, 0x04, 0x5a, 0x6f, 0xc3, 0xab,
        ]),
        (EventKind::Screen(Screen::NotRecognised), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x04,
        ]),
        (EventKind::Screen(Screen::StepCloser), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x05,
        ]),
        (EventKind::Screen(Screen::LookAtCamera), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x06,
        ]),
        (EventKind::Screen(Screen::HoldStill), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x07,
        ]),
        (EventKind::Screen(Screen::HeldOpen), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x08,
        ]),
        (EventKind::Screen(Screen::ForcedOpen), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x09,
        ]),
        (EventKind::Screen(Screen::Fault(Fault::Relay)), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x0a, 0x00,
        ]),
        (EventKind::Screen(Screen::Updating), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x0b,
        ]),
        (EventKind::Screen(Screen::TryLater { seconds: 300 }), &[
            0x09, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x0c, 0xac, 0x02,
        ]),
        (EventKind::Screen(Screen::Pairing { code: "12".try_into().expect("a short code") }), &[
            0x0a, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x07, 0x0d, 0x02, 0x31, 0x32,
        ]),
        (EventKind::Fault(Fault::Relay), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x00,
        ]),
        (EventKind::Fault(Fault::Model), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x01,
        ]),
        (EventKind::Fault(Fault::Camera(CameraFault::Gone)), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x02, 0x00,
        ]),
        (EventKind::Fault(Fault::Camera(CameraFault::Frozen)), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x02, 0x01,
        ]),
        (EventKind::Fault(Fault::Camera(CameraFault::Dark)), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x02, 0x02,
        ]),
        (EventKind::Fault(Fault::Camera(CameraFault::Corrupt)), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x02, 0x03,
        ]),
        (EventKind::Fault(Fault::Storage), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x03,
        ]),
        (EventKind::Fault(Fault::Display), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x04,
        ]),
        (EventKind::Fault(Fault::Expired), &[
            0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x08, 0x05,
        ]),
        (EventKind::FaultCleared(Fault::Camera(CameraFault::Gone)), &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x09, 0x02, 0x00,
        ]),
        (EventKind::Stopped, &[
            0x06, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x0a,
        ]),
        (EventKind::LockedOut { seconds: 30, refusals: 5 }, &[
            0x08, 0x00, 0x00, 0x00, 0x01, 0x00, 0xc0, 0x84, 0x3d, 0x0b, 0x1e, 0x05,
        ]),
    ]
}

fn event(kind: EventKind) -> Event {
    Event { at: at(1_000_000), kind }
}

#[test]
fn every_message_is_pinned() {
    for (kind, bytes) in version_1() {
        let event = event(kind);
        assert_eq!(event::to_vec(&event).as_deref(), Ok(bytes), "{event:?}");
        assert_eq!(event::decode(bytes), Ok(Some((event, bytes.len()))));
    }
}

/// Breaks when a variant is added without its bytes.
#[test]
fn every_variant_has_its_bytes() {
    let tag = |kind: &EventKind| match kind {
        EventKind::Started(_) => 0,
        EventKind::Visit { .. } => 1,
        EventKind::Sighting(_) => 2,
        EventKind::Decision(_) => 3,
        EventKind::Door(_) => 4,
        EventKind::Relay(_) => 5,
        EventKind::Contact(_) => 6,
        EventKind::Screen(_) => 7,
        EventKind::Fault(_) => 8,
        EventKind::FaultCleared(_) => 9,
        EventKind::Stopped => 10,
        EventKind::LockedOut { .. } => 11,
    };
    let mut tags: Vec<u8> = version_1().iter().map(|(kind, _)| tag(kind)).collect();
    tags.dedup();
    assert_eq!(tags, (0..=11).collect::<Vec<u8>>());
    for fault in lintel_core::door::Fault::ALL.map(Fault::from) {
        assert!(version_1().iter().any(|(kind, _)| *kind == EventKind::Fault(fault)), "{fault}");
    }
}

#[test]
fn a_stream_is_its_messages_one_after_another() {
    let stream = version_1().iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect::<Vec<u8>>();
    let expected: Vec<_> = version_1().into_iter().map(|(kind, _)| Ok(event(kind))).collect();
    assert_eq!(event::events(&stream).collect::<Vec<_>>(), expected);
    assert_eq!(event::events(&[]).count(), 0);

    // Cut anywhere, every whole message still comes, and then one error unless the cut lies between two.
    let ends: Vec<usize> = version_1()
        .iter()
        .scan(0, |end, (_, bytes)| {
            *end += bytes.len();
            Some(*end)
        })
        .collect();
    for cut in 0..stream.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let clean = cut == 0 || ends.contains(&cut);
        let got: Vec<_> = event::events(&stream[..cut]).collect();
        assert_eq!(got[..whole], expected[..whole], "cut at {cut}");
        assert_eq!(got.len(), whole + usize::from(!clean), "cut at {cut}");
        if !clean {
            assert!(matches!(got[whole], Err(WireError::Truncated { .. })), "cut at {cut}: {:?}", got[whole]);
        }
    }
}

#[test]
fn refuses_what_is_no_message() {
    let check = |bytes: &[u8], expected: Result<Option<()>, WireError>| {
        assert_eq!(event::decode(bytes).map(|message| message.map(drop)), expected, "{bytes:x?}");
    };
    check(&[], Ok(None));
    check(&[6, 0, 0], Ok(None));
    check(&[6, 0, 0, 0, 1, 0], Ok(None));
    check(&[0, 0, 0, 0], Err(WireError::Length { got: 0 }));
    check(&[1, 0, 0, 0, 1], Err(WireError::Length { got: 1 }));
    check(&[1, 0x10, 0, 0], Err(WireError::Length { got: 4097 }));
    check(&[0xff; 4], Err(WireError::Length { got: 0xffff_ffff }));
    // Known as soon as the version is there, whatever follows.
    check(&[6, 0, 0, 0, 2, 0], Err(WireError::Version { got: 2, wanted: 1 }));
    check(&[6, 0, 0, 0, 0xff, 0xff, 9], Err(WireError::Version { got: 0xffff, wanted: 1 }));
    check(&[2, 0, 0, 0, 1, 0], Err(WireError::Malformed));
    check(&[4, 0, 0, 0, 1, 0, 0, 10], Ok(Some(())));
    check(&[5, 0, 0, 0, 1, 0, 0, 10, 0], Err(WireError::Malformed));
    check(&[4, 0, 0, 0, 1, 0, 0, 11], Err(WireError::Malformed));
    // Nine faces where eight are the most.
    check(&[6, 0, 0, 0, 1, 0, 0, 2, 0, 9], Err(WireError::Malformed));
    let error = event::decode(&[6, 0, 0, 0, 2, 0]).expect_err("another version");
    assert_eq!(error.to_string(), "message has version 2, this program speaks version 1");
}

#[test]
fn no_number_is_nan() {
    let nowhere = Rect { x1: f32::NAN, ..BOX };
    let look = |face: LookedAt| EventKind::Sighting(Look { captured: at(0), faces: [face].into_iter().collect() });
    let outcome = Outcome::Compared { person: None, similarity: similarity(), margin: f32::INFINITY, confidence: 0.0 };
    let confidence = Outcome::Compared { person: None, similarity: similarity(), margin: 0.0, confidence: f32::NAN };
    let sound = decision(Verdict::Stranger);
    for kind in [
        look(LookedAt { bbox: nowhere, ..UNFIT }),
        look(LookedAt { score: f32::NAN, ..UNFIT }),
        look(LookedAt { outcome, ..UNFIT }),
        look(LookedAt { outcome: confidence, ..UNFIT }),
        EventKind::Decision(Decision { bbox: nowhere, ..sound }),
        EventKind::Decision(Decision { scores: Scores { margin: f32::NAN, ..sound.scores }, ..sound }),
        EventKind::Decision(Decision { scores: Scores { confidence: f32::NAN, ..sound.scores }, ..sound }),
    ] {
        let event = event(kind);
        assert_eq!(event::to_vec(&event), Err(WireError::NotFinite), "{event:?}");
        // And a peer that sends it all the same is not believed.
        let body = [&[1, 0][..], &postcard::to_allocvec(&event).expect("plain data")].concat();
        let message = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
        assert_eq!(event::decode(&message), Err(WireError::NotFinite), "{event:?}");
    }
}

#[test]
fn the_largest_event_fits() {
    let face = compared(Some(PersonId(u32::MAX)));
    let started = Started {
        software: text(&"x".repeat(64)),
        pack: text(&"x".repeat(64)),
        revision: u64::MAX,
        encoder: EncoderId([0xff; 32]),
        people: u32::MAX,
        provider: text(&"x".repeat(64)),
    };
    for kind in [
        EventKind::Sighting(Look { captured: at(u64::MAX), faces: [face; 8].into_iter().collect() }),
        EventKind::Started(started),
    ] {
        let len = event::to_vec(&Event { at: at(u64::MAX), kind }).expect("fits").len();
        assert!(len <= PREFIX + MAX_MESSAGE / 2, "{len}");
    }
    let check = |room: usize, expected: Result<usize, WireError>| {
        assert_eq!(event::encode(&event(EventKind::Stopped), &mut vec![0; room]), expected, "{room}");
    };
    check(10, Ok(10));
    check(64, Ok(10));
    for room in [0, 3, 5, 9] {
        check(room, Err(WireError::Buffer(room)));
    }
}

proptest! {
    /// Nothing that comes in does harm, and what is understood is written back as it came.
    #[test]
    fn hostile_bytes_do_no_harm(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        which in any::<prop::sample::Index>(),
    ) {
        let golden = version_1();
        let mut bytes = golden[which.index(golden.len())].1.to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(Some((event, len))) = event::decode(&bytes) {
            prop_assert!(len <= bytes.len());
            let again = event::to_vec(&event).expect("what was read can be written");
            prop_assert_eq!(event::decode(&again), Ok(Some((event, again.len()))));
        }
    }
}
