//! A [`Card`] → an ST7789 panel, 240×240 in colour, on SPI.

use std::fmt;
use std::path::Path;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{self, OutputPin};
use embedded_hal::spi::SpiDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{Delay, SpidevDevice};
use mipidsi::interface::{Interface, InterfaceKind};
use mipidsi::models::ST7789;
use mipidsi::options::ColorInversion;
use mipidsi::{Builder, InitError, NoResetPin};

use super::card::Card;
use super::draw::{self, Canvas};
use super::panel::{Panel, PanelError};
use crate::io::gpio::line::OutputLine;
use crate::io::gpio::{Active, Line as _, LineError};

/// The bus where nothing else is said.
pub const BUS: &str = "/dev/spidev0.0";

/// Pixels along each side.
const SIDE: u16 = 240;
/// What the kernel's SPI driver takes in one go.
const CHUNK: usize = 4096;

/// SPI and the line that tells commands from data, with a buffer of its own.
pub struct Bus<S, D> {
    spi: S,
    data_command: D,
    buffer: Vec<u8>,
}

impl<S: SpiDevice, D: OutputPin> Bus<S, D> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), PanelError> {
        self.spi.write(bytes).map_err(|e| refused("SPI", &e))
    }

    fn flush(&mut self) -> Result<(), PanelError> {
        let sent = self.spi.write(&self.buffer).map_err(|e| refused("SPI", &e));
        self.buffer.clear();
        sent
    }
}

impl<S: SpiDevice, D: OutputPin> Interface for Bus<S, D> {
    type Word = u8;
    type Error = PanelError;

    const KIND: InterfaceKind = InterfaceKind::Serial4Line;

    fn send_command(&mut self, command: u8, args: &[u8]) -> Result<(), PanelError> {
        let line = |e: D::Error| refused("data/command line", &e);
        self.data_command.set_low().map_err(line)?;
        self.write(&[command])?;
        self.data_command.set_high().map_err(line)?;
        if args.is_empty() { Ok(()) } else { self.write(args) }
    }

    fn send_pixels<const N: usize>(&mut self, pixels: impl IntoIterator<Item = [u8; N]>) -> Result<(), PanelError> {
        for pixel in pixels {
            self.buffer.extend(pixel);
            if self.buffer.len() + N > CHUNK {
                self.flush()?;
            }
        }
        if self.buffer.is_empty() { Ok(()) } else { self.flush() }
    }

    fn send_repeated_pixel<const N: usize>(&mut self, pixel: [u8; N], count: u32) -> Result<(), PanelError> {
        self.send_pixels((0..count).map(|_| pixel))
    }
}

/// A panel on any SPI bus.
pub struct St7789Panel<S: SpiDevice, D: OutputPin> {
    panel: mipidsi::Display<Bus<S, D>, ST7789, NoResetPin>,
    canvas: Canvas<Rgb565>,
}

impl<S: SpiDevice, D: OutputPin> St7789Panel<S, D> {
    /// Resets the panel by its command, and sets it up.
    ///
    /// # Errors
    /// What bus or line said. A panel itself never answers.
    pub fn set_up(spi: S, data_command: D, delay: &mut impl DelayNs) -> Result<Self, PanelError> {
        let bus = Bus { spi, data_command, buffer: Vec::with_capacity(CHUNK) };
        let (width, height) = (SIDE, SIDE);
        // These panels are wired so that inverted is right.
        let builder = Builder::new(ST7789, bus).display_size(width, height).invert_colors(ColorInversion::Inverted);
        let panel = builder.init(delay).map_err(|e| match e {
            InitError::Interface(e) => e,
            other => refused("panel", &other),
        })?;
        Ok(Self { panel, canvas: Canvas::new(draw::COLOUR, Rgb565::BLACK) })
    }
}

impl<S: SpiDevice + Send, D: OutputPin + Send> Panel for St7789Panel<S, D> {
    fn draw(&mut self, card: &Card) -> Result<(), PanelError> {
        let Ok(()) = draw::colour(card, &mut self.canvas);
        self.panel.set_pixels(0, 0, SIDE - 1, SIDE - 1, self.canvas.pixels().iter().copied())
    }
}

/// Where a panel is wired to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wiring {
    /// The line that tells commands from data.
    pub data_command: String,
    /// The reset line; empty: wired to the board's own.
    pub reset: String,
    /// Clock of the bus.
    pub hertz: u32,
}

/// Names the line that an error is about.
fn on(role: &'static str) -> impl Fn(LineError) -> PanelError {
    move |source| PanelError::Line { role, source }
}

fn refused(bus: &'static str, error: &dyn fmt::Debug) -> PanelError {
    PanelError::Bus { bus, why: format!("{error:?}") }
}

/// Opens the bus of the kernel's at `path`, and the panel on it.
///
/// # Errors
/// When bus or lines are not there or may not be used.
pub fn open(path: &Path, wiring: &Wiring) -> Result<Box<dyn Panel>, PanelError> {
    let hint = "is SPI enabled, and the user in the group `spi`?";
    let mut spi = SpidevDevice::open(path).map_err(|e| PanelError::Open { source: Box::new(e), hint })?;
    let options =
        SpidevOptions::new().bits_per_word(8).max_speed_hz(wiring.hertz).mode(SpiModeFlags::SPI_MODE_0).build();
    spi.0.configure(&options).map_err(|e| PanelError::Open { source: Box::new(e), hint })?;
    let data_command = OutputLine::take(&wiring.data_command, Active::High).map_err(on("data/command"))?;
    let mut reset = (!wiring.reset.is_empty())
        .then(|| OutputLine::take(&wiring.reset, Active::Low))
        .transpose()
        .map_err(on("reset"))?;
    if let Some(reset) = &mut reset {
        // The controller wants 10 µs of reset and is back after 120 ms at most (ST7789V, 7.4.5).
        reset.set(true).map_err(on("reset"))?;
        Delay.delay_ms(1);
        reset.set(false).map_err(on("reset"))?;
        Delay.delay_ms(120);
    }
    let panel = St7789Panel::set_up(spi, DataCommand(data_command), &mut Delay)?;
    Ok(Box::new(Wired { panel, _reset: reset }))
}

/// A panel, and the reset line that must not be let go while it is used.
struct Wired {
    panel: St7789Panel<SpidevDevice, DataCommand>,
    _reset: Option<OutputLine>,
}

impl Panel for Wired {
    fn draw(&mut self, card: &Card) -> Result<(), PanelError> {
        self.panel.draw(card)
    }
}

/// A line as `embedded-hal` sees it.
struct DataCommand(OutputLine);

/// What the kernel said of a line, as drivers show it.
struct DriverError(LineError);

impl fmt::Debug for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl digital::Error for DriverError {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

impl digital::ErrorType for DataCommand {
    type Error = DriverError;
}

impl OutputPin for DataCommand {
    fn set_low(&mut self) -> Result<(), DriverError> {
        self.0.set(false).map_err(DriverError)
    }

    fn set_high(&mut self) -> Result<(), DriverError> {
        self.0.set(true).map_err(DriverError)
    }
}
