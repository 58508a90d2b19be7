//! People who join and leave a table, the audit, baselines and other encoders, through the real program on rendered
//! people.

mod encoders;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use lintel_core::table::{PersonId, Rule, Table};
use serde_json::Value;

/// Four people, three of them in the table; the thresholds are for a target that few strangers suffice for.
struct World(tempfile::TempDir);

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn lintel(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lintel"));
        command.args(args).current_dir(self.0.path()).output().expect("the program starts")
    }

    #[track_caller]
    fn done(&self, args: &[&str]) -> Value {
        let output = self.lintel(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    #[track_caller]
    fn refused(&self, args: &[&str], code: i32, words: &str) {
        let output = self.lintel(&[args, &["--json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.lines().count() == 1 && stderr.contains(words), "{words:?} is not in {stderr}");
    }

    fn table(&self, folder: &str) -> Table {
        lintel_formats::table::from_bytes(&fs::read(self.path(folder).join("table.lintel")).expect("a table"))
            .expect("intact")
    }
}

fn names(table: &Table) -> Vec<&str> {
    table.people().iter().map(|person| person.name.as_str()).collect()
}

/// `faces` and `trained` (three people), `one` (the fourth alone), `both` (the fourth and one who is enrolled).
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let world = World(tempfile::tempdir().expect("a temporary folder"));
        let render = "render --out rendered --people 4 --strangers 0 --photos 6 --seconds 0 --size 320x320 --seed 41";
        world.done(&render.split(' ').collect::<Vec<_>>());
        let mut people: Vec<PathBuf> =
            fs::read_dir(world.path("rendered/photos")).unwrap().map(|entry| entry.unwrap().path()).collect();
        people.sort();
        for (folder, chosen) in [("three", &people[..3]), ("one-photos", &people[3..]), ("two-photos", &people[2..])] {
            for person in chosen {
                copy(person, &world.path(folder).join(person.file_name().unwrap()));
            }
        }
        world.done(&["ingest", "three", "--out", "faces"]);
        world.done(&["ingest", "one-photos", "--joining", "--out", "one"]);
        world.done(&["ingest", "two-photos", "--out", "both"]);
        world.done(&["train", "faces", "--out", "trained", "--target-fpir", "0.1"]);
        world
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn one_joins_and_nobody_else_changes() {
    let world = world();
    let before = world.table("trained");
    for faces in ["one", "both"] {
        let out = format!("joined-{faces}");
        world.done(&["table", "add", "trained", faces, "--out", &out]);
        let after = world.table(&out);
        assert_eq!(after.people()[..3], before.people()[..]);
        assert_eq!(after.classes()[..before.classes().len()], *before.classes());
        assert_eq!((after.len(), after.people()[3].id), (4, PersonId(3)));
        assert_eq!((after.revision(), after.encoder()), (before.revision() + 1, before.encoder()));
        assert!(after.logit_scale() == before.logit_scale() && matches!(after.rule(), Rule::Calibrated { .. }));
        let calibration = after.calibration().expect("the thresholds were set anew");
        assert!(calibration.target_fpir == 0.1 && calibration.fpir_upper <= 0.1, "{calibration:?}");
        // The new person is recognised: the FNIR counts her held-out photos.
        assert!(calibration.fnir <= 0.34, "{calibration:?}");
    }
    assert_eq!(world.table("joined-one").classes(), world.table("joined-both").classes());

    world.refused(&["table", "add", "joined-one", "one", "--out", "again"], 2, "is in the table already");
    world.refused(&["ingest", "one-photos", "--out", "again"], 2, "--joining");
    world.refused(&["train", "one", "--out", "again"], 2, "at least 2 are needed");
    assert!(!world.path("again").exists());
}

#[test]
fn who_leaves_has_left_no_trace() {
    let world = world();
    let before = world.table("trained");
    let (gone, stays) = (names(&before)[1].to_owned(), names(&before)[2].to_owned());
    let shown = world.done(&["table", "remove", "trained", &gone.to_uppercase(), "--out", "left"]);
    assert_eq!(shown["report"]["people"], 2);
    let after = world.table("left");
    assert!(!names(&after).contains(&gone.as_str()) && names(&after).contains(&stays.as_str()));
    assert_eq!(after.revision(), before.revision() + 1);
    // The people's photos differ, and the intra-class similarities of those who stay do not change.
    assert!(
        before
            .intra_class_similarity()
            .iter()
            .all(|intra_class_similarity| (0.5..1.0).contains(intra_class_similarity)),
        "{:?}",
        before.intra_class_similarity()
    );
    assert_eq!(
        after.intra_class_similarity(),
        [before.intra_class_similarity()[0], before.intra_class_similarity()[2]]
    );
    assert!(after.calibration().is_some_and(|calibration| calibration.fpir_upper <= 0.1));
    let row = &before.classes()[before.dim()..2 * before.dim()];
    let traces: [Vec<u8>; 2] =
        [gone.clone().into_bytes(), row.iter().take(4).flat_map(|value| value.to_le_bytes()).collect()];
    let has = |bytes: &[u8], trace: &[u8]| bytes.windows(trace.len()).any(|window| window == trace);
    for entry in fs::read_dir(world.path("left")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(traces.iter().all(|trace| !has(&bytes, trace)), "{} has a trace", path.display());
    }
    // The same search finds both where they should be.
    let old = fs::read(world.path("trained/table.lintel")).unwrap();
    assert!(traces.iter().all(|trace| has(&old, trace)));

    world.refused(&["table", "remove", "left", &gone, "--out", "again"], 2, "is not in the table");
    world.refused(&["table", "remove", "left", "--id", "1", "--out", "again"], 2, "person 1 is not in the table");
    // By id, in place, until nobody is left.
    world.done(&["table", "remove", "left", "--id", "0", "--out", "left"]);
    world.done(&["table", "remove", "left", &stays, "--out", "left"]);
    assert!(world.table("left").is_empty());
    assert_eq!(world.done(&["table", "show", "left"])["people"], Value::Array(Vec::new()));
}

#[test]
fn an_audit_shows_who_could_open_for_whom() {
    let world = world();
    let before = world.table("trained");
    let mut parts = before.clone().into_parts();
    let left = parts.people.pop().expect("three people").name;
    parts.classes.truncate(2 * parts.dim);
    parts.intra_class_similarity.truncate(2);
    parts.revision = 0;
    let deployed = Table::new(parts).expect("a table of two");
    fs::write(world.path("deployed.lintel"), lintel_formats::table::to_bytes(&deployed)).unwrap();

    let said = world.done(&["audit", "trained", "faces", "--against", "deployed.lintel", "--out", "audit"]);
    let audit = &said["audit"];
    assert_eq!((audit["people"].as_u64(), audit["with_photos"].as_u64()), (Some(3), Some(3)));
    assert_eq!(audit["change"]["added"], serde_json::json!([left]));
    assert!(audit["pairs"].as_array().is_some_and(|pairs| pairs.len() == 3));
    assert_eq!(audit["strangers"].as_array().map(Vec::len), Some(12));
    assert!(audit["strangers_looked_at"].as_u64().is_some_and(|met| met >= 36));
    let html = fs::read_to_string(world.path("audit/audit.html")).unwrap();
    // Two faces for each pair and two for each stranger.
    assert!(html.matches("data:image/png;base64,").count() >= 2 * (3 + 12) && !html.contains("no picture"));

    world.refused(&["audit", "trained", "one", "--out", "audit-2"], 2, "nobody in one is in the table");
    world.refused(&["audit", "trained", "faces", "--against", "faces", "--out", "audit-2"], 2, "faces/table.lintel");
}
