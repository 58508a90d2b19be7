//! Files that are longer than signed, damaged, incomplete, or that decide otherwise on the device: never installed.

use lintel_formats::bundle::{FileEntry, MANIFEST, Role};
use lintel_formats::reference::{REFERENCE, Reference};
use lintel_tests::rigs::link::offer;
use lintel_wire::link::{Answer, Refusal, Request};

use super::{is_refused, resigned, scene};

#[test]
fn endless_data() {
    let scene = scene();
    let huge = resigned(&scene, |targets| {
        for (_, target) in targets.targets.iter_mut().filter(|(name, _)| name.raw() == Role::Detector.file_name()) {
            target.length = 1 << 40;
        }
    });
    scene.refused(&huge, Refusal::EndlessData);
    // More bytes of a file than were signed.
    let mut client = scene.client();
    let metadata = scene.signed([1, 1, 1]);
    let Answer::Wanted(wanted) = offer(&mut client, &metadata).expect("sound") else { panic!("no list") };
    let file = wanted.iter().find(|file| file.name == MANIFEST).expect("the manifest");
    let bytes = vec![0; usize::try_from(file.bytes).expect("small") + 1];
    is_refused(client.ask(&Request::Piece { file: file.file, offset: 0, bytes }), Refusal::EndlessData);
    scene.unchanged(Refusal::EndlessData);
    // Metadata without end.
    let mut client = scene.client();
    let refused = (0..100)
        .find_map(|n| client.ask(&Request::Metadata { name: format!("{n}.root.json"), bytes: vec![b' '; 1000] }).err());
    is_refused(refused.map_or(Ok(()), Err), Refusal::EndlessData);
}

#[test]
fn wrong_content() {
    let scene = scene();
    let mut client = scene.client();
    let Answer::Wanted(wanted) = offer(&mut client, &scene.signed([1, 1, 1])).expect("sound") else {
        panic!("no list")
    };
    let file = wanted.iter().find(|file| file.name == Role::Table.file_name()).expect("the table");
    let mut bytes = scene.parcel.content(&file.file).expect("at hand").to_vec();
    bytes[100] ^= 1;
    is_refused(client.ask(&Request::Piece { file: file.file, offset: 0, bytes }), Refusal::Content);
    scene.unchanged(Refusal::Content);
    // A file is missing.
    let mut client = scene.client();
    offer(&mut client, &scene.signed([1, 1, 1])).expect("sound");
    is_refused(client.ask(&Request::Install), Refusal::Content);
    scene.unchanged(Refusal::Content);
}

#[test]
fn a_bundle_that_decides_otherwise_here() {
    let mut scene = scene();
    let (_, bytes) = scene.parcel.files.iter().find(|(name, _)| *name == REFERENCE).expect("a reference");
    let mut reference = Reference::from_bytes(bytes).expect("a reference");
    reference.pictures[0].similarity -= 0.2;
    let bytes = reference.to_bytes().expect("a reference");
    for file in scene.parcel.files.iter_mut().filter(|(name, _)| *name == REFERENCE) {
        file.1 = bytes.clone();
    }
    for entry in scene.parcel.entries.iter_mut().filter(|entry| entry.name == REFERENCE) {
        *entry = FileEntry::of(REFERENCE, &bytes);
    }
    is_refused(scene.install(&scene.signed([1, 1, 1])), Refusal::Proof);
    scene.unchanged(Refusal::Proof);
}
