//! A key and its self-signed certificate ⇄ a file; the fingerprint by which the other end knows them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;
use webpki::aws_lc_rs::ED25519;

use lintel_formats::envelope::{self, EnvelopeError};

const MAGIC: [u8; 8] = *b"LNTLIDNT";
const VERSION: u16 = 1;
/// Largest identity file, in bytes.
pub const MAX_FILE_BYTES: usize = 16 << 10;
/// Largest certificate that a peer may show, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 4 << 10;

/// SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(FingerprintError);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(FingerprintError);
            let value = digit(pair[0])? << 4 | digit(pair[1])?;
            *byte = u8::try_from(value).map_err(|_| FingerprintError)?;
        }
        Ok(Self(bytes))
    }
}

/// Why an identity could not be made or read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key or its certificate could not be made.
    #[error("no key could be made: {0}")]
    Make(String),
    /// Not an identity file, cut off or damaged.
    #[error("identity {0}")]
    File(#[from] EnvelopeError),
    /// The content is not a key with its certificate.
    #[error("identity file holds no Ed25519 key with a certificate")]
    Body,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    certificate: Vec<u8>,
    /// PKCS#8.
    key: Vec<u8>,
}

/// An Ed25519 key and its self-signed certificate.
pub struct Identity {
    certificate: Vec<u8>,
    pkcs8: Vec<u8>,
    key: Ed25519KeyPair,
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint()).finish()
    }
}

impl Identity {
    /// A new one. The certificate says nothing about anybody: its subject is `lintel`.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, IdentityError> {
        let failed = |e: rcgen::Error| IdentityError::Make(e.to_string());
        let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
        let params = CertificateParams::new(vec!["lintel".to_owned()]).map_err(failed)?;
        let certificate = params.self_signed(&pair).map_err(failed)?.der().to_vec();
        Self::of(Stored { certificate, key: pair.serialize_der() })
    }

    fn of(stored: Stored) -> Result<Self, IdentityError> {
        let key = Ed25519KeyPair::from_pkcs8(&stored.key).map_err(|_| IdentityError::Body)?;
        let pair = KeyPair::try_from(stored.key.as_slice()).map_err(|_| IdentityError::Body)?;
        // The certificate must be this key's.
        let own = pair.subject_public_key_info();
        let fits = EndEntityCert::try_from(&CertificateDer::from(stored.certificate.as_slice()))
            .is_ok_and(|certificate| *certificate.subject_public_key_info() == *own);
        if !fits || stored.certificate.len() > MAX_CERTIFICATE_BYTES {
            return Err(IdentityError::Body);
        }
        Ok(Self { certificate: stored.certificate, pkcs8: stored.key, key })
    }

    /// The file's content; it holds the key, so that nobody but its owner may read the file.
    ///
    /// # Panics
    /// Never: the content is plain data.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored { certificate: self.certificate.clone(), key: self.pkcs8.clone() };
        envelope::seal(MAGIC, VERSION, &postcard::to_allocvec(&stored).expect("plain data"))
    }

    /// Reads what [`Self::to_bytes`] made.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        let body = envelope::open(MAGIC, VERSION, MAX_FILE_BYTES, bytes)?;
        match postcard::take_from_bytes::<Stored>(body) {
            Ok((stored, [])) => Self::of(stored),
            _ => Err(IdentityError::Body),
        }
    }

    /// The certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The key, as PKCS#8 in DER.
    #[must_use]
    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// By what the other end knows this one.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// An Ed25519 signature, 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).as_ref().to_vec()
    }
}

/// Whether the owner of a certificate signed the message.
#[must_use]
pub fn signed_by(certificate: &[u8], message: &[u8], signature: &[u8]) -> bool {
    EndEntityCert::try_from(&CertificateDer::from(certificate))
        .is_ok_and(|certificate| certificate.verify_signature(ED25519, message, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_file() {
        let identity = Identity::generate().expect("a key");
        let again = Identity::from_bytes(&identity.to_bytes()).expect("the same");
        assert_eq!(identity.fingerprint(), again.fingerprint());
        let signature = again.sign(b"words");
        assert!(signed_by(identity.certificate(), b"words", &signature));
        assert!(!signed_by(identity.certificate(), b"other", &signature));
        let other = Identity::generate().expect("a key");
        assert!(!signed_by(other.certificate(), b"words", &signature));
        assert!(!signed_by(&identity.certificate()[1..], b"words", &signature));
        assert!(!signed_by(&[], b"words", &signature));
        assert_ne!(identity.fingerprint(), other.fingerprint());
    }

    #[test]
    fn damage_is_refused() {
        let identity = Identity::generate().expect("a key");
        let bytes = identity.to_bytes();
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Identity::from_bytes(&damaged).is_err(), "byte {at}");
        }
        // A key with another's certificate, sealed correctly.
        let other = Identity::generate().expect("a key");
        let mixed = Stored { certificate: other.certificate.clone(), key: identity.pkcs8.clone() };
        let sealed = envelope::seal(MAGIC, VERSION, &postcard::to_allocvec(&mixed).expect("plain data"));
        assert_eq!(Identity::from_bytes(&sealed).err(), Some(IdentityError::Body));
    }

    #[test]
    fn no_key_is_shown() {
        let identity = Identity::generate().expect("a key");
        assert_eq!(format!("{identity:?}"), format!("Identity({})", identity.fingerprint()));
    }

    #[test]
    fn fingerprints_are_read_back() {
        let print = Fingerprint::of(b"x");
        assert_eq!(print.to_string().parse(), Ok(print));
        assert_eq!("ab".parse::<Fingerprint>(), Err(FingerprintError));
        assert_eq!("g".repeat(64).parse::<Fingerprint>(), Err(FingerprintError));
        assert_eq!("é".repeat(32).parse::<Fingerprint>(), Err(FingerprintError));
    }
}
