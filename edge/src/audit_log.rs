//! What happened → a store that keeps it: durable when it says so, chained, bounded.
//!
//! One redb file in the state folder. An entry is on the disk when [`AuditLog::append`] returns; the stream of events
//! reaches it through [`AuditLog::subscriber`]. When there are more entries than the settings allow, the oldest go, and
//! an anchor keeps the chain's hash at that point, so that what is left can still be checked.
//!
//! A disk that refuses (full, read-only, broken) loses nothing that fits into memory: what could not be written waits,
//! and the file is opened anew until the disk takes it.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lintel_core::time::Uptime;
use lintel_wire::audit::Entry;
use redb::{Database, StorageBackend};

use crate::io::clock::Clocks;

mod read;
mod store;
mod subscriber;

pub use lintel_wire::audit::row::COLUMNS;
pub use read::{RowsError, rows};
pub use store::{ChainPoint, Page, StoreError};
use store::{Store, store};
pub use subscriber::AuditLogSubscriber;

/// The file's name in the state folder.
pub const FILE: &str = "journal.redb";
/// Damaged journals that are set aside at most; then the oldest of them goes.
const MOST_DAMAGED: u32 = 3;
/// Entries that wait for a disk that refuses; more are lost, counted, and the count is an entry itself.
const MAX_WAITING: usize = 4096;

/// The audit log. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog(Arc<Inner>);

/// Opens the file; with the number of the start, if that was counted.
type Opener = Box<dyn Fn(Option<u32>) -> Result<Store, StoreError> + Send + Sync>;

struct Inner {
    state: Mutex<State>,
    open: Opener,
    keep: u64,
    clocks: Clocks,
}

#[derive(Default)]
struct State {
    /// `None` after the disk failed: the store writes nothing more until it is opened anew.
    store: Option<Store>,
    /// Where the chain ended when it was seen last.
    head: ChainPoint,
    boot: Option<u32>,
    waiting: VecDeque<(Uptime, Entry)>,
    lost: u64,
}

impl AuditLog {
    /// Opens the journal in a state folder; one that is damaged is set aside, and the new one says so.
    ///
    /// # Errors
    /// [`StoreError`]: the disk refuses, or another process has it open.
    pub fn open(folder: &Path, keep: u64, clocks: &Clocks) -> Result<Self, StoreError> {
        let journal = Self::patient(folder, keep, clocks);
        journal.on_store(|_| Ok(()))?;
        Ok(journal)
    }

    /// Likewise, once the disk allows it: until then everything waits.
    #[must_use]
    pub fn patient(folder: &Path, keep: u64, clocks: &Clocks) -> Self {
        let path = folder.join(FILE);
        let at = clocks.clone();
        let open = move |counted| {
            // An empty file is one that lost everything; the store would take it for a new one.
            let empty = fs::metadata(&path).is_ok_and(|meta| meta.len() == 0);
            let create = || Store::open(|| Database::create(&path).map_err(store), counted);
            let opened = if empty { Err(StoreError::damaged("the file is empty")) } else { create() };
            match opened {
                Err(e @ (StoreError::Damaged(_) | StoreError::Entry(_))) if path.exists() => {
                    tracing::error!("{e}; it is set aside, and a new one is begun");
                    set_aside(&path).map_err(|e| StoreError::Refused(e.into()))?;
                    let mut store = create()?;
                    store.append(&[(at.monotonic.now(), Entry::BegunAnew)], at.wall.now(), keep.max(1))?;
                    Ok(store)
                }
                opened => opened,
            }
        };
        Self::with(Box::new(open), keep, clocks)
    }

    /// On a disk of the caller's; `backend` is called whenever it is opened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn on<B: StorageBackend>(
        backend: impl Fn() -> B + Send + Sync + 'static,
        keep: u64,
        clocks: &Clocks,
    ) -> Result<Self, StoreError> {
        let open =
            move |counted| Store::open(|| Database::builder().create_with_backend(backend()).map_err(store), counted);
        let journal = Self::with(Box::new(open), keep, clocks);
        journal.on_store(|_| Ok(()))?;
        Ok(journal)
    }

    fn with(open: Opener, keep: u64, clocks: &Clocks) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), open, keep: keep.max(1), clocks: clocks.clone() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_store<T>(&self, act: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.0.on_store(&mut self.state(), act)
    }

    /// Keeps an entry; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError`]; the journal is then as it was.
    pub fn append(&self, entry: Entry) -> Result<ChainPoint, StoreError> {
        self.append_all(&[(self.0.clocks.monotonic.now(), entry)])
    }

    /// Keeps several, all or none.
    ///
    /// # Errors
    /// [`StoreError`]; the journal is then as it was.
    pub fn append_all(&self, entries: &[(Uptime, Entry)]) -> Result<ChainPoint, StoreError> {
        self.on_store(|store| store.append(entries, self.0.clocks.wall.now(), self.0.keep))
    }

    /// Keeps entries, behind those that wait already: on the disk when this returns well, and waiting for it otherwise.
    ///
    /// # Errors
    /// [`StoreError`]: the disk refuses. Nothing that was given is to be given again.
    pub fn keep(&self, entries: impl IntoIterator<Item = (Uptime, Entry)>) -> Result<(), StoreError> {
        let mut state = self.state();
        for entry in entries {
            if state.waiting.len() < MAX_WAITING {
                state.waiting.push_back(entry);
            } else {
                state.lost += 1;
            }
        }
        let mut all: Vec<_> = state.waiting.iter().cloned().collect();
        if state.lost > 0 {
            all.push((self.0.clocks.monotonic.now(), Entry::Lost { entries: state.lost }));
        }
        if !all.is_empty() {
            self.0.on_store(&mut state, |store| store.append(&all, self.0.clocks.wall.now(), self.0.keep))?;
        }
        state.waiting.clear();
        state.lost = 0;
        Ok(())
    }

    /// Entries that a disk that refuses keeps waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Where the chain ends, as far as it was seen.
    #[must_use]
    pub fn newest(&self) -> ChainPoint {
        self.state().head
    }

    /// How often the daemon has started; 0 until the file could be opened.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.state().boot.unwrap_or_default()
    }

    /// Up to `most` entries after a sequence number, oldest first. What was dropped is skipped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn entries(&self, after: u64, most: usize) -> Result<Page, StoreError> {
        self.on_store(|open| store::read_page(&open.database, after, most))
    }

    /// Checks the whole chain; gives the number of entries that were dropped by rotation.
    ///
    /// # Errors
    /// [`lintel_wire::audit::JournalError::Broken`] at the first entry that doesn't follow.
    pub fn verify(&self) -> Result<u64, StoreError> {
        self.on_store(|store| store.verify())
    }

    /// Refusals in a row at the end of the journal; those that are older than `forget_after` by the clock don't count,
    /// as far as the clock can be believed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn refusals(&self, forget_after: Duration) -> Result<u32, StoreError> {
        self.on_store(|store| store.refusals(forget_after, self.0.clocks.wall.now()))
    }
}

impl Inner {
    /// Does something with the open file, and opens it first where it is not.
    fn on_store<T>(
        &self,
        state: &mut State,
        act: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let store = match &mut state.store {
            Some(store) => store,
            none => none.insert((self.open)(state.boot)?),
        };
        state.boot = Some(store.boot);
        let done = act(store);
        state.head = store.head;
        if matches!(done, Err(StoreError::Refused(_) | StoreError::Damaged(_))) {
            // After one failed write the store refuses all further ones, whatever the disk would say.
            state.store = None;
        }
        done
    }
}

/// Renames a damaged journal, so that somebody may look at it.
fn set_aside(path: &Path) -> io::Result<()> {
    let numbered = |n: u32| -> PathBuf { path.with_extension(format!("damaged-{n}")) };
    let free = (1..=MOST_DAMAGED).find(|n| !numbered(*n).exists()).unwrap_or(MOST_DAMAGED);
    fs::rename(path, numbered(free))
}

#[cfg(test)]
mod tests;
