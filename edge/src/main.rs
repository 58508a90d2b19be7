//! Command line → a run of the daemon or a check of it. Only wires.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use etcetera::BaseStrategy as _;
use etcetera::base_strategy::Xdg;
use lintel_core::time::Uptime;
use lintel_edge::audit_log;
use lintel_edge::check::{Extra, check};
use lintel_edge::compose::warmup::{WarmupError, warmup};
use lintel_edge::compose::{self, RunOptions, run};
use lintel_edge::config::{self, CameraKind, Config, ConfigError, DisplayKind, RelayKind, SecondsError, Size};
use lintel_edge::events::Subscriber;
use lintel_edge::events::json_lines::JsonLines;
use lintel_edge::events::narrator::Narrator;
use lintel_edge::io::clock::{Clock, Clocks, Stop, WallClock};
use lintel_edge::link::control::{self, Order, Reply};
use lintel_edge::pipeline::{End, Outcome};

const EXAMPLES: &str = "\
Examples:
  Play recordings through a bundle as fast as possible, and look at what the display said:
    lintel-edge run --bundle bundle --replay recordings --state state --events events --fast

  The same at the pace at which they were recorded, on a one-bit display:
    lintel-edge run --bundle bundle --replay recordings --state state --size 128x64

  The door itself, on a real camera, with the relay, wires and display of a file:
    lintel-edge run --camera first --config lintel-edge.toml

  Build TensorRT's engines once, where inference.providers begins with tensorrt:
    lintel-edge warmup --bundle bundle --config lintel-edge.toml

  Run again what was installed last:
    lintel-edge run --replay recordings --state state

  See whether bundle, models, camera, display and relay work here, and how fast; take a picture, click the relay:
    lintel-edge check --bundle bundle --camera first --picture door.png --click-relay

  Write a configuration file with every key and what it means:
    lintel-edge run --print-config > lintel-edge.toml

ONNX Runtime's library is looked for at --onnxruntime, in LINTEL_ONNXRUNTIME, beside the program, and in the cache that
`lintel` fills (`cache` in the state folder where the user has no home folder); --fetch-onnxruntime fetches it there
once, by package name, and checks its hash.

Exit codes: 0 done; 1 something failed while running; 2 what was given is not right; 130 stopped by Ctrl-C or SIGTERM
(a released strike is locked first; that is the only edge that a stop makes).";

/// The daemon at the door: looks, decides, releases the strike for the people it knows.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Say more on stderr; twice for everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Verb {
    /// Install a bundle if one is given, then watch the door.
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Walk through bundle, models, camera, display, wires and relay, and say what to fix. Moves nothing unasked.
    #[command(after_help = EXAMPLES)]
    Check(CheckArgs),
    /// Open the models once, so that TensorRT builds its engines now (minutes) and every start is fast.
    #[command(after_help = EXAMPLES)]
    Warmup(CommonArgs),
    /// Let a workstation be paired with the running daemon: shows a code, here and on the display, for ten minutes.
    ///
    /// On the workstation: `lintel device pair ADDRESS`, and type the code. Three wrong codes end it.
    Pair(ControlArgs),
    /// Make the running daemon forget every workstation and whose signatures count. People who are enrolled stay.
    Unpair(ControlArgs),
    /// Show the journal: who came when, what the relay did, who pushed what. People appear by number, never by name.
    Log(LogArgs),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Write every event to this file, for `lintel` to read.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Virtual time: the frames' own times are the clock, nothing waits, the same input gives the same run.
    #[arg(long)]
    fast: bool,
    /// For rigs with an emulated processor: recognise nobody, and take what is seen from this file.
    #[arg(long, value_name = "FILE", help_heading = "Rigs")]
    recorded_sightings: Option<PathBuf>,
    /// Print the configuration with every key and its meaning, and do nothing else.
    #[arg(long)]
    print_config: bool,
}

#[derive(Args)]
struct CheckArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Release the relay for half a second: it should click twice.
    #[arg(long)]
    click_relay: bool,
    /// Take a picture, and write it here with a box around every face (PNG).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

#[derive(Args)]
struct CommonArgs {
    /// The bundle to install (a folder that `lintel export` made); without it the installed one is used.
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Recordings to play instead of a camera, or folders of them; may be given several times.
    #[arg(long, value_name = "FILE_OR_DIR", num_args = 1..)]
    replay: Vec<PathBuf>,
    /// A real camera instead: its name in /dev/v4l/by-id or by-path, its card's name, a node, or "first".
    #[arg(long, value_name = "NAME", conflicts_with = "replay")]
    camera: Option<String>,
    /// Seconds between two recordings.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    gap: Option<f64>,
    /// Where the daemon keeps bundles, pictures of the display, its lock.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/lintel")]
    state: PathBuf,
    /// Settings that differ from the defaults (see `run --print-config`).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What shows the screens.
    #[arg(long, value_enum)]
    display: Option<DisplayKind>,
    /// The display's size.
    #[arg(long, value_enum)]
    size: Option<Size>,
    /// What moves the strike.
    #[arg(long, value_enum)]
    relay: Option<RelayKind>,
    /// ONNX Runtime's shared library.
    #[arg(long, value_name = "PATH")]
    onnxruntime: Option<PathBuf>,
    /// Fetch ONNX Runtime once if it is not found.
    #[arg(long)]
    fetch_onnxruntime: bool,
    /// JSON on stdout instead of text: one event a line and a report, or the checks.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ControlArgs {
    /// The daemon's state folder.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/lintel")]
    state: PathBuf,
    /// JSON on stdout instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct LogArgs {
    #[command(flatten)]
    of: ControlArgs,
    /// Only entries of so many hours ago or less, by the device's clock.
    #[arg(long, value_name = "HOURS")]
    since: Option<u32>,
    /// One line of comma-separated values an entry.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    let code = match cli.verb {
        Verb::Run(args) if args.print_config => print(config::DEFAULT),
        Verb::Run(args) => run_verb(args),
        Verb::Check(args) => check_verb(args),
        Verb::Warmup(args) => warmup_verb(args),
        Verb::Pair(args) => control_verb(&args, Order::Pair),
        Verb::Unpair(args) => control_verb(&args, Order::Unpair),
        Verb::Log(args) => log_verb(&args),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "lintel-edge", &mut io::stdout());
            0
        }
    };
    ExitCode::from(code)
}

fn run_verb(args: RunArgs) -> u8 {
    let json = args.common.json;
    let options = match options(args.common) {
        Ok(options) => {
            RunOptions { events: args.events, fast: args.fast, recorded: args.recorded_sightings, ..options }
        }
        Err(e) => return complain(&e.to_string(), 2),
    };
    let camera = &options.config.camera;
    if camera.kind == CameraKind::Replay && camera.recordings.is_empty() {
        return complain(
            "no recordings to play: give some with --replay FILE_OR_DIR, or a camera with --camera NAME",
            2,
        );
    }
    let clocks = Clocks { monotonic: clock(), wall: wall() };
    let stop = Stop::new();
    let asked = stop.clone();
    if let Err(e) = ctrlc::set_handler(move || asked.ask()) {
        return complain(&format!("signals cannot be handled: {e}"), 1);
    }
    let told: Box<dyn Subscriber> =
        if json { Box::new(JsonLines::new(io::stdout())) } else { Box::new(Narrator::new(io::stdout())) };
    let Outcome { end, report } = match run(&options, Some(told), &clocks, &stop) {
        Ok(outcome) => outcome,
        Err(e) => return complain(&e.to_string(), e.exit_code()),
    };
    let text = if json { serde_json::json!({ "report": report }).to_string() } else { format!("\n{report}") };
    print(&format!("{text}\n"));
    match &end {
        End::Failed(e) => complain(&e.to_string(), compose::exit_code(&end)),
        End::Played | End::Stopped => compose::exit_code(&end),
    }
}

fn check_verb(args: CheckArgs) -> u8 {
    let json = args.common.json;
    let extra = Extra { click_relay: args.click_relay, picture: args.picture };
    let options = match options(args.common) {
        Ok(options) => options,
        Err(e) => return complain(&e.to_string(), 2),
    };
    let checks = check(&options, &extra, &clock());
    if json {
        print(&format!("{}\n", serde_json::json!(checks)));
    } else {
        print(&checks.to_string());
    }
    u8::from(!checks.passed())
}

fn warmup_verb(args: CommonArgs) -> u8 {
    let json = args.json;
    let options = match options(args) {
        Ok(options) => options,
        Err(e) => return complain(&e.to_string(), 2),
    };
    match warmup(&options, &clock(), &mut io::stderr()) {
        Ok(warm) if json => print(&format!("{}\n", serde_json::json!({ "models": warm }))),
        Ok(warm) => print(&warm.map(|model| format!("{model}\n")).concat()),
        Err(WarmupError::Run(e)) => complain(&e.to_string(), e.exit_code()),
        Err(e @ WarmupError::Model { .. }) => complain(&e.to_string(), 1),
    }
}

fn control_verb(args: &ControlArgs, order: Order) -> u8 {
    let reply = match control::ask(&args.state, order) {
        Ok(Reply::Failed { why }) => return complain(&why, 1),
        Ok(reply) => reply,
        Err(e) => return complain(&e.to_string(), 2),
    };
    if args.json {
        return print(&format!("{}\n", serde_json::json!(reply)));
    }
    match reply {
        Reply::Pairing { code, seconds, fingerprint } => print(&format!(
            "pairing code: {code}\nit counts for {} minutes; on the workstation: lintel device pair ADDRESS\n\
             this device's fingerprint: {fingerprint}\n",
            seconds / 60
        )),
        Reply::Unpaired { workstations } => {
            print(&format!("forgotten: {workstations} workstations, and whom to trust\n"))
        }
        Reply::Log { .. } | Reply::Failed { .. } => complain("the daemon answered something else", 1),
    }
}

fn log_verb(args: &LogArgs) -> u8 {
    let rows = match control::audit_log(&args.of.state) {
        Ok(rows) => rows,
        Err(e) => return complain(&e.to_string(), 2),
    };
    let from = args.since.map_or(0, |hours| wall().now().saturating_sub(u64::from(hours) * 3600));
    let rows = rows.into_iter().filter(|row| row.clock >= from);
    if args.of.json {
        return print(&format!("{}\n", serde_json::json!(rows.collect::<Vec<_>>())));
    }
    let mut text = if args.csv { format!("{}\n", audit_log::COLUMNS.join(",")) } else { String::new() };
    for row in rows {
        text.push_str(&if args.csv { row.csv() } else { row.line() });
        text.push('\n');
    }
    print(&text)
}

/// What was given is not right.
#[derive(Debug, thiserror::Error)]
enum OptionsError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--gap: {0}")]
    Gap(#[from] SecondsError),
}

/// The configuration file, and over it what the command line says.
fn options(args: CommonArgs) -> Result<RunOptions, OptionsError> {
    let mut config = match &args.config {
        Some(path) => Config::from_file(path)?,
        None => Config::default(),
    };
    if !args.replay.is_empty() {
        (config.camera.kind, config.camera.recordings) = (CameraKind::Replay, args.replay);
    }
    if let Some(name) = args.camera {
        (config.camera.kind, config.camera.device) =
            (CameraKind::V4l2, if name == "first" { String::new() } else { name });
    }
    if let Some(gap) = args.gap {
        config.camera.gap_s = gap.try_into()?;
    }
    config.display.kind = args.display.unwrap_or(config.display.kind);
    config.display.size = args.size.unwrap_or(config.display.size);
    config.relay.kind = args.relay.unwrap_or(config.relay.kind);
    config.inference.onnxruntime = args.onnxruntime.unwrap_or(config.inference.onnxruntime);
    let CommonArgs { bundle, state, fetch_onnxruntime: fetch, .. } =
        CommonArgs { replay: Vec::new(), camera: None, onnxruntime: None, ..args };
    let cache = Xdg::new().map_or_else(|_| state.join("cache"), |user| user.cache_dir().join("lintel"));
    Ok(RunOptions { config, bundle, state, events: None, fast: false, cache: Some(cache), fetch, recorded: None })
}

/// The machine's wall clock, which may be wrong; what depends on it says so.
#[allow(clippy::disallowed_methods, reason = "main hands the clock to everybody else")]
fn wall() -> WallClock {
    WallClock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// The machine's monotonic clock; the only place in the daemon that reads it.
#[allow(clippy::disallowed_methods, reason = "main hands the clock to everybody else")]
fn clock() -> Clock {
    let start = Instant::now();
    Clock::new(move || {
        Uptime::ZERO + Duration::from_micros(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
    })
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).with_target(false).without_time().init();
}

fn print(text: &str) -> u8 {
    // A reader that has gone away (`| head`) is no error.
    let _ = io::stdout().write_all(text.as_bytes());
    0
}

fn complain(why: &str, code: u8) -> u8 {
    eprintln!("lintel-edge: {why}");
    code
}
