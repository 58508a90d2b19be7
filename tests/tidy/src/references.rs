//! What documents refer to is there: files and folders in backquotes, the test function that follows a file in
//! backquotes (`` `path/to/tests.rs` `name_of_the_test` ``), and the targets of links between files.
//!
//! Documents of history may name what is gone; they are exempt.

use std::collections::BTreeSet;

use crate::tree::{Finding, Tree};

/// Documents that say what was.
const HISTORY: &[&str] = &["CHANGELOG.md", "models/recipe/HISTORY.md"];

/// References in Markdown files to what is not there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let places = places(tree);
    let tops: BTreeSet<&str> =
        places.iter().filter(|place| !place.is_empty() && !place.contains('/')).map(String::as_str).collect();
    for (path, text) in tree.texts(&[".md"]).filter(|(path, _)| !HISTORY.contains(path)) {
        let mut fenced = false;
        for (at, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            let mut report = |what: String| findings.push(Finding::new(path, at + 1, what));
            for target in links(line) {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                if !places.contains(&joined(folder, target)) {
                    report(format!("links to {target}, which is not there"));
                }
            }
            let mut before = None;
            for (between, quoted) in quotes(line) {
                let test_of = before.filter(|_| between.trim().is_empty());
                before = None;
                if is_path(quoted, &tops) {
                    let named = quoted.trim_end_matches('/');
                    if !places.contains(named) {
                        report(format!("names {quoted}, which is not there"));
                    } else if named.ends_with(".rs") {
                        before = Some(named);
                    }
                } else if let Some(file) = test_of
                    && is_name(quoted)
                    && !tree.text(file).is_some_and(|text| text.contains(&format!("fn {quoted}(")))
                {
                    report(format!("names {quoted}, which {file} does not have"));
                }
            }
        }
    }
    findings
}

/// Every file and every folder that holds one.
fn places(tree: &Tree) -> BTreeSet<String> {
    let mut places = BTreeSet::from([String::new()]);
    for file in &tree.files {
        let ends = file.path.match_indices('/').map(|(end, _)| end).chain([file.path.len()]);
        places.extend(ends.map(|end| file.path[..end].to_owned()));
    }
    places
}

/// What stands in backquotes in a line, each with the text between it and the one before.
fn quotes(line: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = line.split('`').collect();
    parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Targets of links that lead to files of the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    })
}

/// `target` as written in a document in `folder` → from the root.
fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// A path from the root: plain characters, and at least one folder that is at the root. `NAME` stands for any name.
fn is_path(quoted: &str, tops: &BTreeSet<&str>) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-/".contains(character);
    let rooted = quoted.split_once('/').is_some_and(|(top, _)| tops.contains(top));
    rooted && quoted.chars().all(plain) && !quoted.contains("NAME")
}

/// A function's name.
fn is_name(quoted: &str) -> bool {
    quoted.contains('_')
        && quoted.chars().all(|character| character.is_ascii_lowercase() || "_0123456789".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn found(line: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.into(), text: Some(text.into()) };
        let files = vec![file("a/b/tests.rs", "fn it_holds() {}"), file("docs/x.md", line), file("README.md", "")];
        check(&Tree { files, ..Tree::default() }).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn what_is_there_may_be_named() {
        let sound =
            "`a/b` `a/b/tests.rs` `it_holds`, [r](../README.md#top), [w](https://github.com), `lintel/x`, `a/N…`";
        assert!(found(sound).is_empty(), "{:?}", found(sound));
    }

    #[test]
    fn what_is_not_there_is_found() {
        assert_eq!(found("see `a/c/tests.rs`"), ["names a/c/tests.rs, which is not there"]);
        assert_eq!(found("| x | `a/b/tests.rs` `it_was` |"), ["names it_was, which a/b/tests.rs does not have"]);
        assert_eq!(found("[r](README.md)"), ["links to README.md, which is not there"]);
    }
}
