//! Boxes of one frame, boxes of the next → which face goes on as which track.
//!
//! One tracker serves everything that follows faces: embeddings are aggregated over a track, and votes are counted
//! over a track.

use core::time::Duration;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::geometry::Rect;
use crate::time::Uptime;

/// Most faces of one frame that are looked at, and most tracks at once.
pub const MAX_SEEN: usize = 8;
/// A face does not grow or shrink by more than this factor from one frame to the next.
const MAX_GROWTH: f32 = 2.0;

/// When two boxes are of one face.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrackSettings {
    /// A face that was not seen for longer is gone: > 0.
    pub gap: Duration,
    /// Overlap (intersection over union) from one frame to the next that is enough: 0 < `min_iou` ≤ 1.
    pub min_iou: f32,
    /// Boxes that overlap less are one face if their centres are nearer than this many box sizes: ≥ 0.
    pub max_shift: f32,
}

impl Default for TrackSettings {
    /// Gaps up to 0.5 s; an overlap of 0.3, or half a box size apart.
    fn default() -> Self {
        Self { gap: Duration::from_millis(500), min_iou: 0.3, max_shift: 0.5 }
    }
}

/// A track setting outside its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("track setting {setting} is out of range, wanted {wanted}")]
pub struct TrackSettingsError {
    /// Name of the setting that is out of range.
    pub setting: &'static str,
    /// The allowed range, in words.
    pub wanted: &'static str,
}

impl TrackSettings {
    /// Whether all settings are within their ranges.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), TrackSettingsError> {
        let rules = [
            (!self.gap.is_zero(), "gap", "more than 0"),
            (self.min_iou > 0.0 && self.min_iou <= 1.0, "min_iou", "more than 0, at most 1"),
            (self.max_shift >= 0.0 && self.max_shift.is_finite(), "max_shift", "0 or more"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, wanted)) => Err(TrackSettingsError { setting, wanted }),
            None => Ok(()),
        }
    }
}

/// A face that is followed from frame to frame. One [`Tracker`] gives a number once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackId(pub u32);

/// Follows faces from frame to frame.
#[derive(Clone, Debug)]
pub struct Tracker {
    settings: TrackSettings,
    tracks: Vec<Track, MAX_SEEN>,
    /// Number of the next track; `None` after the last number was given: then nobody is followed any more.
    next: Option<u32>,
    newest: Uptime,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    id: TrackId,
    bbox: Rect,
    last_seen: Uptime,
}

impl Tracker {
    /// Follows nobody yet.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn new(settings: TrackSettings) -> Result<Self, TrackSettingsError> {
        settings.check()?;
        Ok(Self { settings, tracks: Vec::new(), next: Some(0), newest: Uptime::ZERO })
    }

    /// Takes the boxes of the next frame, in frame pixels, at most [`MAX_SEEN`] → the track of each, in their order.
    ///
    /// `None`: the box is not finite, or there are no numbers left. A clock that steps back ends every track: what
    /// their times mean is no longer known.
    pub fn on_faces(&mut self, captured: Uptime, boxes: &[Rect]) -> Vec<Option<TrackId>, MAX_SEEN> {
        if captured < self.newest {
            self.tracks.clear();
        }
        self.newest = captured;
        let gap = self.settings.gap;
        self.tracks.retain(|track| captured.since(track.last_seen) <= gap);
        let before: Vec<Track, MAX_SEEN> = self.tracks.clone();
        let followed = follow(&before, boxes, &self.settings);
        // Those that go on first: a new track must not take the place of one that is in this very frame.
        let mut tracks: Vec<Option<TrackId>, MAX_SEEN> = Vec::new();
        for (bbox, from) in boxes.iter().zip(&followed) {
            // As many as boxes that are looked at, so there is room.
            let _ = tracks.push(from.and_then(|from| self.go_on(before[from].id, *bbox)));
        }
        for (at, bbox) in boxes.iter().enumerate().take(tracks.len()) {
            if followed[at].is_none() {
                tracks[at] = self.begin(*bbox, &tracks);
            }
        }
        tracks
    }

    /// The tracks that go on, in no order.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> + Clone {
        self.tracks.iter().map(|track| track.id)
    }

    fn go_on(&mut self, id: TrackId, bbox: Rect) -> Option<TrackId> {
        let track = self.tracks.iter_mut().find(|track| track.id == id)?;
        (track.bbox, track.last_seen) = (bbox, self.newest);
        Some(id)
    }

    /// A new track, where there is no room in place of the longest unseen of those that are not in this frame.
    fn begin(&mut self, bbox: Rect, here: &[Option<TrackId>]) -> Option<TrackId> {
        if !bbox.is_finite() {
            return None;
        }
        let number = self.next?;
        if self.tracks.is_full() {
            let elsewhere = (0..self.tracks.len()).filter(|&track| !here.contains(&Some(self.tracks[track].id)));
            let unseen = elsewhere.min_by_key(|&track| self.tracks[track].last_seen)?;
            self.tracks.swap_remove(unseen);
        }
        self.next = number.checked_add(1);
        let id = TrackId(number);
        self.tracks.push(Track { id, bbox, last_seen: self.newest }).ok()?;
        Some(id)
    }
}

/// For each box of `after`, the index in `before` that it continues, greedily: the best pair first. `None`: a new face.
fn follow(before: &[Track], after: &[Rect], settings: &TrackSettings) -> Vec<Option<usize>, MAX_SEEN> {
    let mut assigned: Vec<Option<usize>, MAX_SEEN> = after.iter().take(MAX_SEEN).map(|_| None).collect();
    loop {
        let mut best: Option<(f32, usize, usize)> = None;
        for (from, old) in before.iter().enumerate().filter(|(from, _)| !assigned.contains(&Some(*from))) {
            for (to, new) in after.iter().enumerate().take(MAX_SEEN).filter(|(to, _)| assigned[*to].is_none()) {
                let Some(affinity) = affinity(&old.bbox, new, settings) else { continue };
                if best.is_none_or(|(most, ..)| affinity > most) {
                    best = Some((affinity, to, from));
                }
            }
        }
        let Some((_, to, from)) = best else { return assigned };
        assigned[to] = Some(from);
    }
}

/// How well two boxes of neighbouring frames go together: overlapping ones above 1, merely near ones below.
fn affinity(before: &Rect, after: &Rect, settings: &TrackSettings) -> Option<f32> {
    if !before.is_finite() || !after.is_finite() {
        return None;
    }
    let iou = before.iou(after);
    if iou >= settings.min_iou {
        return Some(1.0 + iou);
    }
    let side = |rect: &Rect| (rect.width() + rect.height()) / 2.0;
    let (smaller, larger) = (side(before).min(side(after)), side(before).max(side(after)));
    let shift = before.centre().distance(after.centre()) / smaller;
    let near = larger <= smaller * MAX_GROWTH && shift <= settings.max_shift;
    near.then(|| 1.0 / (1.0 + shift))
}
