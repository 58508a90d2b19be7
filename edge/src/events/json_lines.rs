//! Events of the door → lines of JSON.

use std::io::{self, Write};

use super::{EventError, Occurrence, Subscriber};

/// One JSON object a line: what happens at the door, and nothing of the network.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Subscriber for JsonLines<W> {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        let event = match occurrence {
            Occurrence::Door(event) => event,
            Occurrence::Link { .. } => return Ok(()),
        };
        serde_json::to_writer(&mut self.out, event)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .and_then(|()| self.out.flush())
            .map_err(EventError::console)
    }
}
