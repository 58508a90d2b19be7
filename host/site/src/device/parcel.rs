//! A bundle, a trained folder or a table → the files of a push, with the decisions that they must lead to.

use std::fs;
use std::path::Path;

use lintel_core::table::Table;
use lintel_formats::bundle::{Contents, FileEntry, MANIFEST, MAX_FILE_BYTES, Manifest, Role};
use lintel_formats::reference::{REFERENCE, Reference};
use lintel_inference::{Encoder, LoadedBundle, Options};
use lintel_work::failure::Failure;

use super::crops::reference_crops;
use crate::{Site, now};

/// By how much a device's similarity and margin may differ, as they do with half-precision providers.
pub const TOLERANCE: f32 = 0.02;

/// The input of a push.
#[derive(Debug, Clone)]
pub enum Content {
    /// A whole bundle.
    Bundle(LoadedBundle),
    /// A table alone: detector and encoder stay.
    Table {
        /// The identity table that is pushed.
        table: Table,
        /// The encoder, if the input has it.
        encoder: Option<Vec<u8>>,
    },
}

/// The files for one device.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Name and content; without models that the device keeps.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Lists the files of the bundle with sizes and hashes.
    pub manifest: Manifest,
    /// The identity table that the device will run.
    pub table: Table,
    /// All files of the push, sent or not.
    pub entries: Vec<FileEntry>,
}

impl Content {
    /// Reads the user's input: a folder that `lintel export` or `lintel train` made, or a `table.lintel`.
    ///
    /// # Errors
    /// [`Failure::Input`].
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let meta = fs::metadata(path).map_err(|e| Failure::reading(path, &e))?;
        if meta.is_dir() && path.join(MANIFEST).exists() {
            return Ok(Self::Bundle(LoadedBundle::load(path).map_err(Failure::input)?));
        }
        let (table_path, encoder_path) = if meta.is_dir() {
            (path.join(Role::Table.file_name()), Some(path.join(Role::Encoder.file_name())))
        } else {
            (path.to_owned(), None)
        };
        let bytes = bounded(&table_path)?;
        let table = lintel_formats::table::from_bytes(&bytes)
            .map_err(|e| Failure::input(format!("{}: {e}", table_path.display())))?;
        let encoder = encoder_path.filter(|path| path.exists()).map(|path| bounded(&path)).transpose()?;
        Ok(Self::Table { table, encoder })
    }

    /// The identity table of the input.
    #[must_use]
    pub fn table(&self) -> &Table {
        match self {
            Self::Bundle(LoadedBundle { table, .. }) | Self::Table { table, .. } => table,
        }
    }
}

impl Parcel {
    /// The parcel for a device that runs `running`. The table's revision becomes one that is new to the device.
    ///
    /// # Errors
    /// [`Failure`] for a table of another encoder, or if the encoder is not found.
    pub fn make(content: &Content, running: &Manifest, site: &Site, runtime: &Options) -> Result<Self, Failure> {
        let table = newer(content.table(), running)?;
        let bytes = lintel_formats::table::to_bytes(&table);
        let (manifest, models) = match content {
            Content::Bundle(bundle) => (bundle.manifest.clone(), bundle.files.clone()),
            Content::Table { encoder, .. } => {
                if table.encoder() != running.encoder {
                    return Err(Failure::input(format!(
                        "the table is for encoder {}, the device runs {}; push a bundle (`lintel export`)",
                        table.encoder(),
                        running.encoder
                    )));
                }
                let fits = |bytes: &Vec<u8>| FileEntry::of("", bytes).sha256 == running.encoder.0;
                let encoder =
                    encoder.clone().filter(fits).or_else(|| site.kept(&running.encoder.0)).ok_or_else(|| {
                        Failure::input(
                            "the encoder is needed to prove the table, and is not found: push the folder of `lintel \
                         train`, or the whole bundle once",
                        )
                    })?;
                (running.clone(), Contents::new([(Role::Encoder, encoder)]))
            }
        };
        let manifest = manifest.with(Role::Table, &bytes);
        // The bundle that already runs there is not changed by a byte, so that it keeps its slot.
        let manifest = if manifest.files == running.files && table.revision() == running.revision {
            running.clone()
        } else {
            Manifest { revision: table.revision(), created: now(), ..manifest }
        };
        let sealed = manifest.to_bytes().map_err(Failure::work)?;
        let reference = reference(&models[Role::Encoder], &table, runtime)?;
        let mut files = vec![(MANIFEST, sealed), (Role::Table.file_name(), bytes), (REFERENCE, reference)];
        let models = models.iter().filter(|(role, _)| *role != Role::Table);
        files.extend(models.map(|(role, bytes)| (role.file_name(), bytes.to_vec())));
        let mut entries: Vec<FileEntry> = files.iter().map(|(name, bytes)| FileEntry::of(name, bytes)).collect();
        let kept = manifest.files.iter().filter(|file| files.iter().all(|(sent, _)| file.name != *sent));
        entries.extend(kept.cloned());
        Ok(Self { files, manifest, table, entries })
    }

    /// A file's content, by its hash.
    #[must_use]
    pub fn content(&self, hash: &[u8; 32]) -> Option<&[u8]> {
        self.files.iter().map(|(_, bytes)| bytes.as_slice()).find(|bytes| FileEntry::of("", bytes).sha256 == *hash)
    }
}

/// The table with a revision above the device's, unless that table runs there already.
fn newer(table: &Table, running: &Manifest) -> Result<Table, Failure> {
    let bytes = lintel_formats::table::to_bytes(table);
    let same = running.file(Role::Table) == Some(&FileEntry::of(Role::Table.file_name(), &bytes));
    if same || table.revision() > running.revision {
        return Ok(table.clone());
    }
    let mut parts = table.clone().into_parts();
    parts.revision = running.revision.saturating_add(1);
    Table::new(parts).map_err(Failure::work)
}

/// The shipped crops, and the decisions of this encoder and table on them.
fn reference(encoder: &[u8], table: &Table, runtime: &Options) -> Result<Vec<u8>, Failure> {
    let mut encoder = Encoder::open(encoder, runtime).map_err(Failure::work)?;
    let made =
        Reference::make(reference_crops()?, TOLERANCE, table, |crop| encoder.embed(crop)).map_err(Failure::work)?;
    made.to_bytes().map_err(Failure::work)
}

fn bounded(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = fs::metadata(path).map_err(|e| Failure::reading(path, &e))?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(Failure::input(format!("{} has {bytes} bytes, wanted at most {MAX_FILE_BYTES}", path.display())));
    }
    fs::read(path).map_err(|e| Failure::reading(path, &e))
}
