//! Rows of token ids → checked, cropped prompts for the text encoder.

use std::collections::{BTreeMap, BTreeSet};

use super::TextConfig;

/// Prompts, checked against the sizes of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts {
    /// N rows of token ids, each up to and with its end-of-text token; at least one.
    rows: Vec<Vec<i32>>,
}

/// Why token ids cannot be encoded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PromptsError {
    /// The list is empty.
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
    /// Checks rows of token ids, padded or not. A row ends at its first token of the greatest id, as in CLIP: the end
    /// mark is the last token of the vocabulary. What follows it is dropped.
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
        let rows = rows.iter().map(|tokens| tokens[..=end_of(tokens)].iter().map(|t| t.cast_signed()).collect());
        Ok(Self { rows: rows.collect() })
    }

    /// Number of prompts, N.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one prompt")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The prompts in order, `size` at a time.
    ///
    /// # Panics
    /// If `size` is 0.
    pub fn chunks(&self, size: usize) -> impl Iterator<Item = Self> {
        self.rows.chunks(size).map(|rows| Self { rows: rows.to_vec() })
    }

    /// The given prompts, in the given order.
    ///
    /// # Panics
    /// If there are none, or an index is not below the number of prompts.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        assert!(!indices.is_empty(), "no prompts are selected");
        Self { rows: indices.iter().map(|&index| self.rows[index].clone()).collect() }
    }

    /// The same prompts for an encoder that has only the tokens that occur in them, and the ids of these tokens,
    /// ascending. The new id of a token is its place in that list.
    #[must_use]
    pub fn renumbered(&self) -> (Self, Vec<usize>) {
        let used: BTreeSet<i32> = self.rows.iter().flatten().copied().collect();
        let new: BTreeMap<i32, i32> = used.iter().copied().zip(0..).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(|token| new[token]).collect()).collect();
        (Self { rows }, used.into_iter().map(|token| token.cast_unsigned() as usize).collect())
    }

    /// N rows of token ids, each up to and with its end-of-text token.
    pub(super) fn rows(&self) -> &[Vec<i32>] {
        &self.rows
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
    fn rows_are_cropped_behind_their_ends() {
        let check = |rows: &[&[u32]], expected: &[&[i32]]| {
            let rows: Vec<Vec<u32>> = rows.iter().map(|r| r.to_vec()).collect();
            assert_eq!(Prompts::new(&rows, &CONFIG).expect("prompts").rows(), expected);
        };
        check(&[&[8, 1, 9, 0, 0]], &[&[8, 1, 9]]);
        check(&[&[8, 1, 9], &[8, 1, 2, 9]], &[&[8, 1, 9], &[8, 1, 2, 9]]);
        // An end mark inside the text ends it, as in CLIP.
        check(&[&[8, 9, 1, 9, 0]], &[&[8, 9]]);
    }

    #[test]
    fn tokens_are_renumbered_in_order() {
        let rows = [vec![8, 1, 9], vec![8, 5, 1, 9]];
        let (prompts, ids) = Prompts::new(&rows, &CONFIG).expect("prompts").renumbered();
        assert_eq!(ids, [1, 5, 8, 9]);
        assert_eq!(prompts.rows(), [vec![2, 0, 3], vec![2, 1, 0, 3]]);
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
