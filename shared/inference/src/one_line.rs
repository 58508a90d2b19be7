//! Messages of other programs, which may have several lines → text for an error, which has one.

/// The first lines of `text` on one line, 300 characters at most.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}
