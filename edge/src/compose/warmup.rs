//! A bundle → models that open fast: whatever the inference provider builds once is built now, and it is said how far.
//!
//! TensorRT takes minutes for each model the first time, without a word. The engines are kept in the state folder, for
//! each model and GPU.

use std::fmt;
use std::io::Write;
use std::thread;
use std::time::Duration;

use lintel_formats::bundle::Role;
use lintel_inference::{Detector, Encoder, Provider, RuntimeError, Skipped};
use serde::Serialize;

use super::analyzer::inference;
use super::{RunError, RunOptions, bundle};
use crate::io::clock::Clock;

/// While a model is built, this often it is said for how long.
const TICK: Duration = Duration::from_secs(1);

/// A model that is warm.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Warm {
    /// Detector or encoder.
    pub model: &'static str,
    /// What computes.
    pub provider: String,
    /// Seconds that opening it took now.
    pub first_s: f64,
    /// Seconds that it takes from now on.
    pub again_s: f64,
    /// What should have computed, and why it does not.
    pub skipped: Vec<String>,
}

impl fmt::Display for Warm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, provider, first_s, again_s, skipped } = self;
        write!(f, "{model:<9} on {provider}: opened in {first_s:.1} s, from now on in {again_s:.1} s")?;
        skipped.iter().try_for_each(|reason| write!(f, "\n{:9} skipped {reason}", ""))
    }
}

/// Why a model is not warm.
#[derive(Debug, thiserror::Error)]
pub enum WarmupError {
    /// There is no bundle to warm up.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The model cannot be opened.
    #[error("{model}: {source}")]
    Model {
        /// Detector or encoder.
        model: &'static str,
        /// What ONNX Runtime said.
        source: RuntimeError,
    },
}

/// Opens both models as `run` would, twice. `progress` is told every second which one is being built, and for how long.
///
/// # Errors
/// Without a bundle, or when a model cannot be opened the way that the settings demand.
pub fn warmup(
    options: &RunOptions,
    clock: &Clock,
    progress: &mut (dyn Write + Send),
) -> Result<[Warm; 2], WarmupError> {
    let bundle = bundle::open(options)?;
    let settings = inference(options);
    let detector = warm("detector", clock, progress, || {
        let opened = Detector::open(&bundle.files[Role::Detector], &settings)?;
        Ok((opened.provider(), opened.skipped().to_vec()))
    })?;
    let encoder = warm("encoder", clock, progress, || {
        let opened = Encoder::open(&bundle.files[Role::Encoder], &settings)?;
        Ok((opened.provider(), opened.skipped().to_vec()))
    })?;
    Ok([detector, encoder])
}

type Opened = Result<(Provider, Vec<Skipped>), RuntimeError>;

fn warm(
    model: &'static str,
    clock: &Clock,
    progress: &mut (dyn Write + Send),
    open: impl Fn() -> Opened + Sync,
) -> Result<Warm, WarmupError> {
    let failed = |source| WarmupError::Model { model, source };
    let began = clock.now();
    let (provider, skipped) = thread::scope(|scope| {
        let opening = scope.spawn(&open);
        let mut told = Duration::ZERO;
        while !opening.is_finished() {
            thread::sleep(Duration::from_millis(50));
            let elapsed = clock.now().since(began);
            if elapsed >= told + TICK {
                told = elapsed;
                // A terminal that is gone must not stop an engine half built.
                let _ = write!(progress, "\r{model}: being built for {:.0} s ", elapsed.as_secs_f64());
                let _ = progress.flush();
            }
        }
        if !told.is_zero() {
            let _ = writeln!(progress);
        }
        opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .map_err(failed)?;
    let first = clock.now();
    open().map_err(failed)?;
    let seconds = |from, to: lintel_core::time::Uptime| to.since(from).as_secs_f64();
    Ok(Warm {
        model,
        provider: provider.to_string(),
        first_s: seconds(began, first),
        again_s: seconds(first, clock.now()),
        skipped: skipped.iter().map(|s| format!("{}: {}", s.provider, s.reason)).collect(),
    })
}
