//! Texts → byte-pair merges in CLIP's file format (Sennrich et al. 2016).

use std::collections::BTreeMap;

/// The first line of the file; readers skip it.
const HEADER: &str = "#version: 0.2";
/// CLIP's mark of a word's last piece.
const END: &str = "</w>";
/// Tokens of single bytes, inside and at the end of a word, and the start and end marks.
pub const FIXED_TOKENS: usize = 512 + 2;

/// Merges the most frequent pair, again and again, until `vocabulary` tokens exist or no pair occurs twice. Returns the
/// file and the number of tokens.
pub fn train<'a>(texts: impl Iterator<Item = &'a str>, vocabulary: usize) -> (String, usize) {
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for text in texts {
        for word in words(&text.to_lowercase()) {
            *counts.entry(pieces(&word)).or_default() += 1;
        }
    }
    let mut words: Vec<(Vec<String>, usize)> = counts.into_iter().collect();
    let mut lines = vec![HEADER.to_owned()];
    while lines.len() - 1 + FIXED_TOKENS < vocabulary {
        let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (word, count) in &words {
            for pair in word.windows(2) {
                *pairs.entry((&pair[0], &pair[1])).or_default() += count;
            }
        }
        // Equal counts: the pair that sorts first, so that the file is always the same.
        let Some((pair, count)) = pairs.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0))) else { break };
        if count < 2 {
            break;
        }
        let (left, right) = (pair.0.to_owned(), pair.1.to_owned());
        lines.push(format!("{left} {right}"));
        for (word, _) in &mut words {
            merge(word, &left, &right);
        }
    }
    let tokens = lines.len() - 1 + FIXED_TOKENS;
    (lines.join("\n") + "\n", tokens)
}

fn merge(word: &mut Vec<String>, left: &str, right: &str) {
    let mut i = 0;
    while i + 1 < word.len() {
        if word[i] == left && word[i + 1] == right {
            let tail = word.remove(i + 1);
            word[i].push_str(&tail);
        }
        i += 1;
    }
}

/// Runs of letters, single digits, runs of anything else except spaces.
fn words(text: &str) -> Vec<String> {
    let class = |c: char| match c {
        c if c.is_alphabetic() => 0,
        c if c.is_numeric() => 1,
        c if c.is_whitespace() => 2,
        _ => 3,
    };
    let mut out: Vec<String> = Vec::new();
    let mut last = 2;
    for c in text.chars() {
        let now = class(c);
        if now != 2 {
            match out.last_mut() {
                Some(word) if now == last && now != 1 => word.push(c),
                _ => out.push(c.to_string()),
            }
        }
        last = now;
    }
    out
}

/// One printable letter per byte, the last one marked.
fn pieces(word: &str) -> Vec<String> {
    let mut pieces: Vec<String> = word.bytes().map(|b| letter(b).to_string()).collect();
    if let Some(last) = pieces.last_mut() {
        last.push_str(END);
    }
    pieces
}

/// GPT-2's printable replacement of a byte: itself if it is printable in Latin-1, else the next free one above 255.
fn letter(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !printable(b)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_pairs_merge_first() {
        let (file, tokens) = train(["ab ab ab abc"].into_iter(), 1000);
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!(lines, [HEADER, "a b</w>"]);
        assert_eq!(tokens, FIXED_TOKENS + 1);
    }

    #[test]
    fn the_tokenizer_reads_the_file() {
        let text = "a photo of Zoë, a photo of 42 things";
        let (file, tokens) = train([text, text].into_iter(), 600);
        let tokenizer =
            lintel_clip::tokenizer::Tokenizer::new(file.as_bytes(), tokens, 77).expect("the file is well-formed");
        let ids = tokenizer.encode("photo of").expect("a short text");
        assert_eq!(ids.len(), 4, "each known word is one token: {ids:?}");
    }

    #[test]
    fn words_split_as_clip_splits_them() {
        assert_eq!(words("ab 12,c"), ["ab", "1", "2", ",", "c"]);
    }
}
