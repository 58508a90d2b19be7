//! A folder of folders → people and their photo files; one photo file → upright pixels (RGB8).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use lintel_core::frame::MAX_SIDE;
use lintel_core::table::MAX_PEOPLE;
use lintel_formats::recording::split;
use lintel_work::failure::{Failure, reason};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::people::{Name, NameError};

/// The least side of a photo, in pixels; a smaller photo has no room for a face that passes the quality gate.
pub const MIN_SIDE: u32 = 32;
/// The largest photo file that is read.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most photos of one person; more do not improve training.
pub const MAX_PHOTOS: usize = 2000;
/// A person needs one photo for training and one for checking.
pub const MIN_PHOTOS: usize = 2;
/// A one-line file in a person's folder with the name, where the folder's name cannot hold it.
pub const NAME_FILE: &str = "name.txt";

/// Files that operating systems put beside photos.
const LITTER: [&str; 2] = ["thumbs.db", "desktop.ini"];

/// One person as found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonFolder {
    /// From `name.txt`, else the folder's name.
    pub name: Name,
    /// The folder with the photos.
    pub folder: PathBuf,
    /// Every file that may be a photo, by file name.
    pub photos: Vec<PathBuf>,
}

/// Why a folder of photos cannot be used as a whole. Each variant names the folder to correct.
#[derive(Debug, thiserror::Error)]
pub enum PhotosError {
    /// The folder has no folders in it.
    #[error("{} holds no folders; make one folder per person, named after the person, with photos in it", .0.display())]
    Empty(PathBuf),
    /// There is one person only, and a table needs two to tell apart.
    #[error("{} holds photos of one person ({only}); at least two people are needed to tell apart, or --joining for a \
        table that exists", root.display())]
    OnePerson {
        /// The folder that was walked.
        root: PathBuf,
        /// Name of the only person found.
        only: Name,
    },
    /// There are more people than a table takes.
    #[error("{} holds {got} people, a table takes {MAX_PEOPLE}", root.display())]
    TooManyPeople {
        /// The folder that was walked.
        root: PathBuf,
        /// Folders found.
        got: usize,
    },
    /// A name is refused.
    #[error("{}: {error}; rename the folder or put a shorter name into {NAME_FILE} there", folder.display())]
    Name {
        /// The person's folder.
        folder: PathBuf,
        /// What is wrong with the name.
        error: NameError,
    },
    /// A folder's name is not UTF-8.
    #[error("the name of the folder {} is not UTF-8; rename it, or put the name into {NAME_FILE} there", .0.display())]
    NotUnicode(PathBuf),
    /// Two folders have names that differ only in case or Unicode form.
    #[error("{} and {} differ only in case or Unicode form; merge the folders or rename one",
        first.display(), second.display())]
    SameName {
        /// One folder.
        first: PathBuf,
        /// Path of the other folder.
        second: PathBuf,
    },
    /// A person has too few photos: one for training and one for checking are needed.
    #[error("{} holds {got} photo{}; each person needs at least {MIN_PHOTOS}",
        folder.display(), if *got == 1 { "" } else { "s" })]
    TooFewPhotos {
        /// The person's folder.
        folder: PathBuf,
        /// Photos found.
        got: usize,
    },
    /// A person has more than [`MAX_PHOTOS`] photos.
    #[error("{} holds {got} photos, at most {MAX_PHOTOS} per person are allowed", folder.display())]
    TooManyPhotos {
        /// The person's folder.
        folder: PathBuf,
        /// Photos found.
        got: usize,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}: {}", path.display(), reason(source))]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl From<PhotosError> for Failure {
    fn from(error: PhotosError) -> Self {
        Self::input(error)
    }
}

/// Why one photo cannot be used. The others still can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    /// The file is damaged, or not an image of a supported format.
    #[error("{0}")]
    Unreadable(String),
    /// The photo is larger than what is decoded; found before memory is taken for it.
    #[error("{width}x{height} px, at most {MAX_SIDE} px a side are read; scale it down")]
    TooLarge {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
    },
    /// The photo has no room for a face.
    #[error("{width}x{height} px, at least {MIN_SIDE} px a side are needed")]
    TooSmall {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
    },
}

/// The people under `root`, one folder each, sorted by name; the photos of each sorted by file name.
///
/// Hidden files are skipped. Every other file in a person's folder counts as a photo, so that an unreadable one is
/// reported and not silently missing.
///
/// # Errors
/// [`PhotosError`]; errors of single photos are not found here.
pub fn walk(root: &Path, at_least: usize) -> Result<Vec<PersonFolder>, PhotosError> {
    let mut people: BTreeMap<Name, PersonFolder> = BTreeMap::new();
    let mut folded: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        let name = name_of(&folder)?;
        if let Some(first) = folded.insert(name.folded(), folder.clone()) {
            return Err(PhotosError::SameName { first, second: folder });
        }
        let photos: Vec<PathBuf> = entries(&folder)?.into_iter().filter(|path| may_be_photo(path)).collect();
        if photos.len() > MAX_PHOTOS {
            return Err(PhotosError::TooManyPhotos { folder, got: photos.len() });
        }
        people.insert(name.clone(), PersonFolder { name, folder, photos });
    }
    match people.len() {
        0 => return Err(PhotosError::Empty(root.into())),
        1 if at_least > 1 => {
            let only = people.into_keys().next().expect("one person was counted");
            return Err(PhotosError::OnePerson { root: root.into(), only });
        }
        got if got > MAX_PEOPLE => return Err(PhotosError::TooManyPeople { root: root.into(), got }),
        _ => {}
    }
    for person in people.values() {
        if person.photos.len() < MIN_PHOTOS {
            return Err(PhotosError::TooFewPhotos { folder: person.folder.clone(), got: person.photos.len() });
        }
    }
    Ok(people.into_values().collect())
}

/// A photo's bytes, at most [`MAX_FILE_BYTES`].
///
/// # Errors
/// [`PhotoError::Unreadable`] with the operating system's error.
pub fn read(path: &Path) -> Result<Vec<u8>, PhotoError> {
    let unreadable = |error: io::Error| PhotoError::Unreadable(reason(&error));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PhotoError::Unreadable(format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    Ok(bytes)
}

/// A JPEG, PNG or WebP file → upright RGB8. The content decides the format, not the file's name. The size is checked
/// before memory is taken for the pixels. A file that ends early is an error.
///
/// # Errors
/// [`PhotoError`].
pub fn decode(bytes: &[u8]) -> Result<RgbImage, PhotoError> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => decode_jpeg(bytes),
        Ok(format @ (ImageFormat::Png | ImageFormat::WebP)) => decode_other(bytes, format),
        Ok(format) => Err(PhotoError::Unreadable(format!("{format:?} is not supported; save it as JPEG, PNG or WebP"))),
        Err(_) if bytes.is_empty() => Err(PhotoError::Unreadable("the file is empty".into())),
        Err(_) => Err(PhotoError::Unreadable("not a JPEG, PNG or WebP file".into())),
    }
}

fn decode_jpeg(bytes: &[u8]) -> Result<RgbImage, PhotoError> {
    let unreadable = |error: zune_jpeg::errors::DecodeErrors| PhotoError::Unreadable(format!("damaged JPEG: {error}"));
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    // The decoder accepts a file whose last bytes are missing. What a phone appends to the picture (a film, a depth
    // map) is a separate part, and is skipped.
    let parts = split(bytes).unwrap_or_default();
    let picture = parts.first().filter(|part| part.whole).and_then(|part| bytes.get(part.range.clone()));
    let picture = picture.ok_or_else(|| PhotoError::Unreadable("damaged JPEG: it is cut off".into()))?;
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(picture), options);
    decoder.decode_headers().map_err(unreadable)?;
    let info = decoder.info().ok_or_else(|| PhotoError::Unreadable("damaged JPEG: no header".into()))?;
    let (width, height) = check_size(info.width.into(), info.height.into())?;
    let orientation = decoder.exif().and_then(|chunk| Orientation::from_exif_chunk(chunk));
    let pixels = decoder.decode().map_err(unreadable)?;
    let image = RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| PhotoError::Unreadable("damaged JPEG: the pixels do not fill the frame".into()))?;
    Ok(upright(DynamicImage::ImageRgb8(image), orientation.unwrap_or(Orientation::NoTransforms)))
}

fn decode_other(bytes: &[u8], format: ImageFormat) -> Result<RgbImage, PhotoError> {
    let unreadable = |error: image::ImageError| PhotoError::Unreadable(format!("damaged {format:?}: {error}"));
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    check_size(width as usize, height as usize)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    Ok(upright(image, orientation))
}

fn check_size(width: usize, height: usize) -> Result<(u32, u32), PhotoError> {
    match (u32::try_from(width), u32::try_from(height)) {
        (Ok(w), Ok(h)) if w.max(h) <= MAX_SIDE && w.min(h) >= MIN_SIDE => Ok((w, h)),
        (Ok(w), Ok(h)) if w.max(h) <= MAX_SIDE => Err(PhotoError::TooSmall { width, height }),
        _ => Err(PhotoError::TooLarge { width, height }),
    }
}

fn upright(mut image: DynamicImage, orientation: Orientation) -> RgbImage {
    image.apply_orientation(orientation);
    image.into_rgb8()
}

/// The folder's entries that are not hidden, sorted by name so that the order is the same on every machine.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, PhotosError> {
    let failed = |source| PhotosError::Read { path: folder.into(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn may_be_photo(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    !path.is_dir() && name != NAME_FILE && !LITTER.contains(&name.as_str())
}

fn name_of(folder: &Path) -> Result<Name, PhotosError> {
    let file = folder.join(NAME_FILE);
    let text = match fs::metadata(&file) {
        Ok(meta) if meta.len() > 4096 => {
            return Err(PhotosError::Name {
                folder: folder.into(),
                error: NameError::TooLong { got: usize::try_from(meta.len()).unwrap_or(usize::MAX) },
            });
        }
        Ok(_) => fs::read_to_string(&file).map_err(|source| PhotosError::Read { path: file, source })?,
        Err(_) => folder
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| PhotosError::NotUnicode(folder.into()))?
            .to_owned(),
    };
    // An editor may have written a byte-order mark.
    Name::new(text.trim_start_matches('\u{feff}')).map_err(|error| PhotosError::Name { folder: folder.into(), error })
}
