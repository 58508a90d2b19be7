//! `lintel ingest` on folders and photos of every bad kind.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma, RgbImage};
use lintel_photos::ingest::{People, Reason};

use crate::world::{World, good_photos, refused_untouched};

/// A world with an existing ingested output of two good people.
fn world() -> World {
    let world = World::new();
    world.copy("faces");
    world
}

#[track_caller]
fn check(world: &World, words: &str) {
    refused_untouched(world, &["ingest", "photos"], "faces", 2, words);
}

#[test]
fn an_empty_folder() {
    let world = world();
    std::fs::create_dir(world.path("photos")).unwrap();
    check(&world, "holds no folders");
}

#[test]
fn photos_without_folders() {
    let world = world();
    world.write("photos/ada.jpg", &good_photos()[0][0]);
    check(&world, "make one folder per person");
}

#[test]
fn a_file_in_place_of_a_folder() {
    let world = world();
    world.write("photos", b"no folder");
    check(&world, "photos is not a folder");
}

#[test]
fn one_person_only() {
    let world = world();
    world.person("Ada", 0, 4);
    check(&world, "one person (Ada)");
}

#[test]
fn a_person_with_one_photo_or_none() {
    for (count, words) in [(1, "photos/Bo holds 1 photo;"), (0, "photos/Bo holds 0 photos;")] {
        let world = world();
        world.person("Ada", 0, 4);
        world.write("photos/Bo/.hidden", b"");
        world.person("Bo", 1, count);
        check(&world, words);
    }
}

#[test]
fn a_person_with_one_usable_photo() {
    let world = world();
    world.person("Ada", 0, 4);
    world.person("Bo", 1, 3);
    for broken in ["1.jpg", "2.jpg"] {
        let whole = &good_photos()[1][1];
        world.write(&format!("photos/Bo/{broken}"), &whole[..whole.len() / 2]);
    }
    check(&world, "Bo has 1 usable photo of 3, at least 2 are needed (1.jpg: unreadable file, 2.jpg: unreadable file)");
}

#[test]
fn names_that_cannot_be_kept() {
    for (name, words) in [
        ("x".repeat(300), "the name has 300 characters, at most 100"),
        ("Ada\u{1b}[2J".into(), "control character U+001B"),
        ("Ada\nLovelace".into(), "control character U+000A"),
        (" \n".into(), "the name is empty"),
    ] {
        let world = world();
        world.person("a", 0, 2);
        world.person("b", 1, 2);
        world.write("photos/b/name.txt", name.as_bytes());
        check(&world, words);
    }
}

#[test]
fn names_that_differ_in_nothing_one_can_see() {
    for (one, other) in [("JOSÉ", "jose\u{301}"), ("Zoë", "zoë"), ("Ａｄａ", "Ada")] {
        let world = world();
        world.person("1", 0, 2);
        world.person("2", 1, 2);
        world.write("photos/1/name.txt", one.as_bytes());
        world.write("photos/2/name.txt", other.as_bytes());
        check(&world, "photos/1 and photos/2 differ only in case or Unicode form");
    }
}

#[test]
fn names_of_every_script_are_kept() {
    let world = World::new();
    let names = ["Zoe\u{308} Ångström", "李小龍", "Robin 🦊", "../../etc/passwd"];
    for (index, name) in names.iter().enumerate() {
        world.person(&index.to_string(), index, 3);
        world.write(&format!("photos/{index}/name.txt"), format!("{name}\r\n").as_bytes());
    }
    let output = world.lintel(&["ingest", "photos", "--out", "faces"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let people = People::open(&world.path("faces"), 2).unwrap();
    let mut kept: Vec<&str> = people.people.iter().map(|person| person.name.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["../../etc/passwd", "Robin 🦊", "Zoë Ångström", "李小龍"]);
    for person in &people.people {
        assert!(world.path("faces").join(&person.slug).is_dir(), "{}", person.slug);
    }
}

#[test]
fn one_bad_photo_does_not_stop_the_others() {
    let world = World::new();
    world.person("Ada", 0, 2);
    world.person("Bo", 1, 2);
    let whole = &good_photos()[0][3];
    let two = beside(&good_photos()[0][0], &good_photos()[1][0]);
    let bad: [(&str, Vec<u8>, Reason); 12] = [
        ("a-truncated.jpg", whole[..whole.len() * 2 / 3].to_vec(), Reason::Unreadable),
        ("b-cut-by-two-bytes.jpg", whole[..whole.len() - 2].to_vec(), Reason::Unreadable),
        ("c-empty.jpg", Vec::new(), Reason::Unreadable),
        ("d-text.jpg", b"this is no picture".to_vec(), Reason::Unreadable),
        ("e-gif.gif", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;".to_vec(), Reason::Unreadable),
        ("f-one-pixel.png", png(&RgbImage::new(1, 1)), Reason::TooSmall),
        ("g-huge.png", huge_png(), Reason::Unreadable),
        ("h-huge.jpg", huge_jpeg(whole), Reason::Unreadable),
        ("i-wall.png", png(&RgbImage::from_pixel(400, 300, image::Rgb([90, 110, 130]))), Reason::NoFace),
        ("j-two.jpg", two, Reason::TwoFaces),
        ("k-blurred.png", blurred(whole), Reason::TooBlurred),
        ("l-small.png", shrunk(whole), Reason::TooSmall),
    ];
    for (name, bytes, _) in &bad {
        world.write(&format!("photos/Ada/{name}"), bytes);
    }
    let output = world.lintel(&["ingest", "photos", "--out", "faces"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let people = People::open(&world.path("faces"), 2).unwrap();
    let ada = &people.people[0];
    assert_eq!((ada.name.as_str(), ada.crops.len()), ("Ada", 2));
    let got: Vec<(&str, Reason)> = ada.rejected.iter().map(|photo| (photo.source.as_str(), photo.reason)).collect();
    let expected: Vec<(&str, Reason)> = bad.iter().map(|(name, _, reason)| (*name, *reason)).collect();
    assert_eq!(got, expected, "{:#?}", ada.rejected);
    assert!(world.path("faces/sheet.png").is_file());
}

#[test]
fn outputs_that_would_harm_something() {
    let world = world();
    world.person("Ada", 0, 2);
    world.person("Bo", 1, 2);
    world.write("holiday/beach.jpg", b"dear");
    world.write("file", b"dear");
    for (out, words) in [
        ("photos", "lie inside one another"),
        ("photos/faces", "lie inside one another"),
        (".", "lie inside one another"),
        ("holiday", "is not a folder that `lintel ingest` made"),
        ("file", "is not a folder that `lintel ingest` made"),
    ] {
        refused_untouched(&world, &["ingest", "photos"], out, 2, words);
    }
    assert_eq!(std::fs::read(world.path("file")).unwrap(), b"dear");
}

#[test]
fn force_moves_aside_and_deletes_nothing() {
    let world = World::new();
    world.person("Ada", 0, 2);
    world.person("Bo", 1, 2);
    world.write("holiday/beach.jpg", b"dear");
    let output = world.lintel(&["ingest", "photos", "--out", "holiday", "--force"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(world.path("holiday/people.json").is_file());
    assert_eq!(std::fs::read(world.path("holiday.old-1/beach.jpg")).unwrap(), b"dear");
}

fn decoded(jpeg: &[u8]) -> RgbImage {
    image::load_from_memory(jpeg).unwrap().into_rgb8()
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// Two people in one picture.
fn beside(left: &[u8], right: &[u8]) -> Vec<u8> {
    let (left, right) = (decoded(left), decoded(right));
    let mut both = RgbImage::new(left.width() + right.width(), left.height());
    image::imageops::replace(&mut both, &left, 0, 0);
    image::imageops::replace(&mut both, &right, left.width().into(), 0);
    png(&both)
}

fn blurred(jpeg: &[u8]) -> Vec<u8> {
    png(&image::imageops::blur(&decoded(jpeg), 5.0))
}

/// A face of a few pixels in a large picture.
fn shrunk(jpeg: &[u8]) -> Vec<u8> {
    let image = decoded(jpeg);
    let small = image::imageops::thumbnail(&image, image.width() / 6, image.height() / 6);
    let mut wall = RgbImage::from_pixel(320, 240, image::Rgb([120, 120, 120]));
    image::imageops::replace(&mut wall, &small, 130, 90);
    png(&wall)
}

/// 20 000 × 20 000 px in a file that a decoder without a limit could read.
fn huge_png() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    GrayImage::from_pixel(20_000, 20_000, Luma([128])).write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A good JPEG whose frame header claims 20 000 × 20 000 px.
fn huge_jpeg(whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let header = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a baseline frame header");
    bytes[header + 5..header + 9].copy_from_slice(&[0x4e, 0x20, 0x4e, 0x20]);
    bytes
}
