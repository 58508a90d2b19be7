//! Visits → one picture: for each a row with the frame and its faces, the display, and the door.

use std::path::{Path, PathBuf};

use image::RgbImage;
use lintel_core::table::Table;
use lintel_formats::recording::Recording;
use lintel_pages::picture::{Canvas, Colour, Font, fitted, palette, text_width};
use lintel_photos::photos;
use lintel_wire::event::{LookedAt, Outcome};
use lintel_wire::value::Rect;

use crate::evaluate::{EvaluateError, open_recording};
use crate::visits::{Visit, Visits};

const FRAME: (u32, u32) = (240, 180);
const MARGIN: i32 = 16;
const GAP: i32 = 14;
const HEAD: i32 = 74;
const DISPLAY: u32 = 180;
const DOOR: (i32, i32) = (90, 180);
const WORDS: i32 = 300;
/// One visit.
const ROW: (i32, i32) = (FRAME.0 as i32 + DISPLAY as i32 + DOOR.0 + WORDS + 3 * GAP, FRAME.1 as i32 + GAP);
/// More visits than this are shown in two columns, so that the sheet fits a screen.
const ONE_COLUMN: usize = 6;
/// The most visits on the picture, so that every program opens it; the table has all visits.
const MOST_ROWS: usize = 60;

/// The sheet as a PNG file.
///
/// `recordings` are the sources of the visits' frames, `history` is the folder of the display's pictures.
///
/// # Errors
/// [`EvaluateError::Recording`] when a visit's recording cannot be opened.
pub fn sheet(visits: &Visits, recordings: &[PathBuf], history: &Path, table: &Table) -> Result<Vec<u8>, EvaluateError> {
    let rows = &visits.visits[..visits.visits.len().min(MOST_ROWS)];
    let columns = if rows.len() > ONE_COLUMN { 2 } else { 1 };
    let lines = rows.len().div_ceil(columns);
    let width = 2 * MARGIN + columns as i32 * (ROW.0 + GAP) - GAP;
    let height = HEAD + lines as i32 * ROW.1 + MARGIN;
    let mut canvas = Canvas::new(width as u32, height as u32, palette::PAPER);
    let released = visits.visits.iter().filter(|visit| visit.released_ms.is_some()).count();
    let title = format!("{} visits, the door was released for {released}", visits.visits.len());
    canvas.text(MARGIN, 14, &title, Font::Title, palette::INK);
    for column in 0..columns {
        let places = places(MARGIN + column as i32 * (ROW.0 + GAP));
        for (x, head) in places.into_iter().zip(["the camera's frame", "the display", "the door", "what happened"]) {
            canvas.text(x, HEAD - 24, head, Font::Body, palette::FAINT);
        }
    }
    for (index, visit) in rows.iter().enumerate() {
        let left = MARGIN + (index / lines) as i32 * (ROW.0 + GAP);
        let y = HEAD + (index % lines) as i32 * ROW.1;
        let [frame_x, display_x, door_x, words_x] = places(left);
        if let Some(path) = recordings.iter().find(|path| stem_is(path, &visit.recording)) {
            let frame = key_frame(&open_recording(path)?, visit, table);
            canvas.paste(frame_x, y, &frame);
        }
        canvas.outline(frame_x, y, FRAME.0, FRAME.1, 1, palette::RULE);
        canvas.fill(display_x, y, DISPLAY, DISPLAY, palette::PANEL);
        if let Some(picture) = display_picture(history, visit.key.screen) {
            let picture = fitted(&picture, DISPLAY, DISPLAY);
            canvas.paste(display_x, y + (DISPLAY - picture.height()) as i32 / 2, &picture);
        }
        door(&mut canvas, door_x, y, visit.released_ms.is_some());
        words(&mut canvas, words_x, y, visit);
    }
    Ok(canvas.into_png())
}

/// Horizontal places of frame, display, door and words of a visit.
fn places(left: i32) -> [i32; 4] {
    let display = left + FRAME.0 as i32 + GAP;
    let door = display + DISPLAY as i32 + GAP;
    [left, display, door, door + DOOR.0 + GAP]
}

fn stem_is(path: &Path, name: &str) -> bool {
    // Messages cut names at 64 bytes.
    path.file_stem().is_some_and(|stem| {
        let stem = stem.to_string_lossy();
        stem == name || (name.len() > 60 && stem.starts_with(name))
    })
}

/// The frame with a box around every face, and below it the most similar person.
fn key_frame(recording: &Recording, visit: &Visit, table: &Table) -> RgbImage {
    let about = recording.about();
    let index = (visit.key.captured_ms / 1e3 * about.fps).round().max(0.0) as usize;
    let mut pixels = Vec::new();
    let decoded = recording.decode_into(index.min(recording.len() - 1), &mut pixels);
    let whole = decoded.and_then(Result::ok).and_then(|info| RgbImage::from_raw(info.width, info.height, pixels));
    let Some(whole) = whole else { return RgbImage::new(FRAME.0, FRAME.1) };
    let small = fitted(&whole, FRAME.0, FRAME.1);
    let scale = small.width() as f32 / whole.width() as f32;
    let mut canvas = Canvas::on(small);
    for face in &visit.key.look.faces {
        let (colour, label) = told(face, table);
        let Rect { x1, y1, x2, y2 } = face.bbox;
        let [x, y] = [x1, y1].map(|value| (value * scale).round() as i32);
        let [w, h] = [x2 - x1, y2 - y1].map(|value| (value * scale).round().clamp(1.0, 4096.0) as u32);
        canvas.outline(x, y, w, h, 2, colour);
        let width = text_width(&label, Font::Small) + 4;
        let above = if y >= 13 { y - 12 } else { y + h as i32 + 1 };
        let left = x.min(FRAME.0 as i32 - width as i32).max(0);
        canvas.fill(left, above, width, 12, palette::INK);
        canvas.text(left + 2, above + 1, &label, Font::Small, colour);
    }
    let mut framed = Canvas::new(FRAME.0, FRAME.1, palette::PANEL);
    let small = canvas.into_image();
    framed.paste(0, ((FRAME.1 - small.height()) / 2) as i32, &small);
    framed.into_image()
}

fn told(face: &LookedAt, table: &Table) -> (Colour, String) {
    const NAMED: Colour = [96, 232, 150];
    const NOBODY: Colour = [255, 170, 80];
    match face.outcome {
        Outcome::Unfit => (NOBODY, format!("face {:.2}", face.score)),
        Outcome::Compared { person, similarity, .. } => {
            let name = person.and_then(|id| table.person(id.into())).map(|person| person.name.as_str());
            let colour = if name.is_some() { NAMED } else { NOBODY };
            (colour, format!("{} {:.2}", name.unwrap_or("nobody"), similarity.get()))
        }
    }
}

fn display_picture(history: &Path, number: u32) -> Option<RgbImage> {
    let start = format!("{number:04}-");
    let entries = std::fs::read_dir(history).ok()?;
    let path = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)))?;
    // Decoded here: the display's picture is smaller than the least size of a photo.
    image::load_from_memory(&photos::read(&path).ok()?).ok().map(image::DynamicImage::into_rgb8)
}

/// A drawing of a door, ajar or shut.
fn door(canvas: &mut Canvas, x: i32, y: i32, open: bool) {
    let (width, height) = (DOOR.0, DOOR.1);
    let (left, top) = (x + 8, y + 16);
    let (w, h) = (width - 16, height - 40);
    let colour = if open { palette::GOOD } else { palette::FAINT };
    canvas.outline(left, top, w as u32, h as u32, 3, palette::INK);
    if open {
        canvas.fill(left + 3, top + 3, (w - 6) as u32, (h - 6) as u32, [255, 236, 170]);
        // The leaf, swung inwards: a parallelogram of upright lines.
        for step in 0..w / 3 {
            canvas.line((left + 3 + step, top + 3 + step / 2), (left + 3 + step, top + h - 4 - step / 2), 1, colour);
        }
    } else {
        canvas.fill(left + 3, top + 3, (w - 6) as u32, (h - 6) as u32, palette::RULE);
        canvas.fill(left + w - 16, top + h / 2, 6, 10, palette::INK);
    }
    let word = if open { "released" } else { "locked" };
    canvas.text(x + (width - 8 * word.len() as i32) / 2, y + height - 16, word, Font::Body, colour);
}

fn words(canvas: &mut Canvas, x: i32, y: i32, visit: &Visit) {
    let [who, verdict, display, relay, time] = visit.cells();
    let width = WORDS as u32;
    canvas.text_within(x, y + 6, width, &who, Font::Title, palette::INK);
    let lines = [
        format!("verdict: {verdict}"),
        format!("display: {display}"),
        format!("relay: {relay}"),
        format!("after the first sharp frame: {time}"),
    ];
    for (index, line) in lines.iter().enumerate() {
        canvas.text_within(x, y + 38 + 22 * index as i32, width, line, Font::Body, palette::INK);
    }
}
