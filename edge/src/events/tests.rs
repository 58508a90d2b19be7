//! Subscribers on disks that are full, slow, or both.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lintel_wire::event::{self, EventKind};
use lintel_wire::value::Strike;

use super::json_lines::JsonLines;
use super::memory::Memory;
use super::stream::{MAX_WAITING, Stream};
use super::wire_file::WireFile;
use super::*;

fn events() -> Vec<Event> {
    let kinds = [EventKind::Relay(Strike::Released), EventKind::Relay(Strike::Locked), EventKind::Stopped];
    (1..).zip(kinds).map(|(ms, kind)| Event { at: Uptime::from_millis(ms).into(), kind }).collect()
}

fn unpaired() -> Occurrence {
    Occurrence::Link { at: Uptime::from_millis(9), event: LinkEvent::Unpaired }
}

fn stream(subscriber: impl Subscriber + 'static) -> Stream {
    Stream::start(vec![("events", Box::new(subscriber))]).unwrap()
}

#[test]
fn a_file_holds_what_happened_at_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let check = |subscriber: &mut dyn Subscriber, finish: &dyn Fn()| {
        subscriber.notify(&unpaired()).unwrap();
        for event in events() {
            subscriber.notify(&event.into()).unwrap();
        }
        assert_eq!(subscriber.lost(), 0);
        finish();
        let bytes = std::fs::read(&path).unwrap();
        let read: Result<Vec<Event>, _> = event::events(&bytes).collect();
        assert_eq!(read.unwrap(), events());
    };
    check(&mut WireFile::create(&path).unwrap(), &|| {});
    check(&mut Everyone(vec![Box::new(WireFile::create(&path).unwrap()), Box::new(Memory::default())]), &|| {});
    let stream = Mutex::new(Some(stream(WireFile::create(&path).unwrap())));
    let mut publisher = stream.lock().unwrap().as_ref().map(Stream::publisher).unwrap();
    check(&mut publisher, &|| drop(stream.lock().unwrap().take()));
    // A stream that has ended takes nothing more, and says so.
    assert!(matches!(publisher.notify(&unpaired()), Err(EventError::Ended("events"))));
    assert_eq!(publisher.lost(), 1);
}

#[test]
fn json_is_one_object_a_line() {
    let mut out = Vec::new();
    let mut lines = JsonLines::new(&mut out);
    for event in events() {
        lines.notify(&event.into()).unwrap();
    }
    lines.notify(&unpaired()).unwrap();
    let text = String::from_utf8(out).unwrap();
    let read: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, events());
}

/// `/dev/full` is a disk that is always full.
#[test]
fn a_full_disk_is_an_error_and_the_door_can_go_on() {
    let mut file = WireFile::create(Path::new("/dev/full")).unwrap();
    for event in events() {
        let error = file.notify(&event.into()).unwrap_err().to_string();
        assert!(error.starts_with("/dev/full: event was not written"), "{error}");
    }
    let stream = stream(WireFile::create(Path::new("/dev/full")).unwrap());
    let mut publisher = stream.publisher();
    let told = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(1));
        publisher.notify(&events()[0].clone().into()).is_err()
    });
    assert!(told, "the error came back with a later event");
}

/// A subscriber that takes its time, and keeps what it settled.
#[derive(Clone, Default)]
struct Slow {
    taken: Vec<Occurrence>,
    settled: Arc<Mutex<Vec<Occurrence>>>,
    lost: Arc<Mutex<u64>>,
    durable: bool,
}

impl Subscriber for Slow {
    fn notify(&mut self, occurrence: &Occurrence) -> Result<(), EventError> {
        thread::sleep(Duration::from_micros(200));
        self.taken.push(occurrence.clone());
        Ok(())
    }

    fn settle(&mut self, lost: u64) -> Result<(), EventError> {
        self.settled.lock().unwrap().append(&mut self.taken);
        *self.lost.lock().unwrap() += lost;
        Ok(())
    }

    fn is_durable(&self) -> bool {
        self.durable
    }
}

#[test]
fn a_slow_disk_loses_events_and_holds_nobody_up() {
    let slow = Slow::default();
    let stream = stream(slow.clone());
    let mut publisher = stream.publisher();
    let event = Occurrence::from(events()[0].clone());
    let refused = (0..MAX_WAITING * 2).filter(|_| publisher.notify(&event).is_err()).count();
    assert!(refused > 0, "the queue is bounded");
    assert_eq!(publisher.lost(), refused as u64);
    drop(stream);
    assert_eq!(slow.settled.lock().unwrap().len() + refused, MAX_WAITING * 2, "what was taken is settled");
    assert_eq!(*slow.lost.lock().unwrap(), refused as u64, "the subscriber is told what it missed");
}

/// Two threads publish; every subscriber is notified of both, and each waiting thread finds its occurrence settled.
#[test]
fn no_subscriber_misses_half_of_it() {
    let (slow, memory) = (Slow { durable: true, ..Slow::default() }, Memory::default());
    let stream = Stream::start(vec![("slow", Box::new(slow.clone())), ("memory", Box::new(memory.clone()))]).unwrap();
    let (mut door, link) = (stream.publisher(), stream.publisher());
    thread::scope(|scope| {
        scope.spawn(move || {
            for event in events().into_iter().cycle().take(300) {
                door.notify(&event.into()).unwrap();
            }
        });
        for count in 1..=3 {
            link.publish_durably(&unpaired()).unwrap();
            let settled = slow.settled.lock().unwrap();
            assert!(settled.iter().filter(|occurrence| **occurrence == unpaired()).count() >= count);
        }
    });
    drop(stream);
    for found in [slow.settled.lock().unwrap().clone(), memory.occurrences()] {
        let links = found.iter().filter(|occurrence| **occurrence == unpaired()).count();
        assert_eq!((found.len(), links), (303, 3));
    }
}
