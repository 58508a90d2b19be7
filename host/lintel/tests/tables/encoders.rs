//! Simpler classifiers on the same features, and a published face encoder that is compared, composed into a pack and
//! exported.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::world;

/// A MobileFaceNet trained with ArcFace's loss, which may not be committed.
fn mobilefacenet() -> Option<PathBuf> {
    let file: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared", "models", "mobilefacenet_arcface.onnx"]
            .iter()
            .collect();
    if file.is_file() {
        return Some(file);
    }
    eprintln!("SKIPPED: ../shared/models/mobilefacenet_arcface.onnx is absent");
    None
}

#[test]
fn the_fine_tune_is_set_beside_simpler_ways() {
    let world = world();
    let bench = world.done(&["bench", "baselines", "trained", "faces", "--out", "baselines", "--target-fpir", "0.1"]);
    let ways = bench["bench"]["ways"].as_array().expect("a list");
    let names: Vec<&str> = ways.iter().filter_map(|way| way["name"].as_str()).collect();
    let expected = ["text fine-tune", "nearest class mean", "linear probe", "Tip-Adapter-F", "zero-shot text"];
    assert_eq!(names, expected);
    for way in &ways[..4] {
        assert!(way["rank_1"]["rate"].as_f64().is_some_and(|rate| rate > 0.6), "{way}");
        assert!(way["fpir"]["rate"].as_f64().is_some_and(|rate| rate < 0.2), "{way}");
    }
    assert_eq!(bench["bench"]["verdicts"].as_array().map(Vec::len), Some(4));
    let html = fs::read_to_string(world.path("baselines/bench.html")).unwrap();
    assert!(html.contains("Tip-Adapter-F"));
    world.refused(
        &["bench", "baselines", "trained", "both", "--out", "other-people"],
        2,
        "do not hold the same people",
    );
}

#[test]
fn table_1_has_no_made_up_figures() {
    let world = world();
    let row = |bench: &Value, name: &str| -> Value {
        let rows = bench["bench"]["rows"].as_array().expect("a list");
        rows.iter().find(|row| row["name"].as_str().is_some_and(|n| n.starts_with(name))).expect(name)["figures"]
            .clone()
    };
    let bench = world.done(&["bench", "table1", "trained", "faces", "--out", "table1", "--target-fpir", "0.1"]);
    for name in ["vgg-face o", "vgg-face c", "arcface o", "arcface c"] {
        assert!(row(&bench, name).is_null(), "{name} has figures without weights");
    }
    assert!(row(&bench, "CLIP")["accuracy"]["trials"].as_u64().is_some_and(|trials| trials > 30));
    world.refused(
        &["bench", "table1", "trained", "faces", "--encoder", "mine=no.onnx", "--out", "unknown-encoder"],
        2,
        "--preprocessing mine=",
    );
    world.refused(
        &["bench", "table1", "trained", "faces", "--encoder", "arcface=no.onnx", "--out", "no-encoder"],
        2,
        "no.onnx",
    );

    let Some(file) = mobilefacenet() else { return };
    let encoder = format!("arcface={}", file.display());
    let args = ["bench", "table1", "trained", "faces", "--encoder", &encoder, "--preprocessing", "arcface=imagenet"];
    let bench = world.done(&[&args[..], &["--out", "table1", "--target-fpir", "0.1"]].concat());
    for name in ["arcface o", "arcface c"] {
        let figures = row(&bench, name);
        assert!(figures["at_target"]["rank_1"]["rate"].as_f64().is_some_and(|rate| rate > 0.6), "{name}: {figures}");
        assert!(figures["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{name}: {figures}");
    }
    assert!(row(&bench, "vgg-face o").is_null());
}

#[test]
fn a_published_encoder_can_stand_at_the_door() {
    let Some(file) = mobilefacenet() else { return };
    let world = world();
    let file = file.display().to_string();
    let compose = ["packs", "compose", "--encoder", &file, "--preprocessing", "imagenet", "--name", "mobile"];
    assert_eq!(world.done(&[&compose[..], &["--out", "pack"]].concat())["dim"], 128);
    world.done(&["train", "faces", "--pack", "pack", "--out", "mobile", "--target-fpir", "0.1"]);
    let table = world.table("mobile");
    assert_eq!(table.dim(), 128);
    assert!(table.calibration().is_some_and(|calibration| calibration.fnir <= 0.5), "{:?}", table.calibration());
    // Loads and runs as at a door; otherwise export would have refused it.
    world.done(&["export", "mobile", "--pack", "pack", "--out", "mobile-bundle"]);

    let wrong = world.path("one/people.json").display().to_string();
    let args =
        ["packs", "compose", "--encoder", &wrong, "--preprocessing", "imagenet", "--name", "x", "--out", "wrong"];
    world.refused(&args, 2, "people.json");
    world.refused(&[&compose[..7], &["rn50", "--out", "known"]].concat(), 2, "is the name of a known pack");
}
