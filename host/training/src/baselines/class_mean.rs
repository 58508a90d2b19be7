//! Nearest class mean: a person's row is the direction of the sum of the person's photos (Mensink et al. 2013).

use super::{Data, Scorer, by_rows};

/// Unit rows `[N, dim]`.
#[must_use]
pub fn rows(data: &Data) -> Vec<f32> {
    let mut rows = vec![0.0_f32; data.people * data.dim];
    for photo in &data.train {
        let row = &mut rows[photo.row * data.dim..(photo.row + 1) * data.dim];
        row.iter_mut().zip(photo.face.vector()).for_each(|(sum, value)| *sum += value);
    }
    for row in rows.chunks_exact_mut(data.dim) {
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|value| *value /= length);
        }
    }
    rows
}

/// Cosine with each mean.
#[must_use]
pub fn scorer(data: &Data) -> Scorer<'static> {
    by_rows(rows(data), data.dim)
}
