//! No file names a folder of somebody's machine, a package registry's host, or a host that is not listed here.

use crate::tree::{Finding, Tree};

/// Folders of a person or of a workplace. `/tmp` is on every machine.
const FOLDERS: &[&str] = &["/work/", "/home/", "/root/", "/Users/", "/mnt/"];

/// Registries are named by package, never by host: each user has the one that is configured.
const REGISTRIES: &[&str] = &["crates.io", "pypi.org", "pythonhosted.org", "npmjs.", "anaconda.org"];

/// Hosts that addresses may name, each with the reason.
const HOSTS: &[(&str, &str)] = &[
    ("github.com", "where published models and the sources of dependencies are"),
    ("raw.githubusercontent.com", "single files of the same"),
    ("huggingface.co", "where published models are"),
    ("openaipublic.azureedge.net", "where CLIP's published weights are"),
    ("www.w3.org", "names of XML namespaces"),
    ("doi.org", "papers"),
    ("arxiv.org", "papers"),
    ("keepachangelog.com", "the form of CHANGELOG.md"),
    ("semver.org", "the form of version numbers"),
];

/// Lines that name a machine's folder, a registry, or a host that is not listed.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let texts = tree.files.iter().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)));
    // This file names what it looks for; the lock file is cargo's.
    for (path, text) in texts.filter(|(path, _)| *path != "tests/tidy/src/machine.rs" && !path.ends_with("Cargo.lock"))
    {
        for (at, line) in text.lines().enumerate() {
            if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
                findings.push(Finding::new(path, at + 1, format!("names a folder of a machine, {folder}…")));
            }
            if let Some(registry) = REGISTRIES.iter().find(|registry| line.contains(**registry)) {
                findings.push(Finding::new(path, at + 1, format!("names the host of a package registry, {registry}")));
            }
            for host in hosts(line).filter(|host| !listed(host)) {
                findings.push(Finding::new(path, at + 1, format!("names the host {host}, which is not listed")));
            }
        }
    }
    findings
}

/// Whether an absolute path in `line` begins with `folder`.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        line[..at].chars().next_back().is_none_or(|before| !(before.is_alphanumeric() || "}./_-*]".contains(before)))
    })
}

/// The host of each address in `line`.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    ["https://", "http://"].into_iter().flat_map(|scheme| line.split(scheme).skip(1)).map(|rest| {
        let end = rest.find(|character: char| !(character.is_ascii_alphanumeric() || ".-".contains(character)));
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// Hosts that are listed, reserved for examples (RFC 2606), or this computer; an address made by a program has none.
fn listed(host: &str) -> bool {
    let reserved = [".invalid", ".example", ".test", "example.com", "localhost"];
    host.is_empty()
        || HOSTS.iter().any(|(listed, _)| *listed == host)
        || reserved.iter().any(|ending| host.ends_with(ending))
        || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    #[test]
    fn folders_registries_and_unlisted_hosts_are_found() {
        for (line, expected) in [
            ("cd /home/somebody/x", 1),
            ("$SITE/root/1.root.json and ../work/x", 0),
            ("from pypi.org", 1),
            ("see https://github.com/a/b", 0),
            ("see https://mirror.internal-host.net/a and http://127.0.0.1:80/", 1),
        ] {
            let files = vec![File { path: "a.md".into(), text: Some(line.into()) }];
            assert_eq!(check(&Tree { files, ..Tree::default() }).len(), expected, "{line}");
        }
    }
}
