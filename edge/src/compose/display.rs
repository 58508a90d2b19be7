//! `[display]` → the display.

use std::path::PathBuf;

use super::options::RunOptions;
use crate::config::DisplayKind;
use crate::io::display::panel::PanelDisplay;
use crate::io::display::png::{self, PngDisplay};
use crate::io::display::st7789::Wiring;
use crate::io::display::{Display, NoDisplay, framebuffer, ssd1306, st7789};

/// The display that the settings name. One that cannot be opened now is tried again whenever there is something to
/// show; only a folder that cannot be written is no display, and a warning.
#[must_use]
pub fn open(options: &RunOptions) -> Box<dyn Display> {
    let settings = options.config.display.clone();
    let words = describe(options);
    let device = device(options);
    match settings.kind {
        DisplayKind::None => Box::new(NoDisplay),
        DisplayKind::Png => match PngDisplay::new(&options.state.join("display"), settings.size, settings.history) {
            Ok(display) => Box::new(display),
            Err(e) => {
                tracing::warn!("display: {e}; the door goes on without it");
                Box::new(NoDisplay)
            }
        },
        DisplayKind::Ssd1306 => {
            let open = move || ssd1306::open(&device, settings.i2c_address);
            Box::new(PanelDisplay::new(words, Box::new(open)))
        }
        DisplayKind::St7789 => {
            let wiring = Wiring {
                data_command: settings.data_command,
                reset: settings.reset,
                hertz: settings.spi_mhz.saturating_mul(1_000_000),
            };
            Box::new(PanelDisplay::new(words, Box::new(move || st7789::open(&device, &wiring))))
        }
        DisplayKind::Framebuffer => Box::new(PanelDisplay::new(words, Box::new(move || framebuffer::open(&device)))),
    }
}

/// The bus or screen of the display that the settings name.
fn device(options: &RunOptions) -> PathBuf {
    let display = &options.config.display;
    let usual = match display.kind {
        DisplayKind::Ssd1306 => ssd1306::BUS,
        DisplayKind::St7789 => st7789::BUS,
        DisplayKind::Framebuffer => framebuffer::SCREEN,
        DisplayKind::Png | DisplayKind::None => "",
    };
    PathBuf::from(if display.device.is_empty() { usual } else { &display.device })
}

/// One line about the display that the settings name; opens nothing.
#[must_use]
pub fn describe(options: &RunOptions) -> String {
    let device = device(options);
    let device = device.display();
    match options.config.display.kind {
        DisplayKind::None => NoDisplay.describe(),
        DisplayKind::Png => png::describe(&options.state.join("display"), options.config.display.size),
        DisplayKind::Ssd1306 => format!("SSD1306, 128×64, on {device}"),
        DisplayKind::St7789 => format!("ST7789, 240×240, on {device}"),
        DisplayKind::Framebuffer => format!("framebuffer {device}"),
    }
}
