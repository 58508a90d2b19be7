//! The stages one after the other in virtual time: the capture times of the frames are the clock.
//!
//! Nothing waits and nothing is skipped, so the same frames always give the same run. Deadlines that fall between two
//! frames are kept at their own instants.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lintel_core::door::CameraFault;
use lintel_core::time::Uptime;

use super::keeper::Keeper;
use super::{CAPTURE, End, KEEPER, Outcome, StageError, Stages, VISION, hear, tell_flaw};
use crate::health::{CameraWatch, Report};
use crate::io::camera::{Captured, Picture};
use crate::io::clock::Stop;

/// Runs the stages until the camera ends, a stage fails or somebody asks to stop.
pub fn run(stages: Stages, stop: &Stop) -> Outcome {
    let Stages { mut camera, watch, mut analyzer, mut keeper } = stages;
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
                pass_time(&mut keeper, &mut now, visit.begins);
                keeper.on_visit(&visit, now);
                continue;
            }
            Ok(Ok(Captured::Trouble(trouble))) => {
                damaged += u64::from(trouble.fault == CameraFault::Corrupt);
                pass_time(&mut keeper, &mut now, trouble.at);
                if let Some(change) = hear(&mut watch, &trouble) {
                    tell_flaw(&mut keeper, change, now);
                }
                continue;
            }
            Ok(Ok(Captured::End)) => break End::Played,
            Ok(Err(e)) => break End::Failed(e.into()),
            Err(died) => break End::Failed(died),
        }
        captured += 1;
        pass_time(&mut keeper, &mut now, picture.captured);
        let seen = watch.observe(&picture);
        for change in seen.changes.into_iter().flatten() {
            tell_flaw(&mut keeper, change, now);
        }
        if seen.repeat {
            repeated += 1;
            continue;
        }
        let looked = picture.frame().map_err(StageError::from).and_then(|frame| {
            guarded(VISION, || analyzer.look(&frame)).and_then(|looked| looked.map_err(StageError::Analyzer))
        });
        match looked {
            Ok(sighting) => match guarded(KEEPER, || keeper.on_sighting(&sighting, now)) {
                Ok(()) => {}
                Err(died) => {
                    keeper.lock_after_panic(now);
                    break End::Failed(died);
                }
            },
            Err(e) => break End::Failed(e),
        }
    };
    match &end {
        End::Failed(e) => keeper.on_fault(e.fault(), now),
        End::Stopped => {}
        End::Played => {
            // Nobody comes any more; the door runs out its time.
            while !keeper.at_rest()
                && let Some(wake) = keeper.next_wake()
                && !stop.asked()
            {
                now = now.max(wake);
                keeper.on_tick(now);
            }
        }
    }
    keeper.stop(now);
    Outcome { end, report: Report { captured, repeated, damaged, ..keeper.report() } }
}

/// Time passes from `now` to `to`, with every deadline in between at its own instant.
fn pass_time(keeper: &mut Keeper, now: &mut Uptime, to: Uptime) {
    while let Some(wake) = keeper.next_wake()
        && wake < to
    {
        // A deadline that is already past is kept now.
        *now = (*now).max(wake);
        keeper.on_tick(*now);
        if keeper.next_wake() == Some(wake) {
            break;
        }
    }
    *now = (*now).max(to);
    keeper.on_tick(*now);
}

/// Runs a stage; its panic is an error with its name.
fn guarded<T>(stage: &'static str, run: impl FnOnce() -> T) -> Result<T, StageError> {
    // What the stage held is not used again after a panic, except to lock the door.
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| StageError::Died { stage })
}
