//! The confusion matrix of recorded people and named people → a picture.

use crate::picture::{Canvas, Font, palette, text_width};

/// Recorded people (rows) against named people (columns). Cells on the diagonal are right.
#[derive(Debug, Clone)]
pub struct Confusion {
    /// The people who were recorded.
    pub rows: Vec<String>,
    /// The people who can be named, and "nobody" last.
    pub columns: Vec<String>,
    /// Counts, `[row][column]`.
    pub counts: Vec<Vec<u32>>,
    /// The column that is right for each row.
    pub right: Vec<usize>,
}

const CELL: i32 = 30;
const LABEL: i32 = 176;
/// The most rows and columns that are drawn; the report has every figure.
const MOST: usize = 120;

impl Confusion {
    /// The picture; at most 120 rows and columns are drawn, the last column always.
    #[must_use]
    pub fn draw(&self, title: &str) -> Canvas {
        let rows = self.rows.len().min(MOST);
        let last = self.columns.len().saturating_sub(1);
        let columns: Vec<usize> = (0..self.columns.len()).filter(|&column| column < MOST || column == last).collect();
        let width = (LABEL + columns.len() as i32 * CELL + 24).max(420);
        let head = 48 + 20;
        let height = head + rows as i32 * CELL + 40;
        let mut canvas = Canvas::new(width as u32, height as u32, palette::PAPER);
        canvas.text(12, 10, title, Font::Title, palette::INK);
        for (place, &column) in columns.iter().enumerate() {
            // People are numbered by row; a name does not fit over a cell.
            let label = if column == last { "-".to_owned() } else { (column + 1).to_string() };
            let x = LABEL + place as i32 * CELL + (CELL - text_width(&label, Font::Body) as i32) / 2;
            canvas.text(x, head - 18, &label, Font::Body, palette::FAINT);
        }
        for row in 0..rows {
            let y = head + row as i32 * CELL;
            let name = &self.rows[row];
            canvas.text_within(12, y + 8, (LABEL - 20) as u32, name, Font::Body, palette::INK);
            for (place, &column) in columns.iter().enumerate() {
                let count = self.counts[row][column];
                let right = self.right[row] == column;
                let x = LABEL + place as i32 * CELL;
                let (fill, ink) = match (count, right) {
                    (0, false) => (palette::PANEL, palette::FAINT),
                    (0, true) => (palette::RULE, palette::FAINT),
                    (_, true) => (palette::GOOD, palette::PAPER),
                    (_, false) => (palette::BAD, palette::PAPER),
                };
                canvas.fill(x + 1, y + 1, (CELL - 2) as u32, (CELL - 2) as u32, fill);
                if count > 0 {
                    let label = count.to_string();
                    let x = x + (CELL - text_width(&label, Font::Body) as i32) / 2;
                    canvas.text(x, y + 9, &label, Font::Body, ink);
                }
            }
        }
        let legend = "rows: who came; columns: who was named (row numbers), - nobody";
        canvas.text_within(12, height - 28, (width - 16) as u32, legend, Font::Body, palette::FAINT);
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confusion_shows_right_and_wrong() {
        let confusion = Confusion {
            rows: vec!["Ada".into(), "stranger 1".into()],
            columns: vec!["Ada".into(), "nobody".into()],
            counts: vec![vec![1, 0], vec![1, 0]],
            right: vec![0, 1],
        };
        let image = confusion.draw("who was taken for whom").into_image();
        let cell =
            |row: i32, column: i32| image.get_pixel((LABEL + column * CELL + 3) as u32, (68 + row * CELL + 3) as u32).0;
        assert_eq!([cell(0, 0), cell(1, 0), cell(0, 1)], [palette::GOOD, palette::BAD, palette::PANEL]);
    }
}
