//! Which packs there are; one brought from its addresses or from a folder, checked, or made of an encoder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lintel_inference::{Encoder, Options};
use lintel_onnx::{Preprocessing, graft};
use lintel_packs::{
    Added, EMBEDDED, FetchError, FileState, KnownPack, Naming, Pack, PackError, Source, Standing, Store, compose,
    known_packs,
};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir};
use lintel_work::progress::{Progress, Work};

use super::{Output, existing_folder, runtime};

/// Bytes of one step of a transfer.
const STEP: u64 = 1 << 20;

/// Which model pack to work with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackChoice {
    /// The name of an installed pack, or a folder with one; `None`: the pack that is part of the program.
    pub pack: Option<PathBuf>,
    /// Accepts the limits that the pack's licences set; they are remembered.
    pub accept_licence: bool,
}

/// What to do about packs.
#[derive(Debug, Clone)]
pub enum Request {
    /// Say which packs are known, and which are installed.
    List,
    /// Bring a known pack from its addresses.
    Fetch {
        /// The pack's name.
        name: String,
        /// Another place for its files than the published ones.
        mirror: Option<String>,
        /// Accepts the pack's limits.
        accept_licence: bool,
        /// No network may be used: refused.
        offline: bool,
    },
    /// Bring a known pack from a folder.
    Add {
        /// The pack's name.
        name: String,
        /// The folder with its files, under any names.
        from: PathBuf,
        /// Accepts the pack's limits.
        accept_licence: bool,
    },
    /// Hash the files of installed packs again.
    Verify {
        /// The packs' names; empty: all that are installed.
        names: Vec<String>,
    },
    /// Make a pack of an image encoder.
    Compose {
        /// The encoder, ONNX.
        encoder: PathBuf,
        /// What it wants of pixels.
        preprocessing: Preprocessing,
        /// The pack's name and the encoder's licence.
        naming: Naming,
        /// The folder to make.
        output: Output,
        /// Whose detector and text encoder it gets.
        pack: PackChoice,
    },
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The known packs.
    List(Vec<ListedPack>),
    /// A pack was brought, perhaps not whole.
    Brought(Brought),
    /// What hashing found.
    Verified(Vec<CheckedFile>),
    /// A pack was made.
    Composed {
        /// Its folder.
        out: PathBuf,
        /// Name of the new pack.
        name: String,
        /// Components of an embedding.
        dim: usize,
    },
}

/// A known pack.
#[derive(Debug, Clone)]
pub struct ListedPack {
    /// What `--pack` takes.
    pub name: String,
    /// Description, licence, files with hash and size.
    pub known: KnownPack,
    /// Where it is installed, or would be.
    pub folder: PathBuf,
    /// Files that are not there; none are missing of the pack that is part of the program.
    pub missing: Vec<String>,
}

/// A pack that was brought.
#[derive(Debug, Clone)]
pub struct Brought {
    /// What `--pack` takes.
    pub name: String,
    /// Where it is installed.
    pub folder: PathBuf,
    /// Files that were fetched, or that are there now.
    pub files: Vec<String>,
    /// The folder that they were looked for in, and where each was found; nowhere: it was there before.
    pub from: Option<(PathBuf, BTreeMap<String, Option<PathBuf>>)>,
    /// Files that are still missing.
    pub missing: Vec<String>,
}

/// A file of an installed pack that was hashed.
#[derive(Debug, Clone)]
pub struct CheckedFile {
    /// The pack's name.
    pub pack: String,
    /// The file's name.
    pub file: String,
    /// The SHA-256 that is wanted, hexadecimal.
    pub wanted: String,
    /// What was found.
    pub state: FileState,
}

/// Does it.
///
/// # Errors
/// [`Failure`]; files that were brought before it stay.
pub fn run(request: &Request, options: &Options, progress: Progress<'_>) -> Result<Outcome, Failure> {
    let store = Store::of_user().map_err(Failure::input)?;
    match request {
        Request::List => list(&store).map(Outcome::List),
        Request::Fetch { name, mirror, accept_licence, offline } => {
            let pack = installable(name)?;
            agreed(&store, name, &pack, *accept_licence)?;
            if *offline {
                let what = "--offline forbids fetching; `lintel packs add --from DIR` takes the files from a folder";
                return Err(Failure::input(what));
            }
            let source = mirror.clone().map_or(Source::Published, Source::Mirror);
            let mut transfer = Transfer::new(progress, "fetching");
            let fetched = lintel_packs::fetch(&store, name, &pack, &source, &mut |file, done, all| {
                transfer.at(file, done, all);
            });
            drop(transfer);
            let files = fetched.map_err(failure)?;
            let (name, folder) = (name.clone(), store.folder(name));
            Ok(Outcome::Brought(Brought { name, folder, files, from: None, missing: Vec::new() }))
        }
        Request::Add { name, from, accept_licence } => {
            existing_folder(from)?;
            let pack = installable(name)?;
            agreed(&store, name, &pack, *accept_licence)?;
            let added = lintel_packs::add(&store, name, &pack, from, &mut |_| {}).map_err(failure)?;
            let Added { files: found, missing } = added;
            let files = found.keys().cloned().collect();
            let (name, folder) = (name.clone(), store.folder(name));
            Ok(Outcome::Brought(Brought { name, folder, files, from: Some((from.clone(), found)), missing }))
        }
        Request::Verify { names } => verify(&store, names, progress).map(Outcome::Verified),
        Request::Compose { encoder, preprocessing, naming, output, pack } => {
            composed(encoder, preprocessing, naming, output, &open(pack)?, options)
        }
    }
}

/// The chosen pack, once its limits are accepted.
///
/// # Errors
/// [`Failure::Input`] when there is none, it is not whole, or its limits were not accepted.
pub fn open(choice: &PackChoice) -> Result<Pack, Failure> {
    if choice.pack.is_none() {
        return Pack::embedded().map_err(Failure::input);
    }
    let store = Store::of_user().map_err(Failure::input)?;
    let pack = Pack::find(choice.pack.as_deref(), &store).map_err(Failure::input)?;
    if pack.standing == Standing::Listed
        && let Some(known) = known_packs().map_err(Failure::input)?.get(&pack.about.name)
    {
        agreed(&store, &pack.about.name, known, choice.accept_licence)?;
    }
    Ok(pack)
}

/// Limits that somebody must accept before a pack is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The pack's name.
    pub pack: String,
    /// One limit for each line.
    pub lines: Vec<String>,
}

/// The limits of the chosen pack that were not accepted yet; the console asks a person.
///
/// # Errors
/// [`Failure::Input`] when there is no such pack.
pub fn limits_of_choice(choice: &PackChoice) -> Result<Option<Limits>, Failure> {
    if choice.pack.is_none() {
        return Ok(None);
    }
    let store = Store::of_user().map_err(Failure::input)?;
    let pack = Pack::find(choice.pack.as_deref(), &store).map_err(Failure::input)?;
    match known_packs().map_err(Failure::input)?.get(&pack.about.name) {
        Some(known) if pack.standing == Standing::Listed => Ok(open_limits(&store, &pack.about.name, known)),
        _ => Ok(None),
    }
}

/// The limits of the known pack called `name` that were not accepted yet.
///
/// # Errors
/// [`Failure::Input`] when no pack is called so.
pub fn limits_of_known(name: &str) -> Result<Option<Limits>, Failure> {
    let store = Store::of_user().map_err(Failure::input)?;
    Ok(open_limits(&store, name, &installable(name)?))
}

fn open_limits(store: &Store, name: &str, pack: &KnownPack) -> Option<Limits> {
    let lines = pack.limits();
    (!store.accepted(name, &lines)).then(|| Limits { pack: name.to_owned(), lines })
}

/// Remembers that the limits are accepted, or refuses.
fn agreed(store: &Store, name: &str, pack: &KnownPack, accept: bool) -> Result<(), Failure> {
    let Some(limits) = open_limits(store, name, pack) else { return Ok(()) };
    if !accept {
        return Err(Failure::input(format!("the limits of pack {name} must be accepted first: add --accept-licence")));
    }
    store.accept(name, &limits.lines).map_err(Failure::work)
}

fn composed(
    file: &Path,
    preprocessing: &Preprocessing,
    naming: &Naming,
    output: &Output,
    from: &Pack,
    options: &Options,
) -> Result<Outcome, Failure> {
    if known_packs().map_err(Failure::input)?.contains_key(&naming.name) {
        return Err(Failure::input(format!("{} is the name of a known pack; give another --name", naming.name)));
    }
    let out = OutDir::take(&output.folder, Kind::Pack, output.force, &[])?;
    runtime::find(options)?;
    let (onnx, dim) = grafted(file, preprocessing, options)?;
    for (name, bytes) in compose(from, onnx, dim, naming).map_err(Failure::input)? {
        out.write(name, &bytes)?;
    }
    let out = out.finish()?;
    Pack::open(Some(&out)).map_err(Failure::work)?;
    Ok(Outcome::Composed { out, name: naming.name.clone(), dim })
}

/// A face encoder in the form of bundles, tried, and how many components its embeddings have.
///
/// # Errors
/// [`Failure::Input`] in one line, with the file's name.
pub fn grafted(file: &Path, preprocessing: &Preprocessing, options: &Options) -> Result<(Vec<u8>, usize), Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::reading(file, &error))?;
    let refuse = |error: &dyn std::fmt::Display| Failure::input(format!("{}: {error}", file.display()));
    let onnx = graft(&bytes, preprocessing).map_err(|error| refuse(&error))?;
    let dim = Encoder::open(&onnx, options).map_err(|error| refuse(&error))?.dim();
    Ok((onnx, dim))
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

fn list(store: &Store) -> Result<Vec<ListedPack>, Failure> {
    let listed = |(name, known): (String, KnownPack)| {
        let installable = known.pack.is_some();
        let absent = |(file, listed): &(&String, &_)| installable && !store.has(&name, file, listed);
        let missing = known.files.iter().filter(absent).map(|(file, _)| file.clone()).collect();
        ListedPack { folder: store.folder(&name), missing, name, known }
    };
    Ok(known_packs().map_err(Failure::input)?.into_iter().map(listed).collect())
}

fn verify(store: &Store, names: &[String], progress: Progress<'_>) -> Result<Vec<CheckedFile>, Failure> {
    let known = known_packs().map_err(Failure::input)?;
    let wanted: Vec<String> = if names.is_empty() {
        known.keys().filter(|name| store.folder(name).is_dir()).cloned().collect()
    } else {
        names.to_vec()
    };
    let mut checked = Vec::new();
    for name in wanted.iter().filter(|name| *name != EMBEDDED) {
        let pack = installable(name)?;
        let mut transfer = Transfer::new(progress, "checking");
        for (file, listed) in &pack.files {
            let mut step = |done| transfer.at(file, done, listed.bytes);
            let state = store.verify(name, file, listed, &mut step).map_err(Failure::work)?;
            interrupt::check()?;
            checked.push(CheckedFile { pack: name.clone(), file: file.clone(), wanted: listed.sha256.clone(), state });
        }
    }
    Ok(checked)
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

/// Files that are read one after another, a piece of work each, in MiB.
struct Transfer<'a> {
    progress: Progress<'a>,
    what: &'static str,
    open: Option<(String, u64, Work<'a>)>,
}

impl<'a> Transfer<'a> {
    fn new(progress: Progress<'a>, what: &'static str) -> Self {
        Self { progress, what, open: None }
    }

    fn at(&mut self, file: &str, done: u64, all: u64) {
        let done = done / STEP;
        match &mut self.open {
            Some((name, steps, work)) if name == file => {
                if *steps != done {
                    *steps = done;
                    work.set_with(done, &format!("{name}, MiB"));
                }
            }
            _ => {
                self.open = None;
                let work = self.progress.begin(self.what, all.div_ceil(STEP));
                work.set(done);
                self.open = Some((file.to_owned(), done, work));
            }
        }
    }
}
