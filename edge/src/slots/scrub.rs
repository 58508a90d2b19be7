//! People who were removed → a slot to go back to that doesn't hold them.

use std::io;

use lintel_core::table::PersonId;
use lintel_formats::bundle::{FileEntry, MANIFEST, Manifest, Role};

use super::{Slot, SlotError, Slots};
use crate::io::disk::{Disk, replace};

const TABLE: &str = Role::Table.file_name();

impl<D: Disk> Slots<D> {
    /// Takes everybody whom `keep` doesn't know out of the slot that is not current, so that going back brings nobody
    /// back; gives who they were. A bundle there that can't be read is removed whole.
    ///
    /// The table is replaced first and its manifest second: a cut between leaves a bundle whose hashes don't fit, which
    /// the next call removes. To be called after every switch and every start.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn scrub(&self, keep: impl Fn(PersonId) -> bool) -> Result<Vec<PersonId>, SlotError> {
        let Some(slot) = self.current()?.map(Slot::other) else { return Ok(Vec::new()) };
        let dir = self.dir(slot);
        let read = |name: &str| self.disk.read(&dir.join(name));
        let (manifest, table) = match (read(MANIFEST), read(TABLE)) {
            (Ok(manifest), Ok(table)) => (manifest, table),
            (Err(manifest), Err(_)) if manifest.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            _ => return self.clear(slot).map(|()| Vec::new()),
        };
        let entry = FileEntry::of(TABLE, &table);
        let (Ok(manifest), Ok(table)) = (Manifest::from_bytes(&manifest), lintel_formats::table::from_bytes(&table))
        else {
            return self.clear(slot).map(|()| Vec::new());
        };
        if manifest.file(Role::Table) != Some(&entry) {
            return self.clear(slot).map(|()| Vec::new());
        }
        let gone: Vec<PersonId> = table.people().iter().map(|person| person.id).filter(|id| !keep(*id)).collect();
        if gone.is_empty() {
            return Ok(gone);
        }
        let Ok(table) = gone.iter().try_fold(table, |table, id| table.without(*id)) else {
            return self.clear(slot).map(|()| gone);
        };
        let (revision, bytes) = (table.revision(), lintel_formats::table::to_bytes(&table));
        let Ok(sealed) = (Manifest { revision, ..manifest.with(Role::Table, &bytes) }).to_bytes() else {
            return self.clear(slot).map(|()| gone);
        };
        self.on(&dir.join(TABLE), |disk, path| replace(disk, path, &bytes))?;
        self.on(&dir.join(MANIFEST), |disk, path| replace(disk, path, &sealed))?;
        Ok(gone)
    }

    fn clear(&self, slot: Slot) -> Result<(), SlotError> {
        let dir = self.dir(slot);
        self.on(&dir, |disk, path| disk.remove_dir_all(path))?;
        self.on(&self.state.join("slots"), |disk, path| disk.sync_dir(path))
    }
}
