//! A half-trained detector → empty rooms in which it sees faces, for it to learn from (hard negative mining).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use lintel_faces::crowd;
use lintel_shared::detect::Limits;
use lintel_shared::frame::Frame;
use lintel_shared::runtime::{Detector, Options};
use lintel_shared::time::Uptime;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::assign::Corners;
use crate::detector_onnx;
use crate::frames::{HEIGHT, WIDTH};
use crate::schedule::bar;
use crate::scrfd::Scrfd;

/// First seed of the rooms that are searched; disjoint from all others of the recipe.
const SEED: u64 = 3_000_000;
/// What the detector takes for a face at least half-heartedly.
const MIN_SCORE: f32 = 0.25;

/// A room with nobody in it, and where the detector thought otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Room {
    /// Seed of the room.
    seed: u64,
    /// Boxes of what was taken for faces, pixels.
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

/// Those of `count` rooms in which `net` sees faces; kept in `file`.
pub fn search(net: &Scrfd, file: &Path, count: usize) -> Result<Vec<Room>> {
    if let Ok(kept) = fs::read(file) {
        return serde_json::from_slice(&kept).context("reading the rooms");
    }
    let limits = Limits { min_score: MIN_SCORE, ..Limits::default() };
    let onnx = detector_onnx::export(net, WIDTH, HEIGHT);
    let mut detector = Detector::open_with(&onnx, &Options::default(), (WIDTH as u32, HEIGHT as u32), limits)?;
    let progress = bar(count, 0, "rooms");
    let mut rooms = Vec::new();
    let seeds: Vec<u64> = (0..count as u64).map(|i| SEED + i).collect();
    for chunk in seeds.chunks(32) {
        let pictures: Vec<Vec<u8>> = chunk.par_iter().map(|&seed| paint(seed)).collect();
        for (&seed, rgb) in chunk.iter().zip(&pictures) {
            let frame = Frame::rgb8(rgb, WIDTH as u32, HEIGHT as u32, Uptime::ZERO)?;
            let seen = detector.detect(&frame)?;
            let decoys: Vec<Corners> = seen.iter().map(|f| [f.bbox.x1, f.bbox.y1, f.bbox.x2, f.bbox.y2]).collect();
            if !decoys.is_empty() {
                rooms.push(Room { seed, decoys });
            }
        }
        progress.inc(chunk.len() as u64);
    }
    progress.finish();
    fs::write(file, serde_json::to_vec(&rooms)?).context("writing the rooms")?;
    Ok(rooms)
}
