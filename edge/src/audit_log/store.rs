//! An open redb file: its chain, its bounds, its pages.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lintel_core::time::Uptime;
use lintel_wire::audit::row::Row;
use lintel_wire::audit::{Entry, JournalError, Record, chained};
use lintel_wire::link::Hash;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use rustix::io::Errno;

/// Sequence number → the chain's hash there, and the bytes of the entry.
pub(super) const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
/// `head` and `anchor`: sequence number (u64 LE) and hash; `boot`: how often the daemon has started (u32 LE).
const POINTS: TableDefinition<&str, &[u8]> = TableDefinition::new("points");

/// Why the audit log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk refuses for now, and the file may be as sound as it was: it is to be opened again later.
    #[error("audit log: {0}")]
    Refused(#[source] redb::Error),
    /// The file is damaged: it is to be set aside.
    #[error("audit log: {0}")]
    Damaged(#[source] redb::Error),
    /// An entry or the chain does not hold: the file is to be set aside.
    #[error(transparent)]
    Entry(#[from] JournalError),
    /// Another process has it open, and can be asked.
    #[error("audit log: another process has it open")]
    InUse,
}

impl StoreError {
    /// The file is damaged in a way that the store does not find by itself.
    pub(super) fn damaged(how: &str) -> Self {
        Self::Damaged(redb::Error::Corrupted(how.to_owned()))
    }
}

pub(super) fn store(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse,
        error @ redb::Error::PreviousIo => StoreError::Refused(error),
        redb::Error::Io(error) if is_refusal(&error) => StoreError::Refused(error.into()),
        error => StoreError::Damaged(error),
    }
}

/// Whether the disk says no to everything now, and nothing about the file.
fn is_refusal(error: &io::Error) -> bool {
    let full_table = || matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
    let kinds = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::PermissionDenied,
        ErrorKind::NotFound,
    ];
    kinds.contains(&error.kind()) || full_table()
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

/// Some entries of the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// As the log holds them, oldest first.
    pub entries: Vec<Vec<u8>>,
    /// Sequence number of the first.
    pub first: u64,
    /// The chain's hash before it.
    pub before: Hash,
}

impl Page {
    /// The entries for a person.
    ///
    /// # Errors
    /// The first entry that is none.
    pub fn rows(&self) -> Result<Vec<Row>, JournalError> {
        let rows = (self.first..).zip(&self.entries);
        rows.map(|(sequence, bytes)| Record::from_bytes(bytes).map(|record| Row::of(sequence, &record))).collect()
    }
}

/// The file, open and found sound.
pub(super) struct Store {
    pub(super) database: Database,
    /// Where the chain ends.
    pub(super) head: ChainPoint,
    /// How often the daemon has started.
    pub(super) boot: u32,
}

impl Store {
    /// Opens, checks the chain, counts the start unless it is one that was counted before. A store that panics over its
    /// file is damaged.
    pub(super) fn open(
        open: impl FnOnce() -> Result<Database, StoreError>,
        counted: Option<u32>,
    ) -> Result<Self, StoreError> {
        catch_unwind(AssertUnwindSafe(|| Self::begin(open()?, counted)))
            .unwrap_or_else(|_| Err(StoreError::damaged("the store panics over the file")))
    }

    fn begin(database: Database, counted: Option<u32>) -> Result<Self, StoreError> {
        let writing = database.begin_write().map_err(store)?;
        let (head, boot) = {
            let mut points = writing.open_table(POINTS).map_err(store)?;
            // Made here, so that readers find it.
            writing.open_table(ENTRIES).map_err(store)?;
            let read = |key: &str| -> Result<Option<Vec<u8>>, StoreError> {
                Ok(points.get(key).map_err(store)?.map(|value| value.value().to_vec()))
            };
            let damaged = || StoreError::damaged("a point of the chain cannot be read");
            let head = match read("head")? {
                Some(bytes) => ChainPoint::from_bytes(&bytes).ok_or_else(damaged)?,
                None => ChainPoint::default(),
            };
            let before = match read("boot")? {
                Some(bytes) => u32::from_le_bytes(bytes.try_into().map_err(|_| damaged())?),
                None => 0,
            };
            let boot = counted.unwrap_or_else(|| before.saturating_add(1));
            points.insert("boot", &boot.to_le_bytes()[..]).map_err(store)?;
            (head, boot)
        };
        writing.commit().map_err(store)?;
        let opened = Self { database, head, boot };
        opened.verify()?;
        Ok(opened)
    }

    /// Keeps entries, all or none, and drops the oldest beyond `keep`; durable when this returns.
    pub(super) fn append(
        &mut self,
        entries: &[(Uptime, Entry)],
        wall: u64,
        keep: u64,
    ) -> Result<ChainPoint, StoreError> {
        let mut next = self.head;
        let writing = self.database.begin_write().map_err(store)?;
        {
            let mut kept = writing.open_table(ENTRIES).map_err(store)?;
            let mut points = writing.open_table(POINTS).map_err(store)?;
            for (at, entry) in entries {
                let record = Record { boot: self.boot, at: (*at).into(), clock: wall, entry: entry.clone() };
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
            let oldest = next.sequence.saturating_sub(keep);
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
        self.head = next;
        Ok(next)
    }

    /// Checks the whole chain; gives the number of entries that were dropped by rotation.
    pub(super) fn verify(&self) -> Result<u64, StoreError> {
        let anchor = anchor(&self.database)?;
        let reading = self.database.begin_read().map_err(store)?;
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
        let sequence = self.head.sequence;
        if point == self.head { Ok(anchor.sequence) } else { Err(JournalError::Broken { sequence }.into()) }
    }

    /// Refusals in a row at the end; those that are older than `forget_after` at `now` don't count, as far as the clock
    /// can be believed.
    pub(super) fn refusals(&self, forget_after: Duration, now: u64) -> Result<u32, StoreError> {
        let reading = self.database.begin_read().map_err(store)?;
        let entries = reading.open_table(ENTRIES).map_err(store)?;
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

/// Up to `most` entries after a sequence number, oldest first. What was dropped is skipped.
pub(super) fn read_page(database: &Database, after: u64, most: usize) -> Result<Page, StoreError> {
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
