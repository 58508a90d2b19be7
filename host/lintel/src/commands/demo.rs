//! `lintel demo`: the other verbs and the daemon in a row, on real files, each printed before it runs.

mod edge;
mod steps;

use std::path::{Path, PathBuf};

use lintel_evaluation::evaluate::find_recordings;
use lintel_evaluation::visit_sheet;
use lintel_evaluation::visits::{self, Visits};
use lintel_formats::bundle::Role;
use lintel_formats::recording::About;
use lintel_photos::people::Name;
use lintel_photos::photos;
use lintel_training::TEMPLATE;
use lintel_training::calibration::TARGET_FPIR;
use lintel_training::trained::TrainReport;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested, write_file};
use rayon::prelude::*;
use serde_json::json;

use crate::cli::{
    ComputeArgs, DemoArgs, EvaluateArgs, Everywhere, ExportArgs, IngestArgs, Int8Args, LossArg, Output, RenderArgs,
    ReportArgs, RuleArg, ThresholdsArgs, TrainArgs,
};
use crate::commands::speaker::Console;
use crate::commands::{self, existing_folder};
use crate::slides::Slides;
use steps::{Steps, shown};

const SIZE: [u32; 2] = [640, 480];
const SECONDS: f32 = 5.0;
const FPS: u32 = 10;
const PHOTOS: u32 = 12;

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

/// Runs the verb.
///
/// # Errors
/// [`Failure`] of the first step that fails; the steps before it are kept.
pub fn run(args: &DemoArgs, everywhere: &Everywhere, console: &Console) -> Result<(), Failure> {
    let daemon = edge::find(args.edge.as_deref())?;
    if let Some(photos) = &args.photos {
        existing_folder(photos)?;
        refuse_nested(&args.out, photos)?;
    }
    let places = Places::under(&args.out);
    let quiet = Console::silent();
    let inner = if console.talks() { console } else { &quiet };
    let runtime = everywhere.runtime();
    let mut steps = Steps::open(args, console)?;
    commands::runtime::find(&runtime)?;

    let render = render_args(args, &places);
    let line = format!(
        "lintel render --out {} --people {} --strangers {} --photos {PHOTOS} --seed {}",
        shown(&places.rendered),
        render.people,
        render.strangers,
        args.seed
    );
    steps.step(&line, &places.rendered, Kind::Render, || commands::render::run(&render, inner))?;

    let photos = args.photos.clone().unwrap_or_else(|| places.rendered.join("photos"));
    steps.depends_on_files(&photos)?;
    let pack = args.pack.pack.as_deref().map(|pack| format!(" --pack {}", shown(pack))).unwrap_or_default();
    let line = format!("lintel ingest {} --out {}{pack}", shown(&photos), shown(&places.faces));
    let ingest =
        IngestArgs { photos: photos.clone(), output: output(&places.faces), pack: args.pack.clone(), joining: false };
    steps.step(&line, &places.faces, Kind::Ingest, || commands::ingest::run(&ingest, &runtime, inner))?;

    let line = format!("lintel train {} --out {}{pack}", shown(&places.faces), shown(&places.trained));
    let train = train_args(args, &places);
    steps.step(&line, &places.trained, Kind::Train, || commands::train::run(&train, &runtime, inner))?;

    let line = format!("lintel export {} --out {}{pack}", shown(&places.trained), shown(&places.bundle));
    let export = ExportArgs {
        trained: places.trained.clone(),
        output: output(&places.bundle),
        pack: args.pack.clone(),
        detector_size: None,
        int8: false,
        calibration: None,
        report: None,
        integers: Int8Args::default(),
    };
    steps.step(&line, &places.bundle, Kind::Bundle, || commands::export::run(&export, &runtime, inner))?;

    let mut recordings = vec![places.rendered.join("recordings")];
    if args.photos.is_some() {
        let line = format!("# the photos that training kept back, shown to a camera: {}", shown(&places.slides));
        steps.step(&line, &places.slides, Kind::Render, || slides(&photos, &places, inner))?;
        recordings.insert(0, places.slides.join("recordings"));
    }

    let named: Vec<String> = recordings.iter().map(|path| shown(path)).collect();
    let line =
        format!("lintel evaluate {} {} --out {}", shown(&places.bundle), named.join(" "), shown(&places.evaluation));
    let evaluate = EvaluateArgs {
        bundle: places.bundle.clone(),
        recordings: recordings.clone(),
        output: output(&places.evaluation),
        frame_ms: 0,
        growth: Vec::new(),
        growth_seed: 0,
        min_accuracy: None,
    };
    steps.step(&line, &places.evaluation, Kind::Evaluation, || commands::evaluate::run(&evaluate, &runtime, inner))?;

    let call = edge::Call {
        program: daemon,
        bundle: places.bundle.clone(),
        recordings: recordings.clone(),
        door: places.door.clone(),
        live: args.live,
        onnxruntime: commands::runtime::find(&runtime)?,
    };
    let line = call.line();
    steps.step(&line, &places.visits, Kind::Visits, || {
        call.run(console)?;
        tell(&recordings, &places)
    })?;

    let folders = [&places.faces, &places.trained, &places.evaluation, &places.visits].map(Clone::clone);
    steps.say(&format!("lintel report {} --out {}", shown(&args.out), shown(&places.report)));
    commands::report::run(&ReportArgs { folders: folders.into(), out: places.report.clone() }, inner)?;
    finish(&places, console)
}

fn output(out: &Path) -> Output {
    Output { out: out.into(), force: false }
}

fn render_args(args: &DemoArgs, places: &Places) -> RenderArgs {
    RenderArgs {
        output: output(&places.rendered),
        people: if args.photos.is_some() { 0 } else { args.people },
        strangers: args.strangers,
        photos: PHOTOS,
        seed: args.seed,
        seconds: SECONDS,
        fps: FPS,
        size: SIZE,
    }
}

fn train_args(args: &DemoArgs, places: &Places) -> TrainArgs {
    TrainArgs {
        faces: places.faces.clone(),
        output: output(&places.trained),
        pack: args.pack.clone(),
        epochs: None,
        lr: None,
        batch: 16,
        classes_per_step: 0,
        compute: ComputeArgs::default(),
        chunk: None,
        loss: LossArg::Softmax,
        margin: None,
        seed: 1,
        template: TEMPLATE.into(),
        thresholds: ThresholdsArgs { strangers: None, target_fpir: TARGET_FPIR },
        rule: RuleArg::Calibrated,
        revision: 1,
        fresh: false,
        int8: false,
        integers: Int8Args::default(),
    }
}

/// Recordings of the user's own held-out photos.
fn slides(photos: &Path, places: &Places, console: &Console) -> Result<(), Failure> {
    let report = TrainReport::open(&places.trained)?;
    let folders = photos::walk(photos, 2)?;
    let out = OutDir::take(&places.slides, Kind::Render, false, &[])?;
    let progress = console.progress("showing photos", folders.len() as u64);
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
        commands::render::write_recording(&out, &stem, &about, &how.frames(&held_out))?;
        progress.step();
        Ok::<(), Failure>(())
    })?;
    let names: Vec<&str> = folders.iter().map(|folder| Name::as_str(&folder.name)).collect();
    out.write_json(Kind::Render.marker(), &json!({ "people": names }))?;
    out.finish()?;
    Ok(())
}

/// The daemon's events and pictures → `visits.json` and the sheet.
fn tell(recordings: &[PathBuf], places: &Places) -> Result<(), Failure> {
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

/// The table at the end, and where to look.
fn finish(places: &Places, console: &Console) -> Result<(), Failure> {
    let file = places.visits.join(Kind::Visits.marker());
    let bytes = std::fs::read(&file).map_err(|error| Failure::reading(&file, &error))?;
    let visits: Visits =
        serde_json::from_slice(&bytes).map_err(|error| Failure::work(format!("{}: {error}", file.display())))?;
    let sheet = places.visits.join("sheet.png");
    console.say("");
    for line in visits.text() {
        console.say(line);
    }
    console.say("");
    console.say(format!("see {} and {}", sheet.display(), places.report.display()));
    console.result(&json!({ "sheet": sheet, "report": places.report, "visits": visits.visits }));
    // The picture that the README shows lies where it is found first.
    let top = places.report.with_file_name("sheet.png");
    let picture = std::fs::read(&sheet).map_err(|error| Failure::reading(&sheet, &error))?;
    write_file(&top, &picture)?;
    Ok(())
}
