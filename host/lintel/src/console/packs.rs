//! `lintel packs` in words.

use lintel_packs::FileState;
use lintel_work::failure::Failure;
use serde_json::{Value, json};

use super::Told;
use crate::use_cases::packs::{Brought, CheckedFile, ListedPack, Outcome};

impl Told for Outcome {
    fn lines(&self) -> Vec<String> {
        match self {
            Self::List(packs) => packs.iter().flat_map(listed).collect(),
            Self::Brought(brought) => brought_lines(brought),
            Self::Verified(files) if files.is_empty() => {
                vec!["no pack is installed; the embedded one is checked whenever the program is built".into()]
            }
            Self::Verified(files) => {
                files.iter().map(|file| format!("{}/{}: {}", file.pack, file.file, state(file))).collect()
            }
            Self::Composed { out, dim, .. } => vec![format!(
                "wrote {}: embeddings of {dim} components; now `lintel train FACES --pack {}`",
                out.display(),
                out.display()
            )],
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::List(packs) => json!({ "packs": packs.iter().map(row).collect::<Vec<_>>() }),
            Self::Brought(Brought { name, folder, files, missing, .. }) => json!({
                "pack": name, "folder": folder, "brought": files, "missing": missing, "whole": missing.is_empty(),
            }),
            Self::Verified(files) => {
                let row = |file: &CheckedFile| {
                    let good = file.state == FileState::Good;
                    json!({ "pack": file.pack, "file": file.file, "good": good, "said": state(file) })
                };
                json!({ "files": files.iter().map(row).collect::<Vec<_>>() })
            }
            Self::Composed { out, name, dim } => json!({ "out": out, "name": name, "dim": dim }),
        }
    }

    fn missed(&self) -> Option<Failure> {
        match self {
            Self::Brought(Brought { name, from: Some((from, _)), missing, .. }) if !missing.is_empty() => {
                Some(Failure::input(format!(
                    "{} holds no {} of pack {name}, by size and SHA-256; `lintel packs list` shows the hashes that \
                     are known",
                    from.display(),
                    missing.join(", no ")
                )))
            }
            Self::Verified(files) => {
                let bad: Vec<String> = files
                    .iter()
                    .filter(|file| file.state != FileState::Good)
                    .map(|file| format!("{}/{}", file.pack, file.file))
                    .collect();
                let what = "not good; remove what is wrong and `lintel packs fetch` it again";
                (!bad.is_empty()).then(|| Failure::work(format!("{} {what}", bad.join(", "))))
            }
            Self::List(_) | Self::Brought(_) | Self::Composed { .. } => None,
        }
    }
}

fn listed(ListedPack { name, known, folder, missing }: &ListedPack) -> Vec<String> {
    let state = match (&known.pack, missing.is_empty()) {
        (None, _) => "part of this program".to_owned(),
        (Some(_), true) => format!("installed in {}", folder.display()),
        (Some(_), false) => {
            let bytes: u64 = missing.iter().filter_map(|file| known.files.get(file)).map(|k| k.bytes_to_fetch()).sum();
            format!("not installed; `lintel packs fetch {name}` brings {:.0} MB", bytes as f64 / 1e6)
        }
    };
    let mut lines = vec![
        format!("{name}: {}", known.description),
        format!("    {state}"),
        format!("    licence: {}", known.licence),
    ];
    for (file, known) in &known.files {
        lines.push(format!("    {file}  sha256 {}  {}", known.sha256, known.content));
        for also in &known.also {
            lines.push(format!("    or         sha256 {}  {}", also.sha256, also.content));
        }
        lines.extend(known.limit.iter().map(|limit| format!("        limit: {limit}")));
    }
    lines
}

fn row(ListedPack { name, known, missing, .. }: &ListedPack) -> Value {
    let files: Vec<_> = known
        .files
        .iter()
        .map(|(file, listed)| {
            json!({
                "file": file, "sha256": listed.sha256, "bytes": listed.bytes, "address": listed.address,
                "licence": listed.licence.as_ref().unwrap_or(&known.licence), "limit": listed.limit,
                "there": !missing.contains(file),
            })
        })
        .collect();
    json!({
        "name": name, "description": known.description, "installed": missing.is_empty(),
        "licence": known.licence, "source": known.source, "files": files,
    })
}

fn brought_lines(Brought { name, folder, from, missing, .. }: &Brought) -> Vec<String> {
    let found = from.iter().flat_map(|(_, found)| found);
    let mut lines: Vec<String> = found
        .map(|(file, path)| match path {
            Some(path) => format!("{file}: taken from {}", path.display()),
            None => format!("{file}: was there"),
        })
        .collect();
    if missing.is_empty() {
        lines.push(format!("pack {name} is installed in {}; use it with --pack {name}", folder.display()));
    }
    lines
}

fn state(file: &CheckedFile) -> String {
    match &file.state {
        FileState::Good => "good".to_owned(),
        FileState::Absent => "missing".to_owned(),
        FileState::Wrong { got } => format!("has SHA-256 {got}, wanted {}", file.wanted),
    }
}
