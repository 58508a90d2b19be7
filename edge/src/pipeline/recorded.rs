//! What a faster machine saw in recordings → analyzer that say it again, for rigs whose processor is emulated: a story
//! about time cannot be told at seven seconds a picture.
//!
//! Nothing is recognised here. Each frame is compared with small pictures of the recorded ones, so that the camera, its
//! driver, decoding and everything after vision are the real ones.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};

use lintel_core::decision::{Seen, Sighting};
use lintel_core::frame::Frame;
use lintel_core::geometry::Rect;
use lintel_core::time::Uptime;
use lintel_core::track::{TrackSettings, Tracker};
use lintel_formats::recording::Recording;
use serde::{Deserialize, Serialize};

use super::{Analyzer, AnalyzerError};

/// Cells of a small picture, across and down.
const CELLS: [u32; 2] = [32, 24];
/// Mean difference of two small pictures, in grey levels, up to which they are of one frame: decoders differ by less.
const SAME: f32 = 1.5;
/// Most moments that are read.
const MAX_MOMENTS: usize = 100_000;

/// One frame, and what was seen in it: a line of JSON.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// Mean brightness of each cell, row by row.
    cells: Vec<u8>,
    /// The result of looking at it.
    sighting: Sighting,
}

impl Moment {
    /// What was seen in this frame.
    #[must_use]
    pub fn new(frame: &Frame<'_>, sighting: Sighting) -> Self {
        Self { cells: cells(frame), sighting }
    }

    /// Writes it as a line.
    ///
    /// # Errors
    /// What the file said.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// Looks at every frame of some recordings, and writes what is seen.
///
/// # Errors
/// A recording that cannot be played, models that cannot be used, a file that cannot be written.
pub fn record(analyzer: &mut dyn Analyzer, recordings: &[PathBuf], out: &mut impl Write) -> Result<(), RecordedError> {
    let mut pixels = Vec::new();
    // A replay of the moments tracks the faces again.
    let mut tracker = Tracker::new(TrackSettings::default()).expect("the default settings are within their ranges");
    for path in recordings {
        let failed = |why: String| RecordedError { path: path.clone(), why };
        let recording = Recording::open(path).map_err(|e| failed(e.to_string()))?;
        let mut frames = recording.frames();
        while let Some(info) = frames.next_into(&mut pixels) {
            // A damaged frame is nothing that anybody sees.
            let Ok(info) = info else { continue };
            let frame =
                Frame::rgb8(&pixels, info.width, info.height, Uptime::ZERO).map_err(|e| failed(e.to_string()))?;
            let sighting = analyzer.look(&frame, &mut tracker).map_err(|e| failed(e.to_string()))?;
            Moment::new(&frame, sighting).write(out).map_err(|e| failed(e.to_string()))?;
        }
    }
    Ok(())
}

/// What was recorded says nothing of a frame.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum UnknownFrame {
    /// No recorded frame is near enough.
    #[error("the frame is none of the recorded ones, {off:.1} grey levels off the nearest")]
    Unlike {
        /// Mean difference to the nearest, in grey levels.
        off: f32,
    },
    /// There are no moments.
    #[error("nothing is recorded")]
    Empty,
}

/// The moments cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct RecordedError {
    /// The file.
    path: PathBuf,
    /// What is wrong with it.
    why: String,
}

/// An analyzer that remembers.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    moments: Vec<Moment>,
}

impl Recorded {
    /// Reads the moments of a file.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is no moment.
    pub fn open(path: &Path) -> Result<Self, RecordedError> {
        let failed = |why: String| RecordedError { path: path.to_owned(), why };
        let file = File::open(path).map_err(|e| failed(e.to_string()))?;
        let mut moments = Vec::new();
        for (number, line) in (1..).zip(BufReader::new(file).lines()) {
            let moment = line.map_err(|e| e.to_string()).and_then(|line| read(&line));
            moments.push(moment.map_err(|why| failed(format!("line {number}: {why}")))?);
            if moments.len() > MAX_MOMENTS {
                return Err(failed(format!("more than {MAX_MOMENTS} moments")));
            }
        }
        Ok(Self { moments })
    }
}

fn read(line: &str) -> Result<Moment, String> {
    let moment: Moment = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let wanted = (CELLS[0] * CELLS[1]) as usize;
    if moment.cells.len() == wanted {
        Ok(moment)
    } else {
        Err(format!("{} cells, wanted {wanted}", moment.cells.len()))
    }
}

impl Analyzer for Recorded {
    fn look(&mut self, frame: &Frame<'_>, tracker: &mut Tracker) -> Result<Sighting, AnalyzerError> {
        let seen = cells(frame);
        let nearest = self.moments.iter().map(|moment| (difference(&moment.cells, &seen), moment));
        match nearest.min_by(|(a, _), (b, _)| a.total_cmp(b)) {
            Some((off, moment)) if off <= SAME => Ok(followed(&moment.sighting, frame.captured(), tracker)),
            Some((off, _)) => Err(UnknownFrame::Unlike { off }.into()),
            None => Err(UnknownFrame::Empty.into()),
        }
    }
}

/// The faces of a recorded moment as they are followed now.
fn followed(recorded: &Sighting, captured: Uptime, tracker: &mut Tracker) -> Sighting {
    let boxes: Vec<Rect> = recorded.seen.iter().map(|seen| seen.face.bbox).collect();
    let tracks = tracker.on_faces(captured, &boxes);
    let seen =
        recorded.seen.iter().zip(tracks).filter_map(|(seen, track)| Some(Seen { track: track?, ..seen.clone() }));
    Sighting { captured, seen: seen.collect() }
}

/// Mean brightness of each cell: the green of every other pixel.
fn cells(frame: &Frame<'_>) -> Vec<u8> {
    let (width, height) = frame.size();
    let edge = |cell: u32, cells: u32, side: u32| (u64::from(cell) * u64::from(side) / u64::from(cells)) as usize;
    let mut cells = Vec::with_capacity((CELLS[0] * CELLS[1]) as usize);
    for y in 0..CELLS[1] {
        for x in 0..CELLS[0] {
            let (mut sum, mut count) = (0_u64, 0_u64);
            for row in (edge(y, CELLS[1], height)..edge(y + 1, CELLS[1], height)).step_by(2) {
                for column in (edge(x, CELLS[0], width)..edge(x + 1, CELLS[0], width)).step_by(2) {
                    sum += u64::from(frame.pixels()[(row * width as usize + column) * 3 + 1]);
                    count += 1;
                }
            }
            cells.push(u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX));
        }
    }
    cells
}

fn difference(a: &[u8], b: &[u8]) -> f32 {
    let sum: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    sum as f32 / a.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with a bright square at this place.
    fn picture(at: usize, noise: u8) -> Vec<u8> {
        let value = |x: usize, y: usize| if (at..at + 16).contains(&x) && y < 16 { 200 } else { 50 + noise };
        (0..64 * 48).flat_map(|i| [value(i % 64, i / 64); 3]).collect()
    }

    fn frame(pixels: &[u8], ms: u64) -> Frame<'_> {
        Frame::rgb8(pixels, 64, 48, Uptime::from_millis(ms)).unwrap()
    }

    #[test]
    fn what_was_seen_is_seen_again_with_the_time_of_the_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("moments");
        let mut file = File::create(&path).unwrap();
        let seen = |number: u64| Sighting { captured: Uptime::from_millis(number), ..Sighting::default() };
        for at in [0, 20, 40] {
            Moment::new(&frame(&picture(at, 0), 0), seen(at as u64)).write(&mut file).unwrap();
        }
        let mut analyzer = Recorded::open(&path).unwrap();
        let mut tracker = Tracker::new(TrackSettings::default()).unwrap();
        for (at, noise) in [(0, 0), (20, 1), (40, 1)] {
            let sighting = analyzer.look(&frame(&picture(at, noise), 777), &mut tracker).unwrap();
            assert_eq!(sighting, Sighting { captured: Uptime::from_millis(777), ..seen(at as u64) });
        }
        let error = analyzer.look(&frame(&picture(10, 60), 0), &mut tracker).unwrap_err().to_string();
        assert!(error.starts_with("the frame is none of the recorded ones"), "{error}");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("moments");
        let check = |text: &str, part: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Recorded::open(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("{}", "line 1: missing field `cells`");
        check(r#"{"cells":[1,2],"sighting":{"captured":0,"seen":[]}}"#, "line 1: 2 cells, wanted 768");
        assert!(Recorded::open(&folder.path().join("none")).is_err());
        std::fs::write(&path, "").unwrap();
        let mut tracker = Tracker::new(TrackSettings::default()).unwrap();
        let error = Recorded::open(&path).unwrap().look(&frame(&picture(0, 0), 0), &mut tracker).unwrap_err();
        assert_eq!(error.to_string(), "nothing is recorded");
    }
}
