//! `lintel`: one match on the verb.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use lintel::cli::{BenchAction, Cli, DeviceAction, DeviceArgs, TableAction, Verb, completions};
use lintel::console::push::plan_lines;
use lintel::console::{Console, device as told};
use lintel::use_cases::bench::{baselines, table1};
use lintel::use_cases::push::Plan;
use lintel::use_cases::{
    audit, compute, demo, device, evaluate, export, ingest, keys, packs, push, quantize, render, report, runtime,
    table, train,
};
use lintel_inference::Options;
use lintel_link::Fingerprint;
use lintel_link::pairing::Code;
use lintel_site::device::audit_log::Age;
use lintel_work::failure::Failure;
use lintel_work::interrupt;
use lintel_work::progress::{Event, Progress};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("lintel: {}", failure.line());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    interrupt::install().map_err(Failure::work)?;
    let console = Console::new(cli.everywhere.json);
    let hear = |event: Event<'_>| console.on_event(event);
    let progress = Progress::new(&hear);
    let options = cli.everywhere.runtime();
    rayon::ThreadPoolBuilder::new().num_threads(cli.everywhere.threads.into()).build_global().map_err(Failure::work)?;
    match &cli.verb {
        Verb::Render(args) => console.tell(&render::run(&args.request(), progress)?),
        Verb::Ingest(args) => {
            let pack = console.settle_limits(args.pack.choice())?;
            let request = ingest::Request { pack, ..args.request() };
            console.tell(&ingest::run(&request, &options, progress)?)
        }
        Verb::Train(args) => {
            let pack = console.settle_limits(args.pack.choice())?;
            let request = train::Request { pack, ..args.request()? };
            console.tell(&train::run(&request, &options, progress)?)
        }
        Verb::Table(args) => match &args.action {
            TableAction::Show(args) => console.tell(&table::show::run(&args.request())?),
            TableAction::Add(args) => {
                let pack = console.settle_limits(args.pack.choice())?;
                let request = table::add::Request { pack, ..args.request() };
                console.tell(&table::add::run(&request, &options, progress)?)
            }
            TableAction::Remove(args) => {
                let pack = console.settle_limits(args.pack.choice())?;
                let request = table::remove::Request { pack, ..args.request() };
                console.tell(&table::remove::run(&request, &options, progress)?)
            }
        },
        Verb::Audit(args) => {
            let pack = console.settle_limits(args.pack.choice())?;
            let request = audit::Request { pack, ..args.request() };
            console.tell(&audit::run(&request, &options, progress)?)
        }
        Verb::Export(args) => {
            let pack = console.settle_limits(args.pack.choice())?;
            let request = export::Request { pack, ..args.request() };
            console.tell(&export::run(&request, &options, progress)?)
        }
        Verb::Quantize(args) => console.tell(&quantize::run(&args.request(), &options, progress)?),
        Verb::Evaluate(args) => console.tell(&evaluate::run(&args.request(), &options, progress)?),
        Verb::Bench(args) => match &args.action {
            BenchAction::Baselines(args) => {
                let mut request = args.request();
                request.subjects.pack = console.settle_limits(request.subjects.pack)?;
                console.tell(&baselines::run(&request, &options, progress)?)
            }
            BenchAction::Table1(args) => {
                let mut request = args.request();
                request.subjects.pack = console.settle_limits(request.subjects.pack)?;
                console.tell(&table1::run(&request, &options, progress)?)
            }
        },
        Verb::Report(args) => console.tell(&report::run(&args.request())?),
        Verb::Demo(args) => {
            let pack = console.settle_limits(args.pack.choice())?;
            let request = demo::Request { pack, ..args.request(!cli.everywhere.json) };
            console.tell(&demo::run(&request, &options, progress, &|event| console.on_demo(event))?)
        }
        Verb::Keys(args) => console.tell(&keys::run(&args.request())?),
        Verb::Device(args) => at_devices(args, &options, &console, progress),
        Verb::Push(args) => {
            let plan = push::plan(&args.request(), &options, progress)?;
            deliver(plan, args.yes, &console, progress)
        }
        Verb::Packs(args) => {
            let request = console.settle_packs(args.request(cli.everywhere.offline))?;
            console.tell(&packs::run(&request, &options, progress)?)
        }
        Verb::Runtime(_) => console.tell(&runtime::run(&options)?),
        Verb::Completions(args) => completions::run(args),
        Verb::TryDevice(args) => compute::run(args.compute()),
    }
}

/// What the devices at doors are asked.
fn at_devices(args: &DeviceArgs, options: &Options, console: &Console, progress: Progress<'_>) -> Result<(), Failure> {
    let site = &args.site.site;
    match &args.action {
        DeviceAction::Find { seconds } => console.tell(&told::Announced(&device::find_devices(*seconds)?)),
        DeviceAction::Pair { address, code, name, workstation } => {
            let code = code.as_deref().map(str::parse::<Code>).transpose().map_err(Failure::input)?;
            let request =
                device::PairRequest { address: address.clone(), name: name.clone(), workstation: workstation.clone() };
            let ask = |fingerprint| code.map_or_else(|| console.ask_code(fingerprint), Ok);
            console.tell(&told::Paired(&device::pair_device(site, &request, ask)?))
        }
        DeviceAction::List => console.tell(&told::Known(&device::known(site)?)),
        DeviceAction::Status { devices } => console.tell(&told::Statuses(&device::status(site, devices, progress)?)),
        DeviceAction::People { device } => console.tell(&told::People(&device::people(site, device)?)),
        DeviceAction::Log { device, since, csv } => {
            let since = since.as_deref().map(str::parse::<Age>).transpose().map_err(Failure::input)?;
            let mut rows = told::LogRows::new(console, *csv);
            let log = device::log(site, device, since, &mut |row| rows.row(row))?;
            rows.head();
            console.tell(&told::Exported(&log))
        }
        DeviceAction::Rollback { device, yes } => {
            let plan = device::plan_rollback(site, device)?;
            console.line(&told::rollback_line(&plan));
            console.confirm("go back?", *yes)?;
            console.tell(&told::RolledBack(&device::roll_back(&plan)?))
        }
        DeviceAction::Revoke { devices, person, yes } => {
            let plan = device::plan_revocation(site, devices, person, options, progress)?;
            deliver(plan, *yes, console, progress)
        }
        DeviceAction::Workstations { device, forget: None } => {
            console.tell(&told::Workstations(&device::workstations(site, device)?))
        }
        DeviceAction::Workstations { device, forget: Some(workstation) } => {
            let workstation: Fingerprint = workstation.parse().map_err(Failure::input)?;
            device::forget_workstation(site, device, workstation)?;
            console.tell(&told::ForgottenWorkstation { device, workstation })
        }
        DeviceAction::Forget { device } => {
            device::forget(site, device)?;
            console.tell(&told::ForgottenDevice(device))
        }
    }
}

/// Shows what changes at each device, asks once, and pushes to all at once.
fn deliver(plan: Plan, yes: bool, console: &Console, progress: Progress<'_>) -> Result<(), Failure> {
    plan_lines(&plan).iter().for_each(|line| console.line(line));
    match plan.devices().filter(|(_, made)| made.is_ok()).count() {
        0 => {}
        1 => console.confirm("push?", yes)?,
        _ => console.confirm("push to all?", yes)?,
    }
    console.tell(&push::carry_out(plan, progress))
}

/// `--help` and `--version` go to stdout as they are; a slip of the fingers gets one line.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.render().to_string();
    // The first paragraph says what is wrong; the rest is the usage that `--help` shows better.
    let what: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let what = what.join(" ");
    eprintln!("lintel: {}; `lintel --help` and `lintel VERB --help` show how", what.trim_start_matches("error: "));
    ExitCode::from(2)
}
