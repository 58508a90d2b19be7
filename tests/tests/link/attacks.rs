//! Every attack of The Update Framework's list, and those on keys, sessions and pairing: each is refused with an error of
//! its own, noted, and leaves the device as it was.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;

use lintel::device::parcel::{Content, Parcel};
use lintel::device::{Client, DeviceError};
use lintel::site::keys::{SPECIFICATION, sign};
use lintel::site::now;
use lintel_formats::bundle::{DETECTOR, FileEntry, MANIFEST, TABLE};
use lintel_formats::reference::{REFERENCE, Reference};
use lintel_link::Fingerprint;
use lintel_tests::rigs::link::{Bench, Desk, offer};
use lintel_wire::link::{Answer, Refusal, Request, Status};
use tough::schema::{RoleType, Snapshot, Targets, Timestamp};

use super::push;
use crate::world;

type Metadata = Vec<(String, Vec<u8>)>;

struct Scene {
    bench: Bench,
    desk: Desk,
    device: lintel::site::devices::KnownDevice,
    status: Status,
    parcel: Parcel,
}

/// A device that knows a workstation, and a push that it would take.
fn scene() -> Scene {
    let bench = Bench::new(&world().bundle()).expect("a device");
    let desk = Desk::new().expect("a workstation");
    let device = desk.paired(&bench).expect("paired");
    let status = desk.client(&device).expect("connected").status().expect("a status");
    let content = Content::open(&world().bundle()).expect("a bundle");
    let mut table = content.table().clone().into_parts();
    table.revision += 1;
    let table = lintel_core::table::Table::new(table).expect("a table");
    let Content::Bundle { models, .. } = content else { panic!("a bundle") };
    let [_, encoder] = models;
    let parcel = desk.parcel(&Content::Table { table, encoder: Some(encoder) }, &status).expect("a parcel");
    Scene { bench, desk, device, status, parcel }
}

impl Scene {
    fn signed(&self, versions: [u64; 3]) -> Metadata {
        self.signed_for(&[self.device.fingerprint()], versions)
    }

    fn signed_for(&self, devices: &[Fingerprint], versions: [u64; 3]) -> Metadata {
        let parcel = &self.parcel;
        self.desk.site.publish(&parcel.entries, (&parcel.manifest, &parcel.table), devices, versions).expect("signed")
    }

    fn client(&self) -> Client {
        self.desk.client(&self.device).expect("connected")
    }

    /// The offer is refused for this reason, that is noted, and the device runs what it ran.
    fn refused(&self, metadata: &[(String, Vec<u8>)], why: Refusal) {
        is_refused(offer(&mut self.client(), metadata), why);
        self.unchanged(why);
    }

    fn unchanged(&self, why: Refusal) {
        assert_eq!(self.bench.refusals().expect("a journal").last(), Some(&why), "it is in the journal");
        let status = self.client().status().expect("a status");
        assert_eq!((&status.manifest, status.versions), (&self.status.manifest, self.status.versions));
    }

    /// Sends everything that is wanted, and installs.
    fn install(&self, metadata: &[(String, Vec<u8>)]) -> Result<Answer, DeviceError> {
        let mut client = self.client();
        let Answer::Wanted(wanted) = offer(&mut client, metadata)? else { panic!("no list of files") };
        for file in wanted {
            let bytes = self.parcel.content(&file.file).expect("at hand").to_vec();
            for (at, piece) in bytes.chunks(100_000).enumerate() {
                let offset = (at * 100_000) as u64;
                client.ask(&Request::Piece { file: file.file, offset, bytes: piece.to_vec() })?;
            }
        }
        client.ask(&Request::Install)
    }
}

fn is_refused<T: std::fmt::Debug>(answer: Result<T, DeviceError>, wanted: Refusal) {
    match answer {
        Err(DeviceError::Refused { why, .. }) if why == wanted => {}
        other => panic!("wanted to be refused for {wanted:?}: {other:?}"),
    }
}

fn replace(metadata: &mut Metadata, ending: &str, bytes: Vec<u8>) {
    let file = metadata.iter_mut().find(|(name, _)| name.ends_with(ending)).expect("a file");
    file.1 = bytes;
}

/// Signs targets of the test's making, and all that stands above them.
fn resigned(scene: &Scene, change: impl FnOnce(&mut Targets)) -> Metadata {
    let site = &scene.desk.site;
    let metadata = scene.signed([1, 1, 1]);
    let old = &metadata.iter().find(|(name, _)| name.ends_with("targets.json")).expect("targets").1;
    let mut targets: tough::schema::Signed<Targets> = serde_json::from_slice(old).expect("targets");
    change(&mut targets.signed);
    let key = |role| site.one_key(role).expect("a key");
    let targets = sign(targets.signed, &[&key(RoleType::Targets)]).expect("signed");
    let expires = lintel::site::keys::expires(1);
    let one = std::num::NonZeroU64::MIN;
    let meta = |bytes: &[u8]| tough::schema::Metafile {
        hashes: Some(tough::schema::Hashes {
            sha256: FileEntry::of("", bytes).sha256.to_vec().into(),
            _extra: HashMap::new(),
        }),
        length: Some(bytes.len() as u64),
        version: one,
        _extra: HashMap::new(),
    };
    let mut snapshot = Snapshot::new(SPECIFICATION.to_owned(), one, expires);
    snapshot.meta.insert("targets.json".to_owned(), meta(&targets));
    let snapshot = sign(snapshot, &[&key(RoleType::Snapshot)]).expect("signed");
    let mut timestamp = Timestamp::new(SPECIFICATION.to_owned(), one, expires);
    timestamp.meta.insert("snapshot.json".to_owned(), meta(&snapshot));
    let timestamp = sign(timestamp, &[&key(RoleType::Timestamp)]).expect("signed");
    vec![
        ("timestamp.json".to_owned(), timestamp),
        ("1.snapshot.json".to_owned(), snapshot),
        ("1.targets.json".to_owned(), targets),
    ]
}

#[test]
fn a_sound_push_runs() {
    let scene = scene();
    let Answer::Installed(_) = scene.install(&scene.signed([1, 1, 1])).expect("installed") else {
        panic!("no receipt")
    };
    let status = scene.client().status().expect("a status");
    assert_eq!(status.versions, [1, 1, 1]);
    assert_ne!(status.manifest, scene.status.manifest);
}

#[test]
fn arbitrary_software() {
    let scene = scene();
    // A stranger's keys; they know everything but the site's keys.
    let thief = Desk::new().expect("a workstation");
    let parcel = &scene.parcel;
    let devices = [scene.device.fingerprint()];
    let forged =
        thief.site.publish(&parcel.entries, (&parcel.manifest, &parcel.table), &devices, [1, 1, 1]).expect("signed");
    scene.refused(&forged, Refusal::Signature);
    // One byte of the content of what was signed.
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
    assert_eq!(scene.bench.refusals().expect("a journal").last(), Some(&Refusal::Rollback));
    // Newly signed, and still an older table.
    let older = Content::open(&world().bundle()).expect("a bundle");
    let manifest = match &older {
        Content::Bundle { manifest, .. } => manifest.clone(),
        Content::Table { .. } => panic!("a bundle"),
    };
    let mut parcel = scene.desk.parcel(&older, &scene.status).expect("a parcel");
    parcel.manifest = manifest;
    let devices = [scene.device.fingerprint()];
    let signed = scene
        .desk
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
    // A thief with the keys goes as far as is let; the site takes the keys away, and starts over at 1.
    scene.install(&scene.signed([900_000, 900_000, 900_000])).expect("installed");
    for role in [RoleType::Timestamp, RoleType::Snapshot] {
        scene.desk.site.rotate(role, &[]).expect("rotated");
    }
    let mut recovered = scene.desk.site.roots_after(1).expect("roots");
    recovered.extend(scene.signed([1, 1, 900_001]));
    scene.install(&recovered).expect("installed");
    assert_eq!(scene.client().status().expect("a status").versions, [1, 1, 900_001]);
}

#[test]
fn indefinite_freeze() {
    let scene = scene();
    let metadata = scene.signed([1, 1, 1]);
    scene.bench.wall.store(now() + 2 * 86_400, Ordering::SeqCst);
    scene.refused(&metadata, Refusal::Freeze);
}

#[test]
fn a_clock_of_1970_remembers_what_was_seen() {
    let scene = scene();
    scene.bench.wall.store(0, Ordering::SeqCst);
    // What is sound is taken: nothing is known to have passed.
    let stale = scene.signed([2, 2, 2]);
    scene.bench.wall.store(now(), Ordering::SeqCst);
    scene.install(&scene.signed([1, 1, 1])).expect("installed");
    scene.bench.wall.store(now() + 86_000, Ordering::SeqCst);
    scene.install(&scene.signed([3, 3, 3])).expect("the date is still good");
    scene.bench.wall.store(0, Ordering::SeqCst);
    is_refused(offer(&mut scene.client(), &stale), Refusal::Rollback);
    let scene = Scene { bench: scene.bench, ..scene };
    scene.install(&scene.signed([4, 4, 4])).expect("a device that woke up in 1970 takes what is newer");
}

#[test]
fn endless_data() {
    let scene = scene();
    let huge = resigned(&scene, |targets| {
        for (_, target) in targets.targets.iter_mut().filter(|(name, _)| name.raw() == DETECTOR) {
            target.length = 1 << 40;
        }
    });
    scene.refused(&huge, Refusal::EndlessData);
    // More of a file than was signed.
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
    // The newer timestamp, and nothing of what it points to.
    let cut: Metadata = two.into_iter().filter(|(name, _)| name == "timestamp.json").collect();
    scene.refused(&cut, Refusal::MixAndMatch);
    // Signed, but for another encoder and another calibration than the table's own.
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

#[test]
fn wrong_content() {
    let scene = scene();
    let mut client = scene.client();
    let Answer::Wanted(wanted) = offer(&mut client, &scene.signed([1, 1, 1])).expect("sound") else {
        panic!("no list")
    };
    let file = wanted.iter().find(|file| file.name == TABLE).expect("the table");
    let mut bytes = scene.parcel.content(&file.file).expect("at hand").to_vec();
    bytes[100] ^= 1;
    is_refused(client.ask(&Request::Piece { file: file.file, offset: 0, bytes }), Refusal::Content);
    scene.unchanged(Refusal::Content);
    // Not all of it.
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

#[test]
fn wrong_key() {
    let scene = scene();
    // With the site's keys and an identity that was never paired.
    let thief = Desk::with_keys_of(&scene.desk).expect("a workstation");
    let mut client = thief.client(&scene.device).expect("the handshake itself is open to anybody");
    is_refused(client.status(), Refusal::UnknownKey);
    scene.unchanged(Refusal::UnknownKey);
}

#[test]
fn expired_key() {
    let scene = scene();
    scene.bench.wall.store(now() + 800 * 86_400, Ordering::SeqCst);
    is_refused(scene.client().status(), Refusal::ExpiredKey);
    assert_eq!(scene.bench.refusals().expect("a journal").last(), Some(&Refusal::ExpiredKey));
    // The root's own date.
    scene.bench.wall.store(now() + 400 * 86_400, Ordering::SeqCst);
    scene.refused(&scene.signed([1, 1, 1]), Refusal::ExpiredKey);
}

#[test]
fn revoked_key() {
    let scene = scene();
    // A key that signs.
    let before = scene.signed([1, 1, 1]);
    scene.desk.site.rotate(RoleType::Targets, &[]).expect("rotated");
    let mut stolen = scene.desk.site.roots_after(1).expect("roots");
    stolen.extend(before);
    scene.refused(&stolen, Refusal::RevokedKey);
    // A key that connects.
    let other = Desk::with_keys_of(&scene.desk).expect("a workstation");
    // Its site is that of before the rotation's root on the device, which is root 1 still.
    let root = other.site.dir().join("root/2.root.json");
    std::fs::remove_file(root).expect("removed");
    let device = other.paired(&scene.bench).expect("paired");
    let gone = scene.desk.site.identity.fingerprint();
    let forget = Request::Forget { workstation: gone.0 };
    assert_eq!(other.client(&device).expect("connected").ask(&forget).expect("forgotten"), Answer::Done);
    is_refused(scene.client().status(), Refusal::RevokedKey);
    assert_eq!(scene.bench.refusals().expect("a journal").last(), Some(&Refusal::RevokedKey));
}

#[test]
fn a_new_root_is_signed_by_the_old_one() {
    let scene = scene();
    let thief = Desk::new().expect("a workstation");
    thief.site.rotate(RoleType::Root, &[]).expect("rotated");
    // Version 2, signed by its own keys and by nobody whom the device trusts.
    let forged = thief.site.roots_after(1).expect("roots");
    scene.refused(&forged, Refusal::Signature);
    // All keys of the root replaced, as it should be.
    scene.desk.site.rotate(RoleType::Root, &[]).expect("rotated");
    let mut metadata = scene.desk.site.roots_after(1).expect("roots");
    metadata.extend(scene.signed([1, 1, 1]));
    scene.install(&metadata).expect("installed");
    assert_eq!(scene.client().status().expect("a status").root, 2);
}

/// What a workstation sent once, byte for byte.
#[test]
fn a_replayed_session() {
    let scene = scene();
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = proxy.local_addr().expect("an address").to_string();
    let target = scene.bench.address();
    let recorder = thread::spawn(move || {
        let (mut caller, _) = proxy.accept().expect("a caller");
        let mut device = TcpStream::connect(target).expect("the device");
        let mut back = (device.try_clone().expect("a socket"), caller.try_clone().expect("a socket"));
        let answers = thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
        let mut recorded = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(got @ 1..) = caller.read(&mut buffer) {
            recorded.extend_from_slice(&buffer[..got]);
            if device.write_all(&buffer[..got]).is_err() {
                break;
            }
        }
        let _ = device.shutdown(std::net::Shutdown::Both);
        let _ = answers.join();
        recorded
    });
    let through = lintel::site::devices::KnownDevice { address, ..scene.device.clone() };
    let mut client = scene.desk.client(&through).expect("connected");
    client.status().expect("a status");
    drop(client);
    let recorded = recorder.join().expect("no panic");
    assert!(recorded.len() > 500, "{} bytes", recorded.len());
    let mut again = TcpStream::connect(target).expect("the device");
    again.write_all(&recorded).expect("sent");
    let mut answer = Vec::new();
    let _ = again.read_to_end(&mut answer);
    let noted = || scene.bench.refusals().expect("a journal").last() == Some(&Refusal::Handshake);
    let soon = (0..100).any(|_| {
        thread::sleep(std::time::Duration::from_millis(50));
        noted()
    });
    assert!(soon, "it is in the journal: {:?}", scene.bench.refusals());
    scene.unchanged(Refusal::Handshake);
}

#[test]
fn pairing_needs_the_code() {
    let bench = Bench::new(&world().bundle()).expect("a device");
    let desk = Desk::new().expect("a workstation");
    let error = desk.pair(&bench, "000000").expect_err("not in pairing mode").to_string();
    assert!(error.contains("not in pairing mode"), "{error}");
    let code = bench.code().expect("a code");
    let wrong = if code == "000 000" { "111111" } else { "000000" };
    let error = desk.pair(&bench, wrong).expect_err("a wrong code").to_string();
    assert!(error.contains("the code is wrong"), "{error}");
    desk.pair(&bench, &code).expect("the right one");
    // It counts once.
    let error = desk.pair(&bench, &code).expect_err("used").to_string();
    assert!(error.contains("not in pairing mode"), "{error}");
    let refusals = bench.refusals().expect("a journal");
    assert_eq!(refusals, [Refusal::NotPairing, Refusal::WrongCode, Refusal::NotPairing]);
    // Another site doesn't get the device by its code alone.
    let other = Desk::new().expect("a workstation");
    let code = bench.code().expect("a code");
    let error = other.pair(&bench, &code).expect_err("another site").to_string();
    assert!(error.contains("belongs to another site"), "{error}");
}

/// A workstation was lost: its copy rotates the keys, and pairs before anything was pushed. Another site is still another.
#[test]
fn a_rotated_site_is_known_for_the_same() {
    let bench = Bench::new(&world().bundle()).expect("a device");
    let lost = Desk::new().expect("a workstation");
    lost.paired(&bench).expect("paired");
    let found = Desk::with_keys_of(&lost).expect("a copy of its site");
    let before = found.site.key_files().expect("keys").len();
    for role in [RoleType::Targets, RoleType::Root, RoleType::Root, RoleType::Timestamp] {
        found.site.rotate(role, &[]).expect("rotated");
    }
    assert_eq!(found.site.key_files().expect("keys").len(), before, "the old keys are gone");
    let device = found.paired(&bench).expect("the roots in between lead to the newest");
    found.push(&device, &push::bundle()).expect("pushed");
    // From now on the device knows the newest root, and a copy of the site that is behind is told so.
    let code = bench.code().expect("a code");
    let error = Desk::with_keys_of(&lost).expect("a copy").pair(&bench, &code).expect_err("behind").to_string();
    assert!(error.contains("up to date"), "{error}");
    let code = bench.code().expect("a code");
    let error = Desk::new().expect("a workstation").pair(&bench, &code).expect_err("another site").to_string();
    assert!(error.contains(&Refusal::OtherSite.to_string()), "{error}");
    // A thief with the keys of the first root alone makes a root of the same number: it doesn't follow.
    let other = Desk::new().expect("a workstation");
    for _ in 0..6 {
        other.site.rotate(RoleType::Root, &[]).expect("rotated");
    }
    let code = bench.code().expect("a code");
    let error = other.pair(&bench, &code).expect_err("another site").to_string();
    assert!(error.contains(&Refusal::OtherSite.to_string()), "{error}");
}
