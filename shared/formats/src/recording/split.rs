//! JPEG pictures one after another → where each begins and ends.
//!
//! The end of a picture is found by walking its segments: looking for the end marker FF D9 alone would stop at that
//! of a thumbnail inside the picture.

use std::ops::Range;

use super::MAX_FRAMES;

const START: [u8; 3] = [0xff, 0xd8, 0xff];

/// A stretch of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its bytes.
    pub range: Range<usize>,
    /// Whether its segments lead from a picture's start to its end. Otherwise it is a damaged picture, or bytes that
    /// are none.
    pub whole: bool,
}

/// Cuts `bytes` into pictures; no byte is left out. After a damaged one, the next start marker is where reading goes
/// on. `None` if there are more than [`MAX_FRAMES`] parts.
pub fn split(bytes: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut from = 0;
    while from < bytes.len() {
        if parts.len() == MAX_FRAMES {
            return None;
        }
        let (to, whole) = match Walk::picture(&bytes[from..]) {
            Ok(len) => (from + len, true),
            Err(sure) => (next_start(bytes, from + sure.max(1)), false),
        };
        parts.push(Part { range: from..to, whole });
        from = to;
    }
    Some(parts)
}

/// The whole picture that `bytes` begin with, without what follows it. `None`: it is cut short, or none.
#[must_use]
pub fn picture(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..Walk::picture(bytes).ok()?)
}

/// Where the next picture starts, from `from` on; the end if there is none.
fn next_start(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(START.len()).position(|window| window == START).map_or(bytes.len(), |at| from + at)
}

/// A way through the segments of one picture.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Everything before this belongs to the picture, even if it turns out to be damaged: a segment that was cut off
    /// may have swallowed the start of the next picture.
    sure: usize,
}

impl Walk<'_> {
    /// The length of the picture at the start of `bytes`, or from where on the next one may start.
    fn picture(bytes: &[u8]) -> Result<usize, usize> {
        let mut walk = Walk { bytes, at: 0, sure: 0 };
        walk.segments().ok_or(walk.sure)
    }

    /// From the start marker to behind the end marker. `None`: no further than `self.sure`.
    fn segments(&mut self) -> Option<usize> {
        if self.bytes.get(..START.len())? != START {
            return None;
        }
        self.at = 2;
        loop {
            match self.marker()? {
                // End of the picture.
                0xd9 => return Some(self.at),
                // Markers without content: restarts, which belong into a scan but do no harm, and TEM.
                0xd0..=0xd7 | 0x01 => {}
                // Start of a scan: a header, and then compressed data up to the next marker.
                0xda => {
                    self.content()?;
                    self.compressed()?;
                    self.sure = self.at;
                }
                // A second start, and codes that are none.
                0xd8 | 0x00 => return None,
                _ => self.content()?,
            }
        }
    }

    /// FF, any number of times, and then the marker's code.
    fn marker(&mut self) -> Option<u8> {
        if *self.bytes.get(self.at)? != 0xff {
            return None;
        }
        while *self.bytes.get(self.at)? == 0xff {
            self.at += 1;
        }
        self.at += 1;
        self.bytes.get(self.at - 1).copied()
    }

    /// Two bytes of length, which count themselves, and the content.
    fn content(&mut self) -> Option<()> {
        self.sure = self.at;
        let length = self.bytes.get(self.at..self.at + 2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length < 2 || self.at + length > self.bytes.len() {
            return None;
        }
        self.at += length;
        Some(())
    }

    /// Goes to the next marker that is not a restart. In compressed data, FF 00 stands for the byte FF.
    fn compressed(&mut self) -> Option<()> {
        loop {
            let Some(ahead) = self.bytes[self.at..].iter().position(|&byte| byte == 0xff) else {
                self.at = self.bytes.len();
                return None;
            };
            self.at += ahead;
            match self.bytes.get(self.at + 1)? {
                0x00 | 0xd0..=0xd7 => self.at += 2,
                0xff => self.at += 1,
                _ => return Some(()),
            }
        }
    }
}
