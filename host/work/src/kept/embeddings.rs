//! Embeddings of one encoder ⇄ bytes: little-endian f32, `[rows, dim]`.

use lintel_core::embed::{Embedding, EncoderId};

/// The values of all rows.
#[must_use]
pub fn to_bytes<'a>(embeddings: impl Iterator<Item = &'a Embedding>) -> Vec<u8> {
    embeddings.flat_map(Embedding::vector).flat_map(|value| value.to_le_bytes()).collect()
}

/// `count` rows of `dim` values; `None` if the number of bytes differs, or a row is not a unit vector.
#[must_use]
pub fn from_bytes(bytes: &[u8], count: usize, dim: usize, encoder: EncoderId) -> Option<Vec<Embedding>> {
    let wide = dim.checked_mul(4)?;
    if count.checked_mul(wide)? != bytes.len() || (wide == 0 && count > 0) {
        return None;
    }
    let row = |row: &[u8]| {
        let values: Vec<f32> =
            row.chunks_exact(4).map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]])).collect();
        Embedding::new(&values, encoder).ok()
    };
    bytes.chunks_exact(wide.max(1)).map(row).collect()
}
