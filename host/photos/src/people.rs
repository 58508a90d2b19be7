//! A person's name from a folder or a file → a name that is safe to store, and a folder name for it.

use std::fmt;

use deunicode::deunicode;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// The longest name, in characters after normalisation. A table takes 128; a prompt of 77 tokens takes fewer.
pub const MAX_NAME_CHARS: usize = 100;
/// Length of the part of a slug that comes from the name.
const MAX_SLUG_CHARS: usize = 40;

/// A person's name: NFC, trimmed, 1 to [`MAX_NAME_CHARS`] characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is refused as a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty or white space.
    #[error("the name is empty")]
    Empty,
    /// The text has too many characters.
    #[error("the name has {got} characters, at most {MAX_NAME_CHARS} are kept")]
    TooLong {
        /// Characters after normalisation.
        got: usize,
    },
    /// The text has a control character, or one that changes the direction or the visibility of the text around it.
    #[error("the name holds the control character U+{:04X}", u32::from(*.0))]
    Control(char),
}

/// The key by which names are compared: see [`Name::folded`]. Empty for a text that is not a name.
#[must_use]
pub fn folded(name: &str) -> String {
    Name::new(name).map(|name| name.folded()).unwrap_or_default()
}

impl Name {
    /// Normalises and checks a text.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        let name: String = text.trim().nfc().collect();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(control) = name.chars().find(|&c| unprintable(c)) {
            return Err(NameError::Control(control));
        }
        let got = name.chars().count();
        if got > MAX_NAME_CHARS {
            return Err(NameError::TooLong { got });
        }
        Ok(Self(name))
    }

    /// The name as shown and trained on.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that is equal for names that differ only in case or Unicode form.
    #[must_use]
    pub fn folded(&self) -> String {
        // Upper, then lower: makes ß and ss equal, and the two small sigmas.
        let folded = self.0.nfkc().collect::<String>().to_uppercase().to_lowercase();
        folded.nfkc().collect()
    }

    /// A folder name: ASCII letters of the transliterated name, and eight hex digits that keep two names apart.
    #[must_use]
    pub fn slug(&self) -> String {
        let mut slug = String::new();
        for c in deunicode(&self.0).chars() {
            if slug.len() >= MAX_SLUG_CHARS {
                break;
            }
            if c.is_ascii_alphanumeric() {
                slug.push(c.to_ascii_lowercase());
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        let slug = slug.trim_end_matches('-');
        let hash = Sha256::digest(self.0.as_bytes());
        let tag: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        if slug.is_empty() { tag } else { format!("{slug}-{tag}") }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Controls, line and paragraph separators, and marks that change the direction of what follows. The joiners U+200C and
/// U+200D stay: Persian names and emoji use them.
fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_or_refused() {
        fn check(text: &str, expected: Result<&str, NameError>) {
            assert_eq!(Name::new(text).as_ref().map(Name::as_str), expected.as_ref().copied(), "{text:?}");
        }
        check("Ada Lovelace", Ok("Ada Lovelace"));
        check("  Ada\n", Ok("Ada"));
        check("Zoe\u{308}", Ok("Zoë"));
        check("李小龍", Ok("李小龍"));
        check("Robin 🦊", Ok("Robin 🦊"));
        check("a/b\\..", Ok("a/b\\.."));
        check(" \t ", Err(NameError::Empty));
        check("Ada\u{7}", Err(NameError::Control('\u{7}')));
        check("Ada\nLovelace", Err(NameError::Control('\n')));
        check("Ada\u{202e}x", Err(NameError::Control('\u{202e}')));
        check(&"é".repeat(100), Ok("é".repeat(100).as_str()));
        check(&"x".repeat(300), Err(NameError::TooLong { got: 300 }));
    }

    #[test]
    fn names_equal_but_for_case_or_form_fold_together() {
        fn check(a: &str, b: &str, same: bool) {
            let [a, b] = [a, b].map(|text| Name::new(text).unwrap().folded());
            assert_eq!(a == b, same, "{a:?} {b:?}");
        }
        check("José", "JOSE\u{301}", true);
        check("Groß", "GROSS", true);
        check("Ａｄａ", "ada", true);
        check("ﬁona", "Fiona", true);
        check("Σίσυφος", "ΣΊΣΥΦΟΣ", true);
        check("Jose", "José", false);
        check("Ada L", "Ada  L", false);
    }

    #[test]
    fn slugs_are_safe_and_distinct() {
        fn check(name: &str, start: &str) {
            let slug = Name::new(name).unwrap().slug();
            assert!(slug.starts_with(start), "{name:?}: {slug}");
            assert!(slug.len() <= MAX_SLUG_CHARS + 9);
            assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{slug}");
        }
        check("Zoë Ångström", "zoe-angstrom-");
        check("../../etc/passwd", "etc-passwd-");
        check("李小龍", "li-xiao-long-");
        check("\u{10ffff}", "");
        check(&"w".repeat(100), "wwww");
        assert_ne!(Name::new("a/b").unwrap().slug(), Name::new("a b").unwrap().slug());
    }
}
