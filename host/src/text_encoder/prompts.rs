//! Rows of token ids → a checked, cropped batch for the text encoder.

use super::TextConfig;

/// Prompts of equal length L, checked against the sizes of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts {
    /// `[N, L]` token ids.
    ids: Vec<i32>,
    length: usize,
    /// Position of each row's end-of-text token.
    ends: Vec<usize>,
}

/// Why token ids are no prompts for an encoder.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PromptsError {
    /// There is nothing to encode.
    #[error("there are no prompts, wanted at least 1")]
    NoRows,
    /// A row is empty or doesn't fit the encoder's context.
    #[error("prompt {row} has {got} tokens, wanted 1 to {most}")]
    Length {
        /// Index of the row.
        row: usize,
        /// Its number of tokens.
        got: usize,
        /// The encoder's context length.
        most: usize,
    },
    /// A token is outside the encoder's vocabulary.
    #[error("prompt {row} has token {got}, the vocabulary ends at {vocabulary}")]
    Token {
        /// Index of the row.
        row: usize,
        /// The token.
        got: u32,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
}

impl Prompts {
    /// Checks rows of token ids, padded or not. The end of a row is its first token of the greatest id, as in CLIP:
    /// the mark of the end of text is the last of the vocabulary. What stands behind the last end is dropped.
    ///
    /// # Errors
    /// [`PromptsError`].
    pub fn new(rows: &[Vec<u32>], config: &TextConfig) -> Result<Self, PromptsError> {
        if rows.is_empty() {
            return Err(PromptsError::NoRows);
        }
        for (row, tokens) in rows.iter().enumerate() {
            if tokens.is_empty() || tokens.len() > config.context {
                return Err(PromptsError::Length { row, got: tokens.len(), most: config.context });
            }
            if let Some(&got) = tokens.iter().find(|&&t| t as usize >= config.vocabulary) {
                return Err(PromptsError::Token { row, got, vocabulary: config.vocabulary });
            }
        }
        let ends: Vec<usize> = rows.iter().map(|tokens| end_of(tokens)).collect();
        let length = 1 + ends.iter().copied().max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * length);
        for tokens in rows {
            let kept = tokens.iter().take(length).map(|&t| t.cast_signed());
            ids.extend(kept.chain(std::iter::repeat_n(0, length.saturating_sub(tokens.len()))));
        }
        Ok(Self { ids, length, ends })
    }

    /// Number of prompts, N.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one prompt")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Number of tokens of each row after cropping, L.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// `[N·L]` token ids, row by row.
    pub(super) fn ids(&self) -> Vec<i32> {
        self.ids.clone()
    }

    /// `[N]` rows of the `[N·L, …]` activations where the prompts end.
    pub(super) fn end_rows(&self) -> Vec<i32> {
        let rows = self.ends.iter().enumerate().map(|(i, end)| i * self.length + end);
        rows.map(|row| i32::try_from(row).expect("2^31 tokens don't fit in memory")).collect()
    }
}

/// Position of the first token of the greatest id.
fn end_of(tokens: &[u32]) -> usize {
    let greatest = tokens.iter().copied().max().unwrap_or(0);
    tokens.iter().position(|&t| t == greatest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: TextConfig = TextConfig { vocabulary: 10, context: 5, width: 64, layers: 1, dim: 8 };

    #[test]
    fn rows_are_cropped_behind_the_last_end() {
        let check = |rows: &[&[u32]], length: usize, ids: &[i32], ends: &[i32]| {
            let rows: Vec<Vec<u32>> = rows.iter().map(|r| r.to_vec()).collect();
            let prompts = Prompts::new(&rows, &CONFIG).expect("prompts");
            assert_eq!(
                (prompts.length(), prompts.ids().as_slice(), prompts.end_rows().as_slice()),
                (length, ids, ends)
            );
        };
        check(&[&[8, 1, 9, 0, 0]], 3, &[8, 1, 9], &[2]);
        check(&[&[8, 1, 9], &[8, 1, 2, 9]], 4, &[8, 1, 9, 0, 8, 1, 2, 9], &[2, 7]);
        // A mark that the text itself contains ends it, as in CLIP.
        check(&[&[8, 9, 1, 9, 0]], 2, &[8, 9], &[1]);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let check = |rows: &[&[u32]], expected: PromptsError| {
            let rows: Vec<Vec<u32>> = rows.iter().map(|r| r.to_vec()).collect();
            assert_eq!(Prompts::new(&rows, &CONFIG), Err(expected));
        };
        check(&[], PromptsError::NoRows);
        check(&[&[9], &[]], PromptsError::Length { row: 1, got: 0, most: 5 });
        check(&[&[8, 1, 1, 1, 1, 9]], PromptsError::Length { row: 0, got: 6, most: 5 });
        check(&[&[8, 10]], PromptsError::Token { row: 0, got: 10, vocabulary: 10 });
    }
}
