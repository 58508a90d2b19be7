//! A [`Card`] → an SSD1306 panel, 128×64 in one bit, on I²C.

use std::path::Path;

use embedded_graphics::pixelcolor::BinaryColor;
use embedded_hal::i2c::I2c;
use linux_embedded_hal::I2cdev;
use ssd1306::mode::{BufferedGraphicsMode, DisplayConfig};
use ssd1306::prelude::{DisplayRotation, I2CInterface};
use ssd1306::size::DisplaySize128x64;
use ssd1306::{I2CDisplayInterface, Ssd1306};

use super::card::Card;
use super::draw::{self, Canvas};
use super::panel::{Panel, PanelError};

/// The bus where nothing else is said.
pub const BUS: &str = "/dev/i2c-1";

/// A panel on any I²C bus.
pub struct Ssd1306Panel<I> {
    panel: Ssd1306<I2CInterface<I>, DisplaySize128x64, BufferedGraphicsMode<DisplaySize128x64>>,
    canvas: Canvas<BinaryColor>,
}

impl<I: I2c> Ssd1306Panel<I> {
    /// Sets up the panel at this address, and clears it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn set_up(bus: I, address: u8) -> Result<Self, PanelError> {
        let interface = I2CDisplayInterface::new_custom_address(bus, address);
        let mut panel =
            Ssd1306::new(interface, DisplaySize128x64, DisplayRotation::Rotate0).into_buffered_graphics_mode();
        panel.init().map_err(|e| PanelError::Silent { address, why: format!("{e:?}") })?;
        Ok(Self { panel, canvas: Canvas::new(draw::MONO, BinaryColor::Off) })
    }
}

/// Opens the bus of the kernel's at `path`, and the panel on it.
///
/// # Errors
/// When there is no such bus, it may not be used, or no panel answers.
pub fn open(path: &Path, address: u8) -> Result<Box<dyn Panel>, PanelError> {
    let bus = I2cdev::new(path).map_err(|e| PanelError::Open {
        source: Box::new(e),
        hint: "is I²C enabled, and the user in the group `i2c`?",
    })?;
    Ok(Box::new(Ssd1306Panel::set_up(bus, address)?))
}

impl<I: I2c + Send> Panel for Ssd1306Panel<I> {
    fn draw(&mut self, card: &Card) -> Result<(), PanelError> {
        let Ok(()) = draw::mono(card, &mut self.canvas);
        // Every pixel is set, so that all of them are sent: what a brown-out or a bad contact did to the panel's memory
        // is healed by the next screen.
        let (width, pixels) = (draw::MONO.width, self.canvas.pixels());
        for (at, pixel) in (0..).zip(pixels) {
            self.panel.set_pixel(at % width, at / width, pixel.is_on());
        }
        self.panel.flush().map_err(|e| PanelError::Bus { bus: "I²C", why: format!("{e:?}") })
    }
}
