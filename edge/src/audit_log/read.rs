//! The journal of a state folder → rows, whether a daemon runs on it or not.

use std::path::Path;

use lintel_wire::audit::Record;
use lintel_wire::audit::row::Row;
use redb::Database;

use super::chronicle::Page;
use super::store::read_page;
use super::{FILE, StoreError};
use crate::link::control::{Order, Reply, ask};

/// All of it. A daemon that runs has the file to itself, and is asked.
///
/// # Errors
/// One line that says what is wrong.
pub fn rows(state: &Path) -> Result<Vec<Row>, String> {
    let path = state.join(FILE);
    if !path.exists() {
        return Err(format!("{}: there is no journal", path.display()));
    }
    match Database::open(&path) {
        Ok(database) => {
            let page = read_page(&database, 0, usize::MAX).map_err(|e| e.to_string())?;
            decoded(&page)
        }
        Err(redb::DatabaseError::DatabaseAlreadyOpen) => from_daemon(state),
        Err(e) => Err(StoreError::Store(e.to_string()).to_string()),
    }
}

fn from_daemon(state: &Path) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut after = 0;
    loop {
        let Reply::Log { entries, first } = ask(state, Order::Log { after })? else {
            return Err("the daemon answered something else".to_owned());
        };
        if entries.is_empty() {
            return Ok(rows);
        }
        let entries = entries.iter().map(hex::decode).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|e| format!("the daemon's answer cannot be read: {e}"))?;
        after = first + entries.len() as u64 - 1;
        rows.extend(decoded(&Page { entries, first, ..Page::default() })?);
    }
}

fn decoded(page: &Page) -> Result<Vec<Row>, String> {
    let rows = (page.first..).zip(&page.entries);
    rows.map(|(sequence, bytes)| Record::from_bytes(bytes).map(|record| Row::of(sequence, &record)))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())
}
