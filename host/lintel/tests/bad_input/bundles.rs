//! Folders between the steps that were damaged or mixed up: each is refused in one line.

use std::fs;

use lintel_core::embed::EncoderId;
use lintel_core::table::Table;

use crate::world::{World, refused_untouched};

/// A world with the given folders of the fixture, and an existing output `out`.
fn world(names: &[&str], out: &str) -> World {
    let world = World::new();
    for name in names {
        world.copy(name);
    }
    let marker = match out {
        "trained2" => "train.json",
        "bundle2" => "manifest.lintel",
        _ => "report.json",
    };
    world.write(&format!("{out}/{marker}"), b"what was there");
    world
}

fn flip(world: &World, name: &str, at: impl Fn(usize) -> usize) {
    let path = world.path(name);
    let mut bytes = fs::read(&path).unwrap();
    let place = at(bytes.len());
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_bundle_with_one_byte_flipped() {
    for file in ["manifest.lintel", "detector.onnx", "encoder.onnx", "table.lintel"] {
        let places: [fn(usize) -> usize; 3] = [|_| 0, |len| len / 2, |len| len - 1];
        for at in places {
            let world = world(&["bundle", "rendered"], "evaluation2");
            flip(&world, &format!("bundle/{file}"), at);
            let args = ["evaluate", "bundle", "rendered/recordings"];
            refused_untouched(&world, &args, "evaluation2", 2, file);
        }
    }
}

#[test]
fn a_bundle_without_one_of_its_files() {
    for file in ["manifest.lintel", "detector.onnx", "encoder.onnx", "table.lintel"] {
        let world = world(&["bundle", "rendered"], "evaluation2");
        fs::remove_file(world.path("bundle").join(file)).unwrap();
        refused_untouched(&world, &["evaluate", "bundle", "rendered/recordings"], "evaluation2", 2, file);
    }
}

#[test]
fn a_table_for_another_encoder() {
    let world = world(&["trained"], "bundle2");
    let path = world.path("trained/table.lintel");
    let mut parts = lintel_formats::table::from_bytes(&fs::read(&path).unwrap()).unwrap().into_parts();
    parts.encoder = EncoderId([7; 32]);
    fs::write(&path, lintel_formats::table::to_bytes(&Table::new(parts).unwrap())).unwrap();
    refused_untouched(&world, &["export", "trained"], "bundle2", 2, "is for encoder 0707");
}

#[test]
fn a_trained_folder_with_one_byte_flipped() {
    for (file, words) in
        [("table.lintel", "table.lintel"), ("encoder.onnx", "is for encoder"), ("train.json", "train.json")]
    {
        let world = world(&["trained"], "bundle2");
        flip(&world, &format!("trained/{file}"), |len| if file == "train.json" { 0 } else { len / 2 });
        refused_untouched(&world, &["export", "trained"], "bundle2", 2, words);
    }
}

#[test]
fn crops_that_are_not_those_that_were_ingested() {
    let world = world(&["faces"], "trained2");
    let person = fs::read_dir(world.path("faces")).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    fs::copy(person.join("000.png"), person.join("001.png")).unwrap();
    refused_untouched(&world, &["train", "faces"], "trained2", 2, "001.png is not the crop that was ingested");
}

#[test]
fn an_index_that_leads_out_of_its_folder() {
    let world = world(&["faces"], "trained2");
    let path = world.path("faces/people.json");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find("/000.png").unwrap();
    let open = text[..start].rfind('"').unwrap();
    fs::write(&path, format!("{}\"../../000.png{}", &text[..open], &text[start + "/000.png".len()..])).unwrap();
    refused_untouched(&world, &["train", "faces"], "trained2", 2, "lies outside its person's folder");
}

#[test]
fn folders_of_another_step() {
    for (args, out, words) in [
        (["train", "trained"].as_slice(), "trained2", "is not a folder of `lintel ingest`"),
        (&["export", "faces"], "bundle2", "is not a folder of `lintel train`"),
        (&["evaluate", "faces", "rendered/recordings"], "evaluation2", "manifest.lintel is missing"),
        (&["evaluate", "bundle", "faces"], "evaluation2", "faces holds no recordings"),
        (&["evaluate", "bundle", "faces/none.mjpeg"], "evaluation2", "none.toml: no such file"),
    ] {
        let world = world(&["trained", "faces", "bundle", "rendered"], out);
        refused_untouched(&world, args, out, 2, words);
    }
}

#[test]
fn a_recording_whose_frame_is_corrupt_in_the_middle() {
    let world = world(&["bundle", "rendered"], "evaluation2");
    let recordings = world.path("rendered/recordings");
    let path = fs::read_dir(recordings)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "mjpeg"))
        .unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let args = ["evaluate", "bundle", "rendered/recordings"];
    refused_untouched(&world, &args, "evaluation2", 2, &format!("{name}: frame"));
}

#[test]
fn a_missed_target_is_told_after_the_report_is_written() {
    let world = world(&["bundle", "rendered"], "evaluation2");
    // A recording of a person whom no table can name right.
    for entry in fs::read_dir(world.path("rendered/recordings")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace("fps = 10", "fps = 1000")).unwrap();
        }
    }
    let args = ["evaluate", "bundle", "rendered/recordings", "--out", "evaluation2", "--json", "--frame-ms", "9000"];
    let output = world.lintel(&[args.as_slice(), &["--min-accuracy", "1"]].concat());
    crate::world::refused(&output, 1, "deployment accuracy is 25.0 %, wanted 100.0 %");
    let report = fs::read_to_string(world.path("evaluation2/report.json")).unwrap();
    assert!(report.contains("not-named"));
    // A file of an older version is refused, not misread.
    assert!(world.lintel(&["report", "evaluation2", "--out", "page.html"]).status.success());
    let (now, before) = (r#""format": 4"#, r#""format": 3"#);
    assert!(report.contains(now), "{report}");
    fs::write(world.path("evaluation2/report.json"), report.replacen(now, before, 1)).unwrap();
    let output = world.lintel(&["report", "evaluation2", "--out", "page2.html"]);
    crate::world::refused(&output, 2, "it has format 3, wanted 4; run `lintel evaluate` again");
}
