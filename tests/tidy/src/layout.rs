//! One style of modules (`name.rs` beside `name/`, no `mod.rs`), and no file or folder whose name holds no idea.

use crate::tree::{Finding, Tree};

/// Names that anything fits into.
const VAGUE: &[&str] = &["util", "utils", "misc", "common", "helper", "helpers"];

/// Rust files in another style, or with a name that says nothing.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.texts(&[".rs"]) {
        if path.ends_with("/mod.rs") {
            findings.push(Finding::new(path, 0, "is a mod.rs: the module's file lies beside its folder"));
        }
        for part in path.trim_end_matches(".rs").split('/').filter(|part| VAGUE.contains(part)) {
            findings.push(Finding::new(path, 0, format!("has {part} in its path: a name says what it holds")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    #[test]
    fn both_are_found() {
        let file = |path: &str| File { path: path.into(), text: Some(String::new()) };
        let files = vec![file("a/mod.rs"), file("a/utils/x.rs"), file("a/common.rs"), file("a/uncommon.rs")];
        assert_eq!(check(&Tree { files, ..Tree::default() }).len(), 3);
    }
}
