//! One caller's requests → answers.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{MutexGuard, TryLockError};
use std::thread;
use std::time::Duration;

use lintel_link::pairing::{Agreed, Pair};
use lintel_link::{Channel, ChannelError, Fingerprint};
use lintel_wire::link::{
    self, Answer, MAX_METADATA_FILES, MAX_PEOPLE_PAGE, Named, Receipt, Refusal, Request, Status, Workstation, shortened,
};

use super::known::Standing;
use super::trust::{MAX_ROOTS, Offer, Refused, Trust};
use super::{Device, lock};
use crate::audit_log::Page;
use crate::events::LinkEvent;
use crate::io::clock::Stop;
use crate::io::disk::RealDisk;
use crate::slots::Slots;

/// A caller that says nothing for so long is let go.
const SILENCE: Duration = Duration::from_secs(60);
/// Likewise one that keeps others from pushing.
const HOLDING: Duration = Duration::from_secs(20);
/// Likewise one that the device doesn't know, while it may pair: a person looks for the code and types it.
const TYPING: Duration = Duration::from_secs(120);
/// Likewise one that the device doesn't know, and that has nothing to ask for.
const STRANGE: Duration = Duration::from_secs(5);
/// How often a caller is told that the device is still at it.
const WORKING: Duration = Duration::from_secs(1);

/// Serves a caller until it goes, is refused, or the stop is asked for.
pub fn serve(mut channel: Channel, device: &Device, stop: &Stop) {
    let mut session = Session {
        device,
        caller: channel.peer(),
        greeted: false,
        metadata: BTreeMap::new(),
        agreed: None,
        chain: Vec::new(),
        offer: None,
        pushing: None,
    };
    loop {
        let silent = device.overdue_after(match (device.knows(session.caller), device.is_pairing()) {
            (true, _) if session.pushing.is_some() => HOLDING,
            (true, _) => SILENCE,
            (false, true) => TYPING,
            (false, false) => STRANGE,
        });
        let overdue = || silent() || stop.asked();
        let request = match channel.receive::<Request>(&overdue) {
            Ok(request) => request,
            Err(ChannelError::Message(e)) => {
                let refused = Refused::new(Refusal::Protocol, e.to_string());
                let _ = channel.send(&session.refuse(&refused), &overdue);
                break;
            }
            Err(e) => {
                tracing::debug!("link: {e}");
                break;
            }
        };
        let hello = matches!(request, Request::Hello { .. });
        let mut say = |answer: &Answer| channel.send(answer, &overdue).is_ok();
        let answer = session.answer(request, &mut say).unwrap_or_else(|refused| session.refuse(&refused));
        let over = matches!(answer, Answer::Refused { .. });
        if !say(&answer) || over {
            break;
        }
        if let (true, Answer::Hello { version, .. }) = (hello, &answer) {
            channel.speak(*version);
        }
    }
    if session.agreed.is_some() {
        // A workstation with the wrong code finds out from the device's confirmation, and ends here.
        session.note(Refusal::WrongCode);
    }
    channel.close();
}

struct Session<'a> {
    device: &'a Device,
    caller: Fingerprint,
    greeted: bool,
    metadata: BTreeMap<String, Vec<u8>>,
    agreed: Option<Agreed>,
    /// Older roots of the site that the caller brings to the pairing.
    chain: Vec<Vec<u8>>,
    offer: Option<Offer>,
    /// Held from the offer on: one push at a time.
    pushing: Option<MutexGuard<'a, ()>>,
}

impl Session<'_> {
    fn note(&self, why: Refusal) {
        if self.device.knows(self.caller) {
            self.device.note(LinkEvent::Refused { caller: Some(self.caller), why });
        } else {
            self.device.note_stranger(Some(self.caller), why);
        }
    }

    fn refuse(&self, refused: &Refused) -> Answer {
        self.note(refused.why);
        Answer::Refused { why: refused.why, text: shortened(&refused.text) }
    }

    fn answer(&mut self, request: Request, say: &mut dyn FnMut(&Answer) -> bool) -> Result<Answer, Refused> {
        if !self.greeted && !matches!(request, Request::Hello { .. }) {
            return Err(Refused::new(Refusal::Protocol, "the first request is a greeting with the versions spoken"));
        }
        match request {
            Request::Hello { oldest, newest, .. } => return self.greet(oldest, newest),
            Request::Pair { message } => return self.pair(&message),
            Request::Confirm { confirmation, name, valid_until, root } => {
                let fingerprint = self.caller.0;
                return self.confirm(&confirmation, Workstation { fingerprint, name, valid_until }, &root);
            }
            Request::Root { bytes } => return self.keep_root(bytes),
            _ => self.must_be_known()?,
        }
        match request {
            Request::Status => Ok(Answer::Status(self.status())),
            Request::Metadata { name, bytes } => self.keep_metadata(name, bytes),
            Request::Offer => self.verify(),
            Request::Piece { file, offset, bytes } => {
                let offer = self.offer.as_ref().ok_or_else(not_offered)?;
                self.device.keep_piece(offer, file, offset, &bytes).map(|have| Answer::Received { have })
            }
            Request::Install => self.install(say).map(Answer::Installed),
            Request::Rollback => {
                self.go_alone()?;
                self.device.roll_back(self.caller).map(Answer::Installed)
            }
            Request::People { from } => Ok(self.people(from)),
            Request::Log { after, most } => {
                let head = self.device.audit_log.newest();
                let Page { entries, first, before } = self.device.log_page(after, most.into());
                Ok(Answer::Log { entries, first, before, head: head.sequence, head_hash: head.hash })
            }
            Request::Workstations => Ok(Answer::Workstations(lock(&self.device.known).workstations.clone())),
            Request::Forget { workstation } => self.forget(Fingerprint(workstation)),
            Request::Hello { .. } | Request::Pair { .. } | Request::Confirm { .. } | Request::Root { .. } => {
                Err(Refused::new(Refusal::Protocol, "not now"))
            }
        }
    }

    fn greet(&mut self, oldest: u16, newest: u16) -> Result<Answer, Refused> {
        let version = link::agree(&link::SPOKEN, &(oldest..=newest)).ok_or_else(|| {
            let (from, to) = (link::SPOKEN.start(), link::SPOKEN.end());
            let text = format!("the device speaks versions {from} to {to}, the workstation {oldest} to {newest}");
            Refused::new(Refusal::Version, text)
        })?;
        self.greeted = true;
        Ok(Answer::Hello { version, software: format!("lintel-edge {}", env!("CARGO_PKG_VERSION")) })
    }

    fn must_be_known(&self) -> Result<(), Refused> {
        let now = self.device.now();
        let standing = lock(&self.device.known).standing(self.caller, now);
        let (why, text) = match standing {
            Standing::Known => return Ok(()),
            Standing::Unknown => (Refusal::UnknownKey, "this workstation is not paired with the device"),
            Standing::Revoked => (Refusal::RevokedKey, "this workstation was taken off the device: pair it again"),
            Standing::Expired => (Refusal::ExpiredKey, "this workstation's key is past its date: pair it again"),
        };
        Err(Refused::new(why, text))
    }

    fn pair(&mut self, message: &[u8]) -> Result<Answer, Refused> {
        let pair = Pair { workstation: self.caller, device: self.device.fingerprint() };
        let now = self.device.clock.now();
        let mut mode = lock(&self.device.pairing);
        let answered = mode.answer(pair, message, now);
        if mode.code(now).is_none() {
            self.device.exchange.show_code(None);
        }
        drop(mode);
        let (agreed, message) = answered?;
        let confirmation = agreed.device_says();
        self.agreed = Some(agreed);
        Ok(Answer::Pair { message, confirmation })
    }

    fn confirm(&mut self, word: &[u8; 32], workstation: Workstation, root: &[u8]) -> Result<Answer, Refused> {
        let agreed = self.agreed.take().ok_or_else(|| Refused::new(Refusal::Protocol, "a code is agreed on first"))?;
        agreed.check_workstation(word).map_err(|e| Refused::new(Refusal::WrongCode, e.to_string()))?;
        let brought = Trust::new(root)?;
        let mut known = lock(&self.device.known);
        let mut next = known.clone();
        match &next.trust {
            Some(trust) => trust.leads_to(&brought.root, &self.chain)?,
            None => next.trust = Some(brought),
        }
        next.enrol(workstation).map_err(|e| Refused::new(Refusal::Busy, e.to_string()))?;
        next.save(&self.device.state, &RealDisk).map_err(|e| Refused::new(Refusal::Storage, e.to_string()))?;
        *known = next;
        drop(known);
        lock(&self.device.pairing).end();
        self.device.exchange.show_code(None);
        self.device.vouched();
        self.device.note(LinkEvent::Paired(self.caller));
        Ok(Answer::Paired)
    }

    fn keep_root(&mut self, bytes: Vec<u8>) -> Result<Answer, Refused> {
        if self.agreed.is_none() {
            return Err(Refused::new(Refusal::Protocol, "a code is agreed on first"));
        }
        if self.chain.len() as u64 >= MAX_ROOTS {
            return Err(Refused::new(Refusal::EndlessData, format!("more than {MAX_ROOTS} roots")));
        }
        self.chain.push(bytes);
        Ok(Answer::Kept)
    }

    fn forget(&mut self, workstation: Fingerprint) -> Result<Answer, Refused> {
        let mut known = lock(&self.device.known);
        let mut next = known.clone();
        if !next.forget(workstation) {
            return Err(Refused::new(Refusal::Protocol, "the device knows no such workstation"));
        }
        next.save(&self.device.state, &RealDisk).map_err(|e| Refused::new(Refusal::Storage, e.to_string()))?;
        *known = next;
        drop(known);
        self.device.note(LinkEvent::Forgotten(workstation));
        Ok(Answer::Done)
    }

    fn status(&self) -> Status {
        let device = self.device;
        let running = lock(&device.running).clone();
        let slots = Slots::new(&device.state, RealDisk);
        let head = device.audit_log.newest();
        let known = lock(&device.known);
        Status {
            name: shortened(&device.name),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            manifest: running.manifest.to_bytes().unwrap_or_default(),
            people: u32::try_from(running.table.len()).unwrap_or(u32::MAX),
            rule: running.table.rule().into(),
            calibration: running.table.calibration().map(|calibration| (*calibration).into()),
            provider: shortened(&running.provider),
            previous: slots.previous_revision(),
            root: known.trust.as_ref().map_or(0, Trust::root_version),
            versions: known.trust.as_ref().map_or([0; 3], Trust::versions),
            uptime: device.clock.now().as_micros() / 1_000_000,
            journal: head.sequence,
            journal_head: head.hash,
            faults: device.words(),
        }
    }

    fn people(&self, from: u32) -> Answer {
        let running = lock(&self.device.running);
        let all = running.table.people();
        let page = all.iter().skip(from as usize).take(MAX_PEOPLE_PAGE);
        let people = page.map(|person| Named { id: person.id.into(), name: person.name.clone() }).collect();
        Answer::People { people, all: u32::try_from(all.len()).unwrap_or(u32::MAX) }
    }

    fn keep_metadata(&mut self, name: String, bytes: Vec<u8>) -> Result<Answer, Refused> {
        if self.metadata.len() >= MAX_METADATA_FILES {
            let text = format!("more than {MAX_METADATA_FILES} files of metadata");
            return Err(Refused::new(Refusal::EndlessData, text));
        }
        self.metadata.insert(name, bytes);
        Ok(Answer::Kept)
    }

    /// From here on no other push is taken, until this caller has gone.
    fn go_alone(&mut self) -> Result<(), Refused> {
        if self.pushing.is_none() {
            self.pushing = match self.device.pushing.try_lock() {
                Ok(alone) => Some(alone),
                Err(TryLockError::Poisoned(left)) => Some(left.into_inner()),
                Err(TryLockError::WouldBlock) => {
                    return Err(Refused::new(Refusal::Busy, "another push to this device is going on"));
                }
            };
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<Answer, Refused> {
        let sent = std::mem::take(&mut self.metadata);
        let now = self.device.now();
        let trust = lock(&self.device.known).trust.clone();
        let trust = trust.ok_or_else(|| Refused::new(Refusal::UnknownKey, "the device trusts nobody yet: pair it"))?;
        let offer = trust.verify(&sent, self.device.fingerprint(), now)?;
        self.go_alone()?;
        let wanted = self.device.wanted(&offer)?;
        self.offer = Some(offer);
        Ok(Answer::Wanted(wanted))
    }

    /// Installs on a thread of its own, and tells the caller now and then that it goes on.
    fn install(&mut self, say: &mut dyn FnMut(&Answer) -> bool) -> Result<Receipt, Refused> {
        let offer = self.offer.take().ok_or_else(not_offered)?;
        let (device, caller) = (self.device, self.caller);
        thread::scope(|scope| {
            let (done, result) = channel();
            let worker = scope.spawn(move || done.send(device.install(&offer, caller)));
            let mut listens = true;
            loop {
                match result.recv_timeout(WORKING) {
                    Ok(result) => return result,
                    // A workstation that has gone gets no answer, but the work is finished.
                    Err(RecvTimeoutError::Timeout) => listens = listens && say(&Answer::Working),
                    Err(RecvTimeoutError::Disconnected) => {
                        let _ = worker.join();
                        return Err(Refused::new(Refusal::Bundle, "the installation died of a programming error"));
                    }
                }
            }
        })
    }
}

fn not_offered() -> Refused {
    Refused::new(Refusal::Protocol, "metadata is offered first")
}
