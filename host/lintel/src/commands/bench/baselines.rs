//! `lintel bench baselines`: does the text fine-tune beat simpler ways on the same features?

use htmlize::escape_text;
use lintel_inference::Options;
use lintel_pages::html::{document, table};
use lintel_statistics::Rate;
use lintel_training::baselines::linear_probe::Probe;
use lintel_training::baselines::tip_adapter::Adapter;
use lintel_training::baselines::{Data, Measured, Scorer, by_rows, class_mean, measure};
use lintel_training::zero_shot;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use serde::Serialize;
use serde_json::json;

use super::{BENCH_FORMAT, Bench, finish, say};
use crate::cli::BenchBaselinesArgs;
use crate::commands::speaker::Console;

/// Name of the fine-tuned table in the list.
const FINE_TUNED: &str = "text fine-tune";

#[derive(Serialize)]
struct Figures {
    format: u32,
    people: usize,
    target_fpir: f64,
    strangers: usize,
    /// The fine-tuned table first.
    ways: Vec<Measured>,
    verdicts: Vec<String>,
}

pub(super) fn run(args: &BenchBaselinesArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    let (bench, out) = Bench::open(&args.data, runtime, console)?;
    let data = bench.data(&bench.trained.encoder)?;
    let prompts = zero_shot(&bench.pack.clip, &bench.pack.tokenizer, &bench.names(), &bench.trained.report.settings)
        .map_err(Failure::input)?;
    let ways = measured(&bench, &data, prompts)?;
    let verdicts: Vec<String> = ways[1..].iter().map(|other| verdict(&ways[0], other)).collect();
    let figures = Figures {
        format: BENCH_FORMAT,
        people: data.people,
        target_fpir: args.data.target_fpir,
        strangers: data.strangers.len(),
        ways,
        verdicts,
    };
    let lines = lines(&figures);
    let done = finish(out, &page(&figures), &figures)?;
    say(&lines, &done, console);
    console.result(&json!({ "out": done, "bench": figures }));
    Ok(())
}

fn measured(bench: &Bench<'_>, data: &Data, prompts: Vec<f32>) -> Result<Vec<Measured>, Failure> {
    let progress = bench.console.progress("comparing", 5);
    let mut ways = Vec::new();
    let mut next = |name: &str, scorer: Scorer<'_>| {
        ways.push(measure(name, &scorer, data, bench.args.target_fpir));
        progress.step();
        interrupt::check()
    };
    next(FINE_TUNED, by_rows(bench.trained.table.classes().to_vec(), data.dim))?;
    next("nearest class mean", class_mean::scorer(data))?;
    next("linear probe", Probe::learnt(data).into_scorer())?;
    next("Tip-Adapter-F", Adapter::learnt(data, &prompts).into_scorer())?;
    next("zero-shot text", by_rows(prompts, data.dim))?;
    Ok(ways)
}

/// Whether the fine-tune has fewer misses at the target FPIR, or as many and more right in the first place. What the
/// trials can't tell apart is said to be so.
fn verdict(own: &Measured, other: &Measured) -> String {
    let (ours, theirs) = (own.fnir.rate.unwrap_or(1.0), other.fnir.rate.unwrap_or(1.0));
    let apart = own.fnir.interval.high < other.fnir.interval.low || other.fnir.interval.high < own.fnir.interval.low;
    let surely = if apart { "" } else { ", within what chance may do with so few photos" };
    if ours < theirs {
        format!("the text fine-tune beats {}{surely}", other.name)
    } else if ours > theirs {
        format!("the text fine-tune does NOT beat {}: it misses more{surely}", other.name)
    } else {
        format!("the text fine-tune does NOT beat {}: both miss as many", other.name)
    }
}

fn lines(figures: &Figures) -> Vec<String> {
    let percent = |rate: &Rate| rate.rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let mut lines = vec![format!("{:<20} {:>8} {:>8} {:>8}", "", "rank 1", "FNIR", "FPIR")];
    for way in &figures.ways {
        let (rank_1, fnir, fpir) = (percent(&way.rank_1), percent(&way.fnir), percent(&way.fpir));
        lines.push(format!("{:<20} {rank_1:>8} {fnir:>8} {fpir:>8}", way.name));
    }
    lines.extend(figures.verdicts.iter().cloned());
    lines
}

fn page(figures: &Figures) -> String {
    let rows: Vec<Vec<String>> = figures
        .ways
        .iter()
        .map(|way| vec![escape_text(&way.name).into_owned(), way.rank_1.text(), way.fnir.text(), way.fpir.text()])
        .collect();
    let said: Vec<String> = figures
        .verdicts
        .iter()
        .map(|verdict| {
            let class = if verdict.contains("NOT") { "bad" } else { "good" };
            format!("<li class={class}>{}</li>", escape_text(verdict))
        })
        .collect();
    let body = format!(
        "<p>{} people. Thresholds for a target FPIR of {} on {} strangers: set on one half of strangers and \
         photos, measured on the other, both ways round.</p>{}<ul>{}</ul>",
        figures.people,
        figures.target_fpir,
        figures.strangers,
        table(&["the same features, told apart by", "rank 1", "FNIR", "FPIR"], &rows),
        said.concat()
    );
    document("Is the text fine-tune worth its trouble?", &body)
}
