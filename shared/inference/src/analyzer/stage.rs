//! What is done with one face of a frame, step by step.

use std::ops::ControlFlow;

use crate::error::RuntimeError;
use lintel_core::decision::Seen;
use lintel_core::frame::Frame;
use lintel_core::quality::QualityFlaw;
use lintel_core::track::Tracker;

/// A face on its way to the decision: what the stages before have found.
pub struct Subject<'a> {
    /// Track, box and landmarks from the detector; quality and opinion as stages find them.
    pub seen: Seen,
    /// The aligned face, RGB8, 224×224; filled by [`Alignment`](super::alignment::Alignment).
    pub crop: &'a mut [u8],
}

/// One step between the detector and the decision.
pub trait Stage {
    /// A new frame: `tracker` has the tracks that go on. A stage that remembers faces forgets the others.
    fn on_frame(&mut self, tracker: &Tracker) {
        let _ = tracker;
    }

    /// One face. `Break` ends the face's way here: it gets the flaw and no opinion. An error ends the whole frame, and
    /// the door locks.
    ///
    /// # Errors
    /// When a model fails.
    fn look(&mut self, frame: &Frame<'_>, subject: &mut Subject<'_>) -> Result<ControlFlow<QualityFlaw>, RuntimeError>;
}

/// Takes a face through the stages in their order → what was seen of it.
pub(super) fn pass(
    stages: &mut [&mut dyn Stage],
    frame: &Frame<'_>,
    mut subject: Subject<'_>,
) -> Result<Seen, RuntimeError> {
    for stage in stages {
        if let ControlFlow::Break(flaw) = stage.look(frame, &mut subject)? {
            return Ok(Seen { flaw: Some(flaw), opinion: None, ..subject.seen });
        }
    }
    Ok(subject.seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_core::detect::Face;
    use lintel_core::geometry::{Point, Rect};
    use lintel_core::quality;
    use lintel_core::time::Uptime;
    use lintel_core::track::TrackId;

    /// Counts the faces that reach it, and answers as it was told.
    struct Counting {
        faces: u32,
        answer: Answer,
    }

    #[derive(Clone, Copy)]
    enum Answer {
        GoOn,
        Refuse,
        Fail,
    }

    impl Counting {
        fn new(answer: Answer) -> Self {
            Self { faces: 0, answer }
        }
    }

    impl Stage for Counting {
        fn look(&mut self, _: &Frame<'_>, _: &mut Subject<'_>) -> Result<ControlFlow<QualityFlaw>, RuntimeError> {
            self.faces += 1;
            match self.answer {
                Answer::GoOn => Ok(ControlFlow::Continue(())),
                Answer::Refuse => Ok(ControlFlow::Break(QualityFlaw::TurnedAway { got: 1.0, wanted: 0.5 })),
                Answer::Fail => Err(RuntimeError::NoProvider),
            }
        }
    }

    fn passed(answers: [Answer; 3]) -> (Result<Seen, RuntimeError>, [u32; 3]) {
        let mut stages = answers.map(Counting::new);
        let pixels = [0; 3 * 4 * 4];
        let frame = Frame::rgb8(&pixels, 4, 4, Uptime::ZERO).expect("a frame");
        let bbox = Rect { x1: 0.0, y1: 0.0, x2: 2.0, y2: 2.0 };
        let face = Face { bbox, score: 0.9, landmarks: [Point::new(1.0, 1.0); 5] };
        let quality = quality::measure_landmarks(&face);
        let seen = Seen { track: TrackId(1), face, quality, opinion: None, flaw: None };
        let [a, b, c] = &mut stages;
        let result = pass(&mut [a, b, c], &frame, Subject { seen, crop: &mut [] });
        (result, stages.map(|stage| stage.faces))
    }

    #[test]
    fn a_face_goes_through_every_stage() {
        let (seen, faces) = passed([Answer::GoOn; 3]);
        assert_eq!((seen.expect("no error").flaw, faces), (None, [1, 1, 1]));
    }

    #[test]
    fn a_stage_that_refuses_a_face_stops_the_later_ones() {
        let (seen, faces) = passed([Answer::GoOn, Answer::Refuse, Answer::GoOn]);
        let seen = seen.expect("no error");
        assert!(matches!(seen.flaw, Some(QualityFlaw::TurnedAway { .. })) && seen.opinion.is_none());
        assert_eq!(faces, [1, 1, 0]);
    }

    #[test]
    fn a_stage_that_fails_is_an_error_and_not_a_stranger() {
        let (seen, faces) = passed([Answer::GoOn, Answer::Fail, Answer::GoOn]);
        assert!(seen.is_err());
        assert_eq!(faces, [1, 1, 0]);
    }
}
