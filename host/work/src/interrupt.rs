//! Ctrl-C → a flag that long work reads between two steps.
//!
//! After the first Ctrl-C the command tidies up (no half output, a checkpoint where it has one) and exits with 130. A
//! second one, or SIGKILL, ends it at once; the next run clears what that left.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::failure::Failure;

static REQUESTS: AtomicU8 = AtomicU8::new(0);

/// Makes Ctrl-C (and SIGTERM, SIGHUP) raise the flag. Called once, by `main`.
///
/// # Errors
/// When the operating system refuses the handler, or when one is already set.
pub fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if REQUESTS.fetch_add(1, Ordering::SeqCst) >= 1 {
            std::process::exit(130);
        }
    })
}

/// Whether Ctrl-C has been pressed.
#[must_use]
pub fn requested() -> bool {
    REQUESTS.load(Ordering::SeqCst) > 0
}

/// Called between two steps: goes on, or stops with exit code 130.
///
/// # Errors
/// [`Failure::Interrupted`] once Ctrl-C has been pressed.
pub fn check() -> Result<(), Failure> {
    if requested() {
        return Err(Failure::Interrupted("interrupted; nothing was changed".into()));
    }
    Ok(())
}
