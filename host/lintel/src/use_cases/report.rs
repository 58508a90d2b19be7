//! Folders of the other verbs → one page.

use std::path::PathBuf;

use lintel_evaluation::report::page;
use lintel_work::failure::Failure;
use lintel_work::outdir::write_file;

use super::existing_folder;

/// What to put on a page.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folders that ingest, train, evaluate or the demo made.
    pub folders: Vec<PathBuf>,
    /// The file to write.
    pub out: PathBuf,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its file.
    pub out: PathBuf,
    /// Its size.
    pub bytes: usize,
}

/// Writes the page.
///
/// # Errors
/// [`Failure`]; a page that was there before is then untouched.
pub fn run(request: &Request) -> Result<Outcome, Failure> {
    for folder in &request.folders {
        existing_folder(folder)?;
    }
    if request.out.is_dir() {
        return Err(Failure::input(format!("--out {} is a folder; give a file's name", request.out.display())));
    }
    let page = page(&request.folders)?;
    write_file(&request.out, page.as_bytes())?;
    Ok(Outcome { out: request.out.clone(), bytes: page.len() })
}
