//! `lintel render`: a seed → photos and recordings of people who do not exist.

use lintel_faces::{Approach, jpeg, photo};
use lintel_formats::recording::{About, RecordingWriter};
use lintel_photos::people::Name;
use lintel_photos::photos::NAME_FILE;
use lintel_rendered::{name, visitor};
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::RenderArgs;
use crate::commands::speaker::{Console, Progress};

/// As a good camera saves them.
const PHOTO_QUALITY: u8 = 92;
/// As a network camera sends them.
const FRAME_QUALITY: u8 = 85;

/// What was rendered: `render.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rendered {
    seed: u64,
    size: [u32; 2],
    photos: u32,
    fps: u32,
    seconds: f32,
    people: Vec<String>,
    strangers: u32,
}

/// Someone with a recording, and with photos if enrolled.
struct Visitor {
    face: u64,
    name: Option<Name>,
    index: u32,
}

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &RenderArgs, console: &Console) -> Result<(), Failure> {
    if args.people + args.strangers == 0 {
        return Err(Failure::input("--people 0 --strangers 0 leaves nobody to render"));
    }
    let visitors: Vec<Visitor> = (0..args.people + args.strangers)
        .map(|index| {
            let name = (index < args.people).then(|| Name::new(&name(args.seed, index))).transpose();
            Ok(Visitor { face: visitor(args.seed, index), name: name.map_err(Failure::work)?, index })
        })
        .collect::<Result<_, Failure>>()?;
    let out = OutDir::take(&args.output.out, Kind::Render, args.output.force, &[])?;

    let photos = u64::from(args.people) * u64::from(args.photos);
    let progress = console.progress("rendering photos", photos);
    for visitor in &visitors {
        render_photos(args, visitor, &out, &progress)?;
    }
    drop(progress);
    if args.seconds > 0.0 {
        let progress = console.progress("rendering recordings", visitors.len() as u64);
        for visitor in &visitors {
            render_recording(args, visitor, &out)?;
            progress.step();
        }
    }
    let rendered = Rendered {
        seed: args.seed,
        size: args.size,
        photos: args.photos,
        fps: args.fps,
        seconds: args.seconds,
        people: visitors.iter().filter_map(|visitor| visitor.name.as_ref()).map(Name::to_string).collect(),
        strangers: args.strangers,
    };
    out.write_json(Kind::Render.marker(), &rendered)?;
    interrupt::check()?;
    let done = out.finish()?;
    console.say(format!(
        "wrote {}: {photos} photos of {} people, {} recordings",
        done.display(),
        args.people,
        if args.seconds > 0.0 { visitors.len() } else { 0 }
    ));
    console.result(&json!({ "out": done, "rendered": rendered }));
    Ok(())
}

fn render_photos(args: &RenderArgs, visitor: &Visitor, out: &OutDir, progress: &Progress) -> Result<(), Failure> {
    let Some(name) = &visitor.name else { return Ok(()) };
    // A name with a slash cannot be a folder; the slug can, and name.txt says the name.
    let plain = !name.as_str().contains('/') && !name.as_str().starts_with('.');
    let folder = format!("photos/{}", if plain { name.to_string() } else { name.slug() });
    if !plain {
        out.write(format!("{folder}/{NAME_FILE}"), format!("{name}\n").as_bytes())?;
    }
    (0..args.photos).into_par_iter().try_for_each(|number| {
        interrupt::check()?;
        let picture = photo(visitor.face, number.into(), args.size);
        out.write(format!("{folder}/{:02}.jpg", number + 1), &jpeg(&picture, PHOTO_QUALITY))?;
        progress.step();
        Ok(())
    })
}

fn render_recording(args: &RenderArgs, visitor: &Visitor, out: &OutDir) -> Result<(), Failure> {
    let approach = Approach::new(&[visitor.face], visitor.face, args.size, args.fps as f32, args.seconds);
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
            let number = visitor.index - args.people + 1;
            (format!("stranger-{number}"), format!("stranger {number}"))
        }
    };
    let about = About {
        fps: f64::from(args.fps),
        width: args.size[0],
        height: args.size[1],
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
