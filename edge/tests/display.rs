//! Every screen on both displays, against the pictures in `golden/`. `UPDATE_GOLDEN=1` writes them anew.

use std::path::{Path, PathBuf};

use lintel_core::door::Fault;
use lintel_core::screen::{Screen, shown_name};
use lintel_edge::config::Size;
use lintel_edge::io::display::Display as _;
use lintel_edge::io::display::card::slug;
use lintel_edge::io::display::png::{PngDisplay, picture};

fn welcome(name: &str) -> Screen {
    Screen::Welcome { name: shown_name(name) }
}

/// Every variant, and those with content in the forms that are hard to draw.
fn screens() -> Vec<(String, Screen)> {
    let plain = [
        Screen::Starting,
        Screen::Ready,
        Screen::NotRecognised,
        Screen::StepCloser,
        Screen::LookAtCamera,
        Screen::HoldStill,
        Screen::HeldOpen,
        Screen::ForcedOpen,
        Screen::Updating,
    ];
    let mut screens: Vec<(String, Screen)> =
        plain.into_iter().chain(Fault::ALL.map(Screen::Fault)).map(|s| (slug(&s).to_owned(), s)).collect();
    for (votes, needed) in [(0, 4), (2, 4), (4, 4), (7, 12)] {
        screens.push((format!("looking-{votes}-of-{needed}"), Screen::Looking { votes, needed }));
    }
    for seconds in [7, 900] {
        screens.push((format!("try-later-{seconds}"), Screen::TryLater { seconds }));
    }
    screens.push(("pairing".to_owned(), Screen::Pairing { code: "123 456".try_into().unwrap() }));
    for (form, name) in [
        ("nobody", ""),
        ("short", "Ada"),
        ("usual", "Ada Lovelace"),
        ("accents", "José Ångström"),
        ("chinese", "張偉"),
        ("long", "Anna Maria Luisa de' Medici-Orsini"),
        ("one-word", "Wolfeschlegelsteinhausenbergerdorff"),
        ("cut", "Pablo Diego José Francisco de Paula Juan Nepomuceno María de los Remedios Cipriano"),
    ] {
        screens.push((format!("welcome-{form}"), welcome(name)));
    }
    screens
}

fn golden(name: &str, size: Size) -> PathBuf {
    let size = match size {
        Size::Mono128x64 => "128x64",
        Size::Colour240x240 => "240x240",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.{size}.png"))
}

#[test]
fn every_screen_looks_as_it_did() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, screen) in screens() {
        for size in [Size::Mono128x64, Size::Colour240x240] {
            let path = golden(&name, size);
            let png = picture(&screen, size).unwrap();
            if update {
                std::fs::write(&path, &png).unwrap();
            }
            let wanted = std::fs::read(&path).ok().and_then(|bytes| image::load_from_memory(&bytes).ok());
            // Pixels, not bytes: another version of the encoder may pack them otherwise.
            if wanted != Some(image::load_from_memory(&png).unwrap()) {
                wrong.push(path);
            }
        }
    }
    assert!(wrong.is_empty(), "look at these, and run with UPDATE_GOLDEN=1 if the new pictures are right: {wrong:#?}");
}

#[test]
fn the_golden_folder_holds_nothing_else() {
    let mut wanted: Vec<PathBuf> = screens()
        .iter()
        .flat_map(|(name, _)| [Size::Mono128x64, Size::Colour240x240].map(|size| golden(name, size)))
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut found: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn two_screens_never_look_the_same() {
    let storage = Screen::Fault(Fault::Storage);
    for size in [Size::Mono128x64, Size::Colour240x240] {
        let mut seen: Vec<(Vec<u8>, String)> = Vec::new();
        for (name, screen) in screens().into_iter().filter(|(_, screen)| *screen != storage) {
            let png = picture(&screen, size).unwrap();
            if let Some((_, other)) = seen.iter().find(|(before, _)| *before == png) {
                panic!("{name} looks like {other} at {size:?}");
            }
            seen.push((png, name));
        }
    }
}

#[test]
fn the_folder_shows_the_present_and_the_past() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(folder.path().join("history"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let mut display = PngDisplay::new(folder.path(), Size::Mono128x64, 2).unwrap();
    for screen in [Screen::Starting, Screen::Ready, Screen::Ready, welcome("Ada")] {
        display.show(&screen).unwrap();
        let shown = std::fs::read(folder.path().join("display.png")).unwrap();
        assert_eq!(shown, picture(&screen, Size::Mono128x64).unwrap());
    }
    assert_eq!(names(), ["0002-ready.png", "0003-welcome.png"]);
    std::fs::write(folder.path().join("history/notes.txt"), "somebody's").unwrap();
    drop(display);
    // Another run begins another history, and touches nothing that is not its own.
    let mut display = PngDisplay::new(folder.path(), Size::Mono128x64, 2).unwrap();
    display.show(&Screen::Starting).unwrap();
    assert_eq!(names(), ["0001-starting.png", "notes.txt"]);
}

#[test]
fn a_display_whose_folder_goes_away_says_so_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("display");
    let mut display = PngDisplay::new(&dir, Size::Mono128x64, 10).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(display.show(&Screen::Ready).is_err());
    std::fs::create_dir_all(dir.join("history")).unwrap();
    display.show(&Screen::Ready).unwrap();
    assert!(dir.join("display.png").is_file());
}
