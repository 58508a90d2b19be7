//! Text as people type it → text in the form for which CLIP's vocabulary was made.
//!
//! open_clip passes every text through `ftfy.fix_text`, unescapes HTML twice and squeezes white space. This does the
//! same for text that was decoded right. It leaves out ftfy's repair of mojibake (UTF-8 that was read as Latin-1): a
//! folder's name is what its owner sees, and Lintel does not guess another.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Entities, ligatures, widths, quotes, line breaks, control characters, composition (NFC), white space.
#[must_use]
pub fn clean(text: &str) -> String {
    // ftfy unescapes only text without tags; open_clip then unescapes any text twice.
    let text = if text.contains('<') { Cow::Borrowed(text) } else { htmlize::unescape(text) };
    let text: String = without_escapes(&text).chars().flat_map(plain).nfc().collect();
    let text = htmlize::unescape(htmlize::unescape(text)).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text without the escape sequences that set a terminal's colours: ESC `[` digits and `;`, one letter.
fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        kept.push_str(before);
        let tail = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = match tail.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(tail) => tail,
            None => {
                kept.push('[');
                after
            }
        };
    }
    kept.push_str(rest);
    kept
}

/// The plain form of one character; none for control characters.
fn plain(c: char) -> impl Iterator<Item = char> {
    let replacement: Cow<'static, str> = match c {
        '\u{2018}'..='\u{201b}' | '\u{2bc}' => "'".into(),
        '\u{201c}'..='\u{201f}' => "\"".into(),
        // Ligatures of Latin letters.
        'Ĳ' => "IJ".into(),
        'ĳ' => "ij".into(),
        'ŉ' => "ʼn".into(),
        'Ǆ' => "DŽ".into(),
        'ǅ' => "Dž".into(),
        'ǆ' => "dž".into(),
        'Ǉ' => "LJ".into(),
        'ǈ' => "Lj".into(),
        'ǉ' => "lj".into(),
        'Ǌ' => "NJ".into(),
        'ǋ' => "Nj".into(),
        'ǌ' => "nj".into(),
        '\u{fb00}'..='\u{fb06}' => c.nfkc().collect::<String>().into(),
        // The fullwidth and halfwidth forms of East Asian type setting, and its space.
        '\u{ff01}'..='\u{ffef}' => c.nfkc().collect::<String>().into(),
        '\u{3000}' => " ".into(),
        // Line breaks of all kinds.
        '\r' | '\u{2028}' | '\u{2029}' => "\n".into(),
        _ if is_invisible_control(c) => "".into(),
        _ => c.to_string().into(),
    };
    replacement.chars().collect::<Vec<_>>().into_iter()
}

/// Characters without meaning in text: C0 controls other than white space, deprecated format characters, the byte-order
/// mark, interlinear annotation.
fn is_invisible_control(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn text_is_cleaned_as_open_clip_does() {
        let check = |text: &str, expected: &str| assert_eq!(clean(text), expected, "{text:?}");
        check("Alice", "Alice");
        check("  two \t words\n", "two words");
        check("D’Arcy “quoted”", "D'Arcy \"quoted\"");
        check("e\u{301}lan", "élan");
        check("ﬁancé ŉ Ǆ", "fiancé ʼn DŽ");
        check("（ＡＢ）\u{3000}ｶ", "(AB) カ");
        check("A&amp;B &amp;amp;amp; &eacute;", "A&B & é");
        check("<b> &amp;amp; &lt;", "<b> & <");
        check("a\u{0}\u{7}b\u{feff}c", "abc");
        check("\u{1b}[31mred\u{1b}[0m \u{1b}[", "red [");
        check("", "");
    }
}
