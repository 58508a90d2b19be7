//! A [`Card`] → a screen of Linux (`/dev/fb0`), scaled up by a whole number and centred.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;

use super::card::Card;
use super::draw::{self, Canvas};
use super::panel::{Panel, PanelError};

/// The screen where nothing else is said.
pub const SCREEN: &str = "/dev/fb0";

/// Greatest side of a screen, in pixels; a larger one is a driver that says nonsense.
const MAX_SIDE: u32 = 16_384;

/// Where a colour is in a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    /// Place of its lowest bit.
    pub offset: u32,
    /// Number of its bits.
    pub bits: u32,
}

/// What a screen is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// Visible pixels in a row.
    pub width: u32,
    /// Visible rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Bits of a pixel: 16, 24 or 32.
    pub depth: u32,
    /// Where red, green and blue are.
    pub channels: [Channel; 3],
}

/// Why Lintel cannot draw on a screen.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The path names no device.
    #[error("is no device")]
    NoDevice,
    /// The device is no framebuffer.
    #[error("is no framebuffer: {0}")]
    NoFramebuffer(#[source] io::Error),
    /// The kernel's file with the length of a row cannot be read.
    #[error("{}: {source}", path.display())]
    StrideFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The kernel's file with the length of a row holds no number.
    #[error("{}: is no number", .0.display())]
    StrideText(PathBuf),
    /// A pixel has another number of bits.
    #[error("{0} bits a pixel, wanted 16, 24 or 32")]
    Depth(u32),
    /// It is empty or too large.
    #[error("{width}x{height} pixels, wanted 1 to {MAX_SIDE} per side")]
    Side {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Rows are too short for their pixels, or too long.
    #[error("rows of {stride} bytes for {width} pixels of {depth} bits")]
    Stride {
        /// Bytes from one row to the next.
        stride: u32,
        /// Pixels in a row.
        width: u32,
        /// Bits of a pixel.
        depth: u32,
    },
    /// A colour has no bits, too many, or bits outside of the pixel.
    #[error("colours at {channels:?} of {depth} bits")]
    Channels {
        /// Red, green and blue.
        channels: [Channel; 3],
        /// Bits of a pixel.
        depth: u32,
    },
}

impl Form {
    /// Whether Lintel can draw on it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), FormError> {
        let Self { width, height, stride, depth, channels } = *self;
        if !matches!(depth, 16 | 24 | 32) {
            return Err(FormError::Depth(depth));
        }
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(FormError::Side { width, height });
        }
        if stride < width * depth / 8 || stride > MAX_SIDE * 8 {
            return Err(FormError::Stride { stride, width, depth });
        }
        let inside =
            |c: &Channel| (1..=8).contains(&c.bits) && c.offset.checked_add(c.bits).is_some_and(|end| end <= depth);
        if channels.iter().all(inside) { Ok(()) } else { Err(FormError::Channels { channels, depth }) }
    }

    fn pixel(&self, colour: Rgb565) -> u32 {
        // Five and six bits become eight so that full stays full, and eight what the screen has.
        let wide = |value: u8, bits: u32| u32::from((value << (8 - bits)) | (value >> (2 * bits - 8)));
        let channels = [wide(colour.r(), 5), wide(colour.g(), 6), wide(colour.b(), 5)];
        let placed = channels.iter().zip(self.channels).map(|(value, c)| value >> (8 - c.bits) << c.offset);
        placed.fold(0, |pixel, part| pixel | part)
    }

    /// The bytes of the whole screen: the picture scaled up by the greatest whole number that fits, in the middle of its
    /// own background.
    #[must_use]
    pub fn render(&self, picture: &Canvas<Rgb565>) -> Vec<u8> {
        let Size { width, height } = picture.size();
        let scale = (self.width / width).min(self.height / height).max(1);
        let (left, top) =
            (self.width.saturating_sub(width * scale) / 2, self.height.saturating_sub(height * scale) / 2);
        let pixels = picture.pixels();
        let ground = pixels.last().copied().unwrap_or(Rgb565::BLACK);
        let bytes = self.depth as usize / 8;
        let mut screen = vec![0; self.stride as usize * self.height as usize];
        for (y, row) in (0..self.height).zip(screen.chunks_exact_mut(self.stride as usize)) {
            for (x, out) in (0..self.width).zip(row.chunks_exact_mut(bytes)) {
                let at = |of: u32, from: u32, side: u32| of.checked_sub(from).map(|d| d / scale).filter(|d| *d < side);
                let source = at(x, left, width).zip(at(y, top, height));
                let colour = source.map_or(ground, |(x, y)| pixels[(y * width + x) as usize]);
                out.copy_from_slice(&self.pixel(colour).to_le_bytes()[..bytes]);
            }
        }
        screen
    }
}

/// A screen that is open.
struct Framebuffer {
    file: File,
    form: Form,
    canvas: Canvas<Rgb565>,
}

/// Opens the screen at `path`, with the kernel's description of it from sysfs.
///
/// # Errors
/// When there is no such screen, it may not be used, or is like none that Lintel can draw on.
pub fn open(path: &Path) -> Result<Box<dyn Panel>, PanelError> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| PanelError::Open {
        source: Box::new(e),
        hint: "is a screen connected, and the user in the group `video`?",
    })?;
    let form = read_form(path, &file)?;
    form.check()?;
    Ok(Box::new(Framebuffer { file, form, canvas: Canvas::new(draw::COLOUR, Rgb565::BLACK) }))
}

impl Panel for Framebuffer {
    fn draw(&mut self, card: &Card) -> Result<(), PanelError> {
        let Ok(()) = draw::colour(card, &mut self.canvas);
        self.file.write_all_at(&self.form.render(&self.canvas), 0).map_err(PanelError::Write)
    }
}

fn read_form(path: &Path, file: &File) -> Result<Form, FormError> {
    // `struct fb_var_screeninfo` is forty words: xres, yres, …, bits_per_pixel, grayscale, then three words for each
    // colour: offset, length, msb_right.
    let words = screen_info(file).map_err(|e| FormError::NoFramebuffer(e.into()))?;
    let channel = |at: usize| Channel { offset: words[at], bits: words[at + 1] };
    // The length of a row is in another structure of the kernel's, and in a file.
    let name = path.file_name().ok_or(FormError::NoDevice)?;
    let stride_file = Path::new("/sys/class/graphics").join(name).join("stride");
    let read = fs::read_to_string(&stride_file);
    let stride = read.map_err(|source| FormError::StrideFile { path: stride_file.clone(), source })?;
    let stride = stride.trim().parse().map_err(|_| FormError::StrideText(stride_file))?;
    let channels = [channel(8), channel(11), channel(14)];
    Ok(Form { width: words[0], height: words[1], stride, depth: words[6], channels })
}

#[expect(unsafe_code, reason = "the kernel tells where the colours are by an ioctl only")]
fn screen_info(file: &File) -> Result<[u32; 40], rustix::io::Errno> {
    /// `FBIOGET_VSCREENINFO`
    const GET: rustix::ioctl::Opcode = 0x4600;
    // SAFETY: the ioctl fills a `struct fb_var_screeninfo`, which is these forty words, on any framebuffer; any other
    // file refuses it.
    unsafe { rustix::ioctl::ioctl(file.as_fd(), rustix::ioctl::Getter::<GET, [u32; 40]>::new()) }
}
