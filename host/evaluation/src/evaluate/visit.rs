//! One recording → the door's sightings, and what the door would have done.

use std::path::Path;

use lintel_core::camera_watch::{CameraWatch, FlawChange};
use lintel_core::controller::{self, Controller, ControllerError, Event, Input, Names, Peripherals, RelayReading};
use lintel_core::decision::{Decision, Sighting, Verdict};
use lintel_core::door::Strike;
use lintel_core::frame::Frame;
use lintel_core::geometry::Rect;
use lintel_core::screen::Screen;
use lintel_core::table::Opinion;
use lintel_core::table::{PersonId, Scores, Table};
use lintel_core::time::Uptime;
use lintel_formats::recording::{About, Decoded, FrameInfo, Recording};
use lintel_training::calibration::Thresholds;
use lintel_work::failure::Failure;
use serde::{Deserialize, Serialize};

use super::{EvaluateError, Setup, milliseconds};

/// The outcome of one participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An enrolled person was named right.
    NamedRight,
    /// An enrolled person was named as another person at least once.
    Misnamed,
    /// An enrolled person was not named.
    NotNamed,
    /// A stranger was not named.
    Rejected,
    /// A stranger was named as an enrolled person.
    Accepted,
}

impl Outcome {
    /// The outcome in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NamedRight => "named right",
            Self::Misnamed => "MISNAMED",
            Self::NotNamed => "not named",
            Self::Rejected => "rejected",
            Self::Accepted => "ACCEPTED",
        }
    }

    /// Whether it is the right outcome.
    #[must_use]
    pub fn is_right(self) -> bool {
        matches!(self, Self::NamedRight | Self::Rejected)
    }
}

/// One recording and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// The recording's name.
    pub recording: String,
    /// The recording's note about itself.
    pub label: String,
    /// The person in the recording; `None` for a stranger.
    pub person: Option<String>,
    /// Whether the table has that person.
    pub mated: bool,
    /// How the visit ended for the participant.
    pub outcome: Outcome,
    /// Whom the door named; a wrong name first, if there was one.
    pub named: Option<String>,
    /// Time from the first sharp frame to the verdict of the outcome.
    pub verdict_ms: Option<f64>,
    /// When the strike was released, from the recording's start.
    pub released_ms: Option<f64>,
    /// Counts of the recording's frames by result.
    pub frames: Frames,
}

/// Counts of single frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// Frames that the face analyzer processed.
    pub looked_at: u32,
    /// Skipped because the door was still busy.
    pub passed_over: u32,
    /// Skipped because they repeat the picture before.
    pub repeated: u32,
    /// Frames in which the detector found a face.
    pub with_face: u32,
    /// With a face that passed the quality gate; the largest face counts.
    pub compared: u32,
    /// Named as the person in the recording.
    pub right: u32,
    /// Named as somebody else.
    pub wrong: u32,
}

/// The door's sightings of one recording, on which other rules can be tried without the models.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The recording's side-car.
    pub about: About,
    name: String,
    /// The row of the recorded person, if the table has that person.
    pub enrolled: Option<PersonId>,
    moments: Vec<Moment>,
    passed_over: u32,
    repeated: u32,
}

/// An input of the door.
#[derive(Debug, Clone)]
enum Moment {
    /// A frame was analysed.
    Look {
        sighting: Box<Sighting>,
        /// When its analysis was done.
        done: Uptime,
        /// Mean luma of the largest face, 0..=1.
        light: f32,
    },
    /// A flaw of the camera came or went.
    Flaw { change: FlawChange, at: Uptime },
}

/// One comparison with the table: the largest face of a frame, where it passed the gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Whether the recorded person is enrolled, and is the most similar one.
    pub mated: Mated,
    /// The scores that rules use.
    pub asked: Asked,
    /// The conditions of the look.
    pub conditions: Conditions,
}

/// The scores that rules with thresholds use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// The paper's softmax confidence.
    pub confidence: f32,
    /// Similarity, normalised by the person, and margin.
    pub thresholds: Thresholds,
}

impl Asked {
    /// From scores against this table.
    #[must_use]
    pub fn of(scores: &Scores, table: &Table) -> Self {
        Self { confidence: scores.confidence, thresholds: Thresholds::of(scores, table) }
    }
}

/// The recorded person's relation to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mated {
    /// Enrolled, and the most similar person.
    First,
    /// Enrolled, but another person is more similar: no threshold can help.
    Behind,
    /// Not enrolled.
    Not,
}

/// The measured conditions of a look at a face.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Conditions {
    /// Turn of the head to either side, degrees, from the landmarks.
    pub yaw: f32,
    /// Distance between the eyes, px: more for near faces.
    pub inter_ocular_px: f32,
    /// Mean luma of the face, 0..=1.
    pub light: f32,
}

impl Visit {
    /// Analyses a recording as the door does: frames that come while it is busy are skipped.
    ///
    /// `look` turns a frame into a sighting; `on_frame` is called after each frame and may stop the work.
    ///
    /// # Errors
    /// [`EvaluateError`], at the first frame that is damaged.
    pub fn of<E: std::fmt::Display>(
        path: &Path,
        recording: &Recording,
        table: &Table,
        setup: &Setup,
        mut look: impl FnMut(&Frame<'_>) -> Result<Sighting, E>,
        mut on_frame: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Self, EvaluateError> {
        let about = recording.about().clone();
        let enrolled = row_of(table, &about);
        let mut visit = Self {
            about,
            name: recording.name().to_owned(),
            enrolled,
            moments: Vec::new(),
            passed_over: 0,
            repeated: 0,
        };
        let mut free_at = Uptime::ZERO;
        let mut watch = CameraWatch::new(setup.camera);
        for decoded in recording.frames() {
            let decoded: Decoded = decoded.map_err(|source| EvaluateError::Recording { path: path.into(), source })?;
            let captured = decoded.info.captured;
            let vision = |reason: String| EvaluateError::Analyzer { recording: recording.name().to_owned(), reason };
            let frame = decoded.frame().map_err(|error| vision(error.to_string()))?;
            let observed = watch.observe(&frame);
            let changes = observed.changes.into_iter().flatten();
            visit.moments.extend(changes.map(|change| Moment::Flaw { change, at: captured }));
            if observed.repeat {
                visit.repeated += 1;
                on_frame().map_err(EvaluateError::Interrupted)?;
                continue;
            }
            if captured < free_at {
                visit.passed_over += 1;
                continue;
            }
            let sighting = look(&frame).map_err(|error| vision(error.to_string()))?;
            let light =
                sighting.seen.first().map_or(0.0, |seen| mean_luma(&decoded.pixels, decoded.info, seen.face.bbox));
            free_at = captured.saturating_add(setup.frame_time);
            visit.moments.push(Moment::Look { sighting: Box::new(sighting), done: free_at, light });
            on_frame().map_err(EvaluateError::Interrupted)?;
        }
        Ok(visit)
    }

    /// The door's actions by the table's own rule.
    ///
    /// # Errors
    /// [`EvaluateError::Setup`].
    pub fn judged(&self, table: &Table, setup: &Setup) -> Result<Participant, EvaluateError> {
        let watched = self.stand_at_the_door(setup, |_| None)?;
        let mut frames = Frames { passed_over: self.passed_over, repeated: self.repeated, ..Frames::default() };
        self.sightings().for_each(|(sighting, _)| count(&mut frames, sighting, self.enrolled));
        Ok(judge(&self.name, &self.about, table, self.enrolled, &watched.decisions, watched.released, frames))
    }

    /// The outcome of the visit if `passes` decides whether scores name a person.
    ///
    /// # Errors
    /// [`EvaluateError::Setup`].
    pub fn outcome(
        &self,
        table: &Table,
        setup: &Setup,
        passes: impl Fn(&Asked) -> bool,
    ) -> Result<Outcome, EvaluateError> {
        let opinion = |scores: &Scores| {
            let best = table.people().get(scores.best as usize).filter(|_| passes(&Asked::of(scores, table)));
            Some(best.map_or(Opinion::Stranger { scores: *scores }, |person| Opinion::Known {
                person: person.id,
                scores: *scores,
            }))
        };
        Ok(outcome(self.enrolled, &self.stand_at_the_door(setup, opinion)?.decisions))
    }

    /// Every comparison, in order.
    pub fn trials<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = Trial> + 'a {
        self.sightings().filter_map(|(sighting, light)| {
            let seen = sighting.seen.first()?;
            let scores = *seen.opinion.as_ref()?.scores();
            let best = table.people().get(scores.best as usize).map(|person| person.id);
            let mated = match self.enrolled {
                None => Mated::Not,
                enrolled if enrolled == best => Mated::First,
                Some(_) => Mated::Behind,
            };
            let conditions =
                Conditions { yaw: seen.quality.turn * 90.0, inter_ocular_px: seen.quality.inter_ocular_px, light };
            Some(Trial { mated, asked: Asked::of(&scores, table), conditions })
        })
    }

    /// The sighting of each analysed frame, and the light on the largest face.
    fn sightings(&self) -> impl Iterator<Item = (&Sighting, f32)> {
        self.moments.iter().filter_map(|moment| match moment {
            Moment::Look { sighting, light, .. } => Some((sighting.as_ref(), *light)),
            Moment::Flaw { .. } => None,
        })
    }

    /// Runs the door controller, as at a closed door with intact hardware; `opinion` replaces the opinion on a face
    /// where it has one.
    fn stand_at_the_door(
        &self,
        setup: &Setup,
        opinion: impl Fn(&Scores) -> Option<Opinion>,
    ) -> Result<Watched, EvaluateError> {
        let refused = |error: ControllerError| EvaluateError::Setup(error.to_string());
        let mut door = Controller::new(&setup.controller, Names::default(), 0, Uptime::ZERO).map_err(refused)?;
        let mut watched = Watched::default();
        controller::carry_out(&mut door, Input::Start(RelayReading::NoFeedback), Uptime::ZERO, &mut watched);
        controller::carry_out(&mut door, Input::Ready, Uptime::ZERO, &mut watched);
        let mut now = Uptime::ZERO;
        for moment in &self.moments {
            let at = match moment {
                Moment::Look { done, .. } => *done,
                Moment::Flaw { at, .. } => *at,
            };
            controller::pass_time(&mut door, now, at, &mut watched);
            now = now.max(at);
            match moment {
                Moment::Flaw { change, .. } => controller::carry_out(&mut door, change.input(), now, &mut watched),
                Moment::Look { sighting, .. } => {
                    let mut sighting = Sighting::clone(sighting);
                    for held in sighting.seen.iter_mut().filter_map(|seen| seen.opinion.as_mut()) {
                        if let Some(other) = opinion(held.scores()) {
                            *held = other;
                        }
                    }
                    controller::carry_out(&mut door, Input::Sighting(&sighting), now, &mut watched);
                }
            }
        }
        Ok(watched)
    }
}

/// A door whose hardware does what it is told, with a record of events.
#[derive(Debug, Default)]
struct Watched {
    decisions: Vec<Decision>,
    /// When the strike was first released.
    released: Option<Uptime>,
}

impl Peripherals for Watched {
    fn set_strike(&mut self, strike: Strike, now: Uptime) -> bool {
        if strike == Strike::Released {
            self.released.get_or_insert(now);
        }
        true
    }

    fn read_relay(&mut self, _: Uptime) -> RelayReading {
        RelayReading::NoFeedback
    }

    fn show(&mut self, _: &Screen, _: Uptime) -> bool {
        true
    }

    fn log(&mut self, event: &Event, _: Uptime) -> bool {
        if let Event::Decision(decision) = event {
            self.decisions.push(*decision);
        }
        true
    }
}

/// Mean ITU-R BT.601 luma of the part of an RGB8 frame that lies in the box, 0..=1.
fn mean_luma(pixels: &[u8], info: FrameInfo, bbox: Rect) -> f32 {
    let (width, height) = (info.width as usize, info.height as usize);
    let (x1, x2) = (bbox.x1.max(0.0) as usize, (bbox.x2.max(0.0) as usize).min(width));
    let (y1, y2) = (bbox.y1.max(0.0) as usize, (bbox.y2.max(0.0) as usize).min(height));
    if x1 >= x2 || y1 >= y2 {
        return 0.0;
    }
    let luma = |p: &[u8]| u64::from(p[0]) * 77 + u64::from(p[1]) * 150 + u64::from(p[2]) * 29;
    let line = |y: usize| pixels[(y * width + x1) * 3..(y * width + x2) * 3].chunks_exact(3).map(luma).sum::<u64>();
    let sum: u64 = (y1..y2).map(line).sum();
    (sum as f64 / (256.0 * 255.0) / ((x2 - x1) * (y2 - y1)) as f64) as f32
}

pub(super) fn row_of(table: &Table, about: &About) -> Option<PersonId> {
    let name = about.person.as_ref()?;
    table.people().iter().find(|person| person.name == *name).map(|person| person.id)
}

fn count(frames: &mut Frames, sighting: &Sighting, enrolled: Option<PersonId>) {
    frames.looked_at += 1;
    // The largest face comes first, and the participant is the person who stands nearest.
    let Some(seen) = sighting.seen.first() else { return };
    frames.with_face += 1;
    let Some(opinion) = &seen.opinion else { return };
    frames.compared += 1;
    match opinion.person() {
        Some(person) if Some(person) == enrolled => frames.right += 1,
        Some(_) => frames.wrong += 1,
        None => {}
    }
}

pub(super) fn judge(
    recording: &str,
    about: &About,
    table: &Table,
    enrolled: Option<PersonId>,
    decisions: &[Decision],
    released: Option<Uptime>,
    frames: Frames,
) -> Participant {
    let (wrong, right) = wrong_and_right(enrolled, decisions);
    let decisive = wrong.or(right).or(decisions.first());
    let named = wrong.or(right).and_then(|decision| match decision.verdict {
        Verdict::Known(id) => Some(table.person(id).map_or_else(|| format!("person {}", id.0), |p| p.name.clone())),
        Verdict::Stranger => None,
    });
    Participant {
        recording: recording.to_owned(),
        label: if about.label.is_empty() { recording.to_owned() } else { about.label.clone() },
        person: about.person.clone(),
        mated: enrolled.is_some(),
        outcome: outcome(enrolled, decisions),
        named,
        verdict_ms: decisive.map(|decision| milliseconds(decision.decided.since(decision.first_sharp))),
        released_ms: released.map(|at| milliseconds(at.since(Uptime::ZERO))),
        frames,
    }
}

fn outcome(enrolled: Option<PersonId>, decisions: &[Decision]) -> Outcome {
    match (enrolled.is_some(), wrong_and_right(enrolled, decisions)) {
        (true, (Some(_), _)) => Outcome::Misnamed,
        (true, (None, Some(_))) => Outcome::NamedRight,
        (true, (None, None)) => Outcome::NotNamed,
        (false, (Some(_), _)) => Outcome::Accepted,
        (false, (None, _)) => Outcome::Rejected,
    }
}

/// The first decision that names somebody else, and the first that names the right person.
fn wrong_and_right(enrolled: Option<PersonId>, decisions: &[Decision]) -> (Option<&Decision>, Option<&Decision>) {
    let known = |decision: &&Decision| matches!(decision.verdict, Verdict::Known(_));
    let wrong = decisions.iter().filter(known).find(|decision| !names(decision, enrolled));
    (wrong, decisions.iter().find(|decision| names(decision, enrolled)))
}

fn names(decision: &Decision, enrolled: Option<PersonId>) -> bool {
    matches!((decision.verdict, enrolled), (Verdict::Known(id), Some(person)) if id == person)
}
