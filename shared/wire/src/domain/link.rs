//! Requests and answers of the link.

use lintel_core::table;

use crate::link::{Calibration, Rule};

impl From<table::Rule> for Rule {
    fn from(rule: table::Rule) -> Self {
        match rule {
            table::Rule::Paper { confidence } => Self::Paper { confidence },
            table::Rule::Calibrated { similarity, margin } => Self::Calibrated { similarity, margin },
        }
    }
}

impl From<Rule> for table::Rule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Paper { confidence } => Self::Paper { confidence },
            Rule::Calibrated { similarity, margin } => Self::Calibrated { similarity, margin },
        }
    }
}

impl From<table::Calibration> for Calibration {
    fn from(calibration: table::Calibration) -> Self {
        let table::Calibration { target_fpir, strangers, observed_fpir, fpir_upper, fnir } = calibration;
        Self { target_fpir, strangers, observed_fpir, fpir_upper, fnir }
    }
}

impl From<Calibration> for table::Calibration {
    fn from(calibration: Calibration) -> Self {
        let Calibration { target_fpir, strangers, observed_fpir, fpir_upper, fnir } = calibration;
        Self { target_fpir, strangers, observed_fpir, fpir_upper, fnir }
    }
}
