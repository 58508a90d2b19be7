//! Each record of docs/measurements is whole, names what is there, and docs/measurements.md is rendered from them.

use lintel_tidy::{Finding, Tree, measurements};

#[test]
fn records_are_whole_their_commands_exist_and_the_page_is_current() {
    let findings = measurements::check(&Tree::of_this_repository().unwrap());
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}
