//! Ctrl-C at any point: exit code 130, no half output; training keeps a checkpoint and resumes from it.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, refused};

fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(pid, Signal::INT).expect("the program runs");
}

/// Interrupts `args` after `delay`, when it may have ended already. Returns whether it was interrupted.
fn interrupted(world: &World, args: &[&str], delay: Duration) -> bool {
    let child = world.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    sleep(delay);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return false;
    }
    // Before the handler is set, the signal itself ends the program.
    if output.status.code().is_some() {
        refused(&output, 130, "");
    }
    true
}

#[test]
fn no_verb_leaves_half_an_output() {
    let delays = [2, 10, 30, 60, 120, 250, 500].map(Duration::from_millis);
    let cases: [(&[&str], &str, &str); 4] = [
        (&["render", "--people", "4", "--photos", "20", "--seconds", "1"], "rendered", "render.json"),
        (&["ingest", "rendered/photos"], "faces", "people.json"),
        (&["export", "trained"], "bundle", "manifest.lintel"),
        (&["evaluate", "bundle", "rendered/recordings"], "evaluation", "report.json"),
    ];
    for (args, out, marker) in cases {
        let mut caught = 0;
        for delay in delays {
            let world = World::new();
            for name in ["rendered", "faces", "trained", "bundle"].into_iter().filter(|name| *name != out) {
                world.copy(name);
            }
            world.write(&format!("{out}/{marker}"), b"what was there");
            let before = world.snapshot(out);
            if interrupted(&world, &[args, &["--out", out, "--json"]].concat(), delay) {
                caught += 1;
                assert_eq!(world.snapshot(out), before, "{args:?} after {delay:?}");
                world.no_leftovers();
            }
        }
        assert!(caught > 0, "{args:?} was never interrupted");
    }
}

#[test]
fn training_goes_on_where_it_was_interrupted() {
    let args = ["train", "faces", "--out", "trained2", "--epochs", "40", "--rule", "paper", "--json"];
    let whole = World::new();
    whole.copy("faces");
    let output = whole.lintel(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wanted = whole.snapshot("trained2").into_values().collect::<Vec<_>>();

    let world = World::new();
    world.copy("faces");
    let mut resumed = 0;
    // Each run gets a little further before it is stopped, until one is finished.
    for round in 1..=200_u64 {
        let child = world.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        sleep(Duration::from_millis(150 + 60 * round));
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!world.path("trained2").exists(), "nothing is there before the end");
        if world.path("trained2.partial/checkpoint").exists() {
            resumed += 1;
        }
    }
    assert!(resumed > 0, "no checkpoint was ever left");
    let got = world.snapshot("trained2").into_values().collect::<Vec<_>>();
    assert!(got == wanted, "the resumed training gave other files than the whole one");
    world.no_leftovers();
}

#[test]
fn a_checkpoint_of_other_settings_is_not_mixed_in() {
    let world = World::new();
    world.copy("faces");
    let args = ["train", "faces", "--out", "trained2", "--epochs", "2000", "--rule", "paper", "--json"];
    let child = world.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..600 {
        if world.path("trained2.partial/checkpoint").exists() {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    interrupt(&child);
    refused(&child.wait_with_output().unwrap(), 130, "the same command goes on from there");
    let other = ["train", "faces", "--out", "trained2", "--epochs", "1", "--rule", "paper", "--json"];
    refused(&world.lintel(&other), 2, "checkpoint");
    assert!(world.path("trained2.partial/checkpoint").exists(), "the checkpoint is kept");
    let output = world.lintel(&[other.as_slice(), &["--fresh"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.no_leftovers();
}
