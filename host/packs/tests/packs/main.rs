//! Packs: fetched from a faulty server, added from a folder, checked, and their limits accepted once.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod server;

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use lintel_packs::{FileState, KnownPack, PACK_FILE, Source, Store, add, fetch};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use server::{Answer, Server};

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Half a million bytes without a short period.
fn content() -> Vec<u8> {
    (0..500_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A pack of one file, `clip.bin`.
fn pack(content: &[u8]) -> KnownPack {
    toml::from_str(&format!(
        "description = 'd'\nlicence = 'l'\nsource = 's'\n\
         pack = {{ name = 'p', licence = 'l', detector = 'clip.bin', clip = 'clip.bin' }}\n\
         [files.'clip.bin']\nsha256 = '{}'\nbytes = {}\ncontent = 'c'\n\
         address = 'https://example.invalid/some/clip.bin'\n",
        hash(content),
        content.len()
    ))
    .unwrap()
}

struct World {
    store: Store,
    folder: PathBuf,
    _root: TempDir,
}

fn world() -> World {
    let root = tempfile::tempdir().unwrap();
    let store = Store::at(root.path().join("packs"));
    World { folder: store.folder("p"), store, _root: root }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mirror(server: &Server) -> Source {
    Source::Mirror(format!("{}/mirror/", server.address))
}

#[test]
fn a_fetch_ends_with_the_right_bytes_or_with_none() {
    let content = content();
    let check = |answers: &[Answer], expected: Result<&[Option<usize>], &str>| {
        let world = world();
        let server = Server::start(&content, answers);
        let fetched = fetch(&world.store, "p", &pack(&content), &mirror(&server), &mut |_, _, _| {});
        match (fetched, expected) {
            (Ok(brought), Ok(starts)) => {
                assert_eq!(brought, ["clip.bin"], "{answers:?}");
                assert_eq!(server.starts(), starts, "{answers:?}");
                assert_eq!(names(&world.folder), ["clip.bin", PACK_FILE], "{answers:?}");
                assert!(fs::read(world.folder.join("clip.bin")).unwrap() == content, "{answers:?}");
            }
            (Err(error), Err(text)) => {
                assert!(error.to_string().contains(text), "{answers:?}: {error}");
                let left = names(&world.folder);
                assert!(left.is_empty() || left == ["clip.bin.partial"], "{answers:?}: {left:?}");
            }
            (got, wanted) => panic!("{answers:?}: {got:?}, wanted {wanted:?}"),
        }
    };
    use Answer::{Cut, Endless, OtherBytes, OtherPart, Right, Status, Whole, WholeCut};
    check(&[Right], Ok(&[None]));
    check(&[Cut(100_000), Right], Ok(&[None, Some(100_000)]));
    check(&[Cut(0), Status(503), Right], Ok(&[None, None, None]));
    check(&[Cut(1), Cut(1), Cut(1), Cut(1), Cut(1), Right], Ok(&[None, Some(1), Some(2), Some(3), Some(4), Some(5)]));
    // A server without ranges starts over; a part that was not asked for is refused.
    check(&[WholeCut(100_000), Whole], Ok(&[None, Some(100_000)]));
    check(&[Cut(100_000), OtherPart, Right], Ok(&[None, Some(100_000), None]));
    check(&[Cut(100_000), Status(416), Right], Ok(&[None, Some(100_000), None]));
    check(&[OtherBytes], Err("gave a file with SHA-256"));
    check(&[Cut(100_000), OtherBytes], Err("gave a file with SHA-256"));
    check(&[Endless], Err("gave more than 500000 bytes, wanted 500000 bytes; nothing was kept"));
    check(&[Status(404)], Err("gave status 404"));
    check(&[Status(500)], Err("the server answers 500; run the same command again to go on"));
    check(&[WholeCut(0)], Err("cannot be fetched"));
}

#[test]
fn the_next_run_goes_on_where_the_last_one_ended() {
    let (content, world) = (content(), world());
    let broken = Server::start(&content, &[Answer::Cut(300_000), Answer::Status(500)]);
    let fetched = fetch(&world.store, "p", &pack(&content), &mirror(&broken), &mut |_, _, _| {});
    assert!(fetched.is_err());
    assert_eq!(names(&world.folder), ["clip.bin.partial"]);

    let server = Server::start(&content, &[Answer::Right]);
    let mut seen = Vec::new();
    let step = &mut |file: &str, done, all| seen.push((file.to_owned(), done, all));
    fetch(&world.store, "p", &pack(&content), &mirror(&server), step).unwrap();
    assert_eq!(server.starts(), [Some(300_000)]);
    assert!(seen.iter().all(|(file, done, all)| file == "clip.bin" && *done > 300_000 && *all == 500_000));
    // A file that is there is not fetched again.
    let brought = fetch(&world.store, "p", &pack(&content), &mirror(&server), &mut |_, _, _| {}).unwrap();
    assert_eq!((brought.len(), server.starts().len()), (0, 1));
}

#[test]
fn a_partial_file_of_something_else_is_not_kept() {
    let (content, world) = (content(), world());
    fs::create_dir_all(&world.folder).unwrap();
    fs::write(world.folder.join("clip.bin.partial"), vec![7; 400_000]).unwrap();
    let server = Server::start(&content, &[Answer::Right]);
    let error = fetch(&world.store, "p", &pack(&content), &mirror(&server), &mut |_, _, _| {}).unwrap_err();
    assert!(error.to_string().contains("gave a file with SHA-256"), "{error}");
    fetch(&world.store, "p", &pack(&content), &mirror(&server), &mut |_, _, _| {}).unwrap();
    assert_eq!(server.starts(), [Some(400_000), None]);
    // A file that is too long is refused too.
    let world = self::world();
    fs::create_dir_all(&world.folder).unwrap();
    fs::write(world.folder.join("clip.bin.partial"), vec![7; 600_000]).unwrap();
    fetch(&world.store, "p", &pack(&content), &mirror(&server), &mut |_, _, _| {}).unwrap();
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The same pack, its file published inside a zip.
fn archived(content: &[u8], zip: &[u8]) -> KnownPack {
    let mut pack = pack(content);
    let archive = format!("sha256 = '{}'\nbytes = {}\ncontent = 'z'", hash(zip), zip.len());
    pack.files.get_mut("clip.bin").unwrap().archive = Some(toml::from_str(&archive).unwrap());
    pack
}

#[test]
fn a_file_is_taken_out_of_its_archive() {
    let content = content();
    let check = |zip: &[u8], expected: Option<&str>| {
        let (world, server) = (world(), Server::start(zip, &[Answer::Right]));
        let fetched = fetch(&world.store, "p", &archived(&content, zip), &mirror(&server), &mut |_, _, _| {});
        match expected {
            None => {
                fetched.unwrap();
                assert_eq!(names(&world.folder), ["clip.bin", PACK_FILE]);
            }
            Some(text) => {
                let error = fetched.unwrap_err().to_string();
                assert!(error.contains(text), "{error}");
                assert!(names(&world.folder).is_empty());
            }
        }
    };
    check(&zipped(&[("readme", b"x"), ("models/clip.bin", &content)]), None);
    check(&zipped(&[("readme", b"x")]), Some("holds no clip.bin"));
    check(&zipped(&[("clip.bin", b"x")]), Some("holds a clip.bin with SHA-256"));
    check(&zipped(&[("clip.bin", &[0; 1_000_000])]), Some("holds a clip.bin with SHA-256"));
    check(b"no zip at all", Some("clip.bin.zip"));
}

#[test]
fn files_are_known_by_their_hashes() {
    let content = content();
    let zip = zipped(&[("clip.bin", &content)]);
    let mut other = content.clone();
    other[0] ^= 1;
    let check = |files: &[(&str, &[u8])], found: Option<&str>| {
        let (world, from) = (world(), tempfile::tempdir().unwrap());
        for (name, content) in files {
            let path = from.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let added = add(&world.store, "p", &archived(&content, &zip), from.path(), &mut |_| {}).unwrap();
        let place = added.files.get("clip.bin").and_then(Option::as_ref);
        let place = place.map(|path| path.strip_prefix(from.path()).unwrap().to_str().unwrap());
        assert_eq!((place, added.missing.len()), (found, usize::from(found.is_none())));
        assert_eq!(world.folder.join(PACK_FILE).exists(), found.is_some());
        if found.is_some() {
            assert!(fs::read(world.folder.join("clip.bin")).unwrap() == content);
        }
    };
    check(&[("RN50 (1).pt", &content)], Some("RN50 (1).pt"));
    check(&[("a/b/c", &content), ("clip.bin", &other)], Some("a/b/c"));
    check(&[("models.zip", &zip)], Some("models.zip"));
    check(&[("clip.bin", &other)], None);
    check(&[("clip.bin", &content[1..])], None);
    check(&[], None);
}

#[test]
fn damage_on_the_disk_is_found() {
    let (content, world) = (content(), world());
    let pack = pack(&content);
    let state = || world.store.verify("p", "clip.bin", &pack.files["clip.bin"], &mut |_| {}).unwrap();
    assert_eq!(state(), FileState::Absent);
    fs::create_dir_all(&world.folder).unwrap();
    fs::write(world.folder.join("clip.bin"), &content).unwrap();
    assert_eq!(state(), FileState::Good);
    let mut damaged = content.clone();
    damaged[250_000] ^= 1;
    fs::write(world.folder.join("clip.bin"), &damaged).unwrap();
    assert_eq!(state(), FileState::Wrong { got: hash(&damaged) });
}
