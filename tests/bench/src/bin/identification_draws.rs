//! Random draws of people → the program's figures over all of them.
//!
//! Each draw renders people whom nothing was trained on, and takes them through `lintel render | ingest | train |
//! export | evaluate` as a user would. All draws have the same number of participants, so the mean of the draws' rates
//! is the pooled rate that is printed.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use lintel_evaluation::evaluate::{Figures, Report, figures};

/// Measure the whole path over random draws of people.
#[derive(Debug, Parser)]
#[command(after_help = "Example:
  cargo build --release --workspace && target/release/identification_draws --draws 20")]
struct Args {
    /// How many draws
    #[arg(long, default_value_t = 20)]
    draws: u64,
    /// Seed of the first draw; the next ones follow
    #[arg(long, default_value_t = 1000)]
    seed: u64,
    /// People who may enter, per draw
    #[arg(long, default_value_t = 10)]
    people: u32,
    /// Strangers, per draw
    #[arg(long, default_value_t = 4)]
    strangers: u32,
    /// Photos of each person
    #[arg(long, default_value_t = 12)]
    photos: u32,
    /// A model pack instead of the built-in one
    #[arg(long)]
    pack: Option<PathBuf>,
    /// Exit with 1 unless accuracy ≥ 95 %, the paper's FPR ≤ 5 % and its FNR ≤ 10 %
    #[arg(long)]
    enforce: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("identification_draws: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let lintel = std::env::current_exe()?.with_file_name("lintel");
    ensure!(lintel.is_file(), "{} is not there: run `cargo build --release --workspace` first", lintel.display());
    let mut participants = Vec::new();
    for draw in 0..args.draws {
        let report = one(&lintel, args, args.seed + draw)?;
        println!("draw {draw}: {}", line(&report.figures));
        for wrong in report.participants.iter().filter(|p| !p.outcome.is_right()) {
            let named = wrong.named.as_deref().unwrap_or("-");
            println!("  {}: {}, named {named}, frames {:?}", wrong.label, wrong.outcome.text(), wrong.frames);
        }
        participants.extend(report.participants);
    }
    let all = figures(&participants);
    println!("\n{} draws of {} + {} people", args.draws, args.people, args.strangers);
    println!("deployment accuracy  {}", all.deployment_accuracy.text());
    println!("the paper's FPR      {}", all.paper_fpr.text());
    println!("the paper's FNR      {}", all.paper_fnr.text());
    println!("FPIR                 {}", all.fpir.text());
    println!("FNIR                 {}", all.fnir.text());
    println!("single frames: FPIR  {}", all.frame_fpir.text());
    println!("single frames: FNIR  {}", all.frame_fnir.text());
    let (p50, p95) = (all.verdict_ms_p50.unwrap_or(f64::NAN), all.verdict_ms_p95.unwrap_or(f64::NAN));
    println!("first sharp frame to verdict: median {p50:.0} ms, 95 % within {p95:.0} ms");
    let rate = |rate: &lintel_statistics::Rate| rate.rate.unwrap_or(f64::NAN);
    let met = rate(&all.deployment_accuracy) >= 0.95 && rate(&all.paper_fpr) <= 0.05 && rate(&all.paper_fnr) <= 0.10;
    Ok(met || !args.enforce)
}

fn line(figures: &Figures) -> String {
    let percent = |rate: Option<f64>| rate.map_or_else(|| "-".into(), |rate| format!("{:.1} %", rate * 100.0));
    format!(
        "accuracy {}, FPR {}, FNR {}",
        percent(figures.deployment_accuracy.rate),
        percent(figures.paper_fpr.rate),
        percent(figures.paper_fnr.rate)
    )
}

/// One draw, in a temporary folder.
fn one(lintel: &Path, args: &Args, seed: u64) -> Result<Report> {
    let work = tempfile::tempdir()?;
    let path = |name: &str| work.path().join(name).display().to_string();
    let pack: Vec<String> = args.pack.iter().flat_map(|pack| ["--pack".into(), pack.display().to_string()]).collect();
    let verb = |words: &[&str], with_pack: bool| {
        let mut command = Command::new(lintel);
        command.args(words);
        if with_pack {
            command.args(&pack);
        }
        check(&mut command)
    };
    let [people, strangers, photos, seed] =
        [args.people.to_string(), args.strangers.to_string(), args.photos.to_string(), seed.to_string()];
    let (rendered, faces, trained, bundle) = (path("rendered"), path("faces"), path("trained"), path("bundle"));
    verb(
        &[
            "render",
            "--out",
            &rendered,
            "--people",
            &people,
            "--strangers",
            &strangers,
            "--photos",
            &photos,
            "--seed",
            &seed,
        ],
        false,
    )?;
    verb(&["ingest", &format!("{rendered}/photos"), "--out", &faces], true)?;
    verb(&["train", &faces, "--out", &trained, "--seed", &seed], true)?;
    verb(&["export", &trained, "--out", &bundle], true)?;
    verb(&["evaluate", &bundle, &format!("{rendered}/recordings"), "--out", &path("figures")], false)?;
    let report = std::fs::read_to_string(work.path().join("figures/report.json"))?;
    serde_json::from_str(&report).context("report.json")
}

fn check(command: &mut Command) -> Result<()> {
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
