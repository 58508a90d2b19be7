//! `lintel bench` in words.

use lintel_statistics::Rate;
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::bench::{PAGE_FILE, baselines, table1};

impl Told for baselines::Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines = baselines_lines(&self.figures);
        lines.push(format!("wrote {}", self.out.join(PAGE_FILE).display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "bench": self.figures })
    }
}

impl Told for table1::Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines = table1_lines(&self.figures);
        lines.push(format!("wrote {}", self.out.join(PAGE_FILE).display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "bench": self.figures })
    }
}

fn baselines_lines(figures: &baselines::Figures) -> Vec<String> {
    let percent = |rate: &Rate| rate.rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let mut lines = vec![format!("{:<20} {:>8} {:>8} {:>8}", "", "rank 1", "FNIR", "FPIR")];
    for way in &figures.ways {
        let (rank_1, fnir, fpir) = (percent(&way.rank_1), percent(&way.fnir), percent(&way.fpir));
        lines.push(format!("{:<20} {rank_1:>8} {fnir:>8} {fpir:>8}", way.name));
    }
    lines.extend(figures.verdicts.iter().cloned());
    lines
}

fn table1_lines(figures: &table1::Figures) -> Vec<String> {
    let percent = |rate: &Rate| rate.rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let mut lines = vec![format!(
        "{:<34} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "", "accuracy", "FPR", "FNR", "FNIR", "FPIR", "time"
    )];
    for row in &figures.rows {
        let cells: Vec<String> = table1::cells(row, percent).iter().map(|cell| format!("{cell:>8}")).collect();
        lines.push(format!("{:<34} {}", row.name, cells.join(" ")));
        if row.figures.is_none() {
            let encoder = row.name.rsplit_once(' ').map_or(row.name.as_str(), |(encoder, _)| encoder);
            let last = lines.len() - 1;
            lines[last].push_str(&format!(": give --encoder {encoder}=FILE.onnx"));
        }
    }
    lines.push(
        "accuracy, FPR, FNR as in the paper, by participant; FNIR, FPIR at the target, by photo; time beside CLIP's"
            .into(),
    );
    lines.push(figures.best.clone());
    lines
}
