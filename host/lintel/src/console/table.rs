//! `lintel table show` in words.

use lintel_core::table::{Person, Rule, Table};
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::table::show::Outcome;

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        table_lines(&self.table)
    }

    fn json(&self) -> Value {
        let table = &self.table;
        let person = |(person, similarity): (&Person, &f32)| {
            let Person { id, name } = person;
            json!({ "id": id, "name": name, "intra_class_similarity": similarity })
        };
        let people: Vec<_> = table.people().iter().zip(table.intra_class_similarity()).map(person).collect();
        json!({
            "table": self.path,
            "revision": table.revision(),
            "encoder": table.encoder().to_string(),
            "template": table.template(),
            "logit_scale": table.logit_scale(),
            "dim": table.dim(),
            "rule": table.rule(),
            "calibration": table.calibration(),
            "people": people,
        })
    }
}

fn table_lines(table: &Table) -> Vec<String> {
    let mut lines = vec![format!(
        "revision {}: {} people, encoder {}, {:?}",
        table.revision(),
        table.len(),
        table.encoder(),
        table.template()
    )];
    lines.push(match table.rule() {
        Rule::Paper { confidence } => format!("the paper's rule: confidence {confidence:.2}"),
        Rule::Calibrated { similarity, margin } => format!(
            "thresholds: normalised similarity {similarity:.3} (each person's threshold on similarity is below), \
             margin {margin:.3}"
        ),
    });
    lines.push(match (table.rule(), table.calibration()) {
        (_, Some(calibration)) => format!(
            "set for an FPIR of {} on {} strangers, of whom {:.2} % would be named (95 %: at most {:.2} %)",
            calibration.target_fpir,
            calibration.strangers,
            calibration.observed_fpir * 100.0,
            calibration.fpir_upper * 100.0
        ),
        (Rule::Paper { .. }, None) => "nothing was measured on strangers".to_owned(),
        (Rule::Calibrated { .. }, None) => {
            "somebody was taken out at a door: the thresholds were not set anew since".to_owned()
        }
    });
    lines.push(String::new());
    lines.extend(table.people().iter().zip(table.intra_class_similarity()).map(|(person, intra_class_similarity)| {
        match table.rule() {
            Rule::Paper { .. } => format!("{:>6}  {}", person.id.0, person.name),
            Rule::Calibrated { similarity, .. } => {
                format!("{:>6}  from {:.3}  {}", person.id.0, similarity - (1.0 - intra_class_similarity), person.name)
            }
        }
    }));
    lines
}
