//! Photos → aligned 224×224 crops of each person, and a reason for every photo that gives none.
//!
//! The faces pass the door's quality gate ([`QualityLimits`]), so that training sees the faces that the door will
//! judge.

use std::path::{Path, PathBuf};

use image::RgbImage;
use lintel_core::align::{CROP, CROP_BYTES, crop_transform, warp};
use lintel_core::detect::{Face, Faces};
use lintel_core::frame::Frame;
use lintel_core::quality::{Quality, QualityFlaw, QualityLimits, measure};
use lintel_core::time::Uptime;
use lintel_pages::picture::png_bytes;
use lintel_work::failure::Failure;
use lintel_work::outdir::{OutDir, OutdirError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::people::{Name, NameError};
use crate::photos::{self, MIN_PHOTOS, PersonFolder, PhotoError, PhotosError};

/// The index of an ingested folder.
pub const PEOPLE_FILE: &str = "people.json";
/// Raised when the meaning of [`PEOPLE_FILE`] changes.
pub const PEOPLE_FORMAT: u32 = 1;
/// A second face counts if its side is at least this part of the largest face's side. Smaller ones are passers-by or
/// portraits on a wall.
pub const COMPARABLE_SIDE: f32 = 0.5;

/// The result of `lintel ingest`: the content of `people.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct People {
    /// [`PEOPLE_FORMAT`].
    pub format: u32,
    /// SHA-256 of the detector's file, hex.
    pub detector_sha256: String,
    /// The quality gate that the crops have passed.
    pub limits: QualityLimits,
    /// Ingested people, sorted by name.
    pub people: Vec<Person>,
}

/// One person's crops and rejected photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// The name as shown and trained on.
    pub name: String,
    /// The person's folder in the output.
    pub slug: String,
    /// In the order of the photos' file names.
    pub crops: Vec<Crop>,
    /// In the order of the photos' file names.
    pub rejected: Vec<Rejected>,
}

/// One aligned face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crop {
    /// Relative to the output folder: `SLUG/000.png`, 224×224 RGB8.
    pub file: String,
    /// File name of the photo.
    pub source: String,
    /// SHA-256 of the crop's pixels (RGB8, row-major), hex.
    pub sha256: String,
    /// The detector's score.
    pub score: f32,
    /// The values that the gate measured.
    pub quality: Quality,
}

/// One photo that gave no crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// File name of the photo.
    pub source: String,
    /// Why the photo gave no crop.
    pub reason: Reason,
    /// Got and wanted.
    pub detail: String,
}

/// Why a photo gives no crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The detector found no face.
    NoFace,
    /// There is a second face of comparable size: see [`COMPARABLE_SIDE`].
    TwoFaces,
    /// The face has too few pixels.
    TooSmall,
    /// The face is out of focus or blurred by motion.
    TooBlurred,
    /// The face is in profile, or nearly.
    TurnedAway,
    /// The file is damaged, too large, or not an image.
    Unreadable,
}

impl Reason {
    /// The reason in the words of the contact sheet.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NoFace => "no face",
            Self::TwoFaces => "two faces",
            Self::TooSmall => "too small",
            Self::TooBlurred => "too blurred",
            Self::TurnedAway => "turned too far away",
            Self::Unreadable => "unreadable file",
        }
    }
}

/// Why photos cannot be ingested, or an ingested folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The folder of photos is refused as a whole.
    #[error(transparent)]
    Photos(#[from] PhotosError),
    /// Too few photos of a person are usable.
    #[error("{name} has {got} usable photo{} of {of}, at least {MIN_PHOTOS} are needed ({rejected}){others}",
        if *got == 1 { "" } else { "s" })]
    TooFewUsable {
        /// The person's name.
        name: String,
        /// Photos that gave a crop.
        got: usize,
        /// Photos that were there.
        of: usize,
        /// Why the others were rejected.
        rejected: String,
        /// How many more people have too few usable photos.
        others: String,
    },
    /// The detector failed.
    #[error("the detector failed on {}: {reason}", photo.display())]
    Detector {
        /// The photo that it was given.
        photo: PathBuf,
        /// The detector's error.
        reason: String,
    },
    /// The output folder cannot be written.
    #[error(transparent)]
    Output(#[from] OutdirError),
    /// Not a folder that `lintel ingest` wrote.
    #[error("{} is not a folder of `lintel ingest`: {reason}", folder.display())]
    NotIngested {
        /// The folder given.
        folder: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A crop differs from its entry in `people.json`.
    #[error("{} is not the crop that was ingested ({reason}); run `lintel ingest` again", file.display())]
    CropChanged {
        /// The crop.
        file: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted(Failure),
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Output(error) => error.into(),
            IngestError::Interrupted(failure) => failure,
            IngestError::Detector { .. } => Self::work(error),
            _ => Self::input(error),
        }
    }
}

/// A rejected photo, small, for the contact sheet.
#[derive(Debug, Clone)]
pub struct Thumbnail {
    /// At most [`THUMBNAIL`] px a side; `None` where the file could not be read.
    pub image: Option<RgbImage>,
}

/// Side of a rejected photo on the contact sheet.
pub const THUMBNAIL: u32 = 96;

/// One person with the pictures of the contact sheet.
pub type Sheet = Vec<Vec<Thumbnail>>;

/// Finds, judges and crops the face in every photo, and writes the crops and `people.json` into `out`.
///
/// `detect` gives the faces of a frame; `on_photo` is called after each photo and may stop the work. Returns the index,
/// and for each person the thumbnails of the rejected photos in order.
///
/// # Errors
/// [`IngestError`]; the caller then drops `out`, which leaves nothing behind.
pub fn ingest<E: std::fmt::Display>(
    people: &[PersonFolder],
    limits: &QualityLimits,
    detector_sha256: String,
    mut detect: impl FnMut(&Frame<'_>) -> Result<Faces, E>,
    mut on_photo: impl FnMut() -> Result<(), Failure>,
    out: &OutDir,
) -> Result<(People, Sheet), IngestError> {
    let mut index = People { format: PEOPLE_FORMAT, detector_sha256, limits: *limits, people: Vec::new() };
    let mut sheet = Sheet::new();
    for folder in people {
        let mut person =
            Person { name: folder.name.to_string(), slug: folder.name.slug(), crops: Vec::new(), rejected: Vec::new() };
        let mut thumbnails = Vec::new();
        for photo in &folder.photos {
            let source = photo.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mut failed = None;
            let seen = look(photo, limits, |frame| {
                detect(frame).map_err(|error| failed = Some(error.to_string())).unwrap_or_default()
            });
            if let Some(reason) = failed {
                return Err(IngestError::Detector { photo: photo.clone(), reason });
            }
            match seen {
                Ok(Found { crop, score, quality }) => {
                    let file = format!("{}/{:03}.png", person.slug, person.crops.len());
                    let sha256 = hex::encode(Sha256::digest(&crop));
                    out.write(&file, &png_bytes(&crop, CROP, CROP))?;
                    person.crops.push(Crop { file, source, sha256, score, quality });
                }
                Err(Refusal { reason, detail, thumbnail }) => {
                    person.rejected.push(Rejected { source, reason, detail });
                    thumbnails.push(Thumbnail { image: thumbnail });
                }
            }
            on_photo().map_err(IngestError::Interrupted)?;
        }
        index.people.push(person);
        sheet.push(thumbnails);
    }
    check_usable(&index)?;
    out.write_json(PEOPLE_FILE, &index)?;
    Ok((index, sheet))
}

impl People {
    /// Reads the index of a folder that `lintel ingest` wrote, with `at_least` that many people.
    ///
    /// # Errors
    /// [`IngestError::NotIngested`].
    pub fn open(folder: &Path, at_least: usize) -> Result<Self, IngestError> {
        let not = |reason: String| IngestError::NotIngested { folder: folder.into(), reason };
        let bytes = std::fs::read(folder.join(PEOPLE_FILE))
            .map_err(|error| not(format!("{PEOPLE_FILE}: {}", lintel_work::failure::reason(&error))))?;
        let people: Self = serde_json::from_slice(&bytes).map_err(|error| not(format!("{PEOPLE_FILE}: {error}")))?;
        if people.format != PEOPLE_FORMAT {
            return Err(not(format!("{PEOPLE_FILE} has format {}, wanted {PEOPLE_FORMAT}", people.format)));
        }
        for person in &people.people {
            let name = Name::new(&person.name).map_err(|error: NameError| not(error.to_string()))?;
            if name.as_str() != person.name || name.slug() != person.slug {
                return Err(not(format!("{:?} is not a name in normal form with its slug", person.name)));
            }
            for crop in &person.crops {
                let own = crop.file.strip_prefix(&person.slug).and_then(|rest| rest.strip_prefix('/'));
                if own.is_none_or(|file| file.contains('/') || file.starts_with('.')) {
                    return Err(not(format!("the crop {:?} lies outside its person's folder", crop.file)));
                }
            }
        }
        if people.people.len() < at_least {
            return Err(not(format!("it holds {} people, at least {at_least} are needed", people.people.len())));
        }
        check_usable(&people)?;
        Ok(people)
    }
}

impl Crop {
    /// The pixels, RGB8, [`CROP_BYTES`] long, checked against the index.
    ///
    /// # Errors
    /// [`IngestError::CropChanged`].
    pub fn read(&self, folder: &Path) -> Result<Vec<u8>, IngestError> {
        let file = folder.join(&self.file);
        let changed = |reason: String| IngestError::CropChanged { file: file.clone(), reason };
        let bytes = photos::read(&file).map_err(|error| changed(error.to_string()))?;
        let pixels = photos::decode(&bytes).map_err(|error| changed(error.to_string()))?.into_raw();
        if pixels.len() != CROP_BYTES || hex::encode(Sha256::digest(&pixels)) != self.sha256 {
            return Err(changed("its pixels have changed".into()));
        }
        Ok(pixels)
    }
}

struct Found {
    crop: Vec<u8>,
    score: f32,
    quality: Quality,
}

struct Refusal {
    reason: Reason,
    detail: String,
    thumbnail: Option<RgbImage>,
}

/// One photo file → its crop, or the reason why there is none.
fn look(photo: &Path, limits: &QualityLimits, detect: impl FnOnce(&Frame<'_>) -> Faces) -> Result<Found, Refusal> {
    let image = photos::read(photo).and_then(|bytes| photos::decode(&bytes)).map_err(|error| Refusal {
        reason: if matches!(error, PhotoError::TooSmall { .. }) { Reason::TooSmall } else { Reason::Unreadable },
        detail: error.to_string(),
        thumbnail: None,
    })?;
    let refuse = |reason, detail: String| Refusal { reason, detail, thumbnail: Some(thumbnail(&image)) };
    let frame = Frame::rgb8(image.as_raw(), image.width(), image.height(), Uptime::ZERO)
        .map_err(|error| refuse(Reason::Unreadable, error.to_string()))?;
    let faces = detect(&frame);
    let face = pick(&faces).map_err(|(reason, detail)| refuse(reason, detail))?;
    let transform = crop_transform(&face.landmarks).map_err(|error| refuse(Reason::TurnedAway, error.to_string()))?;
    let mut crop = vec![0; CROP_BYTES];
    warp(&frame, &transform, &mut crop);
    let quality = measure(face, &crop);
    limits.check(&quality).map_err(|flaw| {
        let reason = match flaw {
            QualityFlaw::TooSmall { .. } => Reason::TooSmall,
            QualityFlaw::TooBlurred { .. } => Reason::TooBlurred,
            QualityFlaw::TurnedAway { .. } => Reason::TurnedAway,
        };
        refuse(reason, flaw.to_string())
    })?;
    Ok(Found { crop, score: face.score, quality })
}

/// The one face that the photo shows.
fn pick(faces: &[Face]) -> Result<&Face, (Reason, String)> {
    let side = |face: &Face| face.bbox.area().max(0.0).sqrt();
    let largest = faces.iter().max_by(|a, b| side(a).total_cmp(&side(b)));
    let largest = largest.ok_or((Reason::NoFace, "the detector found no face".to_owned()))?;
    let threshold = side(largest) * COMPARABLE_SIDE;
    let comparable = faces.iter().filter(|face| side(face) >= threshold).count();
    if comparable > 1 {
        return Err((Reason::TwoFaces, format!("{comparable} faces of comparable size")));
    }
    Ok(largest)
}

fn check_usable(index: &People) -> Result<(), IngestError> {
    let mut short = index.people.iter().filter(|person| person.crops.len() < MIN_PHOTOS);
    let Some(person) = short.next() else { return Ok(()) };
    let others = short.count();
    let rejected: Vec<String> =
        person.rejected.iter().take(3).map(|photo| format!("{}: {}", photo.source, photo.reason.text())).collect();
    Err(IngestError::TooFewUsable {
        name: person.name.clone(),
        got: person.crops.len(),
        of: person.crops.len() + person.rejected.len(),
        rejected: if rejected.is_empty() { "no other photos".into() } else { rejected.join(", ") },
        others: if others == 0 { String::new() } else { format!("; the same holds for {others} more") },
    })
}

fn thumbnail(image: &RgbImage) -> RgbImage {
    let scale = f64::from(THUMBNAIL) / f64::from(image.width().max(image.height()));
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, THUMBNAIL);
    image::imageops::thumbnail(image, side(image.width()), side(image.height()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_core::geometry::{Point, Rect};

    fn face(side: f32) -> Face {
        Face { bbox: Rect::new(0.0, 0.0, side, side), score: 0.9, landmarks: [Point::default(); 5] }
    }

    #[test]
    fn the_photo_is_of_the_largest_face_unless_another_is_comparable() {
        fn check(sides: &[f32], expected: Result<f32, Reason>) {
            let faces: Vec<Face> = sides.iter().map(|&side| face(side)).collect();
            let got = pick(&faces).map(|face| face.bbox.width()).map_err(|(reason, _)| reason);
            assert_eq!(got, expected, "{sides:?}");
        }
        check(&[], Err(Reason::NoFace));
        check(&[80.0], Ok(80.0));
        check(&[30.0, 80.0, 39.0], Ok(80.0));
        check(&[80.0, 41.0], Err(Reason::TwoFaces));
    }
}
