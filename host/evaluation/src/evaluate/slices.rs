//! Trials and visits → the same error rates for parts of them: by yaw, distance, light, and the recordings' tags.

use std::collections::BTreeSet;

use lintel_statistics::Rate;
use serde::{Deserialize, Serialize};

use super::rules::Errors;
use super::visit::{Conditions, Mated, Participant, Trial, Visit};

/// A part of the trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The criterion: `yaw`, `distance`, `light` or `tag`.
    pub by: String,
    /// Name of the part, such as a range of yaw or a recording's tag.
    pub part: String,
    /// Over frames, each aggregated with the looks before it. Looks of one visit are correlated, so the intervals are
    /// too narrow.
    pub looks: Errors,
    /// Over whole visits, if the criterion applies to whole visits.
    pub visits: Option<Errors>,
}

/// One condition of a look, cut into parts: their upper ends, ascending, the last one open.
struct Cut {
    by: &'static str,
    measure: fn(&Conditions) -> f32,
    parts: &'static [(&'static str, f32)],
}

/// Yaw ends at the quality gate's limit. Distance is measured by the pixels between the eyes, light by the mean luma of
/// the face.
const CUTS: [Cut; 3] = [
    Cut {
        by: "yaw",
        measure: |conditions| conditions.yaw,
        parts: &[("0 to 15°", 15.0), ("15 to 30°", 30.0), ("over 30°", f32::INFINITY)],
    },
    Cut {
        by: "distance",
        measure: |conditions| conditions.inter_ocular_px,
        parts: &[("far (eyes under 35 px apart)", 35.0), ("35 to 60 px", 60.0), ("near (over 60 px)", f32::INFINITY)],
    },
    Cut {
        by: "light",
        measure: |conditions| conditions.light,
        parts: &[("dark face (luma under 25 %)", 0.25), ("25 to 50 %", 0.5), ("bright (over 50 %)", f32::INFINITY)],
    },
];

/// A visit's trials, each with whether the rule named a person.
pub struct Judged<'a> {
    /// The visit that was judged.
    pub visit: &'a Visit,
    /// Its outcome.
    pub participant: &'a Participant,
    /// Its comparisons.
    pub trials: Vec<Trial>,
}

/// Every part that has trials; `passes` is the rule.
#[must_use]
pub fn slices(judged: &[Judged<'_>], passes: impl Fn(&Trial) -> bool + Copy) -> Vec<Slice> {
    let mut slices = Vec::new();
    for Cut { by, measure, parts } in &CUTS {
        let mut from = f32::NEG_INFINITY;
        for (part, to) in *parts {
            let inside = |trial: &&Trial| (from..*to).contains(&measure(&trial.conditions));
            let looks = errors(judged.iter().flat_map(|one| &one.trials).filter(inside), passes);
            slices.push(Slice { by: (*by).to_owned(), part: (*part).to_owned(), looks, visits: None });
            from = *to;
        }
    }
    let tags: BTreeSet<&String> = judged.iter().flat_map(|one| &one.visit.about.tags).collect();
    for tag in tags {
        for (part, wanted) in [(tag.clone(), true), (format!("no {tag}"), false)] {
            let inside = || judged.iter().filter(|one| one.visit.about.tags.contains(tag) == wanted);
            let looks = errors(inside().flat_map(|one| &one.trials), passes);
            let visits = Some(errors_of_visits(inside().map(|one| one.participant)));
            slices.push(Slice { by: "tag".to_owned(), part, looks, visits });
        }
    }
    slices.retain(|slice| slice.looks.fpir.trials + slice.looks.fnir.trials > 0);
    slices
}

fn errors<'a>(trials: impl Iterator<Item = &'a Trial>, passes: impl Fn(&Trial) -> bool) -> Errors {
    let (mut mated, mut missed, mut others, mut named) = (0, 0, 0, 0);
    for trial in trials {
        match trial.mated {
            Mated::Not => (others, named) = (others + 1, named + usize::from(passes(trial))),
            Mated::First => (mated, missed) = (mated + 1, missed + usize::from(!passes(trial))),
            Mated::Behind => (mated, missed) = (mated + 1, missed + 1),
        }
    }
    Errors { fpir: Rate::new(named, others), fnir: Rate::new(missed, mated) }
}

fn errors_of_visits<'a>(participants: impl Iterator<Item = &'a Participant>) -> Errors {
    let (mut mated, mut missed, mut others, mut accepted) = (0, 0, 0, 0);
    for participant in participants {
        let wrong = usize::from(!participant.outcome.is_right());
        if participant.mated {
            (mated, missed) = (mated + 1, missed + wrong);
        } else {
            (others, accepted) = (others + 1, accepted + wrong);
        }
    }
    Errors { fpir: Rate::new(accepted, others), fnir: Rate::new(missed, mated) }
}
