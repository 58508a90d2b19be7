//! Text, lines, boxes and pictures → an RGB8 canvas → PNG bytes.
//!
//! The fonts are the bitmap fonts of `embedded-graphics`, the same as on the door's display. A name that no code page
//! of them covers is transliterated.

use std::convert::Infallible;
use std::io::Cursor;

use deunicode::deunicode;
use embedded_graphics::Drawable;
use embedded_graphics::geometry::{Dimensions, OriginDimensions, Point, Size};
use embedded_graphics::mono_font::mapping::{self, StrGlyphMapping};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::mono_font::{iso_8859_1, iso_8859_2, iso_8859_5, iso_8859_7};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, Pixel, Primitive};
use embedded_graphics::primitives::{Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

/// Red, green, blue.
pub type Colour = [u8; 3];

/// The colours of all pictures and pages of the program.
pub mod palette {
    use super::Colour;

    /// Background.
    pub const PAPER: Colour = [250, 250, 248];
    /// Text and axes.
    pub const INK: Colour = [34, 38, 46];
    /// Secondary text.
    pub const FAINT: Colour = [140, 146, 156];
    /// Grid lines and frames.
    pub const RULE: Colour = [218, 220, 224];
    /// Right, released.
    pub const GOOD: Colour = [24, 128, 86];
    /// Wrong.
    pub const BAD: Colour = [190, 52, 44];
    /// Marks and curves.
    pub const ACCENT: Colour = [32, 92, 168];
    /// A second curve.
    pub const SECOND: Colour = [214, 126, 22];
    /// Background of cells.
    pub const PANEL: Colour = [238, 239, 241];
}

/// Sizes of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Font {
    /// 6×10 px a character.
    Small,
    /// 8×13 px a character.
    Body,
    /// 10×20 px a character.
    Title,
}

impl Font {
    /// Width and height of a character, px.
    #[must_use]
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Small => (6, 10),
            Self::Body => (8, 13),
            Self::Title => (10, 20),
        }
    }

    fn pages(self) -> [(&'static MonoFont<'static>, &'static StrGlyphMapping<'static>); 4] {
        let [latin, central, cyrillic, greek] = match self {
            Self::Small => {
                [&iso_8859_1::FONT_6X10, &iso_8859_2::FONT_6X10, &iso_8859_5::FONT_6X10, &iso_8859_7::FONT_6X10]
            }
            Self::Body => {
                [&iso_8859_1::FONT_8X13, &iso_8859_2::FONT_8X13, &iso_8859_5::FONT_8X13, &iso_8859_7::FONT_8X13]
            }
            Self::Title => {
                [&iso_8859_1::FONT_10X20, &iso_8859_2::FONT_10X20, &iso_8859_5::FONT_10X20, &iso_8859_7::FONT_10X20]
            }
        };
        [
            (latin, &mapping::ISO_8859_1),
            (central, &mapping::ISO_8859_2),
            (cyrillic, &mapping::ISO_8859_5),
            (greek, &mapping::ISO_8859_7),
        ]
    }
}

/// A canvas. What is drawn outside it is cut off.
#[derive(Debug, Clone)]
pub struct Canvas(RgbImage);

impl Canvas {
    /// An empty canvas.
    #[must_use]
    pub fn new(width: u32, height: u32, background: Colour) -> Self {
        Self(RgbImage::from_pixel(width, height, Rgb(background)))
    }

    /// A canvas with this picture on it.
    #[must_use]
    pub fn on(image: RgbImage) -> Self {
        Self(image)
    }

    /// The finished picture.
    #[must_use]
    pub fn into_image(self) -> RgbImage {
        self.0
    }

    /// The finished picture as a PNG file.
    #[must_use]
    pub fn into_png(self) -> Vec<u8> {
        png_bytes(self.0.as_raw(), self.0.width(), self.0.height())
    }

    /// One line of text with its top left corner at `(x, y)`.
    pub fn text(&mut self, x: i32, y: i32, text: &str, font: Font, colour: Colour) {
        let (face, text) = printable(text, font);
        let style = MonoTextStyle::new(face, rgb888(colour));
        let Ok(_) = Text::with_baseline(&text, Point::new(x, y), style, Baseline::Top).draw(self);
    }

    /// One line of text that is cut with `..` at `width` px.
    pub fn text_within(&mut self, x: i32, y: i32, width: u32, text: &str, font: Font, colour: Colour) {
        self.text(x, y, &clip(text, width, font), font, colour);
    }

    /// A filled box.
    pub fn fill(&mut self, x: i32, y: i32, width: u32, height: u32, colour: Colour) {
        let area = Rectangle::new(Point::new(x, y), Size::new(width, height));
        let Ok(()) = area.into_styled(PrimitiveStyle::with_fill(rgb888(colour))).draw(self);
    }

    /// The frame of a box, `stroke` px wide.
    pub fn outline(&mut self, x: i32, y: i32, width: u32, height: u32, stroke: u32, colour: Colour) {
        let area = Rectangle::new(Point::new(x, y), Size::new(width, height));
        let Ok(()) = area.into_styled(PrimitiveStyle::with_stroke(rgb888(colour), stroke)).draw(self);
    }

    /// A straight line.
    pub fn line(&mut self, from: (i32, i32), to: (i32, i32), stroke: u32, colour: Colour) {
        let line = Line::new(Point::new(from.0, from.1), Point::new(to.0, to.1));
        let Ok(()) = line.into_styled(PrimitiveStyle::with_stroke(rgb888(colour), stroke)).draw(self);
    }

    /// A picture with its top left corner at `(x, y)`.
    pub fn paste(&mut self, x: i32, y: i32, image: &RgbImage) {
        image::imageops::replace(&mut self.0, image, x.into(), y.into());
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let area = self.bounding_box();
        for Pixel(at, colour) in pixels {
            if area.contains(at) {
                self.0.put_pixel(at.x as u32, at.y as u32, Rgb([colour.r(), colour.g(), colour.b()]));
            }
        }
        Ok(())
    }
}

/// Width of one line of text, px.
#[must_use]
pub fn text_width(text: &str, font: Font) -> u32 {
    printable(text, font).1.chars().count() as u32 * font.size().0
}

/// A picture in lighter shades of grey, for one that did not count.
#[must_use]
pub fn greyed(image: &RgbImage) -> RgbImage {
    let mut grey = image.clone();
    for pixel in grey.pixels_mut() {
        let [r, g, b] = pixel.0.map(u32::from);
        let luma = (r * 299 + g * 587 + b * 114) / 1000;
        pixel.0 = [(110 + luma * 120 / 255) as u8; 3];
    }
    grey
}

/// Scales a picture to fit a box, keeping its shape.
#[must_use]
pub fn fitted(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let scale = (f64::from(width) / f64::from(image.width())).min(f64::from(height) / f64::from(image.height()));
    let side = |length: u32, most: u32| ((f64::from(length) * scale).round() as u32).clamp(1, most);
    let (w, h) = (side(image.width(), width), side(image.height(), height));
    if scale < 1.0 {
        image::imageops::thumbnail(image, w, h)
    } else {
        image::imageops::resize(image, w, h, image::imageops::FilterType::Nearest)
    }
}

/// RGB8 pixels → a PNG file; the same pixels give the same bytes.
///
/// # Panics
/// If `rgb` is not `width × height × 3` long.
#[must_use]
pub fn png_bytes(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Adaptive)
        .write_image(rgb, width, height, ExtendedColorType::Rgb8)
        .expect("the buffer has the picture's size, and memory takes every byte");
    file.into_inner()
}

/// The font that has every character, or a transliteration for the first one.
fn printable(text: &str, font: Font) -> (&'static MonoFont<'static>, String) {
    let pages = font.pages();
    for (face, mapping) in pages {
        if text.chars().all(|c| mapping.contains(c)) {
            return (face, text.to_owned());
        }
    }
    let (face, mapping) = pages[0];
    // Stretch by stretch: characters that the font has stay, and syllables stay apart.
    let mut drawn = String::new();
    let mut missing = String::new();
    for c in text.chars() {
        if mapping.contains(c) {
            drawn.push_str(&deunicode(&std::mem::take(&mut missing)));
            drawn.push(c);
        } else {
            missing.push(c);
        }
    }
    drawn.push_str(&deunicode(&missing));
    drawn.retain(|c| mapping.contains(c) || c.is_whitespace());
    (face, drawn.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn clip(text: &str, width: u32, font: Font) -> String {
    let (_, text) = printable(text, font);
    let room = (width / font.size().0) as usize;
    if text.chars().count() <= room {
        return text;
    }
    let kept: String = text.chars().take(room.saturating_sub(2)).collect();
    format!("{}..", kept.trim_end())
}

fn rgb888([r, g, b]: Colour) -> Rgb888 {
    Rgb888::new(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_drawn() {
        fn check(text: &str, drawn: &str) {
            assert_eq!(printable(text, Font::Body).1, drawn);
        }
        check("Zoë", "Zoë");
        check("Łukasz", "Łukasz");
        check("Иван", "Иван");
        check("Ελένη", "Ελένη");
        check("李小龍", "Li Xiao Long");
        check("Robin 🦊", "Robin fox face");
        check("\u{1}", "");
    }

    #[test]
    fn text_is_cut_to_its_room() {
        fn check(text: &str, width: u32, cut: &str) {
            assert_eq!(clip(text, width, Font::Small), cut);
        }
        check("Ada Lovelace", 72, "Ada Lovelace");
        check("Ada Lovelace", 71, "Ada Lovel..");
        check("Ada Lovelace", 36, "Ada..");
        check("Ada", 0, "..");
    }

    #[test]
    fn drawing_outside_is_cut_off() {
        let mut canvas = Canvas::new(8, 8, palette::PAPER);
        canvas.text(-40, -3, "Ada", Font::Title, palette::INK);
        canvas.fill(6, 6, 90, 90, palette::BAD);
        canvas.paste(-4, 7, &RgbImage::from_pixel(5, 5, Rgb(palette::GOOD)));
        let image = canvas.into_image();
        assert_eq!(image.get_pixel(7, 7).0, palette::BAD);
        assert_eq!(image.get_pixel(0, 7).0, palette::GOOD);
        assert_eq!(image.get_pixel(3, 4).0, palette::PAPER);
    }

    #[test]
    fn png_files_hold_the_pixels() {
        let pixels: Vec<u8> = (0..48).collect();
        let file = png_bytes(&pixels, 4, 4);
        assert_eq!(image::load_from_memory(&file).unwrap().into_rgb8().into_raw(), pixels);
    }
}
