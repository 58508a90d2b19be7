//! `lintel quantize` in words: a line for each layer, and the totals.

use lintel_quantize::{Report, fidelity};
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::quantize::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines = report_lines(&self.report);
        lines.push(format!("wrote {}", self.out.display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "report": self.report })
    }
}

/// The table of layers, and what it comes to.
pub fn report_lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let width = report.layers.iter().map(|layer| layer.layer.len()).max().unwrap_or(0).clamp(5, 48);
    lines.push(format!("{:<width$}  {:<6}  {:>7}  {:>12}", "layer", "op", "SQNR", "cosine alone"));
    for layer in &report.layers {
        let kept = if layer.quantized { "" } else { "  stays in float" };
        lines.push(format!(
            "{:<width$}  {:<6}  {:>4.1} dB  {:>12.6}{kept}",
            layer.layer, layer.operator, layer.sqnr_db, layer.cosine_alone
        ));
    }
    for output in &report.outputs {
        lines.push(format!(
            "output {}: cosine mean {:.5}, least {:.5}, SQNR {:.1} dB",
            output.output, output.mean_cosine, output.least_cosine, output.sqnr_db
        ));
    }
    let float = report.layers.iter().filter(|layer| !layer.quantized).count();
    let [before, after] = report.bytes.map(|bytes| bytes as f64 / 1e6);
    lines.push(format!(
        "{} of {} layers in integers, worst cosine {:.5} on {} held-out pictures; {before:.1} MB → {after:.1} MB; \
         ONNX Runtime multiplies integers in {} nodes, floats in {}",
        report.layers.len() - float,
        report.layers.len(),
        fidelity::worst(&report.outputs),
        report.judged_on,
        report.kernels.integer,
        report.kernels.float
    ));
    lines
}
