//! Bytes, or a member of an archive → a file that gets its name only if its hash is right.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use lintel_work::failure::Failure;
use lintel_work::interrupt;
use sha2::{Digest as _, Sha256};

use super::error::{FetchError, StoreError};
use super::known::KnownFile;

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content).as_slice())
}

/// Copies at most `most` bytes, and returns their number and SHA-256. `step` gets the number of bytes so far.
pub(super) fn hashed(
    from: &mut dyn Read,
    to: &mut dyn Write,
    most: u64,
    step: &mut dyn FnMut(u64),
) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0;
    while done < most {
        let wanted = usize::try_from(most - done).unwrap_or(usize::MAX).min(buffer.len());
        let n = match from.read(&mut buffer[..wanted]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        interrupt::check().map_err(|stop: Failure| io::Error::other(stop.to_string()))?;
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
        done += n as u64;
        step(done);
    }
    Ok((done, hex::encode(hash.finalize().as_slice())))
}

/// SHA-256 of a file.
pub(super) fn sha256_of(path: &Path, step: &mut dyn FnMut(u64)) -> Result<String, StoreError> {
    let mut read = || hashed(&mut File::open(path)?, &mut io::sink(), u64::MAX, step).map(|(_, hash)| hash);
    read().map_err(StoreError::disk(path))
}

/// Flushes `partial` and renames it to its final name. The folder's entry is flushed too.
pub(super) fn settle(partial: &Path, path: &Path) -> Result<(), StoreError> {
    let settle = || {
        File::open(partial)?.sync_all()?;
        fs::rename(partial, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    settle().map_err(StoreError::disk(path))
}

/// Writes the bytes of `source` beside `target`, and renames the file to `target` if its hash is listed; returns the
/// hash otherwise.
pub(super) fn keep(
    known: &KnownFile,
    mut source: impl Read,
    most: u64,
    target: &Path,
    step: &mut dyn FnMut(u64),
) -> Result<Option<String>, FetchError> {
    let partial = partial(target);
    let mut out = File::create(&partial).map_err(StoreError::disk(&partial))?;
    let (_, hash) = hashed(&mut source, &mut out, most, step).map_err(StoreError::disk(&partial))?;
    if known.is(&hash) {
        settle(&partial, target)?;
        return Ok(None);
    }
    fs::remove_file(&partial).map_err(StoreError::disk(&partial))?;
    Ok(Some(hash))
}

/// Takes the file called `name` out of an archive whose hash is known; it may be in any folder of the archive.
pub(super) fn unpack(known: &KnownFile, name: &str, archive: &Path, target: &Path) -> Result<(), FetchError> {
    let bad = |what: String| FetchError::Archive { path: archive.to_owned(), what };
    let file = File::open(archive).map_err(StoreError::disk(archive))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|error| bad(error.to_string()))?;
    let member = member(&zip, name).ok_or_else(|| bad(format!("holds no {name}")))?;
    let member = zip.by_index(member).map_err(|error| bad(error.to_string()))?;
    match keep(known, member, known.bytes, target, &mut |_| {})? {
        None => Ok(()),
        Some(got) => Err(bad(format!("holds a {name} with SHA-256 {got}, wanted {}", known.sha256))),
    }
}

fn member(zip: &zip::ZipArchive<impl Read + Seek>, name: &str) -> Option<usize> {
    let own = |path: &str| path.rsplit('/').next() == Some(name);
    (0..zip.len()).find(|&i| zip.name_for_index(i).is_some_and(|path| path.is_ok_and(|path| own(&path))))
}

/// Where a file is until its hash is checked.
pub(super) fn partial(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}
