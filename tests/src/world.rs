//! The workstation's commands → one trained bundle for all tests, made once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use lintel::use_cases::{Output, export, ingest, render, train};
use lintel_work::progress::Progress;
use sha2::{Digest as _, Sha256};

/// Seed of the people in the world.
const SEED: u64 = 2_026;
/// People who are enrolled: `enrolled 1` to `enrolled 6`.
pub const ENROLLED: u32 = 6;
/// Photos of each person.
const PHOTOS: u32 = 12;

/// The trained bundle and its people.
#[derive(Clone, Debug)]
pub struct World {
    folder: PathBuf,
}

impl World {
    /// Opens the world in the folder `cache`. It is made anew if the code or the pack changed since it was made.
    ///
    /// Several processes may call this at once: one makes the world, the others wait.
    ///
    /// # Errors
    /// If a command fails, or the cache cannot be written.
    pub fn open(cache: &Path) -> Result<Self> {
        let worlds = cache.join("worlds");
        fs::create_dir_all(&worlds).with_context(|| worlds.display().to_string())?;
        let lock = File::create(worlds.join("lock"))?;
        lock.lock()?;
        let folder = worlds.join(fingerprint()?);
        if folder.join("bundle").is_dir() {
            return Ok(Self { folder });
        }
        // Worlds that were made before a change are deleted.
        for entry in fs::read_dir(&worlds)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            }
        }
        eprintln!("training a bundle for the stories (kept in {} until the code changes)", worlds.display());
        make(&folder)?;
        Ok(Self { folder })
    }

    /// The bundle's folder.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.folder.join("bundle")
    }

    /// A folder for recordings of this world's people, deleted with the world.
    #[must_use]
    pub fn kept(&self) -> PathBuf {
        self.folder.join("recordings")
    }
}

/// The renderer's seed of enrolled person `number`, from 1.
#[must_use]
pub fn enrolled(number: u32) -> u64 {
    lintel_rendered::visitor(SEED, number - 1)
}

/// The renderer's seed of stranger `number`, from 1.
#[must_use]
pub fn stranger(number: u32) -> u64 {
    lintel_rendered::visitor(SEED, ENROLLED + number - 1)
}

/// Name of enrolled person `number`, from 1.
#[must_use]
pub fn name(number: u32) -> String {
    lintel_rendered::name(SEED, number - 1)
}

fn make(folder: &Path) -> Result<()> {
    let options = lintel_work::places::runtime();
    let output = |name: &str| Output::to(folder.join(name));
    let step = |name: &'static str| move |e: lintel_work::failure::Failure| anyhow!("lintel {name}: {e}");
    let progress = Progress::ignored();
    fs::create_dir_all(folder)?;
    let rendering = render::Request {
        people: ENROLLED,
        strangers: 0,
        photos: PHOTOS,
        seed: SEED,
        seconds: 0.0,
        ..render::Request::new(output("rendered"))
    };
    render::run(&rendering, progress).map_err(step("render"))?;
    let ingesting = ingest::Request::new(folder.join("rendered/photos"), output("faces"));
    ingest::run(&ingesting, &options, progress).map_err(step("ingest"))?;
    let training = train::Request::new(folder.join("faces"), output("trained"));
    train::run(&training, &options, progress).map_err(step("train"))?;
    let exporting = export::Request::new(folder.join("trained"), output("bundle"));
    export::run(&exporting, &options, progress).map_err(step("export"))?;
    Ok(())
}

/// A hash of what a world is made from: the code and the pack.
fn fingerprint() -> Result<String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut hash = Sha256::new();
    for part in ["shared", "host", "models/faces"] {
        add_sources(&mut hash, &project.join(part))?;
    }
    for part in ["models/mini", "tests/src"] {
        add(&mut hash, &project.join(part))?;
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Adds each folder `src` that `folder` holds.
fn add_sources(hash: &mut Sha256, folder: &Path) -> Result<()> {
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        if path.ends_with("src") { add(hash, &path)? } else { add_sources(hash, &path)? }
    }
    Ok(())
}

/// Adds every file under `folder`.
fn add(hash: &mut Sha256, folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            add(hash, &path)?;
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            hash.update(name.as_bytes());
            hash.update(fs::read(&path)?);
        }
    }
    Ok(())
}

/// What `folder` holds, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(entries)
}
