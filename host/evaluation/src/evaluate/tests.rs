//! Sightings made up by a test → outcomes.

use lintel_core::decision::{Decision, Verdict};
use lintel_core::embed::{EncoderId, Similarity};
use lintel_core::geometry::Rect;
use lintel_core::table::{Person, PersonId, Scores, TableParts};
use lintel_core::time::Uptime;
use lintel_core::track::TrackId;
use lintel_formats::recording::About;

use super::pictures::confusion;
use super::visit::{Frames, Outcome, judge, row_of};
use super::*;

fn table() -> Table {
    let people = ["Ada", "Bo"].iter().zip(0..).map(|(name, id)| Person { id: PersonId(id), name: (*name).into() });
    Table::new(TableParts {
        encoder: EncoderId([1; 32]),
        revision: 1,
        template: "{name}".into(),
        logit_scale: 100.0,
        people: people.collect(),
        classes: vec![1.0, 0.0, 0.0, 1.0],
        dim: 2,
        intra_class_similarity: vec![1.0; 2],
        rule: Rule::PAPER,
        calibration: None,
    })
    .unwrap()
}

fn decision(verdict: Verdict, first_sharp: u64, decided: u64) -> Decision {
    Decision {
        track: TrackId(0),
        verdict,
        bbox: Rect::default(),
        first_sharp: Uptime::from_millis(first_sharp),
        captured: Uptime::from_millis(decided),
        decided: Uptime::from_millis(decided),
        scores: Scores { best: 0, similarity: Similarity::new(0.5).unwrap(), margin: 0.1, confidence: 0.9 },
    }
}

fn about(person: Option<&str>) -> About {
    About {
        fps: 10.0,
        width: 64,
        height: 64,
        person: person.map(Into::into),
        label: String::new(),
        notes: String::new(),
        tags: Vec::new(),
    }
}

fn participant(person: Option<&str>, decisions: &[Decision]) -> Participant {
    let (table, about) = (table(), about(person));
    let enrolled = row_of(&table, &about);
    judge("r", &about, &table, enrolled, decisions, None, Frames::default())
}

#[test]
fn decisions_become_outcomes() {
    fn check(person: Option<&str>, verdicts: &[Verdict], outcome: Outcome, named: Option<&str>) {
        let decisions: Vec<Decision> = verdicts.iter().map(|&verdict| decision(verdict, 100, 500)).collect();
        let got = participant(person, &decisions);
        assert_eq!((got.outcome, got.named.as_deref()), (outcome, named), "{person:?} {verdicts:?}");
    }
    let (ada, bo) = (Verdict::Known(PersonId(0)), Verdict::Known(PersonId(1)));
    check(Some("Ada"), &[], Outcome::NotNamed, None);
    check(Some("Ada"), &[Verdict::Stranger], Outcome::NotNamed, None);
    check(Some("Ada"), &[Verdict::Stranger, ada], Outcome::NamedRight, Some("Ada"));
    check(Some("Ada"), &[ada, bo], Outcome::Misnamed, Some("Bo"));
    check(None, &[], Outcome::Rejected, None);
    check(None, &[Verdict::Stranger], Outcome::Rejected, None);
    check(None, &[Verdict::Stranger, bo], Outcome::Accepted, Some("Bo"));
    check(Some("Cy"), &[bo], Outcome::Accepted, Some("Bo"));
    check(Some("Cy"), &[Verdict::Stranger], Outcome::Rejected, None);
}

#[test]
fn the_time_is_that_of_the_decisive_verdict() {
    let ada = Verdict::Known(PersonId(0));
    let got = participant(Some("Ada"), &[decision(Verdict::Stranger, 0, 100), decision(ada, 100, 450)]);
    assert_eq!(got.verdict_ms, Some(350.0));
}

#[test]
fn figures_are_the_papers_and_nists() {
    let (ada, bo) = (Verdict::Known(PersonId(0)), Verdict::Known(PersonId(1)));
    let participants = [
        participant(Some("Ada"), &[decision(ada, 0, 300)]),
        participant(Some("Ada"), &[decision(bo, 0, 400)]),
        participant(Some("Bo"), &[]),
        participant(Some("Bo"), &[decision(bo, 0, 500)]),
        participant(None, &[decision(Verdict::Stranger, 0, 1200)]),
        participant(None, &[decision(ada, 0, 600)]),
    ];
    let figures = figures(&participants);
    let check = |rate: Rate, count: u64, trials: u64| assert_eq!((rate.count, rate.trials), (count, trials));
    check(figures.deployment_accuracy, 3, 6);
    check(figures.paper_fpr, 2, 4);
    check(figures.paper_fnr, 1, 2);
    check(figures.fnir, 2, 4);
    check(figures.fpir, 1, 2);
    assert_eq!((figures.verdict_ms_p50, figures.verdict_ms_p95), (Some(500.0), Some(1200.0)));
}

#[test]
fn what_is_right_lies_on_the_diagonal() {
    let ada = Verdict::Known(PersonId(0));
    let people = ["Ada".to_owned(), "Bo".to_owned()];
    let participants =
        [participant(None, &[]), participant(Some("Bo"), &[decision(ada, 0, 1)]), participant(Some("Ada"), &[])];
    let confusion = confusion(&people, &participants);
    assert_eq!(confusion.right, [0, 1, 2]);
    assert_eq!(confusion.counts, [[0, 0, 1], [1, 0, 0], [0, 0, 1]]);
}
