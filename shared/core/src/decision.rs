//! Sightings (what each frame shows) → decisions (who stands there, said once per track).
//!
//! Faces are followed from frame to frame as tracks. An opinion of one frame is a vote; a verdict needs
//! [`VoteSettings::needed`] of the last [`VoteSettings::window`] votes of one track. Only fresh sightings count, each
//! capture time once.

mod track;

use core::time::Duration;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::detect::Face;
use crate::geometry::Rect;
use crate::quality::{Quality, QualityFlaw};
use crate::table::{Opinion, PersonId, Scores};
use crate::time::Uptime;
use crate::track::{MAX_SEEN, Nearness, follow};

use track::Track;

/// Largest vote window.
pub const MAX_WINDOW: usize = 16;

/// One face of one frame.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Seen {
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
    /// A face that was not seen for longer is gone: > 0.
    pub track_gap: Duration,
    /// Overlap from one frame to the next that makes two boxes one track: 0 < `min_iou` ≤ 1.
    pub min_iou: f32,
    /// Boxes that overlap less are one track if their centres are nearer than this many box sizes: ≥ 0.
    pub max_shift: f32,
}

impl Default for VoteSettings {
    /// 4 of 6, a stranger after 12; frames up to 0.5 s old, votes up to 5 s, gaps up to 1 s.
    fn default() -> Self {
        Self {
            needed: 4,
            window: 6,
            refuse_after: 12,
            max_frame_age: Duration::from_millis(500),
            vote_lifetime: Duration::from_secs(5),
            track_gap: Duration::from_secs(1),
            min_iou: 0.3,
            max_shift: 0.5,
        }
    }
}

/// A vote setting outside its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("vote setting {setting} is out of range, wanted {wanted}")]
pub struct VoteSettingsError {
    /// Which one.
    pub setting: &'static str,
    /// Its range.
    pub wanted: &'static str,
}

impl VoteSettings {
    /// When two boxes of neighbouring frames are one track.
    #[must_use]
    pub fn nearness(&self) -> Nearness {
        Nearness { min_iou: self.min_iou, max_shift: self.max_shift }
    }

    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), VoteSettingsError> {
        let rules = [
            (self.window >= 1 && usize::from(self.window) <= MAX_WINDOW, "window", "1 to 16"),
            ((1..=self.window).contains(&self.needed), "needed", "1 to window"),
            (self.refuse_after >= self.window, "refuse_after", "window to 255"),
            (!self.max_frame_age.is_zero(), "max_frame_age", "more than 0"),
            (self.vote_lifetime >= self.max_frame_age, "vote_lifetime", "max_frame_age or more"),
            (!self.track_gap.is_zero(), "track_gap", "more than 0"),
            (self.min_iou > 0.0 && self.min_iou <= 1.0, "min_iou", "more than 0, at most 1"),
            (self.max_shift >= 0.0 && self.max_shift.is_finite(), "max_shift", "0 or more"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, wanted)) => Err(VoteSettingsError { setting, wanted }),
            None => Ok(()),
        }
    }
}

/// A face that is followed from frame to frame; a number is never given twice by one [`Decider`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackId(pub u32);

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
    /// The track.
    pub track: TrackId,
    /// Who it is.
    pub verdict: Verdict,
    /// Where the face was last, in frame pixels.
    pub bbox: Rect,
    /// Capture time of the first frame in which this face passed the quality gate.
    pub first_sharp: Uptime,
    /// Capture time of the frame whose vote decided.
    pub captured: Uptime,
    /// When it was decided.
    pub decided: Uptime,
    /// Scores of the vote that decided.
    pub scores: Scores,
}

/// How far a track has come; for the display.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The track.
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

/// Follows faces, counts votes, decides.
#[derive(Clone, Debug)]
pub struct Decider {
    settings: VoteSettings,
    tracks: Vec<Track, MAX_SEEN>,
    /// Number of the next track; `None` after the last number was given: then nobody is followed any more.
    next: Option<u32>,
    newest: Option<Uptime>,
    now: Uptime,
}

impl Decider {
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(settings: VoteSettings) -> Result<Self, VoteSettingsError> {
        settings.check()?;
        Ok(Self { settings, tracks: Vec::new(), next: Some(0), newest: None, now: Uptime::ZERO })
    }

    /// The settings.
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
        let before: Vec<(TrackId, Rect), MAX_SEEN> =
            self.tracks.iter().map(|track| (track.id(), track.bbox())).collect();
        let boxes: Vec<Rect, MAX_SEEN> = before.iter().map(|(_, bbox)| *bbox).collect();
        let after: Vec<Rect, MAX_SEEN> = sighting.seen.iter().map(|seen| seen.face.bbox).collect();
        let followed = follow::<MAX_SEEN>(&boxes, &after, settings.nearness());
        for (seen, from) in sighting.seen.iter().zip(followed) {
            let track = from.map(|from| before[from].0);
            let Some(track) = self.track_for(seen, track, captured) else { continue };
            if let Some(decision) = track.observe(seen, captured, now, &settings) {
                // As many decisions as faces at most, so there is room.
                decisions.push(decision).ok();
            }
        }
        decisions
    }

    /// Every face that is followed at `now`, the largest (so the nearest) first.
    #[must_use]
    pub fn progress(&self, now: Uptime) -> Vec<Progress, MAX_SEEN> {
        let alive = self.tracks.iter().filter(|track| !track.gone(now, &self.settings));
        let mut progress: Vec<Progress, MAX_SEEN> = alive.map(|track| track.progress(now, &self.settings)).collect();
        progress.sort_unstable_by(|a, b| b.bbox.area().total_cmp(&a.bbox.area()).then(a.track.cmp(&b.track)));
        progress
    }

    /// Ends the tracks that were not seen for too long. A clock that steps back ends them all: what their times mean
    /// is no longer known.
    fn expire(&mut self, now: Uptime) {
        if now < self.now {
            self.tracks.clear();
            self.newest = None;
        }
        self.now = now;
        let settings = self.settings;
        self.tracks.retain(|track| !track.gone(now, &settings));
    }

    /// The track of a face: the one it was assigned to, or a new one in place of the longest unseen.
    fn track_for(&mut self, seen: &Seen, assigned: Option<TrackId>, captured: Uptime) -> Option<&mut Track> {
        if let Some(id) = assigned {
            return self.tracks.iter_mut().find(|track| track.id() == id);
        }
        if !seen.face.bbox.is_finite() {
            return None;
        }
        let id = self.next?;
        if self.tracks.is_full() {
            let unseen = (0..self.tracks.len()).min_by_key(|&t| self.tracks[t].last_seen())?;
            self.tracks.swap_remove(unseen);
        }
        self.next = id.checked_add(1);
        self.tracks.push(Track::new(TrackId(id), captured, seen.face.bbox)).ok()?;
        self.tracks.last_mut()
    }
}
