//! Does the text fine-tune beat simpler ways on the same features?

use std::path::PathBuf;

use lintel_inference::Options;
use lintel_pages::html::{cell, document, table};
use lintel_training::baselines::linear_probe::Probe;
use lintel_training::baselines::tip_adapter::Adapter;
use lintel_training::baselines::{Data, Measured, Scorer, by_rows, class_mean, measure};
use lintel_training::zero_shot;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::progress::Progress;
use maud::{Markup, html};
use serde::Serialize;

use super::{BENCH_FORMAT, Bench, Subjects, finish};

/// Name of the fine-tuned table in the list.
const FINE_TUNED: &str = "text fine-tune";

/// On whom to compare.
#[derive(Debug, Clone)]
pub struct Request {
    /// Training data, strangers and target.
    pub subjects: Subjects,
}

/// `bench.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Version of this object.
    pub format: u32,
    /// People enrolled.
    pub people: usize,
    /// The highest share of strangers that may be named.
    pub target_fpir: f64,
    /// People who are not enrolled, a trial each.
    pub strangers: usize,
    /// Each way of telling people apart, the fine-tuned table first.
    pub ways: Vec<Measured>,
    /// A sentence for each other way.
    pub verdicts: Vec<String>,
}

/// What was compared.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The folder.
    pub out: PathBuf,
    /// What `bench.json` holds.
    pub figures: Figures,
}

/// Compares the fine-tuned table with simpler ways.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    let (bench, out) = Bench::open(&request.subjects, options, progress)?;
    let data = bench.data(&bench.trained.encoder)?;
    let prompts = zero_shot(&bench.pack.clip, &bench.pack.tokenizer, &bench.names(), &bench.trained.report.settings)
        .map_err(Failure::input)?;
    let ways = measured(&bench, &data, prompts)?;
    let verdicts: Vec<String> = ways[1..].iter().map(|other| verdict(&ways[0], other)).collect();
    let figures = Figures {
        format: BENCH_FORMAT,
        people: data.people,
        target_fpir: request.subjects.thresholds.target_fpir,
        strangers: data.strangers.len(),
        ways,
        verdicts,
    };
    Ok(Outcome { out: finish(out, &page(&figures), &figures)?, figures })
}

fn measured(bench: &Bench<'_>, data: &Data, prompts: Vec<f32>) -> Result<Vec<Measured>, Failure> {
    let work = bench.progress.begin("comparing", 5);
    let mut ways = Vec::new();
    let mut next = |name: &str, scorer: Scorer<'_>| {
        ways.push(measure(name, &scorer, data, bench.subjects.thresholds.target_fpir));
        work.step();
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

fn page(figures: &Figures) -> String {
    let row =
        |way: &Measured| vec![cell(&way.name), cell(way.rank_1.text()), cell(way.fnir.text()), cell(way.fpir.text())];
    let rows: Vec<Vec<Markup>> = figures.ways.iter().map(row).collect();
    let body = html! {
        p {
            (figures.people) " people. Thresholds for a target FPIR of " (figures.target_fpir)
            (format!(" on {} strangers: set on one half of strangers and photos,", figures.strangers))
            " measured on the other, both ways round."
        }
        (table(&["the same features, told apart by", "rank 1", "FNIR", "FPIR"], &rows))
        ul {
            @for verdict in &figures.verdicts {
                li class=(if verdict.contains("NOT") { "bad" } else { "good" }) { (verdict) }
            }
        }
    };
    document("Is the text fine-tune worth its trouble?", &body)
}
