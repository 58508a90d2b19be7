//! A visit → a recording of it on disk, rendered once and kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use lintel_faces::{Approach, Picture, jpeg};
use lintel_formats::recording::{About, RecordingWriter};
use sha2::{Digest as _, Sha256};

use crate::story::{Visit, Who};
use crate::world;

/// Frames per second.
const FPS: f32 = 10.0;
/// Width and height in pixels.
const SIZE: [u32; 2] = [640, 480];
/// The JPEG quality of a network camera.
const QUALITY: u8 = 85;

/// The path of the visit's recording in the folder `kept`. It is rendered if it is not there.
///
/// # Errors
/// If it cannot be written.
pub fn recording(visit: &Visit, kept: &Path) -> Result<PathBuf> {
    let visit = &visit.pictures();
    let told = toml::to_string(visit)?;
    let hash = Sha256::digest(told.as_bytes());
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let path = kept.join(format!("{name}.mjpeg"));
    fs::create_dir_all(kept).with_context(|| kept.display().to_string())?;
    // One process renders it; others wait.
    let lock = File::create(kept.join(format!("{name}.lock")))?;
    lock.lock()?;
    if path.is_file() {
        return Ok(path);
    }
    // Under another name first, so that an interrupted rendering is not taken for a recording.
    let partial = kept.join(format!("{name}-partial.mjpeg"));
    write(visit, &partial)?;
    fs::rename(partial.with_extension("toml"), path.with_extension("toml"))?;
    fs::rename(&partial, &path)?;
    Ok(path)
}

fn write(visit: &Visit, path: &Path) -> Result<()> {
    let people: Vec<u64> = visit
        .people
        .iter()
        .map(|who| match who {
            Who::Enrolled(number) => world::enrolled(*number),
            Who::Stranger(number) => world::stranger(*number),
        })
        .collect();
    let person = match visit.people.as_slice() {
        [Who::Enrolled(number)] => Some(world::name(*number)),
        _ => None,
    };
    let label = visit.people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let about = About {
        fps: FPS.into(),
        width: SIZE[0],
        height: SIZE[1],
        person,
        label,
        notes: "procedural: nobody in here exists".to_owned(),
        tags: Vec::new(),
    };
    let seed = people.first().copied().unwrap_or_default() ^ visit.seed;
    let with = Approach::new(&people, seed, SIZE, FPS, visit.seconds);
    // The same room in the same light, with nobody in it.
    let empty = Approach::new(&[], seed, SIZE, FPS, visit.seconds);
    let mut writer = RecordingWriter::create(path, &about)?;
    let mut frozen: Option<Vec<u8>> = None;
    for index in 0..with.frames() {
        let seconds = index as f32 / FPS;
        let past = |limit: Option<f32>| limit.is_some_and(|limit| seconds >= limit);
        let there = seconds >= visit.seen_from_s && !past(visit.seen_until_s);
        let mut picture = if there { with.frame(index) } else { empty.frame(index) };
        if past(visit.dark_after_s) {
            darken(&mut picture);
        }
        let mut bytes = match frozen.take().filter(|_| past(visit.freezes_after_s)) {
            Some(bytes) => bytes,
            None => jpeg(&picture, QUALITY),
        };
        frozen = Some(bytes.clone());
        if visit.damaged_frame == Some(index) || past(visit.damaged_from_s) {
            bytes.truncate(bytes.len() / 2);
        }
        writer.push(&bytes)?;
    }
    writer.finish()?;
    Ok(())
}

/// A fiftieth of the light.
fn darken(picture: &mut Picture) {
    for value in &mut picture.rgb {
        *value /= 50;
    }
}
