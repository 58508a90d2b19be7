//! Sightings (what each frame shows) → decisions (who stands there, said once per track).
//!
//! Each face comes with the track that it belongs to. An opinion of one frame is a vote; a verdict needs
//! [`VoteSettings::needed`] of the last [`VoteSettings::window`] votes of one track. Only fresh sightings count, each
//! capture time once.

mod ballot;

use core::time::Duration;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::detect::Face;
use crate::geometry::Rect;
use crate::quality::{Quality, QualityFlaw};
use crate::table::{Opinion, PersonId, Scores};
use crate::time::Uptime;
use crate::track::{MAX_SEEN, TrackId, TrackSettings, TrackSettingsError};

use ballot::Ballot;

/// Largest vote window.
pub const MAX_WINDOW: usize = 16;

/// One face of one frame.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Which face it is over time.
    pub track: TrackId,
    /// Where it is, in frame pixels.
    pub face: Face,
    /// How good the picture of it is.
    pub quality: Quality,
    /// `None`: the quality gate said no.
    pub opinion: Option<Opinion>,
    /// What the quality gate said no to.
    pub flaw: Option<QualityFlaw>,
}

/// The result of one frame.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Sighting {
    /// When the camera took the frame.
    pub captured: Uptime,
    /// The faces, best first.
    pub seen: Vec<Seen, MAX_SEEN>,
}

/// When votes become a verdict.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct VoteSettings {
    /// Votes for one person that make a verdict: 1..=`window`.
    pub needed: u8,
    /// How many of the last votes are looked at: 1..=[`MAX_WINDOW`].
    pub window: u8,
    /// Votes without a verdict after which somebody is a stranger, ≥ `window`.
    pub refuse_after: u8,
    /// Older frames are not looked at: > 0.
    pub max_frame_age: Duration,
    /// Older votes no longer count: ≥ `max_frame_age`.
    pub vote_lifetime: Duration,
}

impl Default for VoteSettings {
    /// 4 of 6, a stranger after 12; frames up to 0.5 s old, votes up to 5 s.
    fn default() -> Self {
        Self {
            needed: 4,
            window: 6,
            refuse_after: 12,
            max_frame_age: Duration::from_millis(500),
            vote_lifetime: Duration::from_secs(5),
        }
    }
}

/// A vote setting outside its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("vote setting {setting} is out of range, wanted {wanted}")]
pub struct VoteSettingsError {
    /// Name of the setting that is out of range.
    pub setting: &'static str,
    /// The allowed range, in words.
    pub wanted: &'static str,
}

impl VoteSettings {
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), VoteSettingsError> {
        let rules = [
            (self.window >= 1 && usize::from(self.window) <= MAX_WINDOW, "window", "1 to 16"),
            ((1..=self.window).contains(&self.needed), "needed", "1 to window"),
            (self.refuse_after >= self.window, "refuse_after", "window to 255"),
            (!self.max_frame_age.is_zero(), "max_frame_age", "more than 0"),
            (self.vote_lifetime >= self.max_frame_age, "vote_lifetime", "max_frame_age or more"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, wanted)) => Err(VoteSettingsError { setting, wanted }),
            None => Ok(()),
        }
    }
}

/// Who stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// An enrolled person.
    Known(PersonId),
    /// Nobody who is enrolled.
    Stranger,
}

/// A verdict over a track.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The track that the verdict is about.
    pub track: TrackId,
    /// A person of the table, or a stranger.
    pub verdict: Verdict,
    /// Where the face was last, in frame pixels.
    pub bbox: Rect,
    /// Capture time of the first frame in which this face passed the quality gate.
    pub first_sharp: Uptime,
    /// Capture time of the frame whose vote decided.
    pub captured: Uptime,
    /// When the last vote was counted.
    pub decided: Uptime,
    /// Scores of the vote that decided.
    pub scores: Scores,
}

/// How far a track has come; for the display.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The track that the verdict is about.
    pub track: TrackId,
    /// Where the face was last, in frame pixels.
    pub bbox: Rect,
    /// Most votes that one person has; at most `needed`.
    pub votes: u8,
    /// Votes that make a verdict.
    pub needed: u8,
    /// What is wrong with the newest picture of the face.
    pub flaw: Option<QualityFlaw>,
    /// What was decided last.
    pub verdict: Option<Verdict>,
}

/// A setting of the decision outside its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeciderError {
    /// A setting of the votes is out of range.
    #[error(transparent)]
    Vote(#[from] VoteSettingsError),
    /// A setting of the tracks is out of range.
    #[error(transparent)]
    Track(#[from] TrackSettingsError),
}

/// Counts the votes of each track, and decides.
#[derive(Clone, Debug)]
pub struct Decider {
    settings: VoteSettings,
    /// How long after a face was captured another frame of its track may still be decided on: the tracker's gap, and
    /// the greatest age of a frame.
    lasts: Duration,
    ballots: Vec<Ballot, MAX_SEEN>,
    newest: Option<Uptime>,
    now: Uptime,
}

impl Decider {
    /// Nobody was seen yet. `tracks` are the settings of the tracker whose tracks the sightings name.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(settings: VoteSettings, tracks: TrackSettings) -> Result<Self, DeciderError> {
        settings.check()?;
        tracks.check()?;
        let lasts = tracks.gap.saturating_add(settings.max_frame_age);
        Ok(Self { settings, lasts, ballots: Vec::new(), newest: None, now: Uptime::ZERO })
    }

    /// The settings of the votes.
    #[must_use]
    pub fn settings(&self) -> &VoteSettings {
        &self.settings
    }

    /// Takes the result of one frame. A sighting that is too old, from the future, or not newer than the one before
    /// says nothing: it neither votes nor keeps a track alive.
    pub fn on_sighting(&mut self, sighting: &Sighting, now: Uptime) -> Vec<Decision, MAX_SEEN> {
        self.expire(now);
        let mut decisions = Vec::new();
        let captured = sighting.captured;
        let fresh = captured <= now && now.since(captured) <= self.settings.max_frame_age;
        if !fresh || self.newest.is_some_and(|newest| captured <= newest) {
            return decisions;
        }
        self.newest = Some(captured);
        let settings = self.settings;
        for seen in sighting.seen.iter().filter(|seen| seen.face.bbox.is_finite()) {
            let Some(ballot) = self.ballot_for(seen, sighting) else { continue };
            if let Some(decision) = ballot.observe(seen, captured, now, &settings) {
                // As many decisions as faces at most, so there is room.
                decisions.push(decision).ok();
            }
        }
        decisions
    }

    /// Every face that is followed at `now`, the largest (so the nearest) first.
    #[must_use]
    pub fn progress(&self, now: Uptime) -> Vec<Progress, MAX_SEEN> {
        let alive = self.ballots.iter().filter(|ballot| !ballot.gone(now, self.lasts));
        let mut progress: Vec<Progress, MAX_SEEN> = alive.map(|ballot| ballot.progress(now, &self.settings)).collect();
        progress.sort_unstable_by(|a, b| b.bbox.area().total_cmp(&a.bbox.area()).then(a.track.cmp(&b.track)));
        progress
    }

    /// Drops the votes of faces that were not seen for too long. A clock that steps back drops them all: what their
    /// times mean is no longer known.
    fn expire(&mut self, now: Uptime) {
        if now < self.now {
            self.ballots.clear();
            self.newest = None;
        }
        self.now = now;
        let lasts = self.lasts;
        self.ballots.retain(|ballot| !ballot.gone(now, lasts));
    }

    /// The votes of a face's track; where there is no room, in place of the track that was unseen the longest.
    fn ballot_for(&mut self, seen: &Seen, sighting: &Sighting) -> Option<&mut Ballot> {
        if let Some(at) = self.ballots.iter().position(|ballot| ballot.track() == seen.track) {
            return self.ballots.get_mut(at);
        }
        if self.ballots.is_full() {
            let here = |at: &usize| sighting.seen.iter().any(|seen| seen.track == self.ballots[*at].track());
            let elsewhere = (0..self.ballots.len()).filter(|at| !here(at));
            let unseen = elsewhere.min_by_key(|&at| self.ballots[at].last_seen())?;
            self.ballots.swap_remove(unseen);
        }
        self.ballots.push(Ballot::new(seen.track, sighting.captured, seen.face.bbox)).ok()?;
        self.ballots.last_mut()
    }
}
