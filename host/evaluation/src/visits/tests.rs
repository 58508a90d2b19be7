//! Events made up by a test → their visits.

use lintel_core::embed::EncoderId;
use lintel_core::table::{Person, PersonId, Rule, TableParts};
use lintel_wire::event::{LookedAt, Outcome, Scores, TrackId};
use lintel_wire::value::{Rect, Similarity};

use super::*;

fn table() -> Table {
    let people = ["Ada", "Bo"].iter().zip(0..).map(|(name, id)| Person { id: PersonId(id), name: (*name).into() });
    Table::new(TableParts {
        encoder: EncoderId([1; 32]),
        revision: 1,
        template: "{name}".into(),
        logit_scale: 100.0,
        people: people.collect(),
        classes: vec![1.0, 0.0, 0.0, 1.0],
        dim: 2,
        intra_class_similarity: vec![1.0; 2],
        rule: Rule::PAPER,
        calibration: None,
    })
    .unwrap()
}

fn instant(ms: u64) -> Uptime {
    Uptime::from_micros(ms * 1000)
}

fn at(ms: u64, kind: EventKind) -> Event {
    Event { at: instant(ms), kind }
}

fn visit(ms: u64, name: &str) -> Event {
    at(ms, EventKind::Visit { recording: name.try_into().unwrap(), label: event::Text::new() })
}

fn look(ms: u64, side: f32) -> Event {
    let face = LookedAt { bbox: Rect { x1: 0.0, y1: 0.0, x2: side, y2: side }, score: 0.9, outcome: Outcome::Unfit };
    at(ms, EventKind::Sighting(Look { captured: instant(ms), faces: [face].into_iter().collect() }))
}

fn decision(ms: u64, verdict: Verdict) -> Event {
    at(
        ms,
        EventKind::Decision(Decision {
            track: TrackId(1),
            verdict,
            bbox: Rect::default(),
            first_sharp: instant(ms - 300),
            captured: instant(ms),
            decided: instant(ms),
            scores: Scores { best: 0, similarity: Similarity::new(0.5).unwrap(), margin: 0.1, confidence: 0.9 },
        }),
    )
}

#[test]
fn events_become_visits() {
    let events = [
        at(0, EventKind::Screen(Screen::Ready)),
        visit(1000, "ada"),
        look(1200, 30.0),
        decision(1400, Verdict::Stranger),
        look(1900, 60.0),
        decision(1900, Verdict::Known(PersonId(0).into())),
        at(1900, EventKind::Relay(Strike::Released)),
        at(1900, EventKind::Screen(Screen::Welcome { name: "Ada".try_into().unwrap() })),
        at(6900, EventKind::Relay(Strike::Locked)),
        at(6900, EventKind::Screen(Screen::Ready)),
        visit(9000, "someone"),
        look(9100, 20.0),
        look(9200, 80.0),
        look(9300, 40.0),
        at(9300, EventKind::Screen(Screen::StepCloser)),
    ];
    let visits = visits(&events, &table());
    let cells: Vec<[String; 5]> = visits.iter().map(Visit::cells).collect();
    assert_eq!(cells[0], ["ada", "Ada", "welcome Ada", "released 0.9 s to 5.9 s", "300 ms"]);
    assert_eq!(cells[1], ["someone", "none", "step closer", "stayed locked", "-"]);
    assert_eq!((visits[0].key.captured_ms, visits[0].key.screen), (900.0, 2));
    assert_eq!((visits[1].key.captured_ms, visits[1].key.screen), (200.0, 4));
}

#[test]
fn a_stream_that_breaks_off_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events");
    let mut bytes = event::to_vec(&visit(0, "ada")).unwrap();
    let check = |bytes: &[u8], fine: bool| {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&path, &table()).is_ok(), fine);
    };
    check(&bytes, true);
    bytes.pop();
    check(&bytes, false);
    check(&[], true);
}
