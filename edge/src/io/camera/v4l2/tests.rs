//! The camera over a fake driver with physics: it delivers at a rate, can be unplugged, fall silent and send damage.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::pixels::{Packing, Range};
use super::*;

/// What the driver does next.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    /// A frame of this grey, taken so many milliseconds ago.
    Frame(u8, u64),
    /// A frame that is cut short.
    Short,
    /// A frame that the driver itself calls damaged.
    Damaged,
    /// Nothing for the time that somebody waits.
    Silence,
    /// The cable is pulled.
    Unplug,
}

/// A machine into which one camera is plugged, or not.
#[derive(Default)]
struct Bench {
    script: Mutex<VecDeque<Step>>,
    plugged: Mutex<bool>,
    opened: AtomicU64,
    now: AtomicU64,
}

struct FakeDelivery(Arc<Bench>);

impl Delivery for FakeDelivery {
    fn describe(&self) -> &str {
        "a fake"
    }

    fn layout(&self) -> Layout {
        Layout { packing: Packing::Grey, width: 4, height: 2, stride: 4, range: Range::Full }
    }

    fn next(&mut self, patience: Duration, take: &mut dyn FnMut(Raw<'_>)) -> io::Result<bool> {
        let step = self.0.script.lock().unwrap().pop_front().unwrap_or(Step::Silence);
        let wait = |millis: u64| self.0.now.fetch_add(millis * 1000, Ordering::SeqCst);
        let raw = |bytes, age| Raw { bytes, damaged: false, age: Duration::from_millis(age) };
        match step {
            Step::Frame(grey, age) => {
                wait(33);
                let bytes: &[u8] = if grey == 7 { &[7; 8] } else { &[9; 8] };
                take(raw(bytes, age));
                Ok(true)
            }
            Step::Short => {
                wait(33);
                take(raw(&[9; 7], 0));
                Ok(true)
            }
            Step::Damaged => {
                wait(33);
                take(Raw { damaged: true, ..raw(&[9; 8], 0) });
                Ok(true)
            }
            Step::Silence => {
                wait(u64::try_from(patience.as_millis()).unwrap());
                Ok(false)
            }
            Step::Unplug => {
                *self.0.plugged.lock().unwrap() = false;
                Err(io::Error::from_raw_os_error(19))
            }
        }
    }
}

impl Machine for Arc<Bench> {
    fn open(&mut self) -> Result<Box<dyn Delivery>, OpenError> {
        if !*self.plugged.lock().unwrap() {
            return Err(FindError::Nothing.into());
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(FakeDelivery(Arc::clone(self))))
    }

    fn pause(&mut self, pause: Duration) {
        self.now.fetch_add(u64::try_from(pause.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

fn camera(machine: &Arc<Bench>) -> V4l2Camera {
    let settings = V4l2Settings {
        device: "door".to_owned(),
        wanted: Wanted { width: 4, height: 2, fps: 30 },
        silent_after: Duration::from_millis(1500),
    };
    let here = Arc::clone(machine);
    // Asking for the time takes a moment, so that waits end.
    let clock = Clock::new(move || Uptime::from_micros(here.now.fetch_add(1000, Ordering::SeqCst)));
    V4l2Camera::on(Box::new(Arc::clone(machine)), settings, clock)
}

fn machine(script: &[Step]) -> Arc<Bench> {
    let machine = Bench { script: Mutex::new(script.iter().copied().collect()), ..Bench::default() };
    *machine.plugged.lock().unwrap() = true;
    Arc::new(machine)
}

/// The next thing that the camera says, and after how many calls.
fn next(camera: &mut V4l2Camera, picture: &mut Picture) -> Captured {
    for _ in 0..1000 {
        match camera.capture(picture).unwrap() {
            Captured::Idle => {}
            said => return said,
        }
    }
    panic!("nothing in a thousand calls")
}

fn fault(said: &Captured) -> Option<(CameraFault, &str)> {
    if let Captured::Trouble(trouble) = said { Some((trouble.fault, &trouble.why)) } else { None }
}

#[test]
fn frames_become_pictures_with_the_time_at_which_they_were_taken() {
    let machine = machine(&[Step::Frame(7, 0), Step::Frame(9, 20), Step::Frame(9, 1_000_000)]);
    let (mut camera, mut picture) = (camera(&machine), Picture::default());
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    assert_eq!((picture.pixels.as_slice(), picture.width, picture.height), (&[7; 24][..], 4, 2));
    let (first, buffer) = (picture.captured, picture.pixels.as_ptr());
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    // 33 ms later, a millisecond for each look at the clock, and 20 ms in the driver's queue.
    assert!((13..20).contains(&picture.captured.since(first).as_millis()), "{:?}", picture.captured);
    assert_eq!(picture.pixels.as_ptr(), buffer, "the buffer is used again");
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    assert_eq!(picture.captured, Uptime::ZERO, "older than the daemon itself");
}

#[test]
fn a_camera_that_is_unplugged_is_gone_at_once_and_comes_back() {
    let machine = machine(&[Step::Frame(7, 0), Step::Unplug, Step::Frame(9, 0)]);
    let (mut camera, mut picture) = (camera(&machine), Picture::default());
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    let said = next(&mut camera, &mut picture);
    let (gone, why) = fault(&said).expect("a trouble");
    assert_eq!(gone, CameraFault::Gone);
    assert!(why.starts_with("door: No such device"), "{why}");
    // It is tried again and again, ever more slowly.
    for _ in 0..5 {
        assert_eq!(fault(&next(&mut camera, &mut picture)), Some((CameraFault::Gone, "door: no camera is plugged in")));
    }
    let before = machine.now.load(Ordering::SeqCst);
    next(&mut camera, &mut picture);
    let waited = machine.now.load(Ordering::SeqCst) - before;
    assert!((2_000_000..2_200_000).contains(&waited), "waited {waited} µs");
    *machine.plugged.lock().unwrap() = true;
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    assert_eq!(picture.pixels, [9; 24]);
    assert_eq!(machine.opened.load(Ordering::SeqCst), 2);
}

#[test]
fn silence_is_said_in_time_and_the_camera_is_opened_anew() {
    let machine = machine(&[Step::Frame(7, 0)]);
    let (mut camera, mut picture) = (camera(&machine), Picture::default());
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    let since = machine.now.load(Ordering::SeqCst);
    let said = next(&mut camera, &mut picture);
    let silent = machine.now.load(Ordering::SeqCst) - since;
    assert_eq!(fault(&said), Some((CameraFault::Frozen, "door: gives no frames any more")));
    assert!((1_500_000..1_800_000).contains(&silent), "said after {silent} µs");
    // It is opened at once, and again and again until it delivers.
    while machine.opened.load(Ordering::SeqCst) < 2 {
        camera.capture(&mut picture).unwrap();
    }
    assert!(machine.now.load(Ordering::SeqCst) - since < 2_000_000);
    while machine.opened.load(Ordering::SeqCst) < 3 {
        camera.capture(&mut picture).unwrap();
    }
    machine.script.lock().unwrap().push_back(Step::Frame(9, 0));
    while next(&mut camera, &mut picture) != Captured::Picture {}
}

#[test]
fn a_camera_that_falls_silent_because_it_is_gone_is_said_to_be_gone() {
    let machine = machine(&[Step::Frame(7, 0)]);
    let (mut camera, mut picture) = (camera(&machine), Picture::default());
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    *machine.plugged.lock().unwrap() = false;
    let since = machine.now.load(Ordering::SeqCst);
    let said = [next(&mut camera, &mut picture), next(&mut camera, &mut picture)];
    let faults = said.each_ref().map(|said| fault(said).map(|(fault, _)| fault));
    assert_eq!(faults, [Some(CameraFault::Frozen), Some(CameraFault::Gone)]);
    assert!(machine.now.load(Ordering::SeqCst) - since < 2_000_000);
}

#[test]
fn damage_is_said_and_the_next_frame_is_taken() {
    let machine = machine(&[Step::Short, Step::Damaged, Step::Frame(9, 0)]);
    let (mut camera, mut picture) = (camera(&machine), Picture::default());
    let expected = [
        (CameraFault::Corrupt, "door: 7 bytes, wanted at least 8"),
        (CameraFault::Corrupt, "door: the driver says that the frame is damaged"),
    ];
    for expected in expected {
        assert_eq!(fault(&next(&mut camera, &mut picture)), Some(expected));
    }
    assert_eq!(next(&mut camera, &mut picture), Captured::Picture);
    assert_eq!(machine.opened.load(Ordering::SeqCst), 1);
}
