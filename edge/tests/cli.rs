//! The program as a user meets it: what it says, and with which exit code.

use std::path::Path;
use std::process::{Command, Output};

fn lintel_edge(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lintel-edge")).args(args).output().expect("the program starts")
}

fn check(args: &[&str], code: i32, stderr: &str) {
    let output = lintel_edge(args);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(stderr), "{args:?} said {said:?}, wanted {stderr:?} in it");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn help_teaches() {
    for args in [&["--help"][..], &["run", "--help"], &["check", "--help"]] {
        let output = lintel_edge(args);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).expect("text");
        if args[0] != "check" {
            for part in ["Examples:", "--fast", "--onnxruntime", "Exit codes"] {
                assert!(text.contains(part), "{args:?} says nothing of {part}");
            }
        }
    }
}

#[test]
fn what_is_not_right_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (state, empty, config) = (at("state"), at("empty"), at("lintel-edge.toml"));
    std::fs::create_dir(&empty).expect("a folder");
    std::fs::write(&config, "[door]\nrelase_s = 3\n").expect("a file");
    check(&["walk"], 2, "unrecognized subcommand 'walk'");
    check(&["run", "--fats"], 2, "--fast");
    check(&["run", "--state", &state], 2, "lintel-edge: no recordings to play: give some with --replay FILE_OR_DIR");
    check(&["run", "--state", &state, "--replay", &empty], 2, "no recordings (NAME.mjpeg with NAME.toml beside it)");
    check(&["run", "--state", &state, "--replay", &at("none.mjpeg")], 2, "no such recording");
    check(&["run", "--state", &state, "--replay", &empty, "--config", &config], 2, "did you mean `door.release_s`?");
    check(&["run", "--state", &state, "--replay", &empty, "--gap", "-1"], 2, "--gap");
    check(&["run", "--state", &state, "--replay", &empty, "--size", "64x64"], 2, "240x240");
    assert!(!Path::new(&state).exists(), "what is refused leaves nothing behind");
    for name in ["a.mjpeg", "a.toml"] {
        std::fs::write(folder.path().join(name), "").expect("a file");
    }
    check(&["run", "--state", &state, "--replay", &at("a.mjpeg")], 2, "no bundle is installed here");
    check(&["run", "--state", &state, "--replay", &at("a.mjpeg"), "--bundle", &empty], 2, "manifest.lintel is missing");
    check(&["check", "--state", &state], 1, "");
}

#[test]
fn the_configuration_that_is_printed_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = lintel_edge(&["run", "--print-config"]);
    assert!(printed.status.success());
    let config = folder.path().join("printed.toml");
    std::fs::write(&config, &printed.stdout).expect("a file");
    let (config, state) = (config.display().to_string(), folder.path().join("state").display().to_string());
    // It goes on to the next thing that is missing.
    check(&["run", "--config", &config, "--state", &state], 2, "no recordings to play");
}

#[test]
fn check_says_what_to_fix_as_text_and_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().display().to_string();
    let text = lintel_edge(&["check", "--state", &state]);
    assert_eq!(text.status.code(), Some(1));
    let text = String::from_utf8(text.stdout).expect("text");
    for part in ["BAD", "bundle", "fix: give one with --bundle DIR", "simulated relay", "PNG pictures"] {
        assert!(text.contains(part), "{text}");
    }
    let json = lintel_edge(&["check", "--state", &state, "--json"]);
    let checks: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let lines = checks["lines"].as_array().expect("lines");
    let bundle = lines.iter().find(|line| line["what"] == "bundle").expect("a line about the bundle");
    assert_eq!(bundle["mark"], "bad");
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = lintel_edge(&["completions", shell]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{shell}");
    }
}
