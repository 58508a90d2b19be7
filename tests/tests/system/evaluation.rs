//! `lintel evaluate` measures what the door does: also that a repeated picture is no vote.

use lintel_evaluation::evaluate::visit::{Outcome, Participant};
use lintel_faces::{Approach, jpeg};
use lintel_formats::recording::{About, RecordingWriter};
use lintel_tests::world;
use lintel_work::places::runtime;
use lintel_work::progress::Progress;

use lintel::use_cases::{Output, evaluate};

/// Frames of a recording.
const FRAMES: usize = 50;
/// A frame at which the person stands before the door.
const NEAR: usize = 30;

/// What `evaluate` says of enrolled person 1 in a recording of the frames of one visit in this order.
fn evaluated(order: impl Iterator<Item = usize>) -> Participant {
    let folder = tempfile::tempdir().unwrap();
    let face = world::enrolled(1);
    let visit = Approach::new(&[face], face, [640, 480], 10.0, 5.0);
    let recording = folder.path().join("visit.mjpeg");
    let about = About {
        fps: 10.0,
        width: 640,
        height: 480,
        person: Some(world::name(1)),
        label: "enrolled 1".into(),
        notes: String::new(),
        tags: Vec::new(),
    };
    let mut writer = RecordingWriter::create(&recording, &about).unwrap();
    order.for_each(|frame| writer.push(&jpeg(&visit.frame(frame), 90)).unwrap());
    writer.finish().unwrap();
    let out = Output::to(folder.path().join("evaluation"));
    let request = evaluate::Request::new(crate::world().bundle(), vec![recording], out);
    let outcome = evaluate::run(&request, &runtime(), Progress::ignored()).unwrap();
    outcome.report.participants.into_iter().next().unwrap()
}

#[test]
fn a_visit_is_named_and_one_picture_of_it_repeated_is_not() {
    let alive = evaluated(0..FRAMES);
    assert_eq!((alive.outcome, alive.frames.repeated), (Outcome::NamedRight, 0));
    let frozen = evaluated(std::iter::repeat_n(NEAR, FRAMES));
    assert_eq!(frozen.outcome, Outcome::NotNamed, "{:?}", frozen.frames);
    assert_eq!((frozen.frames.looked_at, frozen.frames.repeated as usize), (1, FRAMES - 1));
    assert_eq!(frozen.frames.right, 1, "the one picture is of the person");
    assert_eq!((frozen.named, frozen.released_ms), (None, None));
}
