//! A body of bytes → a sealed file (magic, version, length, body, SHA-256), and back, refusing every change.
//!
//! ```text
//! magic [8] │ version u16 LE │ body length u64 LE │ body │ SHA-256 of all that stands before it [32]
//! ```
//!
//! The hash finds damage, not forgery: an attacker who can write the file can write the hash. Signatures are elsewhere.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

/// What makes a sealed file longer than its body, in bytes.
pub const OVERHEAD: usize = HEADER + TRAILER;
const HEADER: usize = 8 + 2 + 8;
const TRAILER: usize = 32;

/// Why bytes are not a sealed file of the wanted kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Fewer bytes than header and trailer need.
    #[error("file has {got} bytes, at least {wanted} are needed")]
    TooShort {
        /// Bytes that are there.
        got: usize,
        /// Bytes of an empty file of this kind.
        wanted: usize,
    },
    /// More bytes than this kind of file may have.
    #[error("file has {got} bytes, at most {wanted} are allowed")]
    TooLong {
        /// Bytes that are there, or that the header announces.
        got: u64,
        /// The limit.
        wanted: u64,
    },
    /// Another kind of file.
    #[error("file begins with {got:02x?}, wanted {wanted:02x?}")]
    Magic {
        /// The first eight bytes.
        got: [u8; 8],
        /// The mark of this kind of file.
        wanted: [u8; 8],
    },
    /// Written by a newer (or much older) program.
    #[error("file has version {got}, this program reads version {wanted}")]
    Version {
        /// The version in the file.
        got: u16,
        /// The version that is understood.
        wanted: u16,
    },
    /// Cut off, or something was appended.
    #[error("file has {got} bytes, its header announces {wanted}")]
    Length {
        /// Bytes that are there.
        got: u64,
        /// Bytes that header, body and trailer should have.
        wanted: u64,
    },
    /// Bytes were changed.
    #[error("file is damaged: its SHA-256 does not match its content")]
    Hash,
}

/// Body → sealed file.
#[must_use]
pub fn seal(magic: [u8; 8], version: u16, body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(OVERHEAD + body.len());
    file.extend_from_slice(&magic);
    file.extend_from_slice(&version.to_le_bytes());
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(body);
    let hash = Sha256::digest(&file);
    file.extend_from_slice(&hash);
    file
}

/// The version that a file says it has, whatever else is wrong with it; `None` where it ends before.
#[must_use]
pub fn version(file: &[u8]) -> Option<u16> {
    let (version, _) = file.get(8..)?.split_first_chunk::<2>()?;
    Some(u16::from_le_bytes(*version))
}

/// Sealed file → body (borrowed); nothing is allocated.
///
/// # Errors
/// The first thing that is wrong, in the order of the file's layout: length limit, magic, version, length, hash.
pub fn open(magic: [u8; 8], version: u16, max_len: usize, file: &[u8]) -> Result<&[u8], EnvelopeError> {
    if file.len() > max_len {
        return Err(EnvelopeError::TooLong { got: file.len() as u64, wanted: max_len as u64 });
    }
    let too_short = EnvelopeError::TooShort { got: file.len(), wanted: OVERHEAD };
    let (got, rest) = file.split_first_chunk::<8>().ok_or(too_short)?;
    if *got != magic {
        return Err(EnvelopeError::Magic { got: *got, wanted: magic });
    }
    let (got, rest) = rest.split_first_chunk::<2>().ok_or(too_short)?;
    let got = u16::from_le_bytes(*got);
    if got != version {
        return Err(EnvelopeError::Version { got, wanted: version });
    }
    let (announced, rest) = rest.split_first_chunk::<8>().ok_or(too_short)?;
    let announced = u64::from_le_bytes(*announced);
    let (body, hash) = rest.split_last_chunk::<TRAILER>().ok_or(too_short)?;
    if announced != body.len() as u64 {
        let wanted = announced.saturating_add(OVERHEAD as u64);
        return Err(EnvelopeError::Length { got: file.len() as u64, wanted });
    }
    let sealed = file.len() - TRAILER;
    if Sha256::digest(&file[..sealed])[..] != hash[..] {
        return Err(EnvelopeError::Hash);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const MAGIC: [u8; 8] = *b"a kind!\n";

    fn reopen(file: &[u8]) -> Result<&[u8], EnvelopeError> {
        open(MAGIC, 3, 1000, file)
    }

    #[test]
    fn body_comes_back() {
        let check = |body: &[u8]| assert_eq!(reopen(&seal(MAGIC, 3, body)), Ok(body));
        check(b"");
        check(b"x");
        check(&[7; 1000 - OVERHEAD]);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let file = seal(MAGIC, 3, b"some body");
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(reopen(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_found() {
        let file = seal(MAGIC, 3, b"some body");
        for len in 0..file.len() {
            assert!(reopen(&file[..len]).is_err(), "cut at {len}");
        }
        let mut longer = file.clone();
        longer.push(0);
        let wanted = file.len() as u64;
        assert_eq!(reopen(&longer), Err(EnvelopeError::Length { got: wanted + 1, wanted }));
    }

    #[test]
    fn says_what_is_wrong() {
        let check = |file: &[u8], expected: EnvelopeError| assert_eq!(reopen(file), Err(expected));
        check(b"", EnvelopeError::TooShort { got: 0, wanted: 50 });
        check(b"PNG\r\n...", EnvelopeError::Magic { got: *b"PNG\r\n...", wanted: MAGIC });
        check(&seal(MAGIC, 4, b""), EnvelopeError::Version { got: 4, wanted: 3 });
        check(&vec![0; 1001], EnvelopeError::TooLong { got: 1001, wanted: 1000 });
        let mut huge = seal(MAGIC, 3, b"");
        huge[10..18].fill(0xff);
        check(&huge, EnvelopeError::Length { got: 50, wanted: u64::MAX });
    }
}
