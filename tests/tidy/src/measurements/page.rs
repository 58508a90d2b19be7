//! Topics with their records → the page, in Markdown.

use std::fmt::{self, Write as _};

use super::{NONE, On, Record, Topic};

const HEAD: &str = "\
# Measurements

<!-- Rendered from docs/measurements by `cargo run -p lintel-tidy -- measurements`. Edit the records, not this page. -->

Each claim is one record, a file below `docs/measurements`: what was measured, on whom, the value that was required, the
value that was reached, the command that gives it again, the machine, and the commit that brought the figure. To change
a figure, edit its record and run `cargo run -p lintel-tidy -- measurements`.

- **On** says on whom. *Rendered people* do not exist; this repository makes them. *Real people* are photographs. *Code
  only* means that nobody's face is part of the figure.
- Times hold for the machine that is named and for no other. Ratios compare two things in one run.
- *Mini* is the pack in the program. It has seen rendered people only, so its figures say nothing about real people.
- FPIR and FNIR are the false positive and the false negative identification rate.
- Letters such as `W` and names such as `DIR` in a command stand for files and folders of your own.
- How earlier packs did, what was tried in training, and which claims were withdrawn is in
  [the recipe's history](../models/recipe/HISTORY.md).
";

/// The whole page.
pub fn page(topics: &[Topic]) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut page, topics);
    page
}

fn write_page(page: &mut String, topics: &[Topic]) -> fmt::Result {
    writeln!(page, "{HEAD}")?;
    writeln!(page, "## What was required\n")?;
    writeln!(page, "| claim | on | required | value | met |\n|---|---|---|---|---|")?;
    for (_, record) in topics.iter().flat_map(|topic| &topic.records) {
        let Some(met) = record.met else { continue };
        let Record { what, on, required, value, .. } = record;
        let met = if met { "yes" } else { "**no**" };
        writeln!(page, "| [{what}](#{}) | {on} | {required} | {value} | {met} |", anchor(what))?;
    }
    for topic in topics {
        writeln!(page, "\n## {}", topic.title)?;
        if !topic.text.is_empty() {
            writeln!(page, "\n{}", topic.text.trim())?;
        }
        for (path, record) in &topic.records {
            write_record(page, path, record)?;
        }
        if !topic.unmeasured.is_empty() {
            writeln!(page, "\n**Unmeasured:**\n")?;
            topic.unmeasured.iter().try_for_each(|what| writeln!(page, "- {what}"))?;
        }
    }
    Ok(())
}

fn write_record(page: &mut String, path: &str, record: &Record) -> fmt::Result {
    let Record { what, on, sample, required, met, value, interval, command, machine, commit, notes, table } = record;
    writeln!(page, "\n### {what}\n")?;
    writeln!(page, "| value | {value} |\n|---|---|")?;
    if interval != NONE {
        writeln!(page, "| interval | {interval} |")?;
    }
    if let Some(met) = met {
        writeln!(page, "| required | {required}: {} |", if *met { "met" } else { "**not met**" })?;
    }
    writeln!(page, "| on | {on}: {sample} |")?;
    let file = path.strip_prefix("docs/").unwrap_or(path);
    writeln!(page, "| measured | {machine}; commit {commit}; [record]({file}) |")?;
    writeln!(page, "\n```sh\n{}\n```", command.trim())?;
    if let [headings, rows @ ..] = table.as_slice() {
        writeln!(page, "\n| {} |\n|{}", headings.join(" | "), "---|".repeat(headings.len()))?;
        rows.iter().try_for_each(|row| writeln!(page, "| {} |", row.join(" | ")))?;
    }
    if !notes.trim().is_empty() {
        writeln!(page, "\n{}", notes.trim())?;
    }
    Ok(())
}

/// The anchor that GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect();
    let kept: String = kept;
    kept.replace(' ', "-")
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rendered => "rendered people",
            Self::Real => "real people",
            Self::Code => "code only",
        })
    }
}
