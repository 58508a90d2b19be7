//! The manifests and file names of a tree → its packages with what cargo can build or run of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use toml::{Table, Value};

use crate::tree::Tree;

/// The packages of a tree, those outside of the workspace too.
#[derive(Debug, Default)]
pub struct Packages(Vec<Package>);

/// What cargo knows by one manifest.
#[derive(Debug)]
pub struct Package {
    /// As in its manifest.
    pub name: String,
    /// Its folder: empty, or with a `/` at its end.
    pub folder: String,
    /// Name → main file, of each kind of target.
    targets: BTreeMap<Kind, BTreeMap<String, String>>,
    features: BTreeSet<String>,
}

/// A kind of target, as cargo tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A program, chosen with `--bin`.
    Program,
    /// An example program, chosen with `--example`.
    Example,
    /// A file of integration tests, chosen with `--test`.
    Test,
    /// A benchmark, chosen with `--bench`.
    Bench,
}

impl Kind {
    const ALL: [(Self, &str, &str); 4] = [
        (Self::Program, "bin", "src/bin"),
        (Self::Example, "example", "examples"),
        (Self::Test, "test", "tests"),
        (Self::Bench, "bench", "benches"),
    ];
}

impl Packages {
    /// Reads every manifest of the tree.
    ///
    /// # Errors
    /// For a manifest that is no TOML.
    pub fn read(tree: &Tree) -> anyhow::Result<Self> {
        let mut packages = Vec::new();
        for (path, text) in tree.texts(&["Cargo.toml"]) {
            let manifest: Table = toml::from_str(text).with_context(|| path.to_owned())?;
            let folder = path.strip_suffix("Cargo.toml").unwrap_or_default();
            packages.extend(Package::new(&manifest, folder, tree));
        }
        Ok(Self(packages))
    }

    /// The package of this name.
    pub fn named(&self, name: &str) -> Option<&Package> {
        self.0.iter().find(|package| package.name == name)
    }

    /// The package in this folder (which ends in `/`).
    pub fn at(&self, folder: &str) -> Option<&Package> {
        self.0.iter().find(|package| package.folder == folder)
    }

    /// Every package, in the order of the manifests' paths.
    pub fn iter(&self) -> impl Iterator<Item = &Package> {
        self.0.iter()
    }
}

impl Package {
    fn new(manifest: &Table, folder: &str, tree: &Tree) -> Option<Self> {
        let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
        let mut targets: BTreeMap<Kind, BTreeMap<String, String>> = BTreeMap::new();
        for (kind, key, place) in Kind::ALL {
            let found = targets.entry(kind).or_default();
            let place = format!("{folder}{place}/");
            for path in tree.files.iter().filter_map(|file| file.path.strip_prefix(&place)) {
                let stem = match path.split_once('/') {
                    None => path.strip_suffix(".rs"),
                    Some((stem, "main.rs")) => Some(stem),
                    Some(_) => None,
                };
                found.extend(stem.map(|stem| (stem.to_owned(), format!("{place}{path}"))));
            }
            for target in manifest.get(key).and_then(Value::as_array).into_iter().flatten() {
                let text = |key| target.get(key).and_then(Value::as_str);
                if let (Some(name), Some(path)) = (text("name"), text("path")) {
                    found.insert(name.to_owned(), format!("{folder}{path}"));
                }
            }
        }
        let main = format!("{folder}src/main.rs");
        let programs = targets.entry(Kind::Program).or_default();
        if tree.text(&main).is_some() && !programs.values().any(|path| *path == main) {
            programs.insert(name.clone(), main);
        }
        let keys = |key| manifest.get(key).and_then(Value::as_table).into_iter().flat_map(Table::keys).cloned();
        // A dependency that may be left out is a feature too.
        let features = keys("features").chain(keys("dependencies")).collect();
        Some(Self { name, folder: folder.to_owned(), targets, features })
    }

    /// The main file of a target.
    pub fn target(&self, kind: Kind, name: &str) -> Option<&str> {
        self.targets.get(&kind)?.get(name).map(String::as_str)
    }

    /// The only program, as `cargo run` chooses it: (name, main file).
    pub fn only_program(&self) -> Option<&str> {
        let programs = self.targets.get(&Kind::Program)?;
        (programs.len() == 1).then(|| programs.values().next()).flatten().map(String::as_str)
    }

    /// Whether it has any target of this kind.
    pub fn has_any(&self, kind: Kind) -> bool {
        self.targets.get(&kind).is_some_and(|targets| !targets.is_empty())
    }

    /// Whether it has this feature.
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.contains(name)
    }
}
