//! Which crate may depend on which: `lintel → host crates → shared ← edge`. Host and edge never see each other.
//!
//! `ALLOWED` has each crate with the Lintel crates that it may name in `[dependencies]`, and the rule refuses a crate
//! that is not listed. Development dependencies are apart: a crate may be tested with crates that it must not ship,
//! except across the border between host and edge. `APART` has what may not be reached in any number of steps.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::tree::{Finding, Tree};

/// Host crates.
const HOST: &[&str] = &[
    "lintel",
    "lintel-work",
    "lintel-pages",
    "lintel-statistics",
    "lintel-photos",
    "lintel-clip",
    "lintel-onnx",
    "lintel-export",
    "lintel-quantize",
    "lintel-packs",
    "lintel-rendered",
    "lintel-training",
    "lintel-evaluation",
    "lintel-site",
];

/// Crates of the program at the door.
const EDGE: &[&str] = &["lintel-edge"];

/// Crates that only this repository runs: nothing that ships may see them. Without an entry below they may see
/// everything.
const TESTS: &[&str] = &["lintel-tests", "lintel-bench", "lintel-recipe"];

/// Each crate with the Lintel crates that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("lintel-core", &[]),
    ("lintel-wire", &["lintel-core"]),
    ("lintel-formats", &["lintel-core"]),
    ("lintel-inference", &["lintel-core", "lintel-formats"]),
    ("lintel-link", &["lintel-core", "lintel-wire", "lintel-formats"]),
    ("lintel-edge", &["lintel-core", "lintel-wire", "lintel-formats", "lintel-inference", "lintel-link"]),
    ("lintel-faces", &[]),
    ("lintel-work", &["lintel-core", "lintel-inference"]),
    ("lintel-pages", &[]),
    ("lintel-statistics", &[]),
    ("lintel-photos", &["lintel-core", "lintel-formats", "lintel-inference", "lintel-pages", "lintel-work"]),
    ("lintel-clip", &[]),
    ("lintel-onnx", &["lintel-core"]),
    ("lintel-export", &["lintel-clip", "lintel-core", "lintel-formats", "lintel-onnx"]),
    ("lintel-quantize", &["lintel-inference", "lintel-onnx"]),
    ("lintel-packs", &["lintel-clip", "lintel-core", "lintel-export", "lintel-work"]),
    (
        "lintel-rendered",
        &["lintel-core", "lintel-faces", "lintel-formats", "lintel-inference", "lintel-photos", "lintel-work"],
    ),
    (
        "lintel-training",
        &[
            "lintel-clip",
            "lintel-core",
            "lintel-formats",
            "lintel-pages",
            "lintel-quantize",
            "lintel-statistics",
            "lintel-work",
        ],
    ),
    (
        "lintel-evaluation",
        &[
            "lintel-core",
            "lintel-formats",
            "lintel-inference",
            "lintel-pages",
            "lintel-photos",
            "lintel-quantize",
            "lintel-rendered",
            "lintel-statistics",
            "lintel-training",
            "lintel-wire",
            "lintel-work",
        ],
    ),
    (
        "lintel-site",
        &["lintel-core", "lintel-formats", "lintel-inference", "lintel-link", "lintel-wire", "lintel-work"],
    ),
    (
        "lintel",
        &[
            "lintel-clip",
            "lintel-core",
            "lintel-evaluation",
            "lintel-export",
            "lintel-faces",
            "lintel-formats",
            "lintel-inference",
            "lintel-link",
            "lintel-onnx",
            "lintel-packs",
            "lintel-photos",
            "lintel-quantize",
            "lintel-rendered",
            "lintel-site",
            "lintel-statistics",
            "lintel-training",
            "lintel-wire",
            "lintel-work",
            "lintel-pages",
        ],
    ),
    (
        "lintel-recipe",
        &[
            "lintel-core",
            "lintel-formats",
            "lintel-inference",
            "lintel-clip",
            "lintel-onnx",
            "lintel-export",
            "lintel-training",
            "lintel-faces",
            "lintel-work",
        ],
    ),
    ("lintel-tidy", &[]),
];

/// What the crates on the left may not reach, in any number of steps.
const APART: &[(&[&str], &[&str], &str)] = &[
    (HOST, EDGE, "the workstation does not know the device's program"),
    (EDGE, HOST, "the device does not know the workstation's program"),
    (HOST, TESTS, "what ships does not know its tests"),
    (EDGE, TESTS, "what ships does not know its tests"),
    (&["lintel-site"], &["lintel-faces"], "a push does not render"),
    (&["lintel-quantize"], &["lintel-clip"], "the quantiser knows networks, not encoders"),
    (&["lintel-recipe"], &["lintel"], "the pack is made without the program that ships it"),
];

/// Arrows that are not allowed, crates that are not listed, and crates that reach what must be apart from them.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let (crates, mut findings) = read(tree);
    for (name, member) in &crates {
        let allowed = match ALLOWED.iter().find(|(listed, _)| listed == name) {
            Some((_, allowed)) => *allowed,
            None if TESTS.contains(&name.as_str()) => continue,
            None => {
                findings.push(Finding::new(&member.manifest, 0, format!("{name} is not in the list of arrows")));
                continue;
            }
        };
        for to in member.dependencies.iter().filter(|to| !allowed.contains(&to.as_str())) {
            findings.push(Finding::new(&member.manifest, 0, format!("{name} → {to} is not in the list of arrows")));
        }
        for (side, other) in [(HOST, EDGE), (EDGE, HOST)] {
            for to in member.for_tests.iter().filter(|to| side.contains(&name.as_str()) && other.contains(&to.as_str()))
            {
                findings.push(Finding::new(
                    &member.manifest,
                    0,
                    format!("{name} is tested with {to}: host and edge meet"),
                ));
            }
        }
    }
    for (from, to, why) in APART {
        for (name, member) in crates.iter().filter(|(name, _)| from.contains(&name.as_str())) {
            for reached in reach(&crates, name).iter().filter(|reached| to.contains(&reached.as_str())) {
                findings.push(Finding::new(&member.manifest, 0, format!("{name} reaches {reached}: {why}")));
            }
        }
    }
    findings
}

struct Member {
    manifest: String,
    dependencies: BTreeSet<String>,
    for_tests: BTreeSet<String>,
}

/// Lintel's crates by name. Manifests that cannot be read are findings.
fn read(tree: &Tree) -> (BTreeMap<String, Member>, Vec<Finding>) {
    let mut crates = BTreeMap::new();
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&["Cargo.toml"]) {
        let manifest: Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::new(path, 0, error.to_string().replace('\n', " ")));
                continue;
            }
        };
        let Some(name) = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str) else {
            continue; // the workspace itself
        };
        // Fuzz targets are a workspace of their own; v4l2-sys stands in for somebody else's crate.
        if !(name == "lintel" || name.starts_with("lintel-")) || name == "lintel-fuzz" {
            continue;
        }
        let mut for_tests = BTreeSet::new();
        named(&manifest, "dev-dependencies", &mut for_tests);
        let mut dependencies = BTreeSet::new();
        named(&manifest, "dependencies", &mut dependencies);
        named(&manifest, "build-dependencies", &mut dependencies);
        crates.insert(name.to_owned(), Member { manifest: path.to_owned(), dependencies, for_tests });
    }
    (crates, findings)
}

/// Lintel's crates in `section`, for all targets.
fn named(manifest: &Table, section: &str, into: &mut BTreeSet<String>) {
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table).chain([manifest]);
    for (key, value) in tables.filter_map(|table| table.get(section)?.as_table()).flatten() {
        let name = value.get("package").and_then(Value::as_str).unwrap_or(key);
        if name == "lintel" || name.starts_with("lintel-") {
            into.insert(name.to_owned());
        }
    }
}

/// Every crate that `from` depends on, directly or not.
fn reach(crates: &BTreeMap<String, Member>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from.to_owned()];
    while let Some(name) = left.pop() {
        for next in crates.get(&name).into_iter().flat_map(|member| &member.dependencies) {
            if reached.insert(next.clone()) {
                left.push(next.clone());
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn found(manifests: &[(&str, &str)]) -> Vec<String> {
        let file = |(name, rest): &(&str, &str)| File {
            path: format!("{name}/Cargo.toml"),
            text: Some(format!("package.name = '{name}'\n{rest}")),
        };
        check(&Tree { files: manifests.iter().map(file).collect(), ..Tree::default() })
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn an_arrow_that_is_not_listed_is_found_in_every_section() {
        let backwards = ["[dependencies]\nlintel-wire.workspace = true", "[build-dependencies]\nlintel-wire = '1'"];
        let for_one_target = "[target.'cfg(unix)'.dependencies]\nwire = { package = 'lintel-wire', version = '1' }";
        for rest in backwards.into_iter().chain([for_one_target]) {
            assert_eq!(found(&[("lintel-core", rest)]), ["lintel-core → lintel-wire is not in the list of arrows"]);
        }
        assert!(found(&[("lintel-wire", "[dependencies]\nlintel-core.workspace = true")]).is_empty());
    }

    #[test]
    fn a_crate_that_is_not_listed_is_found() {
        assert_eq!(found(&[("lintel-new", "")]), ["lintel-new is not in the list of arrows"]);
    }

    #[test]
    fn what_must_be_apart_is_found_through_a_third_crate_and_in_tests() {
        let far = found(&[
            ("lintel-site", "[dependencies]\nlintel-link = '1'"),
            ("lintel-link", "[dependencies]\nlintel-faces = '1'"),
        ]);
        assert!(far.contains(&"lintel-site reaches lintel-faces: a push does not render".to_owned()), "{far:?}");
        let tested = found(&[("lintel-site", "[dev-dependencies]\nlintel-edge = '1'")]);
        assert_eq!(tested, ["lintel-site is tested with lintel-edge: host and edge meet"]);
    }
}
