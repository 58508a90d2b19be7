//! `lintel packs`: what packs there are, bringing one from its addresses or from a folder, checking it.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use lintel_inference::{Encoder, Options};
use lintel_onnx::{Preprocessing, graft};
use lintel_packs::{
    EMBEDDED, FetchError, FileState, KnownPack, Naming, Pack, PackError, Source, Standing, Store, compose, known_packs,
};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir};
use serde_json::json;

use crate::cli::{Everywhere, Output, PackArgs, PacksAction, PacksArgs};
use crate::commands::{existing_folder, runtime::find};
use crate::console::{Console, Progress};

/// Bytes of one step of a progress bar.
const STEP: u64 = 1 << 20;

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; files that were brought before it stay.
pub fn run(args: &PacksArgs, everywhere: &Everywhere, console: &Console) -> Result<(), Failure> {
    let store = Store::of_user().map_err(Failure::input)?;
    match &args.action {
        PacksAction::List => list(&store, console),
        PacksAction::Fetch { name, mirror, accept_licence } => {
            let pack = installable(name)?;
            agree(&store, name, &pack, *accept_licence, console)?;
            if everywhere.offline {
                let what = "--offline forbids fetching; `lintel packs add --from DIR` takes the files from a folder";
                return Err(Failure::input(what));
            }
            let source = mirror.clone().map_or(Source::Published, Source::Mirror);
            let mut bar = Bar::new(console, "fetching");
            let brought =
                lintel_packs::fetch(&store, name, &pack, &source, &mut |file, done, all| bar.show(file, done, all));
            drop(bar);
            let brought = brought.map_err(failure)?;
            report(&store, name, &brought, &[], console);
            Ok(())
        }
        PacksAction::Add { name, from, accept_licence } => {
            existing_folder(from)?;
            let pack = installable(name)?;
            agree(&store, name, &pack, *accept_licence, console)?;
            let added = lintel_packs::add(&store, name, &pack, from, &mut |_| {}).map_err(failure)?;
            for (file, path) in &added.files {
                match path {
                    Some(path) => console.say(format!("{file}: taken from {}", path.display())),
                    None => console.say(format!("{file}: was there")),
                }
            }
            let brought: Vec<String> = added.files.keys().cloned().collect();
            report(&store, name, &brought, &added.missing, console);
            if added.missing.is_empty() {
                return Ok(());
            }
            Err(Failure::input(format!(
                "{} holds no {} of pack {name}, by size and SHA-256; `lintel packs list` shows the hashes that are \
                known",
                from.display(),
                added.missing.join(", no ")
            )))
        }
        PacksAction::Verify { names } => verify(&store, names, console),
        PacksAction::Compose { encoder, preprocessing, name, licence, output, pack } => {
            let naming = Naming { name: name.clone(), licence: licence.clone() };
            composed(encoder, preprocessing, &naming, output, &open(pack, console)?, &everywhere.runtime(), console)
        }
    }
}

/// The pack that `--pack` names, once its limits are accepted.
///
/// # Errors
/// [`Failure::Input`] when there is none, it is not whole, or its limits were not accepted.
pub fn open(args: &PackArgs, console: &Console) -> Result<Pack, Failure> {
    if args.pack.is_none() {
        return Pack::embedded().map_err(Failure::input);
    }
    let store = Store::of_user().map_err(Failure::input)?;
    let pack = Pack::find(args.pack.as_deref(), &store).map_err(Failure::input)?;
    if pack.standing == Standing::Listed
        && let Some(known) = known_packs().map_err(Failure::input)?.get(&pack.about.name)
    {
        agree(&store, &pack.about.name, known, args.accept_licence, console)?;
    }
    Ok(pack)
}

fn composed(
    file: &Path,
    preprocessing: &Preprocessing,
    naming: &Naming,
    output: &Output,
    from: &Pack,
    runtime: &Options,
    console: &Console,
) -> Result<(), Failure> {
    if known_packs().map_err(Failure::input)?.contains_key(&naming.name) {
        return Err(Failure::input(format!("{} is the name of a known pack; give another --name", naming.name)));
    }
    let out = OutDir::take(&output.out, Kind::Pack, output.force, &[])?;
    find(runtime)?;
    let (onnx, dim) = grafted(file, preprocessing, runtime)?;
    for (name, bytes) in compose(from, onnx, dim, naming).map_err(Failure::input)? {
        out.write(name, &bytes)?;
    }
    let done = out.finish()?;
    Pack::open(Some(&done)).map_err(Failure::work)?;
    console.say(format!(
        "wrote {}: {dim} numbers a face; now `lintel train FACES --pack {}`",
        done.display(),
        done.display()
    ));
    console.result(&json!({ "out": done, "name": naming.name, "dim": dim }));
    Ok(())
}

/// A face encoder in the form of bundles, tried, and how many numbers it gives.
///
/// # Errors
/// [`Failure::Input`] in one line, with the file's name.
pub fn grafted(file: &Path, preprocessing: &Preprocessing, runtime: &Options) -> Result<(Vec<u8>, usize), Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::reading(file, &error))?;
    let refuse = |error: &dyn std::fmt::Display| Failure::input(format!("{}: {error}", file.display()));
    let onnx = graft(&bytes, preprocessing).map_err(|error| refuse(&error))?;
    let dim = Encoder::open(&onnx, runtime).map_err(|error| refuse(&error))?.dim();
    Ok((onnx, dim))
}

/// Shows the limits of a pack until they are accepted, once.
fn agree(store: &Store, name: &str, pack: &KnownPack, accept: bool, console: &Console) -> Result<(), Failure> {
    let limits = pack.limits();
    if store.accepted(name, &limits) {
        return Ok(());
    }
    if console.talks() || !accept {
        eprintln!("Pack {name} comes with limits that are not Lintel's:");
        limits.iter().for_each(|limit| eprintln!("  {limit}"));
    }
    let answers = accept || (console.talks() && std::io::stdin().is_terminal() && asked()?);
    if !answers {
        return Err(Failure::input(format!("the limits of pack {name} must be accepted first: add --accept-licence")));
    }
    store.accept(name, &limits).map_err(Failure::work)
}

fn asked() -> Result<bool, Failure> {
    eprint!("Type yes to accept them: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::work)?;
    interrupt::check()?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

fn installable(name: &str) -> Result<KnownPack, Failure> {
    let mut known = known_packs().map_err(Failure::input)?;
    match known.remove(name) {
        Some(pack) if pack.pack.is_some() => Ok(pack),
        Some(_) => Err(Failure::input(format!("pack {name} is part of this program; there is nothing to bring"))),
        None => {
            let names: Vec<String> = known.into_iter().filter(|(_, p)| p.pack.is_some()).map(|(n, _)| n).collect();
            Err(Failure::input(format!("no pack is called {name}; there is {}", names.join(", "))))
        }
    }
}

fn list(store: &Store, console: &Console) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (name, pack) in known_packs().map_err(Failure::input)? {
        let missing: Vec<&String> =
            pack.files.iter().filter(|(file, known)| !store.has(&name, file, known)).map(|(file, _)| file).collect();
        let state = match (&pack.pack, missing.is_empty()) {
            (None, _) => "part of this program".to_owned(),
            (Some(_), true) => format!("installed in {}", store.folder(&name).display()),
            (Some(_), false) => {
                let bytes: u64 =
                    pack.files.iter().filter(|(f, _)| missing.contains(f)).map(|(_, k)| k.bytes_to_fetch()).sum();
                format!("not installed; `lintel packs fetch {name}` brings {:.0} MB", bytes as f64 / 1e6)
            }
        };
        console.say(format!("{name}: {}", pack.description));
        console.say(format!("    {state}"));
        console.say(format!("    licence: {}", pack.licence));
        for (file, known) in &pack.files {
            console.say(format!("    {file}  sha256 {}  {}", known.sha256, known.content));
            for also in &known.also {
                console.say(format!("    or         sha256 {}  {}", also.sha256, also.content));
            }
            if let Some(limit) = &known.limit {
                console.say(format!("        limit: {limit}"));
            }
        }
        let files: Vec<_> = pack
            .files
            .iter()
            .map(|(file, known)| {
                json!({
                    "file": file, "sha256": known.sha256, "bytes": known.bytes, "address": known.address,
                    "licence": known.licence.as_ref().unwrap_or(&pack.licence), "limit": known.limit,
                    "there": pack.pack.is_none() || !missing.contains(&file),
                })
            })
            .collect();
        rows.push(json!({
            "name": name, "description": pack.description, "installed": pack.pack.is_none() || missing.is_empty(),
            "licence": pack.licence, "source": pack.source, "files": files,
        }));
    }
    console.result(&json!({ "packs": rows }));
    Ok(())
}

fn verify(store: &Store, names: &[String], console: &Console) -> Result<(), Failure> {
    let known = known_packs().map_err(Failure::input)?;
    let wanted: Vec<String> = if names.is_empty() {
        known.keys().filter(|name| store.folder(name).is_dir()).cloned().collect()
    } else {
        names.to_vec()
    };
    if names.is_empty() && wanted.is_empty() {
        console.say("no pack is installed; the embedded one is checked whenever the program is built");
    }
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for name in wanted.iter().filter(|name| *name != EMBEDDED) {
        let pack = installable(name)?;
        let mut bar = Bar::new(console, "checking");
        for (file, listed) in &pack.files {
            let mut step = |done| bar.show(file, done, listed.bytes);
            let state = store.verify(name, file, listed, &mut step).map_err(Failure::work)?;
            interrupt::check()?;
            let said = match &state {
                FileState::Good => "good".to_owned(),
                FileState::Absent => "missing".to_owned(),
                FileState::Wrong { got } => format!("has SHA-256 {got}, wanted {}", listed.sha256),
            };
            console.say(format!("{name}/{file}: {said}"));
            rows.push(json!({ "pack": name, "file": file, "good": state == FileState::Good, "said": said }));
            if state != FileState::Good {
                bad.push(format!("{name}/{file}"));
            }
        }
    }
    console.result(&json!({ "files": rows }));
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::work(format!("{} not good; remove what is wrong and `lintel packs fetch` it again", bad.join(", "))))
}

fn report(store: &Store, name: &str, brought: &[String], missing: &[String], console: &Console) {
    if missing.is_empty() {
        console.say(format!("pack {name} is installed in {}; use it with --pack {name}", store.folder(name).display()));
    }
    console.result(&json!({
        "pack": name, "folder": store.folder(name), "brought": brought, "missing": missing, "whole": missing.is_empty(),
    }));
}

fn failure(error: FetchError) -> Failure {
    match error {
        FetchError::Interrupted(_) => {
            Failure::Interrupted("interrupted; the same command goes on from what is there".into())
        }
        _ if interrupt::requested() => Failure::Interrupted("interrupted; nothing was changed".into()),
        FetchError::Pack(error @ PackError::Read { .. }) => Failure::input(error),
        other => Failure::work(other),
    }
}

/// One progress bar for each file, in MiB.
struct Bar<'c> {
    console: &'c Console,
    what: &'static str,
    open: Option<(String, u64, Progress)>,
}

impl<'c> Bar<'c> {
    fn new(console: &'c Console, what: &'static str) -> Self {
        Self { console, what, open: None }
    }

    fn show(&mut self, file: &str, done: u64, all: u64) {
        if self.open.as_ref().is_none_or(|(name, _, _)| name != file) {
            let bar = self.console.progress(self.what, all.div_ceil(STEP));
            bar.set(done / STEP);
            self.open = Some((file.to_owned(), done / STEP, bar));
        }
        let Some((name, steps, bar)) = &mut self.open else { return };
        if done / STEP < *steps {
            // The server started over.
            *steps = done / STEP;
            bar.set(*steps);
        }
        while *steps < done / STEP {
            *steps += 1;
            bar.step_with(&format!("{name}, MiB"));
        }
    }
}
