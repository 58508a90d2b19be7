//! A [`Screen`] → `display.png`, replaced atomically, and one numbered picture for every change.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};
use embedded_graphics::prelude::*;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use lintel_core::screen::Screen;
use serde::{Deserialize, Serialize};

use super::draw::{self, Canvas};
use super::{Display, DisplayError, card};

/// Size and depth of a display.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
pub enum Size {
    /// Black and white, 128×64.
    #[serde(rename = "128x64")]
    #[value(name = "128x64")]
    Mono128x64,
    /// Colour, 240×240.
    #[serde(rename = "240x240")]
    #[value(name = "240x240")]
    Colour240x240,
}

/// A display that is a folder of pictures:
///
/// ```text
/// DIR/display.png                      what the display shows now
/// DIR/history/0001-starting.png …      every change, in order
/// ```
#[derive(Debug)]
pub struct PngDisplay {
    dir: PathBuf,
    size: Size,
    history: u32,
    shown: Option<Screen>,
    changes: u32,
    kept: VecDeque<PathBuf>,
}

impl PngDisplay {
    /// A display in the folder `dir`, which is made if need be; an older history in it is removed.
    ///
    /// `history` pictures are kept, the oldest go first; 0 keeps none.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(dir: &Path, size: Size, history: u32) -> Result<Self, DisplayError> {
        let past = dir.join("history");
        fs::create_dir_all(&past).map_err(on(&past))?;
        for entry in fs::read_dir(&past).map_err(on(&past))? {
            let path = entry.map_err(on(&past))?.path();
            // Only pictures that this display could have written.
            let ours = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| {
                n.ends_with(".png") && n.split_once('-').is_some_and(|(number, _)| number.parse::<u32>().is_ok())
            });
            if ours {
                fs::remove_file(&path).map_err(on(&path))?;
            }
        }
        Ok(Self { dir: dir.to_owned(), size, history, shown: None, changes: 0, kept: VecDeque::new() })
    }

    fn write(&self, path: &Path, png: &[u8]) -> Result<(), DisplayError> {
        let partial = self.dir.join("display.png.partial");
        fs::write(&partial, png).and_then(|()| fs::rename(&partial, path)).map_err(on(path))
    }
}

impl Display for PngDisplay {
    fn describe(&self) -> String {
        describe(&self.dir, self.size)
    }

    fn show(&mut self, screen: &Screen) -> Result<(), DisplayError> {
        if self.shown.as_ref() == Some(screen) {
            return Ok(());
        }
        let png = picture(screen, self.size)?;
        self.write(&self.dir.join("display.png"), &png)?;
        self.shown = Some(screen.clone());
        self.changes = self.changes.saturating_add(1);
        if self.history == 0 {
            return Ok(());
        }
        let name = format!("{:04}-{}.png", self.changes, card::slug(screen));
        let path = self.dir.join("history").join(name);
        self.write(&path, &png)?;
        self.kept.push_back(path);
        while self.kept.len() > self.history as usize {
            let Some(oldest) = self.kept.pop_front() else { break };
            fs::remove_file(&oldest).map_err(on(&oldest))?;
        }
        Ok(())
    }
}

/// Names the file that an error is about.
fn on(path: &Path) -> impl Fn(io::Error) -> DisplayError {
    |source| DisplayError::File { path: path.to_owned(), source: Arc::new(source) }
}

/// One line about a display in the folder `dir`, whether it is there or not.
#[must_use]
pub fn describe(dir: &Path, size: Size) -> String {
    let form = match size {
        Size::Mono128x64 => "128×64, black and white",
        Size::Colour240x240 => "240×240, colour",
    };
    format!("PNG pictures, {form}, in {}", dir.display())
}

/// A screen as a PNG file: 8-bit grey for the one-bit panel, 8-bit RGB for the colour panel.
///
/// # Errors
/// When the encoder refuses, which a picture of this size gives it no reason to.
pub fn picture(screen: &Screen, size: Size) -> Result<Vec<u8>, DisplayError> {
    let card = card::card(screen);
    let (pixels, colour, area) = match size {
        Size::Mono128x64 => {
            let mut canvas = Canvas::new(draw::MONO, BinaryColor::Off);
            let Ok(()) = draw::mono(&card, &mut canvas);
            let grey: Vec<u8> = canvas.pixels().iter().map(|p| if p.is_on() { 255 } else { 0 }).collect();
            (grey, ExtendedColorType::L8, draw::MONO)
        }
        Size::Colour240x240 => {
            let mut canvas = Canvas::new(draw::COLOUR, Rgb565::BLACK);
            let Ok(()) = draw::colour(&card, &mut canvas);
            let rgb = canvas.pixels().iter().flat_map(|p| {
                // 5 and 6 bits to 8, so that full stays full.
                let wide = |v: u8, bits: u32| (v << (8 - bits)) | (v >> (2 * bits - 8));
                [wide(p.r(), 5), wide(p.g(), 6), wide(p.b(), 5)]
            });
            (rgb.collect(), ExtendedColorType::Rgb8, draw::COLOUR)
        }
    };
    let mut png = Vec::new();
    let encoded = PngEncoder::new(&mut png).write_image(&pixels, area.width, area.height, colour);
    encoded.map_err(|e| DisplayError::Picture(Arc::new(e)))?;
    Ok(png)
}
