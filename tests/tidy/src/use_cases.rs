//! A use case is a request and an outcome: it knows nothing of the command line and prints nothing.

use crate::tree::{Finding, Tree};

/// Where the use cases of the workstation program are.
const USE_CASES: &str = "host/lintel/src/use_cases";
/// Where its command line is.
const CLI: &str = "host/lintel/src/cli";
/// What a use case does not mention.
const ABOVE: &[&str] = &["crate::cli", "crate::console", "clap::", "indicatif", "println!", "eprintln!", "print!("];

/// Lines of a use case that print or know the command line, and lines of the command line that know the console.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".rs"]) {
        let forbidden = match path {
            path if path.starts_with(USE_CASES) => ABOVE,
            path if path.starts_with(CLI) => &["crate::console"],
            _ => continue,
        };
        for (line, text) in (1..).zip(text.lines()) {
            for word in forbidden.iter().filter(|word| text.contains(**word)) {
                findings.push(Finding::new(path, line, format!("mentions {word}, which is for those who call it")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    #[test]
    fn what_prints_and_what_knows_the_command_line_is_found() {
        let file = |path: &str, text: &str| File { path: path.into(), text: Some(text.into()) };
        let files = vec![
            file("host/lintel/src/use_cases/a.rs", "use crate::cli::A;\nlet x = 1;\nprintln!(\"x\");"),
            file("host/lintel/src/use_cases/b.rs", "let lines = vec![1];"),
            file("host/lintel/src/cli/a.rs", "use crate::console::Console;\nuse clap::Args;"),
            file("host/lintel/src/console/a.rs", "println!(\"x\");"),
        ];
        let found = check(&Tree { files, ..Tree::default() });
        let places: Vec<_> = found.iter().map(|finding| (finding.path.as_str(), finding.line)).collect();
        let (a, cli) = ("host/lintel/src/use_cases/a.rs", "host/lintel/src/cli/a.rs");
        assert_eq!(places, [(a, 1), (a, 3), (cli, 1)]);
    }
}
