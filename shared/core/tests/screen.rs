//! What the display says in each situation.

use lintel_core::decision::{Progress, Verdict};
use lintel_core::door::{CameraFault, DoorState, Fault, FaultSet};
use lintel_core::geometry::Rect;
use lintel_core::quality::QualityFlaw;
use lintel_core::screen::{MAX_NAME_BYTES, Screen, Service, Situation, shown_name};
use lintel_core::table::PersonId;
use lintel_core::time::Uptime;
use lintel_core::track::TrackId;
use proptest::prelude::*;

const NOW: Uptime = Uptime::from_micros(10_000_000);
const CAMERA: Fault = Fault::Camera(CameraFault::Dark);
const OPEN: DoorState = DoorState::Released { until: Uptime::from_micros(12_000_000) };
const COOLING: DoorState = DoorState::CoolDown { until: Uptime::from_micros(11_000_000) };
const SMALL: QualityFlaw = QualityFlaw::TooSmall { got: 10.0, wanted: 20.0 };
const TURNED: QualityFlaw = QualityFlaw::TurnedAway { got: 0.9, wanted: 0.5 };
const BLURRED: QualityFlaw = QualityFlaw::TooBlurred { got: 0.0, wanted: 0.1 };

fn quiet() -> Situation<'static> {
    Situation {
        service: Service::Running,
        door: DoorState::Locked,
        faults: FaultSet::default(),
        known: None,
        refused: None,
        locked_out: None,
        pairing: None,
        progress: &[],
    }
}

fn face(votes: u8, flaw: Option<QualityFlaw>, verdict: Option<Verdict>) -> Progress {
    let bbox = Rect::new(0.0, 0.0, 10.0, 10.0);
    Progress { track: TrackId(1), bbox, votes, needed: 4, flaw, verdict }
}

fn welcome(name: &str) -> Screen {
    Screen::Welcome { name: name.try_into().expect("a short name") }
}

fn faults(faults: &[Fault]) -> FaultSet {
    faults.iter().copied().collect()
}

#[test]
fn says_the_gravest_thing() {
    let check = |situation: Situation<'_>, expected: Screen| {
        assert_eq!(Screen::choose(&situation, NOW), expected, "{situation:?}");
    };
    check(quiet(), Screen::Ready);
    check(Situation { service: Service::Starting, faults: faults(&[CAMERA]), ..quiet() }, Screen::Starting);
    check(Situation { service: Service::Updating, door: OPEN, ..quiet() }, Screen::Updating);

    check(Situation { faults: faults(&[CAMERA]), ..quiet() }, Screen::Fault(CAMERA));
    check(
        Situation { faults: faults(&[CAMERA, Fault::Relay, Fault::Display]), ..quiet() },
        Screen::Fault(Fault::Relay),
    );
    check(Situation { door: DoorState::Fault(Fault::Model), ..quiet() }, Screen::Fault(Fault::Model));
    check(Situation { faults: faults(&[Fault::Storage, Fault::Display]), ..quiet() }, Screen::Ready);

    check(Situation { door: DoorState::HeldOpen, known: Some("Ada"), ..quiet() }, Screen::HeldOpen);
    check(Situation { door: DoorState::ForcedOpen, refused: Some(NOW), ..quiet() }, Screen::ForcedOpen);

    check(Situation { door: OPEN, known: Some("Ada"), refused: Some(NOW), ..quiet() }, welcome("Ada"));
    check(Situation { door: OPEN, ..quiet() }, welcome(""));
    // A door that is locked welcomes nobody.
    check(Situation { known: Some("Ada"), ..quiet() }, Screen::Ready);
    check(Situation { door: COOLING, known: Some("Ada"), ..quiet() }, Screen::Ready);
}

#[test]
fn a_refusal_is_shown_for_a_while() {
    let check = |refused: u64, expected: Screen| {
        let situation = Situation { refused: Some(Uptime::from_micros(refused)), ..quiet() };
        assert_eq!(Screen::choose(&situation, NOW), expected, "{refused}");
    };
    check(10_000_000, Screen::NotRecognised);
    check(7_000_001, Screen::NotRecognised);
    check(7_000_000, Screen::Ready);
    // From the future, after a clock that stepped back: not for ever.
    check(10_000_001, Screen::Ready);
}

#[test]
fn advises_the_nearest_face_that_has_no_verdict() {
    let check = |progress: &[Progress], expected: Screen| {
        assert_eq!(Screen::choose(&Situation { progress, ..quiet() }, NOW), expected, "{progress:?}");
    };
    check(&[face(2, None, None)], Screen::Looking { votes: 2, needed: 4 });
    check(&[face(0, Some(SMALL), None)], Screen::StepCloser);
    check(&[face(0, Some(TURNED), None)], Screen::LookAtCamera);
    check(&[face(3, Some(BLURRED), None)], Screen::HoldStill);
    check(&[face(1, None, None), face(0, Some(SMALL), None)], Screen::Looking { votes: 1, needed: 4 });
    check(&[face(4, None, Some(Verdict::Known(PersonId(1))))], Screen::Ready);
    check(&[face(0, None, Some(Verdict::Stranger)), face(3, None, None)], Screen::Looking { votes: 3, needed: 4 });
}

#[test]
fn long_names_are_cut_between_characters() {
    let check = |name: &str, expected: &str| assert_eq!(shown_name(name), expected, "{name}");
    check("", "");
    check("Zoë", "Zoë");
    check(&"x".repeat(64), &"x".repeat(64));
    check(&"x".repeat(65), &format!("{}…", "x".repeat(61)));
    // Three bytes each: 20 of them and the ellipsis are 63.
    check(&"李".repeat(30), &format!("{}…", "李".repeat(20)));
    check(&format!("{} {}", "x".repeat(60), "y".repeat(60)), &format!("{}…", "x".repeat(60)));
    // e and its accent stay together, as do the parts of a family.
    check(&format!("{}e\u{301}{}", "x".repeat(60), "y".repeat(9)), &format!("{}…", "x".repeat(60)));
    check(&format!("{}👩\u{200d}👧{}", "x".repeat(54), "y".repeat(9)), &format!("{}…", "x".repeat(54)));
}

proptest! {
    #[test]
    fn any_name_fits(name in "\\PC{0,160}") {
        let shown = shown_name(&name);
        prop_assert!(shown.len() <= MAX_NAME_BYTES);
        if name.len() <= MAX_NAME_BYTES {
            prop_assert_eq!(shown.as_str(), name);
        } else {
            let kept = shown.strip_suffix('…').expect("an ellipsis where something is missing");
            prop_assert!(name.starts_with(kept));
        }
    }
}
