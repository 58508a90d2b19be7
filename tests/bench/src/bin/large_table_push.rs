//! A table for many people: pushed, verified, switched; how long each part takes, and the peak memory of this process.

use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Parser;
use lintel_core::table::{Person, PersonId, Table};
use lintel_formats::bundle::Role;
use lintel_site::device::parcel::Content;
use lintel_site::device::push;
use lintel_tests::rigs::link::{TestDevice, TestWorkstation};
use lintel_tests::world::World;
use lintel_work::progress::Progress;

/// A push of a table for many people, workstation and device in one process.
#[derive(Parser)]
struct Args {
    /// Where the trained bundle is kept
    #[arg(long, default_value = "target/tmp")]
    cache: std::path::PathBuf,
    /// People in the table
    #[arg(long, default_value_t = 10_000)]
    people: u32,
}

#[allow(clippy::disallowed_methods, reason = "it is what is measured")]
fn main() -> Result<()> {
    let args = Args::parse();
    let world = World::open(&args.cache)?;
    let rig = TestDevice::new(&world.bundle())?;
    let workstation = TestWorkstation::new()?;
    let device = workstation.paired(&rig)?;
    let Content::Bundle(bundle) = Content::open(&world.bundle())? else { return Err(anyhow!("a bundle")) };
    let encoder = bundle.files[Role::Encoder].to_vec();
    let mut parts = bundle.table.into_parts();
    parts.revision = 2;
    parts.calibration = None;
    let mut random = 1_u64;
    for id in u32::try_from(parts.people.len())?..args.people {
        parts.people.push(Person { id: PersonId(id), name: format!("Person {id}") });
        let mut row: Vec<f32> = (0..parts.dim)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
            })
            .collect();
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= length);
        parts.classes.extend(row);
        parts.intra_class_similarity.push(1.0);
    }
    let table = Table::new(parts)?;
    let bytes = lintel_formats::table::to_bytes(&table).len();
    let content = Content::Table { table, encoder: Some(encoder) };
    let begin = Instant::now();
    let status = workstation.client(&device)?.status()?;
    let parcel = workstation.parcel(&content, &status)?;
    let made = begin.elapsed();
    push::push(&workstation.site, &device, &parcel, &[], 0, Progress::ignored())?;
    let pushed = begin.elapsed() - made;
    let memory = std::fs::read_to_string("/proc/self/status")?;
    let peak = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!(
        "{} people, {:.1} MB: parcel with its proof {} ms; sent, verified, proved, switched {} ms; peak memory {}",
        args.people,
        bytes as f64 / 1e6,
        made.as_millis(),
        pushed.as_millis(),
        peak.trim_start_matches("VmHWM:").trim()
    );
    Ok(())
}
