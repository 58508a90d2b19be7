//! `NAME.mjpeg` with `NAME.toml` beside it → frames, as a camera would have given them; and the way back.
//!
//! The first holds JPEG pictures one after another, as `ffplay NAME.mjpeg` shows them; the second says how fast they
//! came, how large they are, and who is to be seen. Feature `runtime`.

mod jpeg;
mod split;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use lintel_core::frame::{Frame, FrameError, MAX_SIDE};
use lintel_core::time::Uptime;

pub use jpeg::{JpegError, decode};
pub use split::{Part, picture, split};

/// Largest recording in bytes: an hour of good pictures at 640×480.
pub const MAX_BYTES: u64 = 2 << 30;
/// Most pictures in a recording.
pub const MAX_FRAMES: usize = 1 << 20;
/// Most tags of a recording.
pub const MAX_TAGS: usize = 16;
/// Longest tag, in Unicode scalar values.
pub const MAX_TAG_CHARS: usize = 40;
/// Largest side-car file in bytes.
const MAX_ABOUT_BYTES: u64 = 64 << 10;

/// What is known of a recording: the content of `NAME.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Frames per second, 0.1 to 1000.
    pub fps: f64,
    /// Width of every frame in pixels.
    pub width: u32,
    /// Height of every frame in pixels.
    pub height: u32,
    /// Display name of the person who is to be seen; absent: a stranger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What to call the recording in reports.
    #[serde(default)]
    pub label: String,
    /// For people to read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// What may matter in a report, such as `glasses` or `backlight`: figures are told apart by them. At most
    /// [`MAX_TAGS`], of 1 to [`MAX_TAG_CHARS`] characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// Why a recording cannot be read or written.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The system says no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The side-car file is not what it should be.
    #[error("{path}: {reason}")]
    About {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// More than is read.
    #[error("{path} has more than {limit} {unit}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How much is read.
        limit: u64,
        /// What the limit counts: bytes or pictures.
        unit: &'static str,
    },
    /// There is no picture in it.
    #[error("{path} holds no JPEG picture")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// One frame is damaged; the next ones may be whole.
    #[error("frame {index}: {source}")]
    Frame {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: JpegError,
    },
    /// One frame has another size than the recording.
    #[error("frame {index} is {width}x{height}, the recording says {wanted:?}")]
    Size {
        /// Which one, from 0.
        index: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Width and height that the recording promises.
        wanted: (u32, u32),
    },
}

impl About {
    fn check(&self) -> Result<(), String> {
        let Self { fps, width, height, .. } = *self;
        if !(0.1..=1000.0).contains(&fps) {
            return Err(format!("fps is {fps}, wanted 0.1 to 1000"));
        }
        if self.tags.len() > MAX_TAGS {
            return Err(format!("there are {} tags, at most {MAX_TAGS} are taken", self.tags.len()));
        }
        let plain =
            |tag: &String| (1..=MAX_TAG_CHARS).contains(&tag.chars().count()) && !tag.chars().any(char::is_control);
        if !self.tags.iter().all(plain) {
            return Err(format!("a tag is empty, longer than {MAX_TAG_CHARS} characters, or has control characters"));
        }
        let side = 1..=MAX_SIDE;
        if side.contains(&width) && side.contains(&height) {
            return Ok(());
        }
        Err(format!("frames are {width}x{height}, wanted 1 to {MAX_SIDE} pixels per side"))
    }

    fn read(path: PathBuf) -> Result<Self, RecordingError> {
        let bytes = read_at_most(&path, MAX_ABOUT_BYTES)?;
        let parsed = str::from_utf8(&bytes).map_err(|error| error.to_string()).and_then(|text| {
            let about: Self = toml::from_str(text).map_err(|error| error.to_string())?;
            about.check().map(|()| about)
        });
        parsed.map_err(|reason| {
            let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
            RecordingError::About { path, reason }
        })
    }
}

/// A recording, open for reading.
#[derive(Debug)]
pub struct Recording {
    about: About,
    name: String,
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

impl Recording {
    /// Reads `NAME.mjpeg` and `NAME.toml`; `path` names either. Pictures are decoded later, one by one.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let about = About::read(path.with_extension("toml"))?;
        let path = path.with_extension("mjpeg");
        let bytes = read_at_most(&path, MAX_BYTES)?;
        let Some(parts) = split(&bytes) else {
            return Err(RecordingError::TooLarge { path, limit: MAX_FRAMES as u64, unit: "pictures" });
        };
        if !parts.iter().any(|part| part.whole) {
            return Err(RecordingError::Empty { path });
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { about, name, bytes, parts })
    }

    /// What is known of it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// File name without folder and extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many frames there are, damaged ones included.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is no frame; never so for a recording that was opened.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// When frame `index` was captured, the first at zero.
    pub fn captured(&self, index: usize) -> Uptime {
        Uptime::from_micros((index as f64 * 1e6 / self.about.fps).round() as u64)
    }

    /// Decodes frame `index` into `pixels` (RGB8), whose memory is used again. `None` after the last frame.
    pub fn decode_into(&self, index: usize, pixels: &mut Vec<u8>) -> Option<Result<FrameInfo, RecordingError>> {
        let part = self.parts.get(index)?;
        Some(self.decode_part(index, part, pixels))
    }

    /// All frames in their order, decoded one by one. A damaged one is an error, and the next one follows it.
    pub fn frames(&self) -> Frames<'_> {
        Frames { recording: self, next: 0 }
    }

    fn decode_part(&self, index: usize, part: &Part, pixels: &mut Vec<u8>) -> Result<FrameInfo, RecordingError> {
        let bytes = &self.bytes[part.range.clone()];
        if !part.whole {
            return Err(RecordingError::Frame { index, source: JpegError::Structure { bytes: bytes.len() } });
        }
        let size = decode(bytes, pixels).map_err(|source| RecordingError::Frame { index, source })?;
        let (width, height) = size;
        let wanted = (self.about.width, self.about.height);
        if size != wanted {
            return Err(RecordingError::Size { index, width, height, wanted });
        }
        Ok(FrameInfo { index, width, height, captured: self.captured(index) })
    }
}

/// A frame's place in its recording, its size and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Place in the recording, from 0.
    pub index: usize,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Time since the first frame.
    pub captured: Uptime,
}

/// A decoded frame, with its own pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// A frame's place in its recording, its size and its time.
    pub info: FrameInfo,
    /// RGB8, row-major.
    pub pixels: Vec<u8>,
}

impl Decoded {
    /// As all of Lintel takes it.
    pub fn frame(&self) -> Result<Frame<'_>, FrameError> {
        Frame::rgb8(&self.pixels, self.info.width, self.info.height, self.info.captured)
    }
}

/// The frames of a recording, in their order.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    recording: &'a Recording,
    next: usize,
}

impl Frames<'_> {
    /// Like `next`, but the pixels (RGB8) go into `pixels`, whose memory is used again.
    pub fn next_into(&mut self, pixels: &mut Vec<u8>) -> Option<Result<FrameInfo, RecordingError>> {
        let decoded = self.recording.decode_into(self.next, pixels)?;
        self.next += 1;
        Some(decoded)
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Decoded, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut pixels = Vec::new();
        Some(self.next_into(&mut pixels)?.map(|info| Decoded { info, pixels }))
    }
}

/// A recording that is being written, picture by picture.
#[derive(Debug)]
pub struct RecordingWriter {
    path: PathBuf,
    file: io::BufWriter<File>,
}

impl RecordingWriter {
    /// Starts `NAME.mjpeg` and writes `NAME.toml`; `path` names either. What stood there before is replaced.
    pub fn create(path: &Path, about: &About) -> Result<Self, RecordingError> {
        let about_path = path.with_extension("toml");
        let text = about.check().and_then(|()| toml::to_string(about).map_err(|error| error.to_string()));
        let text = text.map_err(|reason| RecordingError::About { path: about_path.clone(), reason })?;
        let failed = |source| RecordingError::Io { path: about_path.clone(), source };
        std::fs::write(&about_path, text).map_err(failed)?;
        let path = path.with_extension("mjpeg");
        let file = File::create(&path);
        let file = file.map_err(|source| RecordingError::Io { path: path.clone(), source })?;
        Ok(Self { path, file: io::BufWriter::new(file) })
    }

    /// Appends one picture, a whole JPEG file.
    pub fn push(&mut self, jpeg: &[u8]) -> Result<(), RecordingError> {
        self.file.write_all(jpeg).map_err(|source| RecordingError::Io { path: self.path.clone(), source })
    }

    /// Brings everything to the disk.
    pub fn finish(self) -> Result<(), RecordingError> {
        let Self { path, file } = self;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(|source| RecordingError::Io { path, source })
    }
}

/// The content of a file of at most `limit` bytes.
fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, RecordingError> {
    let failed = |source| RecordingError::Io { path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(RecordingError::TooLarge { path: path.into(), limit, unit: "bytes" });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
