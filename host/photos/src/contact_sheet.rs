//! The result of `lintel ingest` → pages for a person to check: for each person the crops and the rejected photos.

use std::path::Path;

use image::RgbImage;
use image::imageops::FilterType;
use lintel_core::align::CROP;
use lintel_pages::picture::{Canvas, Font, fitted, greyed, palette};

use crate::ingest::{IngestError, People, Person, THUMBNAIL, Thumbnail};

/// Pictures in a line; a person with more gets more lines.
const COLUMNS: u32 = 12;
const NAME_WIDTH: u32 = 190;
const MARGIN: u32 = 12;
const GAP: u32 = 6;
/// A picture and the line of text under it.
const CELL: (u32, u32) = (THUMBNAIL + GAP, THUMBNAIL + 14);
const HEAD: u32 = 44;
/// The greatest height of a page, which every viewer opens.
const PAGE_LINES: u32 = 60;

/// The pages as PNG files with their names: `sheet.png`, then `sheet-002.png` and so on if one is not enough.
///
/// `folder` holds the crops; `thumbnails` the rejected photos of each person in order.
///
/// # Errors
/// [`IngestError::CropChanged`] when a crop cannot be read back.
pub fn pages(
    people: &People,
    thumbnails: &[Vec<Thumbnail>],
    folder: &Path,
) -> Result<Vec<(String, Vec<u8>)>, IngestError> {
    let rows: Vec<(&Person, &[Thumbnail])> = people.people.iter().zip(thumbnails.iter().map(Vec::as_slice)).collect();
    let mut groups: Vec<Vec<(&Person, &[Thumbnail])>> = vec![Vec::new()];
    let mut used = 0;
    for row in rows {
        let lines = lines_of(row.0);
        if used > 0 && used + lines > PAGE_LINES {
            groups.push(Vec::new());
            used = 0;
        }
        used += lines;
        groups.last_mut().expect("there is always a page").push(row);
    }
    let count = groups.len();
    groups
        .iter()
        .enumerate()
        .map(|(index, rows)| {
            let name = if index == 0 { "sheet.png".into() } else { format!("sheet-{:03}.png", index + 1) };
            let title = if count == 1 { String::new() } else { format!(", page {} of {count}", index + 1) };
            Ok((name, page(people, rows, &title, folder)?))
        })
        .collect()
}

fn page(people: &People, rows: &[(&Person, &[Thumbnail])], title: &str, folder: &Path) -> Result<Vec<u8>, IngestError> {
    let lines: u32 = rows.iter().map(|(person, _)| lines_of(person)).sum();
    let most = people.people.iter().map(|person| person.crops.len() + person.rejected.len()).max().unwrap_or(0);
    let columns = (most as u32).clamp(4, COLUMNS);
    let width = 2 * MARGIN + NAME_WIDTH + columns * CELL.0;
    let height = HEAD + lines * CELL.1 + rows.len() as u32 * GAP + MARGIN;
    let mut canvas = Canvas::new(width, height, palette::PAPER);
    let crops: usize = people.people.iter().map(|person| person.crops.len()).sum();
    let rejected: usize = people.people.iter().map(|person| person.rejected.len()).sum();
    let head = format!("{} people, {crops} faces, {rejected} photos rejected{title}", people.people.len());
    canvas.text(MARGIN as i32, 12, &head, Font::Title, palette::INK);

    let mut y = HEAD as i32;
    for (person, thumbnails) in rows {
        canvas.line((MARGIN as i32, y - 3), ((width - MARGIN) as i32, y - 3), 1, palette::RULE);
        canvas.text_within(MARGIN as i32, y + 4, NAME_WIDTH - GAP, &person.name, Font::Body, palette::INK);
        let counts = format!("{} faces", person.crops.len());
        canvas.text(MARGIN as i32, y + 22, &counts, Font::Small, palette::FAINT);
        if !person.rejected.is_empty() {
            let counts = format!("{} rejected", person.rejected.len());
            canvas.text(MARGIN as i32, y + 34, &counts, Font::Small, palette::BAD);
        }
        for (index, crop) in person.crops.iter().enumerate() {
            let pixels = crop.read(folder)?;
            let image = RgbImage::from_raw(CROP, CROP, pixels).expect("the crop was read at its size");
            let small = image::imageops::resize(&image, THUMBNAIL, THUMBNAIL, FilterType::Triangle);
            let (x, y) = cell(index, y);
            canvas.paste(x, y, &small);
            canvas.text_within(x, y + THUMBNAIL as i32 + 2, THUMBNAIL, &crop.source, Font::Small, palette::FAINT);
        }
        for (index, (rejected, thumbnail)) in person.rejected.iter().zip(thumbnails.iter()).enumerate() {
            let (x, y) = cell(person.crops.len() + index, y);
            canvas.fill(x, y, THUMBNAIL, THUMBNAIL, palette::PANEL);
            if let Some(image) = &thumbnail.image {
                let small = greyed(&fitted(image, THUMBNAIL, THUMBNAIL));
                let (dx, dy) = ((THUMBNAIL - small.width()) / 2, (THUMBNAIL - small.height()) / 2);
                canvas.paste(x + dx as i32, y + dy as i32, &small);
            }
            canvas.outline(x, y, THUMBNAIL, THUMBNAIL, 1, palette::BAD);
            canvas.text_within(x + 3, y + 3, THUMBNAIL - 4, &rejected.source, Font::Small, palette::INK);
            let reason = rejected.reason.text();
            canvas.text_within(x, y + THUMBNAIL as i32 + 2, CELL.0, reason, Font::Small, palette::BAD);
        }
        y += (lines_of(person) * CELL.1 + GAP) as i32;
    }
    Ok(canvas.into_png())
}

fn lines_of(person: &Person) -> u32 {
    let pictures = (person.crops.len() + person.rejected.len()) as u32;
    pictures.div_ceil(COLUMNS).max(1)
}

fn cell(index: usize, y: i32) -> (i32, i32) {
    let (line, column) = (index as u32 / COLUMNS, index as u32 % COLUMNS);
    ((MARGIN + NAME_WIDTH + column * CELL.0) as i32, y + (line * CELL.1) as i32)
}
