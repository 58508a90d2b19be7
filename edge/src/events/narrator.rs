//! Events of the door → lines that a person can follow at the terminal. People appear by number, never by name.

use std::io::Write;

use lintel_wire::event::{Event, EventKind, Verdict};
use lintel_wire::value::Strike;

use super::{EventError, Occurrence, Subscriber};
use crate::io::display::card;

/// One line for each event that somebody at the door would notice.
#[derive(Debug)]
pub struct Narrator<W> {
    out: W,
}

impl<W: Write> Narrator<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Subscriber for Narrator<W> {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        let event = match occurrence {
            Occurrence::Door(event) => event,
            // The log on stderr has these.
            Occurrence::Link { .. } => return Ok(()),
        };
        let Some(line) = line(event) else { return Ok(()) };
        let seconds = event.at.as_micros() as f64 / 1e6;
        writeln!(self.out, "{seconds:9.3} s  {line}").map_err(EventError::console)
    }
}

fn line(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Started(started) => Some(format!(
            "started    {} people in revision {} of pack {}, on {}",
            started.people, started.revision, started.pack, started.provider
        )),
        EventKind::Visit { recording, label } if label.is_empty() => Some(format!("recording  {recording}")),
        EventKind::Visit { recording, label } => Some(format!("recording  {recording} ({label})")),
        EventKind::Decision(decision) => {
            let took = decision.decided.since(decision.first_sharp);
            let who = match decision.verdict {
                Verdict::Known(person) => format!("person {}", person.0),
                Verdict::Stranger => "nobody enrolled".to_owned(),
            };
            Some(format!("verdict    {who}, {took:.2?} after the first sharp frame"))
        }
        EventKind::Relay(Strike::Released) => Some("strike     released".to_owned()),
        EventKind::Relay(Strike::Locked) => Some("strike     locked".to_owned()),
        EventKind::Screen(screen) => Some(format!("display    {}", card::slug(&screen.clone().into()))),
        EventKind::Fault(fault) => Some(format!("fault      {fault}")),
        EventKind::FaultCleared(fault) => Some(format!("no longer  {fault}")),
        EventKind::Stopped => Some("stopped".to_owned()),
        EventKind::LockedOut { seconds, refusals } => {
            Some(format!("locked out for {seconds} s after {refusals} refusals"))
        }
        EventKind::Sighting(_) | EventKind::Door(_) | EventKind::Contact(_) => None,
    }
}
