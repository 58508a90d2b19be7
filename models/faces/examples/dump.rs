//! `dump KIND FIRST COUNT WIDTH HEIGHT DIR`: writes PNGs and a `truth.csv` for checks outside this crate.

use std::fmt::Write;

use lintel_faces::{crowd, photo};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, first, count, width, height, dir] = args.as_slice() else {
        eprintln!("usage: dump photos|crowds FIRST COUNT WIDTH HEIGHT DIR");
        std::process::exit(2);
    };
    let number = |s: &str| s.parse::<u64>().unwrap_or_else(|_| panic!("{s} is not a number"));
    let size = [number(width) as u32, number(height) as u32];
    let mut csv = String::from("file,person,x1,y1,x2,y2,lx,ly,rx,ry,nx,ny,mlx,mly,mrx,mry,yaw,pitch,roll,visible\n");
    for i in 0..number(count) {
        let seed = number(first) + i;
        // Four photos of each person.
        let picture = if kind == "photos" { photo(seed / 4, seed % 4, size) } else { crowd(seed, size, 5, 16.0) };
        let file = format!("{seed}.png");
        if picture.truth.is_empty() {
            writeln!(csv, "{file}").expect("writing to memory cannot fail");
        }
        for t in &picture.truth {
            write!(csv, "{file},{}", t.person).expect("writing to memory cannot fail");
            for v in t.bbox.iter().chain(t.landmarks.iter().flatten()) {
                write!(csv, ",{v}").expect("writing to memory cannot fail");
            }
            writeln!(csv, ",{},{},{},{}", t.pose.yaw, t.pose.pitch, t.pose.roll, t.visible)
                .expect("writing to memory cannot fail");
        }
        let (width, height) = (picture.width, picture.height);
        image::save_buffer(format!("{dir}/{file}"), &picture.rgb, width, height, image::ColorType::Rgb8)
            .expect("the picture can be written");
    }
    std::fs::write(format!("{dir}/truth.csv"), csv).expect("the truth can be written");
}
