//! `lintel export` in words.

use serde_json::{Value, json};

use super::Told;
use super::quantize::report_lines;
use crate::use_cases::export::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.detector_int8.iter().flat_map(report_lines).collect();
        lines.extend(self.page.iter().map(|page| format!("wrote {}", page.display())));
        lines.push(format!(
            "wrote {}: {} people, encoder {}, {:.1} MB",
            self.out.display(),
            self.people,
            self.manifest.encoder,
            self.bytes() as f64 / 1e6
        ));
        lines
    }

    fn json(&self) -> Value {
        json!({
            "out": self.out,
            "pack": self.manifest.pack,
            "revision": self.manifest.revision,
            "people": self.people,
            "encoder": self.manifest.encoder.to_string(),
            "bytes": self.bytes(),
            "detector_int8": self.detector_int8,
            "report": self.page,
        })
    }
}
