//! Trials → error rates by threshold, and two rules compared at equal numbers of missed people.

use lintel_core::table::{Rule, Table};
use lintel_statistics::Rate;
use lintel_training::calibration::{Thresholds, spread};
use serde::{Deserialize, Serialize};

use super::EvaluateError;
use super::Setup;
use super::visit::{Asked, Mated, Outcome, Trial, Visit};

/// The most thresholds at which a curve is measured.
const LOOKS: usize = 200;
/// The same for visits, whose votes are counted again at each threshold.
const VISITS: usize = 60;

/// A rule with one movable threshold: it names a person if the measure of the scores reaches the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    measure: Measure,
    /// The least value of the measure that names a person.
    pub threshold: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    /// The paper's softmax confidence.
    Confidence,
    /// How far both scores are above two thresholds, in standard deviations of enrolled people's scores; the smaller.
    Room { thresholds: Thresholds, spread: Thresholds },
}

impl Family {
    /// The paper's rule at its 80 %, or at another confidence.
    #[must_use]
    pub fn paper(confidence: f32) -> Self {
        Self { measure: Measure::Confidence, threshold: confidence }
    }

    /// Thresholds on similarity and margin that are moved together; 0 is their own place.
    #[must_use]
    pub fn calibrated(thresholds: Thresholds, trials: &[Trial]) -> Self {
        let mated: Vec<Thresholds> =
            trials.iter().filter(|trial| trial.mated == Mated::First).map(|trial| trial.asked.thresholds).collect();
        Self { measure: Measure::Room { thresholds, spread: spread(&mated) }, threshold: 0.0 }
    }

    /// The rules to compare on a table: the paper's, and the table's own thresholds if it has any.
    #[must_use]
    pub fn both(rule: Rule, trials: &[Trial]) -> (Self, Option<Self>) {
        match rule {
            Rule::Paper { confidence } => (Self::paper(confidence), None),
            Rule::Calibrated { similarity, margin } => {
                let Rule::Paper { confidence } = Rule::PAPER else { unreachable!("it is the paper's") };
                (Self::paper(confidence), Some(Self::calibrated(Thresholds { similarity, margin }, trials)))
            }
        }
    }

    /// The measure in words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.measure {
            Measure::Confidence => "confidence",
            Measure::Room { .. } => "similarity and margin",
        }
    }

    fn measured(&self, asked: &Asked) -> f32 {
        match &self.measure {
            Measure::Confidence => asked.confidence,
            Measure::Room { thresholds, spread } => asked.thresholds.room(*thresholds, *spread),
        }
    }

    fn at(self, threshold: f32) -> Self {
        Self { threshold, ..self }
    }

    /// Whether these scores name a person.
    #[must_use]
    pub fn passes(&self, asked: &Asked) -> bool {
        self.measured(asked) >= self.threshold
    }

    /// The error rates over frames at the threshold.
    #[must_use]
    pub fn errors(&self, trials: &[Trial]) -> Errors {
        let count = |wanted: &dyn Fn(&Trial) -> bool| trials.iter().filter(|trial| wanted(trial)).count();
        let not_mated = count(&|trial| trial.mated == Mated::Not);
        let named = count(&|trial| trial.mated == Mated::Not && self.passes(&trial.asked));
        let right = count(&|trial| trial.mated == Mated::First && self.passes(&trial.asked));
        let mated = trials.len() - not_mated;
        Errors { fpir: Rate::new(named, not_mated), fnir: Rate::new(mated - right, mated) }
    }

    /// The same rule with the highest threshold that misses at most `misses` of the mated looks. Strangers do not
    /// influence it, so their rate at this threshold is unbiased.
    #[must_use]
    pub fn missing_at_most(self, misses: u64, trials: &[Trial]) -> Self {
        let behind = trials.iter().filter(|trial| trial.mated == Mated::Behind).count() as u64;
        let mut first: Vec<f32> = trials
            .iter()
            .filter(|trial| trial.mated == Mated::First)
            .map(|trial| self.measured(&trial.asked))
            .collect();
        first.sort_by(f32::total_cmp);
        let lost = usize::try_from(misses.saturating_sub(behind)).unwrap_or(usize::MAX);
        self.at(first.get(lost).copied().unwrap_or(f32::INFINITY))
    }

    /// Error rates over frames from the lowest threshold to the highest.
    #[must_use]
    pub fn curve_of_looks(&self, trials: &[Trial]) -> Vec<Point> {
        self.thresholds(trials, LOOKS)
            .into_iter()
            .map(|threshold| self.at(threshold).errors(trials).point(threshold))
            .collect()
    }

    /// The same over whole visits, votes and all.
    ///
    /// # Errors
    /// [`EvaluateError::Setup`].
    pub fn curve_of_visits(
        &self,
        trials: &[Trial],
        visits: &[Visit],
        table: &Table,
        setup: &Setup,
    ) -> Result<Vec<Point>, EvaluateError> {
        let thresholds = self.thresholds(trials, VISITS).into_iter();
        thresholds
            .map(|threshold| Ok(self.at(threshold).errors_of_visits(visits, table, setup)?.point(threshold)))
            .collect()
    }

    /// The error rates over whole visits at the threshold.
    ///
    /// # Errors
    /// [`EvaluateError::Setup`].
    pub fn errors_of_visits(&self, visits: &[Visit], table: &Table, setup: &Setup) -> Result<Errors, EvaluateError> {
        let (mut mated, mut missed, mut accepted) = (0, 0, 0);
        for visit in visits {
            let outcome = visit.outcome(table, setup, |asked| self.passes(asked))?;
            mated += usize::from(visit.enrolled.is_some());
            missed += usize::from(matches!(outcome, Outcome::Misnamed | Outcome::NotNamed));
            accepted += usize::from(outcome == Outcome::Accepted);
        }
        Ok(Errors { fpir: Rate::new(accepted, visits.len() - mated), fnir: Rate::new(missed, mated) })
    }

    /// Candidate thresholds, ascending: each names fewer than the one before.
    fn thresholds(&self, trials: &[Trial], most: usize) -> Vec<f32> {
        let mut measured: Vec<f32> = trials.iter().map(|trial| self.measured(&trial.asked)).collect();
        measured.sort_by(f32::total_cmp);
        measured.dedup();
        let every = measured.len().div_ceil(most).max(1);
        // The last one, where a curve ends, and one beyond it, which names nobody.
        let last = measured.last().copied();
        let mut thresholds: Vec<f32> = measured.into_iter().step_by(every).collect();
        thresholds.extend(last.filter(|last| thresholds.last() != Some(last)));
        thresholds.extend(last.map(f32::next_up));
        thresholds
    }
}

/// The rates of the two errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Non-mated trials in which somebody was named.
    pub fpir: Rate,
    /// Mated trials in which the person was not named, or misnamed.
    pub fnir: Rate,
}

impl Errors {
    fn point(&self, threshold: f32) -> Point {
        let rate = |rate: Rate| rate.rate.unwrap_or(f64::NAN);
        Point { threshold, fpir: rate(self.fpir), fnir: rate(self.fnir) }
    }
}

/// One point of a curve. A rate without trials is NaN, and null in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The threshold: a confidence, or standard deviations above the table's thresholds.
    pub threshold: f32,
    /// False-positive identification rate.
    #[serde(with = "nan_is_null")]
    pub fpir: f64,
    /// False-negative identification rate.
    #[serde(with = "nan_is_null")]
    pub fnir: f64,
}

/// JSON has no NaN.
mod nan_is_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Some(*value).filter(|value| !value.is_nan()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

/// The paper's rule and the calibrated one on the same frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// People in the table.
    pub people: usize,
    /// The paper's rule at its confidence.
    pub paper: Errors,
    /// The table's thresholds, unmoved.
    pub calibrated: Errors,
    /// Both thresholds moved together to where they miss as many people as the paper's rule does.
    pub at_equal_fnir: Errors,
    /// The paper's confidence moved to where it misses as many people as the unmoved thresholds do.
    pub paper_at_equal_fnir: Errors,
}

impl Comparison {
    /// Compares the rules on these trials.
    #[must_use]
    pub fn of(people: usize, paper: Family, calibrated: Family, trials: &[Trial]) -> Self {
        let moved = |family: Family, to: Errors| family.missing_at_most(to.fnir.count, trials).errors(trials);
        let (at_paper, at_thresholds) = (paper.errors(trials), calibrated.errors(trials));
        Self {
            people,
            paper: at_paper,
            calibrated: at_thresholds,
            at_equal_fnir: moved(calibrated, at_paper),
            paper_at_equal_fnir: moved(paper, at_thresholds),
        }
    }

    /// The ratio of the thresholds' FPIR to the paper's rule's FPIR, at the FNIR of the paper's rule; `None` if the
    /// paper's rule named no stranger.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        share(&self.at_equal_fnir, &self.paper)
    }

    /// The same ratio at the FNIR of the unmoved thresholds.
    #[must_use]
    pub fn ratio_where_thresholds_stand(&self) -> Option<f64> {
        share(&self.calibrated, &self.paper_at_equal_fnir)
    }
}

fn share(thresholds: &Errors, paper: &Errors) -> Option<f64> {
    let paper = paper.fpir.rate.filter(|rate| *rate > 0.0)?;
    thresholds.fpir.rate.map(|rate| rate / paper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::visit::Conditions;
    use proptest::prelude::*;

    fn trial(mated: Mated, similarity: f32, margin: f32, confidence: f32) -> Trial {
        let asked = Asked { confidence, thresholds: Thresholds { similarity, margin } };
        Trial { mated, asked, conditions: Conditions::default() }
    }

    #[test]
    fn looks_become_error_rates() {
        let trials = [
            trial(Mated::First, 0.9, 0.2, 0.95),
            trial(Mated::First, 0.8, 0.05, 0.70),
            trial(Mated::Behind, 0.9, 0.2, 0.95),
            trial(Mated::Not, 0.2, 0.1, 0.90),
            trial(Mated::Not, 0.1, 0.01, 0.10),
        ];
        let check = |family: Family, fpir: (u64, u64), fnir: (u64, u64)| {
            let errors = family.errors(&trials);
            let counts = |rate: Rate| (rate.count, rate.trials);
            assert_eq!((counts(errors.fpir), counts(errors.fnir)), (fpir, fnir), "{family:?}");
        };
        let paper = Family::paper(0.8);
        let thresholds = Family::calibrated(Thresholds { similarity: 0.5, margin: 0.1 }, &trials);
        check(paper, (1, 2), (2, 3));
        check(thresholds, (0, 2), (2, 3));
        // Two misses leave the thresholds at the better of the two people; one miss lets the other person pass as well;
        // none is impossible.
        check(thresholds.missing_at_most(2, &trials), (0, 2), (2, 3));
        check(thresholds.missing_at_most(1, &trials), (0, 2), (1, 3));
        check(thresholds.missing_at_most(3, &trials), (0, 2), (3, 3));
        let compared = Comparison::of(2, paper, thresholds, &trials);
        assert_eq!(compared.ratio(), Some(0.0));
        // The thresholds miss two, so the paper's rule may miss two: its threshold is at the confidence of the better
        // of the two people.
        check(paper.missing_at_most(2, &trials), (0, 2), (2, 3));
        assert_eq!(compared.ratio_where_thresholds_stand(), None);
        let lower = Family::calibrated(Thresholds { similarity: 0.15, margin: 0.02 }, &trials);
        let compared = Comparison::of(2, paper, lower, &trials);
        assert_eq!((compared.calibrated.fnir.count, compared.paper_at_equal_fnir.fpir.count), (1, 1));
        assert_eq!(compared.ratio_where_thresholds_stand(), Some(1.0));
    }

    proptest! {
        #[test]
        fn curves_fall_and_rise(
            looks in prop::collection::vec((0_u8..3, 0.0_f32..1.0, 0.0_f32..1.0, 0.0_f32..1.0), 1..400),
        ) {
            let kinds = [Mated::First, Mated::Behind, Mated::Not];
            let trials: Vec<Trial> =
                looks.iter().map(|&(kind, a, b, c)| trial(kinds[usize::from(kind)], a, b, c)).collect();
            let thresholds = Thresholds { similarity: 0.5, margin: 0.3 };
            for family in [Family::paper(0.8), Family::calibrated(thresholds, &trials)] {
                let curve = family.curve_of_looks(&trials);
                prop_assert!(curve.len() <= LOOKS + 2);
                prop_assert!(curve.windows(2).all(|p| p[0].threshold < p[1].threshold));
                prop_assert!(!curve.windows(2).any(|p| p[0].fpir < p[1].fpir || p[0].fnir > p[1].fnir));
                // At the last threshold nobody is named.
                let last = curve.last().expect("points");
                prop_assert!(!(last.fpir > 0.0 || last.fnir < 1.0));
            }
        }

        #[test]
        fn no_more_are_missed_than_asked_for(
            looks in prop::collection::vec((0_u8..3, 0.0_f32..1.0, 0.0_f32..1.0), 1..100), misses in 0_u64..100,
        ) {
            let kinds = [Mated::First, Mated::Behind, Mated::Not];
            let trials: Vec<Trial> =
                looks.iter().map(|&(kind, a, b)| trial(kinds[usize::from(kind)], a, b, a)).collect();
            let behind = trials.iter().filter(|trial| trial.mated == Mated::Behind).count() as u64;
            let thresholds = Thresholds { similarity: 0.5, margin: 0.3 };
            let moved = Family::calibrated(thresholds, &trials).missing_at_most(misses, &trials);
            let missed = moved.errors(&trials).fnir.count;
            prop_assert!(missed <= misses.max(behind));
        }
    }
}
