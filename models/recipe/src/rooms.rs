//! A detector → empty rooms in which it finds false faces, for training (hard negative mining); and, after training,
//! its operating point.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use lintel_core::detect::{Face, Limits};
use lintel_core::frame::Frame;
use lintel_core::time::Uptime;
use lintel_faces::crowd;
use lintel_inference::Detector;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::assign::Corners;
use crate::detector_onnx;
use crate::schedule::bar;
use crate::scrfd::{HEIGHT, Scrfd, WIDTH};

/// First seed of the rooms that are searched; disjoint from all others of the recipe.
const SEED: u64 = 3_000_000;
/// First seed of the rooms that set the operating point; disjoint from all others too.
const CALIBRATION_SEED: u64 = 4_000_000;
/// The least score of a detection that counts as a false face.
const MIN_SCORE: f32 = 0.25;
/// Rooms per false face at the operating point: a quarter more than required.
const ROOMS_PER_FALSE_FACE: usize = 250;

/// An empty room, and the detector's false faces in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Room {
    /// Seed of the room.
    seed: u64,
    /// Boxes of the false faces, pixels.
    pub decoys: Vec<Corners>,
}

impl Room {
    /// 640×480 RGB.
    pub fn paint(&self) -> Vec<u8> {
        paint(self.seed)
    }
}

fn paint(seed: u64) -> Vec<u8> {
    crowd(seed, [WIDTH as u32, HEIGHT as u32], 0, 40.0).rgb
}

/// The rooms among `count` in which `net` finds faces; both are kept in `file`.
pub fn search(net: &Scrfd, file: &Path, count: usize) -> Result<Vec<Room>> {
    if let Ok(kept) = fs::read(file) {
        let (searched, rooms) = serde_json::from_slice::<(usize, Vec<Room>)>(&kept).context("reading the rooms")?;
        if searched == count {
            return Ok(rooms);
        }
    }
    let mut rooms = Vec::new();
    for (seed, seen) in faces_seen(net, SEED, count, "rooms")? {
        let decoys: Vec<Corners> = seen.iter().map(|f| [f.bbox.x1, f.bbox.y1, f.bbox.x2, f.bbox.y2]).collect();
        if !decoys.is_empty() {
            rooms.push(Room { seed, decoys });
        }
    }
    fs::write(file, serde_json::to_vec(&(count, &rooms))?).context("writing the rooms")?;
    Ok(rooms)
}

/// The score of `net` that one false face in [`ROOMS_PER_FALSE_FACE`] of `count` empty rooms reaches; both are kept in
/// `file`.
pub fn operating_point(net: &Scrfd, file: &Path, count: usize) -> Result<f32> {
    if let Ok(kept) = fs::read(file) {
        let (rooms, point) = serde_json::from_slice::<(usize, f32)>(&kept).context("reading the operating point")?;
        if rooms == count {
            return Ok(point);
        }
    }
    let seen = faces_seen(net, CALIBRATION_SEED, count, "operating point")?;
    let scores = seen.into_iter().flat_map(|(_, faces)| faces).map(|face| face.score).collect();
    let point = point(scores, count / ROOMS_PER_FALSE_FACE);
    fs::write(file, serde_json::to_vec(&(count, point))?).context("writing the operating point")?;
    Ok(point)
}

/// Just above the highest score that must not pass, if `allowed` scores may.
fn point(mut scores: Vec<f32>, allowed: usize) -> f32 {
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    scores.get(allowed).map_or(MIN_SCORE, |score| score.next_up())
}

/// The faces that `net` finds at `MIN_SCORE` in the rooms of `count` seeds from `first` on.
fn faces_seen(net: &Scrfd, first: u64, count: usize, what: &str) -> Result<Vec<(u64, Vec<Face>)>> {
    let limits = Limits { min_score: MIN_SCORE, ..Limits::default() };
    let onnx = detector_onnx::export(net, WIDTH, HEIGHT, detector_onnx::AS_TRAINED);
    let mut detector =
        Detector::open_with(&onnx, &lintel_work::places::runtime(), (WIDTH as u32, HEIGHT as u32), limits)?;
    let progress = bar(count, 0, what);
    let mut all = Vec::with_capacity(count);
    let seeds: Vec<u64> = (0..count as u64).map(|i| first + i).collect();
    for chunk in seeds.chunks(32) {
        let pictures: Vec<Vec<u8>> = chunk.par_iter().map(|&seed| paint(seed)).collect();
        for (&seed, rgb) in chunk.iter().zip(&pictures) {
            let frame = Frame::rgb8(rgb, WIDTH as u32, HEIGHT as u32, Uptime::ZERO)?;
            all.push((seed, detector.detect(&frame)?.to_vec()));
        }
        progress.inc(chunk.len() as u64);
    }
    progress.finish();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_false_faces_pass_as_may() {
        let scores = vec![0.3, 0.9, 0.5, 0.7];
        for (allowed, passing) in [(0, 0), (1, 1), (3, 3)] {
            let point = point(scores.clone(), allowed);
            assert_eq!(scores.iter().filter(|&&score| score >= point).count(), passing);
        }
        assert_eq!(point(scores, 4), MIN_SCORE);
    }
}
