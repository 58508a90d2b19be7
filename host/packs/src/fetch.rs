//! Addresses → the files of a pack, over HTTPS. A broken download is resumed, and a file gets its name after its hash
//! was checked.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lintel_work::interrupt;
use ureq::tls::TlsConfig;

use super::copy::{partial, settle, sha256_of, unpack};
use super::error::{FetchError, StoreError};
use super::known::{KnownFile, KnownPack};
use super::store::Store;

/// Attempts in a row without progress before the error is reported.
const MAX_IDLE_ATTEMPTS: u32 = 3;
/// Pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(500);
/// A connection that gives nothing for this long counts as broken.
const SILENCE: Duration = Duration::from_secs(60);

/// Where files are fetched from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The addresses in `models/packs.toml`.
    #[default]
    Published,
    /// This address, a slash, and the last part of the published address. Hashes are checked, so plain http is allowed
    /// here.
    Mirror(String),
}

/// Fetches the missing files of the pack called `name`. `step` gets a file's name, the bytes done and the file's size.
///
/// # Errors
/// [`FetchError`]; what was fetched stays, and the next run continues from it.
pub fn fetch(
    store: &Store,
    name: &str,
    pack: &KnownPack,
    source: &Source,
    step: &mut dyn FnMut(&str, u64, u64),
) -> Result<Vec<String>, FetchError> {
    let (folder, _lock) = store.open(name)?;
    let mut brought = Vec::new();
    for (file, known) in &pack.files {
        if store.has(name, file, known) {
            continue;
        }
        let address = address(file, known, source)?;
        let target = folder.join(file);
        let mut step = |done| step(file, done, known.bytes_to_fetch());
        match &known.archive {
            None => download(&address, known.bytes, &known.sha256, &target, &mut step)?,
            Some(archive) => {
                // The archive may hold much more than is wanted; it is deleted once the file is extracted.
                let zip = folder.join(format!("{file}.zip"));
                download(&address, archive.bytes, &archive.sha256, &zip, &mut step)?;
                let unpacked = unpack(known, file, &zip, &target);
                fs::remove_file(&zip).map_err(StoreError::disk(&zip))?;
                unpacked?;
            }
        }
        brought.push(file.clone());
    }
    store.complete(name, pack)?;
    Ok(brought)
}

fn address(file: &str, known: &KnownFile, source: &Source) -> Result<String, FetchError> {
    let published = known.address.as_ref().ok_or_else(|| FetchError::NoAddress { file: file.to_owned() })?;
    Ok(match source {
        Source::Published => published.clone(),
        Source::Mirror(mirror) => {
            let last = published.rsplit('/').next().unwrap_or(file);
            format!("{}/{last}", mirror.trim_end_matches('/'))
        }
    })
}

/// The result of one attempt.
enum Attempt {
    /// All bytes are there.
    Whole,
    /// The connection broke, or the server was busy.
    Broken(String),
}

fn download(
    address: &str,
    bytes: u64,
    sha256: &str,
    target: &Path,
    step: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let partial = partial(target);
    let agent = agent();
    let mut idle = 0;
    loop {
        let before = length(&partial)?;
        match attempt(&agent, address, bytes, &partial, step)? {
            Attempt::Whole => break,
            Attempt::Broken(what) => {
                idle = if length(&partial)? > before { 0 } else { idle + 1 };
                if idle == MAX_IDLE_ATTEMPTS {
                    return Err(FetchError::Network { address: address.to_owned(), what });
                }
                std::thread::sleep(PAUSE);
            }
        }
        interrupted()?;
    }
    let got = sha256_of(&partial, &mut |_| {})?;
    if got != sha256 {
        fs::remove_file(&partial).map_err(StoreError::disk(&partial))?;
        let (got, wanted) = (format!("a file with SHA-256 {got}"), sha256.to_owned());
        return Err(FetchError::Other { address: address.to_owned(), got, wanted });
    }
    Ok(settle(&partial, target)?)
}

/// Continues where `partial` ends, or starts over where the server cannot continue.
fn attempt(
    agent: &ureq::Agent,
    address: &str,
    bytes: u64,
    partial: &Path,
    step: &mut dyn FnMut(u64),
) -> Result<Attempt, FetchError> {
    let disk = |error| StoreError::disk(partial)(error);
    let mut done = length(partial)?;
    if done > bytes {
        fs::remove_file(partial).map_err(disk)?;
        done = 0;
    }
    if done == bytes {
        return Ok(Attempt::Whole);
    }
    let mut request = agent.get(address).header("Accept-Encoding", "identity");
    if done > 0 {
        request = request.header("Range", format!("bytes={done}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => return Ok(Attempt::Broken(said(&error))),
    };
    let other = |got: String| FetchError::Other { address: address.to_owned(), got, wanted: format!("{bytes} bytes") };
    let mut file = File::options().create(true).truncate(false).write(true).open(partial).map_err(disk)?;
    match response.status().as_u16() {
        200 => done = 0,
        206 if starts_at(&response, done) => {}
        // The server sent another part, or none: start over next time.
        206 | 416 => {
            file.set_len(0).map_err(disk)?;
            return Ok(Attempt::Broken("the server cannot continue an interrupted download".into()));
        }
        status @ (408 | 429 | 500..=599) => return Ok(Attempt::Broken(format!("the server answers {status}"))),
        status => return Err(other(format!("status {status}"))),
    }
    file.set_len(done).map_err(disk)?;
    file.seek(SeekFrom::Start(done)).map_err(disk)?;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let mut broken = None;
    while broken.is_none() {
        match body.read(&mut buffer) {
            Ok(0) if done == bytes => break,
            Ok(0) => broken = Some(format!("the connection ended after {done} of {bytes} bytes")),
            Ok(n) if done + n as u64 > bytes => {
                drop(file);
                fs::remove_file(partial).map_err(disk)?;
                return Err(other(format!("more than {bytes} bytes")));
            }
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(disk)?;
                done += n as u64;
                step(done);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => broken = Some(error.to_string()),
        }
        interrupted()?;
    }
    Ok(broken.map_or(Attempt::Whole, Attempt::Broken))
}

/// Whether a 206 answers with the part that was asked for.
fn starts_at(response: &ureq::http::Response<ureq::Body>, done: u64) -> bool {
    let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok());
    start == Some(done) && done > 0
}

fn agent() -> ureq::Agent {
    // The program's one TLS provider, as for the link.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .user_agent(concat!("lintel/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(SILENCE))
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build()
        .into()
}

fn length(path: &Path) -> Result<u64, StoreError> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StoreError::disk(path)(error)),
    }
}

fn interrupted() -> Result<(), FetchError> {
    interrupt::check().map_err(|stop| FetchError::Interrupted(stop.to_string()))
}

/// The library's error in words for a user.
fn said(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "there is no such host, or no network".into(),
        ureq::Error::Io(error) => lintel_work::failure::reason(error),
        other => other.to_string(),
    }
}
