//! A port → sessions, however many callers there are and whatever they don't say.
//!
//! A caller that has not finished its handshake holds one of few places, and the oldest of them gives way to the next:
//! a thousand silent connections cost a few threads, and nobody who speaks waits for them.

use std::collections::VecDeque;
use std::io::{ErrorKind, Result as IoResult};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lintel_link::ChannelError;
use lintel_link::channel::{Channel, device_config};
use lintel_wire::link::Refusal;
use rustls::ServerConfig;

use super::{Device, LinkError, lock, session};
use crate::events::LinkEvent;
use crate::io::clock::Stop;

/// Callers whose handshake is not finished.
const MOST_PENDING: usize = 16;
/// Callers whose handshake is, and whom the device knows.
const MOST_SESSIONS: usize = 8;
/// Likewise, whom it doesn't: anybody can make a certificate, and none of them may take a known one's place.
const MOST_STRANGERS: usize = 4;
/// A handshake takes at most so long.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often the port is looked at.
const TICK: Duration = Duration::from_millis(20);

/// The port and its thread.
pub struct Server {
    address: SocketAddr,
}

impl Server {
    /// Listens at `listen` until the stop is asked for.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn start(device: Arc<Device>, listen: &str, stop: &Stop) -> Result<Self, LinkError> {
        let failed = |source| LinkError::System { what: format!("network.listen = \"{listen}\""), source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let config = device_config(&device.identity).map_err(LinkError::Tls)?;
        let (stop, places) = (stop.clone(), Arc::new(Places::default()));
        let accept = move || {
            while !stop.asked() {
                match listener.accept() {
                    Ok((socket, _)) => places.admit(socket, &device, &config, &stop),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => thread::sleep(TICK),
                    Err(e) => {
                        // Too many open files, or a caller that is gone already: the next may do better.
                        tracing::debug!("link: {e}");
                        thread::sleep(TICK);
                    }
                }
            }
        };
        thread::Builder::new().name("link".to_owned()).spawn(accept).map_err(failed)?;
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Who is being served.
#[derive(Default)]
struct Places {
    /// Sockets whose handshake goes on, the oldest first, by number.
    pending: Mutex<VecDeque<(usize, TcpStream)>>,
    next: AtomicUsize,
    sessions: AtomicUsize,
    strangers: AtomicUsize,
}

impl Places {
    fn admit(self: &Arc<Self>, socket: TcpStream, device: &Arc<Device>, config: &Arc<ServerConfig>, stop: &Stop) {
        let Ok(number) = self.wait_in_line(&socket) else { return };
        let (places, device, config, stop) = (Arc::clone(self), Arc::clone(device), Arc::clone(config), stop.clone());
        let serve = move || {
            let overdue = device.overdue_after(HANDSHAKE);
            let channel = Channel::accept(socket, config, &|| overdue() || stop.asked());
            places.leave_line(number);
            match channel {
                Ok(channel) => places.serve(channel, &device, &stop),
                Err(ChannelError::Tls(e)) => {
                    tracing::debug!("link: no handshake: {e}");
                    device.note_stranger(None, Refusal::Handshake);
                }
                Err(e) => tracing::debug!("link: no handshake: {e}"),
            }
        };
        if thread::Builder::new().name("link-session".to_owned()).spawn(serve).is_err() {
            self.leave_line(number);
        }
    }

    fn wait_in_line(&self, socket: &TcpStream) -> IoResult<usize> {
        // Accepted from a listener that doesn't block; this one may.
        socket.set_nonblocking(false)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut pending = lock(&self.pending);
        while pending.len() >= MOST_PENDING {
            if let Some((_, oldest)) = pending.pop_front() {
                // It ends its thread too.
                let _ = oldest.shutdown(Shutdown::Both);
            }
        }
        pending.push_back((number, socket.try_clone()?));
        Ok(number)
    }

    fn leave_line(&self, number: usize) {
        lock(&self.pending).retain(|(waiting, _)| *waiting != number);
    }

    fn serve(&self, channel: Channel, device: &Device, stop: &Stop) {
        let known = device.knows(channel.peer());
        let (places, most) = if known { (&self.sessions, MOST_SESSIONS) } else { (&self.strangers, MOST_STRANGERS) };
        if places.fetch_add(1, Ordering::SeqCst) < most {
            session::serve(channel, device, stop);
        } else if known {
            device.note(LinkEvent::Refused { caller: Some(channel.peer()), why: Refusal::Busy });
        } else {
            device.note_stranger(Some(channel.peer()), Refusal::Busy);
        }
        places.fetch_sub(1, Ordering::SeqCst);
    }
}
