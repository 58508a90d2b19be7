//! Rules for the repository itself. Input: the files that git knows. Output: the places that break a rule.
//!
//! Each rule is a module with a function `check(&Tree) -> Vec<Finding>`. `tests/rules.rs` asserts that each rule finds
//! nothing; `cargo run -p lintel-tidy -- check` prints what they find.

pub mod arrows;
pub mod circles;
pub mod docs;
pub mod layout;
pub mod length;
pub mod machine;
pub mod measurements;
pub mod modules;
pub mod references;
pub mod shared_builds;
pub mod tree;
pub mod use_cases;

pub use tree::{Finding, Tree};

/// Finds each place of the repository that breaks it.
pub type Rule = fn(&Tree) -> Vec<Finding>;

/// Each rule with the name that `check` prints.
pub const RULES: &[(&str, Rule)] = &[
    ("arrows", arrows::check),
    ("circles", circles::check),
    ("docs", docs::check),
    ("layout", layout::check),
    ("length", length::check),
    ("machine", machine::check),
    ("measurements", measurements::check),
    ("references", references::check),
    ("shared_builds", shared_builds::check),
    ("use_cases", use_cases::check),
];
