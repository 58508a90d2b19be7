//! A story → what the aarch64 daemon that ships does, in a virtual machine with virtual devices.
//!
//! The camera is a V4L2 loopback that is fed with the recordings, the relay is line 5 of the machine's PL061, read from
//! outside by QEMU's monitor, the display is its framebuffer. Time is real. The machine's processor is emulated and
//! takes seven seconds for a picture, so what is seen in the recordings is computed here and told to the daemon; that
//! models run in there too is for `lintel-edge check` to show.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use lintel_core::quality::QualityLimits;
use lintel_core::table::PersonId;
use lintel_edge::pipeline::recorded;
use lintel_inference::{FaceAnalyzer, LoadedBundle};
use serde::Deserialize;

use crate::recordings::recording;
use crate::story::{Observed, ObservedFault, ObservedRelease, Story, Visit};
use crate::world::{self, World};

/// Seconds of an empty room after the last visit.
const REST_S: f32 = 8.0;

/// The files that the machine is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The folder that `rigs/vm/prepare` filled.
    pub machine: PathBuf,
    /// The aarch64 daemon.
    pub daemon: PathBuf,
    /// The aarch64 example `feed`.
    pub feed: PathBuf,
    /// ONNX Runtime's library for aarch64.
    pub library: PathBuf,
}

/// One line of output of `rigs/vm/machine`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Told {
    at: f64,
    line: Option<String>,
    relay: Option<bool>,
}

/// The reason why this rig cannot play a story; `None` if it can.
#[must_use]
pub fn cannot(story: &Story) -> Option<&'static str> {
    if story.expect.error.is_some() {
        return Some("a damaged recording ends a replay; a camera that sends one damaged frame goes on");
    }
    None
}

/// Plays a story; `work` is an empty folder.
///
/// # Errors
/// If the machine does not start, or the rig fails.
pub fn play(story: &Story, world: &World, parts: &Parts, work: &Path) -> Result<Observed> {
    let (share, out) = (work.join("share"), work.join("out"));
    write_share(story, world, parts, &share)?;
    let machine = rig("machine");
    let run = Command::new("python3")
        .arg(&machine)
        .args([&share, &out])
        .arg("--folder")
        .arg(&parts.machine)
        .args(story.clock.unset.then_some("--unset-clock"))
        .args(story.power.map(|power| format!("--cut-after={}", power.cut_after_s)))
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| machine.display().to_string())?;
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    fs::write(work.join("told"), &told)?;
    if !run.status.success() {
        bail!("the machine ended with {}: {}", run.status, told.lines().rev().take(5).collect::<Vec<_>>().join("\n"));
    }
    let told = told.lines().map(serde_json::from_str).collect::<Result<Vec<Told>, _>>().context("rigs/vm/machine")?;
    let number = |name: &str| (1..=world::ENROLLED).find(|number| world::name(*number) == name);
    let table = LoadedBundle::load(&world.bundle())?.table;
    let people: Vec<_> = table.people().iter().filter_map(|person| Some((person.id, number(&person.name)?))).collect();
    Ok(observe(&told, &people))
}

/// The path of one of this rig's scripts.
fn rig(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rigs/vm").join(name)
}

fn write_share(story: &Story, world: &World, parts: &Parts, share: &Path) -> Result<()> {
    let visits = share.join("visits");
    fs::create_dir_all(&visits)?;
    for (from, to) in [
        (parts.daemon.clone(), "lintel-edge"),
        (parts.feed.clone(), "feed"),
        (parts.library.clone(), "libonnxruntime.so"),
        (rig("guest"), "guest"),
    ] {
        fs::copy(&from, share.join(to)).with_context(|| from.display().to_string())?;
    }
    super::bundle(story, world, &share.join("bundle"))?;
    let keep = |visit: &Visit, name: &str| -> Result<String> {
        let path = recording(visit, &world.kept())?;
        for extension in ["mjpeg", "toml"] {
            fs::copy(path.with_extension(extension), visits.join(name).with_extension(extension))?;
        }
        Ok(format!("{name}.mjpeg"))
    };
    let room = |seconds: f32, seed: u64| Visit { seed, ..Visit::of(Vec::new(), seconds) };
    let mut names = vec![keep(&room(2.0, 7), "room")?];
    // A new part begins after the camera is unplugged or the power is cut.
    let mut parts: Vec<Vec<String>> = vec![names.clone()];
    for (index, visit) in story.visits.iter().enumerate() {
        if index > 0 {
            let name = keep(&room(story.gap_s as f32, 11 + index as u64), &format!("gap-{index}"))?;
            let ends = story.visits[index - 1].unplugged_from_s.is_some() || (index == 1 && story.power.is_some());
            if ends {
                parts.push(Vec::new());
            }
            parts.last_mut().expect("there is one").push(name.clone());
            names.push(name);
        }
        let name = keep(visit, &format!("visit-{}", index + 1))?;
        parts.last_mut().expect("there is one").push(name.clone());
        names.push(name);
    }
    let name = keep(&room(REST_S, 5), "rest")?;
    parts.last_mut().expect("there is one").push(name.clone());
    names.push(name);
    let files = names.iter().map(|name| visits.join(name)).collect::<Vec<_>>();
    record(&share.join("bundle"), &files, &share.join("sightings"))?;
    let display = if story.display.missing { "/dev/fb9" } else { "/dev/fb0" };
    let feedback = if story.relay.welds_after.is_some() { FEEDBACK } else { "" };
    fs::write(share.join("door.toml"), CONFIG.replace("SCREEN", display).replace("FEEDBACK", feedback))?;
    let (steps, after) = steps(story, &parts);
    if let Some(after) = after {
        fs::write(share.join("steps-after"), after)?;
    }
    Ok(fs::write(share.join("steps"), steps)?)
}

/// The steps for the machine, and the steps after a power cut.
fn steps(story: &Story, parts: &[Vec<String>]) -> (String, Option<String>) {
    let plug_in = |part: &[String]| format!("camera {}\n", part.join(" "));
    let door = "door --recorded-sightings /share/sightings\n";
    let end = "fed\nsay look end\nstop\n";
    if let (Some(_), [before, after @ ..]) = (story.power, parts) {
        let lasting = "state=/out/state\n";
        let after: Vec<String> = after.concat();
        return (
            format!("{lasting}{}{door}go\nsleep 100\n", plug_in(before)),
            Some(format!("{lasting}{}{door}go\n{end}", plug_in(&after))),
        );
    }
    let mut steps = String::new();
    if let Some(edges) = story.relay.welds_after {
        steps += &format!("contact {edges}\n");
    }
    if story.disk.full {
        steps += "disk 60m\n";
    }
    for (index, part) in parts.iter().enumerate() {
        steps += &plug_in(part);
        if index == 0 {
            steps += door;
            steps += if story.disk.full { "fill\ngo\n" } else { "go\n" };
        } else {
            steps += "go\n";
        }
        let pulled = story.visits.iter().enumerate().find_map(|(visit, it)| {
            let name = format!("visit-{}.mjpeg", visit + 1);
            Some((it.unplugged_from_s?, it.seconds, part.last() == Some(&name), name)).filter(|found| found.2)
        });
        if let Some((from, seconds, _, name)) = pulled {
            steps += &format!("after {name} {from}\nunplug\nsleep {}\n", seconds - from);
        }
    }
    (steps + end, None)
}

/// The daemon's configuration. Pictures may be older than on a board, because the emulated processor decodes slowly.
const CONFIG: &str = r#"
[camera]
kind = "v4l2"
device = "door"
fps = 10
[pipeline]
max_frame_age_ms = 1000
stage_timeout_s = 30
[relay]
kind = "gpio"
line = "gpiochip0:5"
FEEDBACK
[inputs]
exit_button = "EXIT_BUTTON"
door_contact = "DOOR_CONTACT"
pull = "as-is"
[display]
kind = "framebuffer"
device = "SCREEN"
"#;

/// The relay's feedback contact, for stories that weld it.
const FEEDBACK: &str = r#"
feedback = "STRIKE_CONTACT"
feedback_released = "high"
"#;

/// Analyses the recordings here: the emulated processor takes seven seconds for a picture.
fn record(bundle: &Path, recordings: &[PathBuf], path: &Path) -> Result<()> {
    let mut vision = FaceAnalyzer::open(bundle, &lintel_work::places::runtime(), QualityLimits::default())?;
    let mut out = BufWriter::new(File::create(path)?);
    recorded::record(&mut vision, recordings, &mut out)?;
    Ok(out.flush()?)
}

/// The console shows visits and the daemon's events; QEMU's monitor shows the relay.
fn observe(told: &[Told], people: &[(PersonId, u32)]) -> Observed {
    let mut observed = Observed::default();
    let (mut visit, mut began, mut known, mut released) = (0, 0.0, 0, 0.0);
    for Told { at, line, relay } in told {
        match relay {
            Some(true) => {
                released = *at;
                observed.releases.push(ObservedRelease { visit, person: known, at_s: at - began, for_s: None });
            }
            Some(false) => {
                // The relay's state is also reported when the machine starts.
                if let Some(release) = observed.releases.last_mut() {
                    release.for_s.get_or_insert(at - released);
                }
            }
            None => {}
        }
        let Some(line) = line else { continue };
        if let Some(number) = line.strip_prefix("feed visit-").and_then(|rest| rest.strip_suffix(".mjpeg")) {
            (visit, began) = (number.parse().unwrap_or(0), *at);
        }
        if let Some(code) = line.strip_prefix("vm: daemon ended with ") {
            // 130: it was asked to stop, and stopped in order.
            observed.error = (code != "130").then(|| format!("exit code {code}"));
        }
        let Some((_, event)) = line.split_once(" s  ") else { continue };
        let (kind, words) = event.split_at(event.len().min(11));
        match kind.trim() {
            "verdict" => {
                let found = people.iter().find(|(id, _)| Some(*id) == person(words));
                known = found.map_or(0, |(_, number)| *number);
            }
            // The monitor's report of the relay and the console's report of the person come in any order. A release
            // that has ended is an earlier one.
            "strike" if words == "released" => {
                if let Some(release) = observed.releases.last_mut().filter(|release| release.for_s.is_none()) {
                    release.person = known;
                }
            }
            "fault" => observed.faults.push(ObservedFault { words: words.to_owned(), visit, at_s: at - began }),
            "display" => observed.screens.push(words.to_owned()),
            _ => {}
        }
    }
    observed
}

/// `person 3, 1.2s after …` → the number that the table has for somebody.
fn person(words: &str) -> Option<PersonId> {
    words.strip_prefix("person ")?.split(',').next()?.parse().ok().map(PersonId)
}
