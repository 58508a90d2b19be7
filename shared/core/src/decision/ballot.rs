//! The votes of one track: where its face was, how the votes stand, what was already said of it.

use core::time::Duration;

use heapless::Vec;

use super::{Decision, MAX_WINDOW, Progress, Seen, Verdict, VoteSettings};
use crate::geometry::Rect;
use crate::quality::QualityFlaw;
use crate::table::{Opinion, PersonId};
use crate::time::Uptime;
use crate::track::TrackId;

/// Most people that one track can turn out to be; after that it is not believed any more.
const MAX_IDENTITIES: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Vote {
    person: Option<PersonId>,
    captured: Uptime,
}

/// The votes of one track.
#[derive(Clone, Debug)]
pub(super) struct Ballot {
    track: TrackId,
    bbox: Rect,
    last_seen: Uptime,
    first_sharp: Option<Uptime>,
    flaw: Option<QualityFlaw>,
    /// Oldest first.
    votes: Vec<Vote, MAX_WINDOW>,
    /// Votes since the last verdict, or since one that confirmed it.
    undecided: u8,
    verdict: Option<Verdict>,
    /// Who was named in a decision; nobody is named twice.
    named: Vec<PersonId, MAX_IDENTITIES>,
}

impl Ballot {
    pub(super) fn new(track: TrackId, captured: Uptime, bbox: Rect) -> Self {
        Self {
            track,
            bbox,
            last_seen: captured,
            first_sharp: None,
            flaw: None,
            votes: Vec::new(),
            undecided: 0,
            verdict: None,
            named: Vec::new(),
        }
    }

    pub(super) fn track(&self) -> TrackId {
        self.track
    }

    pub(super) fn last_seen(&self) -> Uptime {
        self.last_seen
    }

    pub(super) fn gone(&self, now: Uptime, lasts: Duration) -> bool {
        now.since(self.last_seen) > lasts
    }

    pub(super) fn progress(&self, now: Uptime, settings: &VoteSettings) -> Progress {
        let alive = |vote: &&Vote| now.since(vote.captured) <= settings.vote_lifetime;
        let votes_for = |person| self.votes.iter().filter(alive).filter(|v| v.person == Some(person)).count();
        let most = self.votes.iter().filter_map(|v| v.person).map(votes_for).max().unwrap_or(0);
        Progress {
            track: self.track,
            bbox: self.bbox,
            votes: u8::try_from(most).unwrap_or(u8::MAX).min(settings.needed),
            needed: settings.needed,
            flaw: self.flaw,
            verdict: self.verdict,
        }
    }

    /// Takes the face that belongs to this track in the newest frame.
    pub(super) fn observe(
        &mut self,
        seen: &Seen,
        captured: Uptime,
        now: Uptime,
        settings: &VoteSettings,
    ) -> Option<Decision> {
        self.bbox = seen.face.bbox;
        self.last_seen = captured;
        self.flaw = seen.flaw;
        let opinion = seen.opinion?;
        self.first_sharp.get_or_insert(captured);
        self.vote(Vote { person: opinion.person(), captured }, now, settings);
        let verdict = self.conclude(&opinion, settings)?;
        Some(Decision {
            track: self.track,
            verdict,
            bbox: self.bbox,
            first_sharp: self.first_sharp.unwrap_or(captured),
            captured,
            decided: now,
            scores: *opinion.scores(),
        })
    }

    fn vote(&mut self, vote: Vote, now: Uptime, settings: &VoteSettings) {
        self.votes.retain(|old| now.since(old.captured) <= settings.vote_lifetime);
        while self.votes.len() >= usize::from(settings.window) {
            self.votes.remove(0);
        }
        // There is room: the window is at most as long as the vector.
        self.votes.push(vote).ok();
        self.undecided = self.undecided.saturating_add(1);
        self.restart_if_switched();
    }

    /// Two votes in a row for one person while somebody else has as many: another face stands there now, and what was
    /// seen before does not speak for it. A single vote out of line restarts nothing.
    fn restart_if_switched(&mut self) {
        let [before @ .., last_but_one, last] = self.votes.as_slice() else { return };
        let Some(person) = last.person.filter(|_| last.person == last_but_one.person) else { return };
        if self.outnumbers_all(person) {
            return;
        }
        let before = before.len();
        self.first_sharp = Some(last_but_one.captured);
        self.undecided = 2;
        self.votes.rotate_left(before);
        self.votes.truncate(2);
    }

    /// What the votes say now, if it is to be said.
    fn conclude(&mut self, newest: &Opinion, settings: &VoteSettings) -> Option<Verdict> {
        if let Some(person) = newest.person() {
            if self.leads(person, settings) {
                return self.recognise(person);
            }
            if self.verdict == Some(Verdict::Known(person)) {
                self.undecided = 0;
            }
        }
        let refused = self.undecided >= settings.refuse_after;
        if refused && self.verdict != Some(Verdict::Stranger) {
            self.undecided = 0;
            self.verdict = Some(Verdict::Stranger);
            return self.verdict;
        }
        None
    }

    /// Has `needed` votes, and nobody else has as many.
    fn leads(&self, person: PersonId, settings: &VoteSettings) -> bool {
        self.votes_for(person) >= usize::from(settings.needed) && self.outnumbers_all(person)
    }

    fn outnumbers_all(&self, person: PersonId) -> bool {
        let votes = self.votes_for(person);
        let others = self.votes.iter().filter_map(|vote| vote.person).filter(|who| *who != person);
        others.map(|other| self.votes_for(other)).all(|n| n < votes)
    }

    fn votes_for(&self, person: PersonId) -> usize {
        self.votes.iter().filter(|vote| vote.person == Some(person)).count()
    }

    fn recognise(&mut self, person: PersonId) -> Option<Verdict> {
        let named_before = self.named.contains(&person);
        if !named_before && self.named.push(person).is_err() {
            return None;
        }
        self.undecided = 0;
        self.verdict = Some(Verdict::Known(person));
        self.verdict.filter(|_| !named_before)
    }
}
