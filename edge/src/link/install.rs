//! A signed offer and its files → the other slot, proved, switched, and nobody left who was removed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_core::controller::Names;
use lintel_core::embed::Embedding;
use lintel_core::quality::QualityLimits;
use lintel_core::table::PersonId;
use lintel_formats::bundle::{MANIFEST, Manifest, Role, file_names};
use lintel_formats::reference::{REFERENCE, Reference};
use lintel_inference::{FaceAnalyzer, LoadedBundle, RuntimeError};
use lintel_link::{Fingerprint, receipt};
use lintel_wire::event::Started;
use lintel_wire::link::{Hash, Receipt, Refusal, Statement, Wanted};
use sha2::{Digest as _, Sha256};

use super::trust::{Offer, Refused, SignedFile};
use super::{Device, Running, lock};
use crate::events::LinkEvent;
use crate::events::text;
use crate::io::disk::RealDisk;
use crate::pipeline::exchange::Replacement;
use crate::slots::{SlotError, Slots};

/// How long the pipeline may take to reach its next frame.
const HANDOVER: Duration = Duration::from_secs(10);

/// A bundle that was loaded from its slot, and did what it should.
struct Proved {
    vision: FaceAnalyzer,
    running: Running,
}

impl Device {
    fn incoming(&self) -> PathBuf {
        self.state.join("link").join("incoming")
    }

    /// The files of the offer that this device lacks. Whatever else was begun is thrown away.
    pub(super) fn wanted(&self, offer: &Offer) -> Result<Vec<Wanted>, Refused> {
        let folder = self.incoming();
        fs::create_dir_all(&folder).map_err(|e| storage(&folder, &e))?;
        let names: BTreeSet<String> = offer.files.iter().map(|file| hex::encode(file.sha256)).collect();
        for entry in fs::read_dir(&folder).map_err(|e| storage(&folder, &e))?.flatten() {
            if !entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
                let path = entry.path();
                fs::remove_file(&path).map_err(|e| storage(&path, &e))?;
            }
        }
        let mut wanted = Vec::new();
        for file in &offer.files {
            if self.installed_path(file).is_some() {
                continue;
            }
            let path = folder.join(hex::encode(file.sha256));
            let mut have = fs::metadata(&path).map_or(0, |meta| meta.len());
            if have > file.bytes || (have == file.bytes && read_checked(&path, file).is_err()) {
                fs::remove_file(&path).map_err(|e| storage(&path, &e))?;
                have = 0;
            }
            if have < file.bytes {
                wanted.push(Wanted { name: file.name.to_owned(), file: file.sha256, bytes: file.bytes, have });
            }
        }
        Ok(wanted)
    }

    /// The file in the current slot, if it is this very one.
    fn installed_path(&self, file: &SignedFile) -> Option<PathBuf> {
        let running = lock(&self.running);
        let held = running.manifest.files.iter().find(|held| held.name == file.name)?;
        if held.sha256 != file.sha256 || held.bytes != file.bytes {
            return None;
        }
        let slots = Slots::new(&self.state, RealDisk);
        let path = slots.dir(slots.current().ok()??).join(file.name);
        read_checked(&path, file).is_ok().then_some(path)
    }

    /// Keeps a part of a file; gives how much of it there is now.
    pub(super) fn keep_piece(&self, offer: &Offer, file: Hash, offset: u64, bytes: &[u8]) -> Result<u64, Refused> {
        let signed = offer.files.iter().find(|signed| signed.sha256 == file);
        let signed = signed.ok_or_else(|| {
            Refused::new(Refusal::Extraneous, format!("no file with the hash {} was signed for", hex::encode(file)))
        })?;
        let path = self.incoming().join(hex::encode(file));
        let failed = |e: std::io::Error| storage(&path, &e);
        let mut kept = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        let have = kept.metadata().map_err(failed)?.len();
        if offset != have {
            let text = format!("{} is there up to byte {have}, the part begins at {offset}", signed.name);
            return Err(Refused::new(Refusal::Protocol, text));
        }
        let after = have + bytes.len() as u64;
        if after > signed.bytes || bytes.is_empty() {
            let text = format!("{} has {} bytes, {after} were sent", signed.name, signed.bytes);
            return Err(Refused::new(Refusal::EndlessData, text));
        }
        kept.write_all(bytes).map_err(|e| {
            // A part of the part would be taken for all of it.
            let _ = kept.set_len(have);
            storage(&path, &e)
        })?;
        if after == signed.bytes {
            drop(kept);
            if read_checked(&path, signed).is_err() {
                fs::remove_file(&path).map_err(|e| storage(&path, &e))?;
                return Err(Refused::new(Refusal::Content, format!("{} is not what was signed", signed.name)));
            }
        }
        Ok(after)
    }

    /// The whole way from the files to the running bundle.
    pub(super) fn install(&self, offer: &Offer, by: Fingerprint) -> Result<Receipt, Refused> {
        let mut files = Vec::with_capacity(offer.files.len());
        for file in &offer.files {
            let path = self.installed_path(file).unwrap_or_else(|| self.incoming().join(hex::encode(file.sha256)));
            files.push((file.name, read_checked(&path, file)?));
        }
        let content = |name: &str| files.iter().find(|(held, _)| *held == name).map_or(&[][..], |(_, bytes)| bytes);
        let reference = Reference::from_bytes(content(REFERENCE))
            .map_err(|e| Refused::new(Refusal::Bundle, format!("{REFERENCE}: {e}")))?;
        let bundle: Vec<(&str, &[u8])> =
            file_names().map(|name| (name, content(name))).filter(|(_, bytes)| !bytes.is_empty()).collect();
        self.check_bound(offer, content(MANIFEST), content(Role::Table.file_name()))?;

        let slots = Slots::new(&self.state, RealDisk);
        let mut proved = None;
        let prove = |dir: &Path| {
            proved = Some(self.prove(dir, Some(&reference))?);
            self.remember(offer)
        };
        slots.install(&bundle, prove).map_err(slot)?;
        let before = self.people();
        match proved {
            Some(proved) => self.hand_over(proved),
            // The very bundle that runs already, signed anew.
            None => self.remember(offer)?,
        }
        let removed = self.forget_the_removed(&before);
        let _ = fs::remove_dir_all(self.incoming());
        let manifest = lock(&self.running).manifest.clone();
        let table = manifest.file(Role::Table).map_or([0; 32], |file| file.sha256);
        // It runs, whatever became of the older one.
        let count = removed.as_ref().map_or(0, |removed| u32::try_from(removed.len()).unwrap_or(u32::MAX));
        self.note(LinkEvent::Installed { by, revision: manifest.revision, table, removed: count });
        Ok(self.receipt(removed?))
    }

    /// Back to what ran before.
    pub(super) fn roll_back(&self, by: Fingerprint) -> Result<Receipt, Refused> {
        let slots = Slots::new(&self.state, RealDisk);
        if slots.previous_revision().is_none() {
            return Err(Refused::new(Refusal::NoPrevious, "there is no earlier bundle on the device"));
        }
        let before = self.people();
        let mut proved = None;
        let prove = |dir: &Path| {
            proved = Some(self.prove(dir, None)?);
            Ok::<_, Refused>(())
        };
        slots.go_back(prove).map_err(slot)?;
        if let Some(proved) = proved {
            self.hand_over(proved);
        }
        let removed = self.forget_the_removed(&before);
        let revision = lock(&self.running).manifest.revision;
        self.note(LinkEvent::RolledBack { by, revision });
        Ok(self.receipt(removed?))
    }

    /// What the signature binds together is bound together in the files too, and nothing goes backwards.
    fn check_bound(&self, offer: &Offer, manifest: &[u8], table: &[u8]) -> Result<(), Refused> {
        let broken = |what: &dyn std::fmt::Display| Refused::new(Refusal::Bundle, what.to_string());
        let manifest = Manifest::from_bytes(manifest).map_err(|e| broken(&e))?;
        let parsed = lintel_formats::table::from_bytes(table).map_err(|e| broken(&e))?;
        let bound = &offer.bound;
        let pairs = [
            ("revision", bound.revision.to_string(), manifest.revision.to_string()),
            ("table's own revision", bound.revision.to_string(), parsed.revision().to_string()),
            ("encoder", bound.encoder.clone(), hex::encode(manifest.encoder.0)),
            ("table's encoder", bound.encoder.clone(), hex::encode(parsed.encoder().0)),
            ("table", bound.table.clone(), hex::encode(Sha256::digest(table))),
            ("calibration", bound.calibration.clone(), hex::encode(parsed.calibration_hash())),
        ];
        for (what, signed, found) in pairs {
            if signed != found {
                let text = format!("the {what} is {found}, signed was {signed}");
                return Err(Refused::new(Refusal::MixAndMatch, text));
            }
        }
        let running = lock(&self.running);
        let same = running.manifest.file(Role::Table) == manifest.file(Role::Table);
        if manifest.revision < running.manifest.revision || (manifest.revision == running.manifest.revision && !same) {
            let text = format!(
                "the table has revision {}, the device runs {}: a door only goes forward",
                manifest.revision, running.manifest.revision
            );
            return Err(Refused::new(Refusal::Rollback, text));
        }
        Ok(())
    }

    /// Loads a slot as it will run, and asks it for the decisions that came with it.
    fn prove(&self, dir: &Path, reference: Option<&Reference>) -> Result<Proved, Refused> {
        let unusable = |what: &dyn std::fmt::Display| Refused::new(Refusal::Bundle, what.to_string());
        let loaded = LoadedBundle::load(dir).map_err(|e| unusable(&e))?;
        let (manifest, table) = (loaded.manifest.clone(), loaded.table.clone());
        let mut vision =
            FaceAnalyzer::new(loaded, &self.inference, QualityLimits::default()).map_err(|e| unusable(&e))?;
        if let Some(reference) = reference {
            let embed = |crop: &[u8]| -> Result<Embedding, RuntimeError> { vision.embed(crop) };
            reference.verify(embed, &table).map_err(|e| Refused::new(Refusal::Proof, e.to_string()))?;
        }
        let provider = vision.encoder().provider().name().to_owned();
        Ok(Proved { vision, running: Running { manifest, table, provider } })
    }

    /// The metadata is what counts from now on.
    fn remember(&self, offer: &Offer) -> Result<(), Refused> {
        let mut known = lock(&self.known);
        if known.trust.is_none() {
            return Err(Refused::new(Refusal::UnknownKey, "the device was unpaired meanwhile"));
        }
        let mut next = known.clone();
        next.trust = Some(offer.trust.clone());
        next.save(&self.state, &RealDisk).map_err(|e| Refused::new(Refusal::Storage, e.to_string()))?;
        *known = next;
        drop(known);
        self.vouched();
        Ok(())
    }

    fn people(&self) -> BTreeSet<PersonId> {
        lock(&self.running).table.people().iter().map(|person| person.id).collect()
    }

    /// Another bundle runs, from the next frame on.
    fn hand_over(&self, proved: Proved) {
        let Proved { vision, running } = proved;
        let names = Names::new(running.table.people().iter().map(|person| (person.id, person.name.as_str())));
        let manifest = &running.manifest;
        let started = Started {
            software: text(env!("CARGO_PKG_VERSION")),
            pack: text(&manifest.pack),
            revision: manifest.revision,
            encoder: manifest.encoder.into(),
            people: u32::try_from(running.table.len()).unwrap_or(u32::MAX),
            provider: text(&running.provider),
        };
        let stay: BTreeSet<PersonId> = running.table.people().iter().map(|person| person.id).collect();
        let gone = self.people().into_iter().filter(|id| !stay.contains(id)).collect::<Vec<_>>();
        // At once, and not only with the next frame: somebody's votes may be complete but for one.
        self.exchange.shut_out(gone);
        let replacement = Replacement { analyzer: Box::new(vision), names, started };
        if !self.exchange.offer(replacement, HANDOVER) {
            tracing::warn!("link: the pipeline looks at no frames; it takes the new bundle with the next one");
        }
        *lock(&self.running) = running;
    }

    /// Removes people who left the table from the previous slot too; returns all who were removed.
    fn forget_the_removed(&self, before: &BTreeSet<PersonId>) -> Result<Vec<PersonId>, Refused> {
        let now = self.people();
        let scrubbed = self.scrub().map_err(|e| {
            // Nothing is signed that is not so.
            let text = format!(
                "the new table runs, but a removed person is still in the older bundle ({e}); the device \
                 goes on trying"
            );
            Refused::new(Refusal::Storage, text)
        })?;
        let gone = before.iter().copied().filter(|id| !now.contains(id));
        Ok(gone.chain(scrubbed).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn receipt(&self, removed: Vec<PersonId>) -> Receipt {
        let running = lock(&self.running);
        let head = self.audit_log.newest();
        let statement = Statement {
            device: self.fingerprint().0,
            revision: running.manifest.revision,
            table: running.manifest.file(Role::Table).map_or([0; 32], |file| file.sha256),
            encoder: running.manifest.encoder.into(),
            removed: removed.into_iter().map(Into::into).collect(),
            journal: head.sequence,
            journal_head: head.hash,
            at: self.wall.now(),
        };
        receipt::sign(&self.identity, &statement)
    }
}

fn read_checked(path: &Path, file: &SignedFile) -> Result<Vec<u8>, Refused> {
    let missing = |e: std::io::Error| {
        Refused::new(Refusal::Content, format!("{} was not sent, or cannot be read: {e}", file.name))
    };
    let found = File::open(path).and_then(|file| file.metadata()).map_err(missing)?.len();
    let wrong = || Refused::new(Refusal::Content, format!("{} is not what was signed", file.name));
    if found != file.bytes {
        return Err(wrong());
    }
    let bytes = fs::read(path).map_err(missing)?;
    if Sha256::digest(&bytes)[..] == file.sha256 { Ok(bytes) } else { Err(wrong()) }
}

fn storage(path: &Path, error: &std::io::Error) -> Refused {
    Refused::new(Refusal::Storage, format!("{}: {error}", path.display()))
}

/// A refusal of the proof's is the device's answer; everything else is the disk's.
fn slot(error: SlotError) -> Refused {
    let text = error.to_string();
    match error {
        SlotError::Disk { .. } | SlotError::Current { .. } => Refused::new(Refusal::Storage, text),
        SlotError::Proof { source, .. } => match source.downcast::<Refused>() {
            Ok(refused) => *refused,
            Err(_) => Refused::new(Refusal::Proof, text),
        },
    }
}
