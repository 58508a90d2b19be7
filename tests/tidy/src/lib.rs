//! Rules for the repository itself. Input: the files that git knows. Output: the places that break a rule.
//!
//! Each rule is a module with a function `check(&Tree) -> Vec<Finding>`. `tests/rules.rs` asserts that each rule finds
//! nothing; `cargo run -p lintel-tidy -- check` prints what they find.

pub mod length;
pub mod tree;

pub use tree::{Finding, Tree};

/// Each rule with the name that `check` prints.
pub const RULES: &[(&str, fn(&Tree) -> Vec<Finding>)] = &[("length", length::check)];
