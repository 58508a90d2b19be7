//! The audit log of a state folder → rows, while no daemon has it open.

use std::path::{Path, PathBuf};

use lintel_wire::audit::row::Row;
use redb::Database;

use super::store::{read_page, store};
use super::{FILE, StoreError};

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// No daemon ever ran on this state folder.
    #[error("{}: there is no audit log", .0.display())]
    Missing(PathBuf),
    /// It cannot be read; a daemon that has it open can be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All of it, oldest first.
///
/// # Errors
/// [`RowsError`]; [`StoreError::InUse`] while a daemon runs.
pub fn rows(state: &Path) -> Result<Vec<Row>, RowsError> {
    let path = state.join(FILE);
    if !path.exists() {
        return Err(RowsError::Missing(path));
    }
    let database = Database::open(&path).map_err(store)?;
    let page = read_page(&database, 0, usize::MAX)?;
    Ok(page.rows().map_err(StoreError::from)?)
}
