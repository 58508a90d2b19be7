//! A seed → photos and recordings of rendered people.

use std::path::PathBuf;

use lintel_faces::{Approach, jpeg, photo};
use lintel_formats::recording::{About, RecordingWriter};
use lintel_photos::people::Name;
use lintel_photos::photos::NAME_FILE;
use lintel_rendered::{name, visitor};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir};
use lintel_work::progress::{Progress, Work};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Output;

/// As a good camera saves them.
const PHOTO_QUALITY: u8 = 92;
/// As a network camera sends them.
const FRAME_QUALITY: u8 = 85;

/// Whom to render, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The folder to make.
    pub output: Output,
    /// People with photos and a recording.
    pub people: u32,
    /// People with a recording only.
    pub strangers: u32,
    /// Photos of each person.
    pub photos: u32,
    /// Which people, and in which light.
    pub seed: u64,
    /// Length of a recording; 0: none.
    pub seconds: f32,
    /// Frames a second.
    pub fps: u32,
    /// Width and height of photos and frames, px.
    pub size: [u32; 2],
}

impl Request {
    /// Ten people with twelve photos and two strangers, in recordings of 5 s.
    #[must_use]
    pub fn new(output: Output) -> Self {
        Self { output, people: 10, strangers: 2, photos: 12, seed: 1, seconds: 5.0, fps: 10, size: [640, 480] }
    }
}

/// What was rendered: `render.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    /// As in [`Request::seed`].
    pub seed: u64,
    /// Width and height of photos and frames, px.
    pub size: [u32; 2],
    /// Photos of each person.
    pub photos: u32,
    /// Frames a second.
    pub fps: u32,
    /// Length of a recording.
    pub seconds: f32,
    /// Names of the people with photos.
    pub people: Vec<String>,
    /// People with a recording only.
    pub strangers: u32,
}

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The folder.
    pub out: PathBuf,
    /// Seed, sizes, counts and names, as `render.json` has them.
    pub rendered: Rendered,
    /// Recordings written: one for each person, or none.
    pub recordings: usize,
}

/// Someone with a recording, and with photos if enrolled.
struct Visitor {
    face: u64,
    name: Option<Name>,
    index: u32,
}

/// Renders them.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(request: &Request, progress: Progress<'_>) -> Result<Outcome, Failure> {
    if request.people + request.strangers == 0 {
        return Err(Failure::input("--people 0 --strangers 0 leaves nobody to render"));
    }
    let visitors: Vec<Visitor> = (0..request.people + request.strangers)
        .map(|index| {
            let name = (index < request.people).then(|| Name::new(&name(request.seed, index))).transpose();
            Ok(Visitor { face: visitor(request.seed, index), name: name.map_err(Failure::work)?, index })
        })
        .collect::<Result<_, Failure>>()?;
    let out = OutDir::take(&request.output.folder, Kind::Render, request.output.force, &[])?;

    let photos = u64::from(request.people) * u64::from(request.photos);
    let work = progress.begin("rendering photos", photos);
    for visitor in &visitors {
        render_photos(request, visitor, &out, &work)?;
    }
    drop(work);
    let recordings = if request.seconds > 0.0 { visitors.len() } else { 0 };
    if recordings > 0 {
        let work = progress.begin("rendering recordings", recordings as u64);
        for visitor in &visitors {
            render_recording(request, visitor, &out)?;
            work.step();
        }
    }
    let rendered = Rendered {
        seed: request.seed,
        size: request.size,
        photos: request.photos,
        fps: request.fps,
        seconds: request.seconds,
        people: visitors.iter().filter_map(|visitor| visitor.name.as_ref()).map(Name::to_string).collect(),
        strangers: request.strangers,
    };
    out.write_json(Kind::Render.marker(), &rendered)?;
    interrupt::check()?;
    Ok(Outcome { out: out.finish()?, rendered, recordings })
}

fn render_photos(request: &Request, visitor: &Visitor, out: &OutDir, work: &Work<'_>) -> Result<(), Failure> {
    let Some(name) = &visitor.name else { return Ok(()) };
    // A name with a slash cannot be a folder; the slug can, and name.txt says the name.
    let plain = !name.as_str().contains('/') && !name.as_str().starts_with('.');
    let folder = format!("photos/{}", if plain { name.to_string() } else { name.slug() });
    if !plain {
        out.write(format!("{folder}/{NAME_FILE}"), format!("{name}\n").as_bytes())?;
    }
    (0..request.photos).into_par_iter().try_for_each(|number| {
        interrupt::check()?;
        let picture = photo(visitor.face, number.into(), request.size);
        out.write(format!("{folder}/{:02}.jpg", number + 1), &jpeg(&picture, PHOTO_QUALITY))?;
        work.step();
        Ok(())
    })
}

fn render_recording(request: &Request, visitor: &Visitor, out: &OutDir) -> Result<(), Failure> {
    let approach = Approach::new(&[visitor.face], visitor.face, request.size, request.fps as f32, request.seconds);
    let (frames, glasses): (Vec<Vec<u8>>, Vec<bool>) = (0..approach.frames())
        .into_par_iter()
        .map(|index| {
            interrupt::check()?;
            let picture = approach.frame(index);
            Ok((jpeg(&picture, FRAME_QUALITY), picture.truth.iter().any(|face| face.wears_glasses)))
        })
        .collect::<Result<Vec<_>, Failure>>()?
        .into_iter()
        .unzip();
    let (stem, label) = match &visitor.name {
        Some(name) => (name.slug(), name.to_string()),
        None => {
            let number = visitor.index - request.people + 1;
            (format!("stranger-{number}"), format!("stranger {number}"))
        }
    };
    let about = About {
        fps: f64::from(request.fps),
        width: request.size[0],
        height: request.size[1],
        person: visitor.name.as_ref().map(Name::to_string),
        label,
        notes: "procedural: this person does not exist".into(),
        tags: if glasses.contains(&true) { vec!["glasses".into()] } else { Vec::new() },
    };
    write_recording(out, &format!("{:02}-{stem}", visitor.index + 1), &about, &frames)
}

/// Puts a recording into `recordings/` of the output.
///
/// # Errors
/// [`Failure::Work`] when it cannot be written.
pub fn write_recording(out: &OutDir, stem: &str, about: &About, jpegs: &[Vec<u8>]) -> Result<(), Failure> {
    let folder = out.path().join("recordings");
    std::fs::create_dir_all(&folder).map_err(|error| {
        Failure::work(format!("cannot write {}: {}", folder.display(), lintel_work::failure::reason(&error)))
    })?;
    let path = folder.join(format!("{stem}.mjpeg"));
    let mut writer = RecordingWriter::create(&path, about).map_err(recording_failure)?;
    for jpeg in jpegs {
        writer.push(jpeg).map_err(recording_failure)?;
    }
    writer.finish().map_err(recording_failure)
}

fn recording_failure(error: lintel_formats::recording::RecordingError) -> Failure {
    use lintel_formats::recording::RecordingError::Io;
    match error {
        Io { path, source } => {
            Failure::work(format!("cannot write {}: {}", path.display(), lintel_work::failure::reason(&source)))
        }
        other => Failure::work(other),
    }
}
