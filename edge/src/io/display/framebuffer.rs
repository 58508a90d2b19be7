//! A [`Card`] → a screen of Linux (`/dev/fb0`), scaled up by a whole number and centred.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;

use super::card::Card;
use super::draw::{self, Canvas};
use super::form::{Channel, Form, FormError};
use super::panel::{Panel, PanelError};

/// The screen where nothing else is said.
pub const SCREEN: &str = "/dev/fb0";

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
