//! No import circles between the modules of a crate.
//!
//! A module's file and the folder of the same name are one room: a parent uses its children, and children use what
//! their parent's file defines. Sibling rooms, at each depth, use each other without a circle. What a module deep
//! inside a room uses counts for that room.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{self, Modules, Place};
use crate::tree::{Finding, Tree};

/// The circles in each crate.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifests: Vec<&str> = tree.texts(&["Cargo.toml"]).map(|(path, _)| path).collect();
    for manifest in manifests {
        let folder = manifest.strip_suffix("Cargo.toml").unwrap_or_default();
        for root in ["src/lib.rs", "src/main.rs"].map(|root| format!("{folder}{root}")) {
            if tree.text(&root).is_some() {
                match modules::of_crate(tree, &root) {
                    Ok(modules) => findings.extend(of_modules(&modules, &root)),
                    Err(why) => findings.push(Finding::new(&root, 0, why)),
                }
            }
        }
    }
    findings.sort();
    findings
}

/// One use of a room by a sibling: where it is written.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

fn of_modules(modules: &Modules, root: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rooms: BTreeMap<Place, Uses> = BTreeMap::new();
    for (place, module) in modules {
        for (path, line) in &module.references {
            let Some(target) = modules::resolve(modules, place, path) else { continue };
            let shared = place.iter().zip(&target).take_while(|(a, b)| a == b).count();
            if shared < place.len() && shared < target.len() {
                rooms
                    .entry(place[..shared].to_vec())
                    .or_default()
                    .entry(place[shared].clone())
                    .or_default()
                    .entry(target[shared].clone())
                    .or_insert_with(|| format!("{}:{line}", module.file));
            }
        }
    }
    for (parent, uses) in &rooms {
        for circle in circles(uses) {
            let steps: Vec<String> = circle
                .iter()
                .zip(circle.iter().cycle().skip(1))
                .map(|(from, to)| format!("{from} → {to} ({})", uses[from][to]))
                .collect();
            let file = modules.get(parent).map_or(root, |module| module.file.as_str());
            findings.push(Finding::new(file, 0, format!("circle: {}", steps.join(", "))));
        }
    }
    findings
}

/// The shortest circle through each room that is on one; each circle once.
fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let mut found = BTreeSet::new();
    for start in uses.keys() {
        if let Some(mut circle) = shortest(uses, start) {
            let first = (0..circle.len()).min_by_key(|at| &circle[*at]).unwrap_or(0);
            circle.rotate_left(first);
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// Breadth first from `start` back to it.
fn shortest(uses: &Uses, start: &String) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in uses.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way.iter().chain([next]).cloned().collect());
                }
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![File { path: "c/Cargo.toml".into(), text: Some(String::new()) }];
        all.extend(files.iter().map(|(path, text)| File { path: format!("c/src/{path}"), text: Some((*text).into()) }));
        check(&Tree { files: all, ..Tree::default() }).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_circle_between_siblings_is_found_with_the_places_that_make_it() {
        let found = found(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B;\npub struct A;"),
            ("b.rs", "pub struct B;\nfn f() {\n crate::c::go() }"),
            ("c.rs", "pub fn go() { let x = vec![super::a::A]; }"),
        ]);
        assert_eq!(found, ["c/src/lib.rs:0: circle: a → b (c/src/a.rs:1), b → c (c/src/b.rs:3), c → a (c/src/c.rs:1)"]);
    }

    #[test]
    fn what_a_folder_holds_counts_for_the_room_and_re_exports_are_followed() {
        let found = found(&[
            ("lib.rs", "mod a; mod b; pub use b::deep::Deep;"),
            ("a.rs", "use crate::Deep;\npub struct A;"),
            ("b.rs", "pub mod deep;"),
            ("b/deep.rs", "pub struct Deep;\nuse crate::a::A;"),
        ]);
        assert_eq!(found, ["c/src/lib.rs:0: circle: a → b (c/src/a.rs:1), b → a (c/src/b/deep.rs:2)"]);
    }

    #[test]
    fn a_parent_and_its_children_are_one_room() {
        let found = found(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod child; pub struct A; fn f() { child::g(A) }"),
            ("a/child.rs", "use super::A; pub fn g(_: A) { super::f() }"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn code_for_tests_does_not_count() {
        let found = found(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::B;"),
            ("b.rs", "use crate::a::A; pub struct B;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
