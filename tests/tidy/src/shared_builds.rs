//! Whatever part of the workspace is built, the training library is built with the same features, and so only once.
//!
//! Cargo unifies features over the packages that a command selects. If `-p lintel` and `--workspace` came to different
//! features of any dependency of [`SLOW`], each of these commands would build it again, for minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::tree::{Finding, Tree};

/// Its dependencies take longer to build than everything else together.
const SLOW: &str = "burn";

/// A package as cargo builds it: `name version [features]`.
type Build = String;

/// Selections of packages with which a dependency of [`SLOW`] is built otherwise than with `--workspace`.
pub fn check(tree: &Tree) -> Vec<Finding> {
    match findings(&tree.root) {
        Ok(findings) => findings,
        Err(error) => vec![Finding::new("Cargo.toml", 0, error)],
    }
}

fn findings(root: &Path) -> Result<Vec<Finding>, String> {
    let everything = slow_builds(&cargo_tree(root, &["--workspace"], DEV)?);
    let members = cargo_tree(root, &["--workspace", "--depth", "0"], DEV)?;
    let mut selections: Vec<Vec<&str>> = vec![Vec::new()];
    selections.extend(members.lines().filter_map(|line| Some(vec!["-p", line.strip_prefix('0')?.split(' ').next()?])));
    let mut findings = Vec::new();
    for selection in &selections {
        for edges in [NORMAL, DEV] {
            let builds = slow_builds(&cargo_tree(root, selection, edges)?);
            // A package that does not train has no build of it.
            let others: Vec<&str> = builds.difference(&everything).map(String::as_str).collect();
            if !others.is_empty() {
                let selection =
                    if selection.is_empty() { "the default members".to_owned() } else { selection.join(" ") };
                let what = format!("{selection} ({edges}) builds {} otherwise than --workspace", others.join(", "));
                findings.push(Finding::new("Cargo.toml", 0, what));
            }
        }
    }
    Ok(findings)
}

/// What `cargo build` takes.
const NORMAL: &str = "normal,build";
/// What `cargo test` takes.
const DEV: &str = "normal,build,dev";

fn cargo_tree(root: &Path, selection: &[&str], edges: &str) -> Result<String, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--offline", "--locked", "--prefix", "depth", "--format", "{p} [{f}]", "--edges", edges])
        .args(selection)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines of `cargo tree --prefix depth` → [`SLOW`] and everything that it depends on.
fn slow_builds(tree: &str) -> BTreeSet<Build> {
    let mut dependencies: BTreeMap<Build, BTreeSet<Build>> = BTreeMap::new();
    let mut path: Vec<Build> = Vec::new();
    for line in tree.lines() {
        let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(line.len());
        let Ok(depth) = line[..digits].parse::<usize>() else { continue };
        // `(*)`: its dependencies stand above.
        let build = line[digits..].trim_end_matches(" (*)").to_owned();
        path.truncate(depth);
        if let Some(parent) = path.last() {
            dependencies.entry(parent.clone()).or_default().insert(build.clone());
        }
        path.push(build);
    }
    let slow = dependencies.keys().filter(|build| build.split(' ').next() == Some(SLOW)).cloned();
    let (mut todo, mut found): (Vec<Build>, BTreeSet<Build>) = (slow.collect(), BTreeSet::new());
    while let Some(build) = todo.pop() {
        if found.insert(build.clone()) {
            todo.extend(dependencies.get(&build).into_iter().flatten().cloned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_found_where_they_are_listed_first() {
        let tree = "0a v1 []\n1c v1 [x]\n2d v2 []\n1burn v3 []\n2c v1 [x] (*)\n\n0e v1 []\n1f v1 []\n";
        let expected = ["burn v3 []", "c v1 [x]", "d v2 []"].map(str::to_owned);
        assert_eq!(slow_builds(tree), BTreeSet::from(expected));
    }
}
