//! Recordings on disk → pictures, at the pace at which they were taken or as fast as they are asked for.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use lintel_core::time::Uptime;
use lintel_formats::recording::{Recording, RecordingError};

use super::{Camera, CameraError, Captured, Picture, Visit};
use crate::io::clock::Clock;

/// Longest wait inside one call.
const SLICE: Duration = Duration::from_millis(50);

/// What the time of a picture is.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Each picture comes when it is due by this clock, and its time is what the clock says then.
    RealTime(Clock),
    /// Each picture comes when it is asked for, and its time is when it would be due. Nothing waits.
    Virtual,
}

/// A camera that plays recordings one after another, with a gap in time between two.
#[derive(Debug)]
pub struct Replay {
    paths: Vec<PathBuf>,
    gap: Duration,
    pace: Pace,
    next: usize,
    playing: Option<Playing>,
    /// When the next recording may begin.
    free: Option<Uptime>,
}

#[derive(Debug)]
struct Playing {
    recording: Recording,
    path: PathBuf,
    announced: bool,
    begins: Uptime,
    index: usize,
}

impl Replay {
    /// A camera for these recordings; a folder stands for all recordings in it, by name.
    ///
    /// # Errors
    /// When there are none, or a folder cannot be read. The recordings themselves are opened when their turn comes.
    pub fn new(recordings: &[PathBuf], gap: Duration, pace: Pace) -> Result<Self, CameraError> {
        let mut paths = Vec::new();
        for path in recordings {
            if path.is_dir() {
                paths.extend(in_folder(path)?);
            } else {
                let there = path.with_extension("mjpeg").is_file();
                if !there {
                    let source = "no such recording".into();
                    return Err(CameraError::Open { path: path.with_extension("mjpeg"), source });
                }
                paths.push(path.with_extension("mjpeg"));
            }
        }
        Ok(Self { paths, gap, pace, next: 0, playing: None, free: None })
    }

    /// The recordings, in the order in which they are played.
    #[must_use]
    pub fn recordings(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Waits until `due`; `None`: not yet, ask again. Otherwise the time that it is.
    fn wait(&self, due: Uptime) -> Option<Uptime> {
        match &self.pace {
            Pace::Virtual => Some(due),
            Pace::RealTime(clock) => {
                let now = clock.now();
                if now >= due {
                    return Some(now);
                }
                thread::sleep(due.since(now).min(SLICE));
                let now = clock.now();
                (now >= due).then_some(now)
            }
        }
    }

    fn open_next(&mut self) -> Result<bool, CameraError> {
        let Some(path) = self.paths.get(self.next) else { return Ok(false) };
        self.next += 1;
        let failed = |e: RecordingError| CameraError::Open { path: path.clone(), source: e.into() };
        let recording = Recording::open(path).map_err(failed)?;
        let begins = match (self.free, &self.pace) {
            (Some(free), _) => free,
            (None, Pace::Virtual) => Uptime::ZERO,
            (None, Pace::RealTime(clock)) => clock.now(),
        };
        self.playing = Some(Playing { recording, path: path.clone(), announced: false, begins, index: 0 });
        Ok(true)
    }
}

/// The recordings in a folder, in the order of their names.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, CameraError> {
    let failed = |e: std::io::Error| CameraError::Open { path: folder.to_owned(), source: e.into() };
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "mjpeg") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() { Err(CameraError::Nothing { path: folder.to_owned() }) } else { Ok(paths) }
}

impl Camera for Replay {
    fn describe(&self) -> String {
        let pace = match self.pace {
            Pace::RealTime(_) => "in real time",
            Pace::Virtual => "in virtual time",
        };
        format!("replay of {} recordings {pace}, {:?} apart", self.paths.len(), self.gap)
    }

    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError> {
        if self.playing.is_none() && !self.open_next()? {
            return Ok(Captured::End);
        }
        let Some(playing) = &self.playing else { return Ok(Captured::End) };
        let due = playing.begins + playing.recording.captured(playing.index).since(Uptime::ZERO);
        let Some(now) = self.wait(due) else { return Ok(Captured::Idle) };
        let Some(playing) = &mut self.playing else { return Ok(Captured::End) };
        let Playing { recording, path, announced, begins, index } = playing;
        if !*announced {
            *announced = true;
            let visit = Visit {
                recording: recording.name().to_owned(),
                label: recording.about().label.clone(),
                begins: *begins,
            };
            return Ok(Captured::Visit(visit));
        }
        let Some(decoded) = recording.decode_into(*index, &mut picture.pixels) else {
            self.free = Some(due + self.gap);
            self.playing = None;
            return Ok(Captured::Idle);
        };
        let info = decoded.map_err(|e| {
            // The error's own text begins with the frame's number; ours says the file too.
            let source = match e {
                RecordingError::Frame { source, .. } => source.into(),
                other => other.into(),
            };
            CameraError::Frame { path: path.clone(), index: *index as u64, source }
        })?;
        *index += 1;
        (picture.width, picture.height, picture.captured) = (info.width, info.height, now);
        Ok(Captured::Picture)
    }
}
