//! `lintel push`: show what changes, ask, send to many devices at once, a line for each.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::thread;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lintel_inference::Options;
use lintel_site::Site;
use lintel_site::device::Client;
use lintel_site::device::changes::Changes;
use lintel_site::device::parcel::{Content, Parcel};
use lintel_site::device::push::{self, ReceiptReport, Watcher};
use lintel_site::devices::KnownDevice;
use lintel_work::failure::Failure;
use serde_json::{Value, json};

use crate::cli::{PushArgs, SiteArgs};
use crate::commands::runtime::find;
use crate::commands::speaker::Console;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &PushArgs, runtime: &Options, console: &Console) -> Result<(), Failure> {
    let site = site_of(&args.site)?;
    let Some((what, names)) = args.words.split_last() else { return Err(Failure::input("nothing to push")) };
    let content = Content::open(what)?;
    let mut jobs = Vec::new();
    for name in names {
        let device = site.device(&name.to_string_lossy())?;
        if jobs.iter().any(|(known, _): &(KnownDevice, Result<Content, Failure>)| known.name == device.name) {
            return Err(Failure::input(format!("{} is named twice", device.name)));
        }
        jobs.push((device, Ok(content.clone())));
    }
    deliver(&site, jobs, (args.yes, args.retries), runtime, console)
}

/// The site that the command line names, or the usual one.
///
/// # Errors
/// [`Failure::Input`] where there is none.
pub fn site_of(args: &SiteArgs) -> Result<Site, Failure> {
    let dir = match &args.site {
        Some(dir) => dir.clone(),
        None => Site::usual()?,
    };
    Ok(Site::open(&dir)?)
}

/// Asks a person, unless that was answered with `--yes`.
///
/// # Errors
/// [`Failure::Input`] for no, and where nobody can be asked.
pub fn confirm(question: &str, yes: bool, console: &Console) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !console.talks() {
        return Err(Failure::input("nobody can be asked here; look at the changes, and give --yes"));
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Failure::work)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::input("nothing was changed")),
    }
}

/// Shows what changes at each device, asks once, and pushes to all at once.
///
/// # Errors
/// [`Failure`]; with exit code 1 where some devices run it and others don't.
pub fn deliver(
    site: &Site,
    jobs: Vec<(KnownDevice, Result<Content, Failure>)>,
    (yes, retries): (bool, u32),
    runtime: &Options,
    console: &Console,
) -> Result<(), Failure> {
    find(runtime)?;
    let (mut prepared, mut rows, mut unready) = (Vec::new(), Vec::new(), 0);
    for (device, content) in jobs {
        // A door that is off keeps nobody from being taken out at the others.
        match content.and_then(|content| prepare(site, &device, &content, runtime)) {
            Ok((parcel, changes)) => {
                console.say(format!("{}:", device.name));
                for line in changes.lines() {
                    console.say(format!("  {line}"));
                }
                if changes.is_empty() {
                    console.say("  nobody and nothing else changes");
                }
                prepared.push((device, parcel, changes));
            }
            Err(interrupted @ Failure::Interrupted(_)) => return Err(interrupted),
            Err(failure) => {
                unready += 1;
                console.say(format!("{}: {}", device.name, failure.line()));
                rows.push(json!({ "device": device.name, "error": failure.line() }));
            }
        }
    }
    if prepared.is_empty() {
        console.result(&rows);
        return Err(Failure::work(format!("none of {unready} devices can be pushed to")));
    }
    confirm(if prepared.len() == 1 { "push?" } else { "push to all?" }, yes, console)?;

    let bars = MultiProgress::new();
    let results: Mutex<Vec<(usize, Value)>> = Mutex::new(Vec::new());
    let failed = thread::scope(|scope| {
        let workers: Vec<_> = prepared
            .iter()
            .enumerate()
            .map(|(index, (device, parcel, changes))| {
                let bar = Bar::new(&device.name, &bars, console);
                let results = &results;
                scope.spawn(move || {
                    let removed: Vec<u32> = changes.removed.iter().map(|whom| whom.id).collect();
                    let done = push::push(site, device, (parcel, &removed), retries, &bar);
                    bar.clear();
                    let row = outcome(device, changes, &done, console);
                    results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, row));
                    done.err()
                })
            })
            .collect();
        let ends =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Some(Failure::work("a thread died"))));
        ends.flatten().collect::<Vec<Failure>>()
    });
    let mut done = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    rows.extend(done.into_iter().map(|(_, row)| row));
    console.result(&rows);
    let (count, all) = (failed.len() + unready, prepared.len() + unready);
    match failed.into_iter().find(|failure| matches!(failure, Failure::Interrupted(_))) {
        Some(interrupted) => Err(interrupted),
        None if count > 0 => Err(Failure::work(format!("{count} of {all} devices do not run it"))),
        None => Ok(()),
    }
}

/// What one device is to get, and what changes there.
fn prepare(
    site: &Site,
    device: &KnownDevice,
    content: &Content,
    runtime: &Options,
) -> Result<(Parcel, Changes), Failure> {
    let mut client = Client::to(site, device)?;
    let (status, people) = (client.status()?, client.people()?);
    let running = push::running(&status)?;
    let parcel = Parcel::make(content, &running, site, runtime)?;
    let changes = Changes::between((&status, &people), Some(&running), (&parcel.manifest, &parcel.table));
    Ok((parcel, changes))
}

fn outcome(device: &KnownDevice, changes: &Changes, done: &Result<ReceiptReport, Failure>, console: &Console) -> Value {
    match done {
        Ok(receipt) => {
            console.say(format!("{}: runs revision {}", device.name, receipt.revision));
            if !receipt.removed.is_empty() {
                console.say(format!(
                    "{}: signed that nothing is left of {} people (SITE/receipts)",
                    device.name,
                    receipt.removed.len()
                ));
            }
            json!({ "device": device.name, "changes": changes, "receipt": receipt })
        }
        Err(failure) => {
            console.say(format!("{}: {}", device.name, failure.line()));
            json!({ "device": device.name, "changes": changes, "error": failure.line() })
        }
    }
}

/// A device's progress.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(name: &str, bars: &MultiProgress, console: &Console) -> Self {
        if !console.talks() {
            return Self(None);
        }
        let style = ProgressStyle::with_template("{prefix:<24} {wide_bar} {bytes}/{total_bytes} {eta:>4} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        // Draws nothing where standard error is no terminal.
        Self(Some(bars.add(ProgressBar::new(0).with_style(style).with_prefix(name.to_owned()))))
    }

    fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for Bar {
    fn sent(&self, bytes: u64, of: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(of);
            bar.set_position(bytes);
        }
    }

    fn says(&self, words: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(words.to_owned());
        }
    }
}
