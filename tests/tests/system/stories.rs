//! Every story in `stories/` on the simulated rig.

use std::path::{Path, PathBuf};

use lintel_tests::rigs::sim;
use lintel_tests::story::Story;

use crate::world;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_story_ends_as_it_should() {
    let mut wrong = Vec::new();
    for path in files() {
        let story = Story::open(&path).unwrap();
        let state = tempfile::tempdir().unwrap();
        let run = sim::play(&story, world(), state.path()).unwrap();
        let observed = sim::observe(&run);
        if let Err(e) = story.check(&observed) {
            wrong.push(format!("{}: {e:#}\n{observed:#?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_same_story_gives_the_same_events() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories/two-people.toml");
    let story = Story::open(&path).unwrap();
    let play = || {
        let state = tempfile::tempdir().unwrap();
        sim::play(&story, world(), state.path()).unwrap()
    };
    assert_eq!(play(), play());
}

#[test]
fn a_story_with_a_spelling_mistake_is_refused() {
    let check = |text: &str, part: &str| {
        let error = toml::from_str::<Story>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check("about = 'x'\nexpect = {}", "visit");
    check("about = 'x'\nexpect = {}\nvisits = []", "unknown field `visits`");
    check("about = 'x'\nexpect = {}\nvisit = [{ people = ['enroled 1'], seconds = 1 }]", "somebody is \"enroled 1\"");
    check("about = 'x'\nexpect = {}\nvisit = [{ people = ['enrolled 0'], seconds = 1 }]", "N from 1");
}
