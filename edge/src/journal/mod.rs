//! What happened → a store that keeps it: durable when it says so, chained, bounded.
//!
//! One redb file in the state folder. An entry is on the disk when [`Journal::append`] returns; what the pipeline tells
//! goes through [`Journal::sink`], which waits for no disk. When there are more entries than the settings allow, the
//! oldest go, and an anchor keeps the chain's hash at that point, so that what is left can still be checked.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lintel_shared::time::Uptime;
use lintel_shared::wire::journal::{Entry, JournalError, Record, chained};
use lintel_shared::wire::link::Hash;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition};

use crate::clock::Clock;
use crate::link::{Chronicle, Deed, Page, Wall};

mod read;
mod sink;

pub use lintel_shared::wire::journal::row::COLUMNS;
pub use read::rows;
pub use sink::JournalSink;

/// The file's name in the state folder.
pub const FILE: &str = "journal.redb";
/// Damaged journals that are set aside at most; then the oldest of them goes.
const MOST_DAMAGED: u32 = 3;

/// Sequence number → the chain's hash there, and the bytes of the entry.
const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
/// `head` and `anchor`: sequence number (u64 LE) and hash; `boot`: how often the daemon has started (u32 LE).
const POINTS: TableDefinition<&str, &[u8]> = TableDefinition::new("points");

/// Why the journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the store's own structure.
    #[error("journal: {0}")]
    Store(String),
    /// Another process has it open.
    #[error("journal: another process has it open")]
    InUse,
    /// An entry, or the chain.
    #[error(transparent)]
    Entry(#[from] JournalError),
}

fn store(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse,
        other => StoreError::Store(other.to_string()),
    }
}

/// Where the chain stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChainPoint {
    /// Sequence number; the first entry has 1.
    pub sequence: u64,
    /// The chain's hash there.
    pub hash: Hash,
}

impl ChainPoint {
    fn bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..].copy_from_slice(&self.hash);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sequence, hash) = bytes.split_first_chunk::<8>()?;
        Some(Self { sequence: u64::from_le_bytes(*sequence), hash: hash.try_into().ok()? })
    }
}

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    database: Database,
    /// Appending goes one after another.
    head: Mutex<ChainPoint>,
    keep: u64,
    boot: u32,
    clock: Clock,
    wall: Wall,
}

impl Journal {
    /// Opens the journal in a state folder; one that is damaged is set aside, and the new one says so.
    ///
    /// # Errors
    /// [`StoreError`]: the disk refuses, or another process has it open.
    pub fn open(state: &Path, keep: u64, clock: &Clock, wall: &Wall) -> Result<Self, StoreError> {
        let path = state.join(FILE);
        // An empty file is one that lost everything; the store would take it for a new one.
        let empty = fs::metadata(&path).is_ok_and(|meta| meta.len() == 0);
        let opened = if empty {
            Err(StoreError::Store("the file is empty".to_owned()))
        } else {
            Self::sound(|| Database::create(&path).map_err(store), keep, clock, wall)
        };
        match opened {
            Ok(journal) => Ok(journal),
            Err(StoreError::InUse) => Err(StoreError::InUse),
            Err(e) if path.exists() && !is_full(&e) => {
                tracing::error!("{e}; it is set aside, and a new one is begun");
                set_aside(&path).map_err(|e| StoreError::Store(e.to_string()))?;
                let journal = Self::sound(|| Database::create(&path).map_err(store), keep, clock, wall)?;
                journal.append(Entry::BegunAnew)?;
                Ok(journal)
            }
            Err(e) => Err(e),
        }
    }

    /// On a disk of the caller's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn on(backend: impl StorageBackend, keep: u64, clock: &Clock, wall: &Wall) -> Result<Self, StoreError> {
        Self::sound(move || Database::builder().create_with_backend(backend).map_err(store), keep, clock, wall)
    }

    /// Opens, checks the newest part of the chain, counts the start. A store that panics over its file is damaged.
    fn sound(
        open: impl FnOnce() -> Result<Database, StoreError>,
        keep: u64,
        clock: &Clock,
        wall: &Wall,
    ) -> Result<Self, StoreError> {
        catch_unwind(AssertUnwindSafe(|| Self::begin(open()?, keep, clock, wall)))
            .unwrap_or_else(|_| Err(StoreError::Store("the file is damaged".to_owned())))
    }

    fn begin(database: Database, keep: u64, clock: &Clock, wall: &Wall) -> Result<Self, StoreError> {
        let writing = database.begin_write().map_err(store)?;
        let (head, boot) = {
            let mut points = writing.open_table(POINTS).map_err(store)?;
            // Made here, so that readers find it.
            writing.open_table(ENTRIES).map_err(store)?;
            let read = |key: &str| -> Result<Option<Vec<u8>>, StoreError> {
                Ok(points.get(key).map_err(store)?.map(|value| value.value().to_vec()))
            };
            let damaged = || StoreError::Store("the file is damaged".to_owned());
            let head = match read("head")? {
                Some(bytes) => ChainPoint::from_bytes(&bytes).ok_or_else(damaged)?,
                None => ChainPoint::default(),
            };
            let boot = match read("boot")? {
                Some(bytes) => u32::from_le_bytes(bytes.try_into().map_err(|_| damaged())?),
                None => 0,
            };
            let boot = boot.saturating_add(1);
            points.insert("boot", &boot.to_le_bytes()[..]).map_err(store)?;
            (head, boot)
        };
        writing.commit().map_err(store)?;
        let inner = Inner {
            database,
            head: Mutex::new(head),
            keep: keep.max(1),
            boot,
            clock: clock.clone(),
            wall: wall.clone(),
        };
        let journal = Self(Arc::new(inner));
        journal.verify()?;
        Ok(journal)
    }

    /// Keeps an entry; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; the journal is then as it was.
    pub fn append(&self, entry: Entry) -> Result<ChainPoint, StoreError> {
        self.append_all(&[(self.0.clock.now(), entry)])
    }

    /// Keeps several, all or none.
    ///
    /// # Errors
    /// [`StoreError`]; the journal is then as it was.
    pub fn append_all(&self, entries: &[(Uptime, Entry)]) -> Result<ChainPoint, StoreError> {
        let inner = &*self.0;
        let mut head = inner.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *head;
        let clock = inner.wall.now();
        let writing = inner.database.begin_write().map_err(store)?;
        {
            let mut kept = writing.open_table(ENTRIES).map_err(store)?;
            let mut points = writing.open_table(POINTS).map_err(store)?;
            for (at, entry) in entries {
                let record = Record { boot: inner.boot, at: *at, clock, entry: entry.clone() };
                let bytes = record.to_bytes()?;
                let sequence = next.sequence + 1;
                next = ChainPoint { sequence, hash: chained(&next.hash, sequence, &bytes) };
                kept.insert(sequence, [&next.hash[..], &bytes].concat().as_slice()).map_err(store)?;
            }
            points.insert("head", &next.bytes()[..]).map_err(store)?;
            let mut anchor = match points.get("anchor").map_err(store)? {
                Some(bytes) => ChainPoint::from_bytes(bytes.value()).unwrap_or_default(),
                None => ChainPoint::default(),
            };
            let oldest = next.sequence.saturating_sub(inner.keep);
            if anchor.sequence < oldest {
                while anchor.sequence < oldest {
                    let sequence = anchor.sequence + 1;
                    let Some(bytes) = kept.remove(sequence).map_err(store)? else { break };
                    let (hash, _) = split(bytes.value())?;
                    anchor = ChainPoint { sequence, hash };
                }
                points.insert("anchor", &anchor.bytes()[..]).map_err(store)?;
            }
        }
        writing.commit().map_err(store)?;
        *head = next;
        Ok(next)
    }

    /// Where the chain ends.
    #[must_use]
    pub fn newest(&self) -> ChainPoint {
        *self.0.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the daemon has started.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.0.boot
    }

    /// Up to `most` entries after a sequence number, oldest first. What was dropped is skipped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entries(&self, after: u64, most: usize) -> Result<Page, StoreError> {
        read_page(&self.0.database, after, most)
    }

    /// Checks the whole chain; gives the number of entries that were dropped by rotation.
    ///
    /// # Errors
    /// [`JournalError::Broken`] at the first entry that doesn't follow.
    pub fn verify(&self) -> Result<u64, StoreError> {
        let head = self.newest();
        let anchor = anchor(&self.0.database)?;
        let reading = self.0.database.begin_read().map_err(store)?;
        let entries = reading.open_table(ENTRIES).map_err(store)?;
        let mut point = anchor;
        for entry in entries.iter().map_err(store)? {
            let (found, bytes) = entry.map_err(store)?;
            let sequence = point.sequence + 1;
            let broken = || StoreError::Entry(JournalError::Broken { sequence });
            let (hash, bytes) = split(bytes.value()).map_err(|_| broken())?;
            let sound = found.value() == sequence
                && hash == chained(&point.hash, sequence, bytes)
                && Record::from_bytes(bytes).is_ok();
            if !sound {
                return Err(broken());
            }
            point = ChainPoint { sequence, hash };
        }
        if point == head { Ok(anchor.sequence) } else { Err(JournalError::Broken { sequence: head.sequence }.into()) }
    }

    /// Refusals in a row at the end of the journal; those that are older than `forget_after` by the clock don't count,
    /// as far as the clock can be believed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refusals(&self, forget_after: Duration) -> Result<u32, StoreError> {
        let reading = self.0.database.begin_read().map_err(store)?;
        let entries = reading.open_table(ENTRIES).map_err(store)?;
        let now = self.0.wall.now();
        let mut refusals = 0;
        for entry in entries.iter().map_err(store)?.rev() {
            let (_, bytes) = entry.map_err(store)?;
            let record = Record::from_bytes(split(bytes.value())?.1)?;
            // A clock that was set back makes an entry one of the future: it counts.
            if now.saturating_sub(record.clock) > forget_after.as_secs() && record.clock <= now {
                break;
            }
            match record.entry {
                Entry::Recognised { .. } => break,
                Entry::NotRecognised { .. } => refusals += 1,
                _ => {}
            }
        }
        Ok(refusals)
    }
}

/// A stored value → the chain's hash, and the entry's bytes.
fn split(value: &[u8]) -> Result<(Hash, &[u8]), StoreError> {
    let (hash, bytes) = value.split_first_chunk::<32>().ok_or(StoreError::Entry(JournalError::Malformed))?;
    Ok((*hash, bytes))
}

fn anchor(database: &Database) -> Result<ChainPoint, StoreError> {
    let reading = database.begin_read().map_err(store)?;
    let points = reading.open_table(POINTS).map_err(store)?;
    let anchor = points.get("anchor").map_err(store)?;
    Ok(anchor.and_then(|bytes| ChainPoint::from_bytes(bytes.value())).unwrap_or_default())
}

fn read_page(database: &Database, after: u64, most: usize) -> Result<Page, StoreError> {
    let anchor = anchor(database)?;
    let reading = database.begin_read().map_err(store)?;
    let entries = reading.open_table(ENTRIES).map_err(store)?;
    let after = after.max(anchor.sequence);
    let mut page = Page { first: after.saturating_add(1), before: anchor.hash, ..Page::default() };
    if let Some(value) = entries.get(after).map_err(store)? {
        page.before = split(value.value())?.0;
    }
    for entry in entries.range(page.first..).map_err(store)?.take(most) {
        let (_, bytes) = entry.map_err(store)?;
        page.entries.push(split(bytes.value())?.1.to_vec());
    }
    Ok(page)
}

fn is_full(error: &StoreError) -> bool {
    let StoreError::Store(text) = error else { return false };
    let text = text.to_lowercase();
    ["no space", "read-only", "permission denied", "quota"].iter().any(|part| text.contains(part))
}

/// Renames a damaged journal, so that somebody may look at it.
fn set_aside(path: &Path) -> io::Result<()> {
    let numbered = |n: u32| -> PathBuf { path.with_extension(format!("damaged-{n}")) };
    let free = (1..=MOST_DAMAGED).find(|n| !numbered(*n).exists()).unwrap_or(MOST_DAMAGED);
    fs::rename(path, numbered(free))
}

impl Chronicle for Journal {
    fn note(&self, deed: &Deed) {
        if let Err(e) = self.append(deed.into()) {
            tracing::error!("{e}");
        }
    }

    fn page(&self, after: u64, most: usize) -> Page {
        self.entries(after, most).unwrap_or_else(|e| {
            tracing::error!("{e}");
            Page::default()
        })
    }

    fn head(&self) -> (u64, Hash) {
        let point = self.newest();
        (point.sequence, point.hash)
    }
}

impl From<&Deed> for Entry {
    fn from(deed: &Deed) -> Self {
        match deed {
            Deed::Paired(who) => Self::Paired(who.0),
            Deed::Forgotten(who) => Self::Forgotten(who.0),
            Deed::Unpaired => Self::Unpaired,
            Deed::Refused { caller, why } => Self::CallerRefused { caller: caller.map(|who| who.0), why: *why },
            Deed::Installed { by, revision, table, removed } => {
                Self::Installed { by: by.0, revision: *revision, table: *table, removed: *removed }
            }
            Deed::RolledBack { by, revision } => Self::RolledBack { by: by.0, revision: *revision },
        }
    }
}

#[cfg(test)]
mod tests;
