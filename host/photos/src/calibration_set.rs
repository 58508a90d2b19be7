//! A folder → pictures for the calibration of a quantised model, in the form of the door's input.

use std::path::{Path, PathBuf};

use lintel_core::align::CROP;
use lintel_core::detect::Letterbox;
use lintel_core::frame::Frame;
use lintel_core::time::Uptime;
use lintel_inference::{Array, Values};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::Kind;

use crate::ingest::People;
use crate::photos;

/// The most pictures that are used; more do not improve the scales.
pub const MOST: usize = 64;
/// The greatest depth of folders in which photos are found.
const DEPTH: usize = 3;

/// Pictures for a model that takes u8 `[N, height, width, 3]`: the aligned crops of a folder that `lintel ingest` made,
/// if the model takes crops; otherwise photos, scaled and placed like a camera's frames at the door.
///
/// # Errors
/// [`Failure`] when there are no pictures, or one cannot be read.
pub fn pictures(folder: &Path, [width, height]: [u32; 2], most: usize) -> Result<Vec<Array>, Failure> {
    let ingested = folder.join(Kind::Ingest.marker()).is_file();
    match (ingested, [width, height] == [CROP; 2]) {
        (true, true) => crops(folder, most),
        (true, false) => Err(Failure::input(format!(
            "{} holds aligned faces, and the model takes whole frames of {width}x{height}; give the photos",
            folder.display()
        ))),
        (false, _) => frames(folder, [width, height], most),
    }
}

/// Crops of an ingested folder, spread over its people.
///
/// # Errors
/// [`Failure`] when the folder is not one of `lintel ingest`, or a crop differs from its index.
pub fn crops(folder: &Path, most: usize) -> Result<Vec<Array>, Failure> {
    let people = People::open(folder, 1)?;
    let all: Vec<_> = people.people.iter().flat_map(|person| &person.crops).collect();
    let side = CROP as usize;
    spread(all.len(), most)
        .map(|at| {
            interrupt::check()?;
            Ok(Array { shape: vec![1, side, side, 3], values: Values::U8(all[at].read(folder)?) })
        })
        .collect()
}

/// Photos below a folder, letterboxed to `[width, height]`. Other files are skipped.
///
/// # Errors
/// [`Failure`] when no photo is found.
pub fn frames(folder: &Path, [width, height]: [u32; 2], most: usize) -> Result<Vec<Array>, Failure> {
    let mut files = Vec::new();
    collect(folder, DEPTH, &mut files)?;
    files.sort();
    let mut pictures = Vec::new();
    for at in spread(files.len(), most) {
        interrupt::check()?;
        let Ok(photo) = photos::read(&files[at]).and_then(|bytes| photos::decode(&bytes)) else { continue };
        let frame = Frame::rgb8(photo.as_raw(), photo.width(), photo.height(), Uptime::ZERO).map_err(Failure::input)?;
        let mut pixels = vec![0; width as usize * height as usize * 3];
        Letterbox::new(frame.size(), (width, height)).fill(&frame, &mut pixels);
        pictures.push(Array { shape: vec![1, height as usize, width as usize, 3], values: Values::U8(pixels) });
    }
    if pictures.is_empty() {
        return Err(Failure::input(format!("{} holds no photos (JPEG, PNG, WebP)", folder.display())));
    }
    Ok(pictures)
}

/// At most `most` of `count` indices, evenly spread.
fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(most);
    (0..taken).map(move |i| i * count / taken)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::reading(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| Failure::reading(folder, &error))?.path();
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, files)?;
            }
        } else if path.extension().is_some_and(|e| {
            let e = e.to_string_lossy().to_lowercase();
            ["jpg", "jpeg", "png", "webp"].contains(&e.as_str())
        }) {
            files.push(path);
        }
    }
    Ok(())
}
