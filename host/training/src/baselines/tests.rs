use lintel_core::embed::EncoderId;
use proptest::prelude::*;

use super::linear_probe::Probe;
use super::tip_adapter::Adapter;
use super::*;

const ID: EncoderId = EncoderId([9; 32]);
const DIM: usize = 12;

/// People around random directions; with a `spread` of 0 every photo is its person's direction.
fn data(people: usize, photos: usize, spread: f32, seed: u64) -> Data {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut draw = move |around: Option<&[f32]>, spread: f32| -> Vec<f32> {
        (0..DIM).map(|i| around.map_or(0.0, |a| a[i]) + spread * (rng.f32() * 2.0 - 1.0)).collect()
    };
    let unit = |values: &[f32]| Embedding::new(values, ID).expect("a direction");
    let mut all = Data { people, dim: DIM, train: Vec::new(), held_out: Vec::new(), strangers: Vec::new() };
    for row in 0..people {
        let centre = unit(&draw(None, 1.0));
        for number in 0..photos + 2 {
            let face = unit(&draw(Some(centre.vector()), spread));
            let photo = Photo { row, face };
            if number < photos { all.train.push(photo) } else { all.held_out.push(photo) }
        }
    }
    all.strangers = (0..200).map(|_| unit(&draw(None, 1.0))).collect();
    all
}

fn prompts(data: &Data, seed: u64) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let rows = (0..data.people).map(|_| (0..DIM).map(|_| rng.f32() * 2.0 - 1.0).collect::<Vec<f32>>());
    rows.flat_map(|row| Embedding::new(&row, ID).expect("a direction").vector().to_vec()).collect()
}

fn all(data: &Data) -> Vec<(&'static str, Scorer<'static>)> {
    vec![
        ("mean", class_mean::scorer(data)),
        ("probe", Probe::learnt(data).into_scorer()),
        ("tip", Adapter::learnt(data, &prompts(data, 5)).into_scorer()),
    ]
}

#[test]
fn each_tells_people_apart_who_can_be_told_apart() {
    let data = data(8, 8, 0.15, 3);
    for (name, scorer) in all(&data) {
        let measured = measure(name, &scorer, &data, 0.05);
        assert_eq!(measured.rank_1.rate, Some(1.0), "{measured:?}");
        // A probe's logits compare people with each other: strangers get high ones too.
        let most = if name == "probe" { 0.9 } else { 0.3 };
        assert!(measured.fnir.rate.is_some_and(|rate| rate <= most), "{measured:?}");
        assert!(measured.fpir.rate.is_some_and(|rate| rate <= 0.1), "{measured:?}");
    }
    // Prompts of an encoder that has not seen faces are no better than chance.
    let zero_shot = measure("zero-shot", &by_rows(prompts(&data, 5), DIM), &data, 0.05);
    assert!(zero_shot.rank_1.rate.is_some_and(|rate| rate < 0.6), "{zero_shot:?}");
}

#[test]
fn the_order_of_the_people_changes_nothing() {
    let one = data(5, 6, 0.5, 11);
    let order = [3, 0, 4, 1, 2];
    let renamed = |photos: &[Photo]| -> Vec<Photo> {
        photos.iter().map(|photo| Photo { row: order[photo.row], face: photo.face.clone() }).collect()
    };
    let other = Data { train: renamed(&one.train), held_out: renamed(&one.held_out), ..one.clone() };
    for ((name, a), (_, b)) in [
        (("mean", class_mean::scorer(&one)), ("mean", class_mean::scorer(&other))),
        (("probe", Probe::learnt(&one).into_scorer()), ("probe", Probe::learnt(&other).into_scorer())),
    ] {
        for photo in &one.held_out {
            let (a, b) = (a(photo.face.vector()), b(photo.face.vector()));
            for row in 0..one.people {
                assert!((a[row] - b[order[row]]).abs() < 1e-3 * a[row].abs().max(1.0), "{name}: {a:?} {b:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_top_is_the_top(scores in prop::collection::vec(-10.0_f32..10.0, 1..20)) {
        let (best, thresholds) = top(&scores);
        prop_assert!(scores.iter().all(|score| *score <= scores[best]));
        prop_assert_eq!(thresholds.similarity, scores[best]);
        prop_assert!(thresholds.margin >= 0.0);
    }
}
