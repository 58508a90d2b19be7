//! Text → token ids of CLIP's byte-pair encoding.
//!
//! `instant-clip-tokenizer` does the merges. This module does what it leaves to the caller: the cleaning that open_clip
//! does first ([`clean`]), the start and end marks, the limit of the context, and the checks that vocabulary and
//! encoder belong together.

mod clean;

use std::io::Read;

use flate2::read::GzDecoder;
use instant_clip_tokenizer::{Token, Tokenizer as BytePairs};

pub use clean::clean;

/// Ids of the 256 bytes, within and at the end of a word, before the first merge.
const BYTE_TOKENS: usize = 512;
/// The start mark and the end mark, the last two ids of every vocabulary.
const MARKS: usize = 2;
/// The smallest useful context: start, one token, end.
const MIN_CONTEXT: usize = 3;
/// The longest text that is tokenised, in bytes; merging takes time quadratic in the length of a word.
pub const MAX_TEXT_BYTES: usize = 8192;
/// The largest list of merges that is read, in bytes after decompression. OpenAI's has 3.2 MB.
const MAX_VOCABULARY_BYTES: u64 = 16 << 20;

/// CLIP's tokenizer with one vocabulary and one context length.
pub struct Tokenizer {
    byte_pairs: BytePairs,
    vocabulary: usize,
    context: usize,
}

/// Why a vocabulary or a text was refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The list of merges can't be read.
    #[error("vocabulary is not a list of byte-pair merges: {0}")]
    Merges(#[from] std::io::Error),
    /// The list of merges is larger than [`MAX_VOCABULARY_BYTES`].
    #[error("vocabulary has more than {MAX_VOCABULARY_BYTES} bytes")]
    TooLarge,
    /// The list of merges is shorter than the encoder's vocabulary.
    #[error("vocabulary has {got} tokens, the encoder wants {wanted}")]
    Vocabulary {
        /// Number of tokens that the list gives, with both marks.
        got: usize,
        /// Rows of the encoder's token embedding.
        wanted: usize,
    },
    /// The sizes are out of range for a tokenizer.
    #[error("a vocabulary of {vocabulary} tokens and a context of {context} are out of range, wanted {least} to 65535 \
        and at least {MIN_CONTEXT}", least = BYTE_TOKENS + MARKS)]
    Sizes {
        /// The vocabulary asked for.
        vocabulary: usize,
        /// The context asked for.
        context: usize,
    },
    /// The text is longer than [`MAX_TEXT_BYTES`].
    #[error("text has {got} bytes, at most {MAX_TEXT_BYTES} are tokenised")]
    TextTooLong {
        /// The text's length in bytes.
        got: usize,
    },
}

impl Tokenizer {
    /// A tokenizer from a list of merges in CLIP's format (a header, then one pair a line, best first), plain or
    /// gzipped. A longer list is cut at `vocabulary`, the number of rows of the encoder's token embedding; `context` is
    /// the encoder's number of positions.
    ///
    /// # Errors
    /// [`TokenizerError`] when the list is malformed or too short for `vocabulary`.
    pub fn new(merges: &[u8], vocabulary: usize, context: usize) -> Result<Self, TokenizerError> {
        let sizes = TokenizerError::Sizes { vocabulary, context };
        if vocabulary < BYTE_TOKENS + MARKS || context < MIN_CONTEXT {
            return Err(sizes);
        }
        let Ok(most) = u16::try_from(vocabulary) else { return Err(sizes) };
        let list = match merges {
            [0x1f, 0x8b, ..] => limited_text(GzDecoder::new(merges))?,
            _ => limited_text(merges)?,
        };
        let byte_pairs = BytePairs::with_vocabulary(list.as_bytes(), most)?;
        let got = usize::from(byte_pairs.end_of_text().to_u16()) + 1;
        if got != vocabulary {
            return Err(TokenizerError::Vocabulary { got, wanted: vocabulary });
        }
        Ok(Self { byte_pairs, vocabulary, context })
    }

    /// A tokenizer from OpenAI's merges, which are part of the program.
    ///
    /// # Errors
    /// [`TokenizerError`] when `vocabulary` is not theirs.
    pub fn with_openais_merges(vocabulary: usize, context: usize) -> Result<Self, TokenizerError> {
        let openai = Self::openai();
        if context < MIN_CONTEXT {
            return Err(TokenizerError::Sizes { vocabulary, context });
        }
        if vocabulary != openai.vocabulary {
            return Err(TokenizerError::Vocabulary { got: openai.vocabulary, wanted: vocabulary });
        }
        Ok(Self { context, ..openai })
    }

    /// The vocabulary of OpenAI's CLIP: 49 408 tokens, a context of 77.
    #[must_use]
    pub fn openai() -> Self {
        Self { byte_pairs: BytePairs::new(), vocabulary: 49_408, context: 77 }
    }

    /// Number of token ids.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Most tokens of a text, both marks included.
    #[must_use]
    pub fn context(&self) -> usize {
        self.context
    }

    /// Text → start mark, tokens, end mark: at most [`Self::context`] ids, of which the last is always the end mark.
    ///
    /// # Errors
    /// [`TokenizerError::TextTooLong`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TokenizerError::TextTooLong { got: text.len() });
        }
        let mut tokens = vec![self.byte_pairs.start_of_text()];
        self.byte_pairs.encode(&clean(text), &mut tokens);
        tokens.truncate(self.context - 1);
        tokens.push(self.byte_pairs.end_of_text());
        Ok(tokens.into_iter().map(|token| u32::from(Token::to_u16(token))).collect())
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocabulary", &self.vocabulary).field("context", &self.context).finish()
    }
}

/// The whole text, at most [`MAX_VOCABULARY_BYTES`].
fn limited_text(source: impl Read) -> Result<String, TokenizerError> {
    let mut text = String::new();
    source.take(MAX_VOCABULARY_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_VOCABULARY_BYTES {
        return Err(TokenizerError::TooLarge);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const MERGES: &str = "#version: 0.2\na l\nal i\nc e</w>\nali ce</w>\n";
    const SIZE: usize = BYTE_TOKENS + MARKS + 4;

    #[test]
    fn own_vocabularies_merge_in_their_order() {
        let tokenizer = Tokenizer::new(MERGES.as_bytes(), SIZE, 8).expect("a tokenizer");
        let byte = |c: u8| u32::from(c - b'!');
        let end = |c: u8| byte(c) + 256;
        let check =
            |text: &str, expected: &[u32]| assert_eq!(tokenizer.encode(text).expect("tokens"), expected, "{text}");
        check("", &[516, 517]);
        check("Alice", &[516, 515, 517]);
        check("alic", &[516, 513, end(b'c'), 517]);
        check("ice b", &[516, byte(b'i'), 514, end(b'b'), 517]);
        // Cropped to the context; the end mark stays.
        check("x y z x y z x y z", &[516, end(b'x'), end(b'y'), end(b'z'), end(b'x'), end(b'y'), end(b'z'), 517]);
    }

    #[test]
    fn gzip_is_seen_through() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(MERGES.as_bytes()).expect("memory");
        let tokenizer = Tokenizer::new(&gzip.finish().expect("memory"), SIZE, 8).expect("a tokenizer");
        assert_eq!(tokenizer.encode("alice").expect("tokens"), [516, 515, 517]);
    }

    #[test]
    fn a_longer_list_is_cut_a_shorter_refused() {
        let check = |vocabulary: usize, context: usize, expected: &str| {
            let got = Tokenizer::new(MERGES.as_bytes(), vocabulary, context).err().map(|e| e.to_string());
            assert_eq!(got.unwrap_or_default(), expected);
        };
        check(SIZE - 1, 8, "");
        check(SIZE + 1, 8, "vocabulary has 518 tokens, the encoder wants 519");
        let sizes = |v, c| {
            format!(
                "a vocabulary of {v} tokens and a context of {c} are out of range, wanted 514 to 65535 and at least 3"
            )
        };
        check(513, 8, &sizes(513, 8));
        check(70_000, 8, &sizes(70_000, 8));
        check(SIZE, 2, &sizes(SIZE, 2));
    }

    #[test]
    fn broken_lists_and_endless_texts_are_refused() {
        let check = |merges: &[u8], expected: &str| {
            let error = Tokenizer::new(merges, SIZE, 8).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"#version\nonly-one\n", "not a list of byte-pair merges");
        check(b"#version\nal i\n", "not a list of byte-pair merges");
        check(&[0xff, 0xfe, b'\n', 0xff], "not a list of byte-pair merges");
        check(&[0x1f, 0x8b, 0, 0], "not a list of byte-pair merges");
        let tokenizer = Tokenizer::new(MERGES.as_bytes(), SIZE, 8).expect("a tokenizer");
        assert!(matches!(tokenizer.encode(&"a".repeat(MAX_TEXT_BYTES + 1)), Err(TokenizerError::TextTooLong { .. })));
    }
}
