//! Who may say what to this device ⇄ one file in the state folder, replaced whole.
//!
//! Everything that pairing and pushing must remember stands in that one file, so that no power cut can leave a mix: the
//! workstations, those that were taken off, and the newest metadata of The Update Framework that was accepted.

use std::io;
use std::path::{Path, PathBuf};

use lintel_formats::envelope::{self, EnvelopeError};
use lintel_link::Fingerprint;
use lintel_wire::link::Workstation;
use serde::{Deserialize, Serialize};

use super::trust::Trust;
use crate::io::disk::{Disk, replace};

const MAGIC: [u8; 8] = *b"LNTLKNWN";
const VERSION: u16 = 1;
/// Largest file, in bytes.
const MAX_FILE_BYTES: usize = 2 << 20;
/// Most workstations that one device knows.
pub const MAX_WORKSTATIONS: usize = 32;
/// Most workstations that are remembered as taken off; the oldest go first, and are unknown then.
const MAX_REVOKED: usize = 256;

/// What is remembered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// The workstations that may push.
    pub workstations: Vec<Workstation>,
    /// Those that may no longer.
    pub revoked: Vec<Fingerprint>,
    /// Whose signatures count, and what was seen last; `None` before the first pairing.
    pub trust: Option<Trust>,
}

/// What a caller's key is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It may push.
    Known,
    /// Nobody here knows it.
    Unknown,
    /// It was taken off.
    Revoked,
    /// It is past its date.
    Expired,
}

/// Why it cannot be remembered or recalled.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is damaged.
    #[error("{}: {source}; `lintel-edge unpair` begins anew", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: EnvelopeError,
    },
    /// The file's content is not what it should be.
    #[error("{}: the content cannot be read; `lintel-edge unpair` begins anew", .0.display())]
    Body(PathBuf),
}

/// There is no room for another workstation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{MAX_WORKSTATIONS} workstations are known already; forget one first")]
pub struct TooMany;

impl Known {
    fn path(state: &Path) -> PathBuf {
        state.join("link").join("known.lintel")
    }

    /// What is remembered in the state folder; nothing, where no file is.
    ///
    /// # Errors
    /// [`KnownError`]: a damaged file is not taken for none, or a device would forget who it belongs to.
    pub fn load(state: &Path, disk: &impl Disk) -> Result<Self, KnownError> {
        let path = Self::path(state);
        let bytes = match disk.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(KnownError::Disk { path, source }),
        };
        let body = match envelope::open(MAGIC, VERSION, MAX_FILE_BYTES, &bytes) {
            Ok(body) => body,
            Err(source) => return Err(KnownError::File { path, source }),
        };
        match postcard::take_from_bytes::<Self>(body) {
            Ok((known, [])) => Ok(known),
            _ => Err(KnownError::Body(path)),
        }
    }

    /// Writes it, durable when this returns.
    ///
    /// # Errors
    /// When the disk refuses; what was remembered before still is.
    pub fn save(&self, state: &Path, disk: &impl Disk) -> Result<(), KnownError> {
        let path = Self::path(state);
        let body = postcard::to_allocvec(self).map_err(|_| KnownError::Body(path.clone()))?;
        let file = envelope::seal(MAGIC, VERSION, &body);
        let folder = state.join("link");
        let write = || {
            disk.create_dir_all(&folder)?;
            disk.sync_dir(state)?;
            replace(disk, &path, &file)
        };
        write().map_err(|source| KnownError::Disk { path: path.clone(), source })
    }

    /// What a key is worth at `now`, in seconds since 1970.
    #[must_use]
    pub fn standing(&self, key: Fingerprint, now: u64) -> Standing {
        match self.workstations.iter().find(|known| known.fingerprint == key.0) {
            Some(known) if known.valid_until != 0 && known.valid_until < now => Standing::Expired,
            Some(_) => Standing::Known,
            None if self.revoked.contains(&key) => Standing::Revoked,
            None => Standing::Unknown,
        }
    }

    /// A workstation is known from now on, whatever it was before.
    ///
    /// # Errors
    /// When there are [`MAX_WORKSTATIONS`] already.
    pub fn enrol(&mut self, workstation: Workstation) -> Result<(), TooMany> {
        let key = Fingerprint(workstation.fingerprint);
        self.workstations.retain(|known| known.fingerprint != workstation.fingerprint);
        if self.workstations.len() >= MAX_WORKSTATIONS {
            return Err(TooMany);
        }
        self.revoked.retain(|revoked| *revoked != key);
        self.workstations.push(workstation);
        Ok(())
    }

    /// A workstation is known no longer; whether it was.
    pub fn forget(&mut self, key: Fingerprint) -> bool {
        let before = self.workstations.len();
        self.workstations.retain(|known| known.fingerprint != key.0);
        if self.workstations.len() == before {
            return false;
        }
        if self.revoked.len() >= MAX_REVOKED {
            self.revoked.remove(0);
        }
        self.revoked.push(key);
        true
    }

    /// A lower bound of the time, by the clock and by what was seen: a device may wake up in 1970.
    #[must_use]
    pub fn at_least(&self, clock: u64) -> u64 {
        clock.max(self.trust.as_ref().map_or(0, |trust| trust.seen_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::RealDisk;

    fn desk(byte: u8, valid_until: u64) -> Workstation {
        Workstation { fingerprint: [byte; 32], name: format!("desk {byte}"), valid_until }
    }

    #[test]
    fn keys_come_and_go() {
        let mut known = Known::default();
        let check = |known: &Known, byte: u8, now: u64, expected: Standing| {
            assert_eq!(known.standing(Fingerprint([byte; 32]), now), expected);
        };
        known.enrol(desk(1, 100)).unwrap();
        known.enrol(desk(2, 0)).unwrap();
        check(&known, 1, 100, Standing::Known);
        check(&known, 1, 101, Standing::Expired);
        check(&known, 2, u64::MAX, Standing::Known);
        check(&known, 3, 0, Standing::Unknown);
        assert!(known.forget(Fingerprint([2; 32])));
        assert!(!known.forget(Fingerprint([2; 32])));
        check(&known, 2, 0, Standing::Revoked);
        // Paired again by somebody who stands at the device.
        known.enrol(desk(2, 0)).unwrap();
        check(&known, 2, 0, Standing::Known);
        for byte in 10..10 + u8::try_from(MAX_WORKSTATIONS).unwrap() - 2 {
            known.enrol(desk(byte, 0)).unwrap();
        }
        assert!(known.enrol(desk(200, 0)).unwrap_err().to_string().contains("forget one first"));
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        assert_eq!(Known::load(state, &RealDisk).unwrap(), Known::default());
        let mut known = Known::default();
        known.enrol(desk(1, 0)).unwrap();
        known.save(state, &RealDisk).unwrap();
        assert_eq!(Known::load(state, &RealDisk).unwrap(), known);
        let path = Known::path(state);
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 10, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let error = Known::load(state, &RealDisk).unwrap_err().to_string();
            assert!(error.contains("lintel-edge unpair"), "{error}");
        }
    }

    /// Whenever power is cut while something is being remembered: what was remembered before, or all of it.
    #[test]
    fn power_cut_after_every_operation() {
        use crate::slots::cut::CutDisk;
        let state = Path::new("/state");
        for chance in 0..40_u64 {
            let mut cut_after = 0;
            loop {
                let mut seed = chance;
                let disk = CutDisk::new();
                disk.create_dir_all(state).unwrap();
                disk.sync_dir(Path::new("/")).unwrap();
                let mut old = Known::default();
                if chance % 2 == 1 {
                    old.enrol(desk(1, 0)).unwrap();
                    old.trust = Some(Trust { root: vec![1; 3000], ..Trust::default() });
                    old.save(state, &disk).unwrap();
                }
                let mut new = old.clone();
                new.enrol(desk(2, 9)).unwrap();
                new.forget(Fingerprint([1; 32]));
                new.trust = Some(Trust { root: vec![2; 3000], seen_at: 7, ..Trust::default() });
                disk.cut_after(Some(cut_after));
                let done = new.save(state, &disk).is_ok();
                disk.restart(&mut seed);
                let found = Known::load(state, &disk).expect("never damaged");
                assert!(found == old || found == new, "cut after {cut_after}");
                if done {
                    assert_eq!(found, new, "what was acknowledged is durable");
                    break;
                }
                cut_after += 1;
            }
            assert!(cut_after >= 5, "{cut_after}");
        }
    }
}
