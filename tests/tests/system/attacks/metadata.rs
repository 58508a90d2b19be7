//! What was signed is forged, old, mixed, or for another device: refused before a file is sent.

use std::sync::atomic::Ordering;

use lintel_formats::bundle::MANIFEST;
use lintel_link::Fingerprint;
use lintel_site::device::parcel::Content;
use lintel_site::now;
use lintel_tests::rigs::link::{TestWorkstation, offer};
use lintel_wire::link::{Refusal, Request};
use tough::schema::RoleType;

use super::{Metadata, Scene, is_refused, replace, resigned, scene};
use crate::world;

#[test]
fn arbitrary_software() {
    let scene = scene();
    // Signed with a stranger's keys.
    let thief = TestWorkstation::new().expect("a workstation");
    let parcel = &scene.parcel;
    let devices = [scene.device.fingerprint()];
    let forged =
        thief.site.publish(&parcel.entries, (&parcel.manifest, &parcel.table), &devices, [1, 1, 1]).expect("signed");
    scene.refused(&forged, Refusal::Signature);
    // One byte of the signed content is changed.
    let mut changed = scene.signed([1, 1, 1]);
    let targets = changed.iter().find(|(name, _)| name.ends_with("targets.json")).expect("targets").1.clone();
    let text = String::from_utf8(targets).expect("JSON").replace("\"revision\": 2", "\"revision\": 3");
    replace(&mut changed, "targets.json", text.into_bytes());
    scene.refused(&changed, Refusal::MixAndMatch);
}

#[test]
fn rollback() {
    let scene = scene();
    let older = scene.signed([3, 3, 3]);
    scene.install(&scene.signed([5, 5, 5])).expect("installed");
    is_refused(offer(&mut scene.client(), &older), Refusal::Rollback);
    assert_eq!(scene.rig.refusals().expect("an audit log").last(), Some(&Refusal::Rollback));
    // An older table, signed anew.
    let older = Content::open(&world().bundle()).expect("a bundle");
    let manifest = match &older {
        Content::Bundle(bundle) => bundle.manifest.clone(),
        Content::Table { .. } => panic!("a bundle"),
    };
    let mut parcel = scene.workstation.parcel(&older, &scene.status).expect("a parcel");
    parcel.manifest = manifest;
    let devices = [scene.device.fingerprint()];
    let signed = scene
        .workstation
        .site
        .publish(&parcel.entries, (&parcel.manifest, &parcel.table), &devices, [6, 6, 6])
        .expect("signed");
    let scene = Scene { parcel, ..scene };
    is_refused(scene.install(&signed), Refusal::Rollback);
}

#[test]
fn fast_forward_and_the_way_back() {
    let scene = scene();
    scene.refused(&scene.signed([2_000_000, 1, 1]), Refusal::FastForward);
    scene.refused(&scene.signed([1, 1, 1 << 41]), Refusal::FastForward);
    // A thief with the keys raises the versions as far as allowed. The site revokes the keys and starts again at 1.
    scene.install(&scene.signed([900_000, 900_000, 900_000])).expect("installed");
    for role in [RoleType::Timestamp, RoleType::Snapshot] {
        scene.workstation.site.rotate(role, &[]).expect("rotated");
    }
    let mut recovered = scene.workstation.site.roots_after(1).expect("roots");
    recovered.extend(scene.signed([1, 1, 900_001]));
    scene.install(&recovered).expect("installed");
    assert_eq!(scene.client().status().expect("a status").versions, [1, 1, 900_001]);
}

#[test]
fn indefinite_freeze() {
    let scene = scene();
    let metadata = scene.signed([1, 1, 1]);
    scene.rig.wall.store(now() + 2 * 86_400, Ordering::SeqCst);
    scene.refused(&metadata, Refusal::Freeze);
}

#[test]
fn a_clock_of_1970_remembers_what_was_seen() {
    let scene = scene();
    scene.rig.wall.store(0, Ordering::SeqCst);
    // At 1970 sound metadata is accepted, because no date is known to have passed.
    let stale = scene.signed([2, 2, 2]);
    scene.rig.wall.store(now(), Ordering::SeqCst);
    scene.install(&scene.signed([1, 1, 1])).expect("installed");
    scene.rig.wall.store(now() + 86_000, Ordering::SeqCst);
    scene.install(&scene.signed([3, 3, 3])).expect("the date is still good");
    scene.rig.wall.store(0, Ordering::SeqCst);
    is_refused(offer(&mut scene.client(), &stale), Refusal::Rollback);
    let scene = Scene { rig: scene.rig, ..scene };
    scene.install(&scene.signed([4, 4, 4])).expect("a device that woke up in 1970 takes what is newer");
}

#[test]
fn extraneous_files() {
    let scene = scene();
    let more = resigned(&scene, |targets| {
        let extra = targets.targets.values().next().expect("a target").clone();
        targets.add_target(tough::TargetName::new("../../etc/passwd.txt").expect("a name"), extra);
    });
    scene.refused(&more, Refusal::Extraneous);
    let mut metadata = scene.signed([1, 1, 1]);
    metadata.push(("mirrors.json".to_owned(), b"{}".to_vec()));
    scene.refused(&metadata, Refusal::Extraneous);
    metadata.pop();
    metadata.push(("../1.root.json".to_owned(), b"{}".to_vec()));
    scene.refused(&metadata, Refusal::Extraneous);
    metadata.pop();
    let mut client = scene.client();
    offer(&mut client, &metadata).expect("sound");
    let piece = Request::Piece { file: [9; 32], offset: 0, bytes: vec![1] };
    is_refused(client.ask(&piece), Refusal::Extraneous);
    scene.unchanged(Refusal::Extraneous);
}

#[test]
fn mix_and_match() {
    let scene = scene();
    let (one, two) = (scene.signed([1, 1, 1]), scene.signed([2, 2, 2]));
    // The newer timestamp with the older snapshot under its name.
    let older = one.iter().find(|(name, _)| name.ends_with("snapshot.json")).expect("a snapshot").1.clone();
    let mut mixed = two.clone();
    replace(&mut mixed, "snapshot.json", older);
    scene.refused(&mixed, Refusal::MixAndMatch);
    // The newer timestamp without the files that it names.
    let cut: Metadata = two.into_iter().filter(|(name, _)| name == "timestamp.json").collect();
    scene.refused(&cut, Refusal::MixAndMatch);
    // Signed, but for another encoder, calibration or table.
    for key in ["encoder", "calibration", "table"] {
        let unbound = resigned(&scene, |targets| {
            let manifest = targets.targets.iter_mut().find(|(name, _)| name.raw() == MANIFEST).expect("the manifest").1;
            manifest.custom.get_mut("lintel").expect("ours")[key] = "00".repeat(32).into();
        });
        is_refused(scene.install(&unbound), Refusal::MixAndMatch);
        scene.unchanged(Refusal::MixAndMatch);
    }
}

#[test]
fn wrong_device() {
    let scene = scene();
    scene.refused(&scene.signed_for(&[Fingerprint([7; 32])], [1, 1, 1]), Refusal::WrongDevice);
    scene.refused(&scene.signed_for(&[], [1, 1, 1]), Refusal::WrongDevice);
}
