//! An audit with its faces → one HTML page that needs no other file.

use htmlize::escape_text;
use lintel_core::align::CROP;
use lintel_pages::html::{document, image, table};
use lintel_pages::picture::png_bytes;

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
    let mut body = summary(audit);
    body.push_str(&pairs(&audit.pairs, gallery));
    body.push_str(&strangers(audit, gallery));
    body.push_str(&photos(&audit.photos, gallery));
    if let Some(change) = &audit.change {
        body.push_str(&changed(change));
    }
    document("Who could open for whom", &body)
}

fn summary(audit: &Audit) -> String {
    let mut rows = vec![
        row("table", &format!("revision {}, {} people", audit.revision, audit.people)),
        row("people of whom photos were given", &audit.with_photos.to_string()),
        row("rule", &rule(audit.rule)),
    ];
    if let Some(calibration) = &audit.calibration {
        rows.push(row(
            "claim",
            &format!(
                "FPIR at most {:.2} % (95 %), on {} strangers; target {:.2} %",
                calibration.fpir_upper * 100.0,
                calibration.strangers,
                calibration.target_fpir * 100.0
            ),
        ));
    }
    let concerns = audit.concerns();
    let said = if concerns.is_empty() {
        "<p class=good>Nothing stands out.</p>".to_owned()
    } else {
        let items: Vec<String> =
            concerns.iter().map(|line| format!("<li class=bad>{}</li>", escape_text(line))).collect();
        format!("<p>Check before this table is deployed:</p><ul>{}</ul>", items.concat())
    };
    format!("{}{said}", table(&["", ""], &rows))
}

fn pairs(pairs: &[Pair], gallery: &dyn Gallery) -> String {
    let rows: Vec<Vec<String>> = pairs
        .iter()
        .map(|pair| {
            let class = if pair.named > 0 || pair.margin < 0.0 { "bad" } else { "faint" };
            vec![
                face(gallery.enrolled(&pair.person, pair.photo), &pair.person),
                face(gallery.enrolled(&pair.other, 0), &pair.other),
                format!(
                    "{} could be named as {}<br>margin in this photo {:.3}, similarity to the other {:.3}<br>cosine \
                     of the two rows {:.3}<br><span class={class}>{} of {} photos are named as the other</span>",
                    escape_text(&pair.person),
                    escape_text(&pair.other),
                    pair.margin,
                    pair.similarity,
                    pair.rows,
                    pair.named,
                    pair.photos
                ),
            ]
        })
        .collect();
    let note = if rows.is_empty() { "<p class=faint>No photos of enrolled people were given.</p>" } else { "" };
    format!("<h2>Enrolled people who are most similar</h2>\n{note}{}", table(&["photo", "the other", ""], &rows))
}

fn strangers(audit: &Audit, gallery: &dyn Gallery) -> String {
    let row = |near: &Nearest| {
        let who = near.stranger.as_deref().unwrap_or("a rendered person");
        let verdict = if near.missing > 0.0 {
            format!("<span class=good>rejected: {:.3} is missing</span>", near.missing)
        } else {
            "<span class=bad>would be named</span>".to_owned()
        };
        vec![
            face(gallery.stranger(near.number), who),
            face(gallery.enrolled(&near.person, 0), &near.person),
            format!(
                "{} is most similar to {}<br>similarity {:.3}, margin {:.3}<br>{verdict}",
                escape_text(who),
                escape_text(&near.person),
                near.similarity,
                near.margin
            ),
        ]
    };
    let rows: Vec<Vec<String>> = audit.strangers.iter().map(row).collect();
    format!(
        "<h2>Strangers who come nearest</h2>\n<p>{} of {} strangers would be named. The {} who miss the least \
        missing:</p>{}",
        audit.strangers_named,
        audit.strangers_looked_at,
        rows.len(),
        table(&["stranger", "enrolled", ""], &rows)
    )
}

fn photos(findings: &[Finding], gallery: &dyn Gallery) -> String {
    let row = |finding: &Finding| {
        let person = &finding.person;
        let (pictures, text) = match &finding.problem {
            Problem::TooFew { photos } => (
                face(gallery.enrolled(person, 0), person),
                format!("{photos} photos, {FEW} or more are better: they show how the face changes"),
            ),
            Problem::TooSimilar { photos, distinct, example: [one, two] } => (
                face(gallery.enrolled(person, *one), person) + &face(gallery.enrolled(person, *two), person),
                format!("{photos} photos, but only {distinct} that differ: take some on another day, in other light"),
            ),
            Problem::Misplaced { photo, like, by } => (
                face(gallery.enrolled(person, *photo), person) + &face(gallery.enrolled(like, 0), like),
                format!("a photo looks like {} (by {by:.3}): is it in the right folder?", escape_text(like)),
            ),
        };
        vec![pictures, escape_text(person).into_owned(), text]
    };
    let most = findings.len().min(4 * MOST);
    let rows: Vec<Vec<String>> = findings[..most].iter().map(row).collect();
    let rest = match findings.len() - most {
        0 => String::new(),
        more => format!("<p>{more} more are in audit.json.</p>"),
    };
    let none = if rows.is_empty() { "<p class=good>Nothing stands out.</p>" } else { "" };
    format!("<h2>Photos</h2>\n{none}{}{rest}", table(&["", "person", ""], &rows))
}

fn changed(change: &Change) -> String {
    let list = |names: &[String]| match names {
        [] => "nobody".to_owned(),
        _ => {
            let shown: Vec<String> = names.iter().take(4 * MOST).map(|name| escape_text(name).into_owned()).collect();
            let more = names.len().saturating_sub(shown.len());
            shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
        }
    };
    let mut rows = vec![
        row("deployed", &format!("revision {}", change.revision)),
        row("its rule", &rule(change.rule)),
        row("its encoder", if change.same_encoder { "the same" } else { "another one" }),
        vec!["joined".into(), list(&change.added)],
        vec!["left".into(), list(&change.removed)],
    ];
    let mut text = String::from("<h2>Against the table that is deployed</h2>\n");
    let Some(decisions) = &change.decisions else {
        rows.push(row("decisions", "not compared: the deployed encoder was not given; give its bundle"));
        return text + &table(&["", ""], &rows);
    };
    rows.push(row(
        "photos named right",
        &format!("{} before, {} now, of {}", decisions.right_before, decisions.right_after, decisions.photos),
    ));
    rows.push(row(
        "strangers named",
        &format!("{} before, {} now, of {}", decisions.named_before, decisions.named_after, decisions.strangers),
    ));
    text.push_str(&table(&["", ""], &rows));
    let people: Vec<Vec<String>> = decisions
        .people
        .iter()
        .take(4 * MOST)
        .map(|person| {
            let class = if person.right_after < person.right_before { "bad" } else { "good" };
            vec![
                escape_text(&person.name).into_owned(),
                format!(
                    "<span class={class}>{} before, {} now, of {}</span>",
                    person.right_before, person.right_after, person.photos
                ),
            ]
        })
        .collect();
    text + &table(&["people whose decisions differ", "photos named right"], &people)
}

fn face(crop: Option<Vec<u8>>, alt: &str) -> String {
    let whole = crop.and_then(|pixels| image::RgbImage::from_raw(CROP, CROP, pixels));
    whole.map_or_else(
        || "<span class=faint>no picture</span>".to_owned(),
        |whole| {
            let small = image::imageops::thumbnail(&whole, SIDE, SIDE);
            image(&png_bytes(small.as_raw(), SIDE, SIDE), alt)
        },
    )
}

fn row(what: &str, value: &str) -> Vec<String> {
    vec![what.to_owned(), escape_text(value).into_owned()]
}
