//! What training on the int8 encoder's features brings, over training on the float one's: both tables, scored on what
//! the int8 encoder makes of the held-out faces.
#![allow(clippy::print_stdout, reason = "it is a report")]

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use lintel_core::embed::Embedding;
use lintel_core::table::{Table, TableParts};
use lintel_inference::Encoder;
use lintel_photos::ingest::People;
use lintel_training::trained::TrainedFolder;

/// Compare a table trained on float features with one trained on int8 features, both at an int8 door.
#[derive(Debug, Parser)]
#[command(after_help = "Example:
  lintel train faces --out float && lintel train faces --out int8 --int8
  target/release/int8_training_gain --faces faces --float float --int8 int8")]
struct Args {
    /// The folder that `lintel ingest` made
    #[arg(long)]
    faces: PathBuf,
    /// What `lintel train` made of it
    #[arg(long)]
    float: PathBuf,
    /// What `lintel train --int8` made of it, with the same seed
    #[arg(long)]
    int8: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (float, int8) = (TrainedFolder::open(&args.float)?, TrainedFolder::open(&args.int8)?);
    ensure!(float.report.int8.is_none(), "{} was trained with --int8", args.float.display());
    ensure!(int8.report.int8.is_some(), "{} was trained without --int8", args.int8.display());
    ensure!(float.report.held_out == int8.report.held_out, "the two hold out different faces: train with one seed");
    let people = People::open(&args.faces, 2)?;
    let mut encoder = Encoder::open(&int8.encoder, &lintel_work::places::runtime())?;
    let mut held_out: Vec<(usize, Embedding)> = Vec::new();
    for (row, person) in people.people.iter().enumerate() {
        for crop in &person.crops {
            if int8.report.held_out.iter().any(|held| held.name == person.name && held.source == crop.source) {
                held_out.push((row, encoder.embed(&crop.read(&args.faces)?)?));
            }
        }
    }
    ensure!(held_out.len() == int8.report.held_out.len(), "{} has not all of the held-out faces", args.faces.display());
    // The float table's rows, relabelled as of the int8 encoder: a door would refuse them.
    let moved = Table::new(TableParts { encoder: int8.table.encoder(), ..float.table.clone().into_parts() })
        .context("the float table's rows")?;
    println!("on {} held-out faces, as the int8 encoder sees them:", held_out.len());
    say("trained on float features", &moved, &held_out)?;
    say("trained on int8 features", &int8.table, &held_out)
}

/// Rank-1 accuracy, mean similarity to the person's own row, mean margin over the next, and cross-entropy.
fn say(what: &str, table: &Table, faces: &[(usize, Embedding)]) -> Result<()> {
    let (mut right, mut own, mut margin, mut loss) = (0_usize, 0.0, 0.0, 0.0);
    for (row, face) in faces {
        let similarity: Vec<f64> = table
            .classes()
            .chunks_exact(table.dim())
            .map(|class| class.iter().zip(face.vector()).map(|(a, b)| f64::from(a * b)).sum())
            .collect();
        let next = similarity.iter().enumerate().filter(|(i, _)| i != row).map(|(_, &l)| l).fold(-1.0, f64::max);
        let best = table.score(face)?.best as usize;
        right += usize::from(best == *row);
        own += similarity[*row];
        margin += similarity[*row] - next;
        let scale = f64::from(table.logit_scale());
        loss += similarity.iter().map(|l| (scale * (l - similarity[*row])).exp()).sum::<f64>().ln();
    }
    let n = faces.len() as f64;
    println!(
        "{what:<26} {right} of {} right, similarity {:.4}, margin {:.4}, cross-entropy {:.4}",
        faces.len(),
        own / n,
        margin / n,
        loss / n
    );
    Ok(())
}
