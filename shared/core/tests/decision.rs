//! Votes over tracks: by example, and for any sequence of sightings.

use std::collections::BTreeSet;
use std::time::Duration;

use lintel_core::decision::{Decider, DeciderError, Decision, Seen, Sighting, Verdict, VoteSettings};
use lintel_core::detect::Face;
use lintel_core::embed::Similarity;
use lintel_core::geometry::{Point, Rect};
use lintel_core::quality::{Quality, QualityFlaw};
use lintel_core::table::{Opinion, PersonId, Scores};
use lintel_core::time::Uptime;
use lintel_core::track::{MAX_SEEN, TrackId, TrackSettings, Tracker};
use proptest::collection::vec;
use proptest::prelude::*;

/// One frame of 100 ms: what each face says, one character per face, left to right.
///
/// `A` to `Z`: that person; `.`: a stranger; `~`: the quality gate says no; space: nobody at that place.
type Frames<'a> = &'a [&'a str];

const FRAME: u64 = 100;

fn scores(similarity: f32) -> Scores {
    let similarity = Similarity::new(similarity).expect("a cosine");
    Scores { best: 0, similarity, margin: 0.1, confidence: 0.5 }
}

fn face(x: f32, y: f32, side: f32) -> Face {
    let bbox = Rect::new(x, y, x + side, y + side);
    Face { bbox, score: 0.9, landmarks: [Point::new(x, y); 5] }
}

fn seen(what: char, face: Face) -> Option<Seen> {
    let quality = Quality { inter_ocular_px: 60.0, turn: 0.0, tilt: 0.0, sharpness: 1.0 };
    let (opinion, flaw) = match what {
        ' ' => return None,
        '.' => (Some(Opinion::Stranger { scores: scores(0.2) }), None),
        '~' => (None, Some(QualityFlaw::TooSmall { got: 1.0, wanted: 20.0 })),
        person => (Some(Opinion::Known { person: id(person), scores: scores(0.8) }), None),
    };
    Some(Seen { track: TrackId(0), face, quality, opinion, flaw })
}

fn id(person: char) -> PersonId {
    PersonId(person as u32)
}

fn name(verdict: Verdict) -> char {
    match verdict {
        Verdict::Known(PersonId(id)) => char::from_u32(id).expect("made from a char"),
        Verdict::Stranger => '.',
    }
}

/// The frame's faces, far from each other; the place of each is its track.
fn sighting(frame: &str, captured: Uptime) -> Sighting {
    let places = frame.chars().zip((0u8..).map(|place| face(f32::from(place) * 300.0, 100.0, 100.0)));
    let tracks = (0..).map(TrackId);
    let seen = places.zip(tracks).filter_map(|((what, face), track)| Some(Seen { track, ..seen(what, face)? }));
    Sighting { captured, seen: seen.collect() }
}

fn decider(settings: VoteSettings) -> Decider {
    Decider::new(settings, TrackSettings::default()).expect("valid settings")
}

/// A decider with the tracker before it, as at the door.
struct Door {
    tracker: Tracker,
    decider: Decider,
}

impl Door {
    fn new(settings: VoteSettings) -> Self {
        let tracker = Tracker::new(TrackSettings::default()).expect("valid settings");
        Self { tracker, decider: decider(settings) }
    }

    fn track(&mut self, mut sighting: Sighting) -> Sighting {
        let boxes: Vec<Rect> = sighting.seen.iter().map(|seen| seen.face.bbox).collect();
        let tracks = self.tracker.on_faces(sighting.captured, &boxes);
        let followed =
            sighting.seen.into_iter().zip(tracks).filter_map(|(seen, track)| Some(Seen { track: track?, ..seen }));
        sighting.seen = followed.collect();
        sighting
    }

    fn on_sighting(&mut self, sighting: Sighting, now: Uptime) -> heapless::Vec<Decision, MAX_SEEN> {
        let sighting = self.track(sighting);
        self.decider.on_sighting(&sighting, now)
    }
}

/// 3 of 4, a stranger after 5.
fn small() -> VoteSettings {
    VoteSettings { needed: 3, window: 4, refuse_after: 5, ..VoteSettings::default() }
}

fn run(settings: VoteSettings, frames: Frames) -> Vec<(usize, Decision)> {
    let mut door = Door::new(settings);
    let at = |frame: usize| Uptime::from_millis(1000 + frame as u64 * FRAME);
    let decide = |(n, frame): (usize, &&str)| {
        let decisions = door.on_sighting(sighting(frame, at(n)), at(n));
        decisions.into_iter().map(move |decision| (n, decision)).collect::<Vec<_>>()
    };
    frames.iter().enumerate().flat_map(decide).collect()
}

/// Frame, track and verdict of every decision.
fn check(frames: Frames, expected: &[(usize, u32, char)]) {
    check_with(small(), frames, expected);
}

fn check_with(settings: VoteSettings, frames: Frames, expected: &[(usize, u32, char)]) {
    let got: Vec<_> = run(settings, frames).iter().map(|(n, d)| (*n, d.track.0, name(d.verdict))).collect();
    assert_eq!(got, expected, "{frames:?}");
}

#[test]
fn k_of_the_last_n_votes_make_a_verdict() {
    check(&["A", "A"], &[]);
    check(&["A", "A", "A"], &[(2, 0, 'A')]);
    check(&["A", "A", ".", "A"], &[(3, 0, 'A')]);
    // The first vote has left the window.
    let patient = VoteSettings { refuse_after: 9, ..small() };
    check_with(patient, &["A", "A", ".", ".", "A"], &[]);
    check_with(patient, &["A", ".", "A", ".", "A", "A"], &[(5, 0, 'A')]);
    check(&["A", "~", "~", "A", "~", "A"], &[(5, 0, 'A')]);
    check(&["~", "~", "~", "~", "~", "~", "~"], &[]);
    check(&[], &[]);
}

#[test]
fn votes_for_somebody_else_do_not_count() {
    check(&["A", "B", "A", "B"], &[]);
    check(&["A", "B", "A", "A"], &[(3, 0, 'A')]);
    check(&["A", "B", "C", "D"], &[]);
    // Two of four each, and two are enough: neither.
    let two = VoteSettings { needed: 2, window: 4, refuse_after: 9, ..VoteSettings::default() };
    check_with(two, &["A", "B", "A"], &[(2, 0, 'A')]);
    check_with(two, &["A", ".", "B", "A"], &[(3, 0, 'A')]);
    check_with(two, &["B", "A", ".", "B"], &[(3, 0, 'B')]);
    check_with(two, &["A", "B", "C", "A"], &[(3, 0, 'A')]);
}

#[test]
fn a_tie_names_nobody() {
    let wide = VoteSettings { needed: 2, window: 6, refuse_after: 9, ..VoteSettings::default() };
    // After B's second vote both have two.
    check_with(wide, &["A", ".", "B", ".", "B"], &[(4, 0, 'B')]);
    check_with(wide, &["B", "A", ".", "A", ".", "B"], &[(3, 0, 'A')]);
    let three = VoteSettings { needed: 3, window: 7, refuse_after: 9, ..VoteSettings::default() };
    check_with(three, &["A", "B", "A", "B", ".", "B", "A"], &[(5, 0, 'B')]);
}

#[test]
fn a_verdict_needs_a_vote_for_that_person_in_the_newest_frame() {
    // When B's vote leaves the window A has the margin, but on that frame nobody was recognised.
    let wide = VoteSettings { needed: 2, window: 4, refuse_after: 9, ..VoteSettings::default() };
    let frames = ["B", "A", "B", "A", ".", ".", "."];
    check_with(wide, &frames, &[(2, 0, 'B')]);
}

#[test]
fn n_votes_without_a_verdict_make_a_stranger() {
    check(&[".", ".", ".", "."], &[]);
    check(&[".", ".", ".", ".", "."], &[(4, 0, '.')]);
    check(&[".", "A", ".", "A", "."], &[(4, 0, '.')]);
    check(&["A", "B", "C", "D", "E"], &[(4, 0, '.')]);
    // Said once; and a stranger may still turn out to be known.
    check(&["."; 30], &[(4, 0, '.')]);
    check(&[".", ".", ".", ".", ".", "A", "A", "A"], &[(4, 0, '.'), (7, 0, 'A')]);
    check(&["~"; 30], &[]);
}

#[test]
fn a_verdict_is_given_once_per_track() {
    check(&["A"; 30], &[(2, 0, 'A')]);
    check(&["A", "A", "A", ".", ".", ".", "A", "A", "A", "A"], &[(2, 0, 'A')]);
    // Five votes for nobody after that: somebody else, who is told so; the person is still not let in again.
    check(&["A", "A", "A", ".", ".", ".", ".", ".", "A", "A", "A", ".", "."], &[(2, 0, 'A'), (7, 0, '.')]);
    // A vote for the person now and then confirms the verdict.
    check(&["A", "A", "A", ".", ".", ".", ".", "A", ".", ".", ".", "."], &[(2, 0, 'A')]);
}

#[test]
fn another_identity_restarts_the_votes() {
    check(&["A", "A", "B", "B", "A", "A", "B", "B"], &[]);
    check(&["A", "A", "B", "B", "B"], &[(4, 0, 'B')]);
    check(&["A", "A", "A", "B", "B", "B"], &[(2, 0, 'A'), (5, 0, 'B')]);
    // Back to the first: not let in twice by one track.
    check(&["A", "A", "A", "B", "B", "B", "A", "A", "A"], &[(2, 0, 'A'), (5, 0, 'B')]);
    // The frames before the switch do not say "stranger" of the new face.
    check(&[".", "A", "A", "B", "B", ".", ".", "B"], &[(7, 0, '.')]);
    // One vote out of line restarts nothing.
    check(&["A", "B", "B", "B"], &[(3, 0, 'B')]);
    check(&["A", "A", "B", "A"], &[(3, 0, 'A')]);
}

#[test]
fn a_track_that_was_many_people_is_not_believed() {
    let frames: Vec<&str> = ["A", "B", "C", "D", "E", "F"].iter().flat_map(|person| [*person; 3]).collect();
    check_with(small(), &frames, &[(2, 0, 'A'), (5, 0, 'B'), (8, 0, 'C'), (11, 0, 'D')]);
}

#[test]
fn a_track_ends_after_a_gap_and_its_number_with_it() {
    // 0.5 s between two sightings is still one track, 0.6 s is not.
    let with_gap = |gap: usize| [&["A", "A"][..], &vec![" "; gap][..], &["A", "A", "A"][..]].concat();
    check(&with_gap(4), &[(6, 0, 'A')]);
    check(&with_gap(5), &[(9, 1, 'A')]);
    let twice = [&["A"; 3][..], &[" "; 5][..], &["A"; 3][..]].concat();
    check(&twice, &[(2, 0, 'A'), (10, 1, 'A')]);
}

#[test]
fn several_faces_have_votes_of_their_own() {
    check(&["AB", "AB", "AB"], &[(2, 0, 'A'), (2, 1, 'B')]);
    check(&["A.", "A.", "A.", "A.", "A."], &[(2, 0, 'A'), (4, 1, '.')]);
    check(&["A ", " A", "A ", " A", "A "], &[(4, 0, 'A')]);
    check(
        &["ABCDEFGH", "ABCDEFGH", "ABCDEFGH"],
        &(0u8..8).map(|n| (2, n.into(), (b'A' + n) as char)).collect::<Vec<_>>(),
    );
}

#[test]
fn votes_follow_the_track_and_not_the_place_in_the_list() {
    // Both old boxes overlap the left new one; the nearer old one gets it, the other takes what is left.
    let mut door = Door::new(small());
    let mut look = |at: u64, faces: &[(char, f32)]| {
        let at = Uptime::from_millis(at);
        let seen = faces.iter().filter_map(|(what, x)| seen(*what, face(*x, 0.0, 100.0))).collect();
        door.on_sighting(Sighting { captured: at, seen }, at)
    };
    for at in [0, 100] {
        assert!(look(at, &[('A', 0.0), ('B', 60.0)]).is_empty());
    }
    let decisions = look(200, &[('B', 52.0), ('A', -8.0)]);
    let got: BTreeSet<_> = decisions.iter().map(|d| (d.track.0, name(d.verdict))).collect();
    assert_eq!(got, BTreeSet::from([(0, 'A'), (1, 'B')]));
}

#[test]
fn only_fresh_frames_count_and_each_of_them_once() {
    let check = |sightings: &[(u64, u64)], expected: usize| {
        let mut decider = decider(small());
        let decide = |(captured, now): &(u64, u64)| {
            decider.on_sighting(&sighting("A", Uptime::from_millis(*captured)), Uptime::from_millis(*now)).len()
        };
        let decisions: usize = sightings.iter().map(decide).sum();
        assert_eq!(decisions, expected, "{sightings:?}");
    };
    check(&[(100, 100), (200, 200), (300, 300)], 1);
    // Exactly as old as allowed; older; from the future.
    check(&[(100, 600), (200, 700), (300, 800)], 1);
    check(&[(100, 600), (200, 700), (300, 801)], 0);
    check(&[(100, 100), (200, 200), (301, 300)], 0);
    // The same frame again and again; frames out of order.
    check(&[(100, 100), (200, 200), (200, 250), (200, 300)], 0);
    check(&[(100, 100), (200, 200), (150, 300)], 0);
    check(&[(100, 100), (200, 200), (150, 300), (250, 300)], 1);
    // A clock that steps back: what was before does not count any more, what comes now does.
    check(&[(5000, 5000), (5100, 5100), (200, 200)], 0);
    check(&[(5000, 5000), (5100, 5100), (200, 200), (300, 300), (400, 400)], 1);
}

#[test]
fn votes_grow_old() {
    let settings = VoteSettings { vote_lifetime: Duration::from_secs(2), ..small() };
    let at = |gap: usize| [&["A", "A"][..], &vec!["~"; gap][..], &["A"][..]].concat();
    check_with(settings, &at(18), &[(20, 0, 'A')]);
    check_with(settings, &at(19), &[]);
}

#[test]
fn stale_frames_keep_no_track_alive() {
    let mut decider = decider(small());
    let at = Uptime::from_millis;
    assert!(decider.on_sighting(&sighting("A", at(0)), at(0)).is_empty());
    assert!(decider.on_sighting(&sighting("A", at(400)), at(950)).is_empty());
    assert_eq!(decider.progress(at(1000)).len(), 1);
    assert!(decider.progress(at(1001)).is_empty());
}

#[test]
fn a_decision_says_where_when_and_how_sure() {
    let check = |frames: Frames, first_sharp: u64, captured: u64, similarity: f32| {
        let decisions = run(small(), frames);
        let [(_, decision)] = decisions.as_slice() else { panic!("one decision, got {decisions:?}") };
        assert_eq!(decision.first_sharp, Uptime::from_millis(first_sharp), "{frames:?}");
        assert_eq!(decision.captured, Uptime::from_millis(captured), "{frames:?}");
        assert_eq!(decision.decided, Uptime::from_millis(captured), "{frames:?}");
        assert_eq!(decision.bbox, Rect::new(0.0, 100.0, 100.0, 200.0));
        assert_eq!(decision.scores.similarity.get(), similarity);
    };
    check(&["A", "A", "A"], 1000, 1200, 0.8);
    check(&["~", "~", "A", "A", "A"], 1200, 1400, 0.8);
    check(&["~", ".", "~", "A", "A", "A"], 1100, 1500, 0.8);
    check(&[".", ".", ".", ".", "."], 1000, 1400, 0.2);
    // The new face's first sharp frame, not the old one's.
    check(&["A", "A", "B", "B", "B"], 1200, 1400, 0.8);
}

#[test]
fn progress_tells_the_display_how_far_it_is() {
    let mut door = Door::new(small());
    let mut look = |frame: &str, at: u64| {
        let at = Uptime::from_millis(at);
        let _ = door.on_sighting(sighting(frame, at), at);
        door.decider
            .progress(at)
            .iter()
            .map(|p| (p.track.0, p.votes, p.verdict.map(name), p.flaw.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(look("~", 0), [(0, 0, None, true)]);
    assert_eq!(look("A", 100), [(0, 1, None, false)]);
    assert_eq!(look("A.", 200), [(0, 2, None, false), (1, 0, None, false)]);
    assert_eq!(look("A.", 300), [(0, 3, Some('A'), false), (1, 0, None, false)]);
    assert_eq!(look("A.", 400), [(0, 3, Some('A'), false), (1, 0, None, false)]);
    assert_eq!(look(" ~", 500), [(0, 3, Some('A'), false), (1, 0, None, true)]);

    let at = Uptime::from_millis(600);
    let near_and_far = [('A', face(0.0, 0.0, 50.0)), ('B', face(400.0, 0.0, 200.0))];
    let seen = near_and_far.into_iter().filter_map(|(what, face)| seen(what, face)).collect();
    let mut fresh = Door::new(small());
    let _ = fresh.on_sighting(Sighting { captured: at, seen }, at);
    let nearest_first: Vec<_> = fresh.decider.progress(at).iter().map(|p| p.track.0).collect();
    assert_eq!(nearest_first, [1, 0]);
}

#[test]
fn a_ninth_face_takes_the_place_of_the_longest_unseen() {
    let mut decider = decider(small());
    let at = Uptime::from_millis;
    let _ = decider.on_sighting(&sighting("ABCDEFGH", at(0)), at(0));
    let _ = decider.on_sighting(&sighting("ABCDEFG", at(100)), at(100));
    let ninth = sighting("        I", at(200));
    assert_eq!(ninth.seen[0].track, TrackId(8));
    let _ = decider.on_sighting(&ninth, at(200));
    let tracks: BTreeSet<_> = decider.progress(at(200)).iter().map(|p| p.track.0).collect();
    assert_eq!(tracks, BTreeSet::from([0, 1, 2, 3, 4, 5, 6, 8]));
}

#[test]
fn refuses_settings_that_cannot_work() {
    let sound = VoteSettings::default();
    let check = |settings: VoteSettings, expected: Result<(), &str>| {
        let got = Decider::new(settings, TrackSettings::default()).map(drop).map_err(|error| match error {
            DeciderError::Vote(error) => error.setting,
            DeciderError::Track(error) => error.setting,
        });
        assert_eq!(got, expected, "{settings:?}");
    };
    check(sound, Ok(()));
    check(VoteSettings { needed: 0, ..sound }, Err("needed"));
    check(VoteSettings { needed: 7, ..sound }, Err("needed"));
    check(VoteSettings { needed: 1, window: 1, refuse_after: 1, ..sound }, Ok(()));
    check(VoteSettings { window: 0, ..sound }, Err("window"));
    check(VoteSettings { window: 16, refuse_after: 16, ..sound }, Ok(()));
    check(VoteSettings { window: 17, refuse_after: 17, ..sound }, Err("window"));
    check(VoteSettings { refuse_after: 5, ..sound }, Err("refuse_after"));
    check(VoteSettings { max_frame_age: Duration::ZERO, ..sound }, Err("max_frame_age"));
    check(VoteSettings { vote_lifetime: Duration::from_millis(499), ..sound }, Err("vote_lifetime"));
    let gap = TrackSettings { gap: Duration::ZERO, ..TrackSettings::default() };
    assert!(matches!(Decider::new(sound, gap), Err(DeciderError::Track(_))));
}

#[derive(Clone, Debug)]
struct Glance {
    step: i64,
    age: i64,
    faces: Vec<(char, f32, f32, f32)>,
}

fn glances() -> impl Strategy<Value = Vec<Glance>> {
    let coordinate = prop_oneof![30 => -50.0f32..900.0, 1 => any::<f32>()];
    let side = prop_oneof![30 => 20.0f32..300.0, 1 => any::<f32>()];
    let what = prop_oneof![4 => Just('A'), 2 => Just('B'), 2 => Just('.'), 1 => Just('~')];
    let faces = vec((what, coordinate.clone(), coordinate, side), 0..=MAX_SEEN);
    let step = prop_oneof![20 => 0i64..300_000, 1 => 0i64..5_000_000, 1 => -5_000_000i64..0];
    let age = prop_oneof![20 => 0i64..300_000, 1 => -300_000i64..2_000_000];
    vec((step, age, faces).prop_map(|(step, age, faces)| Glance { step, age, faces }), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Whatever is seen and when: a Known verdict rests on `needed` fresh votes for that person in frames of
    /// different capture times, on one of the newest frame; once per person and track; numbers of tracks only grow.
    #[test]
    fn a_verdict_always_rests_on_enough_fresh_votes(glances in glances()) {
        let settings = small();
        let mut door = Door::new(settings);
        let mut now = 10_000_000u64;
        let mut newest_track = None;
        let mut known = BTreeSet::new();
        let mut votes: Vec<(u64, PersonId)> = Vec::new();
        for glance in glances {
            let before = now;
            now = now.saturating_add_signed(glance.step);
            if now < before {
                votes.clear();
            }
            let captured = now.saturating_add_signed(-glance.age);
            let faces = glance.faces.iter().filter_map(|(what, x, y, side)| seen(*what, face(*x, *y, *side)));
            let sighting = Sighting { captured: Uptime::from_micros(captured), seen: faces.collect() };
            let sighting = door.track(sighting);
            let decisions = door.decider.on_sighting(&sighting, Uptime::from_micros(now));
            let fresh = captured <= now && now - captured <= 500_000;
            prop_assert!(fresh || decisions.is_empty());
            if fresh {
                let named: BTreeSet<_> = sighting.seen.iter().filter_map(|s| s.opinion?.person()).collect();
                votes.extend(named.into_iter().map(|person| (captured, person)));
            }
            for decision in &decisions {
                prop_assert_eq!(decision.captured, sighting.captured);
                prop_assert!(decision.first_sharp <= decision.captured);
                prop_assert!(decision.bbox.is_finite());
                let Verdict::Known(person) = decision.verdict else { continue };
                prop_assert!(known.insert((decision.track, person)), "said twice: {decision:?}");
                let times: BTreeSet<u64> = votes.iter().filter(|v| v.1 == person).map(|v| v.0).collect();
                prop_assert!(times.contains(&captured));
                prop_assert!(times.len() >= usize::from(settings.needed), "{times:?}");
            }
            let progress = door.decider.progress(Uptime::from_micros(now));
            let tracks: BTreeSet<TrackId> = progress.iter().map(|p| p.track).collect();
            prop_assert_eq!(tracks.len(), progress.len(), "two tracks of one number");
            for track in tracks {
                newest_track = newest_track.max(Some(track));
            }
        }
    }
}
