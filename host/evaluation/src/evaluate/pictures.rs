//! Trials → pictures: the DET curve, error rates by threshold, the scores of both sides.

use lintel_core::table::Rule;
use lintel_pages::picture::{Canvas, Colour, palette};
use lintel_pages::plots::{Axis, Confusion, Curve, Mark, chart, histogram};

use super::rules::Point;
use super::visit::{Mated, Trial};
use super::{ErrorCurve, Participant};

/// Bars of a histogram.
const BINS: usize = 60;
/// Thresholds on similarity along the axis.
const STEPS: u32 = 100;

/// Detection error trade-off: FNIR by FPIR, of both rules, over looks and over visits.
#[must_use]
pub fn det(curves: &[ErrorCurve]) -> Canvas {
    let least = curves.iter().map(|curve| curve.at_the_threshold).flat_map(|errors| [errors.fpir, errors.fnir]);
    let least = least.filter(|rate| rate.trials > 0).map(|rate| 1.0 / rate.trials as f64).fold(0.1, f64::min);
    let mut marks = Vec::new();
    let lines: Vec<Curve> = curves
        .iter()
        .map(|curve| {
            let colour = colour(curve);
            let rate = |rate: lintel_statistics::Rate| rate.rate.unwrap_or(f64::NAN);
            let at = (rate(curve.at_the_threshold.fpir), rate(curve.at_the_threshold.fnir));
            marks.push(Mark { label: String::new(), colour, at });
            let of = if curve.of_visits { "visits" } else { "looks" };
            let points = curve.points.iter().map(|point: &Point| (point.fpir, point.fnir)).collect();
            Curve { label: format!("{}, {of}", curve.rule), colour, points }
        })
        .collect();
    let (x, y) = (Axis::rates("FPIR", least), Axis::rates("FNIR", least));
    chart("errors as the threshold moves; squares: at the threshold", &x, &y, &lines, &marks)
}

fn colour(curve: &ErrorCurve) -> Colour {
    match (curve.rule.as_str(), curve.of_visits) {
        ("confidence", false) => palette::SECOND,
        ("confidence", true) => palette::BAD,
        (_, false) => palette::ACCENT,
        (_, true) => palette::GOOD,
    }
}

/// FPIR and FNIR over looks by the threshold on similarity. The threshold on the margin is the table's; none if the
/// table has the paper's rule.
#[must_use]
pub fn by_threshold(trials: &[Trial], rule: Rule) -> Canvas {
    let (threshold, margin) = match rule {
        Rule::Calibrated { similarity, margin } => (Some(similarity), margin),
        Rule::Paper { .. } => (None, 0.0),
    };
    let similarities = || trials.iter().map(|trial| f64::from(trial.asked.thresholds.similarity));
    let from = similarities().fold(1.0, f64::min);
    let share = |at: f64, mated: bool| {
        let of = || trials.iter().filter(|trial| (trial.mated != Mated::Not) == mated);
        let named = |trial: &&Trial| {
            f64::from(trial.asked.thresholds.similarity) >= at
                && trial.asked.thresholds.margin >= margin
                && trial.mated != Mated::Behind
        };
        let named = of().filter(named).count() as f64 / of().count() as f64;
        (at, if mated { 1.0 - named } else { named })
    };
    let thresholds = || (0..=STEPS).map(|step| from + (1.0 - from) * f64::from(step) / f64::from(STEPS));
    let curves = [
        Curve { label: "FPIR".into(), colour: palette::BAD, points: thresholds().map(|at| share(at, false)).collect() },
        Curve {
            label: "FNIR".into(),
            colour: palette::ACCENT,
            points: thresholds().map(|at| share(at, true)).collect(),
        },
    ];
    let least = 1.0 / trials.len().max(10) as f64;
    let x = Axis::linear(
        "threshold on similarity (cosine, normalised by the person)",
        similarities().chain([1.0]),
        8.0,
        0.0,
        true,
    );
    let marks: Vec<Mark> = threshold
        .into_iter()
        .flat_map(|threshold| {
            [palette::BAD, palette::ACCENT].into_iter().zip([false, true]).map(move |(c, m)| (threshold, c, m))
        })
        .map(|(threshold, colour, mated)| Mark { label: String::new(), colour, at: share(threshold.into(), mated) })
        .collect();
    chart(
        "frames by the threshold on similarity; squares: the table's threshold",
        &x,
        &Axis::rates("", least),
        &curves,
        &marks,
    )
}

/// The distributions of the scores of enrolled people and of strangers: similarity above, margin below.
#[must_use]
pub fn scores(trials: &[Trial]) -> Canvas {
    let picture = |title: &str, label: &str, measure: fn(&Trial) -> f64| {
        let all = || trials.iter().map(measure);
        let (from, to) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let (from, to) = if from < to { (from, to) } else { (0.0, 1.0) };
        let of = |mated: bool| -> Vec<f64> {
            trials.iter().filter(|trial| (trial.mated != Mated::Not) == mated).map(measure).collect()
        };
        let curves = [
            Curve { label: "enrolled".into(), colour: palette::GOOD, points: histogram(&of(true), from, to, BINS) },
            Curve { label: "strangers".into(), colour: palette::BAD, points: histogram(&of(false), from, to, BINS) },
        ];
        let x = Axis::linear(label, [from, to].into_iter(), 8.0, 0.0, false);
        let shares = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
        chart(title, &x, &Axis::linear("share of looks", shares, 5.0, 0.0, true), &curves, &[])
    };
    let parts = [
        picture("similarity to the most similar person", "cosine, normalised by the person", |trial| {
            trial.asked.thresholds.similarity.into()
        }),
        picture("margin over the next person", "difference of cosines", |trial| trial.asked.thresholds.margin.into()),
    ]
    .map(Canvas::into_image);
    let (width, height) = parts[0].dimensions();
    let mut canvas = Canvas::new(width, 2 * height, palette::PAPER);
    for (part, place) in parts.iter().zip(0..) {
        canvas.paste(0, place * height as i32, part);
    }
    canvas
}

/// The confusion matrix, one row per recording.
#[must_use]
pub fn confusion(people: &[String], participants: &[Participant]) -> Confusion {
    let column = |name: &Option<String>| {
        name.as_ref().and_then(|name| people.iter().position(|person| person == name)).unwrap_or(people.len())
    };
    // Enrolled people first, in the table's order, so that right names lie on the diagonal.
    let mut sorted: Vec<&Participant> = participants.iter().collect();
    sorted.sort_by_key(|participant| if participant.mated { column(&participant.person) } else { people.len() });
    Confusion {
        rows: sorted.iter().map(|participant| participant.label.clone()).collect(),
        columns: people.iter().cloned().chain(["nobody".to_owned()]).collect(),
        counts: sorted
            .iter()
            .map(|participant| {
                let mut row = vec![0; people.len() + 1];
                row[column(&participant.named)] = 1;
                row
            })
            .collect(),
        right: sorted
            .iter()
            .map(|participant| if participant.mated { column(&participant.person) } else { people.len() })
            .collect(),
    }
}
