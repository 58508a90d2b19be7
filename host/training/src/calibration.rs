//! Scores of strangers and of enrolled people → the two thresholds of the door's rule.
//!
//! A stranger is named when similarity *and* margin reach their thresholds. The target is a claim: the candidate pairs
//! of thresholds are those that name so few strangers that the upper end of the 95 % Clopper–Pearson interval is at
//! most the target FPIR. Of these, the pair that recognises the most held-out photos of enrolled people is taken. A
//! target that the data cannot show is refused: if none of n strangers is named, the true rate may still be as high as
//! the bound for 0 of n, and n strangers cannot support a claim below that.
//!
//! For one threshold at the (k+1)-th highest of n scores that bound is exact, although the scores set the threshold:
//! the share of all strangers above it is distributed as Beta(k+1, n−k), and the bound is a quantile of that. Here one
//! of the two thresholds is chosen by enrolled people's scores, and the other is such an order statistic.

use lintel_core::embed::Embedding;
use lintel_core::table::{Calibration, Rule, Scores, Table, TableError};
use lintel_statistics::clopper_pearson;

/// The default target FPIR, a share of strangers.
pub const TARGET_FPIR: f64 = 0.01;
/// The confidence of the bounds.
pub const CONFIDENCE: f64 = 0.95;
/// The least distance between a threshold and the lowest enrolled score, in standard deviations of enrolled scores,
/// where no stranger demands less: at a door people are less similar to their rows than in their photos.
const ROOM: f32 = 2.0;
/// The most candidate thresholds on similarity.
const MAX_CANDIDATES: usize = 1024;

/// A photo of an enrolled person that training did not see. Single photos vary more than the aggregated looks of a
/// visit, so a threshold that passes most of them causes few misses at the door.
#[derive(Clone, Debug)]
pub struct Genuine {
    /// The person's row in the table.
    pub row: usize,
    /// The photo's embedding.
    pub embedding: Embedding,
}

/// Why no thresholds can be set.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The target is not between 0 and 1.
    #[error("the target FPIR is {got}, wanted more than 0 and less than 1")]
    Target {
        /// The target that was asked for.
        got: f64,
    },
    /// There are too few strangers for the target.
    #[error(
        "{got} strangers can't show an FPIR of {target}: at least {wanted} are needed, or a target of {possible:.4}"
    )]
    TooFewStrangers {
        /// Number of strangers given.
        got: usize,
        /// The target asked for.
        target: f64,
        /// The least number of strangers that could show it.
        wanted: usize,
        /// The smallest target that the given strangers can show.
        possible: f64,
    },
    /// There are no held-out photos of enrolled people.
    #[error("there are no held-out photos of enrolled people, wanted at least 1")]
    NoGenuine,
    /// An embedding does not belong to the table.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The least number of strangers that can show an FPIR of `target`: if none of them is named, the upper end of the 95 %
/// Clopper–Pearson interval is at most the target.
#[must_use]
pub fn strangers_needed(target: f64) -> usize {
    // 0 of n: the upper end is 1 − (α/2)^(1/n).
    let n = ((1.0 - CONFIDENCE) / 2.0).ln() / (-target).ln_1p();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturates")]
    let n = n.ceil() as usize;
    n
}

/// Number of strangers to render: three times the least number that can show an FPIR of `target`. With the least number
/// no stranger may be named, so the thresholds would depend on the single most similar stranger.
#[must_use]
pub fn strangers_wanted(target: f64) -> usize {
    strangers_needed(target).saturating_mul(3)
}

/// The greatest number of `strangers` that may be named with an FPIR of `target` still shown; 0 if none may.
fn most_named(strangers: usize, target: f64) -> usize {
    let shown = |named: &usize| clopper_pearson(*named as u64, strangers as u64, CONFIDENCE).high <= target;
    (1..=strangers).take_while(shown).last().unwrap_or(0)
}

/// Sets the thresholds for `target`, a share of strangers.
///
/// # Errors
/// [`CalibrationError`].
pub fn calibrate(
    table: &Table,
    genuine: &[Genuine],
    strangers: &[Embedding],
    target: f64,
) -> Result<(Rule, Calibration), CalibrationError> {
    if !(target > 0.0 && target < 1.0) {
        return Err(CalibrationError::Target { got: target });
    }
    let wanted = strangers_needed(target);
    if strangers.len() < wanted {
        let possible = clopper_pearson(0, strangers.len() as u64, CONFIDENCE).high;
        return Err(CalibrationError::TooFewStrangers { got: strangers.len(), target, wanted, possible });
    }
    if genuine.is_empty() {
        return Err(CalibrationError::NoGenuine);
    }
    let of = |e: &Embedding| table.score(e).map(|scores| Thresholds::of(&scores, table));
    let strangers = strangers.iter().map(of).collect::<Result<Vec<_>, _>>()?;
    let mut right = Vec::with_capacity(genuine.len());
    for photo in genuine {
        let scores = table.score(&photo.embedding)?;
        if scores.best as usize == photo.row {
            right.push(Thresholds::of(&scores, table));
        }
    }
    let allowed = most_named(strangers.len(), target);
    let thresholds = best_thresholds(&strangers, &right, allowed);
    Ok((
        Rule::Calibrated { similarity: thresholds.similarity, margin: thresholds.margin },
        figures(thresholds, &strangers, &right, genuine.len(), target),
    ))
}

/// A pair of thresholds, or a pair of scores to compare with them.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Similarity to the most similar person, normalised by that person; see [`Table::normalized_similarity`]. A
    /// threshold is 1 at most.
    pub similarity: f32,
    /// The excess over the next person's similarity.
    pub margin: f32,
}

impl Thresholds {
    /// The pair of scores that thresholds apply to, from scores against this table.
    #[must_use]
    pub fn of(scores: &Scores, table: &Table) -> Self {
        Self { similarity: table.normalized_similarity(scores), margin: scores.margin }
    }

    /// Whether both reach their thresholds.
    #[must_use]
    pub fn passes(self, thresholds: Self) -> bool {
        self.similarity >= thresholds.similarity && self.margin >= thresholds.margin
    }

    /// How far both are above the thresholds, in standard deviations; the smaller of the two. At least 0 if they pass.
    #[must_use]
    pub fn room(self, thresholds: Self, spread: Self) -> f32 {
        ((self.similarity - thresholds.similarity) / spread.similarity)
            .min((self.margin - thresholds.margin) / spread.margin)
    }
}

/// Thresholds for scores from −1 to 1, with which so few strangers pass that `target` is shown, or none if there are
/// too few strangers for it.
#[must_use]
pub fn thresholds_for(strangers: &[Thresholds], right: &[Thresholds], target: f64) -> Thresholds {
    best_thresholds(strangers, right, most_named(strangers.len(), target))
}

/// The thresholds that let at most `allowed` strangers pass and the most of `genuine`. If several pairs do, the pair
/// with the greatest distance to the nearest of those people, in standard deviations of their own scores. At a door's
/// camera people's similarity and margin are lower than in their photos, so neither threshold should be close.
fn best_thresholds(strangers: &[Thresholds], genuine: &[Thresholds], allowed: usize) -> Thresholds {
    let spread = spread(genuine);
    let mut best: Option<(usize, f32, Thresholds)> = None;
    for similarity in similarity_candidates(strangers) {
        let thresholds = Thresholds { similarity, margin: lowest_margin(strangers, similarity, allowed) };
        let rooms = genuine.iter().filter(|g| g.passes(thresholds)).map(|g| g.room(thresholds, spread));
        let (passing, least) = rooms.fold((0, f32::INFINITY), |(n, least), room| (n + 1, least.min(room)));
        if best.is_none_or(|(most, widest, _)| (passing, least) > (most, widest)) {
            best = Some((passing, least, thresholds));
        }
    }
    let (_, _, lowest) = best.expect("the lowest similarity is always a candidate");
    raised(lowest, genuine, spread)
}

/// The standard deviation of both scores, not quite zero.
#[must_use]
pub fn spread(points: &[Thresholds]) -> Thresholds {
    #[expect(clippy::cast_precision_loss, reason = "a count of photos")]
    let n = points.len().max(1) as f32;
    let deviation = |score: fn(&Thresholds) -> f32| {
        let mean = points.iter().map(score).sum::<f32>() / n;
        (points.iter().map(|point| (score(point) - mean).powi(2)).sum::<f32>() / n).sqrt().max(1e-3)
    };
    Thresholds { similarity: deviation(|point| point.similarity), margin: deviation(|point| point.margin) }
}

/// Candidate thresholds on similarity, descending: just above strangers' own scores, and none at all.
fn similarity_candidates(strangers: &[Thresholds]) -> Vec<f32> {
    let mut candidates: Vec<f32> = strangers.iter().map(|s| s.similarity.next_up().clamp(-1.0, 1.0)).collect();
    candidates.sort_by(|a, b| b.total_cmp(a));
    candidates.dedup();
    let every = candidates.len().div_ceil(MAX_CANDIDATES).max(1);
    let mut candidates: Vec<f32> = candidates.into_iter().step_by(every).collect();
    candidates.push(-1.0);
    candidates
}

/// The lowest threshold on the margin that lets at most `allowed` of the strangers who reach `similarity` pass.
fn lowest_margin(strangers: &[Thresholds], similarity: f32, allowed: usize) -> f32 {
    let mut leads: Vec<f32> = strangers.iter().filter(|s| s.similarity >= similarity).map(|s| s.margin).collect();
    if leads.len() <= allowed {
        return 0.0;
    }
    let (_, margin, _) = leads.select_nth_unstable_by(allowed, |a, b| b.total_cmp(a));
    margin.next_up().clamp(0.0, 2.0)
}

/// Moves each threshold half way up to the lowest enrolled score that passes it, as far as that leaves this person
/// [`ROOM`]: a stranger with slightly higher scores is still rejected, and no enrolled person is missed for it.
fn raised(lowest: Thresholds, genuine: &[Thresholds], spread: Thresholds) -> Thresholds {
    let passing = || genuine.iter().filter(|g| g.passes(lowest));
    let half_way = |threshold: f32, scores: &mut dyn Iterator<Item = f32>, spread: f32| {
        scores.min_by(f32::total_cmp).map_or(threshold, |least| {
            let raised = f32::midpoint(threshold, least).min(least - ROOM * spread);
            raised.min(1.0).max(threshold)
        })
    };
    Thresholds {
        similarity: half_way(lowest.similarity, &mut passing().map(|g| g.similarity), spread.similarity),
        margin: half_way(lowest.margin, &mut passing().map(|g| g.margin), spread.margin),
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "rates of counts, stored as f32")]
fn figures(
    thresholds: Thresholds,
    strangers: &[Thresholds],
    right: &[Thresholds],
    genuine: usize,
    target: f64,
) -> Calibration {
    let named = strangers.iter().filter(|s| s.passes(thresholds)).count();
    let recognised = right.iter().filter(|g| g.passes(thresholds)).count();
    let trials = strangers.len();
    let upper = clopper_pearson(named as u64, trials as u64, CONFIDENCE).high;
    Calibration {
        target_fpir: target as f32,
        strangers: u32::try_from(trials).unwrap_or(u32::MAX),
        observed_fpir: (named as f64 / trials as f64) as f32,
        fpir_upper: upper as f32,
        fnir: 1.0 - (recognised as f64 / genuine as f64) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_core::embed::EncoderId;
    use lintel_core::table::{Person, PersonId, TableParts};
    use proptest::prelude::*;

    const ID: EncoderId = EncoderId([1; 32]);

    fn point(similarity: f32, margin: f32) -> Thresholds {
        Thresholds { similarity, margin }
    }

    fn named(points: &[Thresholds], thresholds: Thresholds) -> usize {
        points.iter().filter(|p| p.passes(thresholds)).count()
    }

    #[test]
    fn thresholds_stand_between_strangers_and_people() {
        let check = |strangers: &[Thresholds], genuine: &[Thresholds], allowed: usize, expected: (usize, usize)| {
            let thresholds = best_thresholds(strangers, genuine, allowed);
            assert_eq!((named(strangers, thresholds), named(genuine, thresholds)), expected, "{thresholds:?}");
        };
        let people = [point(0.8, 0.5), point(0.7, 0.4), point(0.9, 0.6)];
        check(&[point(0.2, 0.1), point(0.3, 0.05)], &people, 0, (0, 3));
        // As similar as an enrolled person but without the margin, and the other way round.
        check(&[point(0.85, 0.1)], &people, 0, (0, 3));
        check(&[point(0.1, 0.9)], &people, 0, (0, 3));
        check(&[point(0.85, 0.1), point(0.1, 0.9)], &people, 0, (0, 3));
        // A stranger with an enrolled person's scores costs that person, unless one stranger may pass.
        check(&[point(0.75, 0.45)], &people, 0, (0, 2));
        check(&[point(0.75, 0.45)], &people, 1, (1, 3));
        check(&[], &people, 0, (0, 3));
        check(&[point(0.5, 0.5)], &[], 0, (0, 0));
    }

    #[test]
    fn thresholds_keep_their_distance() {
        let thresholds = best_thresholds(&[point(0.2, 0.3)], &[point(0.8, 0.3)], 0);
        assert!(thresholds.similarity > 0.4 && thresholds.similarity < 0.6, "{thresholds:?}");
    }

    #[test]
    fn thresholds_leave_people_room_in_both_scores() {
        // A threshold on similarity alone keeps the strangers out, but lies just below the score of the person who is
        // least similar to her photos.
        let strangers = [point(0.69, 0.02), point(0.3, 0.1)];
        let people = [point(0.7, 0.5), point(0.9, 0.4), point(0.8, 0.6)];
        let thresholds = best_thresholds(&strangers, &people, 0);
        assert!(thresholds.similarity < 0.6 && thresholds.margin > 0.1 && thresholds.margin < 0.3, "{thresholds:?}");
    }

    proptest! {
        #[test]
        fn no_more_strangers_pass_than_are_allowed(
            strangers in prop::collection::vec((-1.0_f32..=2.0, 0.0_f32..2.0), 0..60),
            genuine in prop::collection::vec((-1.0_f32..=2.0, 0.0_f32..2.0), 0..30),
            allowed in 0_usize..5,
        ) {
            let points = |list: &[(f32, f32)]| list.iter().map(|&(s, l)| point(s, l)).collect::<Vec<_>>();
            let (strangers, genuine) = (points(&strangers), points(&genuine));
            let thresholds = best_thresholds(&strangers, &genuine, allowed);
            prop_assert!(named(&strangers, thresholds) <= allowed);
            prop_assert!((-1.0..=1.0).contains(&thresholds.similarity), "{thresholds:?}");
            prop_assert!((0.0..=2.0).contains(&thresholds.margin), "{thresholds:?}");
            // No other pair of thresholds at the strangers' own scores passes more enrolled people.
            for similarity in similarity_candidates(&strangers) {
                let other = point(similarity, lowest_margin(&strangers, similarity, allowed));
                prop_assert!(named(&genuine, other) <= named(&genuine, thresholds));
            }
        }
    }

    /// Both thresholds for a target over points, and the claim that goes with them.
    fn claim(strangers: &[Thresholds], genuine: &[Thresholds], target: f64) -> (Thresholds, Calibration) {
        let thresholds = best_thresholds(strangers, genuine, most_named(strangers.len(), target));
        (thresholds, figures(thresholds, strangers, genuine, genuine.len().max(1), target))
    }

    proptest! {
        #[test]
        fn more_strangers_never_raise_a_claim_above_its_target(
            some in prop::collection::vec((-1.0_f32..=1.0, 0.0_f32..2.0), 36..120),
            more in prop::collection::vec((-1.0_f32..=1.0, 0.0_f32..2.0), 0..120),
            genuine in prop::collection::vec((-1.0_f32..=1.0, 0.0_f32..2.0), 1..20),
        ) {
            let points = |list: &[(f32, f32)]| list.iter().map(|&(s, l)| point(s, l)).collect::<Vec<_>>();
            let (some, more, genuine) = (points(&some), points(&more), points(&genuine));
            let (thresholds, before) = claim(&some, &genuine, 0.1);
            prop_assert!(before.fpir_upper <= 0.1);
            // Thresholds that are set anew keep the claim for any new strangers.
            let all = [some.clone(), more.clone()].concat();
            prop_assert!(claim(&all, &genuine, 0.1).1.fpir_upper <= 0.1);
            // Thresholds that stay have no worse claim for strangers whom they keep out.
            let kept_out: Vec<Thresholds> =
                more.iter().copied().filter(|stranger| !stranger.passes(thresholds)).collect();
            let after = figures(thresholds, &[some, kept_out].concat(), &genuine, genuine.len(), 0.1);
            prop_assert!(after.fpir_upper <= before.fpir_upper);
        }
    }

    #[test]
    fn as_many_may_be_named_as_the_claim_bears() {
        let check = |strangers: usize, target: f64, expected: usize| {
            assert_eq!(most_named(strangers, target), expected);
        };
        // 0 of 368 shows 0.01, 1 of 368 would show 0.0151 only; 4 of 1022 show 0.01.
        check(367, 0.01, 0);
        check(368, 0.01, 0);
        check(500, 0.01, 0);
        check(600, 0.01, 1);
        check(10, 0.5, 1);
        check(10, 0.99, 8);
        check(0, 0.5, 0);
    }

    #[test]
    fn a_claim_needs_its_strangers() {
        let check = |target: f64, expected: usize| {
            let needed = strangers_needed(target);
            assert_eq!(needed, expected);
            assert!(clopper_pearson(0, needed as u64, CONFIDENCE).high <= target);
            assert!(clopper_pearson(0, needed as u64 * 9 / 10, CONFIDENCE).high > target);
        };
        check(0.01, 368);
        check(0.1, 36);
        check(0.001, 3688);
    }

    fn table() -> Table {
        let person = |id: u32, name: &str| Person { id: PersonId(id), name: name.to_owned() };
        Table::new(TableParts {
            encoder: ID,
            revision: 1,
            template: "{name}".to_owned(),
            logit_scale: 100.0,
            people: vec![person(0, "Ada"), person(1, "Bo")],
            classes: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            dim: 3,
            intra_class_similarity: vec![1.0; 2],
            rule: Rule::PAPER,
            calibration: None,
        })
        .expect("a table")
    }

    fn embedding(values: [f32; 3]) -> Embedding {
        Embedding::new(&values, ID).expect("an embedding")
    }

    #[test]
    fn the_table_gets_bars_and_figures() {
        let genuine = [
            Genuine { row: 0, embedding: embedding([1.0, 0.1, 0.1]) },
            Genuine { row: 1, embedding: embedding([0.1, 1.0, 0.1]) },
            // More similar to another person: no threshold can help.
            Genuine { row: 1, embedding: embedding([1.0, 0.0, 0.0]) },
        ];
        let strangers: Vec<Embedding> = (0..40_u8).map(|i| embedding([0.3, f32::from(i) / 100.0, 1.0])).collect();
        let (rule, calibration) = calibrate(&table(), &genuine, &strangers, 0.1).expect("thresholds");
        let Rule::Calibrated { similarity, margin } = rule else { panic!("{rule:?}") };
        assert!(similarity > 0.35 && similarity < 0.99 && margin < 0.9, "{rule:?}");
        assert_eq!((calibration.strangers, calibration.observed_fpir), (40, 0.0));
        assert!(calibration.fpir_upper > 0.08 && calibration.fpir_upper <= 0.1, "{calibration:?}");
        assert!((calibration.fnir - 1.0 / 3.0).abs() < 1e-6, "{calibration:?}");
    }

    #[test]
    fn claims_that_the_data_cannot_carry_are_refused() {
        let genuine = [Genuine { row: 0, embedding: embedding([1.0, 0.0, 0.0]) }];
        let strangers = vec![embedding([0.0, 0.0, 1.0]); 10];
        let check = |genuine: &[Genuine], target: f64, expected: &str| {
            let error = calibrate(&table(), genuine, &strangers, target).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&genuine, 0.01, "10 strangers can't show an FPIR of 0.01: at least 368 are needed, or a target of 0.308");
        check(&genuine, 0.0, "the target FPIR is 0");
        check(&genuine, f64::NAN, "the target FPIR is NaN");
        check(&[], 0.5, "no held-out photos");
    }
}
