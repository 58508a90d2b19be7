//! Pairing without the code, twice with one code, or by another site: refused.

use lintel_tests::rigs::link::{TestDevice, TestWorkstation};
use lintel_wire::link::Refusal;
use tough::schema::RoleType;

use crate::contents::bundle;
use crate::world;

#[test]
fn pairing_needs_the_code() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let error = workstation.pair(&rig, "000000").expect_err("not in pairing mode").to_string();
    assert!(error.contains("not in pairing mode"), "{error}");
    let code = rig.code().expect("a code");
    let wrong = if code == "000 000" { "111111" } else { "000000" };
    let error = workstation.pair(&rig, wrong).expect_err("a wrong code").to_string();
    assert!(error.contains("the code is wrong"), "{error}");
    workstation.pair(&rig, &code).expect("the right one");
    // A code is valid once.
    let error = workstation.pair(&rig, &code).expect_err("used").to_string();
    assert!(error.contains("not in pairing mode"), "{error}");
    let refusals = rig.refusals().expect("an audit log");
    assert_eq!(refusals, [Refusal::NotPairing, Refusal::WrongCode, Refusal::NotPairing]);
    // The code alone does not give the device to another site.
    let other = TestWorkstation::new().expect("a workstation");
    let code = rig.code().expect("a code");
    let error = other.pair(&rig, &code).expect_err("another site").to_string();
    assert!(error.contains("belongs to another site"), "{error}");
}

/// A workstation was lost: its copy rotates the keys, and pairs before anything was pushed. Another site is still
/// another.
#[test]
fn a_rotated_site_is_known_for_the_same() {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let lost = TestWorkstation::new().expect("a workstation");
    lost.paired(&rig).expect("paired");
    let found = TestWorkstation::with_keys_of(&lost).expect("a copy of its site");
    let before = found.site.key_files().expect("keys").len();
    for role in [RoleType::Targets, RoleType::Root, RoleType::Root, RoleType::Timestamp] {
        found.site.rotate(role, &[]).expect("rotated");
    }
    assert_eq!(found.site.key_files().expect("keys").len(), before, "the old keys are gone");
    let device = found.paired(&rig).expect("the roots in between lead to the newest");
    found.push(&device, &bundle()).expect("pushed");
    // The device now has the newest root; a workstation with an older copy of the site gets an error that says so.
    let code = rig.code().expect("a code");
    let error =
        TestWorkstation::with_keys_of(&lost).expect("a copy").pair(&rig, &code).expect_err("behind").to_string();
    assert!(error.contains("up to date"), "{error}");
    let code = rig.code().expect("a code");
    let error = TestWorkstation::new().expect("a workstation").pair(&rig, &code).expect_err("another site").to_string();
    assert!(error.contains(&Refusal::OtherSite.to_string()), "{error}");
    // A root of the same number from a site of other keys does not follow from the device's root.
    let other = TestWorkstation::new().expect("a workstation");
    for _ in 0..6 {
        other.site.rotate(RoleType::Root, &[]).expect("rotated");
    }
    let code = rig.code().expect("a code");
    let error = other.pair(&rig, &code).expect_err("another site").to_string();
    assert!(error.contains(&Refusal::OtherSite.to_string()), "{error}");
}
