//! Bytes → a file that gets its name only if it has the right hash.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::interrupt;

use super::store::StoreError;

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content).as_slice())
}

/// Copies at most `most` bytes from one to the other, and says how many and their SHA-256. `step` sees how many there
/// are so far.
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

/// Flushes `partial`, and gives it its name. The folder's own entry is flushed too.
pub(super) fn settle(partial: &Path, path: &Path) -> Result<(), StoreError> {
    let settle = || {
        File::open(partial)?.sync_all()?;
        fs::rename(partial, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    settle().map_err(StoreError::disk(path))
}
