//! A [`Card`] → pixels of a 128×64 one-bit panel or a 240×240 colour panel.

use std::convert::Infallible;

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle, RoundedRectangle};
use u8g2_fonts::types::{FontColor, HorizontalAlignment, VerticalPosition};

use super::card::{Card, Tone};
use super::icon::{self, Icon};
use super::text::{self, BOLD, Fitted, REGULAR};

/// A picture in memory, row-major; drawing outside of it is cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Canvas<C> {
    size: Size,
    pixels: Vec<C>,
}

impl<C: PixelColor> Canvas<C> {
    /// A picture of one colour.
    #[must_use]
    pub fn new(size: Size, colour: C) -> Self {
        Self { size, pixels: vec![colour; size.width as usize * size.height as usize] }
    }

    /// The pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[C] {
        &self.pixels
    }
}

impl<C> OriginDimensions for Canvas<C> {
    fn size(&self) -> Size {
        self.size
    }
}

impl<C: PixelColor> DrawTarget for Canvas<C> {
    type Color = C;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y)) else { continue };
            if x < self.size.width && y < self.size.height {
                self.pixels[(y * self.size.width + x) as usize] = colour;
            }
        }
        Ok(())
    }
}

/// The one-bit panel, 128×64 pixels.
pub const MONO: Size = Size::new(128, 64);
/// The colour panel, 240×240 pixels.
pub const COLOUR: Size = Size::new(240, 240);

/// Draws a card for the one-bit panel: icon left, words right, votes below.
///
/// # Errors
/// What the target says.
pub fn mono<D: DrawTarget<Color = BinaryColor>>(card: &Card, target: &mut D) -> Result<(), D::Error> {
    use BinaryColor::{Off, On};
    target.clear(Off)?;
    let words_high = if card.votes.is_some() { 50 } else { 64 };
    let icon_top = (words_high - 42) / 2;
    icon::draw(card.icon, 42, &mut target.translated(Point::new(1, icon_top)))?;
    let words = Rectangle::new(Point::new(48, 0), Size::new(77, u32::try_from(words_high).unwrap_or(0)));
    let detail_high = if card.detail.is_empty() { 0 } else { 24 };
    let headline = text::fit(&card.headline, &BOLD[2..], words.size.width, words.size.height - detail_high, 3);
    let left = words.size.height.saturating_sub(headline.height());
    let detail = text::fit(&card.detail, &REGULAR[3..], words.size.width, left, 2);
    stack(&[(&headline, On), (&detail, On)], words, HorizontalAlignment::Left, target)?;
    if let Some((votes, needed)) = card.votes {
        pills(votes, needed, Rectangle::new(Point::new(2, 54), Size::new(124, 8)), On, Off, target)?;
    }
    Ok(())
}

/// Draws a card for the colour panel: icon above, words below it, votes at the bottom, the tone as background.
///
/// # Errors
/// What the target says.
pub fn colour<D: DrawTarget<Color = Rgb565>>(card: &Card, target: &mut D) -> Result<(), D::Error> {
    let Palette { ground, ink, accent, faint } = palette(card.tone);
    target.clear(ground)?;
    let frame = Rectangle::new(Point::zero(), Size::new(240, 6));
    frame.into_styled(PrimitiveStyle::with_fill(accent)).draw(target)?;
    smooth_icon(card.icon, 96, Point::new(72, 26), (accent, ground), target)?;
    let words_high: u32 = if card.votes.is_some() { 76 } else { 100 };
    let words = Rectangle::new(Point::new(8, 130), Size::new(224, words_high));
    let detail_high = if card.detail.is_empty() { 0 } else { 24 };
    let headline = text::fit(&card.headline, &BOLD[..3], words.size.width, words_high - detail_high, 2);
    let left = words_high.saturating_sub(headline.height());
    let detail = text::fit(&card.detail, &REGULAR, words.size.width, left, 2);
    stack(&[(&headline, ink), (&detail, faint)], words, HorizontalAlignment::Center, target)?;
    if let Some((votes, needed)) = card.votes {
        pills(votes, needed, Rectangle::new(Point::new(24, 214), Size::new(192, 14)), accent, ground, target)?;
    }
    Ok(())
}

struct Palette {
    ground: Rgb565,
    ink: Rgb565,
    accent: Rgb565,
    faint: Rgb565,
}

/// Pairs with a contrast of at least 4.5 : 1 between words and ground (WCAG 2.2, 1.4.3).
fn palette(tone: Tone) -> Palette {
    let [ground, accent, faint] = match tone {
        Tone::Calm => [[14, 22, 40], [122, 178, 255], [168, 184, 208]],
        Tone::Busy => [[14, 22, 40], [255, 204, 92], [206, 200, 180]],
        Tone::Good => [[4, 94, 48], [150, 255, 182], [200, 240, 212]],
        Tone::Bad => [[122, 20, 32], [255, 176, 164], [248, 208, 204]],
        Tone::Ask => [[110, 66, 0], [255, 212, 112], [250, 228, 188]],
        Tone::Alarm => [[60, 12, 16], [255, 112, 96], [236, 190, 184]],
    };
    let ink = rgb([255, 255, 255]);
    Palette { ground: rgb(ground), ink, accent: rgb(accent), faint: rgb(faint) }
}

/// 8 bits a channel → 5, 6, 5.
fn rgb([r, g, b]: [u8; 3]) -> Rgb565 {
    Rgb565::new(r >> 3, g >> 2, b >> 3)
}

/// Blocks of lines under each other, the whole centred vertically in `area`.
fn stack<D: DrawTarget>(
    blocks: &[(&Fitted, D::Color)],
    area: Rectangle,
    align: HorizontalAlignment,
    target: &mut D,
) -> Result<(), D::Error> {
    let total: u32 = blocks.iter().map(|(block, _)| block.height()).sum();
    let px = |n: u32| i32::try_from(n).unwrap_or(i32::MAX / 4);
    let mut top = area.top_left.y + (px(area.size.height) - px(total)) / 2;
    let x = match align {
        HorizontalAlignment::Left => area.top_left.x,
        HorizontalAlignment::Center => area.center().x,
        HorizontalAlignment::Right => area.top_left.x + px(area.size.width),
    };
    for (block, ink) in blocks {
        let step = px(text::line_height(block.font));
        let glyphs = i32::from(block.font.get_ascent()) - i32::from(block.font.get_descent());
        for line in &block.lines {
            let baseline = top + (step - glyphs) / 2 + i32::from(block.font.get_ascent());
            let at = Point::new(x, baseline);
            let drawn = block.font.render_aligned(
                line.as_str(),
                at,
                VerticalPosition::Baseline,
                align,
                FontColor::Transparent(*ink),
                target,
            );
            match drawn {
                Ok(_) => {}
                Err(u8g2_fonts::Error::DisplayError(e)) => return Err(e),
                // `text::fit` lets only letters through that every font of the families has (tested there).
                Err(u8g2_fonts::Error::GlyphNotFound(_) | u8g2_fonts::Error::BackgroundColorNotSupported) => {}
            }
            top += step;
        }
    }
    Ok(())
}

/// One pill for every vote that is needed; those that are in are filled.
fn pills<D: DrawTarget>(
    votes: u8,
    needed: u8,
    area: Rectangle,
    ink: D::Color,
    ground: D::Color,
    target: &mut D,
) -> Result<(), D::Error> {
    let needed = needed.clamp(1, 16);
    let gap = area.size.height / 2;
    let room = area.size.width + gap;
    for i in 0..u32::from(needed) {
        let from = room * i / u32::from(needed);
        let to = room * (i + 1) / u32::from(needed);
        let at = area.top_left + Point::new(i32::try_from(from).unwrap_or(0), 0);
        let pill = Rectangle::new(at, Size::new((to - from).saturating_sub(gap), area.size.height));
        let corner = Size::new_equal(area.size.height / 2);
        let outer = RoundedRectangle::with_equal_corners(pill, corner);
        outer.into_styled(PrimitiveStyle::with_fill(ink)).draw(target)?;
        if i >= u32::from(votes) {
            let stroke = (i32::try_from(area.size.height).unwrap_or(0) / 7).max(1);
            let inner = RoundedRectangle::with_equal_corners(pill.offset(-stroke), corner);
            inner.into_styled(PrimitiveStyle::with_fill(ground)).draw(target)?;
        }
    }
    Ok(())
}

/// Sub-pixels along each side of a pixel of [`smooth_icon`].
const SUB: u32 = 4;

/// Draws an icon with smooth edges: four times as large, then averaged.
fn smooth_icon<D: DrawTarget<Color = Rgb565>>(
    icon: Icon,
    size: u32,
    at: Point,
    (ink, ground): (Rgb565, Rgb565),
    target: &mut D,
) -> Result<(), D::Error> {
    let mut large = Canvas::new(Size::new_equal(size * SUB), BinaryColor::Off);
    let Ok(()) = icon::draw(icon, size * SUB, &mut large);
    let covered = |x: u32, y: u32| {
        let row = |sub: u32| ((y * SUB + sub) * size * SUB + x * SUB) as usize;
        (0..SUB).map(|sub| large.pixels[row(sub)..][..SUB as usize].iter().filter(|p| p.is_on()).count()).sum::<usize>()
    };
    let mix = |a: u8, b: u8, part: usize| {
        let all = (SUB * SUB) as usize;
        u8::try_from((usize::from(a) * part + usize::from(b) * (all - part) + all / 2) / all).unwrap_or(a)
    };
    let pixels = (0..size * size).map(|i| (i % size, i / size)).filter_map(|(x, y)| {
        let part = covered(x, y);
        let colour =
            Rgb565::new(mix(ink.r(), ground.r(), part), mix(ink.g(), ground.g(), part), mix(ink.b(), ground.b(), part));
        let offset = Point::new(i32::try_from(x).ok()?, i32::try_from(y).ok()?);
        (part > 0).then_some(Pixel(at + offset, colour))
    });
    target.draw_iter(pixels)
}
