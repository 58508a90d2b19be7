//! Chains, rotation, damage, and power cuts after every write of the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use lintel_wire::audit::{Record, chained};
use lintel_wire::value::{Fault, PersonId, Similarity, Strike};

use super::*;
use crate::io::clock::{Clock, WallClock};

/// Five milliseconds after the start; the clock shows the given seconds since 1970.
fn clocks(seconds: u64) -> Clocks {
    shown(move || seconds)
}

fn shown(wall: impl Fn() -> u64 + Send + Sync + 'static) -> Clocks {
    Clocks { monotonic: Clock::new(|| Uptime::from_millis(5)), wall: WallClock::new(wall) }
}

fn open(state: &Path, keep: u64) -> AuditLog {
    AuditLog::open(state, keep, &clocks(1_000_000)).unwrap()
}

fn all(journal: &AuditLog) -> Vec<Entry> {
    let page = journal.entries(0, usize::MAX).unwrap();
    page.entries.iter().map(|bytes| Record::from_bytes(bytes).unwrap().entry).collect()
}

fn refusal() -> Entry {
    Entry::NotRecognised { revision: 1, similarity: Similarity::new(0.1).unwrap(), margin: 0.0, confidence: 0.1 }
}

fn recognised() -> Entry {
    let similarity = Similarity::new(0.9).unwrap();
    Entry::Recognised { person: PersonId(1), revision: 1, similarity, margin: 0.3, confidence: 0.9 }
}

#[test]
fn entries_survive_and_are_chained() {
    let folder = tempfile::tempdir().unwrap();
    let entries = [Entry::Relay(Strike::Released), Entry::Relay(Strike::Locked), Entry::Stopped];
    let journal = open(folder.path(), 1000);
    for entry in &entries {
        journal.append(entry.clone()).unwrap();
    }
    let head = journal.newest();
    drop(journal);
    let journal = open(folder.path(), 1000);
    assert_eq!((all(&journal), journal.newest(), journal.boot()), (entries.to_vec(), head, 2));
    assert_eq!(journal.verify().unwrap(), 0);
    // A page begins where the one before ended, with the hash there.
    let (first, second) = (journal.entries(0, 2).unwrap(), journal.entries(2, 2).unwrap());
    let mut hash = first.before;
    for (sequence, bytes) in (1..).zip(&first.entries) {
        hash = chained(&hash, sequence, bytes);
    }
    assert_eq!((second.first, second.before, second.entries.len()), (3, hash, 1));
    assert_eq!(journal.entries(3, 2).unwrap().before, head.hash);
}

#[test]
fn the_oldest_go_and_the_rest_still_follows() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path(), 10);
    for n in 0..35 {
        journal.append(Entry::Lost { entries: n }).unwrap();
    }
    assert_eq!(all(&journal), (25..35).map(|entries| Entry::Lost { entries }).collect::<Vec<_>>());
    assert_eq!(journal.verify().unwrap(), 25);
    assert_eq!(journal.entries(0, 3).unwrap().first, 26);
    drop(journal);
    // A smaller bound later.
    let journal = open(folder.path(), 4);
    journal.append(Entry::Stopped).unwrap();
    assert_eq!((all(&journal).len(), journal.verify().unwrap()), (4, 32));
}

#[test]
fn an_edit_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path(), 1000);
    for n in 0..5 {
        journal.append(Entry::Lost { entries: n }).unwrap();
    }
    type Entries<'a> = redb::Table<'a, u64, &'static [u8]>;
    let edit = |change: &dyn Fn(&mut Entries<'_>)| {
        let mut state = journal.state();
        let writing = state.store.as_mut().unwrap().database.begin_write().unwrap();
        change(&mut writing.open_table(store::ENTRIES).unwrap());
        writing.commit().unwrap();
        drop(state);
        journal.verify().unwrap_err().to_string()
    };
    let forged =
        Record { boot: 1, at: Uptime::from_millis(5).into(), clock: 1_000_000, entry: Entry::Lost { entries: 9 } };
    let forged = [&[0; 32][..], &forged.to_bytes().unwrap()].concat();
    let error = edit(&|entries| drop(entries.insert(3, forged.as_slice()).unwrap()));
    assert!(error.contains("broken at entry 3"), "{error}");
    let error = edit(&|entries| drop(entries.remove(3).unwrap()));
    assert!(error.contains("broken at entry 3"), "{error}");
    let error = edit(&|entries| {
        for sequence in 3..=5 {
            entries.remove(sequence).unwrap();
        }
    });
    assert!(error.contains("broken at entry 5"), "{error}");
    // At the next start it is set aside, and the new one says so.
    drop(journal);
    let journal = open(folder.path(), 1000);
    assert_eq!(all(&journal), [Entry::BegunAnew]);
    assert!(folder.path().join("journal.damaged-1").exists());
}

#[test]
fn damage_never_stops_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let journal = open(folder.path(), 1000);
    for n in 0..200 {
        journal.append(Entry::Lost { entries: n }).unwrap();
    }
    drop(journal);
    let sound = fs::read(&path).unwrap();
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let journal = open(folder.path(), 1000);
        let kept = all(&journal);
        // Untouched pages may hide a change; then nothing is lost either.
        assert!(kept.len() == 200 || kept == [Entry::BegunAnew], "{}", kept.len());
        journal.append(Entry::Stopped).unwrap();
    };
    check(b"");
    check(b"garbage");
    check(&[0; 100_000]);
    check(&sound[..sound.len() / 2]);
    check(&sound[..100]);
    for at in (0..sound.len()).step_by(sound.len() / 97) {
        let mut damaged = sound.clone();
        for byte in damaged[at..].iter_mut().take(64) {
            *byte ^= 0xff;
        }
        check(&damaged);
    }
    let set_aside = fs::read_dir(folder.path()).unwrap().flatten().filter(|e| e.path() != path).count();
    assert!(set_aside <= MOST_DAMAGED as usize, "{set_aside}");
}

#[test]
fn two_processes_cannot_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path(), 1000);
    assert!(matches!(AuditLog::open(folder.path(), 1000, &clocks(0)), Err(StoreError::InUse)));
}

#[test]
fn refusals_count_until_somebody_is_recognised_or_long_ago() {
    let folder = tempfile::tempdir().unwrap();
    let time = Arc::new(AtomicU64::new(1000));
    let shown = Arc::clone(&time);
    let journal = AuditLog::open(folder.path(), 1000, &self::shown(move || shown.load(Ordering::SeqCst))).unwrap();
    let count = || journal.refusals(Duration::from_secs(100)).unwrap();
    let add = |entry: Entry| assert!(journal.append(entry).is_ok());
    assert_eq!(count(), 0);
    add(refusal());
    add(Entry::Fault(Fault::Relay));
    add(refusal());
    assert_eq!(count(), 2);
    add(recognised());
    assert_eq!(count(), 0);
    add(refusal());
    time.store(1101, Ordering::SeqCst);
    assert_eq!(count(), 0);
    // A device that woke up in 1970 forgets nothing.
    time.store(3, Ordering::SeqCst);
    assert_eq!(count(), 1);
}

/// A disk in memory that loses power after so many writes and syncs. Of what was not synced any part may be there.
#[derive(Clone, Debug)]
struct Cut(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    left: Option<u64>,
    done: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Length(u64),
    Write(u64, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
            Self::Write(offset, data) => {
                let offset = usize::try_from(*offset).unwrap();
                if bytes.len() < offset + data.len() {
                    bytes.resize(offset + data.len(), 0);
                }
                bytes[offset..offset + data.len()].copy_from_slice(data);
            }
        }
    }
}

impl Cut {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        change.apply(&mut state.now);
        state.pending.push(change);
        Ok(())
    }

    /// Power comes back: what was synced is there, and of the rest what chance kept, in no order.
    fn restart(&self, seed: u64) {
        let mut state = self.state();
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut kept = state.durable.clone();
        for change in std::mem::take(&mut state.pending) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random.is_multiple_of(2) {
                change.apply(&mut kept);
            }
        }
        (state.now, state.durable, state.left) = (kept.clone(), kept, None);
    }
}

impl State {
    fn spend(&mut self) -> io::Result<()> {
        if self.left == Some(0) {
            return Err(io::Error::other("power cut"));
        }
        self.left = self.left.map(|left| left - 1);
        self.done += 1;
        Ok(())
    }
}

fn on(disk: &Cut, keep: u64, clocks: &Clocks) -> Result<AuditLog, StoreError> {
    let disk = disk.clone();
    AuditLog::on(move || disk.clone(), keep, clocks)
}

impl StorageBackend for Cut {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let offset = usize::try_from(offset).unwrap();
        let bytes = state.now.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        state.durable = state.now.clone();
        state.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }
}

#[test]
fn power_cut_after_every_write() {
    let mut cuts = BTreeMap::new();
    for chance in 0..3_u64 {
        for cut_after in 0.. {
            let disk = Cut(Arc::default());
            let mut acknowledged = 0;
            {
                let journal = on(&disk, 1000, &clocks(1)).unwrap();
                for _ in 0..3 {
                    acknowledged = journal.append(refusal()).unwrap().sequence;
                }
                disk.state().left = Some(cut_after);
                for _ in 0..3 {
                    if let Ok(point) = journal.append(refusal()) {
                        acknowledged = point.sequence;
                    }
                }
            }
            let over = disk.state().left.is_some_and(|left| left > 0);
            disk.restart(chance + cut_after * 31);
            let journal = on(&disk, 1000, &clocks(1)).expect("opens whatever the cut left");
            let found = journal.newest().sequence;
            assert!(
                found >= acknowledged && found <= 6,
                "cut after {cut_after}: {found} of {acknowledged} acknowledged"
            );
            journal.verify().unwrap();
            // The lockout counts by it.
            assert!(u64::from(journal.refusals(Duration::from_secs(9)).unwrap()) >= acknowledged);
            journal.append(Entry::Stopped).expect("and goes on");
            cuts.insert(chance, cut_after);
            if over {
                break;
            }
        }
    }
    assert!(cuts.values().all(|cuts| *cuts >= 10), "the cuts covered the appends: {cuts:?}");
}

/// Full, and then not: the door's history has no gap but for what memory couldn't hold, which it tells.
#[test]
fn a_disk_that_refuses_loses_nothing() {
    let disk = Cut(Arc::default());
    let journal = on(&disk, 100_000, &clocks(1)).unwrap();
    journal.append(Entry::Lost { entries: 0 }).unwrap();
    let at = Uptime::from_millis(5);
    disk.state().left = Some(2);
    for n in 1..20 {
        assert!(journal.keep([(at, Entry::Lost { entries: n })]).is_err());
    }
    assert!(journal.append(Entry::Stopped).is_err(), "what asks for durability is told");
    assert_eq!((journal.waiting(), journal.newest().sequence), (19, 1));
    disk.state().left = None;
    journal.keep([]).expect("the disk takes it");
    assert_eq!(all(&journal), (0..20).map(|entries| Entry::Lost { entries }).collect::<Vec<_>>());
    assert_eq!((journal.waiting(), journal.boot(), journal.verify().unwrap()), (0, 1, 0));

    disk.state().left = Some(0);
    let many = (0..MAX_WAITING as u64 + 7).map(|_| (at, refusal()));
    assert!(journal.keep(many).is_err());
    disk.state().left = None;
    journal.keep([]).expect("the disk takes it");
    let kept = all(&journal);
    assert_eq!((kept.len(), kept.last()), (20 + MAX_WAITING + 1, Some(&Entry::Lost { entries: 7 })));
}

/// A journal that can't be opened when the daemon starts: it is, once the disk allows it.
#[test]
fn a_disk_that_refuses_at_the_start_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("later");
    let journal = AuditLog::patient(&state, 1000, &clocks(1));
    assert!(journal.keep([(Uptime::from_millis(1), Entry::Stopped)]).is_err());
    assert_eq!((journal.boot(), journal.waiting()), (0, 1));
    fs::create_dir(&state).unwrap();
    journal.append(Entry::BegunAnew).expect("opened");
    journal.keep([]).unwrap();
    assert_eq!((all(&journal), journal.boot()), (vec![Entry::BegunAnew, Entry::Stopped], 1));
}

/// The pipeline hears of it with every event until the disk takes what waits, and then no longer.
#[test]
fn the_stream_tells_of_a_disk_that_refuses() {
    use lintel_wire::event::{Event, EventKind};

    use crate::events::Subscriber as _;
    use crate::events::stream::Stream;
    let disk = Cut(Arc::default());
    let journal = on(&disk, 1000, &clocks(1)).unwrap();
    let stream = Stream::start(vec![("audit log", Box::new(journal.subscriber()))]).unwrap();
    let mut publisher = stream.publisher();
    let mut told =
        |kind: EventKind| publisher.notify(&Event { at: Uptime::from_millis(5).into(), kind }.into()).is_err();
    let soon = |what: &mut dyn FnMut() -> bool| {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            what()
        })
    };
    assert!(!told(EventKind::Relay(Strike::Released)));
    assert!(soon(&mut || journal.newest().sequence == 1));
    disk.state().left = Some(0);
    told(EventKind::Relay(Strike::Locked));
    let nothing_to_keep = || EventKind::Visit { recording: crate::events::text("a"), label: crate::events::text("b") };
    assert!(soon(&mut || told(nothing_to_keep())), "told with an event that isn't kept");
    disk.state().left = None;
    assert!(soon(&mut || !told(nothing_to_keep())), "told that it is over");
    drop(stream);
    assert_eq!(all(&journal), [Entry::Relay(Strike::Released), Entry::Relay(Strike::Locked)]);
}
