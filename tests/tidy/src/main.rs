//! `lintel-tidy`: checks the repository's rules and renders what is made from records.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lintel_tidy::{RULES, Tree, measurements};

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print each place that breaks a rule; exit with 1 if there is one.
    Check {
        /// Check these rules only (default: all).
        rules: Vec<String>,
    },
    /// Write docs/measurements.md from the records in docs/measurements.
    Measurements,
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Check { rules } => check(&rules),
        Command::Measurements => render_measurements(),
    }
}

fn check(rules: &[String]) -> anyhow::Result<ExitCode> {
    let known: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = rules.iter().find(|rule| !known.contains(&rule.as_str())) {
        anyhow::bail!("no rule {unknown}; there are {}", known.join(", "));
    }
    let tree = Tree::of_this_repository()?;
    let mut clean = true;
    for (name, rule) in RULES.iter().filter(|(name, _)| rules.is_empty() || rules.iter().any(|rule| rule == name)) {
        for finding in rule(&tree) {
            clean = false;
            println!("{finding} [{name}]");
        }
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render_measurements() -> anyhow::Result<ExitCode> {
    let tree = Tree::of_this_repository()?;
    let (topics, findings) = measurements::read(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(tree.root.join(measurements::PAGE), measurements::page(&topics))?;
    Ok(ExitCode::SUCCESS)
}
