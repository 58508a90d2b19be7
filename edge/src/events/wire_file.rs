//! Events of the door → a file of wire messages, for `lintel`.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lintel_wire::event;

use super::{EventError, Occurrence, Subscriber};

/// A file of wire messages: what happens at the door, and nothing of the network. After a failed write the file is cut
/// back to its last whole message.
#[derive(Debug)]
pub struct WireFile {
    path: PathBuf,
    file: File,
    whole: u64,
    buffer: Box<[u8]>,
}

impl WireFile {
    /// Creates the file; an older one of that name is replaced.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self, EventError> {
        let file = File::create(path).map_err(|source| EventError::Write { path: path.to_owned(), source })?;
        let buffer = vec![0; event::PREFIX + event::MAX_MESSAGE].into_boxed_slice();
        Ok(Self { path: path.to_owned(), file, whole: 0, buffer })
    }

    fn append(&mut self, length: usize) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.whole))?;
        if let Err(e) = self.file.write_all(&self.buffer[..length]) {
            self.file.set_len(self.whole)?;
            return Err(e);
        }
        self.whole += length as u64;
        Ok(())
    }
}

impl Subscriber for WireFile {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        let event = match occurrence {
            Occurrence::Door(event) => event,
            Occurrence::Link { .. } => return Ok(()),
        };
        let encoded = event::encode(event, &mut self.buffer).map_err(io::Error::other);
        encoded
            .and_then(|length| self.append(length))
            .map_err(|source| EventError::Write { path: self.path.clone(), source })
    }
}
