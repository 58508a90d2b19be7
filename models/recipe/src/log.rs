//! Lines about what was done and reached → the terminal and `recipe.log`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The file's name in the working folder and in the pack.
pub const FILE: &str = "recipe.log";

/// Appends, so that a run that was broken off and resumed leaves one story.
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
        // In one piece: two steps may write at a time.
        file.write_all(format!("{text}\n").as_bytes()).context("writing the log")
    }
}
