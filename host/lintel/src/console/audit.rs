//! `lintel audit` in words.

use lintel_work::failure::Failure;
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::audit::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let mut lines = self.audit.concerns();
        if lines.is_empty() {
            lines.push("nothing stands out".into());
        }
        lines.push(format!("wrote {}; it shows faces and names: send it with care", self.page.display()));
        lines
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "page": self.page, "concerns": self.audit.concerns(), "audit": self.audit })
    }

    fn missed(&self) -> Option<Failure> {
        let concerns = self.audit.concerns().len();
        (self.strict && concerns > 0)
            .then(|| Failure::work(format!("{concerns} things are to be looked at: see {}", self.page.display())))
    }
}
