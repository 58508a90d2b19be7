//! `lintel report` in words.

use serde_json::{Value, json};

use super::Told;
use crate::use_cases::report::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        vec![format!("wrote {}", self.out.display())]
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "bytes": self.bytes })
    }
}
