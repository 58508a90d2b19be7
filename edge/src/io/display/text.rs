//! A text in any script → lines of glyphs that the display's font has, in the largest size that fits.

use deunicode::deunicode_char;
use u8g2_fonts::FontRenderer;
use u8g2_fonts::fonts::{
    u8g2_font_helvB08_tf, u8g2_font_helvB10_tf, u8g2_font_helvB12_tf, u8g2_font_helvB14_tf, u8g2_font_helvB18_tf,
    u8g2_font_helvB24_tf, u8g2_font_helvR08_tf, u8g2_font_helvR10_tf, u8g2_font_helvR12_tf, u8g2_font_helvR14_tf,
    u8g2_font_helvR18_tf,
};
use u8g2_fonts::types::VerticalPosition;

/// Bold, largest first; the glyphs of Latin-1.
pub static BOLD: [FontRenderer; 6] = [
    FontRenderer::new::<u8g2_font_helvB24_tf>(),
    FontRenderer::new::<u8g2_font_helvB18_tf>(),
    FontRenderer::new::<u8g2_font_helvB14_tf>(),
    FontRenderer::new::<u8g2_font_helvB12_tf>(),
    FontRenderer::new::<u8g2_font_helvB10_tf>(),
    FontRenderer::new::<u8g2_font_helvB08_tf>(),
];

/// Regular, largest first; the glyphs of Latin-1.
pub static REGULAR: [FontRenderer; 5] = [
    FontRenderer::new::<u8g2_font_helvR18_tf>(),
    FontRenderer::new::<u8g2_font_helvR14_tf>(),
    FontRenderer::new::<u8g2_font_helvR12_tf>(),
    FontRenderer::new::<u8g2_font_helvR10_tf>(),
    FontRenderer::new::<u8g2_font_helvR08_tf>(),
];

/// Lines in one size.
#[derive(Debug)]
pub struct Fitted {
    /// The size that fits.
    pub font: &'static FontRenderer,
    /// The lines, top to bottom; none is wider than asked.
    pub lines: Vec<String>,
}

impl Fitted {
    /// Height of all lines in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        line_height(self.font) * u32::try_from(self.lines.len()).unwrap_or(u32::MAX)
    }
}

/// From one baseline to the next: a little tighter than the font's own, which leaves room for accents on accents.
#[must_use]
pub fn line_height(font: &FontRenderer) -> u32 {
    let glyphs = i32::from(font.get_ascent()) - i32::from(font.get_descent());
    u32::try_from(glyphs + glyphs / 8 + 1).unwrap_or(1)
}

/// Width in pixels that a text needs, in a font that has its glyphs.
fn width(font: &FontRenderer, text: &str) -> u32 {
    font.get_rendered_dimensions(text, embedded_graphics::prelude::Point::zero(), VerticalPosition::Baseline).map_or(
        u32::MAX,
        |drawn| {
            let ink = drawn.bounding_box.map_or(0, |b| b.top_left.x + i32::try_from(b.size.width).unwrap_or(0));
            u32::try_from(ink.max(drawn.advance.x)).unwrap_or(0)
        },
    )
}

/// The text in glyphs that the fonts have: Latin-1 as it is, all else as Latin letters that sound or mean the same
/// (`張` → `Zhang`), what has no such letters left out. Runs of white space become one space.
#[must_use]
pub fn legible(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    for c in text.chars() {
        let latin1 = matches!(c, ' '..='~' | '\u{a1}'..='\u{ff}') && c != '\u{ad}';
        match (latin1, deunicode_char(c)) {
            (true, _) => letters.push(c),
            (false, Some(ascii)) => letters.extend(ascii.chars().map(|a| if a.is_control() { ' ' } else { a })),
            (false, None) => {}
        }
    }
    let mut out = String::with_capacity(letters.len());
    for word in letters.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Fits a text into `width_px` × `height_px` on at most `max_lines` lines: the largest of `fonts` in which whole words
/// fit; in the smallest one, words are broken where they must be, and the rest is cut with two dots.
#[must_use]
pub fn fit(text: &str, fonts: &'static [FontRenderer], width_px: u32, height_px: u32, max_lines: usize) -> Fitted {
    let text = legible(text);
    let smallest = fonts.last().expect("a family has sizes");
    for font in fonts {
        let room = (height_px / line_height(font)) as usize;
        if let Some(lines) = wrap(&text, font, width_px)
            && lines.len() <= max_lines.min(room)
        {
            return Fitted { font, lines };
        }
    }
    let room = ((height_px / line_height(smallest)) as usize).clamp(1, max_lines.max(1));
    Fitted { font: smallest, lines: cut(&text, smallest, width_px, room) }
}

/// Whole words on lines; `None` when a word is wider than a line.
fn wrap(text: &str, font: &FontRenderer, width_px: u32) -> Option<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if width(font, word) > width_px {
            return None;
        }
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if width(font, &longer) <= width_px {
                *line = longer;
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    Some(lines)
}

/// Letters on `room` lines, wherever they break; two dots where some are left over.
fn cut(text: &str, font: &FontRenderer, width_px: u32, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && lines.len() < room {
        let last = lines.len() + 1 == room;
        let fits = |end: usize| {
            let dots = if last && end < rest.len() { ".." } else { "" };
            width(font, &format!("{}{dots}", &rest[..end])) <= width_px
        };
        let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
        // At least one letter a line, so that it ends even where none fits.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let mut end = ends.filter(|end| fits(*end)).max().unwrap_or(first);
        // Between words where that still leaves most of the line used.
        if !last
            && end < rest.len()
            && let Some(space) = rest[..end].rfind(' ')
            && 2 * space > end
        {
            end = space;
        }
        let dots = if last && end < rest.len() { ".." } else { "" };
        lines.push(format!("{}{dots}", rest[..end].trim_end()));
        rest = rest[end..].trim_start();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_world_become_legible() {
        let check = |name: &str, expected: &str| assert_eq!(legible(name), expected, "{name:?}");
        check("Ada Lovelace", "Ada Lovelace");
        check("José Ñandú", "José Ñandú");
        check("Łukasz Żak", "Lukasz Zak");
        check("張 偉", "Zhang Wei");
        check("Дмитрий", "Dmitrii");
        check("  a \t b  ", "a b");
        check("", "");
        check("soft\u{ad}hyphen", "softhyphen");
        check("\u{202e}", "");
        check("e\u{301}", "e");
    }

    #[test]
    fn every_legible_letter_has_a_glyph_in_every_size() {
        let all: String = (' '..='~').chain('\u{a1}'..='\u{ff}').collect();
        for c in legible(&all).chars() {
            for font in BOLD.iter().chain(&REGULAR) {
                assert!(width(font, &c.to_string()) < 100, "{c:?} in a font of ascent {}", font.get_ascent());
            }
        }
    }

    #[test]
    fn whatever_the_name_it_fits() {
        let long = "x".repeat(300);
        let names =
            ["", "Ada", "Wolfeschlegelsteinhausenbergerdorff", "Anna Maria Luisa de' Medici", "張偉", "🙂", &long];
        for name in names {
            for (wide, high, max_lines) in [(228, 62, 2), (74, 44, 3), (8, 8, 1), (1, 1, 1)] {
                let fitted = fit(name, &BOLD, wide, high, max_lines);
                assert!(fitted.lines.len() <= max_lines, "{name}: {:?}", fitted.lines);
                if wide > 20 {
                    assert!(fitted.height() <= high, "{name} in {wide}×{high}");
                    for line in &fitted.lines {
                        assert!(width(fitted.font, line) <= wide, "{line} in {wide}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_size_wins_and_words_stay_whole() {
        let check = |name: &str, ascent: i8, lines: &[&str]| {
            let fitted = fit(name, &BOLD, 228, 80, 2);
            assert_eq!(
                (fitted.font.get_ascent(), fitted.lines.as_slice()),
                (ascent, lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>().as_slice())
            );
        };
        let largest = BOLD[0].get_ascent();
        check("Ada", largest, &["Ada"]);
        check("Augusta Ada Lovelace", largest, &["Augusta Ada", "Lovelace"]);
    }
}
