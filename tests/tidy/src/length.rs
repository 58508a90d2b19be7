//! Lines have at most 120 characters, and Rust files at most 600 lines.
//!
//! Lines that cannot be broken are exempt: tables and links in Markdown, addresses anywhere, and files that a program
//! writes.

use crate::tree::{Finding, Tree};

const CHARACTERS: usize = 120;
const LINES: usize = 600;

/// Files that a program writes.
const GENERATED: &[&str] = &["models/mini/pack.toml"];

/// Rust files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Lines and files that are too long.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in
        tree.texts(&[".rs", ".toml", ".sh", ".md", ".py", ".ci/run"]).filter(|(path, _)| !GENERATED.contains(path))
    {
        for (at, line) in text.lines().enumerate() {
            let characters = line.chars().count();
            let in_markdown = path.ends_with(".md") && (line.trim_start().starts_with('|') || line.contains("]("));
            let exempt = in_markdown || line.contains("://");
            if characters > CHARACTERS && !exempt {
                findings.push(Finding::new(path, at + 1, format!("{characters} characters, at most {CHARACTERS}")));
            }
        }
        let lines = text.lines().count();
        if path.ends_with(".rs") && lines > LINES && !LONG_FILES.iter().any(|(long, _)| *long == path) {
            findings.push(Finding::new(path, 0, format!("{lines} lines, at most {LINES}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    #[test]
    fn counts_characters_not_bytes_and_lets_tables_pass() {
        let file = |path: &str, text: String| File { path: path.into(), text: Some(text) };
        let tree = Tree {
            files: vec![
                file("a.rs", "é".repeat(120)),
                file("b.rs", format!("\n{}", "x".repeat(121))),
                file("c.md", format!("| {} |", "x".repeat(121))),
                file("d.rs", "x\n".repeat(601)),
            ],
            ..Tree::default()
        };
        let found = check(&tree);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].path.as_str(), found[0].line), ("b.rs", 2));
        assert_eq!((found[1].path.as_str(), found[1].line), ("d.rs", 0));
    }
}
