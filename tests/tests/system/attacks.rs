//! Every attack of The Update Framework's list, and those on keys, sessions and pairing: each is refused with an error
//! of its own, noted, and leaves the device as it was.

mod content;
mod keys;
mod metadata;
mod pairing;
mod session;

use std::collections::HashMap;

use lintel_formats::bundle::FileEntry;
use lintel_formats::bundle::Role;
use lintel_link::Fingerprint;
use lintel_site::device::parcel::{Content, Parcel};
use lintel_site::device::{Client, DeviceError};
use lintel_site::keys::{SPECIFICATION, sign};
use lintel_tests::rigs::link::{TestDevice, TestWorkstation, offer};
use lintel_wire::link::{Answer, Refusal, Request, Status};
use tough::schema::{RoleType, Snapshot, Targets, Timestamp};

use crate::world;

type Metadata = Vec<(String, Vec<u8>)>;

struct Scene {
    rig: TestDevice,
    workstation: TestWorkstation,
    device: lintel_site::devices::KnownDevice,
    status: Status,
    parcel: Parcel,
}

/// A device, a paired workstation, and a push that the device would accept.
fn scene() -> Scene {
    let rig = TestDevice::new(&world().bundle()).expect("a device");
    let workstation = TestWorkstation::new().expect("a workstation");
    let device = workstation.paired(&rig).expect("paired");
    let status = workstation.client(&device).expect("connected").status().expect("a status");
    let content = Content::open(&world().bundle()).expect("a bundle");
    let mut table = content.table().clone().into_parts();
    table.revision += 1;
    let table = lintel_core::table::Table::new(table).expect("a table");
    let Content::Bundle(bundle) = content else { panic!("a bundle") };
    let encoder = bundle.files[Role::Encoder].to_vec();
    let parcel = workstation.parcel(&Content::Table { table, encoder: Some(encoder) }, &status).expect("a parcel");
    Scene { rig, workstation, device, status, parcel }
}

impl Scene {
    fn signed(&self, versions: [u64; 3]) -> Metadata {
        self.signed_for(&[self.device.fingerprint()], versions)
    }

    fn signed_for(&self, devices: &[Fingerprint], versions: [u64; 3]) -> Metadata {
        let parcel = &self.parcel;
        self.workstation
            .site
            .publish(&parcel.entries, (&parcel.manifest, &parcel.table), devices, versions)
            .expect("signed")
    }

    fn client(&self) -> Client {
        self.workstation.client(&self.device).expect("connected")
    }

    /// Asserts that the offer is refused for this reason, that the audit log has it, and that the device runs what it
    /// ran.
    fn refused(&self, metadata: &[(String, Vec<u8>)], why: Refusal) {
        is_refused(offer(&mut self.client(), metadata), why);
        self.unchanged(why);
    }

    fn unchanged(&self, why: Refusal) {
        assert_eq!(self.rig.refusals().expect("an audit log").last(), Some(&why), "it is in the audit log");
        let status = self.client().status().expect("a status");
        assert_eq!((&status.manifest, status.versions), (&self.status.manifest, self.status.versions));
    }

    /// Sends every file that the device asks for, and installs.
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

/// Signs changed targets, and the snapshot and timestamp for them.
fn resigned(scene: &Scene, change: impl FnOnce(&mut Targets)) -> Metadata {
    let site = &scene.workstation.site;
    let metadata = scene.signed([1, 1, 1]);
    let old = &metadata.iter().find(|(name, _)| name.ends_with("targets.json")).expect("targets").1;
    let mut targets: tough::schema::Signed<Targets> = serde_json::from_slice(old).expect("targets");
    change(&mut targets.signed);
    let key = |role| site.one_key(role).expect("a key");
    let targets = sign(targets.signed, &[&key(RoleType::Targets)]).expect("signed");
    let expires = lintel_site::keys::expires(1);
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
