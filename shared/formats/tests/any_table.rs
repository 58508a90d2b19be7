//! Any table → bytes → the same table, and the plain computation of scores; damage and hostile bodies are refused.

use lintel_core::embed::{Embedding, EncoderId};
use lintel_core::table::{Calibration, Person, PersonId, Rule, Table, TableError, TableParts};
use lintel_formats::envelope;
use lintel_formats::table::{self, MAGIC, MAX_FILE_BYTES, VERSION};
use proptest::prelude::*;

const ENCODER: EncoderId = EncoderId([0xe1; 32]);

fn person(id: u32, name: &str) -> Person {
    Person { id: PersonId(id), name: name.to_string() }
}

/// Three people on the axes of a four-dimensional space.
fn parts() -> TableParts {
    TableParts {
        encoder: ENCODER,
        revision: 7,
        template: "This is the image of a person named {name}".to_string(),
        logit_scale: 100.0,
        people: vec![person(10, "Ada"), person(4, "Bo"), person(300, "Zoë 李")],
        classes: vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        dim: 4,
        intra_class_similarity: vec![0.5, 1.0, 0.75],
        rule: Rule::PAPER,
        calibration: None,
    }
}

fn table_with(change: impl FnOnce(&mut TableParts)) -> Table {
    let mut parts = parts();
    change(&mut parts);
    Table::new(parts).expect("valid parts")
}

#[test]
fn removal_leaves_no_trace_in_the_bytes() {
    let row = [0.123_456_7, 0.345_678_9, 0.567_890_1];
    let last = (1.0 - row.iter().map(|x| x * x).sum::<f32>()).sqrt();
    let row = [row[0], row[1], row[2], last];
    let before = table_with(|p| {
        p.people[1] = person(0x0123_4567, "Somebody Unforgettable");
        p.classes[4..8].copy_from_slice(&row);
        p.intra_class_similarity[1] = 0.876_543_2;
        p.calibration =
            Some(Calibration { target_fpir: 0.1, strangers: 9, observed_fpir: 0.0, fpir_upper: 0.3, fnir: 0.0 });
    });
    let has = |table: &Table, needle: &[u8]| table::to_bytes(table).windows(needle.len()).any(|w| w == needle);
    let id = postcard::to_allocvec(&PersonId(0x0123_4567)).expect("a number");
    let mut traces: Vec<Vec<u8>> = row.iter().map(|value| value.to_le_bytes().to_vec()).collect();
    traces.extend([b"Unforgettable".to_vec(), id, 0.876_543_2_f32.to_le_bytes().to_vec()]);
    let after = before.without(PersonId(0x0123_4567)).expect("the person is there");
    for trace in traces {
        assert!(has(&before, &trace), "{trace:x?} is in the table before");
        assert!(!has(&after, &trace), "{trace:x?} is left behind");
    }
    // As if the person had never been there.
    let never = table_with(|p| {
        p.revision = 8;
        p.people.remove(1);
        p.classes.drain(4..8);
        p.intra_class_similarity.remove(1);
    });
    assert_eq!(table::to_bytes(&after), table::to_bytes(&never));
    assert_eq!(after.without(PersonId(5)), Err(TableError::UnknownPerson(PersonId(5))));
}

fn unit_row(dim: usize) -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(-1.0f32..1.0, dim)
        .prop_filter_map("has no direction", |raw| Embedding::new(&raw, ENCODER).ok().map(|e| e.vector().to_vec()))
}

fn any_table() -> impl Strategy<Value = Table> {
    let rows = (1usize..40, 0usize..12).prop_flat_map(|(dim, n)| {
        (
            Just(dim),
            proptest::collection::vec(unit_row(dim), n),
            proptest::collection::vec("\\PC{1,9}", n),
            proptest::collection::vec(0.0f32..=1.0, n),
        )
    });
    (rows, any::<[u8; 32]>(), any::<u64>(), 0.01f32..1e4, ".{0,40}").prop_filter_map(
        "control characters",
        |((dim, rows, names, intra_class_similarity), encoder, revision, logit_scale, template)| {
            let people = (0u32..).zip(names).map(|(id, name)| Person { id: PersonId(id * 7), name }).collect();
            let encoder = EncoderId(encoder);
            let classes = rows.concat();
            let rule = Rule::Calibrated { similarity: 0.25, margin: 0.125 };
            Table::new(TableParts {
                encoder,
                revision,
                template,
                logit_scale,
                people,
                classes,
                dim,
                intra_class_similarity,
                rule,
                calibration: None,
            })
            .ok()
        },
    )
}

proptest! {
    #[test]
    fn bytes_come_back(table in any_table()) {
        let bytes = table::to_bytes(&table);
        prop_assert!(bytes.len() <= MAX_FILE_BYTES);
        prop_assert_eq!(table::from_bytes(&bytes), Ok(table));
    }

    /// Scores agree with the obvious computation in f64.
    #[test]
    fn scores_agree_with_the_plain_computation(
        table in any_table(),
        raw in proptest::collection::vec(-1.0f32..1.0, 40),
    ) {
        let Ok(face) = Embedding::new(&raw[..table.dim()], table.encoder()) else { return Ok(()) };
        let scores = table.score(&face).expect("same encoder and width");
        let product = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
        let cosine = |class: &[f32]| class.iter().zip(face.vector()).map(product).sum::<f64>();
        let cosines: Vec<f64> = table.classes().chunks(table.dim()).map(cosine).collect();
        prop_assert!(scores.margin.is_finite() && scores.confidence.is_finite());
        if cosines.len() < 2 {
            prop_assert_eq!((scores.margin, scores.confidence), (0.0, 0.0));
            return Ok(());
        }
        let mut ranked = cosines.clone();
        ranked.sort_by(|a, b| b.total_cmp(a));
        let scale = f64::from(table.logit_scale().min(100.0));
        let total: f64 = cosines.iter().map(|c| (scale * (c - ranked[0])).exp()).sum();
        prop_assert!((cosines[scores.best as usize] - ranked[0]).abs() < 1e-5);
        prop_assert!((f64::from(scores.similarity.get()) - ranked[0]).abs() < 1e-5);
        prop_assert!((f64::from(scores.margin) - (ranked[0] - ranked[1])).abs() < 1e-5);
        prop_assert!((f64::from(scores.confidence) - 1.0 / total).abs() < 1e-3, "{:?} {}", scores, 1.0 / total);
    }

    #[test]
    fn damage_is_refused(table in any_table(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = table::to_bytes(&table);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(table::from_bytes(&bytes).is_err());
    }

    /// With a right hash over a wrong body, the checks of the content stand alone.
    #[test]
    fn hostile_bodies_do_no_harm(
        table in any_table(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let file = table::to_bytes(&table);
        let mut body = envelope::open(MAGIC, VERSION, MAX_FILE_BYTES, &file).expect("just sealed").to_vec();
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(table) = table::from_bytes(&envelope::seal(MAGIC, VERSION, &body)) {
            prop_assert_eq!(table::from_bytes(&table::to_bytes(&table)), Ok(table));
        }
    }
}
