//! A step → its learning rate; a run's state → files from which it continues.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::optim::ModuleOptimizer;
use burn::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};

/// Linear warm-up, then a cosine to zero.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps of warm-up.
    pub warmup: usize,
    /// Length of the training, in steps.
    pub steps: usize,
}

impl Schedule {
    /// The rate of step 0, 1, ….
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let done = (step - self.warmup) as f64 / (self.steps - self.warmup).max(1) as f64;
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
    }
}

/// The files of a run's state: `NAME.step` is written last, and only then do the others count.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    name: &'static str,
}

impl Checkpoint {
    /// In `folder`, which exists.
    pub fn new(folder: &Path, name: &'static str) -> Self {
        Self { folder: folder.to_path_buf(), name }
    }

    /// The saved parts.
    pub fn name(&self) -> &str {
        self.name
    }

    fn file(&self, part: &str) -> PathBuf {
        self.folder.join(format!("{}.{part}.bpk", self.name))
    }

    fn marker(&self) -> PathBuf {
        self.folder.join(format!("{}.step", self.name))
    }

    /// Steps done by the saved run; 0 if there is none.
    pub fn step(&self) -> usize {
        let text = fs::read_to_string(self.marker()).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Starts over.
    pub fn forget(&self) -> Result<()> {
        fs::write(self.marker(), "0").context("saving the step")
    }

    /// Saves one module and its optimiser under `part`.
    pub fn save<M: Module>(&self, part: &str, module: &M, optimizer: &ModuleOptimizer) -> Result<()> {
        module.clone().save_file(self.file(part)).context("saving weights")?;
        optimizer.save(self.file(&format!("{part}-optimizer"))).context("saving the optimiser")?;
        Ok(())
    }

    /// Marks the saved files as the state after `step` steps.
    pub fn commit(&self, step: usize) -> Result<()> {
        fs::write(self.marker(), step.to_string()).context("saving the step")
    }

    /// Loads the files of `save`.
    pub fn load<M: Module>(&self, part: &str, module: M, optimizer: ModuleOptimizer) -> Result<(M, ModuleOptimizer)> {
        let module = self.weights(part, module)?;
        let optimizer = optimizer.load(self.file(&format!("{part}-optimizer"))).context("loading the optimiser")?;
        Ok((module, optimizer))
    }

    /// Loads the module only.
    pub fn weights<M: Module>(&self, part: &str, module: M) -> Result<M> {
        let file = self.file(part);
        module.try_load_file(&file).with_context(|| format!("loading {}", file.display()))
    }
}

/// A progress bar with a message.
pub fn bar(length: usize, done: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {elapsed} (left {eta}) {msg}")
        .expect("the template is well-formed");
    ProgressBar::new(length as u64).with_position(done as u64).with_style(style).with_prefix(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_peaks_and_vanishes() {
        let schedule = Schedule { peak: 1.0, warmup: 10, steps: 110 };
        for (step, wanted) in [(0, 0.1), (9, 1.0), (10, 1.0), (60, 0.5), (110, 0.0)] {
            assert!((schedule.rate(step) - wanted).abs() < 1e-9, "{step}");
        }
    }
}
