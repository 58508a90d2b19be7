//! The daemon's events → for each visit who came, what the display said, and what the door did.

use std::path::{Path, PathBuf};

use lintel_core::geometry::Rect;
use lintel_core::table::Table;
use lintel_wire::event::{self, Decision, Event, EventKind, Look, Screen, Verdict, WireError};
use lintel_wire::value::{Strike, Uptime};
use lintel_work::failure::{Failure, reason};
use serde::{Deserialize, Serialize};

use crate::evaluate::milliseconds;

/// Raised when the meaning of `visits.json` changes.
pub const VISITS_FORMAT: u32 = 1;

/// The content of `visits.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visits {
    /// [`VISITS_FORMAT`].
    pub format: u32,
    /// In the order in which they came.
    pub visits: Vec<Visit>,
}

/// One recording as the daemon processed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// The recording's name.
    pub recording: String,
    /// The person in the recording, by its side-car.
    pub label: String,
    /// The door's verdict: the person's name, or the word for a stranger; `None` before one.
    pub verdict: Option<String>,
    /// The display's last screen about the visitor.
    pub display: String,
    /// When the relay released the strike, from the visit's start.
    pub released_ms: Option<f64>,
    /// When the relay locked it again.
    pub locked_ms: Option<f64>,
    /// From the first sharp frame to the verdict.
    pub verdict_ms: Option<f64>,
    /// The moment that the sheet shows.
    pub key: Key,
}

/// The most telling moment of a visit: the verdict, or else the nearest face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// From the visit's start.
    pub captured_ms: f64,
    /// The faces in that frame.
    pub look: Look,
    /// Number of the display's picture, from 1; 0 if it showed none.
    pub screen: u32,
}

/// Why events cannot be turned into visits.
#[derive(Debug, thiserror::Error)]
pub enum VisitsError {
    /// The file cannot be read.
    #[error("cannot read {}: {}", path.display(), reason(source))]
    Read {
        /// The events.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file's content is wrong.
    #[error("{}: {source}", path.display())]
    Wire {
        /// The events.
        path: PathBuf,
        /// What is wrong.
        source: WireError,
    },
}

impl From<VisitsError> for Failure {
    fn from(error: VisitsError) -> Self {
        Self::work(error)
    }
}

/// Reads a file that `lintel-edge run --events` wrote.
///
/// # Errors
/// [`VisitsError`].
pub fn read(path: &Path, table: &Table) -> Result<Visits, VisitsError> {
    let bytes = std::fs::read(path).map_err(|source| VisitsError::Read { path: path.into(), source })?;
    let events: Vec<Event> = event::events(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|source| VisitsError::Wire { path: path.into(), source })?;
    Ok(Visits { format: VISITS_FORMAT, visits: visits(&events, table) })
}

impl Visits {
    /// The headings of [`Visit::cells`].
    pub const HEAD: [&str; 5] = ["who came", "verdict", "the display said", "relay", "sharp frame to verdict"];

    /// The table in words.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let rows: Vec<[String; 5]> =
            [Self::HEAD.map(str::to_owned)].into_iter().chain(self.visits.iter().map(Visit::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let line = |row: &[String; 5]| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        rows.iter().map(line).collect()
    }
}

impl Visit {
    /// The verdict in words.
    #[must_use]
    pub fn cells(&self) -> [String; 5] {
        [
            self.label.clone(),
            self.verdict.clone().unwrap_or_else(|| "none".into()),
            self.display.clone(),
            self.relay(),
            self.verdict_ms.map_or_else(|| "-".into(), |ms| format!("{ms:.0} ms")),
        ]
    }

    /// When the relay moved.
    #[must_use]
    pub fn relay(&self) -> String {
        match (self.released_ms, self.locked_ms) {
            (None, _) => "stayed locked".into(),
            (Some(at), None) => format!("released at {:.1} s", at / 1e3),
            (Some(at), Some(locked)) => format!("released {:.1} s to {:.1} s", at / 1e3, locked / 1e3),
        }
    }
}

/// The state of a visit while its events are read.
struct Open {
    recording: String,
    label: String,
    begins: Uptime,
    decision: Option<Decision>,
    screens: Vec<(Uptime, u32, Screen)>,
    released: Option<Uptime>,
    locked: Option<Uptime>,
    looks: Vec<Look>,
}

fn visits(events: &[Event], table: &Table) -> Vec<Visit> {
    let mut done = Vec::new();
    let mut open: Option<Open> = None;
    let mut pictures = 0;
    for event in events {
        if let EventKind::Screen(_) = event.kind {
            pictures += 1;
        }
        if let EventKind::Visit { recording, label } = &event.kind {
            done.extend(open.take().map(|open| open.close(table)));
            open = Some(Open::new(recording, label, event.at));
        } else if let Some(open) = &mut open {
            open.take(event, pictures);
        }
    }
    done.extend(open.map(|open| open.close(table)));
    done
}

impl Open {
    fn new(recording: &str, label: &str, begins: Uptime) -> Self {
        Self {
            recording: recording.to_owned(),
            label: if label.is_empty() { recording.to_owned() } else { label.to_owned() },
            begins,
            decision: None,
            screens: Vec::new(),
            released: None,
            locked: None,
            looks: Vec::new(),
        }
    }

    fn take(&mut self, event: &Event, picture: u32) {
        match &event.kind {
            EventKind::Sighting(look) => self.looks.push(look.clone()),
            // A name replaces an earlier refusal, which was made when the visitor was further away.
            EventKind::Decision(decision) => {
                let known = |decision: &Decision| matches!(decision.verdict, Verdict::Known(_));
                if self.decision.as_ref().is_none_or(|before| known(decision) && !known(before)) {
                    self.decision = Some(*decision);
                }
            }
            EventKind::Screen(screen) => self.screens.push((event.at, picture, screen.clone())),
            EventKind::Relay(Strike::Released) => {
                self.released.get_or_insert(event.at);
            }
            EventKind::Relay(Strike::Locked) if self.released.is_some() => {
                self.locked.get_or_insert(event.at);
            }
            _ => {}
        }
    }

    fn close(self, table: &Table) -> Visit {
        let after = |at: Uptime| milliseconds(at.since(self.begins));
        let told = self
            .screens
            .iter()
            .rev()
            .find(|(_, _, screen)| matches!(screen, Screen::Welcome { .. }))
            .or_else(|| self.screens.iter().rev().find(|(_, _, screen)| *screen == Screen::NotRecognised))
            .or_else(|| self.screens.iter().rev().find(|(_, _, screen)| *screen != Screen::Ready))
            .or(self.screens.last());
        let key = self.decision.map_or_else(
            || self.looks.iter().max_by(|a, b| largest(a).total_cmp(&largest(b))).cloned(),
            |decision| self.looks.iter().find(|look| look.captured == decision.captured).cloned(),
        );
        let key = key.unwrap_or(Look { captured: self.begins, faces: heapless::Vec::new() });
        Visit {
            verdict: self.decision.map(|decision| match decision.verdict {
                Verdict::Known(id) => {
                    table.person(id.into()).map_or_else(|| format!("person {}", id.0), |person| person.name.clone())
                }
                Verdict::Stranger => "stranger".into(),
            }),
            display: told.map_or_else(|| "nothing new".into(), |(_, _, screen)| said(screen)),
            released_ms: self.released.map(after),
            locked_ms: self.locked.map(after),
            verdict_ms: self.decision.map(|decision| milliseconds(decision.decided.since(decision.first_sharp))),
            key: Key {
                captured_ms: after(key.captured),
                look: key,
                screen: told.map_or(0, |(_, picture, _)| *picture),
            },
            recording: self.recording,
            label: self.label,
        }
    }
}

fn largest(look: &Look) -> f32 {
    look.faces.iter().map(|face| Rect::from(face.bbox).area()).fold(0.0, f32::max)
}

/// What the display says, in words.
fn said(screen: &Screen) -> String {
    match screen {
        Screen::Starting => "starting".into(),
        Screen::Ready => "ready".into(),
        Screen::Looking { votes, needed } => format!("looking, {votes} of {needed}"),
        Screen::Welcome { name } => format!("welcome {name}"),
        Screen::NotRecognised => "not recognised".into(),
        Screen::StepCloser => "step closer".into(),
        Screen::LookAtCamera => "look at the camera".into(),
        Screen::HoldStill => "hold still".into(),
        Screen::HeldOpen => "the door is held open".into(),
        Screen::ForcedOpen => "the door was forced open".into(),
        Screen::Fault(fault) => format!("fault: {fault:?}"),
        Screen::Updating => "updating".into(),
        Screen::TryLater { .. } => "try again later".into(),
        Screen::Pairing { .. } => "pairing".into(),
    }
}

#[cfg(test)]
mod tests;
