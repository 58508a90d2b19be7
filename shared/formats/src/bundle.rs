//! What a bundle promises: its files with sizes and hashes, shapes, the encoder, the pack it came from.
//!
//! A bundle is a folder: one file for each [`Role`], and the manifest that seals them. The inference crate reads the
//! folder.

mod role;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::envelope::{self, EnvelopeError};
use lintel_core::align::CROP;
use lintel_core::detect::check_input;
use lintel_core::embed::{EncoderId, MAX_DIM};

pub use role::{Contents, FileEntry, Role};

/// The manifest's file name.
pub const MANIFEST: &str = "manifest.lintel";
/// Largest manifest, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 << 10;
/// Largest file of a bundle, in bytes, whatever its role.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// Longest name of a pack, in bytes.
pub const MAX_PACK_NAME: usize = 64;

/// The manifest format's version; a reader refuses every other.
pub const VERSION: u16 = 1;
const MAGIC: [u8; 8] = *b"LNTLBNDL";

/// The names of the files that a bundle may have: those of the roles, and the manifest's last.
pub fn file_names() -> impl Iterator<Item = &'static str> {
    Role::ALL.into_iter().map(Role::file_name).chain([MANIFEST])
}

/// What the bundle's other files must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the model pack, 1 to [`MAX_PACK_NAME`] bytes.
    pub pack: String,
    /// Revision of the identity table: the greater, the newer.
    pub revision: u64,
    /// When the bundle was made, in seconds since 1970 by the host's clock; 0 when unknown. For people to read.
    pub created: u64,
    /// The bundle's files, in the order of [`Role::ALL`].
    pub files: Vec<FileEntry>,
    /// Width and height that the detector looks at, in pixels.
    pub detector_input: [u32; 2],
    /// Width and height of the crops that the encoder looks at, in pixels.
    pub crop: u32,
    /// Components of an embedding.
    pub dim: u32,
    /// Which encoder the identity table was trained against: the SHA-256 of `encoder.onnx`.
    pub encoder: EncoderId,
}

/// Why bytes or values are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// Not a manifest file, of another version, cut off or damaged.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The body is not a manifest.
    #[error("manifest body cannot be read: {0}")]
    Body(postcard::Error),
    /// More bytes than a manifest has.
    #[error("manifest has {0} bytes after its end")]
    Trailing(usize),
    /// Other files than a bundle has.
    #[error("manifest lists file {index} as {got:?}, wanted {wanted:?}")]
    Files {
        /// Place in the list, from 0.
        index: usize,
        /// Name that was found, shortened; empty where the list ends early.
        got: String,
        /// Name that belongs there; empty where the list should have ended.
        wanted: &'static str,
    },
    /// A file is empty or too large.
    #[error("manifest gives {} {got} bytes, wanted 1 to {}", .role.file_name(), .role.max_bytes())]
    FileSize {
        /// Which file.
        role: Role,
        /// Size that was found.
        got: u64,
    },
    /// The pack's name is empty, too long, or not printable.
    #[error("manifest's pack name has {got} bytes or is not printable, wanted 1 to {MAX_PACK_NAME}")]
    PackName {
        /// Bytes of the name.
        got: usize,
    },
    /// Shapes that this program cannot serve.
    #[error("manifest's {what} is {got:?}, wanted {wanted}")]
    Shape {
        /// Which shape.
        what: &'static str,
        /// What was found.
        got: [u32; 2],
        /// What is possible.
        wanted: &'static str,
    },
    /// The encoder that the table belongs to is not the encoder in the bundle.
    #[error("manifest is for encoder {wanted}, its encoder.onnx is {got}")]
    Encoder {
        /// Hash of the encoder in the list of files.
        got: EncoderId,
        /// The encoder that the manifest is for.
        wanted: EncoderId,
    },
}

impl Manifest {
    /// Checks all values, and seals them into a file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let body = postcard::to_allocvec(self).map_err(ManifestError::Body)?;
        Ok(envelope::seal(MAGIC, VERSION, &body))
    }

    /// Reads a file of at most [`MAX_MANIFEST_BYTES`], and checks all values.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let body = envelope::open(MAGIC, VERSION, MAX_MANIFEST_BYTES, bytes)?;
        let (manifest, rest) = postcard::take_from_bytes::<Self>(body).map_err(ManifestError::Body)?;
        if !rest.is_empty() {
            return Err(ManifestError::Trailing(rest.len()));
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// The entry of a role's file; `None` where the bundle has no such file.
    #[must_use]
    pub fn file(&self, role: Role) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == role.file_name())
    }

    /// This manifest with another content in a role's file.
    #[must_use]
    pub fn with(mut self, role: Role, content: &[u8]) -> Self {
        for file in self.files.iter_mut().filter(|file| file.name == role.file_name()) {
            *file = FileEntry::of(role.file_name(), content);
        }
        self
    }

    fn check(&self) -> Result<(), ManifestError> {
        let printable = !self.pack.chars().any(char::is_control);
        if !(1..=MAX_PACK_NAME).contains(&self.pack.len()) || !printable {
            return Err(ManifestError::PackName { got: self.pack.len() });
        }
        self.check_files()?;
        let [width, height] = self.detector_input;
        let shape = |what, got, wanted| Err(ManifestError::Shape { what, got, wanted });
        if check_input((width, height)).is_err() {
            return shape("detector input", [width, height], "multiples of 32 from 32 to 8192");
        }
        if self.crop != CROP {
            return shape("crop", [self.crop; 2], "[224, 224]");
        }
        if !(1..=MAX_DIM as u32).contains(&self.dim) {
            return shape("embedding", [1, self.dim], "[1, 1] to [1, 1024]");
        }
        // It is there: it is required.
        let got = EncoderId(self.file(Role::Encoder).map_or([0; 32], |file| file.sha256));
        if got == self.encoder { Ok(()) } else { Err(ManifestError::Encoder { got, wanted: self.encoder }) }
    }

    /// Each role's file at most once, in the order of the roles, and nothing else.
    fn check_files(&self) -> Result<(), ManifestError> {
        let mut listed = self.files.iter().enumerate().peekable();
        let differs = |index, name: &str, wanted| {
            Err(ManifestError::Files { index, got: name.chars().take(32).collect(), wanted })
        };
        for role in Role::ALL {
            match listed.next_if(|(_, file)| file.name == role.file_name()) {
                Some((_, file)) if (1..=role.max_bytes()).contains(&file.bytes) => {}
                Some((_, file)) => return Err(ManifestError::FileSize { role, got: file.bytes }),
                None if role.is_required() => {
                    let (index, name) = listed.peek().map_or((self.files.len(), ""), |(at, file)| (*at, &file.name));
                    return differs(index, name, role.file_name());
                }
                None => {}
            }
        }
        listed.next().map_or(Ok(()), |(index, file)| differs(index, &file.name, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let content = |role| match role {
            Role::Detector => b"detector".to_vec(),
            Role::Encoder => b"encoder".to_vec(),
            Role::Table => b"table".to_vec(),
        };
        let files = Contents::new(Role::ALL.map(|role| (role, content(role)))).entries();
        let encoder = EncoderId::of(b"encoder");
        let pack = "mini".into();
        Manifest { pack, revision: 7, created: 0, files, detector_input: [640, 480], crop: 224, dim: 256, encoder }
    }

    #[test]
    fn bytes_are_frozen() {
        let bytes = manifest().to_bytes().expect("a valid manifest");
        // Magic, version 1, body length; then "mini", revision 7, created 0, three files.
        let start = b"LNTLBNDL\x01\x00\xbb\x00\x00\x00\x00\x00\x00\x00\x04mini\x07\x00\x03\x0ddetector.onnx\x08";
        assert_eq!(&bytes[..start.len()], start);
        let body = &bytes[18..bytes.len() - 32];
        assert_eq!(&body[body.len() - 40..body.len() - 32], b"\x80\x05\xe0\x03\xe0\x01\x80\x02");
        assert_eq!(body[body.len() - 32..], EncoderId::of(b"encoder").0);
        assert_eq!(Manifest::from_bytes(&bytes), Ok(manifest()));
    }

    #[test]
    fn impossible_values_are_refused_both_ways() {
        let check = |change: &dyn Fn(&mut Manifest), expected: ManifestError| {
            let mut changed = manifest();
            change(&mut changed);
            assert_eq!(changed.to_bytes(), Err(expected.clone()));
            let body = postcard::to_allocvec(&changed).expect("plain data");
            assert_eq!(Manifest::from_bytes(&envelope::seal(MAGIC, VERSION, &body)), Err(expected));
        };
        let file = |index, got: &str, wanted| ManifestError::Files { index, got: got.into(), wanted };
        let shape = |what, got, wanted| ManifestError::Shape { what, got, wanted };
        check(&|m| m.pack.clear(), ManifestError::PackName { got: 0 });
        check(&|m| m.pack = "x".repeat(65), ManifestError::PackName { got: 65 });
        check(&|m| m.pack = "a\nb".into(), ManifestError::PackName { got: 3 });
        check(&|m| drop(m.files.pop()), file(2, "", "table.lintel"));
        check(&|m| m.files.swap(0, 1), file(0, "encoder.onnx", "detector.onnx"));
        check(&|m| m.files.push(FileEntry::of("x", b"x")), file(3, "x", ""));
        check(&|m| m.files.push(FileEntry::of("", b"x")), file(3, "", ""));
        check(&|m| m.files[2].name = "../../table.lintel".into(), file(2, "../../table.lintel", "table.lintel"));
        check(&|m| m.files.insert(1, m.files[0].clone()), file(1, "detector.onnx", "encoder.onnx"));
        check(&|m| m.files[2].bytes = 0, ManifestError::FileSize { role: Role::Table, got: 0 });
        check(&|m| m.files[0].bytes = u64::MAX, ManifestError::FileSize { role: Role::Detector, got: u64::MAX });
        let sides = "multiples of 32 from 32 to 8192";
        check(&|m| m.detector_input = [0, 480], shape("detector input", [0, 480], sides));
        check(&|m| m.detector_input = [640, 470], shape("detector input", [640, 470], sides));
        check(&|m| m.crop = 112, shape("crop", [112, 112], "[224, 224]"));
        check(&|m| m.dim = 0, shape("embedding", [1, 0], "[1, 1] to [1, 1024]"));
        check(&|m| m.dim = 1025, shape("embedding", [1, 1025], "[1, 1] to [1, 1024]"));
        let (got, wanted) = (EncoderId::of(b"encoder"), EncoderId([9; 32]));
        check(&|m| m.encoder = wanted, ManifestError::Encoder { got, wanted });
    }

    #[test]
    fn a_changed_byte_anywhere_is_refused() {
        let bytes = manifest().to_bytes().expect("a valid manifest");
        for i in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[i] ^= 0x10;
            assert!(Manifest::from_bytes(&changed).is_err(), "byte {i}");
            assert!(Manifest::from_bytes(&bytes[..i]).is_err(), "cut at {i}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Manifest::from_bytes(&body);
            let _ = Manifest::from_bytes(&envelope::seal(MAGIC, VERSION, &body));
        }
    }

    #[test]
    fn absurd_lengths_and_trailing_bytes_are_refused() {
        // A string, and a list, of 2⁶³ bytes in a body of a few.
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        for prefix in [&b""[..], b"\x04mini\x07\x00"] {
            let sealed = envelope::seal(MAGIC, VERSION, &[prefix, &huge].concat());
            assert!(matches!(Manifest::from_bytes(&sealed), Err(ManifestError::Body(_))));
        }
        let mut body = postcard::to_allocvec(&manifest()).expect("plain data");
        body.extend(b"more");
        let sealed = envelope::seal(MAGIC, VERSION, &body);
        assert_eq!(Manifest::from_bytes(&sealed), Err(ManifestError::Trailing(4)));
    }
}
