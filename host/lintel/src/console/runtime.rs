//! `lintel runtime` in words.

use lintel_inference::library;
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::runtime::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        vec![self.library.display().to_string()]
    }

    fn json(&self) -> Value {
        json!({ "library": self.library, "pinned_version": library::VERSION, "oldest": library::MIN_VERSION })
    }
}
