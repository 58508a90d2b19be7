//! Keys that are unknown, expired or revoked, and roots that the old root did not sign: refused.

use std::sync::atomic::Ordering;

use lintel_site::now;
use lintel_tests::rigs::link::TestWorkstation;
use lintel_wire::link::{Answer, Refusal, Request};
use tough::schema::RoleType;

use super::{is_refused, scene};

#[test]
fn wrong_key() {
    let scene = scene();
    // The site's keys, with an identity that was never paired.
    let thief = TestWorkstation::with_keys_of(&scene.workstation).expect("a workstation");
    let mut client = thief.client(&scene.device).expect("the handshake itself is open to anybody");
    is_refused(client.status(), Refusal::UnknownKey);
    scene.unchanged(Refusal::UnknownKey);
}

#[test]
fn expired_key() {
    let scene = scene();
    scene.rig.wall.store(now() + 800 * 86_400, Ordering::SeqCst);
    is_refused(scene.client().status(), Refusal::ExpiredKey);
    assert_eq!(scene.rig.refusals().expect("an audit log").last(), Some(&Refusal::ExpiredKey));
    // The root's own date.
    scene.rig.wall.store(now() + 400 * 86_400, Ordering::SeqCst);
    scene.refused(&scene.signed([1, 1, 1]), Refusal::ExpiredKey);
}

#[test]
fn revoked_key() {
    let scene = scene();
    // A key that signs.
    let before = scene.signed([1, 1, 1]);
    scene.workstation.site.rotate(RoleType::Targets, &[]).expect("rotated");
    let mut stolen = scene.workstation.site.roots_after(1).expect("roots");
    stolen.extend(before);
    scene.refused(&stolen, Refusal::RevokedKey);
    // A key that connects.
    let other = TestWorkstation::with_keys_of(&scene.workstation).expect("a workstation");
    // Its site has no root 2, like the device, which still has root 1.
    let root = other.site.dir().join("root/2.root.json");
    std::fs::remove_file(root).expect("removed");
    let device = other.paired(&scene.rig).expect("paired");
    let gone = scene.workstation.site.identity.fingerprint();
    let forget = Request::Forget { workstation: gone.0 };
    assert_eq!(other.client(&device).expect("connected").ask(&forget).expect("forgotten"), Answer::Done);
    is_refused(scene.client().status(), Refusal::RevokedKey);
    assert_eq!(scene.rig.refusals().expect("an audit log").last(), Some(&Refusal::RevokedKey));
}

#[test]
fn a_new_root_is_signed_by_the_old_one() {
    let scene = scene();
    let thief = TestWorkstation::new().expect("a workstation");
    thief.site.rotate(RoleType::Root, &[]).expect("rotated");
    // Version 2, signed by its own keys and by nobody whom the device trusts.
    let forged = thief.site.roots_after(1).expect("roots");
    scene.refused(&forged, Refusal::Signature);
    // All keys of the root replaced, signed by the old ones.
    scene.workstation.site.rotate(RoleType::Root, &[]).expect("rotated");
    let mut metadata = scene.workstation.site.roots_after(1).expect("roots");
    metadata.extend(scene.signed([1, 1, 1]));
    scene.install(&metadata).expect("installed");
    assert_eq!(scene.client().status().expect("a status").root, 2);
}
