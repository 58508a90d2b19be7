//! The paper's Table I on one data set and by one protocol, and which encoder would serve the
//! door best.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lintel_core::aggregate;
use lintel_core::embed::Embedding;
use lintel_inference::{Encoder, Options};
use lintel_onnx::Preprocessing;
use lintel_pages::html::{cell, document, table};
use lintel_statistics::{Rate, percentile};
use lintel_training::baselines::linear_probe::Probe;
use lintel_training::baselines::{Data, Measured, by_rows, matching, measure, top};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::progress::Progress;
use maud::{Markup, html};
use serde::Serialize;

use super::{BENCH_FORMAT, Bench, Subjects, finish};
use crate::use_cases::packs::grafted;

/// The paper's threshold on the softmax confidence.
const CONFIDENCE: f32 = 0.80;
/// Encoders that the paper's table has beside CLIP, and what they want of pixels unless it is said otherwise.
const OF_THE_PAPER: [(&str, Preprocessing); 2] =
    [("vgg-face", Preprocessing::VGG_FACE), ("arcface", Preprocessing::ARCFACE)];
/// Runs of each encoder, in turns, behind its cost.
const RUNS: usize = 30;

/// Which encoders to compare, and on whom.
#[derive(Debug, Clone)]
pub struct Request {
    /// Training data, strangers and target.
    pub subjects: Subjects,
    /// Face encoders in ONNX, by name.
    pub encoders: Vec<(String, PathBuf)>,
    /// What encoders want of pixels, by name, where it is not as published.
    pub preprocessing: Vec<(String, Preprocessing)>,
}

/// A row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The encoder and how it is used.
    pub name: String,
    /// `None`: no weights were given.
    pub figures: Option<RowFigures>,
}

/// The errors of one encoder, and what it costs.
#[derive(Debug, Clone, Serialize)]
pub struct RowFigures {
    /// Participants who got what they should.
    pub accuracy: Rate,
    /// The paper's FPR: enrolled participants who were not named right.
    pub fpr: Rate,
    /// The paper's FNR: strangers who were not rejected.
    pub fnr: Rate,
    /// At the target FPIR, over photos.
    pub at_target: Measured,
    /// Median time of one face divided by CLIP's.
    pub cost: f64,
}

/// `bench.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Version of this object.
    pub format: u32,
    /// People enrolled.
    pub enrolled: usize,
    /// People who are not enrolled, a trial each.
    pub strangers: usize,
    /// The highest share of strangers that may be named.
    pub target_fpir: f64,
    /// The table.
    pub rows: Vec<Row>,
    /// Which row misses fewest people at the target FPIR.
    pub best: String,
}

/// What was compared.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The folder.
    pub out: PathBuf,
    /// What `bench.json` holds.
    pub figures: Figures,
}

/// Compares the encoders.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    let target_fpir = request.subjects.thresholds.target_fpir;
    let encoders = encoders(request)?;
    let (bench, out) = Bench::open(&request.subjects, options, progress)?;
    let mut models: Vec<(String, Vec<u8>)> = vec![("CLIP".to_owned(), bench.trained.encoder.clone())];
    for (name, (file, preprocessing)) in &encoders {
        models.push((name.clone(), grafted(file, preprocessing, options)?.0));
    }
    let costs = costs(&models, &bench)?;
    let mut rows = Vec::new();
    let published = OF_THE_PAPER.iter().map(|(name, _)| (*name).to_owned());
    let own = encoders.keys().filter(|name| OF_THE_PAPER.iter().all(|(known, _)| known != name)).cloned();
    for name in published.chain(own) {
        let found = models.iter().position(|(model, _)| *model == name);
        let figures = match found {
            Some(place) => {
                let data = bench.data(&models[place].1)?;
                let (matched, classified) = judged(&data, target_fpir, &name, costs[place]);
                [matched, Some(classified)]
            }
            None => [None, None],
        };
        for (used, figures) in ["o", "c"].into_iter().zip(figures) {
            rows.push(Row { name: format!("{name} {used}"), figures });
        }
    }
    let data = bench.data(&models[0].1)?;
    let clip = format!("CLIP, text fine-tuned (pack {})", bench.pack.about.name);
    rows.push(Row { figures: Some(clip_figures(&bench, &data, &clip)), name: clip });
    let best = best(&rows);
    let figures = Figures {
        format: BENCH_FORMAT,
        enrolled: data.people,
        strangers: data.strangers.len(),
        target_fpir,
        rows,
        best,
    };
    Ok(Outcome { out: finish(out, &page(&figures), &figures)?, figures })
}

/// The encoders by name, each once, with what they want of pixels.
fn encoders(request: &Request) -> Result<BTreeMap<String, (PathBuf, Preprocessing)>, Failure> {
    let mut encoders = BTreeMap::new();
    for (name, file) in &request.encoders {
        let said = request.preprocessing.iter().find(|(of, _)| of == name).map(|(_, said)| *said);
        let usual = OF_THE_PAPER.iter().find(|(known, _)| known == name).map(|(_, usual)| *usual);
        let preprocessing = said.or(usual).ok_or_else(|| {
            Failure::input(format!(
                "what does {name} want of pixels? say --preprocessing {name}=arcface, or as it was published"
            ))
        })?;
        if encoders.insert(name.clone(), (file.clone(), preprocessing)).is_some() {
            return Err(Failure::input(format!("--encoder {name}=… is given twice")));
        }
    }
    for (name, _) in &request.preprocessing {
        if !encoders.contains_key(name) {
            return Err(Failure::input(format!("--preprocessing {name}=… is of no --encoder {name}=FILE")));
        }
    }
    Ok(encoders)
}

/// Both ways of using an encoder: matching (`None` where nobody has two photos to set its threshold by), and a softmax
/// classifier.
fn judged(data: &Data, target: f64, name: &str, cost: f64) -> (Option<RowFigures>, RowFigures) {
    let matching = matching::scorer(data);
    let matched = matching::equal_error_threshold(data).map(|threshold| {
        let measured = measure(&format!("{name} o"), &matching, data, target);
        by_participant(data, &|face| matching::named(&matching(face.vector()), threshold), measured, cost)
    });
    let probe = Probe::learnt(data).into_scorer();
    let measured = measure(&format!("{name} c"), &probe, data, target);
    let classified = by_participant(data, &|face| confident(&probe(face.vector()), 1.0), measured, cost);
    (matched, classified)
}

fn clip_figures(bench: &Bench<'_>, data: &Data, name: &str) -> RowFigures {
    let scale = bench.trained.table.logit_scale().min(lintel_core::table::MAX_LOGIT_SCALE);
    let scorer = by_rows(bench.trained.table.classes().to_vec(), data.dim);
    let measured = measure(name, &scorer, data, bench.subjects.thresholds.target_fpir);
    by_participant(data, &|face| confident(&scorer(face.vector()), scale), measured, 1.0)
}

/// The best row, if its softmax share at this scale reaches the paper's threshold.
fn confident(scores: &[f32], scale: f32) -> Option<usize> {
    let (best, thresholds) = top(scores);
    let sum: f32 = scores.iter().map(|score| (scale * (score - thresholds.similarity)).exp()).sum();
    (sum.recip() >= CONFIDENCE).then_some(best)
}

/// One decision for each participant: an enrolled person's held-out photos together, a stranger's looks together.
fn by_participant(
    data: &Data,
    named: &dyn Fn(&Embedding) -> Option<usize>,
    at_target: Measured,
    cost: f64,
) -> RowFigures {
    let mut faces: BTreeMap<usize, Vec<&Embedding>> = BTreeMap::new();
    for photo in &data.held_out {
        faces.entry(photo.row).or_default().push(&photo.face);
    }
    let together = |faces: &[&Embedding]| aggregate::mean(faces.iter().copied());
    let right = faces.iter().filter(|(row, of)| together(of).and_then(|face| named(&face)) == Some(**row)).count();
    let accepted = data.strangers.iter().filter(|face| named(face).is_some()).count();
    let (enrolled, strangers) = (faces.len(), data.strangers.len());
    RowFigures {
        accuracy: Rate::new(right + strangers - accepted, enrolled + strangers),
        fpr: Rate::new(enrolled - right, enrolled),
        fnr: Rate::new(accepted, strangers),
        at_target,
        cost,
    }
}

/// The median time of one face by each encoder, in turns, beside the first one's.
fn costs(models: &[(String, Vec<u8>)], bench: &Bench<'_>) -> Result<Vec<f64>, Failure> {
    let mut encoders: Vec<(Encoder, Vec<f64>)> = models
        .iter()
        .map(|(_, onnx)| Ok((Encoder::open(onnx, bench.options)?, Vec::new())))
        .collect::<Result<_, lintel_inference::RuntimeError>>()
        .map_err(Failure::work)?;
    let crop = bench.people.people[0].crops[0].read(&bench.subjects.faces)?;
    for _ in 0..RUNS {
        for (encoder, runs) in &mut encoders {
            let start = now();
            encoder.embed(&crop).map_err(Failure::work)?;
            runs.push(start.elapsed().as_secs_f64());
        }
        interrupt::check()?;
    }
    let medians: Vec<f64> = encoders.iter().filter_map(|(_, runs)| percentile(runs, 0.5)).collect();
    Ok(medians.iter().map(|median| median / medians[0]).collect())
}

#[allow(clippy::disallowed_methods, reason = "the table shows what a face costs; nothing else is decided by it")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Who misses fewest people at the target FPIR; of equals, who costs least.
fn best(rows: &[Row]) -> String {
    let judged = rows.iter().filter_map(|row| row.figures.as_ref().map(|figures| (row, figures)));
    let key = |figures: &RowFigures| (figures.at_target.fnir.rate.unwrap_or(1.0), figures.cost);
    let best = judged.min_by(|(_, a), (_, b)| {
        let (a, b) = (key(a), key(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    best.map_or_else(
        || "nobody was judged".to_owned(),
        |(row, figures)| {
            format!(
                "{} would serve this door best: FNIR {} at the target FPIR (strangers named: {}), {:.2} times CLIP's \
                 time per face",
                row.name,
                figures.at_target.fnir.text(),
                figures.at_target.fpir.text(),
                figures.cost
            )
        },
    )
}

/// The cells of a row behind its name; one that says so where there were no weights.
pub fn cells(row: &Row, text: impl Fn(&Rate) -> String) -> Vec<String> {
    match &row.figures {
        Some(figures) => {
            let rates =
                [&figures.accuracy, &figures.fpr, &figures.fnr, &figures.at_target.fnir, &figures.at_target.fpir];
            rates.into_iter().map(text).chain([format!("{:.2}", figures.cost)]).collect()
        }
        None => vec!["no weights".to_owned()],
    }
}

fn page(figures: &Figures) -> String {
    let row = |row: &Row| {
        let mut all = vec![cell(&row.name)];
        all.extend(cells(row, Rate::text).into_iter().map(cell));
        all.resize_with(7, || cell(""));
        all
    };
    let rows: Vec<Vec<Markup>> = figures.rows.iter().map(row).collect();
    let head = [
        "",
        "deployment accuracy",
        "FPR (enrolled, not named right)",
        "FNR (strangers, not rejected)",
        "FNIR at the target FPIR",
        "FPIR there",
        "time",
    ];
    let protocol = format!(
        "{} enrolled people, {} strangers. \"o\" names the person of the most similar reference photo; its threshold \
         is at the equal error rate of the reference photos. \"c\" is a softmax classifier on the frozen encoder's \
         features; it names a person from a confidence of {CONFIDENCE:.2}, and so does CLIP's fine-tuned table. Each \
         participant gets one decision, from all held-out photos of an enrolled person or all looks of a stranger. \
         The thresholds behind FNIR and FPIR are for a target FPIR of {}; they are set on one half of the trials and \
         measured on the other.",
        figures.enrolled, figures.strangers, figures.target_fpir
    );
    let body = html! { p { (protocol) } (table(&head, &rows)) p.good { (figures.best) } };
    document("The paper's Table I, on your people", &body)
}
