//! `lintel train`, `table add` and `table remove` in words.

use lintel_core::table::Rule;
use serde_json::{Value, json};

use super::Told;
use super::quantize::report_lines;
use crate::use_cases::train::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let report = &self.report;
        let mut lines = Vec::new();
        if report.changes.is_empty() {
            lines.extend(report.int8.iter().flat_map(report_lines));
        }
        if self.known > 0 {
            lines.push(format!("{} people are in the table already, and stay as they are", self.known));
        }
        if let Some(last) = report.curve.last() {
            lines.push(format!(
                "{} people, {} faces trained on, {} held out: {:.1} % of these are recognised, loss {:.3}",
                report.people,
                report.trained_on,
                report.held_out.len(),
                last.held_out_accuracy * 100.0,
                last.held_out_loss
            ));
        }
        if let (Rule::Calibrated { similarity, margin }, Some(calibration)) = (report.rule, &report.calibration) {
            lines.push(format!(
                "thresholds: normalised similarity {similarity:.3}, margin {margin:.3}; {} strangers: {:.2} % would \
                 be named (95 % confidence: at most {:.2} %); {:.1} % of the held-out faces would not be named",
                calibration.strangers,
                calibration.observed_fpir * 100.0,
                calibration.fpir_upper * 100.0,
                calibration.fnir * 100.0
            ));
        }
        lines.push(format!("wrote {}", self.out.display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "report": self.report })
    }
}
