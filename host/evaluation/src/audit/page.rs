//! An audit with its faces → one HTML page that needs no other file.

use lintel_core::align::CROP;
use lintel_pages::html::{cell, document, image, row, table};
use lintel_pages::picture::png_bytes;
use maud::{Markup, html};

use super::change::Change;
use super::pairs::Pair;
use super::photos::{FEW, Finding, Problem};
use super::strangers::Nearest;
use super::{Audit, MOST};
use crate::report::rule;

/// Side of a face on the page, px.
const SIDE: u32 = 112;

/// Source of the page's pictures: crops, RGB8, 224×224. `None` leaves a gap.
pub trait Gallery {
    /// Photo `photo` of an enrolled person.
    fn enrolled(&self, person: &str, photo: usize) -> Option<Vec<u8>>;
    /// The first crop of the stranger with this index, from 0.
    fn stranger(&self, number: usize) -> Option<Vec<u8>>;
}

/// An audit and its pictures → the text of one HTML page that needs no other file.
#[must_use]
pub fn page(audit: &Audit, gallery: &dyn Gallery) -> String {
    let body = html! {
        (summary(audit))
        (pairs(&audit.pairs, gallery))
        (strangers(audit, gallery))
        (photos(&audit.photos, gallery))
        @if let Some(change) = &audit.change { (changed(change)) }
    };
    document("Who could open for whom", &body)
}

fn summary(audit: &Audit) -> Markup {
    let mut rows = vec![
        row("table", format!("revision {}, {} people", audit.revision, audit.people)),
        row("people of whom photos were given", audit.with_photos.to_string()),
        row("rule", rule(audit.rule)),
    ];
    if let Some(calibration) = &audit.calibration {
        let claim = format!(
            "FPIR at most {:.2} % (95 %), on {} strangers; target {:.2} %",
            calibration.fpir_upper * 100.0,
            calibration.strangers,
            calibration.target_fpir * 100.0
        );
        rows.push(row("claim", claim));
    }
    let concerns = audit.concerns();
    html! {
        (table(&["", ""], &rows))
        @if concerns.is_empty() {
            p.good { "Nothing stands out." }
        } @else {
            p { "Check before this table is deployed:" }
            ul { @for line in &concerns { li.bad { (line) } } }
        }
    }
}

fn pairs(pairs: &[Pair], gallery: &dyn Gallery) -> Markup {
    let row = |pair: &Pair| {
        let class = if pair.named > 0 || pair.margin < 0.0 { "bad" } else { "faint" };
        let text = html! {
            (pair.person) " could be named as " (pair.other)
            br;
            (format!("margin in this photo {:.3}, similarity to the other {:.3}", pair.margin, pair.similarity))
            br;
            (format!("cosine of the two rows {:.3}", pair.rows))
            br;
            span class=(class) { (pair.named) " of " (pair.photos) " photos are named as the other" }
        };
        vec![
            face(gallery.enrolled(&pair.person, pair.photo), &pair.person),
            face(gallery.enrolled(&pair.other, 0), &pair.other),
            text,
        ]
    };
    let rows: Vec<Vec<Markup>> = pairs.iter().map(row).collect();
    html! {
        h2 { "Enrolled people who are most similar" }
        @if rows.is_empty() { p.faint { "No photos of enrolled people were given." } }
        (table(&["photo", "the other", ""], &rows))
    }
}

fn strangers(audit: &Audit, gallery: &dyn Gallery) -> Markup {
    let row = |near: &Nearest| {
        let who = near.stranger.as_deref().unwrap_or("a rendered person");
        let text = html! {
            (who) " is most similar to " (near.person)
            br;
            (format!("similarity {:.3}, margin {:.3}", near.similarity, near.margin))
            br;
            @if near.missing > 0.0 {
                span.good { (format!("rejected: {:.3} is missing", near.missing)) }
            } @else {
                span.bad { "would be named" }
            }
        };
        let (stranger, enrolled) = (gallery.stranger(near.number), gallery.enrolled(&near.person, 0));
        vec![face(stranger, who), face(enrolled, &near.person), text]
    };
    let rows: Vec<Vec<Markup>> = audit.strangers.iter().map(row).collect();
    html! {
        h2 { "Strangers who come nearest" }
        p {
            (audit.strangers_named) " of " (audit.strangers_looked_at) " strangers would be named. The " (rows.len())
            " who miss the least:"
        }
        (table(&["stranger", "enrolled", ""], &rows))
    }
}

fn photos(findings: &[Finding], gallery: &dyn Gallery) -> Markup {
    let row = |finding: &Finding| {
        let person = &finding.person;
        let both = |one: Markup, other: Markup| html! { (one) (other) };
        let (pictures, text) = match &finding.problem {
            Problem::TooFew { photos } => (
                face(gallery.enrolled(person, 0), person),
                format!("{photos} photos, {FEW} or more are better: they show how the face changes"),
            ),
            Problem::TooSimilar { photos, distinct, example: [one, two] } => (
                both(face(gallery.enrolled(person, *one), person), face(gallery.enrolled(person, *two), person)),
                format!("{photos} photos, but only {distinct} that differ: take some on another day, in other light"),
            ),
            Problem::Misplaced { photo, like, by } => (
                both(face(gallery.enrolled(person, *photo), person), face(gallery.enrolled(like, 0), like)),
                format!("a photo looks like {like} (by {by:.3}): is it in the right folder?"),
            ),
        };
        vec![pictures, cell(person), cell(text)]
    };
    let most = findings.len().min(4 * MOST);
    let rows: Vec<Vec<Markup>> = findings[..most].iter().map(row).collect();
    let more = findings.len() - most;
    html! {
        h2 { "Photos" }
        @if rows.is_empty() { p.good { "Nothing stands out." } }
        (table(&["", "person", ""], &rows))
        @if more > 0 { p { (more) " more are in audit.json." } }
    }
}

fn changed(change: &Change) -> Markup {
    let list = |names: &[String]| match names {
        [] => "nobody".to_owned(),
        _ => {
            let shown: Vec<&str> = names.iter().take(4 * MOST).map(String::as_str).collect();
            let more = names.len().saturating_sub(shown.len());
            shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
        }
    };
    let mut rows = vec![
        row("deployed", format!("revision {}", change.revision)),
        row("its rule", rule(change.rule)),
        row("its encoder", if change.same_encoder { "the same" } else { "another one" }),
        row("joined", list(&change.added)),
        row("left", list(&change.removed)),
    ];
    let Some(decisions) = &change.decisions else {
        rows.push(row("decisions", "not compared: the deployed encoder was not given; give its bundle"));
        return html! { h2 { (AGAINST) } (table(&["", ""], &rows)) };
    };
    rows.push(row(
        "photos named right",
        format!("{} before, {} now, of {}", decisions.right_before, decisions.right_after, decisions.photos),
    ));
    rows.push(row(
        "strangers named",
        format!("{} before, {} now, of {}", decisions.named_before, decisions.named_after, decisions.strangers),
    ));
    let people: Vec<Vec<Markup>> = decisions
        .people
        .iter()
        .take(4 * MOST)
        .map(|person| {
            let class = if person.right_after < person.right_before { "bad" } else { "good" };
            let counts = html! {
                span class=(class) {
                    (person.right_before) " before, " (person.right_after) " now, of " (person.photos)
                }
            };
            vec![cell(&person.name), counts]
        })
        .collect();
    html! {
        h2 { (AGAINST) }
        (table(&["", ""], &rows))
        (table(&["people whose decisions differ", "photos named right"], &people))
    }
}

/// Heading of the comparison.
const AGAINST: &str = "Against the table that is deployed";

fn face(crop: Option<Vec<u8>>, alt: &str) -> Markup {
    let whole = crop.and_then(|pixels| image::RgbImage::from_raw(CROP, CROP, pixels));
    whole.map_or_else(
        || html! { span.faint { "no picture" } },
        |whole| {
            let small = image::imageops::thumbnail(&whole, SIDE, SIDE);
            image(&png_bytes(small.as_raw(), SIDE, SIDE), alt)
        },
    )
}
