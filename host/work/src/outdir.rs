//! A command's output → a folder that is whole or not there.
//!
//! Everything is written into `OUT.partial` beside `OUT`, flushed to the disk, and then renamed to `OUT` in one step. A
//! folder that the same command made before is replaced; any other is refused, or moved aside (never deleted) with
//! `--force`. `OUT.partial` is locked while a command writes it. What a killed command left there is cleared, except
//! the files that a command names to continue from (a checkpoint).

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::failure::{Failure, reason};

/// The command that made a folder, recognised by a file that only this command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `lintel render`
    Render,
    /// `lintel ingest`
    Ingest,
    /// `lintel train`
    Train,
    /// `lintel export`
    Bundle,
    /// `lintel evaluate`
    Evaluation,
    /// `lintel audit`
    Audit,
    /// `lintel packs compose`
    Pack,
    /// `lintel bench`
    Bench,
    /// `lintel demo`'s last step
    Visits,
}

impl Kind {
    /// The file that identifies the command.
    #[must_use]
    pub fn marker(self) -> &'static str {
        match self {
            Self::Render => "render.json",
            Self::Ingest => "people.json",
            Self::Train => "train.json",
            Self::Bundle => "manifest.lintel",
            Self::Evaluation => "report.json",
            Self::Audit => "audit.json",
            Self::Pack => "pack.toml",
            Self::Bench => "bench.json",
            Self::Visits => "visits.json",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Ingest => "ingest",
            Self::Train => "train",
            Self::Bundle => "export",
            Self::Evaluation => "evaluate",
            Self::Audit => "audit",
            Self::Pack => "packs compose",
            Self::Bench => "bench",
            Self::Visits => "demo",
        }
    }
}

/// Why an output folder cannot be taken or finished.
#[derive(Debug, thiserror::Error)]
pub enum OutdirError {
    /// The folder holds something that this command did not make.
    #[error("{} is not a folder that `lintel {verb}` made; give another --out, or --force to move it aside",
        path.display())]
    Foreign {
        /// The folder asked for.
        path: PathBuf,
        /// The command that asked.
        verb: &'static str,
    },
    /// Another command is writing the same output.
    #[error("another lintel is writing {}; wait for it or give another --out", path.display())]
    Busy {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The output would lie inside the input, or the other way round.
    #[error("--out {} and the input {} lie inside one another; give a folder beside it",
        out.display(), input.display())]
    Nested {
        /// The folder asked for.
        out: PathBuf,
        /// The folder that is read.
        input: PathBuf,
    },
    /// A path without a last component, such as `/` or `..`.
    #[error("--out {} names no folder that can be made; give a name", path.display())]
    Unnamed {
        /// The folder asked for.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {}", path.display(), reason(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl From<OutdirError> for Failure {
    fn from(error: OutdirError) -> Self {
        match error {
            OutdirError::Write { .. } | OutdirError::Busy { .. } => Self::work(error),
            _ => Self::input(error),
        }
    }
}

/// A folder being written. If it is dropped before [`OutDir::finish`], nothing is left.
#[derive(Debug)]
pub struct OutDir {
    out: PathBuf,
    partial: PathBuf,
    force: bool,
    keep: bool,
    finished: bool,
    // Held for its lock.
    _lock: File,
}

impl OutDir {
    /// Takes `out` for a command of `kind`. `keep` names files of an unfinished earlier run that stay in place.
    ///
    /// # Errors
    /// [`OutdirError`]; nothing has been changed then.
    pub fn take(out: &Path, kind: Kind, force: bool, keep: &[&str]) -> Result<Self, OutdirError> {
        if !matches!(out.components().next_back(), Some(Component::Normal(_))) {
            return Err(OutdirError::Unnamed { path: out.into() });
        }
        if !force && !replaceable(out, kind).map_err(|source| write_error(out, source))? {
            return Err(OutdirError::Foreign { path: out.into(), verb: kind.verb() });
        }
        let partial = with_suffix(out, ".partial");
        fs::create_dir_all(&partial).map_err(|source| write_error(&partial, source))?;
        let lock = File::open(&partial).map_err(|source| write_error(&partial, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OutdirError::Busy { path: out.into() }),
            Err(TryLockError::Error(source)) => return Err(write_error(&partial, source)),
        }
        clear(&partial, keep).map_err(|source| write_error(&partial, source))?;
        Ok(Self { out: out.into(), partial, force, keep: false, finished: false, _lock: lock })
    }

    /// The folder that the command writes to; becomes [`OutDir::out`] at the end.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The folder of the result.
    #[must_use]
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Keeps the unfinished folder when dropped, for a run that resumes.
    pub fn keep_unfinished(&mut self, keep: bool) {
        self.keep = keep;
    }

    /// Writes one file, making the folders above it.
    ///
    /// # Errors
    /// [`OutdirError::Write`] names the file.
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<(), OutdirError> {
        let path = self.partial.join(name);
        let attempt = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            File::create(&path)?.write_all(bytes)
        };
        attempt().map_err(|source| write_error(&path, source))
    }

    /// Writes a value as pretty JSON with a line break at the end.
    ///
    /// # Errors
    /// [`OutdirError::Write`] names the file.
    pub fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<(), OutdirError> {
        let mut bytes =
            serde_json::to_vec_pretty(value).map_err(|error| write_error(&self.partial.join(name), error.into()))?;
        bytes.push(b'\n');
        self.write(name, &bytes)
    }

    /// Flushes everything to the disk and puts the folder in its place.
    ///
    /// # Errors
    /// [`OutdirError::Write`]; the folder that was there before is then unchanged.
    pub fn finish(mut self) -> Result<PathBuf, OutdirError> {
        sync_tree(&self.partial).map_err(|source| write_error(&self.partial, source))?;
        self.put_in_place().map_err(|source| write_error(&self.out, source))?;
        self.finished = true;
        Ok(self.out.clone())
    }

    fn put_in_place(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.out) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(&self.partial, &self.out)?,
            Err(error) => return Err(error),
            Ok(_) => {
                exchange(&self.partial, &self.out)?;
                // `partial` now names the folder that was there before.
                if self.force {
                    fs::rename(&self.partial, free_name(&self.out)?)?;
                } else {
                    fs::remove_dir_all(&self.partial)?;
                }
            }
        }
        sync_parent(&self.out)
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        if !self.finished && !self.keep {
            // The lock is still held, so this is our own folder; the next run clears what cannot be removed.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// Refuses an output that lies in the input or contains it.
///
/// # Errors
/// [`OutdirError::Nested`].
pub fn refuse_nested(out: &Path, input: &Path) -> Result<(), OutdirError> {
    let (Some(out_full), Some(input_full)) = (full_path(out), full_path(input)) else { return Ok(()) };
    if out_full.starts_with(&input_full) || input_full.starts_with(&out_full) {
        return Err(OutdirError::Nested { out: out.into(), input: input.into() });
    }
    Ok(())
}

/// Writes one file whole or not at all, in place of an old one.
///
/// # Errors
/// [`OutdirError::Write`]; the old file is then unchanged.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), OutdirError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_parent(path)
    };
    attempt().map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: io::Error) -> OutdirError {
    OutdirError::Write { path: path.into(), source }
}

/// Whether nothing is there, an empty folder, or one with the command's own marker.
fn replaceable(out: &Path, kind: Kind) -> io::Result<bool> {
    match fs::metadata(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
        Ok(meta) if !meta.is_dir() => Ok(false),
        Ok(_) => Ok(out.join(kind.marker()).is_file() || fs::read_dir(out)?.next().is_none()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.components().as_path().as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn clear(folder: &Path, keep: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if keep.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Swaps two names in one step; on file systems that cannot, renames one after the other, and back on failure.
fn exchange(partial: &Path, out: &Path) -> io::Result<()> {
    if renameat_with(CWD, partial, CWD, out, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    let aside = free_name(out)?;
    fs::rename(out, &aside)?;
    if let Err(error) = fs::rename(partial, out) {
        fs::rename(&aside, out)?;
        return Err(error);
    }
    fs::rename(&aside, partial)
}

fn free_name(out: &Path) -> io::Result<PathBuf> {
    (1..1000)
        .map(|number| with_suffix(out, &format!(".old-{number}")))
        .find(|path| fs::symlink_metadata(path).is_err())
        .ok_or_else(|| io::Error::other("too many folders were moved aside; delete the .old-N beside it"))
}

/// Resolves the part of a path that exists, so that `..`, links and a folder yet to be made compare correctly.
fn full_path(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let existing = absolute.ancestors().find(|ancestor| ancestor.exists())?;
    let rest = absolute.strip_prefix(existing).ok()?;
    Some(existing.canonicalize().ok()?.join(rest))
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies at `out` before, whether taking it is refused, and which files lie there after a finished run.
    fn check(before: &[&str], force: bool, expected: Result<&[&str], ()>) {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        for name in before {
            let path = out.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "before").unwrap();
        }
        let names = |folder: &Path| -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(folder)
                .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
                .unwrap_or_default();
            names.sort();
            names
        };
        match OutDir::take(&out, Kind::Ingest, force, &[]) {
            Err(error) => {
                assert!(expected.is_err(), "{before:?}: {error}");
                assert_eq!(names(&out), before);
            }
            Ok(folder) => {
                folder.write("people.json", b"{}").unwrap();
                folder.finish().unwrap();
                assert_eq!(names(dir.path()), expected.expect("a refusal"), "{before:?}");
                assert_eq!(names(&out), ["people.json"]);
            }
        }
    }

    #[test]
    fn only_folders_of_the_same_command_are_replaced() {
        check(&[], false, Ok(&["out"]));
        check(&["people.json", "sheet.png"], false, Ok(&["out"]));
        check(&["holiday.jpg"], false, Err(()));
        check(&["train.json"], false, Err(()));
        check(&["holiday.jpg"], true, Ok(&["out", "out.old-1"]));
    }

    #[test]
    fn an_unfinished_folder_leaves_nothing_but_what_it_keeps() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let take = |keep: &[&str]| OutDir::take(&out, Kind::Train, false, keep);
        let folder = take(&[]).unwrap();
        folder.write("a/b", b"x").unwrap();
        assert!(matches!(take(&[]), Err(OutdirError::Busy { .. })), "locked while it is written");
        drop(folder);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let mut folder = take(&[]).unwrap();
        folder.write("checkpoint", b"x").unwrap();
        folder.write("litter", b"x").unwrap();
        folder.keep_unfinished(true);
        drop(folder);
        let folder = take(&["checkpoint"]).unwrap();
        assert!(folder.path().join("checkpoint").exists() && !folder.path().join("litter").exists());
    }

    #[test]
    fn output_inside_input_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let photos = dir.path().join("photos");
        fs::create_dir(&photos).unwrap();
        let check = |out: &str, fine: bool| {
            assert_eq!(refuse_nested(&dir.path().join(out), &photos).is_ok(), fine, "{out}");
        };
        check("photos", false);
        check("photos/out", false);
        check("photos/../photos/x", false);
        check(".", false);
        check("photos-out", true);
    }

    #[test]
    fn odd_paths_name_no_folder() {
        for path in ["/", "..", ".", ""] {
            assert!(matches!(OutDir::take(Path::new(path), Kind::Ingest, true, &[]), Err(OutdirError::Unnamed { .. })));
        }
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.html");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_file(&dir.path().join("none/report.html"), b"x").is_err());
    }
}
