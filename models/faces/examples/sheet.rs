//! `sheet KIND FIRST ROWS COLUMNS SIZE OUT.png`: a sheet of photos (rows are people), crowds or recordings.

use image::{RgbImage, imageops};
use lintel_faces::{Approach, Picture, crowd, photo};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, first, rows, columns, size, out] = args.as_slice() else {
        eprintln!("usage: sheet photos|crowds|recordings FIRST ROWS COLUMNS SIZE OUT.png");
        std::process::exit(2);
    };
    let number = |s: &str| s.parse::<u64>().unwrap_or_else(|_| panic!("{s} is not a number"));
    let (first, rows, columns, size) = (number(first), number(rows), number(columns), number(size) as u32);
    let wide = if kind == "photos" { [size, size] } else { [size, size * 3 / 4] };
    let mut sheet = RgbImage::new(wide[0] * columns as u32, wide[1] * rows as u32);
    for r in 0..rows {
        let recording = (kind == "recordings").then(|| Approach::new(&[first + r], first + r, wide, 15.0, 5.0));
        for c in 0..columns {
            let picture = match (&recording, kind.as_str()) {
                (Some(a), _) => a.frame(c as usize * a.frames() / columns as usize),
                (None, "photos") => photo(first + r, c, wide),
                _ => crowd(first + r * columns + c, wide, 6, 16.0),
            };
            imageops::replace(&mut sheet, &tile(picture), i64::from(wide[0]) * c as i64, i64::from(wide[1]) * r as i64);
        }
    }
    sheet.save(out).expect("the sheet can be written");
}

fn tile(picture: Picture) -> RgbImage {
    RgbImage::from_raw(picture.width, picture.height, picture.rgb).expect("rgb has three bytes a pixel")
}
