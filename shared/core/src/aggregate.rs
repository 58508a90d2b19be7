//! Embeddings of one face over frames → their mean, which tells people apart better than any of them.
//!
//! A single look may be blurred, dark or turned aside; the mean of several is not, and neither is a stranger's any nearer to
//! somebody else for it. What is taken together must be one person's: looks at a face that was followed without a gap, and
//! that does not suddenly become another's. Where somebody else steps into the same place, the gathering begins anew.

use alloc::vec::Vec;
use core::time::Duration;

use heapless::Deque;

use crate::embed::Embedding;
use crate::geometry::Rect;
use crate::table::Table;
use crate::time::Uptime;
use crate::track::{MAX_SEEN, Nearness, follow};

/// Most looks that are taken together; older ones go.
pub const LOOKS: usize = 8;
/// Older looks go too.
const LIFETIME: Duration = Duration::from_secs(2);
/// A face that was not seen for longer may be another one.
const GAP: Duration = Duration::from_millis(500);
/// Boxes of neighbouring frames that are one face.
const NEARNESS: Nearness = Nearness { min_iou: 0.3, max_shift: 0.5 };

/// Follows faces and gathers what the encoder makes of them. Its memory is taken once.
#[derive(Clone, Debug)]
pub struct Aggregator {
    /// Looks that are less like the mean than this begin anew.
    least: f32,
    faces: Vec<Gathered>,
    newest: Uptime,
    /// Where the faces of the frame are kept, in its order.
    places: heapless::Vec<usize, MAX_SEEN>,
}

/// One face through time.
#[derive(Clone, Debug, Default)]
struct Gathered {
    /// `None`: nobody.
    followed: Option<(Rect, Uptime)>,
    /// Oldest first.
    looks: Deque<(Uptime, Embedding), LOOKS>,
}

impl Aggregator {
    /// For faces that are compared with this table.
    #[must_use]
    pub fn new(table: &Table) -> Self {
        Self {
            least: least_similarity(table),
            // One more than are seen at once, so that there is always one to begin anew with.
            faces: (0..=MAX_SEEN).map(|_| Gathered::default()).collect(),
            newest: Uptime::ZERO,
            places: heapless::Vec::new(),
        }
    }

    /// The faces of the next frame: at most [`MAX_SEEN`] boxes. A clock that steps back ends all that was followed.
    pub fn on_faces(&mut self, captured: Uptime, boxes: &[Rect]) {
        if captured < self.newest {
            self.faces.iter_mut().for_each(Gathered::end);
        }
        self.newest = captured;
        for face in &mut self.faces {
            if face.followed.is_some_and(|(_, last)| captured.since(last) > GAP) {
                face.end();
            }
        }
        let mut before: heapless::Vec<Rect, { MAX_SEEN + 1 }> = heapless::Vec::new();
        let mut kept: heapless::Vec<usize, { MAX_SEEN + 1 }> = heapless::Vec::new();
        for (place, face) in self.faces.iter().enumerate() {
            if let Some((bbox, _)) = face.followed {
                // As many as there are faces, so there is room.
                let _ = (before.push(bbox), kept.push(place));
            }
        }
        let followed = follow::<MAX_SEEN>(&before, boxes, NEARNESS);
        self.places.clear();
        for from in &followed {
            let taken = |place: &usize| followed.iter().flatten().any(|from| kept[*from] == *place);
            let place = from.map(|from| kept[from]).or_else(|| {
                let free = (0..self.faces.len()).filter(|place| !taken(place) && !self.places.contains(place));
                let place = free.min_by_key(|place| self.faces[*place].followed.map(|(_, last)| last))?;
                self.faces[place].end();
                Some(place)
            });
            // There is one more place than faces.
            let _ = self.places.push(place.unwrap_or_default());
        }
        for (bbox, place) in boxes.iter().zip(&self.places) {
            self.faces[*place].followed = Some((*bbox, captured));
        }
    }

    /// One more look at face `index` of the frame → the mean of its looks, this one included.
    ///
    /// A look at a face that was not announced is returned as it is.
    pub fn add(&mut self, index: usize, look: &Embedding) -> Embedding {
        let captured = self.newest;
        let Some(face) = self.places.get(index).and_then(|place| self.faces.get_mut(*place)) else {
            return look.clone();
        };
        while face.looks.front().is_some_and(|(at, _)| face.looks.is_full() || captured.since(*at) > LIFETIME) {
            face.looks.pop_front();
        }
        // Similarity is none where the encoder is another one: a bundle was changed.
        let alike = mean(face.looks.iter().map(|(_, look)| look))
            .is_some_and(|mean| mean.similarity(look).is_some_and(|similarity| similarity.get() >= self.least));
        if !alike {
            face.looks.clear();
        }
        let _ = face.looks.push_back((captured, look.clone()));
        mean(face.looks.iter().map(|(_, look)| look)).unwrap_or_else(|| look.clone())
    }
}

impl Gathered {
    fn end(&mut self) {
        self.followed = None;
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

/// The mean cosine of two of some unit vectors of one length, −1..=1 but for rounding; `None` of fewer than two vectors.
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

/// How unlike the mean of its looks a face may be and still be the same: half way between two people of the table, as they
/// are on average, and one person.
fn least_similarity(table: &Table) -> f32 {
    mean_cosine(table.classes().chunks_exact(table.dim()))
        .map_or(0.5, |cosine| f32::midpoint(cosine.clamp(0.0, 0.9), 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::EncoderId;
    use crate::table::{Person, PersonId, Rule, TableParts};
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

    /// Steps of one face: milliseconds, where, what the encoder makes of it.
    fn gathered(steps: &[(u64, f32, (f32, f32))]) -> Embedding {
        let mut aggregator = Aggregator::new(&table(&[[1.0, 0.0], [0.0, 1.0]]));
        let mut last = look(1.0, 0.0);
        for &(ms, x, (a, b)) in steps {
            aggregator.on_faces(Uptime::from_millis(ms), &[at(x)]);
            last = aggregator.add(0, &look(a, b));
        }
        last
    }

    #[test]
    fn looks_are_taken_together_while_it_is_one_face() {
        let check = |steps: &[(u64, f32, (f32, f32))], expected: (f32, f32)| {
            let (got, expected) = (gathered(steps), look(expected.0, expected.1));
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
        let mut aggregator = Aggregator::new(&table(&[[1.0, 0.0], [0.0, 1.0]]));
        for frame in 0..4_u64 {
            // They change places in the list, not in the picture.
            let (left, right) = (at(0.0), at(300.0));
            let boxes = if frame % 2 == 0 { [left, right] } else { [right, left] };
            aggregator.on_faces(Uptime::from_millis(frame * 100), &boxes);
            for (index, bbox) in boxes.iter().enumerate() {
                let own = if bbox.x1 == 0.0 { look(1.0, 0.2) } else { look(0.2, 1.0) };
                assert!(aggregator.add(index, &own).similarity(&own).expect("one encoder").get() > 0.9999);
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
                (0_u64..3000, prop::collection::vec((-50.0_f32..500.0, -1.0_f32..1.0, 0.1_f32..1.0), 0..=MAX_SEEN)), 0..40
            ),
        ) {
            let mut aggregator = Aggregator::new(&table(&[[1.0, 0.0], [0.0, 1.0]]));
            for (ms, faces) in frames {
                let boxes: alloc::vec::Vec<Rect> = faces.iter().map(|face| at(face.0)).collect();
                aggregator.on_faces(Uptime::from_millis(ms), &boxes);
                for (index, face) in faces.iter().enumerate() {
                    let own = look(face.1, face.2);
                    let mean = aggregator.add(index, &own);
                    // Never so far from what is to be seen now that it could be somebody else's.
                    prop_assert!(mean.similarity(&own).expect("one encoder").get() > 0.4);
                }
                prop_assert!(aggregator.faces.iter().all(|face| face.looks.len() <= LOOKS));
            }
        }
    }
}
