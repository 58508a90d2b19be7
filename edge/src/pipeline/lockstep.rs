//! The stages one after the other in virtual time: the capture times of the frames are the clock.
//!
//! Nothing waits and nothing is skipped, so the same frames always give the same run. Deadlines that fall between two
//! frames are kept at their own instants.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lintel_core::camera_watch::CameraWatch;
use lintel_core::door::CameraFault;
use lintel_core::time::Uptime;

use super::{CAPTURE, DECISION, End, Outcome, StageError, Stages, VISION, hear};
use crate::health::Report;
use crate::io::camera::{Captured, Picture};
use crate::io::clock::Stop;

/// Runs the stages until the camera ends, a stage fails or somebody asks to stop.
pub fn run(stages: Stages, stop: &Stop) -> Outcome {
    let Stages { mut camera, watch, mut analyzer, mut tracker, mut executor } = stages;
    let mut watch = CameraWatch::new(watch);
    let mut picture = Picture::default();
    let (mut captured, mut repeated, mut damaged) = (0, 0, 0);
    let mut now = Uptime::ZERO;
    let end = loop {
        if stop.asked() {
            break End::Stopped;
        }
        match guarded(CAPTURE, || camera.capture(&mut picture)) {
            Ok(Ok(Captured::Picture)) => {}
            Ok(Ok(Captured::Idle)) => continue,
            Ok(Ok(Captured::Visit(visit))) => {
                now = now.max(visit.begins);
                executor.pass_time(now);
                executor.on_visit(&visit, now);
                continue;
            }
            Ok(Ok(Captured::Trouble(trouble))) => {
                damaged += u64::from(trouble.fault == CameraFault::Corrupt);
                now = now.max(trouble.at);
                executor.pass_time(now);
                if let Some(change) = hear(&mut watch, &trouble) {
                    executor.handle(change.input(), now);
                }
                continue;
            }
            Ok(Ok(Captured::End)) => break End::Played,
            Ok(Err(e)) => break End::Failed(e.into()),
            Err(died) => break End::Failed(died),
        }
        captured += 1;
        now = now.max(picture.captured);
        executor.pass_time(now);
        let frame = match picture.frame() {
            Ok(frame) => frame,
            Err(e) => break End::Failed(e.into()),
        };
        let seen = watch.observe(&frame);
        for change in seen.changes.into_iter().flatten() {
            executor.handle(change.input(), now);
        }
        if seen.repeat {
            repeated += 1;
            continue;
        }
        let looked = guarded(VISION, || analyzer.look(&frame, &mut tracker))
            .and_then(|looked| looked.map_err(StageError::Analyzer));
        match looked {
            Ok(sighting) => match guarded(DECISION, || executor.on_sighting(&sighting, now)) {
                Ok(()) => {}
                Err(died) => {
                    executor.lock_after_panic(now);
                    break End::Failed(died);
                }
            },
            Err(e) => break End::Failed(e),
        }
    };
    match &end {
        End::Failed(e) => executor.on_fault(e.fault(), now),
        End::Stopped => {}
        End::Played => {
            // Nobody comes any more; the door runs out its time.
            while !executor.at_rest()
                && let Some(wake) = executor.next_wake()
                && !stop.asked()
            {
                now = now.max(wake);
                executor.on_tick(now);
            }
        }
    }
    executor.stop(now);
    Outcome { end, report: Report { captured, repeated, damaged, ..executor.report() } }
}

/// Runs a stage; its panic is an error with its name.
fn guarded<T>(stage: &'static str, run: impl FnOnce() -> T) -> Result<T, StageError> {
    // What the stage held is not used again after a panic, except to lock the door.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| StageError::Died { stage })
}
