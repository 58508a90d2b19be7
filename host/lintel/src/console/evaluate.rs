//! `lintel evaluate` in words: who came, then the figures.

use lintel_evaluation::evaluate::Report;
use lintel_evaluation::evaluate::rules::{Comparison, Errors};
use lintel_evaluation::evaluate::slices::Slice;
use lintel_statistics::Rate;
use lintel_work::failure::Failure;
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::evaluate::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines = text(&self.report);
        lines.push(format!("wrote {}", self.out.display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "report": self.report })
    }

    fn missed(&self) -> Option<Failure> {
        let wanted = self.min_accuracy?;
        let got = self.report.figures.deployment_accuracy.rate.unwrap_or(0.0);
        (got < wanted).then(|| {
            Failure::work(format!("deployment accuracy is {:.1} %, wanted {:.1} %", got * 100.0, wanted * 100.0))
        })
    }
}

/// The report as a person reads it: who came, then the figures.
fn text(report: &Report) -> Vec<String> {
    let label = report.participants.iter().map(|p| p.label.chars().count()).max().unwrap_or(0).clamp(8, 40);
    let mut lines = vec![format!("{:<label$}  {:<12} {:>10}  named", "who came", "outcome", "verdict")];
    for participant in &report.participants {
        let time = participant.verdict_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
        let name = participant.named.as_deref().unwrap_or("-");
        lines.push(format!("{:<label$}  {:<12} {time:>10}  {name}", participant.label, participant.outcome.text()));
    }
    let figures = &report.figures;
    lines.push(String::new());
    lines.push(format!("deployment accuracy        {}", figures.deployment_accuracy.text()));
    lines.push(format!("FPR as the paper has it    {}", figures.paper_fpr.text()));
    lines.push(format!("FNR as the paper has it    {}", figures.paper_fnr.text()));
    lines.push(format!("FPIR (a stranger is named) {}", figures.fpir.text()));
    lines.push(format!("FNIR (not or misnamed)     {}", figures.fnir.text()));
    lines.push(format!("single frames: FPIR {}; FNIR {}", figures.frame_fpir.text(), figures.frame_fnir.text()));
    if let (Some(p50), Some(p95)) = (figures.verdict_ms_p50, figures.verdict_ms_p95) {
        lines.push(format!("first sharp frame to verdict: median {p50:.0} ms, 95 % within {p95:.0} ms"));
    }
    lines.extend(
        report.comparison.as_ref().map(|compared| compared_text("on these looks", compared)).into_iter().flatten(),
    );
    if let Some(growth) = &report.growth {
        for size in &growth.sizes {
            let tables = if size.tables == 1 { "1 table".to_owned() } else { format!("{} tables", size.tables) };
            let what = format!("{tables} of {} rendered people", size.comparison.people);
            lines.extend(compared_text(&what, &size.comparison));
        }
    }
    lines.extend(slices_text(&report.slices));
    lines
}

/// The paper's rule against the table's thresholds.
fn compared_text(what: &str, compared: &Comparison) -> Vec<String> {
    let rates = |errors: &Errors| format!("FPIR {}; FNIR {}", errors.fpir.text(), errors.fnir.text());
    let of_the_papers = |ratio: Option<f64>| {
        ratio.map_or_else(
            || "the paper's rule named no stranger here: nothing to compare".to_owned(),
            |ratio| format!("the thresholds have {ratio:.2} of the FPIR of the paper's rule there"),
        )
    };
    let (at_its, at_theirs) = (of_the_papers(compared.ratio()), of_the_papers(compared.ratio_where_thresholds_stand()));
    vec![
        String::new(),
        format!("{what}, the paper's 80 %: {}", rates(&compared.paper)),
        format!("    the thresholds moved to that FNIR: {} ({at_its})", rates(&compared.at_equal_fnir)),
        format!("    the thresholds where they stand: {}", rates(&compared.calibrated)),
        format!(
            "    the paper's confidence moved to that FNIR: {} ({at_theirs})",
            rates(&compared.paper_at_equal_fnir)
        ),
    ]
}

fn slices_text(slices: &[Slice]) -> Vec<String> {
    let width = slices.iter().map(|slice| slice.by.chars().count() + slice.part.chars().count()).max().unwrap_or(0) + 2;
    let mut lines = vec![String::new(), "frames by condition (FPIR; FNIR):".to_owned()];
    for slice in slices {
        let what = format!("{}: {}", slice.by, slice.part);
        let rate = |rate: &Rate| {
            rate.rate.map_or_else(|| "-".into(), |share| format!("{:.1} % of {}", share * 100.0, rate.trials))
        };
        lines.push(format!("    {what:<width$}  {:>16}; {:>16}", rate(&slice.looks.fpir), rate(&slice.looks.fnir)));
    }
    lines
}
