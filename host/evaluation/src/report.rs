//! Folders that the other verbs wrote → one HTML page that needs no other file.

use std::fs;
use std::path::{Path, PathBuf};

use lintel_core::table::Rule;
use lintel_pages::html::{cell, document, image, row, table};
use lintel_photos::ingest::People;
use lintel_training::trained::{Change, LOSS_FILE, TrainReport};
use lintel_work::failure::{Failure, reason};
use lintel_work::outdir::Kind;
use maud::{Markup, html};
use serde::Deserialize;

use crate::evaluate;
use crate::evaluate::rules::Errors;
use crate::evaluate::slices::Slice;
use crate::visits::Visits;

/// Why a page cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder was not made by one of the verbs.
    #[error("{} is not a folder of `lintel ingest`, `train`, `evaluate` or `demo`", .0.display())]
    Unknown(PathBuf),
    /// A file of it cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::input(error)
    }
}

/// One page over all folders, in the order given.
///
/// # Errors
/// [`ReportError`] for the first folder that cannot be shown.
pub fn page(folders: &[PathBuf]) -> Result<String, ReportError> {
    let mut all = Vec::new();
    for folder in folders {
        all.append(&mut parts(folder)?);
    }
    Ok(document("Lintel report", &html! { @for part in &all { (part) } }))
}

/// The sections of one folder; the demo's folder has several.
fn parts(folder: &Path) -> Result<Vec<Markup>, ReportError> {
    let has = |folder: &Path, kind: Kind| folder.join(kind.marker()).is_file();
    let mut parts = Vec::new();
    if has(folder, Kind::Ingest) {
        parts.push(ingested(folder)?);
    }
    if has(folder, Kind::Train) {
        parts.push(trained(folder)?);
    }
    if has(folder, Kind::Evaluation) {
        parts.push(evaluated(folder)?);
    }
    if has(folder, Kind::Visits) {
        parts.push(visited(folder)?);
    }
    if parts.is_empty() {
        let inside = ["faces", "trained", "evaluation", "visits"].map(|name| folder.join(name));
        for folder in inside.iter().filter(|folder| folder.is_dir()) {
            parts.append(&mut self::parts(folder)?);
        }
    }
    if parts.is_empty() { Err(ReportError::Unknown(folder.into())) } else { Ok(parts) }
}

fn ingested(folder: &Path) -> Result<Markup, ReportError> {
    let people = People::open(folder, 1)
        .map_err(|error| ReportError::Read { path: folder.into(), reason: error.to_string() })?;
    let mut rows = Vec::new();
    for person in &people.people {
        for rejected in &person.rejected {
            rows.push(vec![
                cell(&person.name),
                cell(&rejected.source),
                html! { span.bad { (rejected.reason.text()) } },
                cell(&rejected.detail),
            ]);
        }
    }
    let mut sheets: Vec<PathBuf> = entries(folder)?
        .into_iter()
        .filter(|path| {
            path.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.starts_with("sheet") && name.ends_with(".png")
            })
        })
        .collect();
    // `sheet.png` is the first page, although a dot sorts after a dash.
    sheets.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    let sheets: Vec<Markup> =
        sheets.iter().map(|sheet| picture(sheet, "the faces of each person")).collect::<Result<_, _>>()?;
    Ok(html! {
        (heading("Faces", folder))
        @for sheet in &sheets { (sheet) }
        @if !rows.is_empty() { (table(&["person", "photo", "rejected", "why"], &rows)) }
    })
}

fn trained(folder: &Path) -> Result<Markup, ReportError> {
    let report = TrainReport::open(folder)
        .map_err(|error| ReportError::Read { path: folder.into(), reason: error.to_string() })?;
    let loss = picture(&folder.join(LOSS_FILE), "loss by epoch")?;
    let mut rows = vec![
        row("pack", &report.pack),
        row("people", report.people.to_string()),
        row("faces trained on", report.trained_on.to_string()),
        row("faces held out", report.held_out.len().to_string()),
        row("template", &report.settings.template),
        row("seed", report.settings.seed.to_string()),
        row("rule", rule(report.rule)),
    ];
    if let Some(last) = report.curve.last() {
        rows.push(row("held-out faces recognised", format!("{:.1} %", last.held_out_accuracy * 100.0)));
    }
    if let Some(calibration) = &report.calibration {
        rows.push(row(
            "strangers who would be named",
            format!(
                "{:.2} % of {}, 95 %: at most {:.2} %; target {:.2} %",
                calibration.observed_fpir * 100.0,
                calibration.strangers,
                calibration.fpir_upper * 100.0,
                calibration.target_fpir * 100.0
            ),
        ));
    }
    for change in &report.changes {
        rows.push(match change {
            Change::Added { people, .. } => row("joined since", people.to_string()),
            Change::Removed { people } => row("left since", people.to_string()),
        });
    }
    rows.push(row("encoder", &report.encoder));
    Ok(html! { (heading("Training", folder)) (loss) (table(&["", ""], &rows)) })
}

/// The format version of a report.
#[derive(Deserialize)]
struct Made {
    format: u32,
}

fn evaluated(folder: &Path) -> Result<Markup, ReportError> {
    let path = folder.join(Kind::Evaluation.marker());
    let Made { format } = json(&path)?;
    if format != evaluate::REPORT_FORMAT {
        let wanted = evaluate::REPORT_FORMAT;
        return Err(unreadable(&path, format!("it has format {format}, wanted {wanted}; run `lintel evaluate` again")));
    }
    let report: evaluate::Report = json(&path)?;
    let figures = &report.figures;
    let mut rows = vec![
        row("deployment accuracy", figures.deployment_accuracy.text()),
        row("FPR as in the paper (enrolled, not named right)", figures.paper_fpr.text()),
        row("FNR as in the paper (strangers, not rejected)", figures.paper_fnr.text()),
        row("FPIR (a stranger is named)", figures.fpir.text()),
        row("FNIR (an enrolled person is not named, or misnamed)", figures.fnir.text()),
        row("single frames, FPIR", figures.frame_fpir.text()),
        row("single frames, FNIR", figures.frame_fnir.text()),
    ];
    if let (Some(p50), Some(p95)) = (figures.verdict_ms_p50, figures.verdict_ms_p95) {
        rows.push(row("first sharp frame to verdict", format!("median {p50:.0} ms, 95 % within {p95:.0} ms")));
    }
    rows.push(row("rule", rule(report.rule)));
    let figures = table(&["", ""], &rows);
    let pictures: Vec<Markup> = [
        ("confusion.png", "confusion matrix: who was named as whom"),
        ("det.png", "errors as the threshold moves"),
        ("by-threshold.png", "errors by the threshold on similarity"),
        ("scores.png", "the scores of enrolled people and of strangers"),
    ]
    .into_iter()
    .map(|(file, alt)| picture(&folder.join(file), alt))
    .collect::<Result<_, _>>()?;
    let rows: Vec<Vec<Markup>> = report
        .participants
        .iter()
        .map(|participant| {
            let class = if participant.outcome.is_right() { "good" } else { "bad" };
            vec![
                cell(&participant.label),
                html! { span class=(class) { (participant.outcome.text()) } },
                cell(participant.named.as_deref().unwrap_or("-")),
                cell(participant.verdict_ms.map_or_else(|| "-".into(), |ms| format!("{ms:.0} ms"))),
            ]
        })
        .collect();
    Ok(html! {
        (heading("At the door: measurements", folder))
        (figures)
        @for picture in &pictures { (picture) }
        (rules_compared(&report))
        (sliced(&report.slices))
        (table(&["who came", "outcome", "named", "verdict after"], &rows))
    })
}

/// The paper's rule and the table's thresholds, on this report's looks and on grown tables.
fn rules_compared(report: &evaluate::Report) -> Markup {
    let grown = report
        .growth
        .iter()
        .flat_map(|growth| &growth.sizes)
        .map(|size| (format!("{} × {} rendered people", size.tables, size.comparison.people), &size.comparison));
    let own = report.comparison.iter().map(|compared| (format!("these looks, {} people", compared.people), compared));
    let share = |ratio: Option<f64>| ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
    let rows: Vec<Vec<Markup>> = own
        .chain(grown)
        .map(|(what, compared)| {
            vec![
                cell(what),
                cell(compared.paper.fnir.text()),
                cell(compared.paper.fpir.text()),
                cell(compared.at_equal_fnir.fpir.text()),
                cell(share(compared.ratio())),
                cell(compared.calibrated.fnir.text()),
                cell(compared.calibrated.fpir.text()),
                cell(compared.paper_at_equal_fnir.fpir.text()),
                cell(share(compared.ratio_where_thresholds_stand())),
            ]
        })
        .collect();
    if rows.is_empty() {
        return html! {};
    }
    let head = [
        "frames",
        "80 % rule: FNIR",
        "80 % rule: FPIR",
        "thresholds at that FNIR: FPIR",
        "ratio",
        "thresholds unmoved: FNIR",
        "thresholds unmoved: FPIR",
        "confidence at that FNIR: FPIR",
        "ratio",
    ];
    table(&head, &rows)
}

fn sliced(slices: &[Slice]) -> Markup {
    let rates = |errors: &Errors| [cell(errors.fpir.text()), cell(errors.fnir.text())];
    let row = |slice: &Slice| {
        let visits = slice.visits.as_ref().map_or_else(|| ["-", "-"].map(cell), rates);
        let what = [cell(&slice.by), cell(&slice.part)];
        what.into_iter().chain(rates(&slice.looks)).chain(visits).collect()
    };
    let rows: Vec<Vec<Markup>> = slices.iter().map(row).collect();
    table(&["by", "part", "looks: FPIR", "FNIR", "visits: FPIR", "FNIR"], &rows)
}

fn visited(folder: &Path) -> Result<Markup, ReportError> {
    let visits: Visits = json(&folder.join(Kind::Visits.marker()))?;
    let sheet = picture(&folder.join("sheet.png"), "frame, display and door of each visit")?;
    let rows: Vec<Vec<Markup>> = visits.visits.iter().map(|visit| visit.cells().map(cell).into()).collect();
    Ok(html! { (heading("At the door: visits", folder)) (sheet) (table(&Visits::HEAD, &rows)) })
}

pub(crate) fn rule(rule: Rule) -> String {
    match rule {
        Rule::Paper { confidence } => format!("the paper's: confidence at least {confidence:.2}"),
        Rule::Calibrated { similarity, margin } => format!(
            "normalised similarity at least {similarity:.3} (similarity + 1 − the person's intra-class similarity) and \
             margin at least {margin:.3}"
        ),
    }
}

fn heading(title: &str, folder: &Path) -> Markup {
    html! { h2 { (title) " " span.faint { (folder.display()) } } }
}

fn picture(path: &Path, alt: &str) -> Result<Markup, ReportError> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, reason(&error)))?;
    Ok(html! { p { (image(&bytes, alt)) } })
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ReportError> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, reason(&error)))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(path, error.to_string()))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let failed = |error: std::io::Error| unreadable(folder, reason(&error));
    fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

fn unreadable(path: &Path, reason: String) -> ReportError {
    ReportError::Read { path: path.into(), reason }
}
