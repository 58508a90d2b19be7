//! A step of the recipe as a process of its own, which runs beside other steps.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

/// A running step. If it is dropped before its end, it is stopped.
pub struct Beside {
    name: &'static str,
    child: Child,
    said: PathBuf,
}

impl Beside {
    /// Starts `name` in `work`; its output goes to `NAME.said` there.
    pub fn start(name: &'static str, work: &Path, arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let said = work.join(name).with_extension("said");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--work").arg(work).arg(name).args(arguments).stdin(Stdio::null());
        command.stderr(File::create(&said).with_context(|| format!("creating {}", said.display()))?);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, said })
    }

    /// Whether it still runs or has ended.
    pub fn has_not_failed(&mut self) -> Result<()> {
        self.child.try_wait()?.map_or(Ok(()), |status| self.judge(status))
    }

    /// Waits for its end.
    pub fn end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        self.judge(status)
    }

    fn judge(&self, status: ExitStatus) -> Result<()> {
        ensure!(status.success(), "{} stopped ({status}); see {}", self.name, self.said.display());
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After its end both are errors.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
