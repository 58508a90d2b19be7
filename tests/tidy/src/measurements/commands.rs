//! A record's shell commands → what they name and the repository does not have.

use super::arguments::Sources;
use super::packages::{Kind, Package, Packages};
use crate::tree::Tree;

/// Words that end one command and begin the next.
const BETWEEN: [&str; 5] = ["&&", "||", "|", ";", "&"];
/// Programs of the system that a record may call, beside those that are looked at below.
const OF_THE_SYSTEM: [&str; 2] = ["mkdir", "cp"];
/// Cargo's flags without a value, and with one; what they say is looked at where it names something.
const SWITCHES: [&str; 7] = ["--release", "--workspace", "--lib", "--bins", "--examples", "--locked", "--no-run"];
const SETTINGS: [&str; 3] = ["--config", "--target", "--profile"];

/// One line for each thing that is named and is not there.
pub fn check(script: &str, tree: &Tree, packages: &Packages, sources: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut folder = String::new();
    for line in script.replace("\\\n", " ").lines() {
        let Some(words) = shlex::split(line) else {
            wrong.push(format!("quotes that do not end: {line}"));
            continue;
        };
        for words in words.split(|word| BETWEEN.contains(&word.as_str())) {
            let command = Command { tree, packages, sources, folder: &folder };
            match command.check(words) {
                Ok(Some(entered)) => folder = entered,
                Ok(None) => {}
                Err(what) => wrong.extend(what),
            }
        }
    }
    wrong
}

/// Where a command is.
struct Command<'a> {
    tree: &'a Tree,
    packages: &'a Packages,
    sources: &'a Sources,
    /// Below the root: empty, or with a `/` at its end.
    folder: &'a str,
}

/// The folder that `cd` enters, or what is not there.
type Checked = Result<Option<String>, Vec<String>>;

fn wrong<T>(what: impl Into<String>) -> Result<T, Vec<String>> {
    Err(vec![what.into()])
}

impl Command<'_> {
    fn check(&self, words: &[String]) -> Checked {
        let is_environment = |word: &String| {
            let name = word.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        };
        let words: Vec<&str> = words.iter().skip_while(|word| is_environment(word)).map(String::as_str).collect();
        let words = words.strip_prefix(&["/usr/bin/time", "-v"]).unwrap_or(&words);
        match words {
            [] => Ok(None),
            ["cd", folder] => self.enter(folder),
            ["cargo", rest @ ..] => self.cargo(rest).map(|()| None),
            ["bash" | "python" | "python3", script, rest @ ..] => {
                let missing = |path: &&&str| path.starts_with("target/release/") && self.built(path).is_none();
                if self.tree.text(&format!("{}{script}", self.folder)).is_none() {
                    return wrong(format!("no script {script}"));
                }
                rest.iter().find(missing).map_or(Ok(None), |path| wrong(format!("nothing builds {path}")))
            }
            [name, ..] if OF_THE_SYSTEM.contains(name) => Ok(None),
            [program, rest @ ..] => match self.built(program) {
                Some((main, package)) => self.arguments(rest, &main, package),
                None if program.ends_with(".py") || program.starts_with("tests/") => {
                    if self.tree.text(program).is_none() { wrong(format!("no script {program}")) } else { Ok(None) }
                }
                None => wrong(format!("nothing here is called {program}")),
            },
        }
    }

    fn enter(&self, folder: &str) -> Checked {
        let entered = format!("{}{}/", self.folder, folder.trim_end_matches('/'));
        if self.tree.files.iter().any(|file| file.path.starts_with(&entered)) {
            Ok(Some(entered))
        } else {
            wrong(format!("no folder {entered}"))
        }
    }

    fn arguments(&self, words: &[&str], main: &str, package: &Package) -> Checked {
        let wrong = self.sources.refused(words, main, &package.folder);
        if wrong.is_empty() { Ok(None) } else { Err(wrong) }
    }

    /// What `target/release/NAME`, `target/release/examples/NAME` or an installed NAME is built from.
    fn built(&self, path: &str) -> Option<(String, &Package)> {
        let below = path.strip_prefix("target/release/").unwrap_or(path);
        let (kind, name) = match below.strip_prefix("examples/") {
            Some(name) => (Kind::Example, name),
            None => (Kind::Program, below),
        };
        self.packages.iter().find_map(|package| Some((package.target(kind, name)?.to_owned(), package)))
    }

    fn cargo(&self, words: &[&str]) -> Result<(), Vec<String>> {
        let words = words.strip_prefix(&["+nightly"]).unwrap_or(words);
        let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        let (own, behind) = (&words[..end], words.get(end + 1..).unwrap_or_default());
        match own {
            ["fuzz", "run", rest @ ..] => self.fuzz(rest),
            [verb @ ("build" | "run" | "test" | "bench"), rest @ ..] => self.cargo_verb(verb, rest, behind),
            _ => wrong(format!("cargo {} is not known here", own.join(" "))),
        }
    }

    fn fuzz(&self, words: &[&str]) -> Result<(), Vec<String>> {
        let Some(package) = self.packages.at(self.folder).filter(|package| package.name.ends_with("fuzz")) else {
            return wrong(format!("cargo fuzz outside of the fuzz targets' folder: {:?}", self.folder));
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--features" {
                let feature = words.next().copied().unwrap_or_default();
                if !package.has_feature(feature) {
                    return wrong(format!("the fuzz targets have no feature {feature}"));
                }
            // TARGET stands for each of the targets that the record's table lists.
            } else if *word != "TARGET" && !word.starts_with('-') && package.target(Kind::Program, word).is_none() {
                return wrong(format!("no fuzz target {word}"));
            }
        }
        Ok(())
    }

    fn cargo_verb(&self, verb: &str, own: &[&str], behind: &[&str]) -> Result<(), Vec<String>> {
        let (mut chosen, mut target, mut filters) = (None, None, Vec::new());
        let mut features = Vec::new();
        let mut words = own.iter();
        while let Some(word) = words.next() {
            let kind = match *word {
                "--bin" => Some(Kind::Program),
                "--example" => Some(Kind::Example),
                "--test" => Some(Kind::Test),
                "--bench" => Some(Kind::Bench),
                _ => None,
            };
            let mut value = || words.next().copied().unwrap_or_default();
            match (*word, kind) {
                (_, Some(kind)) => target = Some((kind, value())),
                ("-p" | "--package", _) => {
                    let name = value();
                    match self.packages.named(name) {
                        Some(package) => chosen = Some(package),
                        None => return wrong(format!("no package {name}")),
                    }
                }
                ("--features", _) => features.extend(value().split(',')),
                (setting, _) if SETTINGS.contains(&setting) => drop(value()),
                (switch, _) if SWITCHES.contains(&switch) => {}
                (flag, _) if flag.starts_with('-') => return wrong(format!("cargo's flag {flag} is not known here")),
                (filter, _) => filters.push(filter),
            }
        }
        if !filters.is_empty() && verb != "test" {
            return wrong(format!("cargo {verb} takes no {}", filters.join(" ")));
        }
        self.features(&features, chosen)?;
        let within: Vec<&Package> = chosen.map_or_else(|| self.packages.iter().collect(), |package| vec![package]);
        let main = match target {
            Some((kind, name)) => {
                let found = within.iter().find_map(|package| Some((package.target(kind, name)?, *package)));
                Some(found.ok_or_else(|| vec![format!("no target {name} of this kind ({kind:?})")])?)
            }
            None => chosen.and_then(|package| Some((package.only_program()?, package))),
        };
        match (verb, main) {
            ("run", None) => wrong("cargo run of which program?"),
            ("run", Some((main, package))) => self.arguments(behind, main, package).map(drop),
            ("bench", _) if target.is_none() && !within.iter().any(|package| package.has_any(Kind::Bench)) => {
                wrong("no bench there")
            }
            ("test", _) => {
                filters.extend(behind.iter().filter(|word| !word.starts_with('-')));
                self.filters(&filters, &within, main.filter(|_| target.is_some()).map(|(file, _)| file))
            }
            _ => Ok(()),
        }
    }

    fn features(&self, features: &[&str], chosen: Option<&Package>) -> Result<(), Vec<String>> {
        for feature in features {
            let (package, name) = match feature.split_once('/') {
                // A chosen package can only reach the features of what it depends on.
                Some((of, name)) if chosen.is_none_or(|chosen| chosen.name == of || chosen.has_feature(of)) => {
                    (self.packages.named(of), name)
                }
                Some(_) => (None, ""),
                None => (chosen, *feature),
            };
            if !package.is_some_and(|package| package.has_feature(name)) {
                return wrong(format!("no feature {feature}"));
            }
        }
        Ok(())
    }

    /// A filter of tests is a part of a test's path: of its modules and its function, with `::` between them.
    fn filters(&self, filters: &[&str], within: &[&Package], file: Option<&str>) -> Result<(), Vec<String>> {
        let place = file.map(|file| file.strip_suffix("/main.rs").or(file.strip_suffix(".rs")).unwrap_or(file));
        let files = self.tree.texts(&[".rs"]).filter(|(path, _)| place.is_none_or(|place| path.starts_with(place)));
        let paths: Vec<String> = files
            .filter_map(|(path, text)| {
                let owner = within.iter().find_map(|package| path.strip_prefix(package.folder.as_str()))?;
                Some(tests(owner, text))
            })
            .flatten()
            .collect();
        let missing = filters.iter().filter(|filter| !paths.iter().any(|path| path.contains(**filter)));
        let missing: Vec<String> = missing.map(|filter| format!("no test {filter}")).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }
}

/// The paths that the functions of a file may have as tests; `path` is relative to the package.
fn tests<'a>(path: &str, text: &'a str) -> impl Iterator<Item = String> + use<'a> {
    let modules: Vec<&str> = path.trim_end_matches(".rs").split('/').skip(1).collect();
    let modules: Vec<&str> = modules.into_iter().filter(|name| !["lib", "main", "bin"].contains(name)).collect();
    let module = modules.join("::");
    let functions = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<', ' ']).next());
    functions.flat_map(move |name| [format!("{module}::{name}"), format!("{module}::tests::{name}")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn refused(script: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.into(), text: Some(text.into()) };
        let tree = Tree {
            files: vec![
                file("Cargo.toml", "[workspace]"),
                file("a/Cargo.toml", "[package]\nname = \"lintel-a\"\n[features]\nmini = []"),
                file("a/benches/frame.rs", ""),
                file("a/examples/step.rs", ""),
                file("a/src/bin/speed.rs", "use clap; #[derive(Parser)] struct Args { #[arg(long)] frames: u32 }"),
                file("a/src/lib.rs", "fn a_sample_of_classes() {}"),
                file("a/tests/link/main.rs", ""),
                file("fuzz/Cargo.toml", "[package]\nname = \"x-fuzz\"\n[[bin]]\nname = \"wire\"\npath = \"t/wire.rs\""),
                file("fuzz/t/wire.rs", ""),
                file("rigs/run", ""),
            ],
            ..Tree::default()
        };
        check(script, &tree, &Packages::read(&tree).unwrap(), &Sources::read(&tree))
    }

    #[test]
    fn what_is_there_passes() {
        for script in [
            "cargo build --release --workspace && target/release/speed --frames 3000",
            "cargo run --release -p lintel-a -- --frames 3",
            "cargo run --release -p lintel-a --bin speed -- --frames=3",
            "cargo test --release --workspace --test link -- --nocapture",
            "cargo test --release -p lintel-a --features mini --lib sample_of -- --nocapture",
            "cargo bench -p lintel-a",
            "RAYON_NUM_THREADS=1 target/release/examples/step 10 3   # a note",
            "/usr/bin/time -v \\\n  target/release/speed",
            "bash rigs/run one two\nmkdir x",
            "cd fuzz && cargo +nightly fuzz run wire -- -runs=1",
        ] {
            assert_eq!(refused(script), Vec::<String>::new(), "{script}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        for (script, said) in [
            ("target/release/slow", "slow"),
            ("target/release/speed --rounds 3", "--rounds"),
            ("target/release/examples/speed", "examples/speed"),
            ("cargo run -p lintel-b", "lintel-b"),
            ("cargo run -p lintel-a --bin slow", "slow"),
            ("cargo run -p lintel-a -- --rounds 3", "--rounds"),
            ("cargo test --test links", "links"),
            ("cargo test -p lintel-a nowhere", "nowhere"),
            ("cargo test -p lintel-a --lib link::", "link::"),
            ("cargo test --features lintel-a/cuda", "lintel-a/cuda"),
            ("cargo build -p x-fuzz --features lintel-a/mini", "lintel-a/mini"),
            ("cargo bench -p lintel-a --bench other", "other"),
            ("cargo publish", "publish"),
            ("bash rigs/gone", "rigs/gone"),
            ("python rigs/run target/release/gone", "gone"),
            ("cargo fuzz run wire", "outside"),
            ("cd fuzz\ncargo fuzz run gone", "gone"),
            ("cd gone", "gone"),
            ("curl x", "curl"),
            ("bash 'rigs", "quotes"),
        ] {
            assert!(refused(script).iter().any(|what| what.contains(said)), "{script}: {:?}", refused(script));
        }
    }
}
