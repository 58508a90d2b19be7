//! People's seeds → aligned crops (RGB8, 112×112), rendered once and cached in a folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use lintel_core::align::{CROP, CROP_BYTES, crop_transform, warp};
use lintel_core::frame::Frame;
use lintel_core::geometry::Point;
use lintel_core::time::Uptime;
use lintel_faces::{Camera, Light, Person, Picture, Pose, photo_scene, render};
use rayon::prelude::*;

use crate::augment::{CACHED, CACHED_BYTES};
use crate::rng::Rng;
use crate::schedule::bar;

/// First seed of the people the encoder trains on. People who are shown or tested on have lower seeds.
pub const TRAIN_PEOPLE: u64 = 1_000_000;
/// First seed of the further people that it trains on.
pub const MORE_PEOPLE: u64 = 1_100_000;
/// First seed of the people that it is tested on.
pub const HELD_OUT_PEOPLE: u64 = 900_000;
/// Standard deviation of a detector's landmark error, relative to the inter-ocular distance.
const LANDMARK_ERROR: f32 = 0.025;

/// Number of people whose glasses, if they have any, others may wear.
const LENDERS: usize = 10_000;
/// People whose crops are rendered at once.
const AT_ONCE: usize = 128;

/// Crops of `people` people, `each` per person, one person after the other. They stay in their file, because they may
/// need more than memory.
pub struct Crops {
    file: File,
    len: usize,
    each: usize,
}

/// Whose glasses people wear in every other crop, so that glasses do not become part of the identity; in the others
/// they wear none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Glasses {
    /// Their own, if they have any
    Own,
    /// Anybody's, another pair each time, even if they have none
    Anybodys,
}

/// The person in crop `number`, with or without glasses.
pub fn wearing(person: u64, number: u64, glasses: Glasses) -> Person {
    let mut worn = Person::from_seed(person);
    if !number.is_multiple_of(2) {
        worn.glasses = None;
    } else if glasses == Glasses::Anybodys {
        let mut rng = Rng::new(person.wrapping_mul(2003) ^ (number << 40) ^ 0x6A55);
        worn.glasses = loop {
            let lender = Person::from_seed(MORE_PEOPLE + rng.below(LENDERS) as u64);
            if let Some(pair) = lender.glasses {
                // The scale is the distance between the eyes.
                let half_width = pair.half_width.min(worn.shape.eye_x - 0.35);
                break Some(lintel_faces::Glasses { half_width, ..pair });
            }
        };
    }
    worn
}

/// One crop of one person, with any light, pose, expression, camera and size that occurs at a door.
pub fn crop(person: u64, number: u64, glasses: Glasses) -> Result<Vec<u8>> {
    let mut rng = Rng::new(person.wrapping_mul(1009) ^ (number << 40) ^ 0xC409);
    let width = rng.log_range(55.0, 150.0);
    let side = (width * 2.1) as u32;
    let mut scene = photo_scene(person, number, [side, side]);
    let face = &mut scene.faces[0];
    face.face_width_px = width;
    face.centre_px = [side as f32 / 2.0; 2];
    face.distance_cm = rng.range(50.0, 300.0);
    face.pose = Pose {
        yaw: (rng.normal() * 14.0).clamp(-42.0, 42.0),
        pitch: (rng.normal() * 7.0).clamp(-22.0, 22.0),
        roll: (rng.normal() * 6.0).clamp(-18.0, 18.0),
    };
    face.person = wearing(person, number, glasses);
    face.wears_glasses = true;
    scene.light = Light::indoor(rng.next(), rng.range(0.2, 0.9));
    scene.camera = Camera::everyday(rng.next(), rng.range(0.1, 0.7));
    let picture = render(&scene);
    aligned(&picture, &mut rng)
}

fn aligned(picture: &Picture, rng: &mut Rng) -> Result<Vec<u8>> {
    let truth = picture.truth.first().ok_or_else(|| anyhow!("the rendered portrait has no face"))?;
    let [a, b, ..] = truth.landmarks;
    let apart = ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt().max(4.0);
    // `lintel-faces` puts (0, 0) at a pixel's corner, the product at its centre.
    let landmarks = truth.landmarks.map(|[x, y]| Point {
        x: x - 0.5 + rng.normal() * LANDMARK_ERROR * apart,
        y: y - 0.5 + rng.normal() * LANDMARK_ERROR * apart,
    });
    let frame = Frame::rgb8(&picture.rgb, picture.width, picture.height, Uptime::ZERO)?;
    let transform = crop_transform(&landmarks)?;
    let mut full = vec![0u8; CROP_BYTES];
    warp(&frame, &transform, &mut full);
    Ok(halved(&full))
}

/// 224×224 → 112×112 by averaging 2×2 pixels, as the exported encoder does first.
pub fn halved(full: &[u8]) -> Vec<u8> {
    let row = CROP as usize * 3;
    let mut out = Vec::with_capacity(CACHED_BYTES);
    for y in 0..CACHED {
        for x in 0..CACHED {
            for c in 0..3 {
                let at = 2 * y * row + 6 * x + c;
                let sum: u32 = [0, 3, row, row + 3].iter().map(|o| u32::from(full[at + o])).sum();
                out.push(((sum + 2) / 4) as u8);
            }
        }
    }
    out
}

/// Renders `each` crops of the people `first..first + people` into `file`, unless it is complete; continues an
/// interrupted run.
pub fn render_all(file: &Path, first: u64, people: usize, each: usize, glasses: Glasses) -> Result<()> {
    ensure!(people > 0 && each > 0, "{people} people with {each} crops each, wanted at least one of both");
    let of_one = each * CACHED_BYTES;
    if fs::metadata(file).is_ok_and(|found| found.len() == (people * of_one) as u64) {
        return Ok(());
    }
    let partial = file.with_extension(format!("{each}.partial"));
    let out = File::options().create(true).write(true).truncate(false).open(&partial)?;
    let done = (out.metadata()?.len() as usize / of_one / AT_ONCE * AT_ONCE).min(people);
    out.set_len((done * of_one) as u64)?;
    let mut out = BufWriter::new(out);
    out.seek(SeekFrom::End(0))?;
    let progress = bar(people, done, "crops");
    let seeds: Vec<u64> = (done..people).map(|i| first + i as u64).collect();
    for chunk in seeds.chunks(AT_ONCE) {
        let rows: Vec<Vec<Vec<u8>>> = chunk
            .par_iter()
            .map(|&person| (0..each as u64).map(|n| crop(person, n, glasses)).collect::<Result<_>>())
            .collect::<Result<_>>()?;
        for crop in rows.iter().flatten() {
            out.write_all(crop)?;
        }
        progress.inc(chunk.len() as u64);
    }
    out.flush()?;
    fs::rename(partial, file)?;
    progress.finish();
    Ok(())
}

impl Crops {
    /// Opens a file of `render_all`.
    pub fn open(path: &Path, each: usize) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let bytes = file.metadata()?.len() as usize;
        ensure!(
            bytes > 0 && bytes.is_multiple_of(each * CACHED_BYTES),
            "{} holds {bytes} bytes, not {each} crops per person",
            path.display()
        );
        Ok(Self { file, len: bytes / CACHED_BYTES, each })
    }

    /// People in the cache; each has the same number of crops.
    pub fn people(&self) -> usize {
        self.len / self.each
    }

    /// Crops per person.
    pub fn each(&self) -> usize {
        self.each
    }

    /// Crops in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads crop `index`; its person is `index / each`.
    pub fn get(&self, index: usize) -> io::Result<Vec<u8>> {
        let mut crop = vec![0; CACHED_BYTES];
        self.file.read_exact_at(&mut crop, (index * CACHED_BYTES) as u64)?;
        Ok(crop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_averages_four_pixels() {
        let mut full = vec![10u8; CROP_BYTES];
        full[0] = 50;
        let half = halved(&full);
        assert_eq!((half.len(), half[0], half[1]), (CACHED_BYTES, 20, 10));
    }

    #[test]
    fn glasses_tell_nothing_where_anybodys_are_worn() {
        let words = |person: u64, glasses| -> Vec<Option<&str>> {
            (0..24).map(|number| wearing(person, number, glasses).traits().glasses).collect()
        };
        let has = (0..).find(|&p| Person::from_seed(p).glasses.is_some()).unwrap();
        let has_none = (0..).find(|&p| Person::from_seed(p).glasses.is_none()).unwrap();
        for person in [has, has_none] {
            let own = words(person, Glasses::Own);
            assert!(own.iter().step_by(2).all(|&word| word == Person::from_seed(person).traits().glasses));
            let others = words(person, Glasses::Anybodys);
            assert!(others.iter().step_by(2).all(Option::is_some));
            assert!(others.iter().step_by(2).any(|word| *word != others[0]));
            assert!(own.iter().chain(&others).skip(1).step_by(2).all(Option::is_none));
        }
    }

    #[test]
    fn a_run_that_was_stopped_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let [whole, stopped] = ["whole.rgb", "stopped.rgb"].map(|name| folder.path().join(name));
        render_all(&whole, 5, AT_ONCE + 2, 1, Glasses::Own).unwrap();
        let bytes = fs::read(&whole).unwrap();
        // In the middle of a crop.
        fs::write(stopped.with_extension("1.partial"), &bytes[..(AT_ONCE + 1) * CACHED_BYTES + 7]).unwrap();
        render_all(&stopped, 5, AT_ONCE + 2, 1, Glasses::Own).unwrap();
        assert!(fs::read(&stopped).unwrap() == bytes);
    }
}
