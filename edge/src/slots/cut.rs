//! A disk that loses power after any of its operations.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::rc::Rc;

use crate::io::disk::Disk;

/// A disk in memory that loses power after n operations. What was not synced may be there, in part, or not.
#[derive(Clone)]
pub(crate) struct CutDisk(Rc<RefCell<Cut>>);

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
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(Cut { nodes: vec![folder()], left: None, done: 0 })))
    }

    /// Power for `operations` more.
    pub(crate) fn cut_after(&self, operations: Option<u32>) {
        let mut cut = self.0.borrow_mut();
        cut.left = operations;
        cut.done = 0;
    }

    pub(crate) fn operations(&self) -> u32 {
        self.0.borrow().done
    }

    /// Power comes back: synced things are there, of the others what chance kept.
    pub(crate) fn restart(&self, seed: &mut u64) {
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
