use alloc::string::ToString;
use alloc::{format, vec};

use super::*;
use crate::embed::{Embedding, Similarity};
use crate::table::Opinion;

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

fn table(change: impl FnOnce(&mut TableParts)) -> Table {
    let mut parts = parts();
    change(&mut parts);
    Table::new(parts).expect("valid parts")
}

fn embedding(raw: &[f32]) -> Embedding {
    Embedding::new(raw, ENCODER).expect("a valid vector")
}

#[test]
fn refuses_what_no_table_may_hold() {
    let check = |change: &dyn Fn(&mut TableParts), expected: TableError| {
        let mut parts = parts();
        change(&mut parts);
        // NaN is not equal to itself, so the texts are compared.
        assert_eq!(Table::new(parts).map_err(|e| e.to_string()), Err(expected.to_string()));
    };
    check(&|p| p.dim = 0, TableError::Dim { got: 0 });
    check(&|p| p.dim = 1025, TableError::Dim { got: 1025 });
    check(&|p| p.dim = 3, TableError::Classes { got: 12, wanted: 9 });
    check(&|p| p.classes.truncate(11), TableError::Classes { got: 11, wanted: 12 });
    check(&|p| p.classes[4] = f32::NAN, TableError::Row { row: 1, length: f32::NAN });
    check(&|p| p.classes[4] = f32::INFINITY, TableError::Row { row: 1, length: f32::INFINITY });
    check(&|p| p.classes[10] = 1.0011, TableError::Row { row: 2, length: 1.0011 });
    check(&|p| p.classes[10] = 0.0, TableError::Row { row: 2, length: 0.0 });
    check(&|p| p.logit_scale = 0.0, TableError::LogitScale { got: 0.0 });
    check(&|p| p.logit_scale = f32::NAN, TableError::LogitScale { got: f32::NAN });
    check(&|p| p.logit_scale = f32::INFINITY, TableError::LogitScale { got: f32::INFINITY });
    check(&|p| p.intra_class_similarity.truncate(2), TableError::IntraClassSimilarities { got: 2, wanted: 3 });
    check(&|p| p.intra_class_similarity[1] = 1.1, TableError::IntraClassSimilarity { row: 1, got: 1.1 });
    check(&|p| p.intra_class_similarity[2] = f32::NAN, TableError::IntraClassSimilarity { row: 2, got: f32::NAN });
    check(&|p| p.people[2].id = PersonId(10), TableError::DuplicateId(PersonId(10)));
    let name = |chars, control| TableError::Name { id: PersonId(4), chars, control };
    check(&|p| p.people[1].name.clear(), name(0, false));
    check(&|p| p.people[1].name = "é".repeat(129), name(129, false));
    check(&|p| p.people[1].name = "B\no".to_string(), name(3, true));
    check(&|p| p.people[1].name = "B\u{85}o".to_string(), name(3, true));
    check(&|p| p.template = "x".repeat(513), TableError::Template { chars: 513 });
    check(&|p| p.template = "\0".to_string(), TableError::Template { chars: 1 });
    check(
        &|p| {
            p.people = (0..20_001).map(|id| person(id, "n")).collect();
        },
        TableError::TooManyPeople { got: 20_001 },
    );
}

#[test]
fn refuses_bars_and_rates_out_of_range() {
    let check = |rule: Rule, ok: bool| {
        let got = Table::new(TableParts { rule, ..parts() });
        assert_eq!(got.is_ok(), ok, "{rule:?}");
    };
    check(Rule::Paper { confidence: 1.0 }, true);
    check(Rule::Paper { confidence: 0.0 }, false);
    check(Rule::Paper { confidence: 1.01 }, false);
    check(Rule::Paper { confidence: f32::NAN }, false);
    check(Rule::Calibrated { similarity: -1.0, margin: 0.0 }, true);
    check(Rule::Calibrated { similarity: 1.01, margin: 0.0 }, false);
    check(Rule::Calibrated { similarity: f32::NAN, margin: 0.0 }, false);
    check(Rule::Calibrated { similarity: 0.5, margin: -0.01 }, false);
    check(Rule::Calibrated { similarity: 0.5, margin: 2.01 }, false);
    check(Rule::Calibrated { similarity: 0.5, margin: f32::NAN }, false);

    const SOUND: Calibration =
        Calibration { target_fpir: 0.01, strangers: 500, observed_fpir: 0.004, fpir_upper: 0.015, fnir: 0.1 };
    let check = |calibration: Calibration, ok: bool| {
        let got = Table::new(TableParts { calibration: Some(calibration), ..parts() });
        assert_eq!(got.is_ok(), ok, "{calibration:?}");
    };
    check(SOUND, true);
    check(Calibration { target_fpir: 1.1, ..SOUND }, false);
    check(Calibration { observed_fpir: -0.1, ..SOUND }, false);
    check(Calibration { fpir_upper: f32::NAN, ..SOUND }, false);
    check(Calibration { fpir_upper: 0.003, ..SOUND }, false);
    check(Calibration { fnir: 2.0, ..SOUND }, false);
}

#[test]
fn scores_best_similarity_and_margin() {
    let check = |raw: &[f32], best: u32, similarity: f32, margin: f32| {
        let scores = table(|_| {}).score(&embedding(raw)).expect("same encoder and width");
        assert_eq!(scores.best, best, "{raw:?}");
        assert!((scores.similarity.get() - similarity).abs() < 1e-6, "{raw:?}: {scores:?}");
        assert!((scores.margin - margin).abs() < 1e-6, "{raw:?}: {scores:?}");
    };
    check(&[1.0, 0.0, 0.0, 0.0], 0, 1.0, 1.0);
    check(&[0.0, 0.8, 0.6, 0.0], 1, 0.8, 0.2);
    check(&[0.6, 0.0, 0.8, 0.0], 2, 0.8, 0.2);
    check(&[-0.6, -0.8, 0.0, 0.0], 2, 0.0, 0.6);
    // Equals: the first row.
    check(&[0.0, 1.0, 1.0, 0.0], 1, core::f32::consts::FRAC_1_SQRT_2, 0.0);
    check(&[0.0, 0.0, 0.0, -1.0], 0, 0.0, 0.0);
    check(&[-1.0, -1.0, -1.0, 0.0], 0, -1.0 / libm::sqrtf(3.0), 0.0);
}

#[test]
fn confidence_is_a_softmax_at_the_clipped_scale() {
    let check = |scale: f32, raw: &[f32], expected: f64| {
        let scores = table(|p| p.logit_scale = scale).score(&embedding(raw)).expect("same encoder and width");
        assert!((f64::from(scores.confidence) - expected).abs() < 1e-5, "{scale} {raw:?}: {scores:?}");
    };
    let e = |x: f64| libm::exp(x);
    check(1.0, &[1.0, 0.0, 0.0, 0.0], 1.0 / (1.0 + 2.0 * e(-1.0)));
    check(10.0, &[0.0, 0.8, 0.6, 0.0], 1.0 / (1.0 + e(-2.0) + e(-8.0)));
    check(100.0, &[0.0, 0.8, 0.6, 0.0], 1.0 / (1.0 + e(-20.0)));
    check(100.0, &[0.0, 1.0, 1.0, 0.0], 0.5);
    check(100.0, &[0.0, 0.0, 0.0, 1.0], 1.0 / 3.0);
    // Above 100 the scale is 100.
    let wide = [0.6, 0.58, 0.0, 0.55];
    let norm = libm::sqrt(wide.iter().map(|x| x * x).sum::<f64>());
    let expected = 1.0 / (1.0 + e(-100.0 * 0.02 / norm));
    check(100.0, &wide.map(|x| x as f32), expected);
    check(5000.0, &wide.map(|x| x as f32), expected);
}

#[test]
fn only_the_tables_own_encoder_is_scored() {
    let other = EncoderId([0xe2; 32]);
    let check = |embedding: Embedding, expected: TableError| {
        assert_eq!(table(|_| {}).score(&embedding), Err(expected));
    };
    let foreign = Embedding::new(&[1.0, 0.0, 0.0, 0.0], other).expect("a valid vector");
    check(foreign, TableError::OtherEncoder { got: other, wanted: ENCODER });
    check(embedding(&[1.0, 0.0, 0.0]), TableError::OtherDim { got: 3, wanted: 4 });
}

#[test]
fn both_bars_must_be_passed() {
    let check = |rule: Rule, (similarity, margin, confidence): (f32, f32, f32), known: bool| {
        let scores = Scores { best: 1, similarity: Similarity::new(similarity).expect("a cosine"), margin, confidence };
        let expected =
            if known { Opinion::Known { person: PersonId(4), scores } } else { Opinion::Stranger { scores } };
        assert_eq!(table(|p| p.rule = rule).opinion(&scores), expected, "{rule:?} {scores:?}");
    };
    check(Rule::PAPER, (0.0, 0.0, 0.8), true);
    check(Rule::PAPER, (1.0, 1.0, 0.799), false);
    let both = Rule::Calibrated { similarity: 0.5, margin: 0.1 };
    check(both, (0.5, 0.1, 0.0), true);
    check(both, (0.499, 0.5, 1.0), false);
    check(both, (0.9, 0.099, 1.0), false);
    check(both, (0.4, 0.05, 1.0), false);
}

#[test]
fn people_whose_photos_differ_are_asked_for_less() {
    let both = Rule::Calibrated { similarity: 0.5, margin: 0.1 };
    let check = |best: u32, similarity: f32, known: bool| {
        let similarity = Similarity::new(similarity).expect("a cosine");
        let scores = Scores { best, similarity, margin: 0.2, confidence: 0.9 };
        assert_eq!(table(|p| p.rule = both).opinion(&scores).person().is_some(), known, "{scores:?}");
    };
    // What the photos lack in similarity: 0.5, 0, 0.25.
    check(0, 0.001, true);
    check(0, -0.001, false);
    check(1, 0.501, true);
    check(1, 0.499, false);
    check(2, 0.251, true);
    check(2, 0.249, false);
}

#[test]
fn a_row_that_is_not_there_is_nobody() {
    let similarity = Similarity::new(1.0).expect("a cosine");
    for best in [3, u32::MAX] {
        let scores = Scores { best, similarity, margin: 1.0, confidence: 1.0 };
        assert_eq!(table(|_| {}).opinion(&scores), Opinion::Stranger { scores });
    }
}

#[test]
fn fewer_than_two_people_have_no_margin() {
    let full = table(|p| p.rule = Rule::Calibrated { similarity: 0.9, margin: 0.01 });
    let one = full.without(PersonId(10)).and_then(|t| t.without(PersonId(300))).expect("they are there");
    let scores = one.score(&embedding(&[0.0, 1.0, 0.0, 0.0])).expect("same encoder and width");
    assert_eq!((scores.best, scores.similarity.get(), scores.margin, scores.confidence), (0, 1.0, 0.0, 0.0));
    assert_eq!(one.opinion(&scores), Opinion::Stranger { scores });
    let bare =
        Table::new(TableParts { rule: Rule::Calibrated { similarity: 0.9, margin: 0.0 }, ..one.clone().into_parts() })
            .expect("valid parts");
    assert_eq!(bare.opinion(&scores), Opinion::Known { person: PersonId(4), scores });

    let none = one.without(PersonId(4)).expect("the last one is there");
    assert!(none.is_empty());
    let scores = none.score(&embedding(&[0.0, 1.0, 0.0, 0.0])).expect("same encoder and width");
    assert_eq!((scores.similarity.get(), scores.margin, scores.confidence), (-1.0, 0.0, 0.0));
    assert_eq!(none.opinion(&scores), Opinion::Stranger { scores });
}

#[test]
fn errors_name_nobody() {
    let secret = format!("{}\n", "Secret Name ".repeat(3));
    let error =
        Table::new(TableParts { people: vec![person(1, &secret)], ..parts() }).expect_err("a control character");
    assert!(!format!("{error} {error:?}").contains("Secret"));
}
