//! Records of measurements (docs/measurements/TOPIC/CLAIM.toml) → the page docs/measurements.md, and what is wrong.
//!
//! `cargo run -p lintel-tidy -- measurements` writes the page. The rule holds each record to its form, each command to
//! what the repository has, and the page to the records.

mod arguments;
mod commands;
mod packages;
mod page;

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::tree::{Finding, Tree};

pub use page::page;

/// The page that is rendered.
pub const PAGE: &str = "docs/measurements.md";
/// The folder of the records.
const FOLDER: &str = "docs/measurements";
/// The sections in their order.
const TOPICS: &str = "docs/measurements/topics.toml";
/// What stands where there is no interval, or where nothing was required.
const NONE: &str = "none";

/// On whom a figure was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum On {
    /// People whom this repository renders.
    #[serde(rename = "rendered people")]
    Rendered,
    /// Photographs or recordings of people.
    #[serde(rename = "real people")]
    Real,
    /// Nobody: times, sizes, bytes.
    #[serde(rename = "code only")]
    Code,
}

/// One claim: a figure with everything that is needed to judge it and to measure it again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What was measured, in one line.
    pub what: String,
    /// On whom.
    pub on: On,
    /// On how many people, photos, frames or runs.
    pub sample: String,
    /// The threshold that was asked for, or `none`.
    pub required: String,
    /// Whether the value meets it; absent where nothing was required.
    pub met: Option<bool>,
    /// The figure.
    pub value: String,
    /// Its interval, or `none`.
    pub interval: String,
    /// The shell commands that give the figure again.
    pub command: String,
    /// The machine that it was measured on.
    pub machine: String,
    /// The commit that brought the figure: `1234abc (2026-01-31)`, or `unknown`.
    pub commit: String,
    /// What else a reader must know; Markdown, or empty.
    pub notes: String,
    /// Figures in rows of equal length; the first row has the headings. Absent where one figure is all.
    #[serde(default)]
    pub table: Vec<Vec<String>>,
}

/// One section of the page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The folder of its records, below docs/measurements.
    pub folder: String,
    /// The heading.
    pub title: String,
    /// What holds for all of its claims; Markdown.
    #[serde(default)]
    pub text: String,
    /// What a reader may expect here and nobody has measured.
    #[serde(default)]
    pub unmeasured: Vec<String>,
    /// (path, record) in the order of the paths.
    #[serde(skip)]
    pub records: Vec<(String, Record)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topics {
    topic: Vec<Topic>,
}

/// The records that can be read, by topic, and a finding for each file that cannot.
pub fn read(tree: &Tree) -> (Vec<Topic>, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut topics = match tree.text(TOPICS).map(toml::from_str::<Topics>) {
        Some(Ok(topics)) => topics.topic,
        Some(Err(error)) => return (Vec::new(), vec![Finding::new(TOPICS, 0, one_line(&error.to_string()))]),
        None => return (Vec::new(), vec![Finding::new(TOPICS, 0, "is not there")]),
    };
    for (path, text) in tree.texts(&[".toml"]).filter(|(path, _)| path.starts_with(FOLDER) && *path != TOPICS) {
        let folder = path.strip_prefix(FOLDER).unwrap_or(path).trim_start_matches('/').split('/').next();
        let Some(topic) = topics.iter_mut().find(|topic| Some(topic.folder.as_str()) == folder) else {
            findings.push(Finding::new(path, 0, format!("its folder is no topic of {TOPICS}")));
            continue;
        };
        match toml::from_str::<Record>(text) {
            Ok(record) => topic.records.push((path.to_owned(), record)),
            Err(error) => findings.push(Finding::new(path, 0, one_line(&error.to_string()))),
        }
    }
    (topics, findings)
}

/// Records that are not sound, commands that name something which is not there, and a page that is not current.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let (topics, mut findings) = read(tree);
    let packages = match packages::Packages::read(tree) {
        Ok(packages) => packages,
        Err(error) => return vec![Finding::new("Cargo.toml", 0, one_line(&format!("{error:#}")))],
    };
    let sources = arguments::Sources::read(tree);
    let mut claims = BTreeSet::new();
    for topic in &topics {
        if topic.records.is_empty() && topic.unmeasured.is_empty() {
            findings.push(Finding::new(TOPICS, 0, format!("the topic {} has no record", topic.folder)));
        }
        for (path, record) in &topic.records {
            if !claims.insert(&record.what) {
                findings.push(Finding::new(path, 0, format!("another record is called {:?} too", record.what)));
            }
            findings.extend(form(record).map(|what| Finding::new(path, 0, what)));
            let wrong = commands::check(&record.command, tree, &packages, &sources);
            findings.extend(wrong.into_iter().map(|what| Finding::new(path, 0, what)));
        }
    }
    if findings.is_empty() && tree.text(PAGE) != Some(page(&topics).as_str()) {
        findings.push(Finding::new(PAGE, 0, "is not what its records give: cargo run -p lintel-tidy -- measurements"));
    }
    findings
}

/// What a record's values lack.
fn form(record: &Record) -> impl Iterator<Item = String> {
    let Record { what, sample, required, value, interval, command, machine, commit, table, .. } = record;
    let texts = [
        ("what", what),
        ("sample", sample),
        ("required", required),
        ("value", value),
        ("interval", interval),
        ("command", command),
        ("machine", machine),
    ];
    let mut wrong: Vec<String> =
        texts.iter().filter(|(_, text)| text.trim().is_empty()).map(|(key, _)| format!("{key} is empty")).collect();
    for (key, text) in texts.iter().filter(|(key, text)| *key != "command" && text.contains('\n')) {
        wrong.push(format!("{key} has more than one line: {text:?}"));
    }
    if record.met.is_some() == (required == NONE) {
        wrong.push(format!("required is {required:?} and met is {:?}", record.met));
    }
    if commit != "unknown" && !is_commit(commit) {
        wrong.push(format!("commit is {commit:?}, wanted \"1234abc (2026-01-31)\" or \"unknown\""));
    }
    if table.iter().any(|row| row.len() != table[0].len()) || table.len() == 1 {
        wrong.push("table has rows of unequal length, or a heading alone".to_owned());
    }
    wrong.into_iter()
}

/// `1234abc (2026-01-31)`.
fn is_commit(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let (hash, date) = shape.split_at_checked(7).unwrap_or_default();
    hash.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()) && date == " (0000-00-00)"
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    const RECORD: &str = r#"
        what = "Faces that are found"
        on = "code only"
        sample = "3 runs"
        required = "none"
        value = "1"
        interval = "none"
        command = "bash run"
        machine = "2 cores"
        commit = "1234abc (2026-01-31)"
        notes = ""
    "#;

    fn tree(record: &str, page: Option<String>) -> Tree {
        let file = |path: &str, text: &str| File { path: path.into(), text: Some(text.into()) };
        let mut files = vec![
            file("Cargo.toml", "[workspace]"),
            file("docs/measurements/a/b.toml", record),
            file(TOPICS, "topic = [{ folder = 'a', title = 'A' }]"),
            file("run", ""),
        ];
        files.extend(page.map(|page| file(PAGE, &page)));
        Tree { files, ..Tree::default() }
    }

    #[test]
    fn a_page_is_current_or_not() {
        let current = page(&read(&tree(RECORD, None)).0);
        assert_eq!(check(&tree(RECORD, Some(current.clone()))), []);
        assert_eq!(check(&tree(RECORD, Some(current + "\n")))[0].path, PAGE);
        assert_eq!(check(&tree(RECORD, None))[0].path, PAGE);
    }

    #[test]
    fn each_record_has_all_keys_in_their_form() {
        fn wrong(from: &str, to: &str) -> String {
            let findings = check(&tree(&RECORD.replace(from, to), None));
            findings.iter().map(Finding::to_string).next().unwrap_or_default()
        }
        assert!(wrong("what", "which").contains("unknown field `which`"));
        assert!(wrong("notes = \"\"", "").contains("missing field `notes`"));
        assert!(wrong("code only", "cats").contains("unknown variant `cats`"));
        assert!(wrong("3 runs", " ").contains("sample is empty"));
        assert!(wrong("1234abc", "HEAD").contains("commit is"));
        assert!(wrong("required = \"none\"", "required = \"≥ 1\"").contains("met is None"));
        assert!(wrong("bash run", "bash gone").contains("gone"));
        assert!(wrong("notes = \"\"", "notes = \"\"\ntable = [[\"a\", \"b\"], [\"1\"]]").contains("unequal"));
    }
}
