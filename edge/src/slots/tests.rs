//! The power is cut after every operation of an installation; the disk then keeps what it must and any part of the rest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::rc::Rc;

use super::disk::{Disk, RealDisk};
use super::*;

/// A disk in memory that loses power after n operations. What was not synced may be there, in part, or not.
#[derive(Clone)]
struct CutDisk(Rc<RefCell<Cut>>);

struct Cut {
    nodes: Vec<Node>,
    left: Option<u32>,
    done: u32,
}

#[derive(Clone)]
enum Node {
    File { now: Vec<u8>, durable: Vec<u8> },
    Folder { now: BTreeMap<String, usize>, durable: BTreeMap<String, usize>, pending: Vec<Change> },
}

/// A change of names in one folder that was not synced. They reach the disk in order, as on a journalling file system.
#[derive(Clone)]
enum Change {
    Named(String, usize),
    Removed(String),
    Renamed(String, String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Named(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Removed(name) => {
                names.remove(name);
            }
            Self::Renamed(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

fn folder() -> Node {
    Node::Folder { now: BTreeMap::new(), durable: BTreeMap::new(), pending: Vec::new() }
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

/// SplitMix64, for choices that repeat.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl CutDisk {
    fn new() -> Self {
        Self(Rc::new(RefCell::new(Cut { nodes: vec![folder()], left: None, done: 0 })))
    }

    /// Power for `operations` more.
    fn cut_after(&self, operations: Option<u32>) {
        let mut cut = self.0.borrow_mut();
        cut.left = operations;
        cut.done = 0;
    }

    fn operations(&self) -> u32 {
        self.0.borrow().done
    }

    /// Power comes back: synced things are there, of the others what chance kept.
    fn restart(&self, seed: &mut u64) {
        let mut cut = self.0.borrow_mut();
        cut.left = None;
        for node in &mut cut.nodes {
            match node {
                Node::File { now, durable } => {
                    if now != durable {
                        let kept = match random(seed) % 3 {
                            0 => durable.clone(),
                            1 => now.clone(),
                            _ => now[..(random(seed) as usize) % (now.len() + 1)].to_vec(),
                        };
                        (*now, *durable) = (kept.clone(), kept);
                    }
                }
                Node::Folder { now, durable, pending } => {
                    let kept = (random(seed) as usize) % (pending.len() + 1);
                    for change in &pending[..kept] {
                        change.apply(durable);
                    }
                    pending.clear();
                    *now = durable.clone();
                }
            }
        }
    }

    /// Spends one operation.
    fn power(&self) -> io::Result<()> {
        let mut cut = self.0.borrow_mut();
        if cut.left == Some(0) {
            return Err(io::Error::other("power cut"));
        }
        cut.left = cut.left.map(|left| left - 1);
        cut.done += 1;
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let cut = self.0.borrow();
        let mut at = 0;
        for part in path.components() {
            let Component::Normal(part) = part else { continue };
            let Node::Folder { now, .. } = &cut.nodes[at] else { return Err(gone()) };
            at = *now.get(part.to_str().unwrap()).ok_or_else(gone)?;
        }
        Ok(at)
    }

    fn change(&self, parent: &Path, change: Change) -> io::Result<()> {
        let at = self.find(parent)?;
        let Node::Folder { now, pending, .. } = &mut self.0.borrow_mut().nodes[at] else { return Err(gone()) };
        change.apply(now);
        pending.push(change);
        Ok(())
    }

    fn add(&self, path: &Path, node: Node) -> io::Result<()> {
        let at = {
            let mut cut = self.0.borrow_mut();
            cut.nodes.push(node);
            cut.nodes.len() - 1
        };
        self.change(path.parent().unwrap(), Change::Named(name(path), at))
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl Disk for CutDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let at = self.find(path)?;
        match &self.0.borrow().nodes[at] {
            Node::File { now, .. } => Ok(now.clone()),
            Node::Folder { .. } => Err(gone()),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.power()?;
        match self.find(path) {
            Ok(at) => {
                let Node::File { now, .. } = &mut self.0.borrow_mut().nodes[at] else { return Err(gone()) };
                *now = bytes.to_vec();
                Ok(())
            }
            Err(_) => self.add(path, Node::File { now: bytes.to_vec(), durable: Vec::new() }),
        }
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.power()?;
        let at = self.find(path)?;
        let Node::File { now, durable } = &mut self.0.borrow_mut().nodes[at] else { return Err(gone()) };
        *durable = now.clone();
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.power()?;
        let at = self.find(path)?;
        let Node::Folder { now, durable, pending } = &mut self.0.borrow_mut().nodes[at] else { return Err(gone()) };
        *durable = now.clone();
        pending.clear();
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.power()?;
        let mut so_far = std::path::PathBuf::from("/");
        for part in path.components() {
            so_far.push(part);
            if self.find(&so_far).is_err() {
                self.add(&so_far.clone(), folder())?;
            }
        }
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.power()?;
        match self.find(path) {
            Ok(_) => self.change(path.parent().unwrap(), Change::Removed(name(path))),
            Err(_) => Ok(()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.power()?;
        self.find(from)?;
        self.change(to.parent().unwrap(), Change::Renamed(name(from), name(to)))
    }
}

/// Three files that only belong together when all tell the same revision.
fn bundle(revision: &str) -> Vec<(&'static str, Vec<u8>)> {
    ["manifest.lintel", "encoder.onnx", "table.lintel"]
        .map(|name| (name, format!("{name} {revision}").into_bytes()))
        .into()
}

fn borrowed<'a>(files: &'a [(&'static str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect()
}

/// The revision of the bundle in a folder, if it is whole.
fn load(disk: &impl Disk, dir: &Path) -> Result<String, String> {
    let mut revision = None;
    for (name, _) in bundle("") {
        let bytes = disk.read(&dir.join(name)).map_err(|e| format!("{name}: {e}"))?;
        let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
        let got = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')).ok_or(format!("{name} is cut"))?;
        if got.len() != "rev-0".len() || revision.get_or_insert(got.to_owned()) != got {
            return Err(format!("{name} is of revision {got}"));
        }
    }
    revision.ok_or("no files".to_owned())
}

const STATE: &str = "/state";

fn install(disk: &CutDisk, revision: &str) -> Result<Installed, SlotError> {
    let files = bundle(revision);
    Slots::new(Path::new(STATE), disk.clone()).install(&borrowed(&files), |dir| load(disk, dir).map(drop))
}

fn current_revision(disk: &CutDisk) -> Option<Result<String, String>> {
    let slots = Slots::new(Path::new(STATE), disk.clone());
    slots.current().expect("current names a slot or is absent").map(|slot| load(disk, &slots.dir(slot)))
}

#[test]
fn power_cut_after_every_operation() {
    for chance in 0..40_u64 {
        let mut cut_after = 0;
        loop {
            let mut seed = chance;
            let disk = CutDisk::new();
            let mut old = None;
            // From nothing, and over one, two and three earlier bundles (both slots, both directions).
            for earlier in 0..chance % 4 {
                let revision = format!("rev-{earlier}");
                install(&disk, &revision).expect("with power");
                old = Some(Ok(revision));
            }
            disk.cut_after(Some(cut_after));
            let done = install(&disk, "rev-9").is_ok();
            disk.restart(&mut seed);
            let new = Some(Ok("rev-9".to_owned()));
            let found = current_revision(&disk);
            assert!(found == old || found == new, "cut after {cut_after}: found {found:?}, old {old:?}");
            if done {
                assert_eq!(found, new, "an installation that reported success is durable");
            }
            // And the next installation works, whatever the cut left behind.
            install(&disk, "rev-8").unwrap();
            assert_eq!(current_revision(&disk), Some(Ok("rev-8".to_owned())));
            if done {
                break;
            }
            cut_after += 1;
        }
        assert!(cut_after >= 12, "the cuts covered the installation: {cut_after}");
    }
}

#[test]
fn the_same_bundle_twice_writes_nothing() {
    let disk = CutDisk::new();
    let first = install(&disk, "rev-1").unwrap();
    assert!(first.changed);
    disk.cut_after(None);
    let second = install(&disk, "rev-1").unwrap();
    assert_eq!(second, Installed { changed: false, ..first });
    assert_eq!(disk.operations(), 0);
}

#[test]
fn a_copy_that_does_not_prove_itself_is_not_current() {
    let disk = CutDisk::new();
    install(&disk, "rev-1").unwrap();
    let files = bundle("rev-2");
    let slots = Slots::new(Path::new(STATE), disk.clone());
    let error = slots.install(&borrowed(&files), |_| Err("no such provider".to_owned())).unwrap_err();
    assert!(matches!(&error, SlotError::Proof { slot: Slot::B, .. }), "{error}");
    assert_eq!(current_revision(&disk), Some(Ok("rev-1".to_owned())));
}

#[test]
fn a_current_that_names_no_slot_is_refused_and_cured_by_installing() {
    let folder = tempfile::tempdir().unwrap();
    let slots = Slots::new(folder.path(), RealDisk);
    std::fs::write(folder.path().join("current"), "c").unwrap();
    let error = slots.current().unwrap_err().to_string();
    assert!(error.ends_with("holds \"c\", wanted \"a\" or \"b\": install the bundle again"), "{error}");
    let files = bundle("rev-1");
    let installed = slots.install(&borrowed(&files), |dir| load(&RealDisk, dir).map(drop)).unwrap();
    assert_eq!(slots.current().unwrap(), Some(installed.slot));
    assert_eq!(load(&RealDisk, &installed.dir), Ok("rev-1".to_owned()));
}
