//! Detector, encoder, table → the four files of a bundle.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lintel_core::align::CROP;
use lintel_core::embed::EncoderId;
use lintel_core::table::Table;
use lintel_formats::bundle::{Contents, MANIFEST, Manifest, ManifestError, Role};
use lintel_onnx::{ElementType, OnnxError, dims_of, read};

/// What a bundle is made of.
#[derive(Copy, Clone, Debug)]
pub struct BundleParts<'a> {
    /// Name of the pack that detector and encoder come from.
    pub pack: &'a str,
    /// A detector with input u8 `[1, H, W, 3]`, as [`with_u8_input`](super::with_u8_input) makes it.
    pub detector: &'a [u8],
    /// The encoder, as [`encoder_onnx`](super::encoder_onnx) makes it.
    pub encoder: &'a [u8],
    /// The table that was trained against exactly this encoder.
    pub table: &'a Table,
    /// When the bundle was made, in seconds since 1970; 0 for "not recorded".
    pub created: u64,
}

/// Why a bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The table belongs to another encoder.
    #[error("the table is for encoder {wanted}, the encoder to be shipped is {got}")]
    Encoder {
        /// The encoder at hand.
        got: EncoderId,
        /// The one that the table was trained against.
        wanted: EncoderId,
    },
    /// The detector is not a model, or does not take the input of a bundle's detector.
    #[error("detector: {0}")]
    Detector(#[from] OnnxError),
    /// A value of the manifest is out of range.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file could not be written.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Width and height of the detector's input, which must be u8 `[1, H, W, 3]` of fixed size.
///
/// # Errors
/// [`OnnxError`].
pub fn detector_input(detector: &[u8]) -> Result<[u32; 2], OnnxError> {
    let model = read(detector)?;
    let graph = model.graph.ok_or(OnnxError::NoGraph)?;
    let fed: Vec<_> =
        graph.input.iter().filter(|i| graph.initializer.iter().all(|t| t.name != i.name)).map(dims_of).collect();
    if let [Ok((ElementType::U8, dims))] = fed.as_slice()
        && let &[Some(1), Some(height), Some(width), Some(3)] = dims.as_slice()
        && let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height))
    {
        return Ok([width, height]);
    }
    Err(OnnxError::Form { what: format!("inputs are {fed:?}, wanted U8 [1, H, W, 3]") })
}

/// Writes `detector.onnx`, `encoder.onnx`, `table.lintel` and, last, `manifest.lintel` into the folder `dir`, which
/// must exist. Returns when the disk has them.
///
/// # Errors
/// [`BundleError`]. Files that were written before an error stay; the caller owns the folder.
pub fn write_bundle(dir: &Path, parts: &BundleParts) -> Result<Manifest, BundleError> {
    let id = EncoderId::of(parts.encoder);
    if id != parts.table.encoder() {
        return Err(BundleError::Encoder { got: id, wanted: parts.table.encoder() });
    }
    let files = Contents::new([
        (Role::Detector, parts.detector.to_vec()),
        (Role::Encoder, parts.encoder.to_vec()),
        (Role::Table, lintel_formats::table::to_bytes(parts.table)),
    ]);
    let manifest = Manifest {
        pack: parts.pack.to_owned(),
        revision: parts.table.revision(),
        created: parts.created,
        files: files.entries(),
        detector_input: detector_input(parts.detector)?,
        crop: CROP,
        dim: u32::try_from(parts.table.dim()).expect("a table's rows have at most 1024 components"),
        encoder: id,
    };
    // Before the first byte is written: a manifest that cannot be sealed must not leave files behind.
    let sealed = manifest.to_bytes()?;
    let of_roles = files.iter().map(|(role, content)| (role.file_name(), content));
    for (name, content) in of_roles.chain([(MANIFEST, sealed.as_slice())]) {
        let path = dir.join(name);
        let write = || {
            let mut file = fs::File::create(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(|source| BundleError::Write { path: path.clone(), source })?;
    }
    Ok(manifest)
}
