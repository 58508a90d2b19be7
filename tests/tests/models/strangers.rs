//! The strangers that the embedded pack ships = the embeddings of the same rendered people by its own models.
//!
//! `LINTEL_WRITE=1 cargo test --release --workspace --test models strangers` writes the file anew: after a change of
//! the detector, the image encoder, the renderer or the quality gate.

use std::path::Path;

use lintel_core::embed::EncoderId;
use lintel_packs::{Pack, embedded_strangers};
use lintel_rendered::faces::ModelPairs;
use lintel_rendered::strangers::kept::{checked, read, write};
use lintel_rendered::strangers::{Cohort, Who};
use lintel_training::calibration::{TARGET_FPIR, strangers_wanted};
use lintel_work::places::runtime;

/// The largest file that is shipped.
const MAX_BYTES: usize = 1_200_000;
/// People of the file who are rendered and embedded again.
const SAMPLE: usize = 12;

#[test]
fn the_shipped_strangers_are_what_the_models_make_of_them() {
    let pack = Pack::embedded().unwrap();
    let encoder = pack.encoder_onnx().unwrap();
    let mut models = ModelPairs::open(&pack.detector, &encoder, &runtime()).unwrap();
    let wanted = strangers_wanted(TARGET_FPIR);
    if std::env::var_os("LINTEL_WRITE").is_some() {
        let mut cohort = Cohort::default();
        cohort.grow(wanted, &mut models, || Ok(())).unwrap();
        cohort.met.truncate(wanted);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/mini/strangers.lintel");
        std::fs::write(file, write(&cohort, models.encoder())).unwrap();
        return;
    }
    let again = "run this test with LINTEL_WRITE=1 if the detector, the encoder, the gate or the renderer was changed";
    let shipped = embedded_strangers(&pack.detector).unwrap();
    assert!(shipped.len() <= MAX_BYTES, "{} bytes", shipped.len());
    let cohort = read(shipped, EncoderId::of(&encoder)).expect(again);
    assert_eq!(cohort.met.len(), wanted, "{again}");
    for stranger in cohort.met.iter().step_by(wanted.div_ceil(SAMPLE)) {
        let Who::Rendered(person) = stranger.who else { panic!("{:?}", stranger.who) };
        let visitor = models.visits(&[person]).unwrap().pop().expect(again);
        let similarity = visitor.embedding.similarity(&stranger.embedding).unwrap().get();
        assert!(similarity >= 0.9999, "person {person}: {similarity}; {again}");
    }
}

#[test]
fn a_damaged_file_and_the_file_of_another_encoder_are_not_used() {
    let pack = Pack::embedded().unwrap();
    let encoder = pack.encoder_onnx().unwrap();
    let mut models = ModelPairs::open(&pack.detector, &encoder, &runtime()).unwrap();
    let shipped = embedded_strangers(&pack.detector).unwrap();
    assert!(embedded_strangers(&pack.detector[1..]).is_none());
    assert!(read(shipped, EncoderId([7; 32])).is_none());
    let mut damaged = shipped.to_vec();
    damaged[shipped.len() / 2] ^= 1;
    assert!(checked(&damaged, &mut models).unwrap().met.is_empty());
    // Sound, but not what these models make of its people: two of them have changed places.
    let mut swapped = read(shipped, models.encoder()).unwrap();
    let last = swapped.met.len() - 1;
    let (first, other) = (swapped.met[0].embedding.clone(), swapped.met[last].embedding.clone());
    (swapped.met[0].embedding, swapped.met[last].embedding) = (other, first);
    assert!(checked(&write(&swapped, models.encoder()), &mut models).unwrap().met.is_empty());
    assert!(!checked(shipped, &mut models).unwrap().met.is_empty());
}
