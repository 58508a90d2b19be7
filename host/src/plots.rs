//! Curves and counts → pictures: the loss over the epochs, who was taken for whom.

use crate::picture::{Canvas, Colour, Font, palette, text_width};

/// One line of a chart.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Beside the chart.
    pub label: String,
    /// Colour of the line.
    pub colour: Colour,
    /// `(x, y)`, by rising x; what is not finite is left out.
    pub points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (760, 420);
/// Left, top, right, bottom of the plotted area.
const AREA: (i32, i32, i32, i32) = (76, 56, 730, 366);

/// Curves over a common x axis, y from 0 up.
#[must_use]
pub fn curves(title: &str, x_label: &str, curves: &[Curve]) -> Canvas {
    let (left, top, right, bottom) = AREA;
    let mut canvas = Canvas::new(SIZE.0, SIZE.1, palette::PAPER);
    canvas.text(16, 10, title, Font::Title, palette::INK);
    let finite = || curves.iter().flat_map(|curve| &curve.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let x_max = finite().map(|point| point.0).fold(1.0, f64::max);
    let x_min = finite().map(|point| point.0).fold(x_max, f64::min);
    let y_step = round_step(finite().map(|point| point.1).fold(1e-9, f64::max) / 5.0);
    let y_max = y_step * (finite().map(|point| point.1).fold(1e-9, f64::max) / y_step).ceil();

    let x_at = |x: f64| left + ((x - x_min) / (x_max - x_min).max(1e-9) * f64::from(right - left)).round() as i32;
    let y_at = |y: f64| bottom - (y / y_max * f64::from(bottom - top)).round() as i32;
    let mut y = 0.0;
    while y <= y_max * 1.001 {
        canvas.line((left, y_at(y)), (right, y_at(y)), 1, palette::RULE);
        let label = number(y, y_step);
        canvas.text(left - 8 - text_width(&label, Font::Body) as i32, y_at(y) - 6, &label, Font::Body, palette::FAINT);
        y += y_step;
    }
    let x_step = round_step((x_max - x_min).max(1.0) / 8.0).max(1.0);
    let mut x = (x_min / x_step).ceil() * x_step;
    while x <= x_max * 1.001 {
        canvas.line((x_at(x), bottom), (x_at(x), bottom + 4), 1, palette::FAINT);
        let label = number(x, x_step);
        let half = text_width(&label, Font::Body) as i32 / 2;
        canvas.text(x_at(x) - half, bottom + 8, &label, Font::Body, palette::FAINT);
        x += x_step;
    }
    canvas.text(right - text_width(x_label, Font::Body) as i32, bottom + 26, x_label, Font::Body, palette::FAINT);
    for (index, curve) in curves.iter().enumerate() {
        let points: Vec<(i32, i32)> = curve
            .points
            .iter()
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .map(|&(x, y)| (x_at(x), y_at(y)))
            .collect();
        for pair in points.windows(2) {
            canvas.line(pair[0], pair[1], 2, curve.colour);
        }
        if let [only] = points.as_slice() {
            canvas.fill(only.0 - 2, only.1 - 2, 5, 5, curve.colour);
        }
        let y = top + 4 + 18 * index as i32;
        let x = right - text_width(&curve.label, Font::Body) as i32 - 8;
        canvas.fill(x - 22, y + 5, 16, 3, curve.colour);
        canvas.text(x, y, &curve.label, Font::Body, palette::INK);
    }
    canvas
}

/// Who came (rows) against who was named (columns). Cells on the diagonal are right.
#[derive(Debug, Clone)]
pub struct Confusion {
    /// Whoever stood there.
    pub rows: Vec<String>,
    /// Whoever can be named, and at the end nobody.
    pub columns: Vec<String>,
    /// How often, `[row][column]`.
    pub counts: Vec<Vec<u32>>,
    /// The column that is right for each row.
    pub right: Vec<usize>,
}

const CELL: i32 = 30;
const LABEL: i32 = 176;
/// A picture of more rows or columns than this says nothing more; the report has every figure.
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
            // People are numbered as their rows are; a name does not fit over a cell.
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

/// 1, 2 or 5 times a power of ten, at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough * 0.999).unwrap_or(power)
}

fn number(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_step_in_round_numbers() {
        fn check(rough: f64, step: f64, label: &str) {
            assert!((round_step(rough) / step - 1.0).abs() < 1e-9, "{rough}");
            assert_eq!(number(step, step), label);
        }
        check(0.37, 0.5, "0.5");
        check(1.0, 1.0, "1");
        check(0.012, 0.02, "0.02");
        check(130.0, 200.0, "200");
    }

    #[test]
    fn curves_of_any_kind_are_drawn() {
        for points in [vec![], vec![(1.0, 0.5)], vec![(1.0, f64::NAN), (2.0, 3.0)], vec![(1.0, 0.0), (1.0, 0.0)]] {
            let curve = Curve { label: "loss".into(), colour: palette::ACCENT, points };
            assert_eq!(curves("loss", "epoch", &[curve]).into_image().dimensions(), SIZE);
        }
    }

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
