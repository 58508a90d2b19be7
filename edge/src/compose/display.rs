//! `[display]` → the display.

use std::path::PathBuf;

use super::options::RunOptions;
use crate::config::{DisplayKind, Size};
use crate::io::display::panel::PanelDisplay;
use crate::io::display::png::{self, PngDisplay};
use crate::io::display::st7789::Wiring;
use crate::io::display::{Display, NoDisplay, framebuffer, ssd1306, st7789};

/// The display that the settings ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DisplayPlan {
    /// None.
    Nothing,
    /// Pictures in a folder.
    Png {
        /// The folder.
        dir: PathBuf,
        /// Size and depth.
        size: Size,
        /// Pictures that are kept.
        history: u32,
    },
    /// A one-bit panel on I²C.
    Ssd1306 {
        /// Device file of the I²C bus.
        bus: PathBuf,
        /// The panel's address on it.
        address: u8,
    },
    /// A colour panel on SPI.
    St7789 {
        /// Device file of the SPI bus.
        bus: PathBuf,
        /// Its lines and its clock.
        wiring: Wiring,
    },
    /// A screen of Linux.
    Framebuffer(PathBuf),
}

/// What `[display]` asks for; opens nothing.
#[must_use]
pub fn plan(options: &RunOptions) -> DisplayPlan {
    let settings = &options.config.display;
    let device = |usual: &str| PathBuf::from(if settings.device.is_empty() { usual } else { &settings.device });
    match settings.kind {
        DisplayKind::None => DisplayPlan::Nothing,
        DisplayKind::Png => {
            DisplayPlan::Png { dir: options.state.join("display"), size: settings.size, history: settings.history }
        }
        DisplayKind::Ssd1306 => DisplayPlan::Ssd1306 { bus: device(ssd1306::BUS), address: settings.i2c_address },
        DisplayKind::St7789 => DisplayPlan::St7789 {
            bus: device(st7789::BUS),
            wiring: Wiring {
                data_command: settings.data_command.clone(),
                reset: settings.reset.clone(),
                hertz: settings.spi_mhz.saturating_mul(1_000_000),
            },
        },
        DisplayKind::Framebuffer => DisplayPlan::Framebuffer(device(framebuffer::SCREEN)),
    }
}

/// The display of a plan. A panel that cannot be opened now is opened again whenever there is something to show; a
/// folder that cannot be written is logged, and nothing is shown.
#[must_use]
pub fn open(plan: DisplayPlan) -> Box<dyn Display> {
    let words = describe(&plan);
    match plan {
        DisplayPlan::Nothing => Box::new(NoDisplay),
        DisplayPlan::Png { dir, size, history } => match PngDisplay::new(&dir, size, history) {
            Ok(display) => Box::new(display),
            Err(e) => {
                tracing::warn!("display: {e}; the door goes on without it");
                Box::new(NoDisplay)
            }
        },
        DisplayPlan::Ssd1306 { bus, address } => {
            Box::new(PanelDisplay::new(words, Box::new(move || ssd1306::open(&bus, address))))
        }
        DisplayPlan::St7789 { bus, wiring } => {
            Box::new(PanelDisplay::new(words, Box::new(move || st7789::open(&bus, &wiring))))
        }
        DisplayPlan::Framebuffer(screen) => {
            Box::new(PanelDisplay::new(words, Box::new(move || framebuffer::open(&screen))))
        }
    }
}

/// One line about the display of a plan, for the installer.
#[must_use]
pub fn describe(plan: &DisplayPlan) -> String {
    match plan {
        DisplayPlan::Nothing => NoDisplay.describe(),
        DisplayPlan::Png { dir, size, .. } => png::describe(dir, *size),
        DisplayPlan::Ssd1306 { bus, .. } => format!("SSD1306, 128×64, on {}", bus.display()),
        DisplayPlan::St7789 { bus, .. } => format!("ST7789, 240×240, on {}", bus.display()),
        DisplayPlan::Framebuffer(screen) => format!("framebuffer {}", screen.display()),
    }
}
