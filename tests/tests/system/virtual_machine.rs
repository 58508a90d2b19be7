//! The stories in `stories/` in the virtual machine: `bash tests/rigs/vm/run` builds what they need and runs this.

use std::path::{Path, PathBuf};

use lintel_tests::rigs::vm::{Parts, cannot, play};
use lintel_tests::story::Story;
use lintel_tests::world::World;

/// The path in an environment variable that `rigs/vm/run` sets.
fn part(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists());
    path.unwrap_or_else(|| panic!("{variable} names nothing that is there; run this by `bash tests/rigs/vm/run`"))
}

#[test]
#[ignore = "boots an emulated machine for every story; `bash tests/rigs/vm/run` does that"]
fn the_same_stories_end_the_same_way_in_the_machine() {
    let parts = Parts {
        machine: part("LINTEL_VM"),
        daemon: part("LINTEL_VM_DAEMON"),
        feed: part("LINTEL_VM_FEED"),
        library: part("LINTEL_VM_ONNXRUNTIME"),
    };
    let world = World::open(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the bundle is trained");
    let wanted = std::env::var("LINTEL_VM_STORIES").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut wrong, mut played) = (Vec::new(), 0);
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !wanted.is_empty() && !wanted.contains(&name.as_str()) {
            continue;
        }
        let story = Story::open(&path).unwrap();
        if let Some(reason) = cannot(&story) {
            eprintln!("SKIPPED {name}: {reason}");
            continue;
        }
        played += 1;
        // The emulator can be late when the host is busy, and stories allow a tenth of a second: a story that
        // fails is played once more, and must then end as it should.
        for last in [false, true] {
            let work = tempfile::tempdir().unwrap();
            let observed = play(&story, &world, &parts, work.path()).unwrap();
            let Err(e) = story.check(&observed) else {
                eprintln!("{name}: as it should, {:?}", observed.releases);
                break;
            };
            // The console's output is kept, to find the reason.
            let kept = work.keep();
            let told = format!("{name}: {e:#}\n{observed:#?}\nsee {}", kept.join("told").display());
            if last {
                wrong.push(told);
            } else {
                eprintln!("ONCE MORE, {told}");
            }
        }
    }
    assert!(played > 0, "none of {wanted:?} is there");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
