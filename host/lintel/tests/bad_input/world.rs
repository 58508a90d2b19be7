//! A folder to work in, the program, and a small world of rendered people that is made once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use lintel_faces::{jpeg, photo};
use lintel_rendered::visitor;

/// Seed of the world of the tests' people.
const SEED: u64 = 77;

/// A temporary folder; the program runs in it.
pub struct World(tempfile::TempDir);

impl World {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lintel"));
        command.args(args).current_dir(self.0.path()).env("RUST_BACKTRACE", "0");
        // Another pack for these tests, if one is set; the embedded one otherwise.
        let packed = ["ingest", "train", "export"].contains(&args.first().copied().unwrap_or_default());
        if let (Some(pack), true) = (std::env::var_os("LINTEL_TEST_PACK"), packed && !args.contains(&"--help")) {
            command.arg("--pack").arg(pack);
        }
        command
    }

    pub fn lintel(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a name in the folder")).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// `count` good photos of person `who` in `photos/FOLDER`.
    pub fn person(&self, folder: &str, who: usize, count: usize) {
        for (index, bytes) in good_photos()[who].iter().take(count).enumerate() {
            self.write(&format!("photos/{folder}/{index}.jpg"), bytes);
        }
    }

    /// Copies a folder of the fixture here.
    pub fn copy(&self, name: &str) {
        copy(&fixture().path(name), &self.path(name));
    }

    /// Every file below a folder, with its content.
    pub fn snapshot(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        read_all(&self.path(name), &mut files);
        files
    }

    /// Checks that nothing half-finished is left.
    pub fn no_leftovers(&self) {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.ends_with(".partial") && !name.contains(".tmp"), "{name} was left");
        }
    }
}

/// Photos of four rendered people, four each.
pub fn good_photos() -> &'static [Vec<Vec<u8>>] {
    static PHOTOS: OnceLock<Vec<Vec<Vec<u8>>>> = OnceLock::new();
    PHOTOS.get_or_init(|| {
        let of = |who| (0..4).map(|number| jpeg(&photo(visitor(SEED, who), number, [320, 320]), 92)).collect();
        (0..4).map(of).collect()
    })
}

/// `rendered`, `faces`, `trained`, `bundle`, made by the program itself.
pub fn fixture() -> &'static World {
    static FIXTURE: OnceLock<World> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let world = World::new();
        let run = |args: &[&str]| {
            let output = world.lintel(args);
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let render = "render --out rendered --people 3 --strangers 1 --photos 4 --seconds 1 --size 320x240 --seed 77";
        run(&render.split(' ').collect::<Vec<_>>());
        run(&["ingest", "rendered/photos", "--out", "faces"]);
        run(&["train", "faces", "--out", "trained", "--epochs", "2", "--rule", "paper"]);
        run(&["export", "trained", "--out", "bundle"]);
        world
    })
}

/// Checks for one line of error and the exit code.
#[track_caller]
pub fn refused(output: &Output, code: i32, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "one line was wanted: {stderr}");
    assert!(lines[0].starts_with("lintel: ") && lines[0].contains(words), "{words:?} is not in {stderr}");
}

/// Runs a verb with `--json --out OUT` over an existing output, and checks that it is refused and that the output is
/// unchanged.
#[track_caller]
pub fn refused_untouched(world: &World, args: &[&str], out: &str, code: i32, words: &str) {
    let before = world.snapshot(out);
    let output = world.lintel(&[args, &["--out", out, "--json"]].concat());
    refused(&output, code, words);
    assert_eq!(world.snapshot(out), before, "{out} was changed");
    world.no_leftovers();
}

fn read_all(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, files);
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}
