//! What is wired to the door, and the camera before it → what works, how fast, and what to fix.

use std::path::Path;
use std::thread;
use std::time::Duration;

use image::{Rgb, RgbImage};
use lintel_core::decision::Sighting;
use lintel_core::door::Strike;
use lintel_core::geometry::Rect;
use lintel_core::quality::QualityLimits;
use lintel_core::screen::Screen;
use lintel_core::track::Tracker;
use lintel_inference::{FaceAnalyzer, LoadedBundle};

use super::{Checks, Extra, Failure, Mark};
use crate::compose::analyzer::inference;
use crate::compose::door::{open_relay, relay_plan, without_power};
use crate::compose::{RunOptions, display};
use crate::config::DisplayKind;
use crate::io::camera::v4l2::V4l2Camera;
use crate::io::camera::v4l2::device::{Abilities, abilities};
use crate::io::camera::v4l2::node::{Node, Roots};
use crate::io::camera::{Camera as _, Captured, Picture};
use crate::io::clock::Clock;
use crate::io::gpio::inputs::{GpioInputs, Input, Inputs as _};

/// A camera that gives nothing for so long is not there.
const CAMERA_PATIENCE: Duration = Duration::from_secs(8);
/// So many pictures are timed, after as many for the exposure to settle.
const PICTURES: u32 = 30;
/// How long the relay is released when it is to click.
const CLICK: Duration = Duration::from_millis(500);

/// The cameras that are plugged in, and the one that is meant.
pub fn camera(options: &RunOptions, bundle: Option<LoadedBundle>, extra: &Extra, clock: &Clock, checks: &mut Checks) {
    let settings = options.config.v4l2_settings();
    for Node { path, card, stable } in Roots::default().nodes() {
        let names: Vec<String> = stable.iter().map(|link| link.display().to_string()).collect();
        let names = if names.is_empty() { String::new() } else { format!(", always {}", names.join(" or ")) };
        let found = match abilities(&path, settings.wanted) {
            Ok(Abilities { modes, .. }) => format!("{} is {card:?}{names}: {} modes", path.display(), modes.len()),
            Err(e) => format!("{} is {card:?}{names}: {e}", path.display()),
        };
        checks.add("found", Mark::Good, found, "");
    }
    let fix = "plug it in, or set camera.device to one that is listed above";
    let mut camera = V4l2Camera::new(settings, clock.clone());
    let mut picture = Picture::default();
    if let Err(why) = next(&mut camera, &mut picture, clock) {
        return checks.bad("camera", &why, fix);
    }
    let mut began = clock.now();
    for taken in 0..2 * PICTURES {
        if taken == PICTURES {
            began = clock.now();
        }
        if let Err(why) = next(&mut camera, &mut picture, clock) {
            return checks.bad("camera", &why, "try another cable or port");
        }
    }
    let each = clock.now().since(began) / PICTURES;
    let fps = 1.0 / each.as_secs_f64();
    let found = format!("{}; {fps:.1} pictures a second, decoded", camera.describe());
    let slow = fps < f64::from(options.config.camera.fps) * 0.9;
    let fix = if slow { "more light, a smaller picture, or a lower camera.fps" } else { "" };
    checks.add("camera", if slow { Mark::Warning } else { Mark::Good }, found, fix);
    if let Some(bundle) = bundle {
        look(options, bundle, extra, each, &picture, clock, checks);
    }
}

/// The next picture, whatever is said before it, or the last trouble.
fn next(camera: &mut V4l2Camera, picture: &mut Picture, clock: &Clock) -> Result<(), Failure> {
    let began = clock.now();
    let mut last = "gives no pictures".to_owned();
    while clock.now().since(began) < CAMERA_PATIENCE {
        match camera.capture(picture) {
            Ok(Captured::Picture) => return Ok(()),
            Ok(Captured::Trouble(trouble)) => last = trouble.why,
            Ok(Captured::Idle | Captured::Visit(_) | Captured::End) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(last.into())
}

/// One picture through the whole of vision: what is in it, and how long a verdict will take.
fn look(
    options: &RunOptions,
    bundle: LoadedBundle,
    extra: &Extra,
    each: Duration,
    picture: &Picture,
    clock: &Clock,
    checks: &mut Checks,
) {
    let limits = QualityLimits::default();
    let look = || -> Result<(Sighting, Duration), Failure> {
        let mut analyzer = FaceAnalyzer::new(bundle, &inference(options), limits)?;
        let frame = picture.frame()?;
        let mut tracker = Tracker::new(options.config.track_settings())?;
        // Once to warm up, once for the time.
        analyzer.look(&frame, &mut tracker)?;
        let before = clock.now();
        let sighting = analyzer.look(&frame, &mut tracker)?;
        Ok((sighting, clock.now().since(before)))
    };
    let (sighting, took) = match look() {
        Ok(looked) => looked,
        Err(e) => return checks.bad("faces", &e, "see the lines about bundle and models"),
    };
    let faces: Vec<String> = sighting.seen.iter().map(|seen| words(&seen.face.bbox, picture)).collect();
    let found = if faces.is_empty() { "none in the picture".to_owned() } else { faces.join("; ") };
    let fix = if faces.is_empty() { "stand before the camera and check again" } else { "" };
    checks.add("faces", if faces.is_empty() { Mark::Warning } else { Mark::Good }, found, fix);
    if let Some(path) = &extra.picture {
        match save(path, picture, &sighting) {
            Ok(()) => checks.add("picture", Mark::Good, format!("{}, faces in boxes", path.display()), ""),
            Err(e) => checks.bad("picture", &e, "give another --picture FILE.png"),
        }
    }
    let needed = u32::from(options.config.vote.needed);
    let verdict = each.max(took) * needed + took;
    let found =
        format!("{took:.1?} from a picture to an opinion, so about {verdict:.1?} to a verdict of {needed} votes");
    let stale = took > Duration::from_millis(options.config.pipeline.max_frame_age_ms.into());
    let fix = if stale {
        "slower than pipeline.max_frame_age_ms: no picture would ever count; use a faster provider"
    } else {
        ""
    };
    checks.add("speed", if stale { Mark::Bad } else { Mark::Good }, found, fix);
}

fn words(face: &Rect, picture: &Picture) -> String {
    let share = 100.0 * face.height() / picture.height as f32;
    format!(
        "{:.0}×{:.0} pixels at {:.0}, {:.0}, {share:.0} % of the height",
        face.width(),
        face.height(),
        face.x1,
        face.y1
    )
}

fn save(path: &Path, picture: &Picture, sighting: &Sighting) -> Result<(), Failure> {
    let Picture { width, height, pixels, .. } = picture;
    let mut image = RgbImage::from_raw(*width, *height, pixels.clone()).ok_or("an impossible picture")?;
    for seen in &sighting.seen {
        outline(&mut image, &seen.face.bbox);
    }
    Ok(image.save(path).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// Two pixels of green around a face.
fn outline(image: &mut RgbImage, face: &Rect) {
    const GREEN: Rgb<u8> = Rgb([64, 255, 96]);
    let (width, height) = image.dimensions();
    let pixel = |at: f32, side: u32| at.clamp(0.0, (side - 1) as f32) as u32;
    let (left, right) = (pixel(face.x1, width), pixel(face.x2, width));
    let (top, bottom) = (pixel(face.y1, height), pixel(face.y2, height));
    for y in top..=bottom {
        for x in left..=right {
            let edge = [x - left, right - x, y - top, bottom - y].into_iter().min();
            if edge.is_some_and(|edge| edge < 2) {
                image.put_pixel(x, y, GREEN);
            }
        }
    }
}

/// The relay's line, and a click if that was asked for.
pub fn relay(options: &RunOptions, extra: &Extra, clock: &Clock, checks: &mut Checks) {
    let power = without_power(options.config.door_settings().fail);
    checks.add("power", Mark::Good, format!("when it fails the door is {power}"), "");
    let mut relay = match open_relay(relay_plan(&options.config)) {
        Ok(relay) => relay,
        Err(e) => return checks.bad("relay", &e, "set relay.kind and relay.line to what is there"),
    };
    let settle = relay.settle();
    match relay.read(clock.now()) {
        Ok(Some(strike)) => {
            checks.add("relay", Mark::Good, format!("{}; its line says {strike:?}", relay.describe()), "");
        }
        Ok(None) => {
            let found = format!("{}; its line cannot be read back, settles in {settle:?}", relay.describe());
            checks.add("relay", Mark::Warning, found, "a relay that can be read back is noticed when it sticks");
        }
        Err(e) => return checks.bad("relay", &e, "check wiring and permissions"),
    }
    if !extra.click_relay {
        return;
    }
    let mut step = |strike: Strike, wait: Duration| -> Result<(), Failure> {
        relay.set(strike, clock.now())?;
        thread::sleep(wait.max(settle));
        match relay.read(clock.now())? {
            Some(found) if found != strike => Err(format!("was told {strike:?}, its line says {found:?}").into()),
            Some(_) | None => Ok(()),
        }
    };
    // Locked whatever became of the release.
    let released = step(Strike::Released, CLICK);
    let locked = step(Strike::Locked, Duration::ZERO);
    match released.and(locked) {
        Ok(()) => {
            let found = format!("released for {CLICK:?} and locked again: it should have clicked twice");
            checks.add("click", Mark::Good, found, "if it did not: check coil, supply and relay.active");
        }
        Err(e) => checks.bad("click", &e, "check wiring, relay.active and relay.feedback"),
    }
}

/// Exit button and door contact.
pub fn inputs(options: &RunOptions, checks: &mut Checks) {
    let Some(settings) = options.config.input_settings() else {
        return checks.add("inputs", Mark::Good, "neither exit button nor door contact", "");
    };
    let mut inputs = match GpioInputs::take(&settings) {
        Ok(inputs) => inputs,
        Err(e) => return checks.bad("inputs", &e, "set inputs.exit_button and inputs.door_contact to what is there"),
    };
    let mut found = inputs.describe().join("; ");
    if let Ok(Some(Input::Contact(contact))) = inputs.next(Duration::ZERO) {
        found.push_str(&format!("; the door says {contact:?}"));
    }
    checks.add("inputs", Mark::Good, found, "");
}

/// The display shows that the door is ready; pictures in a folder are only spoken of.
pub fn display(options: &RunOptions, checks: &mut Checks) {
    let plan = display::plan(options);
    let words = display::describe(&plan);
    if matches!(options.config.display.kind, DisplayKind::Png | DisplayKind::None) {
        return checks.add("display", Mark::Good, words, "");
    }
    match display::open(plan).show(&Screen::Ready) {
        Ok(()) => checks.add("display", Mark::Good, format!("{words}: it should say Ready now"), ""),
        Err(e) => checks.bad("display", &e, "check cable, bus and display.kind; the door works without it"),
    }
}
