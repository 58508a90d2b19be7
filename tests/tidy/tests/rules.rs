//! The repository keeps its rules.

use lintel_tidy::{
    Finding, Rule, Tree, arrows, circles, docs, layout, length, machine, references, shared_builds, use_cases,
};

/// Fails with every place that breaks `rule`, except in files whose path begins with one of `not_yet`.
fn holds(rule: Rule, not_yet: &[&str]) {
    let mut findings = rule(&Tree::of_this_repository().unwrap());
    findings.retain(|finding| !not_yet.iter().any(|start| finding.path.starts_with(start)));
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{} places break this rule:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    holds(arrows::check, &[]);
}

#[test]
fn modules_do_not_import_each_other_in_circles() {
    holds(circles::check, &[]);
}

#[test]
fn doc_comments_of_public_items_say_something() {
    holds(docs::check, &[]);
}

#[test]
fn files_are_named_in_one_style() {
    holds(layout::check, &[]);
}

#[test]
fn lines_and_files_are_not_too_long() {
    holds(length::check, &[]);
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    holds(machine::check, &[]);
}

#[test]
fn documents_refer_to_what_is_there() {
    holds(references::check, &[]);
}

#[test]
fn the_training_library_is_built_once() {
    holds(shared_builds::check, &[]);
}

#[test]
fn use_cases_print_nothing_and_know_no_command_line() {
    holds(use_cases::check, &[]);
}
