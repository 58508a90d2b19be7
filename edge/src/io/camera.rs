//! Pictures of what is before the door, into a buffer of the caller's, with the time when each was captured.

use std::path::PathBuf;

use lintel_core::door::CameraFault;
use lintel_core::frame::{Frame, FrameError};
use lintel_core::time::Uptime;

pub mod replay;
pub mod v4l2;

/// One picture in a buffer that is used again and again: packed RGB8, row-major.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Picture {
    /// `width * height * 3` bytes.
    pub pixels: Vec<u8>,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// When the camera saw it.
    pub captured: Uptime,
}

impl Picture {
    /// The picture as the data path takes it.
    ///
    /// # Errors
    /// When the size and the number of bytes do not belong together.
    pub fn frame(&self) -> Result<Frame<'_>, FrameError> {
        Frame::rgb8(&self.pixels, self.width, self.height, self.captured)
    }
}

/// What a camera had to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Captured {
    /// The caller's picture is filled.
    Picture,
    /// No picture is due yet: ask again. A camera that has a picture due and none to give says what the trouble is
    /// instead, and nothing waits in here for longer than a tenth of a second without saying so.
    Idle,
    /// There is no picture where one should be; the camera goes on trying. Recordings never say this.
    Trouble(Trouble),
    /// A recording begins; its first picture comes next. Real cameras never say this.
    Visit(Visit),
    /// There will be no more pictures. Real cameras never say this.
    End,
}

/// Who is about to come in a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visit {
    /// The recording's file name without extension.
    pub recording: String,
    /// What the recording says about itself; may be empty.
    pub label: String,
    /// When it begins: the capture time of its first picture, or a moment before.
    pub begins: Uptime,
}

/// What keeps a live camera from giving a picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What the door makes of it, at once ([`CameraFault::Gone`], [`CameraFault::Frozen`]) or when it lasts.
    pub fault: CameraFault,
    /// When it was noticed.
    pub at: Uptime,
    /// Which camera, and what its driver said.
    pub why: String,
}

/// Something that sees.
pub trait Camera: Send {
    /// One line for the installer: what it is, and which picture it gives.
    fn describe(&self) -> String;

    /// Waits for the next picture and fills `picture` with it; its buffers are used again, its old content is gone.
    ///
    /// # Errors
    /// When a recording cannot be played on; the run is over. What `picture` holds then is unspecified.
    fn capture(&mut self, picture: &mut Picture) -> Result<Captured, CameraError>;
}

/// A recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// A recording, or a folder of them, cannot be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A frame of a recording cannot be decoded.
    #[error("{}: frame {index} cannot be read ({source}); the recording was played up to there", path.display())]
    Frame {
        /// The file.
        path: PathBuf,
        /// Number of the frame, from 0.
        index: u64,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is nothing to play.
    #[error("{}: no recordings (NAME.mjpeg with NAME.toml beside it) in there", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}
