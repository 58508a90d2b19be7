//! A socket → messages over TLS 1.3, both ends shown by their certificates.
//!
//! Nothing here waits for ever: every wait ends when the caller's `overdue` says so, however slowly bytes drip in.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName,
    ServerConfig, ServerConnection, SignatureScheme,
};

use super::identity::{Fingerprint, Identity, MAX_CERTIFICATE_BYTES};
use lintel_wire::link::{self, Message, MessageError, PREFIX};

/// How often a wait looks whether it is overdue.
const TICK: Duration = Duration::from_millis(50);
/// The application protocol (ALPN), so that nothing else that speaks TLS is taken for Lintel.
const PROTOCOL: &[u8] = b"lintel";

/// Why nothing more can be said over a channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Network(#[from] io::Error),
    /// The other end closed the connection.
    #[error("the other end closed the connection")]
    Closed,
    /// It took too long.
    #[error("the other end took too long")]
    Overdue,
    /// TLS was not agreed on, or bytes were changed on the way.
    #[error("no secure connection: {0}")]
    Tls(rustls::Error),
    /// The device's certificate is another than the one it was paired with.
    #[error("this is not the device that was paired: its certificate is another")]
    OtherDevice,
    /// The message is none.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl From<rustls::Error> for ChannelError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => Self::OtherDevice,
            other => Self::Tls(other),
        }
    }
}

/// How a device speaks TLS: 1.3 only, every caller shows a certificate, nothing is resumed.
///
/// # Errors
/// When the identity is not one that TLS can use.
pub fn device_config(identity: &Identity) -> Result<Arc<ServerConfig>, ChannelError> {
    let provider = Arc::new(default_provider());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(AnyWorkstation { provider }))
        .with_single_cert(chain(identity), key(identity))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// How a workstation speaks TLS to a device: to that one only, or, while pairing, to whichever answers.
///
/// # Errors
/// When the identity is not one that TLS can use.
pub fn workstation_config(identity: &Identity, device: Option<Fingerprint>) -> Result<Arc<ClientConfig>, ChannelError> {
    let provider = Arc::new(default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { device, provider }))
        .with_client_auth_cert(chain(identity), key(identity))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from(identity.certificate().to_vec())]
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.pkcs8().to_vec()))
}

/// An encrypted connection with the other end's certificate known.
pub struct Channel {
    connection: Connection,
    socket: TcpStream,
    peer: Vec<u8>,
    version: u16,
}

impl Channel {
    /// The device's end of a connection that was just accepted; returns when the handshake is done.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn accept(
        socket: TcpStream,
        config: Arc<ServerConfig>,
        overdue: &dyn Fn() -> bool,
    ) -> Result<Self, ChannelError> {
        Self::shake(socket, ServerConnection::new(config)?.into(), overdue)
    }

    /// The workstation's end of a connection that was just made; returns when the handshake is done.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn connect(
        socket: TcpStream,
        config: Arc<ClientConfig>,
        overdue: &dyn Fn() -> bool,
    ) -> Result<Self, ChannelError> {
        let name = ServerName::try_from("lintel").expect("a valid name");
        Self::shake(socket, ClientConnection::new(config, name)?.into(), overdue)
    }

    fn shake(socket: TcpStream, mut connection: Connection, overdue: &dyn Fn() -> bool) -> Result<Self, ChannelError> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TICK))?;
        socket.set_write_timeout(Some(TICK))?;
        let mut socket = socket;
        while connection.is_handshaking() {
            flush(&mut connection, &mut socket, overdue)?;
            if connection.is_handshaking() {
                fill(&mut connection, &mut socket, overdue)?;
            }
        }
        flush(&mut connection, &mut socket, overdue)?;
        if connection.alpn_protocol() != Some(PROTOCOL) {
            return Err(ChannelError::Tls(rustls::Error::NoApplicationProtocol));
        }
        let peer = connection.peer_certificates().and_then(<[_]>::first).map(|der| der.to_vec());
        let peer = peer.ok_or(ChannelError::Tls(rustls::Error::NoCertificatesPresented))?;
        Ok(Self { connection, socket, peer, version: *link::SPOKEN.start() })
    }

    /// The other end's certificate, in DER.
    #[must_use]
    pub fn peer_certificate(&self) -> &[u8] {
        &self.peer
    }

    /// By what the other end is known.
    #[must_use]
    pub fn peer(&self) -> Fingerprint {
        Fingerprint::of(&self.peer)
    }

    /// From now on messages have this version.
    pub fn speak(&mut self, version: u16) {
        self.version = version;
    }

    /// Sends one message; returns when the operating system has all of it.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn send(&mut self, message: &impl Message, overdue: &dyn Fn() -> bool) -> Result<(), ChannelError> {
        let frame = link::to_frame(self.version, message)?;
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            let taken = self.connection.writer().write(rest)?;
            rest = &rest[taken..];
            flush(&mut self.connection, &mut self.socket, overdue)?;
        }
        Ok(())
    }

    /// Waits for one message.
    ///
    /// # Errors
    /// [`ChannelError`]; nothing can be received after one.
    pub fn receive<M: Message>(&mut self, overdue: &dyn Fn() -> bool) -> Result<M, ChannelError> {
        let mut prefix = [0; PREFIX];
        self.read_exact(&mut prefix, overdue)?;
        let mut body = vec![0; link::announced(prefix)?];
        self.read_exact(&mut body, overdue)?;
        Ok(link::from_body(self.version, &body)?)
    }

    /// Says that nothing more will come. The other end sees an orderly end, not a cut.
    pub fn close(mut self) {
        self.connection.send_close_notify();
        // The other end may be gone already.
        let _ = self.connection.write_tls(&mut self.socket);
    }

    fn read_exact(&mut self, buffer: &mut [u8], overdue: &dyn Fn() -> bool) -> Result<(), ChannelError> {
        let mut got = 0;
        while got < buffer.len() {
            match self.connection.reader().read(&mut buffer[got..]) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(more) => got += more,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    fill(&mut self.connection, &mut self.socket, overdue)?;
                    flush(&mut self.connection, &mut self.socket, overdue)?;
                }
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(ChannelError::Closed),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

/// Socket → TLS, once.
fn fill(connection: &mut Connection, socket: &mut TcpStream, overdue: &dyn Fn() -> bool) -> Result<(), ChannelError> {
    loop {
        if overdue() {
            return Err(ChannelError::Overdue);
        }
        match connection.read_tls(socket) {
            Ok(0) => return Err(ChannelError::Closed),
            Ok(_) => break,
            Err(e) if waits(&e) => {}
            Err(e) => return Err(e.into()),
        }
    }
    connection.process_new_packets().map(drop).map_err(|error| {
        // Tells the other end why, if it still listens.
        let _ = connection.write_tls(socket);
        error.into()
    })
}

/// TLS → socket, all there is.
fn flush(connection: &mut Connection, socket: &mut TcpStream, overdue: &dyn Fn() -> bool) -> Result<(), ChannelError> {
    while connection.wants_write() {
        match connection.write_tls(socket) {
            Ok(_) => {}
            Err(e) if waits(&e) => {
                if overdue() {
                    return Err(ChannelError::Overdue);
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Only the tick ran out.
fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// One certificate of a size that ours have.
fn plausible(certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
    if certificate.len() > MAX_CERTIFICATE_BYTES || !others.is_empty() {
        return Err(CertificateError::BadEncoding.into());
    }
    Ok(())
}

fn refuse_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
}

/// Takes the one device that is expected.
#[derive(Debug)]
struct Pinned {
    device: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        plausible(certificate, others)?;
        if self.device.is_some_and(|device| device != Fingerprint::of(certificate)) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Accepts every peer that proves to own its certificate. After the handshake, the fingerprint decides what the peer
/// may ask, so that a refusal can be answered and logged.
#[derive(Debug)]
struct AnyWorkstation {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyWorkstation {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        plausible(certificate, others)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        refuse_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

#[cfg(test)]
mod tests;
