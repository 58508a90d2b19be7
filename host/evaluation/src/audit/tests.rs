use lintel_core::embed::EncoderId;
use lintel_core::table::{Person, PersonId, TableParts};
use lintel_rendered::strangers::{Stranger, Who};

use super::change::{Side, change};
use super::page::{Gallery, page};
use super::photos::Problem;
use super::*;

const ID: EncoderId = EncoderId([5; 32]);

fn table(names: &[&str], similarity: f32) -> Table {
    let people = (0..).zip(names).map(|(id, name)| Person { id: PersonId(id), name: (*name).to_owned() }).collect();
    let unit = |row: usize| (0..4).map(move |column| f32::from(u8::from(row == column)));
    Table::new(TableParts {
        encoder: ID,
        revision: 3,
        template: "{name}".into(),
        logit_scale: 100.0,
        people,
        classes: (0..names.len()).flat_map(unit).collect(),
        dim: 4,
        intra_class_similarity: vec![1.0; names.len()],
        rule: Rule::Calibrated { similarity, margin: 0.1 },
        calibration: None,
    })
    .expect("a table")
}

fn face(values: [f32; 4]) -> Embedding {
    Embedding::new(&values, ID).expect("a direction")
}

/// Six distinct photos, all in the direction of this axis.
fn photos(axis: usize) -> Vec<Embedding> {
    (0..6_u8)
        .map(|photo| {
            let mut values = [0.0; 4];
            values[axis] = 1.0;
            values[3] += 0.08 * f32::from(photo);
            face(values)
        })
        .collect()
}

#[test]
fn who_is_close_to_whom_is_told_by_photos() {
    let table = table(&["Ada", "Bo", "Cy"], 0.5);
    let mut ada = photos(0);
    ada.push(face([0.75, 0.7, 0.0, 0.0]));
    let (bo, cy) = (photos(1), photos(2));
    let subjects = [Subject { row: 0, photos: &ada }, Subject { row: 1, photos: &bo }, Subject { row: 2, photos: &cy }];
    let pairs = pairs::closest(&table, &subjects);
    let first = &pairs[0];
    assert_eq!((first.person.as_str(), first.other.as_str(), first.photo), ("Ada", "Bo", 6));
    assert!(first.margin > 0.0 && first.margin < 0.1 && first.named == 0 && first.rows == 0.0, "{first:?}");
    assert_eq!(pairs.len(), 3);

    // A photo that is named as the other comes first, even if others have smaller margins.
    let mut bo = photos(1);
    bo.push(face([0.0, 0.1, 1.0, 0.0]));
    let subjects = [Subject { row: 0, photos: &ada }, Subject { row: 1, photos: &bo }];
    let first = &pairs::closest(&table, &subjects)[0];
    assert_eq!((first.person.as_str(), first.other.as_str(), first.named), ("Bo", "Cy", 1));
}

#[test]
fn photos_are_too_few_too_similar_or_somebody_elses() {
    let table = table(&["Ada", "Bo", "Cy"], 0.5);
    let (ada, mut bo) = (photos(0), photos(1));
    bo.push(face([1.0, 0.2, 0.0, 0.0]));
    let check = |cy: &[Embedding], expected: Option<Problem>| {
        let subjects =
            [Subject { row: 0, photos: &ada }, Subject { row: 1, photos: &bo }, Subject { row: 2, photos: cy }];
        let found = photos::findings(&table, &subjects);
        let of = |name: &str| found.iter().find(|f| f.person == name).map(|f| f.problem.clone());
        assert_eq!(of("Ada"), None);
        assert!(matches!(of("Bo"), Some(Problem::Misplaced { photo: 6, ref like, .. }) if like == "Ada"), "{found:?}");
        assert_eq!(of("Cy"), expected);
    };
    check(&photos(2), None);
    check(&photos(2)[..3], Some(Problem::TooFew { photos: 3 }));
    let same = [&photos(2)[..2], &vec![face([0.0, 0.0, 1.0, 0.0]); 5]].concat();
    check(&same, Some(Problem::TooSimilar { photos: 7, distinct: 2, example: [0, 2] }));
}

#[test]
fn the_nearest_strangers_are_those_to_whom_least_is_missing() {
    let table = table(&["Ada", "Bo", "Cy"], 0.8);
    let stranger = |values| Stranger { who: Who::Rendered(1), embedding: face(values) };
    let strangers = [stranger([0.1, 0.0, 0.0, 1.0]), stranger([0.7, 0.7, 0.0, 0.1]), stranger([0.1, 0.2, 0.95, 0.1])];
    let (nearest, named) = strangers::nearest(&table, &strangers);
    let order: Vec<usize> = nearest.iter().map(|near| near.number).collect();
    assert_eq!((order, named), (vec![2, 1, 0], 1));
    assert_eq!(nearest[0].missing, 0.0);
    assert_eq!(nearest[0].person, "Cy");
    // Similarity is short by about as much as the margin is.
    assert!((nearest[1].missing - 0.1).abs() < 0.05, "{nearest:?}");
}

#[test]
fn a_change_names_who_comes_who_goes_and_for_whom_it_is_worse() {
    let before = table(&["Ada", "Bo", "Cy"], 0.5);
    let after = table(&["ada", "Bo", "Di"], 0.999);
    let people = vec![("Ada".to_owned(), photos(0)), ("Bo".to_owned(), vec![face([0.0, 1.0, 0.0, 0.0])])];
    let strangers = [face([0.8, 0.0, 0.0, 0.6])];
    let side = |table| Side { table, people: &people, strangers: &strangers };
    let change = change(&before, &after, Some((side(&before), side(&after))));
    assert_eq!((change.added.as_slice(), change.removed.as_slice()), (&["Di".to_owned()][..], &["Cy".to_owned()][..]));
    let decisions = change.decisions.expect("faces were given");
    assert_eq!((decisions.photos, decisions.right_before), (7, 7));
    assert_eq!((decisions.named_before, decisions.named_after), (1, 0));
    assert_eq!(decisions.people.len(), 1);
    let ada = &decisions.people[0];
    assert!(ada.name == "Ada" && ada.right_before == 6 && ada.right_after < 6, "{ada:?}");
}

struct NoPictures;

impl Gallery for NoPictures {
    fn enrolled(&self, _: &str, _: usize) -> Option<Vec<u8>> {
        None
    }

    fn stranger(&self, _: usize) -> Option<Vec<u8>> {
        None
    }
}

#[test]
fn the_page_is_no_way_in_for_a_name() {
    let table = table(&["<script>alert(1)</script>", "Bo", "Cy"], 0.5);
    let (ada, few) = (photos(0), photos(1)[..2].to_vec());
    let subjects = [Subject { row: 0, photos: &ada }, Subject { row: 1, photos: &few }];
    let who = Who::Rendered(1);
    let strangers = [Stranger { who, embedding: face([0.9, 0.1, 0.0, 0.0]) }];
    let (nearest, strangers_named) = strangers::nearest(&table, &strangers);
    let audit = Audit {
        format: AUDIT_FORMAT,
        revision: table.revision(),
        people: table.len(),
        with_photos: 2,
        rule: table.rule(),
        calibration: None,
        pairs: pairs::closest(&table, &subjects),
        strangers: nearest,
        strangers_looked_at: 1,
        strangers_named,
        photos: photos::findings(&table, &subjects),
        change: Some(change(&table, &table, None)),
    };
    assert_eq!(audit.concerns().len(), 2, "{:?}", audit.concerns());
    let html = page(&audit, &NoPictures);
    assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
    assert!(html.contains("would be named") && html.contains("not compared"));
}
