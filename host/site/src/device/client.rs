//! One connection to a device: requests out, answers in.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use lintel_link::channel::{Channel, workstation_config};
use lintel_link::{ChannelError, Fingerprint, Identity};
use lintel_wire::link::{self, Answer, Hash, MAX_LOG_PAGE, Named, Refusal, Request, Status, Workstation};
use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;

use crate::Site;
use crate::devices::KnownDevice;

/// The default port.
pub const PORT: u16 = 7443;
/// Time limit for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Time limit for an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Why a request to a device failed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The address cannot be used.
    #[error("{address}: {why}")]
    Address {
        /// Host name or IP address of the device, with the port if one was given.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// The connection failed.
    #[error("{address}: {source}")]
    Channel {
        /// Host name or IP address of the device, with the port if one was given.
        address: String,
        /// The error.
        source: ChannelError,
    },
    /// The device refuses.
    #[error("the device refuses ({why}): {text}")]
    Refused {
        /// The reason, for programs.
        why: Refusal,
        /// The reason, for people.
        text: String,
    },
    /// The answer is of another kind than the request.
    #[error("the device's answer does not fit the request")]
    OtherAnswer,
    /// The answer is inconsistent.
    #[error("{0}")]
    Untrue(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Address { .. } => Self::input(error),
            DeviceError::Interrupted => Self::Interrupted("interrupted; the same command continues".to_owned()),
            _ => Self::work(error),
        }
    }
}

impl DeviceError {
    /// Whether another try may succeed: the network failed, and not the device. While a line is down, another machine
    /// on the path may answer in the device's place; its TLS is refused.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Channel { source, .. } => !matches!(source, ChannelError::OtherDevice | ChannelError::Message(_)),
            Self::Refused { why, .. } => *why == Refusal::Busy,
            _ => false,
        }
    }
}

/// Some entries of a device's audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// As the audit log stores them, oldest first.
    pub entries: Vec<Vec<u8>>,
    /// Sequence number of the first.
    pub first: u64,
    /// The chain's hash before the first entry.
    pub before: Hash,
    /// Sequence number of the newest entry.
    pub head: u64,
    /// The chain's hash at the newest entry.
    pub head_hash: Hash,
}

/// A connection to a device.
pub struct Client {
    channel: Channel,
    address: String,
}

/// Becomes true after this much time, or when Ctrl-C was pressed.
#[allow(clippy::disallowed_methods, reason = "a network is waited for in real time")]
fn overdue_after(patience: Duration) -> impl Fn() -> bool {
    let since = Instant::now();
    move || since.elapsed() > patience || interrupt::requested()
}

impl Client {
    /// Connects to a device: to the one with this certificate or, while pairing, to any device that answers.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn connect(address: &str, identity: &Identity, device: Option<Fingerprint>) -> Result<Self, DeviceError> {
        let overdue = overdue_after(CONNECT);
        let failed = |source: ChannelError| match interrupt::requested() {
            true => DeviceError::Interrupted,
            false => DeviceError::Channel { address: address.to_owned(), source },
        };
        let config = workstation_config(identity, device).map_err(failed)?;
        let socket = dial(address)?;
        let channel = Channel::connect(socket, config, &overdue).map_err(failed)?;
        let mut client = Self { channel, address: address.to_owned() };
        let hello = Request::Hello {
            oldest: *link::SPOKEN.start(),
            newest: *link::SPOKEN.end(),
            software: format!("lintel {}", env!("CARGO_PKG_VERSION")),
        };
        match client.ask(&hello)? {
            Answer::Hello { version, .. } if link::SPOKEN.contains(&version) => client.channel.speak(version),
            _ => return Err(DeviceError::OtherAnswer),
        }
        Ok(client)
    }

    /// Connects to a paired device.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn to(site: &Site, device: &KnownDevice) -> Result<Self, DeviceError> {
        Self::connect(&device.address, &site.identity, Some(device.fingerprint()))
    }

    /// The device's certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        self.channel.peer_certificate().to_vec()
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn ask(&mut self, request: &Request) -> Result<Answer, DeviceError> {
        self.ask_patiently(request, || {})
    }

    /// Like [`Client::ask`], for requests that may take long: `working` is called whenever the device says that it
    /// works.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn ask_patiently(&mut self, request: &Request, mut working: impl FnMut()) -> Result<Answer, DeviceError> {
        let address = self.address.clone();
        let failed = |source: ChannelError| match interrupt::requested() {
            true => DeviceError::Interrupted,
            false => DeviceError::Channel { address: address.clone(), source },
        };
        self.channel.send(request, &overdue_after(ANSWER)).map_err(failed)?;
        loop {
            match self.channel.receive::<Answer>(&overdue_after(ANSWER)).map_err(failed)? {
                Answer::Working => working(),
                Answer::Refused { why, text } => return Err(DeviceError::Refused { why, text }),
                answer => return Ok(answer),
            }
        }
    }

    /// The device's status.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn status(&mut self) -> Result<Status, DeviceError> {
        match self.ask(&Request::Status)? {
            Answer::Status(status) => Ok(status),
            _ => Err(DeviceError::OtherAnswer),
        }
    }

    /// Everybody who is enrolled there.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn people(&mut self) -> Result<Vec<Named>, DeviceError> {
        let mut people = Vec::new();
        loop {
            let from = u32::try_from(people.len()).map_err(|_| DeviceError::OtherAnswer)?;
            match self.ask(&Request::People { from })? {
                Answer::People { people: page, all } => {
                    let empty = page.is_empty();
                    people.extend(page);
                    if empty || people.len() >= all as usize {
                        return Ok(people);
                    }
                }
                _ => return Err(DeviceError::OtherAnswer),
            }
        }
    }

    /// One page of the audit log after a sequence number, and its head.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn log_page(&mut self, after: u64) -> Result<LogPage, DeviceError> {
        let most = u16::try_from(MAX_LOG_PAGE).unwrap_or(u16::MAX);
        match self.ask(&Request::Log { after, most })? {
            Answer::Log { entries, first, before, head, head_hash } => {
                Ok(LogPage { entries, first, before, head, head_hash })
            }
            _ => Err(DeviceError::OtherAnswer),
        }
    }

    /// The workstations that the device knows.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn workstations(&mut self) -> Result<Vec<Workstation>, DeviceError> {
        match self.ask(&Request::Workstations)? {
            Answer::Workstations(known) => Ok(known),
            _ => Err(DeviceError::OtherAnswer),
        }
    }
}

/// An address with a port.
#[must_use]
pub fn with_port(address: &str) -> String {
    let bare_v6 = address.matches(':').count() > 1 && !address.starts_with('[');
    if bare_v6 {
        return format!("[{address}]:{PORT}");
    }
    let has_port = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| (!host.starts_with('[') || host.ends_with(']')) && port.parse::<u16>().is_ok());
    if has_port { address.to_owned() } else { format!("{address}:{PORT}") }
}

fn dial(address: &str) -> Result<TcpStream, DeviceError> {
    let wrong = |why: String| DeviceError::Address { address: address.to_owned(), why };
    let with_port = with_port(address);
    let places = with_port.to_socket_addrs().map_err(|e| wrong(reason(&e)))?;
    let mut last = None;
    for place in places {
        match TcpStream::connect_timeout(&place, CONNECT) {
            Ok(socket) => return Ok(socket),
            Err(e) => last = Some(e),
        }
    }
    match last {
        Some(e) => Err(DeviceError::Channel { address: address.to_owned(), source: ChannelError::Network(e) }),
        None => Err(wrong("no such host".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_a_port() {
        let check = |address: &str, expected: &str| assert_eq!(with_port(address), expected);
        check("door", "door:7443");
        check("door:99", "door:99");
        check("10.0.0.7", "10.0.0.7:7443");
        check("fe80::1", "[fe80::1]:7443");
        check("[fe80::1]", "[fe80::1]:7443");
        check("[fe80::1]:99", "[fe80::1]:99");
    }
}
