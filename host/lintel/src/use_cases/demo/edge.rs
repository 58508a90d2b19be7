//! The daemon as another process: found, started on recordings, stopped on Ctrl-C.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use rustix::process::{Pid, Signal, kill_process};

use super::steps::shown;

/// The daemon's program.
const PROGRAM: &str = "lintel-edge";
/// The file of events in the daemon's folder.
pub const EVENTS: &str = "events";
/// Long enough for the door to be locked and ready again when the next one comes, s.
const GAP: &str = "4";

/// One run of the daemon.
pub struct Call {
    /// Path of the daemon's executable.
    pub program: PathBuf,
    /// What to install.
    pub bundle: PathBuf,
    /// Recordings that the daemon replays, in this order.
    pub recordings: Vec<PathBuf>,
    /// Its folder.
    pub door: PathBuf,
    /// At the recordings' own pace.
    pub live: bool,
    /// What it prints goes to this program's stdout.
    pub prints: bool,
    /// The library that this program uses.
    pub onnxruntime: PathBuf,
}

/// The program that was named, or the one beside this program, or the one on the `PATH`.
///
/// # Errors
/// [`Failure::Input`] says how to get one.
pub fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return match path.is_file() {
            true => Ok(path.into()),
            false => Err(Failure::input(format!("--edge {} is no program", path.display()))),
        };
    }
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|folder| folder.join(PROGRAM)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(on_path).find(|program| program.is_file()).ok_or_else(|| {
        Failure::input(format!(
            "{PROGRAM} is neither beside lintel nor on the PATH; build it with `cargo build --release -p {PROGRAM}`, \
             or say where it is with --edge"
        ))
    })
}

impl Call {
    fn arguments(&self) -> Vec<PathBuf> {
        let mut arguments = vec!["run".into(), "--bundle".into(), self.bundle.clone(), "--replay".into()];
        arguments.extend(self.recordings.iter().cloned());
        arguments.extend(["--gap", GAP, "--display", "png", "--relay", "sim", "--state"].map(PathBuf::from));
        arguments.extend([self.door.clone(), "--events".into(), self.door.join(EVENTS)]);
        if !self.live {
            arguments.push("--fast".into());
        }
        arguments
    }

    /// As it is typed.
    pub fn line(&self) -> String {
        let arguments: Vec<String> = self.arguments().iter().map(|argument| shown(argument)).collect();
        format!("{PROGRAM} {}", arguments.join(" "))
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// [`Failure::Work`] when it fails, [`Failure::Interrupted`] after Ctrl-C.
    pub fn run(&self) -> Result<(), Failure> {
        // What an earlier run left would be mixed with this one's pictures and events.
        if self.door.exists() {
            std::fs::remove_dir_all(&self.door).map_err(|error| Failure::reading(&self.door, &error))?;
        }
        std::fs::create_dir_all(&self.door).map_err(|error| Failure::reading(&self.door, &error))?;
        let stdout = if self.prints { Stdio::inherit() } else { Stdio::null() };
        let child = Command::new(&self.program)
            .args(self.arguments())
            .arg("--onnxruntime")
            .arg(&self.onnxruntime)
            .stdin(Stdio::null())
            .stdout(stdout)
            .spawn()
            .map_err(|error| Failure::work(format!("{} does not start: {}", self.program.display(), reason(&error))))?;
        let status = wait(child)?;
        if interrupt::requested() {
            return interrupt::check();
        }
        if status.success() { Ok(()) } else { Err(Failure::work(format!("{PROGRAM} stopped with {status}"))) }
    }
}

/// Waits for the end, and asks for it once Ctrl-C was pressed: from a terminal the daemon gets that itself, from
/// `kill` only this program does.
fn wait(mut child: Child) -> Result<ExitStatus, Failure> {
    let failed = |error: std::io::Error| Failure::work(format!("{PROGRAM}: {}", reason(&error)));
    let mut asked = false;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if interrupt::requested() && !asked {
            asked = true;
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It may have ended just now, which is as good.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
