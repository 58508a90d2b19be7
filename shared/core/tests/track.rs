//! Boxes over frames → tracks: by example, and for any boxes.

use std::collections::BTreeSet;
use std::time::Duration;

use lintel_core::geometry::Rect;
use lintel_core::time::Uptime;
use lintel_core::track::{MAX_SEEN, TrackId, TrackSettings, Tracker};
use proptest::collection::vec;
use proptest::prelude::*;

fn tracker() -> Tracker {
    Tracker::new(TrackSettings::default()).expect("valid settings")
}

fn face(x: f32, side: f32) -> Rect {
    Rect::new(x, 0.0, x + side, side)
}

/// Frames as milliseconds and boxes (left edge, side) → the tracks of each frame.
fn check(frames: &[(u64, &[(f32, f32)])], expected: &[&[Option<u32>]]) {
    let mut tracker = tracker();
    for ((ms, boxes), expected) in frames.iter().zip(expected) {
        let boxes: Vec<Rect> = boxes.iter().map(|(x, side)| face(*x, *side)).collect();
        let tracks = tracker.on_faces(Uptime::from_millis(*ms), &boxes);
        let got: Vec<_> = tracks.iter().map(|track| track.map(|track| track.0)).collect();
        assert_eq!(got, *expected, "{frames:?} at {ms} ms");
    }
}

#[test]
fn a_moving_face_stays_one_track() {
    let one = |boxes: [(f32, f32); 2], second: Option<u32>| {
        check(&[(0, &boxes[..1]), (100, &boxes[1..])], &[&[Some(0)], &[second]]);
    };
    // By overlap; without overlap but near; too far; at once half as large; no box at all.
    one([(0.0, 100.0), (30.0, 110.0)], Some(0));
    one([(0.0, 100.0), (50.0, 100.0)], Some(0));
    one([(0.0, 100.0), (1000.0, 100.0)], Some(1));
    one([(0.0, 100.0), (0.0, 48.0)], Some(1));
    one([(0.0, 100.0), (f32::NAN, 100.0)], None);
}

#[test]
fn the_best_pair_goes_first() {
    let before: &[_] = &[(0.0, 100.0), (60.0, 100.0)];
    check(&[(0, before), (100, &[(52.0, 100.0), (-8.0, 100.0)])], &[&[Some(0), Some(1)], &[Some(1), Some(0)]]);
}

#[test]
fn a_gap_or_a_clock_that_steps_back_ends_a_track() {
    let one: &[_] = &[(0.0, 100.0)];
    let first: &[_] = &[Some(0)];
    check(&[(0, one), (500, one)], &[first, first]);
    check(&[(0, one), (501, one)], &[first, &[Some(1)]]);
    check(&[(0, one), (300, &[]), (500, one), (900, &[]), (1001, one)], &[first, &[], first, &[], &[Some(1)]]);
    check(&[(500, one), (400, one), (450, one)], &[first, &[Some(1)], &[Some(1)]]);
}

#[test]
fn a_ninth_face_takes_the_place_of_the_longest_unseen() {
    let mut tracker = tracker();
    let row = |faces: std::ops::Range<u8>| faces.map(|n| face(f32::from(n) * 300.0, 100.0)).collect::<Vec<_>>();
    let _ = tracker.on_faces(Uptime::from_millis(0), &row(0..8));
    let _ = tracker.on_faces(Uptime::from_millis(100), &row(0..7));
    let ninth = tracker.on_faces(Uptime::from_millis(200), &row(8..9));
    assert_eq!(ninth.first(), Some(&Some(TrackId(8))));
    let tracks: BTreeSet<u32> = tracker.tracks().map(|track| track.0).collect();
    assert_eq!(tracks, BTreeSet::from([0, 1, 2, 3, 4, 5, 6, 8]));
}

#[test]
fn refuses_settings_that_cannot_work() {
    let sound = TrackSettings::default();
    let check = |settings: TrackSettings, expected: Result<(), &str>| {
        let got = Tracker::new(settings).map(drop).map_err(|error| error.setting);
        assert_eq!(got, expected, "{settings:?}");
    };
    check(sound, Ok(()));
    check(TrackSettings { gap: Duration::ZERO, ..sound }, Err("gap"));
    check(TrackSettings { min_iou: 0.0, ..sound }, Err("min_iou"));
    check(TrackSettings { min_iou: f32::NAN, ..sound }, Err("min_iou"));
    check(TrackSettings { max_shift: -0.1, ..sound }, Err("max_shift"));
    check(TrackSettings { max_shift: f32::INFINITY, ..sound }, Err("max_shift"));
}

/// Where a face is, in pixels; now and then any number at all.
fn place() -> impl Strategy<Value = f32> {
    prop_oneof![20 => -50.0_f32..900.0, 1 => any::<f32>()]
}

proptest! {
    /// Whatever boxes come when: no two faces of a frame have one track, and a number that ended never comes back.
    #[test]
    fn a_track_is_one_face(
        frames in vec((0_u64..2_000, vec((place(), 20.0_f32..300.0), 0..=MAX_SEEN)), 1..60)
    ) {
        let mut tracker = tracker();
        let mut alive = BTreeSet::new();
        let mut newest = None;
        for (ms, boxes) in frames {
            let boxes: Vec<Rect> = boxes.iter().map(|(x, side)| face(*x, *side)).collect();
            let tracks = tracker.on_faces(Uptime::from_millis(ms), &boxes);
            prop_assert_eq!(tracks.len(), boxes.len());
            let named: Vec<TrackId> = tracks.iter().flatten().copied().collect();
            let different: BTreeSet<TrackId> = named.iter().copied().collect();
            prop_assert_eq!(different.len(), named.len(), "two faces of one track");
            for track in &named {
                let new = newest.is_none_or(|newest| *track > newest);
                prop_assert!(alive.contains(track) || new, "{track:?} came back");
            }
            newest = newest.max(named.iter().max().copied());
            alive = tracker.tracks().collect();
            prop_assert!(named.iter().all(|track| alive.contains(track)));
        }
    }
}
