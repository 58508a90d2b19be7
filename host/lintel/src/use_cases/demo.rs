//! The other use cases and the daemon in a row, on real files.

mod edge;
mod slides;
mod steps;

use std::path::{Path, PathBuf};

use lintel_evaluation::evaluate::find_recordings;
use lintel_evaluation::visit_sheet;
use lintel_evaluation::visits::{self, Visits};
use lintel_formats::bundle::Role;
use lintel_formats::recording::About;
use lintel_inference::Options;
use lintel_photos::people::Name;
use lintel_photos::photos;
use lintel_training::trained::TrainReport;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested, write_file};
use lintel_work::progress::Progress;
use rayon::prelude::*;
use serde_json::json;

use super::packs::PackChoice;
use super::{Output, evaluate, existing_folder, export, ingest, render, report, runtime, train};
use slides::Slides;
use steps::{Steps, shown};

const SIZE: [u32; 2] = [640, 480];
const SECONDS: f32 = 5.0;
const FPS: u32 = 10;
const PHOTOS: u32 = 12;

/// What to show.
#[derive(Debug, Clone)]
pub struct Request {
    /// Photos, one folder per person; `None`: rendered people.
    pub photos: Option<PathBuf>,
    /// The folder for everything that the demo makes.
    pub out: PathBuf,
    /// The pack to use.
    pub pack: PackChoice,
    /// Which rendered people.
    pub seed: u64,
    /// Rendered people who are enrolled, where there are no photos.
    pub people: u32,
    /// Strangers at the door.
    pub strangers: u32,
    /// Does every step again.
    pub fresh: bool,
    /// Plays the recordings at the pace at which they were taken.
    pub live: bool,
    /// The daemon's program; `None`: beside this one, else on the `PATH`.
    pub edge: Option<PathBuf>,
    /// What the daemon prints goes to this program's stdout.
    pub daemon_prints: bool,
}

/// What happens while the demo runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A command begins, as it is typed.
    Command(&'a str),
    /// Its output is there from an earlier run, and was made of the same.
    Kept(&'a Path),
    /// People were rendered.
    Rendered(&'a render::Outcome),
    /// Photos were ingested.
    Ingested(&'a ingest::Outcome),
    /// A table was trained.
    Trained(&'a train::Outcome),
    /// A bundle was made.
    Exported(&'a export::Outcome),
    /// The bundle was measured.
    Evaluated(&'a evaluate::Outcome),
    /// A page was made of all that.
    Reported(&'a report::Outcome),
    /// Seconds that the command took.
    Took(f32),
}

/// What was shown.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A picture of every visit.
    pub sheet: PathBuf,
    /// The page.
    pub report: PathBuf,
    /// Every visit at the daemon's door.
    pub visits: Visits,
}

/// Where everything lies under `--out`.
struct Places {
    rendered: PathBuf,
    slides: PathBuf,
    faces: PathBuf,
    trained: PathBuf,
    bundle: PathBuf,
    evaluation: PathBuf,
    door: PathBuf,
    visits: PathBuf,
    report: PathBuf,
}

impl Places {
    fn under(out: &Path) -> Self {
        let at = |name: &str| out.join(name);
        Self {
            rendered: at("rendered"),
            slides: at("slides"),
            faces: at("faces"),
            trained: at("trained"),
            bundle: at("bundle"),
            evaluation: at("evaluation"),
            door: at("door"),
            visits: at("visits"),
            report: at("report.html"),
        }
    }
}

/// Runs the use cases, then the daemon; `on_event` hears of each step.
///
/// # Errors
/// [`Failure`] of the first step that fails; the steps before it are kept.
pub fn run(
    request: &Request,
    options: &Options,
    progress: Progress<'_>,
    on_event: &dyn Fn(Event<'_>),
) -> Result<Outcome, Failure> {
    let daemon = edge::find(request.edge.as_deref())?;
    if let Some(photos) = &request.photos {
        existing_folder(photos)?;
        refuse_nested(&request.out, photos)?;
    }
    let places = Places::under(&request.out);
    let mut steps = Steps::open(request, on_event)?;
    let onnxruntime = runtime::find(options)?;

    let rendering = rendering(request, &places);
    let line = format!(
        "lintel render --out {} --people {} --strangers {} --photos {PHOTOS} --seed {}",
        shown(&places.rendered),
        rendering.people,
        rendering.strangers,
        request.seed
    );
    steps.step(&line, &places.rendered, Kind::Render, || {
        on_event(Event::Rendered(&render::run(&rendering, progress)?));
        Ok(())
    })?;

    let photos = request.photos.clone().unwrap_or_else(|| places.rendered.join("photos"));
    steps.depends_on_files(&photos)?;
    let pack = request.pack.clone();
    let pack_words = pack.pack.as_deref().map(|pack| format!(" --pack {}", shown(pack))).unwrap_or_default();
    let line = format!("lintel ingest {} --out {}{pack_words}", shown(&photos), shown(&places.faces));
    let ingesting = ingest::Request::new(&photos, Output::to(&places.faces));
    let ingesting = ingest::Request { pack: pack.clone(), ..ingesting };
    steps.step(&line, &places.faces, Kind::Ingest, || {
        on_event(Event::Ingested(&ingest::run(&ingesting, options, progress)?));
        Ok(())
    })?;

    let line = format!("lintel train {} --out {}{pack_words}", shown(&places.faces), shown(&places.trained));
    let training = train::Request::new(&places.faces, Output::to(&places.trained));
    let training = train::Request { pack: pack.clone(), ..training };
    steps.step(&line, &places.trained, Kind::Train, || {
        on_event(Event::Trained(&train::run(&training, options, progress)?));
        Ok(())
    })?;

    let line = format!("lintel export {} --out {}{pack_words}", shown(&places.trained), shown(&places.bundle));
    let exporting = export::Request::new(&places.trained, Output::to(&places.bundle));
    let exporting = export::Request { pack, ..exporting };
    steps.step(&line, &places.bundle, Kind::Bundle, || {
        on_event(Event::Exported(&export::run(&exporting, options, progress)?));
        Ok(())
    })?;

    let mut recordings = vec![places.rendered.join("recordings")];
    if request.photos.is_some() {
        let line = format!("# the photos that training kept back, shown to a camera: {}", shown(&places.slides));
        steps.step(&line, &places.slides, Kind::Render, || record_held_out(&photos, &places, progress))?;
        recordings.insert(0, places.slides.join("recordings"));
    }

    let named: Vec<String> = recordings.iter().map(|path| shown(path)).collect();
    let line =
        format!("lintel evaluate {} {} --out {}", shown(&places.bundle), named.join(" "), shown(&places.evaluation));
    let output = Output::to(&places.evaluation);
    let evaluating = evaluate::Request::new(&places.bundle, recordings.clone(), output);
    steps.step(&line, &places.evaluation, Kind::Evaluation, || {
        on_event(Event::Evaluated(&evaluate::run(&evaluating, options, progress)?));
        Ok(())
    })?;

    let call = edge::Call {
        program: daemon,
        bundle: places.bundle.clone(),
        recordings: recordings.clone(),
        door: places.door.clone(),
        live: request.live,
        prints: request.daemon_prints,
        onnxruntime,
    };
    let line = call.line();
    steps.step(&line, &places.visits, Kind::Visits, || {
        call.run()?;
        write_visits(&recordings, &places)
    })?;

    let folders = [&places.faces, &places.trained, &places.evaluation, &places.visits].map(Clone::clone);
    on_event(Event::Command(&format!("lintel report {} --out {}", shown(&request.out), shown(&places.report))));
    let reporting = report::Request { folders: folders.into(), out: places.report.clone() };
    on_event(Event::Reported(&report::run(&reporting)?));
    finish(places)
}

fn rendering(request: &Request, places: &Places) -> render::Request {
    render::Request {
        people: if request.photos.is_some() { 0 } else { request.people },
        strangers: request.strangers,
        photos: PHOTOS,
        seed: request.seed,
        seconds: SECONDS,
        fps: FPS,
        size: SIZE,
        ..render::Request::new(Output::to(&places.rendered))
    }
}

/// Recordings of the user's own held-out photos.
fn record_held_out(photos: &Path, places: &Places, progress: Progress<'_>) -> Result<(), Failure> {
    let report = TrainReport::open(&places.trained)?;
    let folders = photos::walk(photos, 2)?;
    let out = OutDir::take(&places.slides, Kind::Render, false, &[])?;
    let work = progress.begin("recording photos", folders.len() as u64);
    let how = Slides { size: SIZE, fps: FPS, seconds: SECONDS };
    folders.par_iter().enumerate().try_for_each(|(index, folder)| {
        interrupt::check()?;
        let held_out: Vec<_> = report
            .held_out
            .iter()
            .filter(|photo| photo.name == folder.name.as_str())
            .filter_map(|photo| photos::read(&folder.folder.join(&photo.source)).ok())
            .filter_map(|bytes| photos::decode(&bytes).ok())
            .collect();
        let about = About {
            fps: FPS.into(),
            width: SIZE[0],
            height: SIZE[1],
            person: Some(folder.name.to_string()),
            label: folder.name.to_string(),
            notes: "photos that training did not see, shown one after the other".into(),
            tags: Vec::new(),
        };
        let stem = format!("{:02}-{}", index + 1, folder.name.slug());
        render::write_recording(&out, &stem, &about, &how.frames(&held_out))?;
        work.step();
        Ok::<(), Failure>(())
    })?;
    let names: Vec<&str> = folders.iter().map(|folder| Name::as_str(&folder.name)).collect();
    out.write_json(Kind::Render.marker(), &json!({ "people": names }))?;
    out.finish()?;
    Ok(())
}

/// The daemon's events and pictures → `visits.json` and the sheet.
fn write_visits(recordings: &[PathBuf], places: &Places) -> Result<(), Failure> {
    let file = places.bundle.join(Role::Table.file_name());
    let bytes = std::fs::read(&file).map_err(|error| Failure::reading(&file, &error))?;
    let table = lintel_formats::table::from_bytes(&bytes).map_err(Failure::input)?;
    let visits = visits::read(&places.door.join(edge::EVENTS), &table)?;
    let found = find_recordings(recordings)?;
    let history = places.door.join("display").join("history");
    let sheet = visit_sheet::sheet(&visits, &found, &history, &table)?;
    let out = OutDir::take(&places.visits, Kind::Visits, false, &[])?;
    out.write_json(Kind::Visits.marker(), &visits)?;
    out.write("sheet.png", &sheet)?;
    out.finish()?;
    Ok(())
}

/// Every visit, and where to look.
fn finish(places: Places) -> Result<Outcome, Failure> {
    let file = places.visits.join(Kind::Visits.marker());
    let bytes = std::fs::read(&file).map_err(|error| Failure::reading(&file, &error))?;
    let visits: Visits =
        serde_json::from_slice(&bytes).map_err(|error| Failure::work(format!("{}: {error}", file.display())))?;
    let sheet = places.visits.join("sheet.png");
    // The picture that the README shows lies where it is found first.
    let picture = std::fs::read(&sheet).map_err(|error| Failure::reading(&sheet, &error))?;
    write_file(&places.report.with_file_name("sheet.png"), &picture)?;
    Ok(Outcome { sheet, report: places.report, visits })
}
