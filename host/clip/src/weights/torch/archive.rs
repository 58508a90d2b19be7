//! A zip file → the pickle in it and the bytes of its storages.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::TorchError;

/// The most entries of an archive. OpenAI's RN50 has some 900, most of them TorchScript's code.
const MAX_ENTRIES: usize = 1 << 16;
/// The longest pickle, in bytes. OpenAI's RN50 has some 100 kB.
const MAX_PICKLE_BYTES: u64 = 8 << 20;
/// The entry that gives the byte order.
const BYTE_ORDER: &str = "byteorder";

/// An archive before anything is unpacked.
pub(super) struct Archive<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    /// The one folder that holds everything, with its slash.
    folder: String,
    /// Bytes of the whole file.
    pub(super) bytes: usize,
}

impl<'b> Archive<'b> {
    pub(super) fn open(bytes: &'b [u8]) -> Result<Self, TorchError> {
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if zip.len() > MAX_ENTRIES {
            return Err(TorchError::Zip(format!("it has {} entries, at most {MAX_ENTRIES} are allowed", zip.len())));
        }
        if zip.has_duplicate_names() {
            return Err(TorchError::Zip("it has two entries of one name".into()));
        }
        // Overlapping entries let a small archive unpack into a large one.
        if zip.has_overlapping_entries().map_err(damaged)? {
            return Err(TorchError::Zip("two of its entries overlap".into()));
        }
        let mut roots = Vec::new();
        for name in zip.file_names() {
            let name = name.map_err(damaged)?;
            if name.starts_with('/') || name.contains(['\\', '\0']) || name.split('/').any(|part| part == "..") {
                return Err(TorchError::Entry {
                    entry: format!("{name:?}"),
                    what: "leads out of the archive, wanted plain paths".into(),
                });
            }
            if let Some(root) = name.strip_suffix("data.pkl")
                && root.strip_suffix('/').is_some_and(|root| !root.contains('/'))
            {
                roots.push(root.to_owned());
            }
        }
        let folder = match roots.as_slice() {
            [folder] => folder.clone(),
            others => {
                let what = format!("the zip has {} files called NAME/data.pkl, wanted one", others.len());
                return Err(TorchError::Form(what));
            }
        };
        let mut archive = Self { zip, folder, bytes: bytes.len() };
        archive.check_byte_order()?;
        Ok(archive)
    }

    /// The description of the objects.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, TorchError> {
        self.unpack("data.pkl", |bytes| within(bytes, MAX_PICKLE_BYTES))
    }

    /// The bytes of a storage; an error unless there are exactly `wanted`.
    pub(super) fn storage(&mut self, key: &str, wanted: u64) -> Result<Vec<u8>, TorchError> {
        self.unpack(&format!("data/{key}"), |bytes| {
            if bytes == wanted { Ok(()) } else { Err(format!("has {bytes} bytes, its tensors want {wanted}")) }
        })
    }

    fn check_byte_order(&mut self) -> Result<(), TorchError> {
        if self.zip.index_for_name(&format!("{}{BYTE_ORDER}", self.folder)).is_none() {
            return Ok(());
        }
        let order = self.unpack(BYTE_ORDER, |bytes| within(bytes, 16))?;
        if order.trim_ascii() != b"little" {
            return Err(TorchError::Entry {
                entry: BYTE_ORDER.into(),
                what: format!("is {:?}, wanted \"little\"", String::from_utf8_lossy(&order)),
            });
        }
        Ok(())
    }

    /// A whole entry whose declared size passes `fits`.
    fn unpack(&mut self, name: &str, fits: impl Fn(u64) -> Result<(), String>) -> Result<Vec<u8>, TorchError> {
        let wrong = |what: String| TorchError::Entry { entry: name.to_owned(), what };
        let unpackable = |error: &dyn std::fmt::Display| wrong(format!("cannot be unpacked: {error}"));
        let entry = self.zip.by_name(&format!("{}{name}", self.folder)).map_err(|error| match error {
            ZipError::FileNotFound => wrong("is missing".into()),
            error => unpackable(&error),
        })?;
        let declared = entry.size();
        fits(declared).map_err(wrong)?;
        // The declared size may be wrong: memory grows with the bytes that are there, up to the declared size. One more
        // byte is asked for, because the checksum is compared at the end.
        let mut bytes = Vec::new();
        entry.take(declared.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unpackable(&error))?;
        if bytes.len() as u64 != declared {
            return Err(wrong(format!("unpacks to {} bytes or more, it declares {declared}", bytes.len())));
        }
        Ok(bytes)
    }
}

fn within(bytes: u64, most: u64) -> Result<(), String> {
    if bytes <= most { Ok(()) } else { Err(format!("has {bytes} bytes, at most {most} are allowed")) }
}

fn damaged(error: impl std::fmt::Display) -> TorchError {
    TorchError::Zip(error.to_string())
}
