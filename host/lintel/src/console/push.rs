//! `lintel push` and `lintel device revoke` in words: what would change at each device, and what became of it.

use lintel_work::failure::Failure;
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::push::{Delivery, Outcome, Plan};

/// What a person is shown before being asked.
#[must_use]
pub fn plan_lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (device, made) in plan.devices() {
        match made {
            Ok(changes) => {
                lines.push(format!("{device}:"));
                lines.extend(changes.lines().iter().map(|line| format!("  {line}")));
                if changes.is_empty() {
                    lines.push("  nobody and nothing else changes".into());
                }
            }
            Err(failure) => lines.push(format!("{device}: {}", failure.line())),
        }
    }
    lines
}

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        // The plan has told of the others.
        self.deliveries.iter().filter(|delivery| delivery.changes.is_some()).flat_map(delivery_lines).collect()
    }

    fn json(&self) -> Value {
        let row = |Delivery { device, changes, receipt }: &Delivery| match (changes, receipt) {
            (changes, Ok(receipt)) => json!({ "device": device, "changes": changes, "receipt": receipt }),
            (Some(changes), Err(failure)) => {
                json!({ "device": device, "changes": changes, "error": failure.line() })
            }
            (None, Err(failure)) => json!({ "device": device, "error": failure.line() }),
        };
        self.deliveries.iter().map(row).collect()
    }

    fn missed(&self) -> Option<Failure> {
        let failures: Vec<&Failure> =
            self.deliveries.iter().filter_map(|delivery| delivery.receipt.as_ref().err()).collect();
        let (failed, all) = (failures.len(), self.deliveries.len());
        match failures.iter().find(|failure| matches!(failure, Failure::Interrupted(_))) {
            Some(interrupted) => Some((*interrupted).clone()),
            None if !self.begun => Some(Failure::work(format!("none of {all} devices can be pushed to"))),
            None if failed > 0 => Some(Failure::work(format!("{failed} of {all} devices do not run it"))),
            None => None,
        }
    }
}

fn delivery_lines(Delivery { device, receipt, .. }: &Delivery) -> Vec<String> {
    match receipt {
        Ok(receipt) => {
            let mut lines = vec![format!("{device}: runs revision {}", receipt.revision)];
            if !receipt.removed.is_empty() {
                let removed = receipt.removed.len();
                lines.push(format!("{device}: signed that nothing is left of {removed} people (SITE/receipts)"));
            }
            lines
        }
        Err(failure) => vec![format!("{device}: {}", failure.line())],
    }
}
