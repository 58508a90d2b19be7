//! `lintel packs` at the command line: the list, missing packs, and limits that are accepted once.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

fn lintel(data: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lintel"))
        .args(args)
        .env("XDG_DATA_HOME", data)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_says_what_there_is_and_what_is_missing() {
    let data = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let from = empty.path().to_str().unwrap();
    let check = |args: &[&str], code: i32, expected: &str| {
        let (got, out, err) = lintel(data.path(), args);
        assert!(got == code && (out.contains(expected) || err.contains(expected)), "{args:?}: {got}\n{out}\n{err}");
    };
    check(&["packs", "list"], 0, "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762");
    check(&["packs", "list", "--json"], 0, "\"installed\": false");
    check(&["packs", "verify"], 0, "no pack is installed");
    check(&["packs", "fetch", "rn51"], 2, "no pack is called rn51; there is rn50");
    check(&["packs", "fetch", "mini"], 2, "part of this program");
    check(&["packs", "add", "--from", "nowhere/at/all"], 2, "cannot read nowhere/at/all");
    let photos = tempfile::tempdir().unwrap();
    for person in ["Ann", "Ben"] {
        fs::create_dir(photos.path().join(person)).unwrap();
        for photo in ["1.jpg", "2.jpg"] {
            fs::write(photos.path().join(person).join(photo), b"a photo that is never read").unwrap();
        }
    }
    let photos = photos.path().to_str().unwrap();
    // Without a terminal the limits are shown, and nothing is done without the option.
    check(
        &["packs", "fetch", "rn50", "--offline"],
        2,
        "InsightFace's trained models may be used for non-commercial research only",
    );
    check(&["packs", "add", "--from", from], 2, "must be accepted first: add --accept-licence");
    check(&["packs", "add", "--from", from, "--accept-licence"], 2, "holds no RN50.pt, no det_2.5g.onnx of pack rn50");
    // Accepted once.
    check(&["packs", "fetch", "rn50", "--offline"], 2, "--offline forbids fetching");
    check(&["packs", "verify", "rn50"], 1, "rn50/RN50.pt, rn50/det_2.5g.onnx not good");
    check(
        &["ingest", photos, "--out", "x", "--pack", "rn50"],
        2,
        "pack rn50 is not installed; `lintel packs fetch rn50` installs it",
    );
    check(&["ingest", photos, "--out", "x", "--pack", "rn51"], 2, "neither a folder nor an installed pack");
}
