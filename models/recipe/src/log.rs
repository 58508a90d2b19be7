//! Lines about steps and results → the terminal and `recipe.log`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The file's name in the working folder and in the pack.
pub const FILE: &str = "recipe.log";

/// A log that is appended to, so that an interrupted and resumed run leaves one log.
#[derive(Clone, Debug)]
pub struct Log(PathBuf);

impl Log {
    /// In `work`, which exists.
    pub fn new(work: &Path) -> Self {
        Self(work.join(FILE))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes one line.
    pub fn line(&self, text: &str) -> Result<()> {
        println!("{text}");
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0)?;
        // In one write: two steps may write at the same time.
        file.write_all(format!("{text}\n").as_bytes()).context("writing the log")
    }
}
