//! Float models and integer models → one HTML page about the fidelity and speed of the integer models. It needs no
//! other file, and has no face and no name.

use std::collections::BTreeMap;

use lintel_inference::{Array, Model, Options, Values};
use lintel_pages::html::{cell, document, table};
use lintel_quantize::{Report, fidelity};
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use maud::{Markup, html};
use serde::Deserialize;

/// A model on the page: its name, its float file, its integer file, and the quantiser's report.
pub type Shown<'a> = (&'static str, &'a [u8], &'a [u8], &'a Report);

/// Runs of each model for a time on the page, in turn.
pub const RUNS: usize = 30;
/// The most bars of a chart of operators; the rest is one bar.
const MOST_BARS: usize = 9;

/// The running time of a model.
struct Cost {
    /// Milliseconds of each run, sorted.
    runs: Vec<f64>,
    /// Milliseconds a run by operator, the slowest first.
    operators: Vec<(String, f64)>,
}

impl Cost {
    fn median(&self) -> f64 {
        self.runs.get(self.runs.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// The page over all models. `on_run` is called after each of the [`RUNS`] of a model.
///
/// # Errors
/// [`Failure`] when a model does not run, or a scratch file cannot be written.
pub fn page(models: &[Shown<'_>], runtime: &Options, on_run: &mut dyn FnMut()) -> Result<String, Failure> {
    let mut sections = Vec::new();
    for shown in models {
        let (name, float, integers, report) = *shown;
        let [before, after] = costs([float, integers], runtime, on_run)?;
        sections.push(section(name, report, &before, &after));
    }
    Ok(document("Lintel: models in integers", &html! { @for section in &sections { (section) } }))
}

/// Runs both models in turn on one thread, so that other load slows both.
fn costs(models: [&[u8]; 2], runtime: &Options, on_run: &mut dyn FnMut()) -> Result<[Cost; 2], Failure> {
    let one = Options { threads: 1, ..runtime.clone() };
    let scratch = tempfile::tempdir().map_err(|error| Failure::work(reason(&error)))?;
    let mut opened = Vec::new();
    for (place, onnx) in models.into_iter().enumerate() {
        let plain = Model::open(onnx, &one).map_err(Failure::work)?;
        let profile = scratch.path().join(format!("profile-{place}"));
        let profiled = Model::open_profiled(onnx, &one, &profile).map_err(Failure::work)?;
        opened.push((plain, profiled, Vec::new()));
    }
    for _ in 0..RUNS {
        for (model, profiled, runs) in &mut opened {
            let input = grey(model.input());
            let names = model.outputs();
            let start = now();
            model.run(&input, &names, |_, _, _| {}).map_err(Failure::work)?;
            runs.push(start.elapsed().as_secs_f64() * 1e3);
            profiled.run(&input, &names, |_, _, _| {}).map_err(Failure::work)?;
        }
        on_run();
        interrupt::check()?;
    }
    let mut costs = Vec::new();
    for (_, mut profiled, mut runs) in opened {
        let path = profiled.end_profile().map_err(Failure::work)?;
        let text = std::fs::read(&path).map_err(|error| Failure::work(reason(&error)))?;
        runs.sort_by(f64::total_cmp);
        costs.push(Cost { runs, operators: operators(&text) });
    }
    <[Cost; 2]>::try_from(costs).map_err(|_| Failure::work("two models went in"))
}

#[allow(clippy::disallowed_methods, reason = "the page shows how long models take; nothing is decided by it")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// A picture with noise on every pixel; times do not depend on the content.
fn grey(shape: &[i64]) -> Array {
    let shape: Vec<usize> = shape.iter().map(|&d| usize::try_from(d).unwrap_or(1).max(1)).collect();
    let count = shape.iter().product();
    Array { shape, values: Values::U8((0..count).map(|i: usize| (i * 31 % 251) as u8).collect()) }
}

/// One line of ONNX Runtime's profile (Chrome's trace format).
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    /// Microseconds.
    #[serde(default)]
    dur: f64,
    #[serde(default)]
    args: BTreeMap<String, serde_json::Value>,
}

/// Milliseconds a run by operator, the slowest first.
fn operators(profile: &[u8]) -> Vec<(String, f64)> {
    let events: Vec<Event> = serde_json::from_slice(profile).unwrap_or_default();
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for event in events.iter().filter(|event| event.cat == "Node" && event.name.ends_with("_kernel_time")) {
        if let Some(operator) = event.args.get("op_name").and_then(|name| name.as_str()) {
            *sums.entry(operator.to_owned()).or_default() += event.dur / 1e3 / RUNS as f64;
        }
    }
    let mut all: Vec<(String, f64)> = sums.into_iter().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    if all.len() > MOST_BARS {
        let rest = all.split_off(MOST_BARS).into_iter().map(|(_, time)| time).sum();
        all.push(("all others".into(), rest));
    }
    all
}

fn section(name: &str, report: &Report, before: &Cost, after: &Cost) -> Markup {
    let float = report.layers.iter().filter(|layer| !layer.quantized).count();
    let [bytes_before, bytes_after] = report.bytes.map(|bytes| bytes as f64 / 1e6);
    let longest = before.operators.iter().chain(&after.operators).map(|o| o.1).fold(1e-9, f64::max);
    let outputs: Vec<Vec<Markup>> = report
        .outputs
        .iter()
        .map(|output| {
            let cosine = |value: f64| cell(format!("{value:.6}"));
            let sqnr = cell(format!("{:.1} dB", output.sqnr_db));
            let (mean, least, pooled) = (output.mean_cosine, output.least_cosine, output.pooled_cosine);
            vec![cell(&output.output), cosine(mean), cosine(least), cosine(pooled), sqnr]
        })
        .collect();
    html! {
        h2 { (name) }
        p {
            b { (format!("{:.2}×", before.median() / after.median())) }
            (format!(
                " as fast as in float ({:.1} ms against {:.1} ms, medians of {RUNS} runs in turn on one thread of \
                 this machine), ",
                after.median(),
                before.median()
            ))
            b { (format!("{bytes_after:.1} MB")) }
            (format!(" instead of {bytes_before:.1} MB, worst cosine with the original "))
            b { (format!("{:.5}", fidelity::worst(&report.outputs))) }
            (format!(
                " on {} pictures that calibration did not use (asked for: {}). {} of {} layers are in integers; here \
                 ONNX Runtime multiplies integers in {} nodes and floats in {}.",
                report.judged_on,
                report.settings.min_cosine,
                report.layers.len() - float,
                report.layers.len(),
                report.kernels.integer,
                report.kernels.float
            ))
        }
        h3 { "Time by operator" }
        (bars("float, ms a run by operator", &before.operators, longest, "#8c929c"))
        (bars("integers, ms a run by operator", &after.operators, longest, "#188056"))
        h3 { "Loss of each layer when it alone is in integers" }
        (layers(report))
        h3 { "Outputs" }
        (table(&["output", "cosine, mean", "least", "pooled", "SQNR"], &outputs))
    }
}

/// Horizontal bars, as a picture inside the page.
fn bars(title: &str, values: &[(String, f64)], longest: f64, colour: &str) -> Markup {
    html! {
        svg role="img" width="640" height=(26 + 20 * values.len()) font-size="12" {
            text x="0" y="14" font-weight="600" { (title) }
            @for (row, (label, value)) in values.iter().enumerate() {
                @let y = 26 + 20 * row;
                @let width = (value / longest * 360.0).max(1.0);
                text x="0" y=(y + 11) { (label) }
                rect x="180" y=(y) width=(format!("{width:.1}")) height="14" fill=(colour) {}
                text x=(format!("{:.1}", 186.0 + width)) y=(y + 11) { (format!("{value:.2}")) }
            }
        }
    }
}

/// A table with a bar for each layer's signal-to-noise ratio.
fn layers(report: &Report) -> Markup {
    let rows: Vec<Vec<Markup>> = report
        .layers
        .iter()
        .map(|layer| {
            let width = (layer.sqnr_db.clamp(0.0, 60.0) * 4.0).max(1.0);
            let colour = if layer.sqnr_db < 20.0 { "#be342c" } else { "#188056" };
            let bar = html! {
                svg width="300" height="14" font-size="12" {
                    rect width=(format!("{width:.0}")) height="12" fill=(colour) {}
                    text x=(format!("{:.0}", width + 6.0)) y="11" { (format!("{:.1} dB", layer.sqnr_db)) }
                }
            };
            let cosine = cell(format!("{:.6}", layer.cosine_alone));
            let kept = cell(if layer.quantized { "" } else { "stays in float" });
            vec![cell(&layer.layer), cell(&layer.operator), bar, cosine, kept]
        })
        .collect();
    table(&["layer", "operator", "signal to noise of its output", "cosine of the model alone", ""], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_summed_by_operator() {
        let line = |op: &str, name: &str, dur: u32| {
            format!(
                "{{\"cat\":\"Node\",\"name\":\"{name}_kernel_time\",\"dur\":{dur},\"args\":{{\"op_name\":\"{op}\"}}}}"
            )
        };
        let profile =
            format!("[{},{},{}]", line("Conv", "a", 3000), line("Conv", "b", 3000), line("Relu", "c", 30_000));
        let sums = operators(profile.as_bytes());
        assert_eq!(sums, [("Relu".to_owned(), 1.0), ("Conv".to_owned(), 0.2)]);
        assert!(operators(b"not a profile").is_empty());
    }
}
