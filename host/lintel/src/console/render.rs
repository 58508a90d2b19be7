//! `lintel render` in words.

use serde_json::{Value, json};

use super::Told;
use crate::use_cases::render::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        let people = self.rendered.people.len();
        vec![format!(
            "wrote {}: {} photos of {people} people, {} recordings",
            self.out.display(),
            people as u64 * u64::from(self.rendered.photos),
            self.recordings
        )]
    }

    fn json(&self) -> Value {
        json!({ "out": self.out, "rendered": self.rendered })
    }
}
