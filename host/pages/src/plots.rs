//! Curves and counts → pictures: the loss over the epochs, error rates by threshold, the confusion matrix.

mod axis;
mod confusion;

use crate::picture::{Canvas, Colour, Font, palette, text_width};

pub use axis::Axis;
pub use confusion::Confusion;

/// One line of a chart.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Label beside the chart.
    pub label: String,
    /// Colour of the line.
    pub colour: Colour,
    /// `(x, y)` in the order of the line; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// A highlighted point of a chart.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Label beside the point.
    pub label: String,
    /// Colour of the point.
    pub colour: Colour,
    /// `(x, y)`.
    pub at: (f64, f64),
}

const SIZE: (u32, u32) = (760, 420);
/// Left, top, right, bottom of the plotted area.
const AREA: (i32, i32, i32, i32) = (76, 56, 730, 366);

/// Curves over a common x axis in whole numbers, y from 0 up.
#[must_use]
pub fn curves(title: &str, x_label: &str, curves: &[Curve]) -> Canvas {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let x = Axis::linear(x_label, points().map(|point| point.0), 8.0, 1.0, false);
    let y = Axis::linear("", points().map(|point| point.1).chain([0.0]), 5.0, 0.0, true);
    chart(title, &x, &y, curves, &[])
}

/// Curves and marks over two axes; the y axis's label stands above it.
#[must_use]
pub fn chart(title: &str, x: &Axis, y: &Axis, curves: &[Curve], marks: &[Mark]) -> Canvas {
    let (left, top, right, bottom) = AREA;
    let mut canvas = Canvas::new(SIZE.0, SIZE.1, palette::PAPER);
    canvas.text(16, 10, title, Font::Title, palette::INK);
    let x_at = |value: f64| left + (x.place(value) * f64::from(right - left)).round() as i32;
    let y_at = |value: f64| bottom - (y.place(value) * f64::from(bottom - top)).round() as i32;
    for (value, label) in &y.ticks {
        let at = y_at(*value);
        canvas.line((left, at), (right, at), 1, palette::RULE);
        canvas.text(left - 8 - text_width(label, Font::Body) as i32, at - 6, label, Font::Body, palette::FAINT);
    }
    for (value, label) in &x.ticks {
        let at = x_at(*value);
        canvas.line((at, bottom), (at, bottom + 4), 1, palette::FAINT);
        let half = text_width(label, Font::Body) as i32 / 2;
        canvas.text(at - half, bottom + 8, label, Font::Body, palette::FAINT);
    }
    canvas.text(left, top - 18, &y.label, Font::Body, palette::FAINT);
    let width = text_width(&x.label, Font::Body) as i32;
    canvas.text(right - width, bottom + 26, &x.label, Font::Body, palette::FAINT);
    let finite = |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite();
    for (index, curve) in curves.iter().enumerate() {
        let points: Vec<(i32, i32)> = curve.points.iter().filter(finite).map(|&(x, y)| (x_at(x), y_at(y))).collect();
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
    for mark in marks.iter().filter(|mark| finite(&&mark.at)) {
        let (x, y) = (x_at(mark.at.0), y_at(mark.at.1));
        canvas.fill(x - 4, y - 4, 9, 9, palette::PAPER);
        canvas.fill(x - 3, y - 3, 7, 7, mark.colour);
        let width = text_width(&mark.label, Font::Body) as i32;
        canvas.text((x + 8).min(right - width), (y - 16).max(top), &mark.label, Font::Body, palette::INK);
    }
    canvas
}

/// The share of values in each of `bins` equal parts of `from..to`, as a stepped line. Values outside count in the
/// first or the last part.
#[must_use]
pub fn histogram(values: &[f64], from: f64, to: f64, bins: usize) -> Vec<(f64, f64)> {
    let mut counts = vec![0_u32; bins.max(1)];
    for value in values.iter().filter(|value| value.is_finite()) {
        let bin = ((value - from) / (to - from) * bins as f64).floor().clamp(0.0, bins as f64 - 1.0);
        counts[bin as usize] += 1;
    }
    let width = (to - from) / bins as f64;
    let mut points = vec![(from, 0.0)];
    for (bin, count) in counts.iter().enumerate() {
        let (left, share) = (from + bin as f64 * width, f64::from(*count) / values.len().max(1) as f64);
        points.extend([(left, share), (left + width, share)]);
    }
    points.push((to, 0.0));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_of_any_kind_are_drawn() {
        for points in [vec![], vec![(1.0, 0.5)], vec![(1.0, f64::NAN), (2.0, 3.0)], vec![(1.0, 0.0), (1.0, 0.0)]] {
            let curve = Curve { label: "loss".into(), colour: palette::ACCENT, points };
            assert_eq!(curves("loss", "epoch", &[curve]).into_image().dimensions(), SIZE);
        }
    }

    #[test]
    fn a_mark_is_where_its_values_are() {
        let axis = Axis::rates("FPIR", 0.01);
        let mark = Mark { label: "here".into(), colour: palette::BAD, at: (1.0, 0.01) };
        let image = chart("errors", &axis, &axis, &[], &[mark]).into_image();
        assert_eq!(image.get_pixel(AREA.2 as u32, AREA.3 as u32).0, palette::BAD);
    }

    #[test]
    fn histograms_count_everything() {
        let steps = histogram(&[-5.0, 0.1, 0.6, 0.7, 5.0], 0.0, 1.0, 2);
        let shares: Vec<f64> = steps.iter().map(|step| step.1).collect();
        assert_eq!(shares, [0.0, 0.4, 0.4, 0.6, 0.6, 0.0]);
    }
}
