//! Recordings → a loopback camera (`v4l2loopback`), at the pace at which they were taken. For rigs without a camera:
//!
//! ```sh
//! modprobe v4l2loopback card_label=door exclusive_caps=1
//! cargo run --release -p lintel-edge --example feed -- /dev/video0 640 480 go room.mjpeg visit.mjpeg …
//! ```
//!
//! The first recording is played again and again until the file `go` is there, then the others, once. Says `feed NAME`
//! when each begins and `feed ends` after the last, and goes on with the last frame of it being the newest there is, as
//! a camera that hangs does, until it is killed.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lintel_formats::recording::{About, Part, split};
use v4l::video::Output as _;
use v4l::{Device, Format, FourCC};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [device, width, height, go, first, recordings @ ..] = arguments.as_slice() else {
        return Err("wanted DEVICE WIDTH HEIGHT GO FIRST.mjpeg RECORDING.mjpeg …".into());
    };
    let mut device = Device::with_path(device)?;
    device.set_format(&Format::new(width.parse()?, height.parse()?, FourCC::new(b"MJPG")))?;
    println!("feed {first}");
    while !Path::new(go).exists() {
        feed(&mut device, first, Some(go))?;
    }
    for recording in recordings {
        println!("feed {recording}");
        feed(&mut device, recording, None)?;
    }
    println!("feed ends");
    loop {
        std::thread::park();
    }
}

/// One recording, frame by frame, damaged ones as they are; or until a file appears.
#[allow(clippy::disallowed_methods, reason = "a feeder keeps real time")]
fn feed(device: &mut Device, recording: &str, until: Option<&String>) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(recording)?;
    let about: About = toml::from_str(&std::fs::read_to_string(Path::new(recording).with_extension("toml"))?)?;
    let every = Duration::from_secs_f64(1.0 / about.fps);
    let began = Instant::now();
    for (index, Part { range, .. }) in (1..).zip(split(&bytes).ok_or("too many frames")?) {
        if until.is_some_and(|file| Path::new(file).exists()) {
            break;
        }
        device.write_all(&bytes[range])?;
        std::thread::sleep((every * index).saturating_sub(began.elapsed()));
    }
    Ok(())
}
