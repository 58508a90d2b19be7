//! The power is cut after every operation of an installation; the disk then keeps what it must and any part of the
//! rest.

use std::path::Path;

use super::cut::CutDisk;
use super::*;
use crate::io::disk::{Disk, RealDisk};
use lintel_core::table::{PersonId, Table};
use lintel_formats::bundle::{Contents, Role};

/// Three files that only belong together when all tell the same revision.
fn bundle(revision: &str) -> Vec<(&'static str, Vec<u8>)> {
    ["manifest.lintel", "encoder.onnx", "table.lintel"]
        .map(|name| (name, format!("{name} {revision}").into_bytes()))
        .into()
}

fn borrowed<'a>(files: &'a [(&'static str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect()
}

/// The revision of the bundle in a folder, if it is whole.
fn load(disk: &impl Disk, dir: &Path) -> Result<String, String> {
    let mut revision = None;
    for (name, _) in bundle("") {
        let bytes = disk.read(&dir.join(name)).map_err(|e| format!("{name}: {e}"))?;
        let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
        let got = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')).ok_or(format!("{name} is cut"))?;
        if got.len() != "rev-0".len() || revision.get_or_insert(got.to_owned()) != got {
            return Err(format!("{name} is of revision {got}"));
        }
    }
    revision.ok_or("no files".to_owned())
}

const STATE: &str = "/state";

fn install(disk: &CutDisk, revision: &str) -> Result<Installed, SlotError> {
    let files = bundle(revision);
    Slots::new(Path::new(STATE), disk.clone()).install(&borrowed(&files), |dir| load(disk, dir).map(drop))
}

fn current_revision(disk: &CutDisk) -> Option<Result<String, String>> {
    let slots = Slots::new(Path::new(STATE), disk.clone());
    slots.current().expect("current names a slot or is absent").map(|slot| load(disk, &slots.dir(slot)))
}

#[test]
fn power_cut_after_every_operation() {
    for chance in 0..40_u64 {
        let mut cut_after = 0;
        loop {
            let mut seed = chance;
            let disk = CutDisk::new();
            let mut old = None;
            // From nothing, and over one, two and three earlier bundles (both slots, both directions).
            for earlier in 0..chance % 4 {
                let revision = format!("rev-{earlier}");
                install(&disk, &revision).expect("with power");
                old = Some(Ok(revision));
            }
            disk.cut_after(Some(cut_after));
            let done = install(&disk, "rev-9").is_ok();
            disk.restart(&mut seed);
            let new = Some(Ok("rev-9".to_owned()));
            let found = current_revision(&disk);
            assert!(found == old || found == new, "cut after {cut_after}: found {found:?}, old {old:?}");
            if done {
                assert_eq!(found, new, "an installation that reported success is durable");
            }
            // And the next installation works, whatever the cut left behind.
            install(&disk, "rev-8").unwrap();
            assert_eq!(current_revision(&disk), Some(Ok("rev-8".to_owned())));
            if done {
                break;
            }
            cut_after += 1;
        }
        assert!(cut_after >= 12, "the cuts covered the installation: {cut_after}");
    }
}

#[test]
fn the_same_bundle_twice_writes_nothing() {
    let disk = CutDisk::new();
    let first = install(&disk, "rev-1").unwrap();
    assert!(first.changed);
    disk.cut_after(None);
    let second = install(&disk, "rev-1").unwrap();
    assert_eq!(second, Installed { changed: false, ..first });
    assert_eq!(disk.operations(), 0);
}

#[test]
fn a_copy_that_does_not_prove_itself_is_not_current() {
    let disk = CutDisk::new();
    install(&disk, "rev-1").unwrap();
    let files = bundle("rev-2");
    let slots = Slots::new(Path::new(STATE), disk.clone());
    let error = slots.install(&borrowed(&files), |_| Err("no such provider".to_owned())).unwrap_err();
    assert!(matches!(&error, SlotError::Proof { slot: Slot::B, .. }), "{error}");
    assert_eq!(current_revision(&disk), Some(Ok("rev-1".to_owned())));
}

#[test]
fn a_current_that_names_no_slot_is_refused_and_cured_by_installing() {
    let folder = tempfile::tempdir().unwrap();
    let slots = Slots::new(folder.path(), RealDisk);
    std::fs::write(folder.path().join("current"), "c").unwrap();
    let error = slots.current().unwrap_err().to_string();
    assert!(error.ends_with("holds \"c\", wanted \"a\" or \"b\": install the bundle again"), "{error}");
    let files = bundle("rev-1");
    let installed = slots.install(&borrowed(&files), |dir| load(&RealDisk, dir).map(drop)).unwrap();
    assert_eq!(slots.current().unwrap(), Some(installed.slot));
    assert_eq!(load(&RealDisk, &installed.dir), Ok("rev-1".to_owned()));
}

const TABLE: &str = Role::Table.file_name();

/// A bundle that reads as one, but for its models.
fn real_bundle(revision: u64, people: &[u32]) -> Vec<(&'static str, Vec<u8>)> {
    use lintel_core::embed::EncoderId;
    use lintel_core::table::{Person, Rule, TableParts};
    let encoder = EncoderId::of(b"encoder");
    let person = |id: &u32| Person { id: PersonId(*id), name: format!("Name of {id:04}") };
    let table = Table::new(TableParts {
        encoder,
        revision,
        template: "{name}".to_owned(),
        logit_scale: 100.0,
        people: people.iter().map(person).collect(),
        classes: people.iter().flat_map(|_| [1.0, 0.0]).collect(),
        dim: 2,
        intra_class_similarity: vec![1.0; people.len()],
        rule: Rule::PAPER,
        calibration: None,
    })
    .unwrap();
    let table = lintel_formats::table::to_bytes(&table);
    let contents = Contents::new([
        (Role::Detector, b"detector".to_vec()),
        (Role::Encoder, b"encoder".to_vec()),
        (Role::Table, table),
    ]);
    let manifest = Manifest {
        pack: "mini".to_owned(),
        revision,
        created: 0,
        files: contents.entries(),
        detector_input: [640, 480],
        crop: 224,
        dim: 2,
        encoder,
    };
    let mut all: Vec<_> = contents.iter().map(|(role, bytes)| (role.file_name(), bytes.to_vec())).collect();
    all.push((MANIFEST, manifest.to_bytes().unwrap()));
    all
}

/// Who is in the slot that is not current; `None`: nobody can be got back from there.
fn people_to_go_back_to(disk: &CutDisk) -> Option<Vec<u32>> {
    let slots = Slots::new(Path::new(STATE), disk.clone());
    let dir = slots.dir(slots.current().unwrap()?.other());
    let manifest = Manifest::from_bytes(&disk.read(&dir.join(MANIFEST)).ok()?).ok()?;
    let bytes = disk.read(&dir.join(TABLE)).ok()?;
    let fits = manifest.file(Role::Table) == Some(&lintel_formats::bundle::FileEntry::of(TABLE, &bytes));
    let table = lintel_formats::table::from_bytes(&bytes).ok().filter(|_| fits)?;
    Some(table.people().iter().map(|person| person.id.0).collect())
}

/// Whenever power is cut while somebody is being removed: the next start finishes it.
#[test]
fn power_cut_after_every_operation_of_a_removal() {
    for chance in 0..20_u64 {
        let mut cut_after = 0;
        loop {
            let mut seed = chance;
            let disk = CutDisk::new();
            let slots = Slots::new(Path::new(STATE), disk.clone());
            for (revision, people) in [(1, &[1, 2, 3][..]), (2, &[1, 3][..])] {
                let files = real_bundle(revision, people);
                slots.install(&borrowed(&files), |_| Ok::<_, String>(())).unwrap();
            }
            assert_eq!(people_to_go_back_to(&disk), Some(vec![1, 2, 3]));
            disk.cut_after(Some(cut_after));
            let done = slots.scrub(|id| id != PersonId(2)).is_ok();
            disk.restart(&mut seed);
            if done {
                assert_eq!(people_to_go_back_to(&disk), Some(vec![1, 3]), "a removal that reported success is durable");
            }
            // As every start does.
            slots.scrub(|id| id != PersonId(2)).unwrap();
            let left = people_to_go_back_to(&disk);
            assert!(left.is_none() || left == Some(vec![1, 3]), "cut after {cut_after}: {left:?}");
            let dir = slots.dir(slots.current().unwrap().unwrap());
            assert_eq!(lintel_formats::table::from_bytes(&disk.read(&dir.join(TABLE)).unwrap()).unwrap().len(), 2);
            if done {
                break;
            }
            cut_after += 1;
        }
        assert!(cut_after >= 8, "the cuts covered the removal: {cut_after}");
    }
}
