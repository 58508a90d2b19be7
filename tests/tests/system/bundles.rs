//! Unsound bundles are refused, each with its own message, and what was installed before stays.

use std::fs;
use std::path::Path;

use lintel_core::embed::EncoderId;
use lintel_edge::compose::bundle::install;
use lintel_edge::io::disk::RealDisk;
use lintel_edge::slots::Slots;
use lintel_formats::bundle::{FileEntry, MANIFEST, Manifest, Role, file_names};
use lintel_inference::LoadedBundle;

use crate::world;

/// Copies the world's bundle to a folder that the test may spoil.
fn copy(to: &Path) {
    for name in file_names() {
        fs::copy(world().bundle().join(name), to.join(name)).unwrap();
    }
}

/// Installs a sound bundle, then a spoiled copy. Returns the error of the second.
fn refused(spoil: impl FnOnce(&Path)) -> String {
    let (bundle, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(&world().bundle(), state.path()).unwrap();
    let slots = Slots::new(state.path(), RealDisk);
    let before = slots.current().unwrap();
    copy(bundle.path());
    spoil(bundle.path());
    let error = install(bundle.path(), state.path()).expect_err("a spoiled bundle").to_string();
    assert_eq!(slots.current().unwrap(), before, "{error}");
    let dir = slots.dir(before.expect("the sound one is current"));
    LoadedBundle::load(&dir).expect("and is whole");
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn one_byte_flipped_in_any_file() {
    for name in file_names() {
        let length = fs::metadata(world().bundle().join(name)).unwrap().len() as usize;
        for at in [0, 9, length / 3, length / 2, length - 33, length - 1] {
            let error = refused(|bundle| {
                let path = bundle.join(name);
                let mut bytes = fs::read(&path).unwrap();
                bytes[at] ^= 0x04;
                fs::write(&path, bytes).unwrap();
            });
            assert!(error.contains(name), "{name}, byte {at}: {error}");
        }
    }
}

#[test]
fn a_file_that_is_missing_short_or_long() {
    for name in file_names() {
        let error = refused(|bundle| fs::remove_file(bundle.join(name)).unwrap());
        assert!(error.contains(name) && error.contains("missing"), "{error}");
        for change in [-1_i64, 1] {
            let error = refused(|bundle| {
                let path = bundle.join(name);
                let mut bytes = fs::read(&path).unwrap();
                let length = bytes.len().checked_add_signed(change as isize).unwrap();
                bytes.resize(length, 0);
                fs::write(&path, bytes).unwrap();
            });
            assert!(error.contains(name), "{name} {change:+}: {error}");
        }
    }
}

/// All hashes are right, but the table's encoder is not the bundle's.
#[test]
fn a_table_for_another_encoder() {
    let error = refused(|bundle| {
        // Another encoder: the same model with a trailing field that ONNX readers skip.
        let path = bundle.join(Role::Encoder.file_name());
        let mut encoder = fs::read(&path).unwrap();
        encoder.extend([0xa2, 0x06, 0x00]);
        fs::write(&path, &encoder).unwrap();
        let mut manifest = Manifest::from_bytes(&fs::read(bundle.join(MANIFEST)).unwrap()).unwrap();
        manifest.encoder = EncoderId::of(&encoder);
        manifest.files = Role::ALL
            .map(Role::file_name)
            .map(|name| FileEntry::of(name, &fs::read(bundle.join(name)).unwrap()))
            .into();
        fs::write(bundle.join(MANIFEST), manifest.to_bytes().unwrap()).unwrap();
    });
    assert!(error.contains("identity table is for encoder"), "{error}");
}

#[test]
fn a_bundle_that_is_a_file_or_not_there() {
    let check = |path: &Path| {
        let state = tempfile::tempdir().unwrap();
        let error = install(path, state.path()).expect_err("no bundle");
        assert_eq!(error.exit_code(), 2, "{error}");
        assert_eq!(state.path().read_dir().unwrap().count(), 0, "nothing is written");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle");
    fs::write(&file, "").unwrap();
    check(&file);
    check(&folder.path().join("none"));
    check(folder.path());
}

#[test]
fn a_sound_bundle_goes_to_the_other_slot_and_the_same_one_nowhere() {
    let state = tempfile::tempdir().unwrap();
    let (first, _) = install(&world().bundle(), state.path()).unwrap();
    assert!(first.changed);
    let (again, _) = install(&world().bundle(), state.path()).unwrap();
    assert_eq!((again.changed, again.slot), (false, first.slot));
    let bundle = tempfile::tempdir().unwrap();
    copy(bundle.path());
    let mut manifest = Manifest::from_bytes(&fs::read(bundle.path().join(MANIFEST)).unwrap()).unwrap();
    manifest.created += 1;
    fs::write(bundle.path().join(MANIFEST), manifest.to_bytes().unwrap()).unwrap();
    let (next, _) = install(bundle.path(), state.path()).unwrap();
    assert_eq!((next.changed, next.slot), (true, first.slot.other()));
}
