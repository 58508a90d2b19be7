//! A verified bundle → one of two slots in the state folder → the one that `current` names.
//!
//! ```text
//! STATE/slots/a/…   STATE/slots/b/…   STATE/current   ("a" or "b")
//! ```
//!
//! An installation writes to the slot that is not current, makes it durable, proves it by loading it from there, and
//! only then replaces `current` by one rename. Whenever power is cut, the old bundle or the new one is current, whole:
//! never neither, never a mix. The order of the writes and syncs is the whole point of this file; its test cuts the
//! power after each of them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

mod scrub;

use crate::io::disk::{Disk, replace};
use lintel_formats::bundle::{MANIFEST, Manifest};

/// The two slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// `slots/a`
    A,
    /// `slots/b`
    B,
}

impl Slot {
    /// The folder's name, also what `current` holds.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The slot that an installation writes to while this one is current.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a bundle was not installed or found. What was current before still is.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The disk refused (full, read-only, gone).
    #[error("{}: {source}; the bundle that was there before stays current", path.display())]
    Disk {
        /// What was being read or written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// `current` holds neither `a` nor `b`.
    #[error("{} holds {got:?}, wanted \"a\" or \"b\": install the bundle again", path.display())]
    Current {
        /// The file.
        path: PathBuf,
        /// The beginning of what it holds.
        got: String,
    },
    /// The copy in the slot did not prove itself.
    #[error("the copy in slot {slot} does not load ({source}); the bundle that was there before stays current")]
    Proof {
        /// The slot that was written.
        slot: Slot,
        /// What loading said: the error of the caller's proof.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A bundle that is current now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installed {
    /// Slot `a` or `b`.
    pub slot: Slot,
    /// The folder to load it from.
    pub dir: PathBuf,
    /// `false`: it was current already, nothing was written.
    pub changed: bool,
}

/// The slots under one state folder.
#[derive(Debug)]
pub struct Slots<D> {
    state: PathBuf,
    disk: D,
}

impl<D: Disk> Slots<D> {
    /// The slots under the folder `state`, which need not exist yet. Writes nothing.
    pub fn new(state: &Path, disk: D) -> Self {
        Self { state: state.to_owned(), disk }
    }

    /// The folder of a slot.
    #[must_use]
    pub fn dir(&self, slot: Slot) -> PathBuf {
        self.state.join("slots").join(slot.name())
    }

    /// The slot that `current` names; `None` before the first installation.
    ///
    /// # Errors
    /// When `current` cannot be read or names no slot.
    pub fn current(&self) -> Result<Option<Slot>, SlotError> {
        let path = self.state.join("current");
        let bytes = match self.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SlotError::Disk { path, source }),
        };
        match bytes.trim_ascii() {
            b"a" => Ok(Some(Slot::A)),
            b"b" => Ok(Some(Slot::B)),
            got => {
                let got = String::from_utf8_lossy(&got[..got.len().min(16)]).into_owned();
                Err(SlotError::Current { path, got })
            }
        }
    }

    /// Makes the bundle of these `files` (name, content) current.
    ///
    /// `prove` is given the folder of the written copy and must load it as the daemon will. The same bundle twice is no
    /// change: nothing is written when the current slot holds these very bytes.
    ///
    /// # Errors
    /// In every case what was current before still is.
    pub fn install<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        files: &[(&str, &[u8])],
        prove: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Installed, SlotError> {
        let current = match self.current() {
            Ok(current) => current,
            // A `current` that names no slot is what an installation is the cure for.
            Err(SlotError::Current { .. }) => None,
            Err(e) => return Err(e),
        };
        if let Some(slot) = current
            && self.holds(slot, files)
        {
            return Ok(Installed { slot, dir: self.dir(slot), changed: false });
        }
        let slot = current.map_or(Slot::A, Slot::other);
        let dir = self.dir(slot);
        self.write_slot(&dir, files)?;
        prove(&dir).map_err(|e| SlotError::Proof { slot, source: e.into() })?;
        self.switch(slot)?;
        Ok(Installed { slot, dir, changed: true })
    }

    fn holds(&self, slot: Slot, files: &[(&str, &[u8])]) -> bool {
        let dir = self.dir(slot);
        files.iter().all(|(name, bytes)| self.disk.read(&dir.join(name)).is_ok_and(|held| held == *bytes))
    }

    /// The slot's folder with exactly these files, durable.
    fn write_slot(&self, dir: &Path, files: &[(&str, &[u8])]) -> Result<(), SlotError> {
        let slots = self.state.join("slots");
        self.on(&slots, |disk, path| disk.create_dir_all(path))?;
        self.on(dir, |disk, path| disk.remove_dir_all(path))?;
        self.on(dir, |disk, path| disk.create_dir_all(path))?;
        for (name, bytes) in files {
            let file = dir.join(name);
            self.on(&file, |disk, path| disk.write(path, bytes))?;
            self.on(&file, |disk, path| disk.sync_file(path))?;
        }
        self.on(dir, |disk, path| disk.sync_dir(path))?;
        self.on(&slots, |disk, path| disk.sync_dir(path))?;
        self.on(&self.state, |disk, path| disk.sync_dir(path))?;
        // The state folder itself may be as new as what is in it.
        let above = self.state.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.on(above, |disk, path| disk.sync_dir(path))
    }

    /// `current` names `slot`, by one rename.
    fn switch(&self, slot: Slot) -> Result<(), SlotError> {
        let current = self.state.join("current");
        self.on(&current, |disk, path| replace(disk, path, format!("{slot}\n").as_bytes()))
    }

    /// Revision of the bundle in the slot that is not current, if one is there.
    #[must_use]
    pub fn previous_revision(&self) -> Option<u64> {
        let slot = self.current().ok()??.other();
        let manifest = self.disk.read(&self.dir(slot).join(MANIFEST)).ok()?;
        Manifest::from_bytes(&manifest).ok().map(|manifest| manifest.revision)
    }

    /// Makes the bundle in the other slot current again, once `prove` has loaded it from there.
    ///
    /// # Errors
    /// In every case what was current before still is.
    pub fn go_back<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        prove: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Installed, SlotError> {
        let slot = self.current()?.map_or(Slot::A, Slot::other);
        let dir = self.dir(slot);
        prove(&dir).map_err(|e| SlotError::Proof { slot, source: e.into() })?;
        self.switch(slot)?;
        Ok(Installed { slot, dir, changed: true })
    }

    fn on(&self, path: &Path, act: impl FnOnce(&D, &Path) -> io::Result<()>) -> Result<(), SlotError> {
        act(&self.disk, path).map_err(|source| SlotError::Disk { path: path.to_owned(), source })
    }
}

#[cfg(test)]
pub(crate) mod cut;
#[cfg(test)]
mod tests;
