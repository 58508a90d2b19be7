//! A device node → a stream of frames as the driver gives them, through crate `v4l`.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use v4l::buffer::{Flags as BufferFlags, Metadata, Type};
use v4l::capability::Flags as Capability;
use v4l::device::Handle;
use v4l::format::{Colorspace, FourCC, Quantization};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::prelude::MmapStream;
use v4l::video::Capture;
use v4l::{Device, Format, Fraction, Timestamp};

use super::mode::{Mode, Wanted, choose};
use super::pixels::{Layout, LayoutError, Packing, Range};
use super::{Delivery, Raw};
use crate::io::clock::monotonic;

/// Buffers that the driver is asked for: one in our hands, the others being filled.
const BUFFERS: u32 = 4;

/// A node that streams.
pub struct Node {
    stream: MmapStream<'static>,
    layout: Layout,
    words: String,
}

/// What a node can do.
#[derive(Clone, PartialEq, Debug)]
pub struct Abilities {
    /// What the driver calls the card.
    pub card: String,
    /// What Lintel could take.
    pub modes: Vec<Mode>,
}

/// Why a node is no camera that Lintel could use.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// This user may not open it.
    #[error("{0}: add the user to the group `video`")]
    Permission(#[source] io::Error),
    /// It streams for somebody else; it may be free later.
    #[error("{0}: another program uses it")]
    Busy(#[source] io::Error),
    /// It is a file of another kind.
    #[error("is no video device: {0}")]
    NoVideo(#[source] io::Error),
    /// It is an output, a metadata node, or a loopback that nothing feeds.
    #[error("{card} does not capture (or nothing feeds it)")]
    NoCapture {
        /// What the driver calls the card.
        card: String,
    },
    /// None of its pixel formats is one of [`Packing::ALL`].
    #[error("{card} offers [{}], wanted YUYV, NV12, MJPG or GREY", offered.join(", "))]
    NoFormat {
        /// What the driver calls the card.
        card: String,
        /// Four-character codes.
        offered: Vec<String>,
    },
    /// It lists no sizes.
    #[error("offers no mode")]
    NoMode,
    /// It lists a mode and does not take it.
    #[error("refuses its own mode {mode:?}: {source}")]
    Mode {
        /// The mode that was asked for.
        mode: Mode,
        /// What the driver said.
        source: io::Error,
    },
    /// It took another pixel format than it was told.
    #[error("took {0} instead")]
    Format(FourCC),
    /// The sizes that it says do not belong together.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Waiting and taking need two buffers.
    #[error("gives a single buffer, wanted at least two")]
    SingleBuffer,
    /// Crate `v4l` panics over what it says.
    #[error("the driver says something that v4l does not understand")]
    Confused,
    /// It is gone, or the driver refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What the node at `path` can do.
///
/// # Errors
/// Why it is no camera that Lintel could use.
pub fn abilities(path: &Path, wanted: Wanted) -> Result<Abilities, DeviceError> {
    guarded(|| {
        let device = open(path)?;
        read_abilities(&device, wanted)
    })
}

impl Node {
    /// Opens the node and begins to stream in the mode that is nearest to what is wanted.
    ///
    /// # Errors
    /// What the driver said, in words.
    pub fn start(path: &Path, wanted: Wanted) -> Result<Self, DeviceError> {
        guarded(|| Self::start_unguarded(path, wanted))
    }

    fn start_unguarded(path: &Path, wanted: Wanted) -> Result<Self, DeviceError> {
        let device = open(path)?;
        let Abilities { card, modes } = read_abilities(&device, wanted)?;
        let mode = choose(&modes, wanted).ok_or(DeviceError::NoMode)?;
        let format = Format::new(mode.width, mode.height, FourCC::new(&mode.packing.fourcc()));
        let format = device.set_format(&format).map_err(|source| DeviceError::Mode { mode, source })?;
        let packing = Packing::from_fourcc(format.fourcc.repr).ok_or(DeviceError::Format(format.fourcc))?;
        let full = match (format.quantization, format.colorspace) {
            (Quantization::FullRange, _) | (Quantization::Default, Colorspace::JPEG) => true,
            (Quantization::Default | Quantization::LimitedRange, _) => packing == Packing::Grey,
        };
        let range = if full { Range::Full } else { Range::Limited };
        let layout = Layout { packing, width: format.width, height: format.height, stride: format.stride, range };
        layout.check()?;
        // Not every driver can be told a rate; it says then which one it has.
        let parameters = v4l::video::capture::Parameters::with_fps(wanted.fps);
        let fps = device.set_params(&parameters).ok().and_then(|got| rate(got.interval));
        let fps = fps.map_or_else(String::new, |fps| format!(" at {fps:.0} a second"));
        let words = format!("{card} ({}), {}×{} {packing:?}{fps}", path.display(), layout.width, layout.height);
        let mut stream = MmapStream::with_buffers(&device, Type::VideoCapture, BUFFERS).map_err(busy)?;
        // `next` queues buffer 0 before it takes the first frame; the others are queued here, so that waiting and
        // taking can be two steps from the first frame on. A driver may give fewer than it was asked for.
        let queued =
            (1..BUFFERS as usize).take_while(|index| CaptureStream::queue(&mut stream, *index).is_ok()).count();
        if queued == 0 {
            return Err(DeviceError::SingleBuffer);
        }
        stream.start().map_err(busy)?;
        // Only a frame that is there is taken; this bound is for drivers that wake up for nothing.
        stream.set_timeout(Duration::from_millis(50));
        Ok(Self { stream, layout, words })
    }
}

impl Delivery for Node {
    fn describe(&self) -> &str {
        &self.words
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn next(&mut self, patience: Duration, take: &mut dyn FnMut(Raw<'_>)) -> io::Result<bool> {
        if !polled(&self.stream.handle(), patience)? {
            return Ok(false);
        }
        newest(&mut self.stream, BUFFERS, |bytes, metadata| {
            let used = (metadata.bytesused as usize).min(bytes.len());
            let damaged = metadata.flags.contains(BufferFlags::ERROR);
            take(Raw { bytes: &bytes[..used], damaged, age: age(metadata) });
        })?;
        Ok(true)
    }
}

/// What a driver has filled and nobody has taken yet.
trait Queue {
    /// By this it is known what waits, also while a buffer is taken.
    type Signal;

    /// Gives back the buffer that was taken before, and takes the oldest.
    fn take(&mut self) -> io::Result<(&[u8], &Metadata)>;

    /// The queue's own.
    fn signal(&self) -> Self::Signal;

    /// Whether another one waits.
    fn waits(signal: &Self::Signal) -> io::Result<bool>;
}

impl Queue for MmapStream<'static> {
    type Signal = Arc<Handle>;

    fn take(&mut self) -> io::Result<(&[u8], &Metadata)> {
        CaptureStream::next(self)
    }

    fn signal(&self) -> Arc<Handle> {
        self.handle()
    }

    fn waits(signal: &Arc<Handle>) -> io::Result<bool> {
        polled(signal, Duration::ZERO)
    }
}

/// Hands over the newest of at most `buffers` frames that wait, and at least one: a camera that is faster than whoever
/// takes its frames would otherwise be behind by all its buffers for ever.
fn newest<Q: Queue>(queue: &mut Q, buffers: u32, hand_over: impl FnOnce(&[u8], &Metadata)) -> io::Result<()> {
    let signal = queue.signal();
    for taken in 1.. {
        let (bytes, metadata) = queue.take()?;
        if taken >= buffers || !Q::waits(&signal)? {
            hand_over(bytes, metadata);
            break;
        }
    }
    Ok(())
}

/// Whether a frame is there within `patience`.
fn polled(handle: &Handle, patience: Duration) -> io::Result<bool> {
    let millis = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    match handle.poll(POLLIN, millis) {
        Ok(events) => Ok(events != 0),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(e) => Err(e),
    }
}

/// `POLLIN` of Linux, on every architecture.
const POLLIN: i16 = 1;

/// How long ago the frame was taken; nothing where the driver does not tell by the monotonic clock.
fn age(metadata: &Metadata) -> Duration {
    if !metadata.flags.contains(BufferFlags::TIMESTAMP_MONOTONIC) {
        return Duration::ZERO;
    }
    let Timestamp { sec, usec } = metadata.timestamp;
    let micros = sec.saturating_mul(1_000_000).saturating_add(usec);
    monotonic().saturating_sub(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
}

fn open(path: &Path) -> Result<Device, DeviceError> {
    Device::with_path(path).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => DeviceError::Permission(e),
        _ => DeviceError::Io(e),
    })
}

fn busy(e: io::Error) -> DeviceError {
    if e.kind() == io::ErrorKind::ResourceBusy { DeviceError::Busy(e) } else { DeviceError::Io(e) }
}

fn read_abilities(device: &Device, wanted: Wanted) -> Result<Abilities, DeviceError> {
    let capabilities = device.query_caps().map_err(DeviceError::NoVideo)?;
    let needed = Capability::VIDEO_CAPTURE | Capability::STREAMING;
    if !capabilities.capabilities.contains(needed) {
        return Err(DeviceError::NoCapture { card: capabilities.card });
    }
    let mut modes = Vec::new();
    let mut others = Vec::new();
    for format in device.enum_formats()? {
        match Packing::from_fourcc(format.fourcc.repr) {
            Some(packing) => modes.extend(modes_of(device, format.fourcc, packing, wanted)),
            None => others.push(format.fourcc.to_string()),
        }
    }
    if modes.is_empty() {
        return Err(DeviceError::NoFormat { card: capabilities.card, offered: others });
    }
    Ok(Abilities { card: capabilities.card, modes })
}

fn modes_of(device: &Device, fourcc: FourCC, packing: Packing, wanted: Wanted) -> Vec<Mode> {
    // A driver that does not list sizes takes the one that it is told, or its nearest.
    let Ok(sizes) = device.enum_framesizes(fourcc) else {
        return vec![Mode { packing, width: wanted.width, height: wanted.height, fps: None }];
    };
    sizes
        .into_iter()
        .map(|size| match size.size {
            FrameSizeEnum::Discrete(size) => (size.width, size.height),
            FrameSizeEnum::Stepwise(steps) => (
                nearest_step(wanted.width, steps.min_width, steps.max_width, steps.step_width),
                nearest_step(wanted.height, steps.min_height, steps.max_height, steps.step_height),
            ),
        })
        .map(|(width, height)| Mode { packing, width, height, fps: fastest(device, fourcc, width, height) })
        .collect()
}

/// The least value from `min` in steps of `step` that is at least `wanted`, or the greatest there is.
fn nearest_step(wanted: u32, min: u32, max: u32, step: u32) -> u32 {
    let steps = wanted.saturating_sub(min).div_ceil(step.max(1));
    min.saturating_add(steps.saturating_mul(step.max(1))).min(max)
}

fn fastest(device: &Device, fourcc: FourCC, width: u32, height: u32) -> Option<f32> {
    let intervals = device.enum_frameintervals(fourcc, width, height).ok()?;
    let rates = intervals.into_iter().filter_map(|interval| match interval.interval {
        FrameIntervalEnum::Discrete(interval) => rate(interval),
        FrameIntervalEnum::Stepwise(steps) => rate(steps.min),
    });
    rates.max_by(f32::total_cmp)
}

/// Seconds a frame → frames a second.
fn rate(interval: Fraction) -> Option<f32> {
    let fps = interval.denominator as f32 / interval.numerator as f32;
    (fps.is_finite() && fps > 0.0).then_some(fps)
}

/// `v4l` panics over drivers that say what it does not know (a card name that is no UTF-8, a new colour space): that
/// is a camera that cannot be used, not a program that is broken.
fn guarded<T>(work: impl FnOnce() -> Result<T, DeviceError>) -> Result<T, DeviceError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(DeviceError::Confused))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Numbered frames; a new one comes with every `every`-th that is taken.
    struct Frames {
        waiting: Rc<Cell<u8>>,
        next: [u8; 1],
        metadata: Metadata,
        every: Option<u8>,
    }

    impl Queue for Frames {
        type Signal = Rc<Cell<u8>>;

        fn take(&mut self) -> io::Result<(&[u8], &Metadata)> {
            let left = self.waiting.get().checked_sub(1).ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))?;
            self.next[0] += 1;
            let comes = self.every.is_some_and(|every| self.next[0].is_multiple_of(every));
            self.waiting.set(left + u8::from(comes));
            Ok((&self.next, &self.metadata))
        }

        fn signal(&self) -> Rc<Cell<u8>> {
            Rc::clone(&self.waiting)
        }

        fn waits(signal: &Rc<Cell<u8>>) -> io::Result<bool> {
            Ok(signal.get() > 0)
        }
    }

    #[test]
    fn the_newest_frame_counts() {
        let check = |waiting: u8, every: Option<u8>, expected: &[u8]| {
            let metadata = Metadata::default();
            let mut frames = Frames { waiting: Rc::new(Cell::new(waiting)), next: [0], metadata, every };
            let mut seen = Vec::new();
            while frames.waiting.get() > 0 && seen.len() < 4 {
                newest(&mut frames, 4, |bytes, _| seen.push(bytes[0])).expect("a frame waits");
            }
            assert_eq!(seen, expected, "{waiting} wait, one more after each {every:?}");
        };
        check(1, None, &[1]);
        check(4, None, &[4]);
        // While these were passed over, others came: after so many buffers the last one is handed over, even if more
        // wait.
        check(6, None, &[4, 6]);
        check(3, Some(1), &[4, 8, 12, 16]);
        check(2, Some(2), &[3]);
    }

    #[test]
    fn steps() {
        let check = |wanted, (min, max, step), expected| assert_eq!(nearest_step(wanted, min, max, step), expected);
        check(640, (2, 8192, 1), 640);
        check(640, (16, 1920, 16), 640);
        check(641, (16, 1920, 16), 656);
        check(640, (1280, 1920, 8), 1280);
        check(640, (2, 320, 2), 320);
        check(640, (2, 8192, 0), 640);
        check(u32::MAX, (2, u32::MAX, u32::MAX), u32::MAX);
    }

    #[test]
    fn what_is_no_camera_is_refused_in_words() {
        let wanted = Wanted { width: 640, height: 480, fps: 30 };
        let check = |path: &str, part: &str| {
            let error = abilities(Path::new(path), wanted).unwrap_err().to_string();
            assert!(error.contains(part), "{path}: {error}");
            assert!(Node::start(Path::new(path), wanted).is_err());
        };
        check("/dev/null", "is no video device");
        check("/dev/no-such-node", "No such file");
    }
}
