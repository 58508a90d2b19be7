//! A code that a person reads from the device's display → two ends that know each other's certificates.
//!
//! SPAKE2 turns the short code into a strong key without showing anything that could be searched offline, and binds it
//! to both certificates: who sits in the middle has other certificates, and each of the few tries that the device
//! allows is one guess. Each end then proves that it has the key by an HMAC over its own role.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use spake2::{Ed25519Group, Identity as Role, Password, Spake2};

use super::identity::Fingerprint;

/// Digits of a code.
pub const DIGITS: usize = 6;
/// Wrong codes after which a device leaves pairing mode. Of a million codes that is a chance of 3 in a million.
pub const TRIES: u32 = 3;

/// What the display shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; DIGITS]);

impl Code {
    /// A new one, every digit equally likely.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, PairingError> {
        let random = SystemRandom::new();
        let mut digits = [0; DIGITS];
        for digit in &mut digits {
            *digit = loop {
                let mut byte = [0];
                random.fill(&mut byte).map_err(|_| PairingError::Random)?;
                if byte[0] < 250 {
                    break b'0' + byte[0] % 10;
                }
            };
        }
        Ok(Self(digits))
    }

    /// The digits, in two groups.
    #[must_use]
    pub fn shown(&self) -> String {
        let digits: String = self.0.iter().map(|&digit| char::from(digit)).collect();
        format!("{} {}", &digits[..DIGITS / 2], &digits[DIGITS / 2..])
    }
}

impl fmt::Debug for Code {
    /// Without the digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl FromStr for Code {
    type Err = PairingError;

    /// Digits with spaces or dashes between them, as a person types them.
    fn from_str(text: &str) -> Result<Self, PairingError> {
        let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b' ' | b'-')).collect();
        let digits: [u8; DIGITS] = digits.try_into().map_err(|_| PairingError::Code)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self(digits)) } else { Err(PairingError::Code) }
    }
}

/// Why two ends don't know each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PairingError {
    /// Not a code.
    #[error("a pairing code has {DIGITS} digits, as on the device's display")]
    Code,
    /// The other end's message is none.
    #[error("the other end's pairing message makes no sense")]
    Message,
    /// The other end doesn't know the code, or somebody sits in between.
    #[error("the code is wrong, or somebody is between the two ends")]
    Wrong,
    /// No random numbers.
    #[error("the system has no random numbers")]
    Random,
}

/// Who pairs with whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The workstation's certificate.
    pub workstation: Fingerprint,
    /// The device's certificate.
    pub device: Fingerprint,
}

/// One end between its message and the other's.
pub struct Half {
    state: Spake2<Ed25519Group>,
    pair: Pair,
}

impl Half {
    /// The workstation's end, and its message of 33 bytes.
    #[must_use]
    pub fn workstation(code: &Code, pair: Pair) -> (Self, Vec<u8>) {
        let [a, b] = roles(&pair);
        let (state, message) = Spake2::<Ed25519Group>::start_a(&Password::new(code.0), &a, &b);
        (Self { state, pair }, message)
    }

    /// The device's end, and its message of 33 bytes.
    #[must_use]
    pub fn device(code: &Code, pair: Pair) -> (Self, Vec<u8>) {
        let [a, b] = roles(&pair);
        let (state, message) = Spake2::<Ed25519Group>::start_b(&Password::new(code.0), &a, &b);
        (Self { state, pair }, message)
    }

    /// Takes the other end's message.
    ///
    /// # Errors
    /// [`PairingError::Message`]. That the codes differ is not seen before the confirmations are compared.
    pub fn finish(self, theirs: &[u8]) -> Result<Agreed, PairingError> {
        let key = self.state.finish(theirs).map_err(|_| PairingError::Message)?;
        Ok(Agreed { key: hmac::Key::new(hmac::HMAC_SHA256, &key), pair: self.pair })
    }
}

/// The key that both ends have, if they had one code and saw one pair of certificates.
pub struct Agreed {
    key: hmac::Key,
    pair: Pair,
}

impl Agreed {
    /// What the workstation says to prove that it has the key.
    #[must_use]
    pub fn workstation_says(&self) -> [u8; 32] {
        self.says(b"workstation")
    }

    /// What the device says to prove that it has the key.
    #[must_use]
    pub fn device_says(&self) -> [u8; 32] {
        self.says(b"device")
    }

    /// Takes the workstation's word, in constant time.
    ///
    /// # Errors
    /// [`PairingError::Wrong`].
    pub fn check_workstation(&self, word: &[u8; 32]) -> Result<(), PairingError> {
        self.check(b"workstation", word)
    }

    /// Takes the device's word, in constant time.
    ///
    /// # Errors
    /// [`PairingError::Wrong`].
    pub fn check_device(&self, word: &[u8; 32]) -> Result<(), PairingError> {
        self.check(b"device", word)
    }

    fn message(&self, role: &[u8]) -> Vec<u8> {
        [b"lintel pairing 1 ", role, &self.pair.workstation.0, &self.pair.device.0].concat()
    }

    fn says(&self, role: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.key, &self.message(role));
        let mut word = [0; 32];
        word.copy_from_slice(tag.as_ref());
        word
    }

    fn check(&self, role: &[u8], word: &[u8; 32]) -> Result<(), PairingError> {
        hmac::verify(&self.key, &self.message(role), word).map_err(|_| PairingError::Wrong)
    }
}

fn roles(pair: &Pair) -> [Role; 2] {
    [Role::new(&pair.workstation.0), Role::new(&pair.device.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair = Pair { workstation: Fingerprint([1; 32]), device: Fingerprint([2; 32]) };

    fn code(text: &str) -> Code {
        text.parse().expect("a code")
    }

    /// Whether the device believes the workstation, and the other way round.
    fn meet(codes: [&str; 2], pairs: [Pair; 2]) -> [bool; 2] {
        let (workstation, to_device) = Half::workstation(&code(codes[0]), pairs[0]);
        let (device, to_workstation) = Half::device(&code(codes[1]), pairs[1]);
        let workstation = workstation.finish(&to_workstation).expect("a message");
        let device = device.finish(&to_device).expect("a message");
        [
            device.check_workstation(&workstation.workstation_says()).is_ok(),
            workstation.check_device(&device.device_says()).is_ok(),
        ]
    }

    #[test]
    fn only_one_code_and_one_pair_of_certificates_agree() {
        let middle = Pair { device: Fingerprint([3; 32]), ..PAIR };
        assert_eq!(meet(["123456", "123 456"], [PAIR, PAIR]), [true, true]);
        assert_eq!(meet(["123456", "123457"], [PAIR, PAIR]), [false, false]);
        assert_eq!(meet(["123456", "123456"], [PAIR, middle]), [false, false]);
    }

    #[test]
    fn a_word_cannot_be_sent_back() {
        let (workstation, to_device) = Half::workstation(&code("000000"), PAIR);
        let (device, to_workstation) = Half::device(&code("000000"), PAIR);
        let agreed = workstation.finish(&to_workstation).expect("a message");
        let _ = device.finish(&to_device).expect("a message");
        assert_eq!(agreed.check_device(&agreed.workstation_says()), Err(PairingError::Wrong));
    }

    #[test]
    fn messages_that_are_none_are_refused() {
        for bytes in [&[][..], &[0; 33], &[0x41; 33], &[0x42; 33], &[0xff; 200]] {
            let (half, _) = Half::workstation(&code("000000"), PAIR);
            // Some of these are points that nobody knows the logarithm of; then the words differ.
            if let Ok(agreed) = half.finish(bytes) {
                assert_eq!(agreed.check_device(&[0; 32]), Err(PairingError::Wrong));
            }
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(text.parse::<Code>().ok().map(|code| code.shown()), expected.map(str::to_owned), "{text}");
        };
        check("123456", Some("123 456"));
        check(" 123-456 ", Some("123 456"));
        check("12345", None);
        check("1234567", None);
        check("12345x", None);
        check("", None);
        check("١٢٣٤٥٦", None);
        let new = Code::generate().expect("random numbers");
        assert_eq!(new.shown().parse::<Code>().as_ref(), Ok(&new));
        assert_eq!(format!("{new:?}"), "Code");
    }
}
