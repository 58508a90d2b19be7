//! `lintel ingest`: a folder of photos → crops, `people.json`, contact sheets.

use std::collections::BTreeMap;

use lintel_core::detect::is_near;
use lintel_core::quality::QualityLimits;
use lintel_inference::{Detector, Options, RuntimeError};
use lintel_photos::contact_sheet;
use lintel_photos::ingest::{People, Reason, ingest};
use lintel_photos::photos::walk;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, OutDir, refuse_nested};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cli::IngestArgs;
use crate::commands::{existing_folder, packs, runtime::find};
use crate::console::Console;

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the output folder is then as it was.
pub fn run(args: &IngestArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    existing_folder(&args.photos)?;
    refuse_nested(&args.output.out, &args.photos)?;
    let folders = walk(&args.photos, if args.joining { 1 } else { 2 })?;
    let pack = packs::open(&args.pack, console)?;
    let out = OutDir::take(&args.output.out, Kind::Ingest, args.output.force, &[])?;
    find(runtime)?;
    let mut detector = Detector::open(&pack.detector, runtime).map_err(Failure::work)?;

    let photos: usize = folders.iter().map(|folder| folder.photos.len()).sum();
    let progress = console.progress("looking for faces", photos as u64);
    let (people, thumbnails) = ingest(
        &folders,
        &QualityLimits::default(),
        hex::encode(Sha256::digest(&pack.detector)),
        |frame| {
            let mut faces = detector.detect(frame)?;
            // A picture of a face and nothing else.
            if faces.is_empty() || faces.iter().any(|face| is_near(face, frame.size())) {
                detector.detect_near(frame, &mut faces)?;
            }
            Ok::<_, RuntimeError>(faces)
        },
        || {
            progress.step();
            interrupt::check()
        },
        &out,
    )?;
    drop(progress);
    let pages = contact_sheet::pages(&people, &thumbnails, out.path())?;
    for (name, page) in &pages {
        out.write(name, page)?;
    }
    interrupt::check()?;
    let done = out.finish()?;

    let sheet = done.join("sheet.png");
    console.say(summary(&people));
    console.say(format!("wrote {}; look at {} before you train", done.display(), sheet.display()));
    console.result(&json!({ "out": done, "sheet": sheet, "people": people.people }));
    Ok(())
}

/// One line per rejected photo, and the totals.
fn summary(people: &People) -> String {
    let mut lines = Vec::new();
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    for person in &people.people {
        for rejected in &person.rejected {
            *reasons.entry(rejected.reason).or_default() += 1;
            let (name, source) = (&person.name, &rejected.source);
            lines.push(format!("  {name}: {source}: {} ({})", rejected.reason.text(), rejected.detail));
        }
    }
    let crops: usize = people.people.iter().map(|person| person.crops.len()).sum();
    let mut total = format!("{crops} faces of {} people", people.people.len());
    if !lines.is_empty() {
        let counts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {}", reason.text())).collect();
        total.push_str(&format!("; {} photos rejected: {}", lines.len(), counts.join(", ")));
    }
    lines.push(total);
    lines.join("\n")
}
