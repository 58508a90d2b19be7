//! Bad input, through the real program: each case gives one line and a non-zero exit code, and changes nothing.
//!
//! Every case runs with an existing output, which must be the same afterwards.

mod bundles;
mod disk;
mod gpus;
mod interrupts;
mod photos;
mod world;

use world::{World, refused};

#[test]
fn slips_of_the_fingers_get_one_line() {
    let check = |args: &[&str], words: &str| refused(&World::new().lintel(args), 2, words);
    check(&["ingets"], "unrecognized subcommand 'ingets'");
    check(&["ingest", "photos"], "required arguments were not provided");
    check(&["ingest", "photos", "--out", "faces", "--colour"], "unexpected argument '--colour'");
    check(&["render", "--out", "x", "--size", "big"], "invalid value 'big'");
    check(&["render", "--out", "x", "--people", "0", "--strangers", "0"], "nobody to render");
    check(&["ingest", "nowhere", "--out", "x"], "nowhere: no such file or folder");
    check(&["train", "nowhere", "--out", "x"], "nowhere: no such file or folder");
    check(&["table", "show", "nowhere"], "nowhere: no such file or folder");
    check(&["table", "remove", "nowhere", "Ada", "--out", "x"], "nowhere: no such file or folder");
    check(&["table", "remove", "nowhere", "--out", "x"], "required arguments were not provided");
    check(&["audit", "nowhere", "nowhere", "--out", "x"], "nowhere: no such file or folder");
    check(&["export", "nowhere", "--out", "x"], "nowhere: no such file or folder");
    check(&["evaluate", "nowhere", "nowhere", "--out", "x"], "nowhere: no such file or folder");
    check(&["report", "nowhere"], "nowhere: no such file or folder");
    check(&["demo", "--edge", "nowhere"], "nowhere is no program");
    check(&["runtime", "--onnxruntime", "nowhere.so"], "nowhere.so");
}

#[test]
fn help_teaches_with_an_example() {
    for verb in [
        "render",
        "ingest",
        "train",
        "table",
        "audit",
        "export",
        "evaluate",
        "report",
        "demo",
        "runtime",
        "completions",
    ] {
        let output = World::new().lintel(&[verb, "--help"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("Example:\n  lintel "), "{verb}: {text}");
    }
}
