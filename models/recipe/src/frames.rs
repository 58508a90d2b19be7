//! Seeds → rendered 640×480 frames with their faces, cached in a folder; a frame → square training pictures.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use lintel_faces::{Picture, crowd};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::assign::Corners;
use crate::detector_loss::Target;
use crate::rng::Rng;
use crate::rooms::Room;
use crate::schedule::bar;
use crate::scrfd::{HEIGHT, WIDTH};

const FRAME_BYTES: usize = WIDTH * HEIGHT * 3;
/// First seed of the frames the detector trains on.
pub const TRAIN_SEED: u64 = 1_000_000;
/// First seed of the frames it is tested on.
pub const CHECK_SEED: u64 = 2_000_000;
/// A face counts while at least this much of its box is in the picture.
const MIN_VISIBLE: f32 = 0.45;
/// Sizes of faces that training asks for, pixels.
const FACE_SIDES: (f32, f32) = (15.0, 330.0);

/// Share of views that ask for a large face, in addition to those drawn evenly in the logarithm.
const LARGE: f32 = 0.25;
/// Share of views that show a false face, if there are any.
const DECOYS: f32 = 0.25;

/// A face's ground truth in the cache; pixel centres are whole numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Face {
    /// x1, y1, x2, y2.
    pub bbox: [f32; 4],
    /// Five points.
    pub landmarks: [[f32; 2]; 5],
    /// Visible share, [0, 1].
    pub visible: f32,
    /// Degrees.
    pub yaw: f32,
}

/// Rendered frames and their ground truth; at the end, empty rooms with false faces.
pub struct Frames {
    pixels: Vec<u8>,
    faces: Vec<Vec<Face>>,
    rooms: Vec<Room>,
}

/// `lintel-faces` puts (0, 0) at a pixel's corner, detectors at its centre.
pub fn faces(picture: &Picture) -> Vec<Face> {
    let shift = |[x, y]: [f32; 2]| [x - 0.5, y - 0.5];
    picture
        .truth
        .iter()
        .map(|truth| Face {
            bbox: truth.bbox.map(|v| v - 0.5),
            landmarks: truth.landmarks.map(shift),
            visible: truth.visible,
            yaw: truth.pose.yaw,
        })
        .collect()
}

/// The frame of one seed: some have up to eight faces from 14 px up, some have one face alone, and two in five are
/// empty, because rooms hold many things that look a little like faces.
pub fn frame(seed: u64) -> Picture {
    let mut rng = Rng::new(seed);
    let size = [WIDTH as u32, HEIGHT as u32];
    let (most, smallest) = match rng.below(10) {
        0..=3 => (0, 14.0),
        4 => (1, 60.0),
        5..=6 => (3, 30.0),
        _ => (8, 14.0),
    };
    crowd(seed, size, most, smallest)
}

/// Renders frames `TRAIN_SEED..` into `folder`, unless they are there.
pub fn render(folder: &Path, count: usize) -> Result<()> {
    let truth_file = folder.join("frames.json");
    if let Ok(frames) = Frames::load(folder)
        && frames.len() == count
    {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let mut out = BufWriter::new(fs::File::create(folder.join("frames.rgb"))?);
    let progress = bar(count, 0, "frames");
    let mut all = Vec::with_capacity(count);
    let seeds: Vec<u64> = (0..count as u64).map(|i| TRAIN_SEED + i).collect();
    for chunk in seeds.chunks(32) {
        let pictures: Vec<Picture> = chunk.par_iter().map(|&seed| frame(seed)).collect();
        for picture in &pictures {
            out.write_all(&picture.rgb)?;
            all.push(faces(picture));
        }
        progress.inc(chunk.len() as u64);
    }
    out.flush()?;
    fs::write(truth_file, serde_json::to_vec(&all)?).context("writing the frames' truth")?;
    progress.finish();
    Ok(())
}

impl Frames {
    /// Reads the files of `render`.
    pub fn load(folder: &Path) -> Result<Self> {
        let faces: Vec<Vec<Face>> = serde_json::from_slice(&fs::read(folder.join("frames.json"))?)?;
        let pixels = fs::read(folder.join("frames.rgb"))?;
        ensure!(
            pixels.len() == faces.len() * FRAME_BYTES,
            "the cache holds {} bytes for {} frames",
            pixels.len(),
            faces.len()
        );
        Ok(Self { pixels, faces, rooms: Vec::new() })
    }

    /// Adds empty rooms; a quarter of the views then show a false face.
    pub fn add_rooms(&mut self, rooms: Vec<Room>) {
        for room in &rooms {
            self.pixels.extend(room.paint());
            self.faces.push(Vec::new());
        }
        self.rooms = rooms;
    }

    /// Faces in the set.
    pub fn len(&self) -> usize {
        self.faces.len()
    }

    /// A random square view of a random frame as [3, side, side], and its faces. Scales are drawn so that faces of
    /// all sizes occur.
    pub fn view(&self, side: usize, rng: &mut Rng, out: &mut [f32]) -> Vec<Target> {
        let look_at_decoy = !self.rooms.is_empty() && rng.chance(DECOYS);
        let (index, view) = if look_at_decoy {
            let room = rng.below(self.rooms.len());
            let decoy = rng.pick(&self.rooms[room].decoys);
            (self.len() - self.rooms.len() + room, View::around(decoy, side, rng))
        } else {
            let index = rng.below(self.len() - self.rooms.len());
            (index, View::random(&self.faces[index], side, rng))
        };
        let pixels = &self.pixels[index * FRAME_BYTES..(index + 1) * FRAME_BYTES];
        let faces = &self.faces[index];
        view.sample(pixels, side, rng, out);
        view.targets(faces, side)
    }
}

/// Output pixel (x, y) shows frame pixel `origin + step·(x, y)`, mirrored if asked.
struct View {
    origin: [f32; 2],
    step: f32,
    mirrored: bool,
}

impl View {
    fn random(faces: &[Face], side: usize, rng: &mut Rng) -> Self {
        let largest = FACE_SIDES.1.min(side as f32 * 1.1);
        let extent = side as f32;
        let mirrored = rng.chance(0.5);
        if faces.is_empty() || rng.chance(0.2) {
            let step = rng.log_range(0.5, 480.0 / extent.min(480.0)).max(0.4);
            let room = |full: usize| (full as f32 - extent * step).max(0.0);
            let origin = [room(WIDTH) * rng.unit(), room(HEIGHT) * rng.unit()];
            return Self { origin, step, mirrored };
        }
        let face = rng.pick(faces);
        let size = ((face.bbox[2] - face.bbox[0]) * (face.bbox[3] - face.bbox[1])).max(1.0).sqrt();
        // A face is enlarged at most twice: more would teach the network blur.
        let wanted =
            if rng.chance(LARGE) { rng.range(0.5 * largest, largest) } else { rng.log_range(FACE_SIDES.0, largest) };
        let wanted = wanted.min(size * 2.0);
        let step = size / wanted;
        let centre = [(face.bbox[0] + face.bbox[2]) / 2.0, (face.bbox[1] + face.bbox[3]) / 2.0];
        // The face lies anywhere in the view, sometimes across its edge.
        let reach = (extent - 0.75 * wanted).max(0.25 * extent) * step;
        let place = |c: f32, rng: &mut Rng| c - extent * step / 2.0 + reach * (rng.unit() - 0.5);
        let origin = [place(centre[0], rng), place(centre[1], rng)];
        Self { origin, step, mirrored }
    }

    /// A view that contains `bbox`, at about the scale at which it was taken for a face.
    fn around(bbox: &Corners, side: usize, rng: &mut Rng) -> Self {
        let extent = side as f32;
        let size = (bbox[2] - bbox[0]).max(bbox[3] - bbox[1]).max(8.0);
        let step = (rng.log_range(0.75, 1.33)).max(size / (0.9 * extent));
        let reach = (extent * step - size).max(0.0);
        let origin =
            [0, 1].map(|axis| (bbox[axis] + bbox[axis + 2] - extent * step + reach * (2.0 * rng.unit() - 1.0)) / 2.0);
        Self { origin, step, mirrored: rng.chance(0.5) }
    }

    fn sample(&self, pixels: &[u8], side: usize, rng: &mut Rng, out: &mut [f32]) {
        let taps = (self.step.round() as usize).clamp(1, 6);
        let gain = (1.0 + rng.normal() * 0.12) / 128.0 / (taps * taps) as f32;
        let shift = rng.normal() * 0.08 - 127.5 / 128.0;
        let tint = [0; 3].map(|_| 1.0 + rng.normal() * 0.04);
        let grey = rng.chance(0.05);
        for y in 0..side {
            for x in 0..side {
                let column = if self.mirrored { side - 1 - x } else { x };
                let mut sum = [0.0f32; 3];
                for j in 0..taps {
                    let fy = self.origin[1] + self.step * (y as f32 + (j as f32 + 0.5) / taps as f32 - 0.5);
                    for i in 0..taps {
                        let fx = self.origin[0] + self.step * (column as f32 + (i as f32 + 0.5) / taps as f32 - 0.5);
                        let add = bilinear(pixels, fx, fy);
                        sum.iter_mut().zip(add).for_each(|(s, a)| *s += a);
                    }
                }
                if grey {
                    sum = [(sum[0] + sum[1] + sum[2]) / 3.0; 3];
                }
                for c in 0..3 {
                    out[(c * side + y) * side + x] = sum[c] * gain * tint[c] + shift;
                }
            }
        }
    }

    fn targets(&self, faces: &[Face], side: usize) -> Vec<Target> {
        let extent = side as f32;
        let mut out = Vec::new();
        for face in faces {
            let to = |x: f32, y: f32| [(x - self.origin[0]) / self.step, (y - self.origin[1]) / self.step];
            let [x1, y1] = to(face.bbox[0], face.bbox[1]);
            let [x2, y2] = to(face.bbox[2], face.bbox[3]);
            let inside = (x2.min(extent) - x1.max(0.0)).max(0.0) * (y2.min(extent) - y1.max(0.0)).max(0.0);
            let share = inside / ((x2 - x1) * (y2 - y1)).max(1.0);
            if share.min(face.visible) < MIN_VISIBLE || (x2 - x1).max(y2 - y1) < 10.0 {
                continue;
            }
            let mut points = face.landmarks.map(|[x, y]| to(x, y));
            let mut bbox = [x1, y1, x2, y2];
            if self.mirrored {
                let flip = |x: f32| extent - 1.0 - x;
                bbox = [flip(x2), y1, flip(x1), y2];
                points = points.map(|[x, y]| [flip(x), y]);
                points.swap(0, 1);
                points.swap(3, 4);
            }
            let mut landmarks = [0.0; 10];
            for (to, from) in landmarks.chunks_mut(2).zip(points) {
                to.copy_from_slice(&from);
            }
            out.push(Target { bbox, landmarks });
        }
        out
    }
}

/// Black outside, as the letterbox pads.
fn bilinear(pixels: &[u8], x: f32, y: f32) -> [f32; 3] {
    if x < 0.0 || y < 0.0 || x > (WIDTH - 1) as f32 || y > (HEIGHT - 1) as f32 {
        return [0.0; 3];
    }
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(WIDTH - 1), (y0 + 1).min(HEIGHT - 1));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let at = |x: usize, y: usize, c: usize| f32::from(pixels[(y * WIDTH + x) * 3 + c]);
    [0, 1, 2].map(|c| {
        let top = at(x0, y0, c) + (at(x1, y0, c) - at(x0, y0, c)) * fx;
        let low = at(x0, y1, c) + (at(x1, y1, c) - at(x0, y1, c)) * fx;
        top + (low - top) * fy
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> Face {
        Face {
            bbox: [100.0, 100.0, 140.0, 150.0],
            landmarks: [[110.0, 120.0], [130.0, 120.0], [120.0, 130.0], [112.0, 140.0], [128.0, 140.0]],
            visible: 1.0,
            yaw: 0.0,
        }
    }

    #[test]
    fn a_mirrored_view_keeps_the_image_left_eye_first() {
        for mirrored in [false, true] {
            let view = View { origin: [90.0, 90.0], step: 0.5, mirrored };
            let target = &view.targets(&[face()], 256)[0];
            assert!(target.landmarks[0] < target.landmarks[2] && target.landmarks[6] < target.landmarks[8]);
            assert!(target.bbox[0] < target.landmarks[0] && target.landmarks[2] < target.bbox[2]);
        }
    }

    #[test]
    fn a_face_outside_the_view_is_none_of_its_targets() {
        let view = View { origin: [300.0, 0.0], step: 1.0, mirrored: false };
        assert!(view.targets(&[face()], 256).is_empty());
    }
}
