//! Embeddings of one face over frames → their mean, which tells people apart better than any of them.
//!
//! A single look may be blurred, dark or turned aside; the mean of several is not, and neither is a stranger's any
//! nearer to somebody else for it. What is taken together must be one person's: looks at one track whose face does not
//! suddenly become another's. Where somebody else steps into the same place, the aggregate begins anew.

use alloc::vec::Vec;
use core::time::Duration;

use heapless::Deque;

use crate::embed::Embedding;
use crate::table::Table;
use crate::time::Uptime;
use crate::track::{MAX_SEEN, TrackId};

/// Most looks that are taken together; older ones go.
pub const LOOKS: usize = 8;
/// Older looks go too.
const LIFETIME: Duration = Duration::from_secs(2);

/// Aggregates what the encoder makes of each track. Its memory is taken once.
#[derive(Clone, Debug)]
pub struct Aggregator {
    /// A look that is less similar to the mean begins anew.
    least: f32,
    tracks: Vec<Aggregate>,
}

/// The looks at one track.
#[derive(Clone, Debug, Default)]
struct Aggregate {
    /// `None`: free.
    track: Option<TrackId>,
    /// Oldest first.
    looks: Deque<(Uptime, Embedding), LOOKS>,
}

impl Aggregator {
    /// For faces that are compared with this table.
    #[must_use]
    pub fn new(table: &Table) -> Self {
        Self { least: least_similarity(table), tracks: (0..MAX_SEEN).map(|_| Aggregate::default()).collect() }
    }

    /// Forgets the looks at every track that does not go on. To be called for each frame.
    pub fn keep(&mut self, tracks: impl Iterator<Item = TrackId> + Clone) {
        for aggregate in &mut self.tracks {
            if aggregate.track.is_some_and(|track| !tracks.clone().any(|on| on == track)) {
                aggregate.end();
            }
        }
    }

    /// One more look at a track → the mean of its looks, this one included.
    ///
    /// A look at one track more than [`MAX_SEEN`] is returned as it is.
    pub fn add(&mut self, track: TrackId, captured: Uptime, look: &Embedding) -> Embedding {
        let place = self.tracks.iter().position(|one| one.track == Some(track));
        let place = place.or_else(|| self.tracks.iter().position(|one| one.track.is_none()));
        let Some(aggregate) = place.and_then(|place| self.tracks.get_mut(place)) else { return look.clone() };
        aggregate.track = Some(track);
        let looks = &mut aggregate.looks;
        while looks.front().is_some_and(|(at, _)| looks.is_full() || captured.since(*at) > LIFETIME) {
            looks.pop_front();
        }
        // There is no similarity where the encoder is another one: a bundle was changed.
        let alike = mean(looks.iter().map(|(_, look)| look))
            .is_some_and(|mean| mean.similarity(look).is_some_and(|similarity| similarity.get() >= self.least));
        if !alike {
            looks.clear();
        }
        // There is room: the oldest went.
        let _ = looks.push_back((captured, look.clone()));
        mean(looks.iter().map(|(_, look)| look)).unwrap_or_else(|| look.clone())
    }
}

impl Aggregate {
    fn end(&mut self) {
        self.track = None;
        self.looks.clear();
    }
}

/// The direction of the sum of unit embeddings of one encoder; `None` of nothing, or where they cancel out.
pub fn mean<'a>(looks: impl Iterator<Item = &'a Embedding>) -> Option<Embedding> {
    let mut sum: Option<(heapless::Vec<f32, { crate::embed::MAX_DIM }>, &Embedding)> = None;
    for look in looks {
        match &mut sum {
            None => sum = Some((heapless::Vec::from_slice(look.vector()).ok()?, look)),
            Some((sum, _)) => sum.iter_mut().zip(look.vector()).for_each(|(sum, value)| *sum += value),
        }
    }
    let (sum, first) = sum?;
    Embedding::new(&sum, first.encoder()).ok()
}

/// The mean cosine of two of some unit vectors of one length, −1..=1 but for rounding; `None` of fewer than two
/// vectors.
pub fn mean_cosine<'a>(vectors: impl IntoIterator<Item = &'a [f32]>) -> Option<f32> {
    let mut sum: Vec<f32> = Vec::new();
    let mut count = 0.0_f32;
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    // The squared length of the sum of N unit vectors is N, and twice each cosine.
    let squared: f32 = sum.iter().map(|value| value * value).sum();
    (count >= 2.0).then(|| (squared - count) / (count * (count - 1.0)))
}

/// How unlike the mean of its looks a face may be and still be the same: half way between two people of the table, as
/// they are on average, and one person.
fn least_similarity(table: &Table) -> f32 {
    mean_cosine(table.classes().chunks_exact(table.dim()))
        .map_or(0.5, |cosine| f32::midpoint(cosine.clamp(0.0, 0.9), 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::EncoderId;
    use crate::geometry::Rect;
    use crate::table::{Person, PersonId, Rule, TableParts};
    use crate::track::{TrackSettings, Tracker};
    use alloc::string::ToString;
    use proptest::prelude::*;

    const ID: EncoderId = EncoderId([1; 32]);

    fn table(rows: &[[f32; 2]]) -> Table {
        let people = (0..rows.len()).map(|id| Person { id: PersonId(id as u32), name: id.to_string() }).collect();
        Table::new(TableParts {
            encoder: ID,
            revision: 1,
            template: "{name}".into(),
            logit_scale: 100.0,
            people,
            classes: rows.concat(),
            dim: 2,
            intra_class_similarity: alloc::vec![1.0; rows.len()],
            rule: Rule::PAPER,
            calibration: None,
        })
        .expect("a table")
    }

    fn look(x: f32, y: f32) -> Embedding {
        Embedding::new(&[x, y], ID).expect("a direction")
    }

    fn at(x: f32) -> Rect {
        Rect::new(x, 0.0, x + 100.0, 100.0)
    }

    /// Tracks faces and aggregates looks, as the face analyzer does.
    struct Rig {
        tracker: Tracker,
        aggregator: Aggregator,
    }

    impl Rig {
        fn new() -> Self {
            let tracker = Tracker::new(TrackSettings::default()).expect("settings within their ranges");
            Self { tracker, aggregator: Aggregator::new(&table(&[[1.0, 0.0], [0.0, 1.0]])) }
        }

        fn look(&mut self, ms: u64, faces: &[(f32, Embedding)]) -> alloc::vec::Vec<Embedding> {
            let captured = Uptime::from_millis(ms);
            let boxes: alloc::vec::Vec<Rect> = faces.iter().map(|(x, _)| at(*x)).collect();
            let tracks = self.tracker.on_faces(captured, &boxes);
            self.aggregator.keep(self.tracker.tracks());
            let add = |(track, (_, look)): (&Option<TrackId>, &(f32, Embedding))| {
                self.aggregator.add(track.expect("finite boxes"), captured, look)
            };
            tracks.iter().zip(faces).map(add).collect()
        }
    }

    /// Steps of one face: milliseconds, where, what the encoder makes of it.
    fn aggregated(steps: &[(u64, f32, (f32, f32))]) -> Embedding {
        let mut rig = Rig::new();
        let looks = steps.iter().map(|&(ms, x, (a, b))| rig.look(ms, &[(x, look(a, b))]).remove(0));
        looks.last().expect("one step at least")
    }

    #[test]
    fn looks_are_taken_together_while_it_is_one_face() {
        let check = |steps: &[(u64, f32, (f32, f32))], expected: (f32, f32)| {
            let (got, expected) = (aggregated(steps), look(expected.0, expected.1));
            let cosine = got.similarity(&expected).expect("one encoder").get();
            assert!(cosine > 0.9999, "{steps:?}: {:?} {:?}", got.vector(), expected.vector());
        };
        let (a, b) = ((1.0, 0.4), (1.0, -0.4));
        check(&[(0, 0.0, a)], a);
        check(&[(0, 0.0, a), (100, 5.0, b)], (1.0, 0.0));
        // Too long unseen, elsewhere, or a clock that steps back: another face.
        check(&[(0, 0.0, a), (600, 5.0, b)], b);
        check(&[(0, 0.0, a), (100, 300.0, b)], b);
        check(&[(500, 0.0, a), (400, 0.0, b)], b);
        // Somebody else steps into the same place.
        check(&[(0, 0.0, a), (100, 0.0, (0.1, 1.0))], (0.1, 1.0));
        // Old looks go: by number, and by age.
        let many: alloc::vec::Vec<_> =
            core::iter::once((0, 0.0, a)).chain((1..=8).map(|i| (i * 100, 0.0, b))).collect();
        check(&many, b);
        let slow: alloc::vec::Vec<_> =
            core::iter::once((0, 0.0, a)).chain((1..=5).map(|i| (i * 450, 0.0, b))).collect();
        check(&slow, b);
    }

    #[test]
    fn faces_of_one_frame_are_kept_apart() {
        let mut rig = Rig::new();
        for frame in 0..4_u64 {
            // They change places in the list, not in the picture.
            let (left, right) = ((0.0, look(1.0, 0.2)), (300.0, look(0.2, 1.0)));
            let faces = if frame % 2 == 0 { [left, right] } else { [right, left] };
            for (mean, (_, own)) in rig.look(frame * 100, &faces).iter().zip(&faces) {
                assert!(mean.similarity(own).expect("one encoder").get() > 0.9999);
            }
        }
    }

    #[test]
    fn the_table_says_how_much_alike_people_are() {
        let check = |rows: &[[f32; 2]], expected: f32| {
            assert!((least_similarity(&table(rows)) - expected).abs() < 1e-5);
        };
        check(&[], 0.5);
        check(&[[1.0, 0.0]], 0.5);
        check(&[[1.0, 0.0], [0.0, 1.0]], 0.5);
        check(&[[1.0, 0.0], [0.6, 0.8]], 0.8);
        check(&[[1.0, 0.0], [-1.0, 0.0]], 0.5);
        check(&[[1.0, 0.0], [1.0, 0.0]], 0.95);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_is_too_much(
            frames in prop::collection::vec(
                (0_u64..3000, prop::collection::vec((-50.0_f32..500.0, -1.0_f32..1.0, 0.1_f32..1.0), 0..=MAX_SEEN)),
                0..40,
            ),
        ) {
            let mut rig = Rig::new();
            for (ms, faces) in frames {
                let faces: alloc::vec::Vec<_> = faces.iter().map(|face| (face.0, look(face.1, face.2))).collect();
                for (mean, (_, own)) in rig.look(ms, &faces).iter().zip(&faces) {
                    // Never so far from what is to be seen now that it could be somebody else's.
                    prop_assert!(mean.similarity(own).expect("one encoder").get() > 0.4);
                }
                prop_assert!(rig.aggregator.tracks.iter().all(|track| track.looks.len() <= LOOKS));
            }
        }
    }
}
