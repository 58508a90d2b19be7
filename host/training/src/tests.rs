//! Whole runs: they learn, repeat, survive interruptions, and refuse bad input.

use std::ops::ControlFlow;
use std::path::Path;

use lintel_clip::text_encoder::{TextConfig, random_tensors};

use super::*;

const DIM: usize = 32;
const NAMES: [&str; 4] = ["Ada", "Bo", "Cy", "Dee"];

/// A vocabulary of bytes without merges.
pub(super) fn tokenizer() -> Tokenizer {
    Tokenizer::new(b"#version: 0.2\n", 514, 77).expect("a tokenizer")
}

pub(super) fn clip() -> NamedTensors {
    random_tensors(&TextConfig { vocabulary: 514, context: 77, width: 64, layers: 1, dim: DIM }, 5)
}

/// `photos` of each person: the person's own direction and some noise.
pub(super) fn features(people: usize, photos: usize) -> Features {
    let mut random = fastrand::Rng::with_seed(9);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for person in 0..people {
        let direction: Vec<f32> = (0..DIM).map(|_| random.f32() - 0.5).collect();
        for _ in 0..photos {
            let row: Vec<f32> = direction.iter().map(|v| v + 0.3 * (random.f32() - 0.5)).collect();
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            values.extend(row.iter().map(|v| v / norm));
            labels.push(u32::try_from(person).expect("few"));
        }
    }
    Features::new(DIM, values, labels).expect("features")
}

pub(super) fn settings() -> Settings {
    Settings { template: "{name}".to_owned(), epochs: 6, learning_rate: 3e-3, batch: 8, ..Settings::default() }
}

pub(super) fn names() -> Vec<String> {
    NAMES.map(str::to_owned).to_vec()
}

fn run(
    settings: &Settings,
    checkpoint: Option<&Path>,
    on_step: &mut dyn FnMut(&Step) -> ControlFlow<()>,
) -> Result<Outcome, TrainError> {
    let (clip, tokenizer, names, features) = (clip(), tokenizer(), names(), features(4, 10));
    let task = Task { clip: &clip, tokenizer: &tokenizer, names: &names, features: &features, settings, fixed: None };
    train(&task, checkpoint, on_step)
}

fn finished(settings: &Settings) -> Trained {
    match run(settings, None, &mut |_| ControlFlow::Continue(())) {
        Ok(Outcome::Finished(trained)) => trained,
        other => panic!("{other:?}"),
    }
}

#[test]
fn prompts_come_to_where_their_photos_are() {
    let trained = finished(&Settings { epochs: 20, ..settings() });
    let (first, last) = (trained.curve[0], trained.curve[19]);
    assert!(last.loss < 0.2 * first.loss, "{first:?} {last:?}");
    assert_eq!(last.held_out_accuracy, 1.0, "{last:?}");
    assert_eq!(trained.split.train.len(), 32);
    assert_eq!(trained.split.held_out.len(), 8);
    for row in trained.classes.chunks_exact(DIM) {
        assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4);
    }
}

#[test]
fn one_seed_is_one_result() {
    let check = |a: &Settings, b: &Settings, same: bool| {
        let (a, b) = (finished(a), finished(b));
        assert_eq!(a == b, same);
        let bits = |t: &Trained| t.classes.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a) == bits(&b), same);
    };
    check(&settings(), &settings(), true);
    check(&settings(), &Settings { seed: 2, ..settings() }, false);
}

#[test]
fn a_frozen_scale_stays() {
    let scale = |logit_scale| finished(&Settings { logit_scale, ..settings() }).logit_scale;
    let start = clip().get("logit_scale").expect("scale").values[0].exp();
    assert!((scale(LogitScale::Frozen) - start).abs() < 1e-4);
    assert!((scale(LogitScale::Trained) - start).abs() > 1e-3);
}

#[test]
fn chunks_change_no_more_than_rounding() {
    let classes = |chunk| finished(&Settings { chunk, ..settings() }).classes;
    let whole = classes(4);
    assert_eq!(whole, classes(128));
    for chunk in 1..4 {
        let difference = whole.iter().zip(classes(chunk)).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(difference < 1e-3, "chunks of {chunk}: {difference}");
    }
}

#[test]
fn sampled_classes_teach_too() {
    let settings = Settings { epochs: 20, batch: 2, classes_per_step: 3, ..settings() };
    let last = finished(&settings).curve[19];
    assert_eq!(last.held_out_accuracy, 1.0, "{last:?}");
    // As many classes as people means all of them, bit for bit.
    let all = |classes_per_step| finished(&Settings { epochs: 2, classes_per_step, ..settings.clone() });
    assert_eq!(all(0), all(4));
    assert_ne!(all(0), all(3));
}

#[test]
fn every_loss_brings_prompts_to_their_photos() {
    for loss in [Loss::Softmax, Loss::ARCFACE, Loss::COSFACE, Loss::TRIPLET] {
        let trained = finished(&Settings { epochs: 20, loss, ..settings() });
        assert_eq!(trained.curve[19].held_out_accuracy, 1.0, "{loss:?}");
        assert!(trained.curve.iter().all(|figures| figures.loss.is_finite()), "{loss:?}");
    }
}

#[test]
fn settings_of_before_there_was_a_choice_are_read() {
    let mut old = serde_json::to_value(settings()).expect("plain values");
    for added in ["chunk", "classes_per_step", "loss", "compute", "precision"] {
        old.as_object_mut().expect("an object").remove(added).expect(added);
    }
    assert_eq!(serde_json::from_value::<Settings>(old).expect("settings"), settings());
}

#[test]
fn an_interrupted_run_ends_where_an_unbroken_one_does() {
    // 4 steps an epoch, 24 in all: inside epochs, at their ends, and before the last step.
    let check = |settings: &Settings, stops: &[u64]| {
        let unbroken = finished(settings);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoint");
        for &stop in stops {
            let outcome = run(settings, Some(&path), &mut |step| {
                if step.done == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(outcome.expect("a run"), Outcome::Stopped { done: stop });
        }
        let outcome = run(settings, Some(&path), &mut |_| ControlFlow::Continue(())).expect("a run");
        assert_eq!(outcome, Outcome::Finished(unbroken), "{stops:?}");
    };
    check(&settings(), &[1]);
    check(&settings(), &[4]);
    check(&settings(), &[3, 5, 6, 12, 23]);
    check(&Settings { chunk: 3, ..settings() }, &[3, 8]);
    check(&Settings { batch: 2, classes_per_step: 3, ..settings() }, &[3, 8]);
}

#[test]
fn a_finished_run_is_not_run_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint");
    let mut steps = 0;
    let mut go = || {
        run(&settings(), Some(&path), &mut |_| {
            steps += 1;
            ControlFlow::Continue(())
        })
        .expect("a run")
    };
    assert_eq!(go(), go());
    assert_eq!(steps, 24);
}

#[test]
fn a_checkpoint_that_is_not_ours_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoint");
    run(&settings(), Some(&path), &mut |_| ControlFlow::Break(())).expect("a run");
    let good = std::fs::read(&path).expect("a checkpoint");
    let check = |settings: &Settings, content: &[u8], expected: &str| {
        std::fs::write(&path, content).expect("written");
        let error = run(settings, Some(&path), &mut |_| ControlFlow::Break(())).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(std::fs::read(&path).expect("still there"), content);
    };
    check(&Settings { epochs: 7, ..settings() }, &good, "belongs to a run with other");
    check(&Settings { chunk: 2, ..settings() }, &good, "belongs to a run with other");
    check(&Settings { classes_per_step: 3, ..settings() }, &good, "belongs to a run with other");
    check(&Settings { loss: Loss::COSFACE, ..settings() }, &good, "belongs to a run with other");
    check(&settings(), &good[..good.len() - 1], "checkpoint");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    check(&settings(), &flipped, "checkpoint");
    check(&settings(), b"", "checkpoint");
}

#[test]
fn impossible_tasks_are_refused() {
    let check = |names: &[&str], photos: usize, settings: &Settings, expected: &str| {
        let (clip, tokenizer, features) = (clip(), tokenizer(), features(names.len(), photos));
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        let task =
            Task { clip: &clip, tokenizer: &tokenizer, names: &names, features: &features, settings, fixed: None };
        let error = train(&task, None, &mut |_| ControlFlow::Continue(())).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    let plain = settings();
    check(&["Ada"], 5, &plain, "there are 1 people, wanted at least 2");
    check(&["Ada", "Bo"], 1, &plain, "person 0 has 1 photos, wanted at least 2");
    check(&["Ada", "ADA"], 5, &plain, "people 0 and 1 have the same prompt");
    let long = "x ".repeat(90);
    check(&[&format!("{long}a"), &format!("{long}b")], 5, &plain, "within the first 77 tokens");
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        settings
    };
    check(&NAMES, 5, &with(&|s| s.template = "a face".to_owned()), "the template is \"a face\"");
    check(&NAMES, 5, &with(&|s| s.epochs = 0), "the number of epochs is 0");
    check(&NAMES, 5, &with(&|s| s.batch = 0), "the batch is 0");
    check(&NAMES, 5, &with(&|s| s.chunk = 0), "the chunk is 0");
    check(&NAMES, 5, &with(&|s| s.classes_per_step = 1), "the number of classes in a step is 1");
    check(&NAMES, 5, &with(&|s| s.learning_rate = f64::NAN), "the learning rate is NaN");
    check(&NAMES, 5, &with(&|s| s.similarity = f32::NAN), "the weight of the similarity is NaN");
    check(&NAMES, 5, &with(&|s| s.loss = Loss::ARCFACE.with_margin(0.0)), "the margin is 0");
    check(&NAMES, 5, &with(&|s| s.loss = Loss::TRIPLET.with_margin(f32::NAN)), "the margin is NaN");
    check(&NAMES, 5, &with(&|s| s.weight_decay = -1.0), "the weight decay is -1");
    check(&NAMES, 5, &with(&|s| s.held_out = 1.0), "the held-out share is 1");
}

/// The last of the people joins the table of the others.
fn joining(settings: &Settings, before: &Trained, last: &Features, stop: bool) -> Trained {
    let (clip, tokenizer) = (clip(), tokenizer());
    let names = [NAMES[NAMES.len() - 1].to_owned()];
    let fixed = Some(Fixed { rows: &before.classes, logit_scale: before.logit_scale });
    let task = Task { clip: &clip, tokenizer: &tokenizer, names: &names, features: last, settings, fixed };
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = folder.path().join("checkpoint");
    let mut left = if stop { 2 } else { u64::MAX };
    loop {
        let outcome = train(&task, Some(&checkpoint), &mut |_| {
            left = left.saturating_sub(1);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match outcome.expect("trained") {
            Outcome::Finished(trained) => return trained,
            Outcome::Stopped { .. } => left = u64::MAX,
        }
    }
}

#[test]
fn a_person_joins_a_table_that_stays() {
    let settings = Settings { epochs: 30, ..settings() };
    let (clip, tokenizer, names) = (clip(), tokenizer(), names());
    let all = features(4, 10);
    let of = |people: std::ops::Range<u32>| {
        let rows = (0..all.len()).filter(|&row| people.contains(&all.people()[row]));
        let (values, labels): (Vec<&[f32]>, Vec<u32>) =
            rows.map(|row| (all.row(row), all.people()[row] - people.start)).unzip();
        Features::new(DIM, values.concat(), labels).expect("features")
    };
    let (first, last) = (of(0..3), of(3..4));
    let task = Task {
        clip: &clip,
        tokenizer: &tokenizer,
        names: &names[..3],
        features: &first,
        settings: &settings,
        fixed: None,
    };
    let Outcome::Finished(before) = train(&task, None, &mut |_| ControlFlow::Continue(())).expect("trained") else {
        panic!("unexpectedly stopped")
    };
    for classes_per_step in [0, 2] {
        let settings = Settings { classes_per_step, ..settings.clone() };
        let joined = joining(&settings, &before, &last, false);
        assert_eq!((joined.classes.len(), joined.logit_scale), (DIM, before.logit_scale));
        // All held-out photos are compared with the people who were there before, too.
        assert_eq!(joined.curve.last().expect("a curve").held_out_accuracy, 1.0);
        assert!(joining(&settings, &before, &last, true) == joined, "a stopped and resumed run ends like a whole one");
    }
}

#[test]
fn features_are_checked() {
    let check = |dim: usize, values: &[f32], people: &[u32], expected: Result<(), FeaturesError>| {
        assert_eq!(Features::new(dim, values.to_vec(), people.to_vec()).map(drop), expected);
    };
    check(2, &[0.6, 0.8], &[0], Ok(()));
    check(2, &[0.6, 0.8], &[0, 1], Err(FeaturesError::Count { rows: 2, values: 2, dim: 2 }));
    check(0, &[], &[], Err(FeaturesError::Count { rows: 0, values: 0, dim: 0 }));
    check(2, &[1.0, 1.0], &[0], Err(FeaturesError::NotUnit { row: 0, length: std::f32::consts::SQRT_2 }));
    assert!(matches!(Features::new(1, vec![f32::NAN], vec![0]), Err(FeaturesError::NotUnit { .. })));
}

#[test]
fn each_person_gives_a_share() {
    let check = |photos: usize, share: f64, held_out: usize| {
        let features = features(3, photos);
        let split = split(&features, 3, share, 1).expect("a split");
        for person in 0..3 {
            let of = |rows: &[usize]| rows.iter().filter(|&&r| features.people()[r] == person).count();
            assert_eq!((of(&split.train), of(&split.held_out)), (photos - held_out, held_out));
        }
        let mut all = [split.train.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..3 * photos).collect::<Vec<_>>());
    };
    check(10, 0.2, 2);
    check(12, 0.2, 2);
    check(13, 0.2, 3);
    check(2, 0.2, 1);
    check(2, 0.9, 1);
    check(5, 0.0, 1);
    // Appending a person changes nothing for the others.
    let (three, four) = (features(3, 10), features(4, 10));
    let (three, four) = (split(&three, 3, 0.2, 1).expect("a split"), split(&four, 4, 0.2, 1).expect("a split"));
    assert_eq!(three.held_out, four.held_out[..6]);
}
