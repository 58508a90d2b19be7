//! What a device did → a statement that it signed.

use super::identity::{Fingerprint, Identity, signed_by};
use lintel_wire::link::{Receipt, Statement};

/// Why a receipt proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Not signed by this device.
    #[error("the receipt is not signed by the device")]
    Signature,
    /// The statement is none.
    #[error("the receipt's statement cannot be read")]
    Statement,
    /// The statement is about another device.
    #[error("the receipt is about another device")]
    Device,
}

/// The device's word for it.
///
/// # Panics
/// Never: a statement is plain data.
#[must_use]
pub fn sign(identity: &Identity, statement: &Statement) -> Receipt {
    let statement = postcard::to_allocvec(statement).expect("plain data");
    let signature = identity.sign(&statement);
    Receipt { statement, signature }
}

/// What the receipt says, if this device signed it.
///
/// # Errors
/// [`ReceiptError`].
pub fn open(receipt: &Receipt, certificate: &[u8]) -> Result<Statement, ReceiptError> {
    if !signed_by(certificate, &receipt.statement, &receipt.signature) {
        return Err(ReceiptError::Signature);
    }
    let (statement, rest) =
        postcard::take_from_bytes::<Statement>(&receipt.statement).map_err(|_| ReceiptError::Statement)?;
    if !rest.is_empty() {
        return Err(ReceiptError::Statement);
    }
    if statement.device != Fingerprint::of(certificate).0 {
        return Err(ReceiptError::Device);
    }
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_wire::value::{EncoderId, PersonId};

    #[test]
    fn only_the_device_itself_can_give_its_word() {
        let device = Identity::generate().expect("a key");
        let other = Identity::generate().expect("a key");
        let statement = Statement {
            device: device.fingerprint().0,
            revision: 7,
            table: [1; 32],
            encoder: EncoderId([2; 32]),
            removed: vec![PersonId(3)],
            journal: 9,
            journal_head: [4; 32],
            at: 0,
        };
        let receipt = sign(&device, &statement);
        assert_eq!(open(&receipt, device.certificate()), Ok(statement.clone()));
        assert_eq!(open(&receipt, other.certificate()), Err(ReceiptError::Signature));
        assert_eq!(open(&sign(&other, &statement), other.certificate()), Err(ReceiptError::Device));
        let mut forged = receipt.clone();
        forged.statement[0] ^= 1;
        assert_eq!(open(&forged, device.certificate()), Err(ReceiptError::Signature));
        let garbage = Receipt { statement: vec![1], signature: device.sign(&[1]) };
        assert_eq!(open(&garbage, device.certificate()), Err(ReceiptError::Statement));
    }
}
