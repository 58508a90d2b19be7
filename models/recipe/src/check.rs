//! A pack's files and people who were not trained on → the pack's accuracy, through the product's own code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use lintel_clip::weights::NamedTensors;
use lintel_core::align::{CROP, CROP_BYTES, crop_transform, warp};
use lintel_core::detect::Limits;
use lintel_core::frame::Frame;
use lintel_core::geometry::{Point, Rect};
use lintel_core::time::Uptime;
use lintel_export::encoder_onnx;
use lintel_faces::{Approach, Picture, crowd, photo};
use lintel_inference::{Detector, Encoder};

use crate::frames::{CHECK_SEED, faces, frame};
use crate::pack::VIEWS;
use crate::rng::Rng;
use crate::schedule::bar;
use crate::scrfd::{HEIGHT, WIDTH};

/// First seed of the people who are enrolled and visit in `check`; disjoint from all others of the recipe.
const PEOPLE: u64 = 800_000;
/// First seed of the strangers who set the threshold.
const COHORT: u64 = 700_000;
const ENROLLED: usize = 10;
const STRANGERS: usize = 4;
const PHOTOS: u64 = 10;
/// Frames of a recording that are evaluated, of fifty.
const LOOKS: [usize; 9] = [18, 21, 24, 27, 30, 33, 36, 39, 42];
/// Share of strangers' frames that may pass the threshold.
const TARGET: f32 = 0.01;
/// The score from which the product accepts a face.
const PRODUCT_BAR: f32 = 0.5;
const OTHER_THRESHOLDS: [f32; 8] = [0.35, 0.4, 0.425, 0.45, 0.475, 0.55, 0.6, 0.7];
/// Width of the narrowest face that must be found, pixels.
const NARROWEST: f32 = 40.0;

/// The amount of measuring.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Frames with faces.
    #[arg(long, default_value_t = 1200)]
    pub check_frames: u64,
    /// Frames without.
    #[arg(long, default_value_t = 2000)]
    pub empty_frames: u64,
    /// Draws of 10 enrolled people and 4 strangers.
    #[arg(long, default_value_t = 20)]
    pub draws: usize,
    /// First seed of the frames; another one gives frames by which nothing was chosen.
    #[arg(long, default_value_t = CHECK_SEED, value_parser = clap::value_parser!(u64).range(CHECK_SEED..1 << 60))]
    pub frame_seed: u64,
}

/// Measures the pack in `folder`; the report is the content of `recipe.log`.
pub fn check(folder: &Path, args: &CheckArgs) -> Result<String> {
    let options = lintel_work::places::runtime();
    let file = |name: &str| fs::read(folder.join(name)).with_context(|| format!("reading {name}"));
    let onnx = file("detector.onnx")?;
    let lowest = Limits { min_score: OTHER_THRESHOLDS[0], ..Limits::default() };
    let mut report = finding(&mut Detector::open_with(&onnx, &options, (640, 480), lowest)?, args)?;
    let detector = Detector::open(&onnx, &options)?;
    let clip = NamedTensors::from_safetensors(&file("clip.safetensors")?)?;
    let encoder = Encoder::open(&encoder_onnx(&clip, CROP as usize, VIEWS)?, &options)?;
    report += &door(&mut Eye { detector, encoder }, args.draws)?;
    Ok(report)
}

fn view(picture: &Picture) -> Result<Frame<'_>> {
    Ok(Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO)?)
}

/// Faces found in crowds, landmark errors, and false faces in empty rooms, at the product's threshold and at others.
fn finding(detector: &mut Detector, args: &CheckArgs) -> Result<String> {
    let (mut wanted, mut errors) = (0usize, Vec::new());
    let (mut true_scores, mut false_scores) = (Vec::new(), Vec::new());
    let progress = bar(args.check_frames as usize, 0, "crowds");
    for i in 0..args.check_frames {
        let picture = frame(args.frame_seed + i);
        let seen = detector.detect(&view(&picture)?)?;
        for truth in faces(&picture) {
            let [x1, y1, x2, y2] = truth.bbox;
            let inside = x1 >= 0.0 && y1 >= 0.0 && x2 < WIDTH as f32 && y2 < HEIGHT as f32;
            if x2 - x1 < NARROWEST || truth.visible < 0.7 || !inside {
                continue;
            }
            wanted += 1;
            let bbox = Rect { x1, y1, x2, y2 };
            let Some(face) = seen.iter().find(|face| face.bbox.iou(&bbox) > 0.4) else { continue };
            true_scores.push(face.score);
            if face.score < PRODUCT_BAR {
                continue;
            }
            let points = truth.landmarks.map(|[x, y]| Point { x, y });
            let apart = points[0].distance(points[1]).max(0.35 * (x2 - x1));
            let off: f32 = points.iter().zip(&face.landmarks).map(|(a, b)| a.distance(*b)).sum();
            errors.push(off / 5.0 / apart);
        }
        progress.inc(1);
    }
    progress.finish();
    errors.sort_unstable_by(f32::total_cmp);
    let quantile = |q: f32| errors.get((q * errors.len() as f32) as usize).copied().unwrap_or(f32::NAN);
    for i in 0..args.empty_frames {
        let picture = crowd(args.frame_seed + 500_000 + i, [WIDTH as u32, HEIGHT as u32], 0, NARROWEST);
        false_scores.extend(detector.detect(&view(&picture)?)?.iter().map(|face| face.score));
    }
    let above = |scores: &[f32], threshold: f32| scores.iter().filter(|&&score| score >= threshold).count();
    let share = |threshold: f32| 100.0 * above(&true_scores, threshold) as f32 / wanted.max(1) as f32;
    let mut report = format!(
        "detector: found {} of {wanted} faces of {NARROWEST} px and more ({:.2} %); landmarks off by {:.2} % of the \
         inter-ocular distance (median), {:.2} % (90th percentile); {} false faces in {} empty frames\n",
        above(&true_scores, PRODUCT_BAR),
        share(PRODUCT_BAR),
        100.0 * quantile(0.5),
        100.0 * quantile(0.9),
        above(&false_scores, PRODUCT_BAR),
        args.empty_frames
    );
    for threshold in OTHER_THRESHOLDS {
        report += &format!(
            "detector at threshold {threshold}: {:.2} % found, {} false faces\n",
            share(threshold),
            above(&false_scores, threshold)
        );
    }
    Ok(report)
}

/// The detector, then the encoder.
struct Eye {
    detector: Detector,
    encoder: Encoder,
}

impl Eye {
    /// The unit embedding of the largest face.
    fn look(&mut self, picture: &Picture) -> Result<Option<Vec<f32>>> {
        let frame = view(picture)?;
        let seen = self.detector.detect(&frame)?;
        let Some(face) = seen.iter().max_by(|a, b| a.bbox.area().total_cmp(&b.bbox.area())) else { return Ok(None) };
        let mut crop = vec![0; CROP_BYTES];
        warp(&frame, &crop_transform(&face.landmarks)?, &mut crop);
        Ok(Some(self.encoder.embed(&crop)?.vector().to_vec()))
    }

    /// The mean embedding of a person's photos.
    fn enrol(&mut self, person: u64) -> Result<Vec<f32>> {
        let mut mean = vec![0.0; self.encoder.dim()];
        for n in 0..PHOTOS {
            if let Some(row) = self.look(&photo(person, n, [WIDTH as u32, HEIGHT as u32]))? {
                mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
            }
        }
        let length = dot(&mean, &mean).sqrt().max(1e-6);
        Ok(mean.iter().map(|v| v / length).collect())
    }

    /// The embeddings of some frames of a person's visit.
    fn visit(&mut self, person: u64) -> Result<Vec<Vec<f32>>> {
        let size = [WIDTH as u32, HEIGHT as u32];
        let approach = Approach::new(&[person], person ^ 0x5EED, size, 10.0, 5.0);
        let mut rows = Vec::new();
        for look in LOOKS {
            rows.extend(self.look(&approach.frame(look))?);
        }
        Ok(rows)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Galleries of people's mean embeddings, a threshold set on a cohort of strangers, and votes over visits.
fn door(eye: &mut Eye, draws: usize) -> Result<String> {
    let cohort: Vec<Vec<Vec<f32>>> = (0..40).map(|i| eye.visit(COHORT + i)).collect::<Result<_>>()?;
    let progress = bar(draws, 0, "draws");
    let mut rng = Rng::new(3);
    let [mut named, mut misnamed, mut accepted] = [0usize; 3];
    let mut thresholds = Vec::new();
    for _ in 0..draws {
        let people: Vec<u64> = (0..ENROLLED + STRANGERS).map(|_| PEOPLE + rng.below(90_000) as u64).collect();
        let gallery: Vec<Vec<f32>> = people[..ENROLLED].iter().map(|&p| eye.enrol(p)).collect::<Result<_>>()?;
        let best = |row: &[f32]| {
            let similarity = gallery.iter().map(|g| dot(g, row)).enumerate();
            similarity.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, -1.0))
        };
        let mut strange: Vec<f32> = cohort.iter().flatten().map(|row| best(row).1).collect();
        strange.sort_unstable_by(|a, b| b.total_cmp(a));
        let Some(&threshold) = strange.get((TARGET * strange.len() as f32) as usize) else {
            return Ok("encoder: not measured, the detector finds none of the people\n".to_owned());
        };
        thresholds.push(threshold);
        for (place, &person) in people.iter().enumerate() {
            let rows = eye.visit(person)?;
            let mut votes = [0usize; ENROLLED];
            for row in &rows {
                let (who, similarity) = best(row);
                votes[who] += usize::from(similarity > threshold);
            }
            let winner = (0..ENROLLED).max_by_key(|&who| votes[who]).filter(|&who| 2 * votes[who] > LOOKS.len());
            match winner {
                Some(who) if place < ENROLLED && who == place => named += 1,
                Some(_) if place < ENROLLED => misnamed += 1,
                Some(_) => accepted += 1,
                None => {}
            }
        }
        progress.inc(1);
    }
    progress.finish();
    let enrolled = draws * ENROLLED;
    let strangers = draws * STRANGERS;
    let right = named + strangers - accepted;
    Ok(format!(
        "encoder, against the mean of {PHOTOS} photos, threshold at {:.0} % of strangers' frames (mean {:.3}), \
         majority of {} frames, {draws} draws of {ENROLLED} enrolled and {STRANGERS} strangers: {named} of {enrolled} \
         named, {misnamed} misnamed, {accepted} of {strangers} strangers accepted, accuracy {:.2} %\n",
        100.0 * TARGET,
        thresholds.iter().sum::<f32>() / thresholds.len().max(1) as f32,
        LOOKS.len(),
        100.0 * right as f32 / (enrolled + strangers).max(1) as f32
    ))
}
