//! How much network load delays a door: time to verdict in the same visits, without load and under load.
//!
//! Rounds take turns, so that other work on the machine affects both: visits without load, then visits with a thousand
//! silent connections that are made again and again, a caller that sends byte by byte, and pushes one after another.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser;
use lintel_edge::compose::{RunOptions, run};
use lintel_edge::config::{CameraKind, Config, DisplayKind};
use lintel_edge::events::memory::Memory;
use lintel_edge::io::clock::{Clocks, Stop, WallClock};
use lintel_edge::link::control::{self, Order, Reply};
use lintel_formats::bundle::Role;
use lintel_inference::Options;
use lintel_site::Site;
use lintel_site::device::parcel::{Content, Parcel};
use lintel_site::device::push;
use lintel_site::device::{Client, pair};
use lintel_tests::recordings::recording;
use lintel_tests::rigs::link::clock;
use lintel_tests::story::{Visit, Who};
use lintel_tests::world::World;
use lintel_wire::event::{EventKind, Verdict};
use lintel_work::progress::Progress;

/// Time to verdict at a door, without and with network load.
#[derive(Parser)]
struct Args {
    /// Where the trained bundle is kept
    #[arg(long, default_value = "target/tmp")]
    cache: PathBuf,
    /// Visits in each round
    #[arg(long, default_value_t = 10)]
    visits: u32,
    /// Rounds of each kind, in turns
    #[arg(long, default_value_t = 2)]
    rounds: u32,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let world = World::open(&args.cache)?;
    let visits = (0..args.visits)
        .map(|index| {
            let visit = Visit { seed: u64::from(index / 6), ..Visit::of(vec![Who::Enrolled(1 + index % 6)], 3.0) };
            recording(&visit, &world.kept())
        })
        .collect::<Result<Vec<_>>>()?;
    let (mut alone, mut loaded) = (Vec::new(), Vec::new());
    let (mut connections, mut pushes) = (0, 0);
    for _ in 0..args.rounds {
        alone.extend(round(&world, &visits, false)?.0);
        let (times, made, pushed) = round(&world, &visits, true)?;
        loaded.extend(times);
        connections += made;
        pushes += pushed;
    }
    for (what, times) in [("alone", &mut alone), ("under load", &mut loaded)] {
        times.sort_unstable();
        println!("{what}: {} verdicts, p50 {} ms, p95 {} ms", times.len(), at(times, 0.5), at(times, 0.95));
    }
    let ratio = at(&loaded, 0.95) as f64 / at(&alone, 0.95) as f64;
    println!("p95 under load is {ratio:.2} x p95 alone; {connections} connections, {pushes} pushes meanwhile");
    Ok(())
}

fn at(sorted: &[u128], share: f64) -> u128 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// One run of the daemon over all visits; times from the first sharp frame to the verdict, in ms.
fn round(world: &World, visits: &[PathBuf], loaded: bool) -> Result<(Vec<u128>, u64, u64)> {
    let state = tempfile::tempdir()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut config = Config::default();
    config.camera.kind = CameraKind::Replay;
    config.camera.recordings = visits.to_vec();
    config.camera.gap_s = 1.5_f64.try_into()?;
    config.display.kind = DisplayKind::None;
    config.network.listen = address.to_string();
    config.network.announce = false;
    let options = RunOptions {
        config,
        bundle: Some(world.bundle()),
        state: state.path().join("state"),
        events: None,
        fast: false,
        cache: lintel_work::places::cache(),
        fetch: true,
        recorded: None,
    };
    let (memory, stop) = (Memory::default(), Stop::new());
    let clocks = Clocks { monotonic: clock(), wall: WallClock::new(lintel_site::now) };
    let over = Arc::new(AtomicBool::new(false));
    let (made, pushed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let load = loaded.then(|| {
        let (over, made, pushed) = (Arc::clone(&over), Arc::clone(&made), Arc::clone(&pushed));
        let (bundle, state) = (world.bundle(), options.state.clone());
        thread::spawn(move || load_network(address, &bundle, &state, &over, (&made, &pushed)))
    });
    let outcome = run(&options, Some(Box::new(memory.clone())), &clocks, &stop)?;
    over.store(true, Ordering::SeqCst);
    if let Some(load) = load {
        load.join().map_err(|_| anyhow!("the load generator panicked"))??;
    }
    drop(outcome);
    let times = memory.events().into_iter().filter_map(|event| match event.kind {
        EventKind::Decision(decision) if matches!(decision.verdict, Verdict::Known(_)) => {
            Some(decision.decided.since(decision.first_sharp).as_millis())
        }
        _ => None,
    });
    Ok((times.collect(), made.load(Ordering::SeqCst), pushed.load(Ordering::SeqCst)))
}

fn load_network(
    address: SocketAddr,
    bundle: &Path,
    state: &Path,
    over: &AtomicBool,
    (made, pushed): (&AtomicU64, &AtomicU64),
) -> Result<()> {
    let code = (0..200)
        .find_map(|_| {
            thread::sleep(Duration::from_millis(50));
            match control::ask(state, Order::Pair) {
                Ok(Reply::Pairing { code, .. }) => Some(code),
                _ => None,
            }
        })
        .context("the daemon gives no code")?;
    let workstation = tempfile::tempdir()?;
    let site = Site::create(&workstation.path().join("site"))?;
    site.make_keys(1, 1)?;
    let code = code.parse()?;
    let device = pair::pair(&site, &address.to_string(), "door", "workstation", |_| Ok(code))?;
    let content = Content::open(bundle)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            // A thousand connections that send nothing. Closed ones are made again.
            let mut silent: Vec<TcpStream> = Vec::new();
            while !over.load(Ordering::SeqCst) {
                if silent.len() >= 1000 {
                    silent.drain(..100);
                }
                if let Ok(socket) = TcpStream::connect(address) {
                    made.fetch_add(1, Ordering::SeqCst);
                    silent.push(socket);
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                // The beginning of a handshake, byte by byte.
                let Ok(mut socket) = TcpStream::connect(address) else { continue };
                for byte in [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3] {
                    let _ = socket.write_all(&[byte]);
                    thread::sleep(Duration::from_millis(100));
                }
            }
        });
        let mut revision = 1;
        while !over.load(Ordering::SeqCst) {
            revision += 1;
            if one_push(&site, &device, &content, revision).is_ok() {
                pushed.fetch_add(1, Ordering::SeqCst);
            }
            thread::sleep(Duration::from_secs(2));
        }
    });
    Ok(())
}

fn one_push(site: &Site, device: &lintel_site::devices::KnownDevice, content: &Content, revision: u64) -> Result<()> {
    let Content::Bundle(bundle) = content else { return Err(anyhow!("a bundle")) };
    let mut parts = bundle.table.clone().into_parts();
    parts.revision = revision;
    let table = lintel_core::table::Table::new(parts)?;
    let content = Content::Table { table, encoder: Some(bundle.files[Role::Encoder].to_vec()) };
    let running = push::running(&Client::to(site, device)?.status()?)?;
    let parcel = Parcel::make(&content, &running, site, &Options { threads: 1, ..lintel_work::places::runtime() })?;
    push::push(site, device, &parcel, &[], 5, Progress::ignored())?;
    Ok(())
}
